//! What the planner is told: the resources as their driver resolved them, and the pods as Kubernetes sees them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Condition, Millis};

/// Who plans, and under which term.
#[derive(Clone, Debug)]
pub struct Options {
    /// This leader's term, greater than every earlier leader's and never used twice: two controllers that share a term
    /// could give the same unit to two workers. The Lease's `leaseTransitions`; 1 on one machine.
    pub term: u64,
    /// Named in hellos, for the workers' logs: the operator's pod name.
    pub operator: String,
    /// When this controller began to lead.
    pub started: Millis,
    /// How long an earlier leader may go on pushing after this one began, milliseconds: the Lease's duration, or 0 when
    /// there cannot have been one. A pod that has not been heard from counts as possibly busy for at least this long.
    pub predecessor_ms: i64,
    /// Adds `NotReady=True` beside `Ready=False`, for tools written for Strimzi.
    pub mirror_not_ready: bool,
    /// Status that differs only in progress (positions, lag) is published at most this often, milliseconds.
    pub progress_interval_ms: i64,
}

impl Options {
    /// The defaults of an operator in a cluster: a predecessor may push for 15 s more, progress shows every 10 s.
    pub fn new(term: u64, operator: impl Into<String>, started: Millis) -> Self {
        Self {
            term,
            operator: operator.into(),
            started,
            predecessor_ms: 15_000,
            mirror_not_ready: false,
            progress_interval_ms: 10_000,
        }
    }
}

/// The `ConnectCluster`, as far as planning depends on it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSpec {
    /// Name of the resource, for messages.
    pub name: String,
    /// Workers wanted (`spec.replicas`).
    pub replicas: u32,
    /// How long a worker may be unreachable before its units are given to others, milliseconds
    /// (`scheduled.rebalance.max.delay.ms`; our default is [`DEFAULT_UNREACHABLE_DELAY_MS`]).
    pub unreachable_delay_ms: i64,
    /// How long a pod that is to go may keep its units before it goes anyway, milliseconds.
    pub drain_timeout_ms: i64,
    /// `metadata.generation`, repeated as `observedGeneration`.
    pub generation: i64,
    /// `pause-reconciliation` on the cluster: no pod is drained or rolled. Connectors keep being planned.
    pub reconciliation_paused: bool,
}

/// Our default of `scheduled.rebalance.max.delay.ms`. Kafka's is five minutes, because there a missing worker is the
/// only sign of a gone one; here a gone pod is known at once and the delay covers network splits only.
pub const DEFAULT_UNREACHABLE_DELAY_MS: i64 = 60_000;

/// How long a draining pod may keep its units.
pub const DEFAULT_DRAIN_TIMEOUT_MS: i64 = 60_000;

impl ClusterSpec {
    /// A cluster with default delays.
    pub fn new(name: impl Into<String>, replicas: u32) -> Self {
        Self {
            name: name.into(),
            replicas,
            unreachable_delay_ms: DEFAULT_UNREACHABLE_DELAY_MS,
            drain_timeout_ms: DEFAULT_DRAIN_TIMEOUT_MS,
            generation: 1,
            reconciliation_paused: false,
        }
    }
}

/// A worker pod as Kubernetes sees it. Its name is the worker's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodState {
    /// `metadata.uid`. A new uid under the old name is another pod: the old one is gone.
    pub uid: String,
    /// The pod's Ready condition.
    pub ready: bool,
    /// `metadata.deletionTimestamp` is set.
    pub terminating: bool,
    /// Phase Failed or Succeeded: nothing runs there any more.
    pub finished: bool,
    /// Scale-down target: not among the first `replicas` pods. Drained at once.
    pub surplus: bool,
    /// Its revision is not the wanted one, or a roll was asked for by annotation. Drained when its turn comes.
    pub outdated: bool,
}

/// `spec.state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetState {
    /// Connector and tasks run.
    #[default]
    Running,
    /// They are assigned, and move no records.
    Paused,
    /// Nothing is assigned.
    Stopped,
}

/// `spec.autoRestart` when enabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AutoRestart {
    /// `maxRestarts`; unlimited when absent.
    pub max_restarts: Option<u32>,
}

/// Why a resource cannot be deployed as it stands, found by its driver before planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable CamelCase reason, see [`super::reason`].
    pub reason: String,
    /// Names the resource, the key, the value and what would be right. Contains no secret.
    pub message: String,
}

/// A `KafkaConnector` that belongs to this cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectorSpec {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.namespace`, for messages.
    pub namespace: String,
    /// The name towards Kafka: `spec.name`, default `metadata.name`.
    pub name: String,
    /// `spec.class`.
    pub class: String,
    /// `spec.config`, every value as a string, every `${...}` resolved. The planner adds `name`, `connector.class` and
    /// `tasks.max`; a driver may add `connector.plugin.version`. Ignored while `problem` is set.
    pub config: BTreeMap<String, String>,
    /// The values in `config` that came out of Secrets. Workers hide them wherever they show text.
    pub secrets: BTreeSet<String>,
    /// `spec.tasksMax`, default 1.
    pub tasks_max: u32,
    /// `spec.state`, or `paused` for `spec.pause: true`.
    pub state: TargetState,
    /// Absent when `spec.autoRestart.enabled` is not true.
    pub auto_restart: Option<AutoRestart>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.deletionTimestamp` is set: stop everything, then [`super::Action::FinalizerDone`].
    pub deleted: bool,
    /// The annotation `pause-reconciliation` is `"true"`.
    pub reconciliation_paused: bool,
    /// Value of the annotation `restart` as it stands.
    pub restart: Option<String>,
    /// Value of the annotation `restart-task` as it stands.
    pub restart_task: Option<String>,
    /// Set when the driver could not resolve the resource. What runs keeps running with its old configuration.
    pub problem: Option<Problem>,
    /// Warnings that the driver found (deprecated or ignored fields); shown as conditions of type `Warning`.
    pub warnings: Vec<Problem>,
}

impl ConnectorSpec {
    /// With `config.action.reload: none` the values that references stand for stay what they were, until the resource
    /// itself changes; by default a new value restarts what uses it.
    #[must_use]
    pub fn reloaded(mut self, before: Option<&Self>) -> Self {
        let none = self.config.get("config.action.reload").is_some_and(|what| what.trim().eq_ignore_ascii_case("none"));
        let same = |before: &&Self| before.generation == self.generation && before.uid == self.uid;
        if let Some(before) = before.filter(same).filter(|before| none && before.problem.is_none()) {
            self.config.clone_from(&before.config);
            self.secrets.clone_from(&before.secrets);
        }
        self
    }
}

/// What an earlier leader wrote into a connector's status, so that counters and transition times go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PreviousStatus {
    /// Conditions with their transition times.
    pub conditions: Vec<Condition>,
    /// `status.autoRestart`.
    pub auto_restart: Option<super::AutoRestartStatus>,
    /// `status.topics`.
    pub topics: Vec<String>,
    /// Ids of `status.tasks`.
    pub tasks: Vec<u32>,
    /// `status.retiredTasks`.
    pub retired: Vec<u32>,
}

/// Why a validation could not be done at all (the worker was unreachable, the call timed out). It is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidateFailed(
    /// What went wrong, one sentence.
    pub String,
);
