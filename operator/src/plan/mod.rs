//! The planner: which unit runs where, what is to be said about it, and nothing else.
//!
//! A [`Controller`] is a state machine for one `ConnectCluster` without I/O and without a clock. Its driver (the
//! Kubernetes operator, or `barnabas up`) tells it what it sees, calls [`Controller::decide`] and carries out the
//! [`Action`]s. The same inputs always give the same actions.
//!
//! ```text
//!  resources, pods ──observe_*──▶ ┌────────────┐ ──Push, Validate──▶ sessions to workers
//!  sessions ──session_*, report─▶ │ Controller │ ──ConnectorStatus, ClusterStatus, Event──▶ resources
//!  Validate's answers ─validated▶ └────────────┘ ──FinalizerDone, PodDrained, …──▶ resources, pods
//!                                   decide(now)
//! ```
//!
//! How a driver uses it:
//!
//! 1. On winning the Lease, make a controller with a fresh term, feed it every pod, connector (with
//!    [`Controller::adopt_status`]) and the cluster, then call [`Controller::synced`]. Nothing is decided before.
//! 2. Dial every pod. [`Controller::session_up`] when a stream opens, [`Controller::report`] for every report on it,
//!    [`Controller::session_down`] when it ends. The hello comes out as a `Push`.
//! 3. After every batch of inputs, and at [`Controller::next_wakeup`], call `decide` and do what it says.
//!
//! Invariant 1 of the design (a unit is given to a worker only when no other can be running it) rests on one rule: a
//! worker *holds* a unit from the push that gives it until a report, made under an epoch that no longer contains it,
//! lacks it; or until its pod is gone; or until it has been unreachable past the delay, when Kafka fences it. A pod
//! that this leader has not heard from may hold anything.

mod assign;
mod controller;
mod fencing;
mod hash;
mod input;
mod lifecycle;
mod model;
mod output;
mod placing;
mod pods;
mod reports;
mod restart;
#[cfg(test)]
mod simulation;
mod status;
mod summary;
#[cfg(test)]
mod tests;

pub use controller::Controller;
pub use hash::{config_hash, task_config_hash};
pub use input::*;
pub use output::*;
pub use status::*;

/// Wall clock, milliseconds since 1970. Drivers take it from a monotonic clock anchored at their start, so that it
/// never jumps.
pub type Millis = i64;

/// Ways to break the controller on purpose, to prove that the simulation notices.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sabotage {
    #[default]
    None,
    /// Gives units without waiting for those who hold them.
    GiveWithoutWaiting,
    /// Takes a report from before the removal for proof that a unit has stopped.
    TrustAnyReport,
    /// Does not wait for pods that were not heard from yet.
    ForgetUnheardPods,
    /// Moves units for balance whenever something changes.
    BalanceAlways,
    /// Starts what an earlier leader started anew.
    AdoptNothing,
    /// Starts a new plan without having the tasks of the old one fenced.
    FenceNothing,
    /// Starts a new plan while tasks of the old one run.
    ReplaceInPlace,
}
