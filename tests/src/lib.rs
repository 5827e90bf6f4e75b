//! The harness of the end-to-end tests: a real Kubernetes, a real Kafka, real containers.
//!
//! Scenarios are ordinary test functions in `tests/*.rs`, one binary per theme, run one after the other by
//! `cargo xtask test e2e [NAME ..]`, which starts the cluster once for all of them. To write one quickly:
//!
//! ```text
//! cargo xtask cluster up --bare
//! cargo xtask test e2e NAME --reuse
//! ```
//!
//! A scenario starts from [`Testbed::get`], makes a [`Namespace`] of its own, and waits with [`eventually`], which is
//! bounded and says what it waits for. It asserts on what happened and never on how long it took; times are printed.

mod cluster;
mod corpus;
mod intervals;
mod kafka;
mod namespace;
mod scene;
mod storage;
mod testbed;
mod wait;

pub use cluster::{Cluster, Pod, http_get};
pub use corpus::{Corpus, assert_same_text};
pub use intervals::{Interval, Intervals, Unit, assert_no_overlap};
pub use kafka::{Kafka, Record};
pub use namespace::Namespace;
pub use scene::{CONNECT, Delivery, LIMIT, Scene, WORKERS, Writer, assert_delivered, condition};
pub use storage::HostFolder;
pub use testbed::Testbed;
pub use wait::{eventually, say};
