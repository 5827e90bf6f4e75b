//! The status that the planner drafts. Drivers turn it into the resource types.

use std::collections::BTreeMap;

use super::Millis;

/// Stable reasons of conditions and Events.
pub mod reason {
    /// Connector and tasks run.
    pub const RUNNING: &str = "Running";
    /// Connector and tasks are paused, as asked.
    pub const PAUSED: &str = "Paused";
    /// Nothing runs, as asked.
    pub const STOPPED: &str = "Stopped";
    /// Units are being placed, started or stopped.
    pub const DEPLOYING: &str = "Deploying";
    /// The resource is being deleted.
    pub const DELETING: &str = "Deleting";
    /// The configuration did not pass validation.
    pub const INVALID_CONFIGURATION: &str = "InvalidConfiguration";
    /// No worker knows the class.
    pub const UNKNOWN_CONNECTOR_CLASS: &str = "UnknownConnectorClass";
    /// A key that only the operator may set.
    pub const FORBIDDEN_KEY: &str = "ForbiddenKey";
    /// A referenced Secret or key is missing.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// The service account may not read a referenced Secret.
    pub const SECRET_FORBIDDEN: &str = "SecretForbidden";
    /// The cluster label names nothing.
    pub const CLUSTER_NOT_FOUND: &str = "ClusterNotFound";
    /// There is no cluster label.
    pub const CLUSTER_LABEL_MISSING: &str = "ClusterLabelMissing";
    /// Kafka does not answer.
    pub const KAFKA_UNREACHABLE: &str = "KafkaUnreachable";
    /// One or more tasks have failed.
    pub const TASK_FAILED: &str = "TaskFailed";
    /// The connector instance has failed.
    pub const CONNECTOR_FAILED: &str = "ConnectorFailed";
    /// The cluster has no worker that could run anything.
    pub const NO_WORKERS: &str = "NoWorkers";
    /// The resource cannot be read.
    pub const INVALID_RESOURCE: &str = "InvalidResource";
    /// The annotation `pause-reconciliation` is set.
    pub const RECONCILIATION_PAUSED: &str = "ReconciliationPaused";
    /// A worker that runs units of this connector cannot be reached.
    pub const WORKER_UNREACHABLE: &str = "WorkerUnreachable";
    /// Validation could not be done yet.
    pub const VALIDATION_PENDING: &str = "ValidationPending";
    /// A restart was done.
    pub const RESTARTED: &str = "Restarted";
    /// The `restart` annotation cannot be acted on (Strimzi's reason).
    pub const RESTART_CONNECTOR: &str = "RestartConnector";
    /// The `restart-task` annotation cannot be acted on (Strimzi's reason).
    pub const RESTART_CONNECTOR_TASK: &str = "RestartConnectorTask";
    /// Fewer workers than wanted are ready.
    pub const WORKERS_NOT_READY: &str = "WorkersNotReady";
    /// Pods are being replaced one by one.
    pub const ROLLING: &str = "Rolling";
    /// Every wanted worker is ready.
    pub const READY: &str = "Ready";
}

/// Condition types that the planner sets.
pub mod condition {
    /// True when the resource is as it should be.
    pub const READY: &str = "Ready";
    /// True while work towards that is under way.
    pub const PROGRESSING: &str = "Progressing";
    /// True when nothing will change without somebody acting; absent otherwise.
    pub const STALLED: &str = "Stalled";
    /// Something to look at that does not stop the work.
    pub const WARNING: &str = "Warning";
    /// Strimzi's spelling of `Ready=False`; only with [`super::super::Options::mirror_not_ready`].
    pub const NOT_READY: &str = "NotReady";
    /// True while the annotation `pause-reconciliation` is set.
    pub const RECONCILIATION_PAUSED: &str = "ReconciliationPaused";
}

/// `status` of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be known at the moment.
    Unknown,
}

impl ConditionStatus {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// A condition of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `type`, see [`condition`].
    pub kind: String,
    /// `status`.
    pub status: ConditionStatus,
    /// Stable CamelCase reason, see [`reason`].
    pub reason: String,
    /// For people. Contains no secret.
    pub message: String,
    /// When `status` last changed.
    pub last_transition: Millis,
}

/// The status of a `KafkaConnector`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectorStatusDraft {
    /// Ready, Progressing, Stalled, Warnings, in this order.
    pub conditions: Vec<Condition>,
    /// The generation that this status speaks of.
    pub observed_generation: i64,
    /// Exactly the body of Connect's `GET /connectors/{name}/status`; absent while nothing has run.
    pub connector_status: Option<serde_json::Value>,
    /// `spec.tasksMax`; `.status.tasksMax` is what the scale subresource shows.
    pub tasks_max: u32,
    /// Tasks that are planned.
    pub tasks_planned: u32,
    /// Tasks in state RUNNING.
    pub tasks_running: u32,
    /// Topics that the tasks have used, sorted.
    pub topics: Vec<String>,
    /// Present after an automatic restart, until its counter was reset.
    pub auto_restart: Option<AutoRestartStatus>,
    /// One per planned or still running task, by id.
    pub tasks: Vec<TaskStatus>,
    /// Sources: tasks of an earlier plan that Kafka is yet to fence, before tasks of the present one start.
    pub retired: Vec<u32>,
    /// `.status.labelSelector` for the scale subresource: `barnabas.dev/connector=<key>`.
    pub label_selector: String,
}

/// `status.autoRestart`, as Strimzi has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoRestartStatus {
    /// Restarts since the counter was last reset.
    pub count: u32,
    /// The connector's `metadata.name`.
    pub connector_name: String,
    /// When the last one was done.
    pub last_restart: Millis,
}

/// One task in a connector's status.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskStatus {
    /// Task id.
    pub id: u32,
    /// Pod name of the worker; absent while it is on none.
    pub worker: Option<String>,
    /// Connect's state: UNASSIGNED, RUNNING, PAUSED, FAILED or RESTARTING.
    pub state: &'static str,
    /// Which start of the task this is.
    pub incarnation: u64,
    /// When that was, by the worker's clock.
    pub started: Option<Millis>,
    /// The first lines of the error.
    pub error: Option<String>,
    /// Sinks: records behind.
    pub lag: Option<u64>,
    /// Records moved since the task's start.
    pub records: u64,
    /// When the last record was moved.
    pub last_record: Option<Millis>,
    /// Sinks: topic-partition to next offset. Sources: partition JSON to offset JSON.
    pub positions: BTreeMap<String, String>,
}

/// The planner's part of the status of a `ConnectCluster`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterStatusDraft {
    /// Ready, Progressing.
    pub conditions: Vec<Condition>,
    /// The generation that this status speaks of.
    pub observed_generation: i64,
    /// Workers with a session.
    pub replicas: u32,
    /// Every pod, by name.
    pub workers: Vec<WorkerStatus>,
    /// Connectors that belong to the cluster.
    pub connectors: u32,
    /// Units that are wanted.
    pub units: u32,
}

/// One worker in the cluster's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Pod name.
    pub name: String,
    /// `host:port` of its REST view, once it has reported.
    pub worker_id: Option<String>,
    /// `Pending`, `Running`, `Draining`, `Drained` or `Unreachable`.
    pub state: &'static str,
    /// Units that are assigned to it.
    pub units: u32,
    /// Why it cannot reach Kafka.
    pub kafka_error: Option<String>,
}
