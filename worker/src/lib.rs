//! The worker: runs connectors and tasks.
//!
//! ```text
//!  operator -- gRPC/mTLS --> control --> Worker --> units --> connectors
//!                            (fencing,   (reconcile)  |
//!                             tls)                    +--> kafka (clients, offsets, topics)
//!  Prometheus, probes ----> http, metrics, logging
//! ```
//!
//! # How it works
//!
//! - The operator sends the whole set of units under an epoch; [`fencing`] refuses what is older than
//!   what is known, [`reconcile`] says what to start and stop, and [`Worker`] does it. Of one unit never
//!   two incarnations run.
//! - A unit ([`units`]) is a connector instance or a task. It runs in a tokio task of its own: a panic is
//!   its failure alone. Stopping is graceful for `task.shutdown.graceful.timeout.ms`, then not.
//! - A source task hands records to librdkafka, whose queue (`buffer.memory`) bounds its memory, and commits
//!   the offsets of acknowledged records through a transactional producer of its own, so that Kafka itself
//!   stops a zombie from turning offsets back.
//! - A sink task consumes in the group `connect-<name>`, puts batches bounded in records and bytes, and commits
//!   what the task confirmed: on the clock, before a partition goes away, and at the end.
//! - The last set is kept on tmpfs ([`resume`]): a worker that restarts while no operator is up goes on alone.
//!
//! # In process
//!
//! `barnabas up` uses [`Worker`] as it is: `apply` directives, watch `reports`, `validate`, `plugins`, `shutdown`.
//! [`control`] puts gRPC around the same four, [`http`] shows health and metrics.
//!
//! # The program
//!
//! `barnabas-worker run --config /etc/barnabas/worker.yaml`; the file is a [`WorkerConfig`]. SIGTERM asks the operator to
//! move the units away (`shutdown.drain.timeout.ms`, 20 s), then stops what is left, flushes and commits.

pub mod config;
pub mod control;
pub mod fencing;
pub mod http;
pub mod kafka;
pub mod logging;
pub mod metrics;
pub mod providers;
pub mod reconcile;
pub mod resume;
mod tls;
pub mod units;
mod worker;

pub use config::WorkerConfig;
pub use fencing::Refused;
pub use tls::OPERATOR_CN;
pub use worker::{StartError, Worker};

/// The stack of a thread that converts records, bytes. Values may be nested a thousand levels deep, as in Jackson, and each
/// level takes its part; only what is used becomes memory.
pub const THREAD_STACK: usize = 16 << 20;
