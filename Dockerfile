# One service a build: docker build --build-arg SERVICE=geo .
# On Railway the service's name says which: geo, visitor-analytics or notification.
FROM rust:1.95-slim-bookworm AS build
ARG RAILWAY_SERVICE_NAME
ARG SERVICE=$RAILWAY_SERVICE_NAME
# What the metric `build_info` names.
ARG RAILWAY_GIT_COMMIT_SHA
ARG BUILD_COMMIT=$RAILWAY_GIT_COMMIT_SHA
WORKDIR /src
COPY . .
ENV BUILD_COMMIT=${BUILD_COMMIT:-unknown}
RUN test -n "$SERVICE" || { echo "say which: --build-arg SERVICE=geo" >&2; exit 1; } \
 && cargo build --release --locked --manifest-path "services/$SERVICE/Cargo.toml" \
 && cp "target/release/$SERVICE" /service

FROM debian:bookworm-slim
# Outgoing TLS needs the roots.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /service /usr/local/bin/service
# What geo downloads; mount something lasting here to keep it over deployments.
RUN install --directory --owner 65534 --group 65534 /data
ENV GEOIP_DATA_DIR=/data/geoip
USER 65534:65534
EXPOSE 8000
ENTRYPOINT ["service"]
