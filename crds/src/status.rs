//! What the operator writes back: the status of both kinds.

use crate::conditions::Condition;
use crate::schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Status of a `ConnectCluster`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectClusterStatus {
    /// `Ready`, `Progressing`, `Stalled`, and any number of `Warning`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the REST view answers inside the cluster; absent while there are no replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Worker pods that exist.
    pub replicas: i32,
    /// Worker pods that are up and reached by the operator.
    pub ready_replicas: i32,
    /// `KafkaConnector` resources that name this cluster.
    pub connectors: i32,
    /// Selects the worker pods, for autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
    /// The connector, converter and transform classes that the workers know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connector_plugins: Vec<ConnectorPlugin>,
}

/// A class that the workers know: an entry of Connect's `GET /connector-plugins`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorPlugin {
    /// Class name, as `spec.class` of a connector takes it.
    pub class: String,
    /// `source`, `sink`, `converter`, `header_converter`, `transformation` or `predicate`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Version of the implementation.
    #[serde(default)]
    pub version: String,
}

/// Status of a `KafkaConnector`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaConnectorStatus {
    /// `Ready`, `Progressing`, `Stalled`, and any number of `Warning`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Exactly the body of Connect's `GET /connectors/{name}/status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub connector_status: Option<Value>,
    /// One entry for each task.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskStatus>,
    /// Sources: tasks of an earlier plan that Kafka has yet to fence; until then no task of the present one starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retired_tasks: Vec<i32>,
    /// How many tasks the connector was allowed: `spec.tasksMax`.
    pub tasks_max: i32,
    /// How many tasks run.
    pub tasks_running: i32,
    /// Tasks running out of tasks planned, for example `2/2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What restarts by `spec.autoRestart` have done so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_restart: Option<AutoRestartStatus>,
    /// The topics that the connector has written to or read from, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Selects the worker pods that this connector's tasks run in, for autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
}

/// One task as its worker last reported it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// Number of the task, from 0.
    pub id: i32,
    /// Pod that runs it; absent while it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Connect's word: `RUNNING`, `PAUSED`, `FAILED`, `UNASSIGNED`, `RESTARTING` or `STOPPED`.
    pub state: String,
    /// Changes whenever the task is started anew.
    #[serde(default)]
    pub incarnation: i64,
    /// When this incarnation was started (RFC 3339, UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<TaskError>,
    /// Sinks: records between the task's position and the end of its partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
    /// Records moved by this incarnation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<i64>,
    /// Bytes moved by this incarnation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// When the last record was moved (RFC 3339, UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_record_at: Option<String>,
    /// How far it is. Sinks: topic and partition to next offset. Sources: source partition to source offset, as last
    /// committed. At most 16 entries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub positions: BTreeMap<String, String>,
}

/// Why a task failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskError {
    /// Stable CamelCase word, for example `KafkaUnreachable`.
    pub reason: String,
    /// One sentence. Contains no secret.
    pub message: String,
    /// The first lines of the chain of causes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace: String,
}

impl TaskError {
    /// How many lines of the chain of causes a status keeps; `connectorStatus` has them all.
    pub const TRACE_LINES: usize = 8;

    /// An error whose `trace` is cut to its first [`Self::TRACE_LINES`] lines.
    pub fn new(reason: impl Into<String>, message: impl Into<String>, trace: &str) -> Self {
        let trace = trace.lines().take(Self::TRACE_LINES).collect::<Vec<_>>().join("\n");
        Self { reason: reason.into(), message: message.into(), trace }
    }
}

/// What `spec.autoRestart` has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoRestartStatus {
    /// Restarts since the connector last ran for long enough.
    pub count: i32,
    /// The connector's name towards Kafka.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector_name: Option<String>,
    /// When it was last restarted (RFC 3339, UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_restart_timestamp: Option<String>,
}
