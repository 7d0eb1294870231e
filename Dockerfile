# Builds and runs Atoll.
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --package atoll

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/atoll atoll
COPY --from=build /src/target/release/atoll /usr/local/bin/atoll
COPY server/demo /srv/files
USER atoll
EXPOSE 7432
ENTRYPOINT ["atoll"]
CMD ["serve", "--data-dir", "/var/lib/atoll/data", "--files-root", "/srv/files"]
