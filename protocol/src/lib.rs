//! The operator-to-worker contract.
//!
//! `proto/barnabas/v1/worker.proto` is the documentation. The Rust code in
//! `src/generated/` is made from it by `cargo test -p barnabas-protocol` with
//! `BARNABAS_REGENERATE=1`, and is kept in the repository so that building
//! Barnabas needs no protobuf compiler; the same test fails when it is stale.

mod epoch;

/// The generated messages, client and server.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, unreachable_pub)]
#[rustfmt::skip]
pub mod v1 {
    include!("generated/barnabas.v1.rs");
}

pub use v1::*;
