//! The state machine (interface first).
use barnabas_protocol::{Report, ValidateResponse};

use super::*;

/// Plans one cluster. See the module's documentation.
#[derive(Debug)]
pub struct Controller {
    options: Options,
}

impl Controller {
    /// A controller that knows nothing yet and decides nothing before [`Self::synced`].
    pub fn new(options: Options) -> Self {
        Self { options }
    }
    /// The `ConnectCluster` as it stands.
    pub fn observe_cluster(&mut self, spec: ClusterSpec) {}
    /// A connector as it stands. `key` is its `metadata.name`.
    pub fn observe_connector(&mut self, key: &str, spec: ConnectorSpec) {}
    /// What an earlier leader wrote; before [`Self::synced`], and before the first `observe_connector` of that key or after.
    pub fn adopt_status(&mut self, key: &str, previous: PreviousStatus) {}
    /// The resource no longer exists or belongs to another cluster now. Its units are stopped.
    pub fn forget_connector(&mut self, key: &str) {}
    /// A worker pod as it stands. `now` is when this was seen.
    pub fn observe_pod(&mut self, name: &str, pod: PodState, now: Millis) {}
    /// The pod object is gone: its units are free.
    pub fn pod_gone(&mut self, name: &str) {}
    /// The first lists are complete; decisions begin.
    pub fn synced(&mut self) {}
    /// A stream to this worker is open (a new one replaces an older one).
    pub fn session_up(&mut self, worker: &str, now: Millis) {}
    /// A report that came on the worker's current stream.
    pub fn report(&mut self, worker: &str, report: Report, now: Millis) {}
    /// The worker's stream ended or went silent (no report for several seconds).
    pub fn session_down(&mut self, worker: &str, now: Millis) {}
    /// The answer to [`Action::Validate`].
    pub fn validated(
        &mut self,
        key: &str,
        config_hash: u64,
        answer: Result<ValidateResponse, ValidateFailed>,
        now: Millis,
    ) {
    }
    /// Everything that follows from what is known.
    pub fn decide(&mut self, now: Millis) -> Vec<Action> {
        Vec::new()
    }
    /// When to call [`Self::decide`] even though nothing was observed; `None` when only inputs can change anything.
    pub fn next_wakeup(&self) -> Option<Millis> {
        None
    }
    /// Whether a pod may go.
    pub fn pod_plan(&self, pod: &str) -> Option<PodPlan> {
        None
    }
}
