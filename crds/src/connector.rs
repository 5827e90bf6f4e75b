//! `KafkaConnector`: one connector, source or sink, on a `ConnectCluster`.

use crate::rules::{self, rules_of};
use crate::schema;
use crate::status::KafkaConnectorStatus;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a connector is to do. Every field is Strimzi's, except `name`.
// Columns share a type or a priority; the lint takes that for a repeated attribute.
#[allow(clippy::duplicated_attributes)]
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "barnabas.dev",
    version = "v1",
    kind = "KafkaConnector",
    plural = "kafkaconnectors",
    shortname = "kctr",
    category = "barnabas",
    category = "kafka",
    namespaced,
    status = "KafkaConnectorStatus",
    derive = "PartialEq",
    doc = "A source or sink connector. The label `barnabas.dev/cluster` (or `strimzi.io/cluster`) names the ConnectCluster in the same namespace that runs it.",
    scale(
        spec_replicas_path = ".spec.tasksMax",
        status_replicas_path = ".status.tasksMax",
        label_selector_path = ".status.labelSelector"
    ),
    printcolumn(
        name = "Cluster",
        type_ = "string",
        json_path = r".metadata.labels['barnabas\.dev/cluster','strimzi\.io/cluster']",
        description = "The ConnectCluster that runs it"
    ),
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.class", description = "Connector class"),
    printcolumn(
        name = "Tasks",
        type_ = "string",
        json_path = ".status.summary",
        description = "Tasks running out of tasks planned"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether it does what it says"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not, in a word"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Max Tasks",
        type_ = "integer",
        json_path = ".spec.tasksMax",
        description = "The most tasks it may have",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "Why it is ready or not, in a sentence",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules_of(rules::CONNECTOR)))]
pub struct KafkaConnectorSpec {
    /// The connector's name towards Kafka: of its consumer group (`connect-<name>`), its offsets and its transactional
    /// ids. Default: `metadata.name`. Set it when a connector that moves over has a name that Kubernetes refuses. It
    /// cannot be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 249))]
    pub name: Option<String>,
    /// Connector class: the Java class name of the connector it stands in for, in full, simple, or simple without
    /// `Connector`; or the native name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The most tasks the connector may have. It may plan fewer.
    #[serde(skip_serializing_if = "Option::is_none", default = "default_tasks_max")]
    #[schemars(range(min = 1))]
    pub tasks_max: Option<i32>,
    /// Restarts of what has failed, with a growing delay of `n * n + n` minutes after `n` restarts, at most 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_restart: Option<AutoRestart>,
    /// Version of the connector to run (`connector.plugin.version`, KIP-891).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The connector's configuration. Strings, numbers and booleans are taken; all become strings. The keys `name`,
    /// `connector.class`, `tasks.max` and `connector.plugin.version` have fields of their own and are left out with a
    /// Warning condition.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::free_form")]
    pub config: BTreeMap<String, Value>,
    /// What the connector should be doing. Default: `running`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::plain::<ConnectorState>")]
    pub state: Option<ConnectorState>,
    /// v1beta2: `true` means `state: paused`. `state` wins when both are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<bool>,
    /// Where `connector-offsets: list` writes the offsets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_offsets: Option<ListOffsets>,
    /// Where `connector-offsets: alter` reads the offsets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alter_offsets: Option<AlterOffsets>,
}

fn default_tasks_max() -> Option<i32> {
    Some(1)
}

impl KafkaConnectorSpec {
    /// The most tasks, at least 1.
    pub fn tasks_max(&self) -> u32 {
        self.tasks_max.and_then(|max| u32::try_from(max).ok()).unwrap_or(1).max(1)
    }

    /// What the connector should be doing, with the v1beta2 spelling taken into account.
    pub fn state(&self) -> ConnectorState {
        match (self.state, self.pause) {
            (Some(state), _) => state,
            (None, Some(true)) => ConnectorState::Paused,
            (None, _) => ConnectorState::Running,
        }
    }

    /// Whether what fails is restarted.
    pub fn auto_restarts(&self) -> bool {
        self.auto_restart.as_ref().is_some_and(|auto| auto.enabled == Some(true))
    }

    /// The most automatic restarts; `None` for no bound.
    pub fn max_restarts(&self) -> Option<u32> {
        self.auto_restart.as_ref().and_then(|auto| auto.max_restarts).and_then(|max| u32::try_from(max).ok())
    }
}

impl KafkaConnector {
    /// The connector's name towards Kafka: `spec.name`, or `metadata.name`.
    pub fn kafka_name(&self) -> &str {
        self.spec.name.as_deref().or(self.metadata.name.as_deref()).unwrap_or_default()
    }
}

/// What a connector should be doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConnectorState {
    /// Moving records.
    #[default]
    Running,
    /// Assigned and started, but moving nothing.
    Paused,
    /// Not assigned at all; offsets can be changed.
    Stopped,
}

/// Restarts of what has failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoRestart {
    /// Whether failed connectors and tasks are restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Give up after this many restarts. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_restarts: Option<i32>,
}

/// Where listed offsets go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListOffsets {
    /// The ConfigMap to write; its key is `offsets.json`.
    pub to_config_map: ConfigMapRef,
}

/// Where offsets to set come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlterOffsets {
    /// The ConfigMap to read; its key is `offsets.json`.
    pub from_config_map: ConfigMapRef,
}

/// A ConfigMap in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapRef {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1))]
    pub name: String,
}
