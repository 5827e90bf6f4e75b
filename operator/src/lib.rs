//! Turns resources into workers and assignments, and reports into status.
//!
//! - [`plan`]: pure decisions, no I/O and no clock;
//! - [`drive`]: the control loop around them, over any kind of link to workers;
//! - `session`, `kube`: that loop on Kubernetes, with gRPC to the worker pods.
//!
//! `barnabas up` uses the first two, without the feature `kubernetes`.

pub mod drive;
pub mod plan;

#[cfg(feature = "kubernetes")]
pub mod http;
#[cfg(feature = "kubernetes")]
pub mod kube;
#[cfg(feature = "kubernetes")]
pub mod metrics;
#[cfg(feature = "kubernetes")]
pub mod session;
