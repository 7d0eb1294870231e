#!/bin/sh
# Starts Atoll in a container. It listens on all of the container's addresses, for which it wants TLS: the first start makes
# a certificate of its own. Mount another one over /var/lib/atoll/tls to use that.
set -eu
tls=/var/lib/atoll/tls
if [ ! -s "$tls/key.pem" ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=atoll" \
    -addext "subjectAltName=DNS:atoll,DNS:localhost,IP:127.0.0.1" -keyout "$tls/key.pem" -out "$tls/cert.pem" 2>/dev/null
  chmod 0600 "$tls/key.pem"
fi
exec atoll "$@" --tls-cert "$tls/cert.pem" --tls-key "$tls/key.pem"
