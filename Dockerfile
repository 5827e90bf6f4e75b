# The image with both programs: barnabas-operator (default) and barnabas-worker.
#
#   docker build --tag barnabas .
#
# `cargo xtask image` assembles the same content without Docker, for the tests.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# librdkafka is built from source by its crate; the base image has the compilers, and OpenSSL's static library.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --package barnabas-operator --package barnabas-worker \
    && install -D --strip --target-directory=/out target/dist/barnabas-operator target/dist/barnabas-worker

# The C library, the certificate authorities, a user who is not root, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="barnabas" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/barnabas-operator"]
