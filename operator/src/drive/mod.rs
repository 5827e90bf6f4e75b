//! The control loop of one cluster: feeds [`plan::Controller`](crate::plan::Controller) with what is
//! seen and carries out what it decides. Nothing here knows Kubernetes: the
//! operator and `barnabas up` run the same loop over different [`Link`]s and
//! with different [`Host`]s.
//!
//! ```text
//!  Inputs (bounded queue) ──▶ ┌──────────────────────────┐ ──▶ Host: status, events, finalizers, pods
//!  sessions' events ────────▶ │ Controller: decide(now)  │ ──▶ Links: directives, validations
//!                             └──────────────────────────┘
//! ```

pub mod link;
mod run;

use std::sync::Arc;

pub use link::{Link, LinkError, LinkEvent, Outbox, Reports};
pub use run::run;
use tokio::{sync::Notify, time::Instant};

use crate::plan::{
    Annotation, ClusterSpec, ClusterStatusDraft, ConnectorSpec, ConnectorStatusDraft, DrainReason, Event, Millis,
    PodState, PreviousStatus,
};

/// What the loop is told from outside.
pub enum Input {
    /// The cluster as it stands.
    Cluster(ClusterSpec),
    /// A connector as it stands.
    Connector {
        /// `metadata.name`.
        key: String,
        /// Resolved.
        spec: Box<ConnectorSpec>,
    },
    /// What an earlier leader wrote into a connector's status.
    PreviousStatus {
        /// `metadata.name`.
        key: String,
        /// As read from the resource.
        previous: PreviousStatus,
    },
    /// The connector is gone, or belongs to another cluster now.
    ConnectorGone {
        /// `metadata.name`.
        key: String,
    },
    /// A worker as it stands.
    Worker {
        /// Pod name.
        name: String,
        /// As Kubernetes sees it.
        state: PodState,
        /// How to reach it, once it has an address. A pod with another uid gets a new session over the new link.
        link: Option<Arc<dyn Link>>,
    },
    /// The worker does not exist any more.
    WorkerGone {
        /// Pod name.
        name: String,
    },
    /// Everything that exists has been told; decisions begin.
    Synced,
}

/// Carries out what has nothing to do with sessions. Must not block: queue what takes time.
pub trait Host: Send + 'static {
    /// Replaces a connector's status.
    fn connector_status(&mut self, key: &str, status: ConnectorStatusDraft);
    /// Replaces the planner's part of the cluster's status.
    fn cluster_status(&mut self, status: ClusterStatusDraft);
    /// Publishes an Event.
    fn event(&mut self, event: Event);
    /// Removes an annotation that was acted on, if it still has this value.
    fn annotation_done(&mut self, key: &str, annotation: Annotation, value: &str);
    /// Lets a deleted connector go.
    fn finalizer_done(&mut self, key: &str, uid: &str);
    /// A pod has nothing left to run.
    fn pod_drained(&mut self, pod: &str, uid: &str, why: DrainReason);
    /// A worker knows a later term. The loop has ended.
    fn deposed(&mut self, newest_term: u64);
    /// Sessions that are open, for metrics.
    fn sessions(&mut self, _open: usize) {}
}

/// Wall clock that never jumps: anchored once, then driven by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: Instant,
    anchor_ms: Millis,
}

impl Clock {
    /// A clock that starts with the system's wall clock.
    pub fn start() -> Self {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { anchor: Instant::now(), anchor_ms: Millis::try_from(wall.as_millis()).unwrap_or(Millis::MAX) }
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> Millis {
        let passed = Millis::try_from(self.anchor.elapsed().as_millis()).unwrap_or(Millis::MAX);
        self.anchor_ms.saturating_add(passed)
    }

    /// The monotonic moment at which this clock shows `at`.
    pub fn instant(&self, at: Millis) -> Instant {
        let ahead = u64::try_from(at.saturating_sub(self.anchor_ms)).unwrap_or(0);
        // Far enough to mean "not soon", near enough for the timer wheel.
        self.anchor + std::time::Duration::from_millis(ahead.min(365 * 86_400_000))
    }
}

/// Ends the present sessions of a loop, to open them anew with fresh credentials.
#[derive(Clone, Debug, Default)]
pub struct Redial(Arc<parking_lot::Mutex<Vec<std::sync::Weak<Notify>>>>);

impl Redial {
    /// Asks every session to reconnect. No task notices.
    pub fn all(&self) {
        self.0.lock().retain(|session| session.upgrade().inspect(|session| session.notify_one()).is_some());
    }

    fn session(&self) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        let mut sessions = self.0.lock();
        sessions.retain(|session| session.strong_count() > 0);
        sessions.push(Arc::downgrade(&notify));
        notify
    }
}
