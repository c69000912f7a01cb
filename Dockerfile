# syntax=docker/dockerfile:1
# Build:  docker build -t rws:0.1.0 .
# Run:    docker run --rm --read-only -p 7878:7878 rws:0.1.0
# Both base images can be replaced, for a mirror or for a pinned digest: --build-arg RUNTIME_IMAGE=...@sha256:...
ARG BUILD_IMAGE=rust:1.95-slim-trixie
# The C library, CA certificates and nothing else: no shell, no package manager. "cc" because the binary links glibc and
# libgcc_s dynamically; a static musl build would fit "static", with a slower allocator.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:latest

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
# The dependencies first, with an empty program: this layer stays as long as Cargo.toml and Cargo.lock do.
COPY Cargo.toml Cargo.lock ./
# Benchmarks and examples, which Cargo.toml names and which would have to be there, are left out of it.
RUN sed -i -E '/^\[\[(bench|example)\]\]$/,/^$/d' Cargo.toml \
    && mkdir src \
    && touch src/lib.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked --bin rws \
    && rm -r src
COPY . .
# Cargo goes by times, and the sources may be older than the empty program.
RUN touch src/lib.rs src/main.rs \
    && cargo build --release --locked --bin rws \
    && mkdir -p root/srv root/usr/local/bin root/usr/share/doc/rws \
    && cp LICENSE-MIT LICENSE-APACHE root/usr/share/doc/rws/ \
    && cp target/release/rws root/usr/local/bin/

# The image. A binary that is there already goes into it with --build-context build=DIRECTORY, in place of the stage above.
FROM ${RUNTIME_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rws" \
      org.opencontainers.image.description="An HTTP/1.1 application server for Kubernetes" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /build/root/ /
# A number, so that Kubernetes can check runAsNonRoot; nothing is ever written to the file system.
USER 65532:65532
# Files in /srv/public are served.
WORKDIR /srv
EXPOSE 7878
STOPSIGNAL SIGTERM
# For Docker and podman; Kubernetes has probes of its own and ignores this. Liveness, since whoever acts on it restarts the
# container, which mends no dependency. Port, path and scheme come from the container's own settings.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/rws", "probe", "livez", "--timeout", "2s"]
ENTRYPOINT ["/usr/local/bin/rws"]
