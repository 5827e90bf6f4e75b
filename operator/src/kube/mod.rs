//! The operator on Kubernetes.
//!
//! ```text
//!  watch ──▶ world ──▶ observe (dereference, validate) ──▶ drive (plan) ──▶ host (status, events, pods)
//!                 └──▶ children (dereference, build, apply)
//! ```
//!
//! [`supervise`] runs one such pair of tasks for every `ConnectCluster`, while
//! [`lease`] says that this process leads.

pub mod apply;
pub mod authority;
pub mod build;
pub mod certificates;
pub mod children;
pub mod cluster_status;
pub mod convert;
pub mod dereference;
pub mod events;
pub mod hash;
pub mod host;
pub mod lease;
pub mod observe;
pub mod orphans;
pub mod shared;
pub mod status;
pub mod supervise;
pub mod watch;
pub mod world;
