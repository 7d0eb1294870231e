//! TLS for tokio-postgres over rustls and ring, with libpq's grades of trust.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use atoll_connector_api::{ConnectorContext, ConnectorError, Result};

use crate::frames::Frames;
use crate::options::{ServerConfig, SslMode};
use crate::tap::Tap;

/// A file of root certificates beyond this size is not one.
const ROOT_FILE_BYTES_MAX: u64 = 4 << 20;

/// Makes TLS sessions to one host. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    failed: Arc<AtomicBool>,
    tap: Arc<Tap>,
}

impl Tls {
    /// TLS to `host`, which was found at `address`, as the options want it.
    ///
    /// # Errors
    /// [`ConnectorError::Denied`] and [`ConnectorError::File`] for `sslrootcert`; an option error where the host's name
    /// cannot stand in a certificate.
    pub(crate) fn new(
        server: &str,
        host: &str,
        address: SocketAddr,
        config: &ServerConfig,
        context: &ConnectorContext,
    ) -> Result<Self> {
        let verified = matches!(config.ssl_mode, SslMode::VerifyCa | SslMode::VerifyFull);
        let roots = match config.ssl_root_certificate.as_deref() {
            Some(path) if path != "system" => Some(read_roots(server, path, context)?),
            Some(_) => Some(system_roots(server)?),
            None if verified => Some(system_roots(server)?),
            None => None,
        };
        let check_name = config.ssl_mode == SslMode::VerifyFull;
        let name = match ServerName::try_from(host.to_owned()) {
            Ok(name) => name,
            Err(_) if !check_name => ServerName::IpAddress(address.ip().into()),
            Err(_) => {
                return Err(ConnectorError::OptionValue {
                    option: "host".into(),
                    reason: "is not a name that a certificate can hold".into(),
                });
            }
        };
        Ok(Self { config: client_config(roots, check_name)?, name, failed: Arc::default(), tap: Arc::default() })
    }

    /// Takes COPY's data off the connections made from now on.
    pub(crate) fn tapped(self, tap: &Arc<Tap>) -> Self {
        Self { tap: Arc::clone(tap), ..self }
    }

    /// Whether a handshake was tried and failed, which is where `prefer` goes on in plain text.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

fn client_config(roots: Option<Roots>, check_name: bool) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier { roots, check_name, algorithms: provider.signature_verification_algorithms };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectorError::Internal { message: format!("TLS set-up failed: {error}") })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Trusted certificates: as anchors of chains, and whole.
#[derive(Debug)]
struct Roots {
    store: RootCertStore,
    whole: Vec<CertificateDer<'static>>,
}

impl Roots {
    fn new(certificates: Vec<CertificateDer<'static>>) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates.iter().cloned());
        Self { store, whole: certificates }
    }
}

fn read_roots(server: &str, path: &str, context: &ConnectorContext) -> Result<Roots> {
    let refused = |reason: String, missing: bool| ConnectorError::File {
        path: path.to_owned(),
        object: format!("option \"sslrootcert\" of server \"{server}\""),
        reason,
        missing,
        hint: None,
    };
    let from_io = |error: io::Error| refused(error.to_string(), error.kind() == io::ErrorKind::NotFound);
    let file = context.files.resolve(path)?.open().map_err(from_io)?;
    let mut pem = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, ROOT_FILE_BYTES_MAX), &mut pem).map_err(from_io)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| refused("it holds a damaged certificate".into(), false))?;
    if certificates.is_empty() {
        return Err(refused("it holds no certificate in PEM form".into(), false));
    }
    Ok(Roots::new(certificates))
}

fn system_roots(server: &str) -> Result<Roots> {
    let certificates = rustls_native_certs::load_native_certs().certs;
    if certificates.is_empty() {
        return Err(ConnectorError::OptionMissing {
            option: "sslrootcert",
            object: format!("server \"{server}\", because this machine has no root certificates of its own"),
        });
    }
    Ok(Roots::new(certificates))
}

/// Checks what `sslmode` asks for and no more. Signatures of the handshake are always checked.
#[derive(Debug)]
struct Verifier {
    roots: Option<Roots>,
    check_name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn verify_chain(
        &self,
        roots: &Roots,
        certificate: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> std::result::Result<(), rustls::Error> {
        let verified =
            verify_server_cert_signed_by_trust_anchor(parsed, &roots.store, intermediates, now, self.algorithms.all);
        match verified {
            // A self-signed certificate, made with `openssl req -x509` and trusted as such, calls itself an authority,
            // which webpki refuses in a server after it has checked the dates. OpenSSL, and so libpq, takes it.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(reason)))
                if reason.to_string().contains("CaUsedAsEndEntity")
                    && roots.whole.iter().any(|root| root.as_ref() == certificate.as_ref()) =>
            {
                Ok(())
            }
            other => other,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let parsed = ParsedCertificate::try_from(certificate)?;
            self.verify_chain(roots, certificate, &parsed, intermediates, now)?;
            if self.check_name {
                verify_server_name(&parsed, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl<S> TlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let tap = self.tap;
            let connected = tokio_rustls::TlsConnector::from(self.config).connect(self.name, stream).await;
            connected
                .map(|stream| Encrypted(Frames::new(stream, tap)))
                .inspect_err(|_| self.failed.store(true, Ordering::Relaxed))
        })
    }
}

/// A TLS session as tokio-postgres wants it.
#[derive(Debug)]
pub(crate) struct Encrypted<S>(Frames<tokio_rustls::client::TlsStream<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
