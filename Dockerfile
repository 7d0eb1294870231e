# Two images out of one build: `atoll`, the server, and `s3`, an S3 server with sample data for docker-compose.yml.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked -p atoll -p xtask \
    && cp /target/release/atoll /target/release/xtask /usr/local/bin/

FROM debian:bookworm-slim AS s3
COPY --from=build /usr/local/bin/xtask /usr/local/bin/xtask
COPY server/demo/orders /buckets/harbour/orders
RUN useradd --system --no-create-home s3 && chown -R s3 /buckets
USER s3
EXPOSE 9000
ENTRYPOINT ["xtask", "serve-s3", "/buckets", "--listen", "0.0.0.0:9000"]

FROM debian:bookworm-slim AS atoll
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates openssl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/atoll atoll \
    && install -d -o atoll -m 0700 /var/lib/atoll/data /var/lib/atoll/tls
COPY --from=build /usr/local/bin/atoll /usr/local/bin/atoll
COPY server/demo/compose/atoll.sh /usr/local/bin/atoll-container
COPY server/demo/products.csv /samples/products.csv
USER atoll
VOLUME /var/lib/atoll
EXPOSE 7432
ENTRYPOINT ["atoll-container"]
CMD ["serve", "--listen", "0.0.0.0:7432", "--data-dir", "/var/lib/atoll/data", "--files-root", "/samples"]
