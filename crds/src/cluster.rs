//! `ConnectCluster`: a set of worker pods and how they reach Kafka. Strimzi's `KafkaConnect`.

use crate::rules::{self, rules_of};
use crate::schema;
use crate::status::ConnectClusterStatus;
use crate::template::{ExternalConfiguration, Template};
use k8s_openapi::api::core::v1::{ConfigMapKeySelector, ResourceRequirements};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The bootstrap address that means the broker inside `barnabas up`.
pub const EMBEDDED: &str = "embedded";

/// What a cluster of workers is to be. The fields are those of Strimzi's `KafkaConnect`.
// Columns share a type or a priority; the lint takes that for a repeated attribute.
#[allow(clippy::duplicated_attributes)]
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "barnabas.dev",
    version = "v1",
    kind = "ConnectCluster",
    plural = "connectclusters",
    shortname = "cc",
    category = "barnabas",
    category = "kafka",
    namespaced,
    status = "ConnectClusterStatus",
    derive = "PartialEq",
    doc = "A set of worker pods that run the connectors of one Kafka cluster.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.labelSelector"
    ),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.replicas", description = "Workers wanted"),
    printcolumn(
        name = "Workers",
        type_ = "integer",
        json_path = ".status.readyReplicas",
        description = "Workers up and reached by the operator"
    ),
    printcolumn(
        name = "Connectors",
        type_ = "integer",
        json_path = ".status.connectors",
        description = "Connectors that name this cluster"
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
        name = "Bootstrap",
        type_ = "string",
        json_path = ".spec.bootstrapServers",
        description = "The Kafka it works with",
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
#[serde(rename_all = "camelCase")]
pub struct ConnectClusterSpec {
    /// How many worker pods.
    #[serde(skip_serializing_if = "Option::is_none", default = "default_replicas")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,
    /// Kafka's addresses: `host:port`, separated by commas. `embedded` is the broker inside `barnabas up`.
    #[schemars(length(min = 1))]
    pub bootstrap_servers: String,
    /// The group of the workers: the first part of their transactional ids. Two clusters on one Kafka need two.
    /// Default: `group.id` in `config` (v1beta2), else `connect-cluster`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub group_id: Option<String>,
    /// The topic that keeps source offsets, in Connect's own format. Default: `offset.storage.topic` in `config`
    /// (v1beta2), else `connect-cluster-offsets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub offset_storage_topic: Option<String>,
    /// Accepted, and not needed: the KafkaConnector resources are the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_storage_topic: Option<String>,
    /// Accepted, and not needed: the status is on the KafkaConnector resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_storage_topic: Option<String>,
    /// Image of the worker pods. Default: the image of the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Accepted, and not needed: workers speak to Kafka brokers of any version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// TLS towards Kafka. An empty object trusts the public authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
    /// How the workers prove who they are to Kafka.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// Worker configuration: the keys of Apache Kafka Connect. Keys that the operator sets itself (`group.id`, `ssl.`,
    /// `sasl.`, `security.`, `listeners`, `rest.`, `plugin.path`, ...) are left out with a Warning condition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::free_form")]
    pub config: BTreeMap<String, Value>,
    /// CPU and memory of a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::k8s::<ResourceRequirements>")]
    pub resources: Option<ResourceRequirements>,
    /// When a worker counts as dead. Its port and path are fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<Probe>,
    /// When a worker counts as up. Its port and path are fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<Probe>,
    /// Log levels; changed without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Where the workers are, for fetching from the nearest replica (`client.rack`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<Rack>,
    /// Accepted, and not needed: no init container looks up the rack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_rack_init_image: Option<String>,
    /// Accepted, and not needed: workers always serve Prometheus metrics on port 9404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_config: Option<MetricsConfig>,
    /// Accepted, and ignored with a Warning condition: traces are not exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
    /// Shapes what the operator creates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// v1beta2: environment and volumes from Secrets and ConfigMaps. Use `template` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_configuration: Option<ExternalConfiguration>,
    /// Accepted, and ignored with a Warning condition: there is no JVM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub jvm_options: Option<Value>,
    /// Accepted, and ignored with a Warning condition: there is no JMX.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub jmx_options: Option<Value>,
    /// Accepted, and ignored with a Warning condition: the connectors are in the worker image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub build: Option<Value>,
    /// Accepted, and ignored with a Warning condition: the connectors are in the worker image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form_list")]
    pub plugins: Option<Value>,
}

fn default_replicas() -> Option<i32> {
    Some(3)
}

impl ConnectClusterSpec {
    /// How many workers are wanted.
    pub fn replicas(&self) -> u32 {
        self.replicas.map_or(3, |replicas| u32::try_from(replicas).unwrap_or(0))
    }

    /// Whether the broker inside `barnabas up` is meant.
    pub fn is_embedded(&self) -> bool {
        self.bootstrap_servers.trim() == EMBEDDED
    }

    /// The group of the workers, in whichever way it is spelled.
    pub fn group_id(&self) -> String {
        self.named(&self.group_id, "group.id", "connect-cluster")
    }

    /// The topic of source offsets, in whichever way it is spelled.
    pub fn offset_storage_topic(&self) -> String {
        self.named(&self.offset_storage_topic, "offset.storage.topic", "connect-cluster-offsets")
    }

    fn named(&self, field: &Option<String>, key: &str, default: &str) -> String {
        field
            .clone()
            .or_else(|| self.config.get(key).and_then(Value::as_str).map(str::to_owned))
            .unwrap_or_else(|| default.to_owned())
    }
}

/// TLS towards Kafka.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientTls {
    /// Certificates of the authorities to trust. Default: the public ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub trusted_certificates: Vec<CertificateSource>,
}

/// Certificates in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules_of(rules::CERTIFICATE_SOURCE)))]
pub struct CertificateSource {
    /// Name of the Secret.
    #[schemars(length(min = 1))]
    pub secret_name: String,
    /// The key in the Secret that holds the certificate, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Takes every key of the Secret that matches, for example `*.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// How the workers prove who they are to Kafka.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules_of(rules::AUTHENTICATION)))]
pub struct Authentication {
    /// The mechanism.
    #[serde(rename = "type")]
    pub type_: AuthenticationType,
    /// Type `tls`: the client certificate and its private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_and_key: Option<CertificateAndKey>,
    /// Types `scram-sha-256`, `scram-sha-512` and `plain`: the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Types `scram-sha-256`, `scram-sha-512` and `plain`: the Secret with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<PasswordSecret>,
    /// Type `custom`: whether SASL is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<bool>,
    /// Type `custom`: client configuration, keys `sasl.` and `ssl.keystore.`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::free_form")]
    pub config: BTreeMap<String, Value>,
}

/// Mechanisms of authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuthenticationType {
    /// A client certificate.
    #[serde(rename = "tls")]
    Tls,
    /// SASL SCRAM-SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// SASL SCRAM-SHA-512.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
    /// SASL PLAIN.
    #[serde(rename = "plain")]
    Plain,
    /// Client configuration as given.
    #[serde(rename = "custom")]
    Custom,
    /// v1beta2 only; refused with a message that says what to write instead.
    #[serde(rename = "oauth")]
    Oauth,
}

impl AuthenticationType {
    /// The SASL mechanism it stands for, if it is one of the three with a user and a password.
    pub fn sasl_mechanism(self) -> Option<&'static str> {
        match self {
            Self::ScramSha256 => Some("SCRAM-SHA-256"),
            Self::ScramSha512 => Some("SCRAM-SHA-512"),
            Self::Plain => Some("PLAIN"),
            Self::Tls | Self::Custom | Self::Oauth => None,
        }
    }
}

/// A client certificate in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateAndKey {
    /// Name of the Secret.
    #[schemars(length(min = 1))]
    pub secret_name: String,
    /// The key in the Secret that holds the certificate chain, as PEM.
    pub certificate: String,
    /// The key in the Secret that holds the private key, as PEM.
    pub key: String,
}

/// A password in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordSecret {
    /// Name of the Secret.
    #[schemars(length(min = 1))]
    pub secret_name: String,
    /// The key in the Secret that holds the password.
    pub password: String,
}

/// Timing of a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    /// Seconds before the first probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub initial_delay_seconds: Option<i32>,
    /// Seconds until a probe counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<i32>,
    /// Seconds between probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub period_seconds: Option<i32>,
    /// Successes in a row that make it good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub success_threshold: Option<i32>,
    /// Failures in a row that make it bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub failure_threshold: Option<i32>,
}

/// Log levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules_of(rules::LOGGING)))]
pub struct Logging {
    /// Where the levels are written.
    #[serde(rename = "type")]
    pub type_: LoggingType,
    /// Type `inline`: logger to level, for example `rootLogger.level: INFO` or `logger.file.level: DEBUG`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub loggers: BTreeMap<String, String>,
    /// Type `external`: the ConfigMap with a log4j2 properties file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ConfigMapSource>,
}

/// Where log levels are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LoggingType {
    /// In `loggers`.
    Inline,
    /// In a ConfigMap.
    External,
}

/// A key of a ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigMapSource {
    /// The ConfigMap and the key in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::k8s::<ConfigMapKeySelector>")]
    pub config_map_key_ref: Option<ConfigMapKeySelector>,
}

/// Where the workers are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules_of(rules::RACK)))]
pub struct Rack {
    /// Where the rack is read from.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::plain::<RackType>")]
    pub type_: Option<RackType>,
    /// Type `topology-label`: the node label, for example `topology.kubernetes.io/zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology_key: Option<String>,
    /// Type `environment-variable`: a variable of the worker container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_var_name: Option<String>,
}

/// Where the rack is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RackType {
    /// A label of the node.
    TopologyLabel,
    /// A variable of the worker container.
    EnvironmentVariable,
}

/// Strimzi's choice of metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules_of(rules::METRICS)))]
pub struct MetricsConfig {
    /// The exporter.
    #[serde(rename = "type")]
    pub type_: MetricsType,
    /// Type `jmxPrometheusExporter`: rules in a ConfigMap. Ignored: the metrics have fixed names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ConfigMapSource>,
    /// Type `strimziMetricsReporter`: which metrics. Ignored: all are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub values: Option<Value>,
}

/// Strimzi's metric exporters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MetricsType {
    /// The JMX exporter's Java agent.
    JmxPrometheusExporter,
    /// Strimzi's reporter.
    StrimziMetricsReporter,
}

/// Strimzi's choice of tracing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tracing {
    /// The system.
    #[serde(rename = "type")]
    pub type_: TracingType,
}

/// Tracing systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TracingType {
    /// OpenTelemetry.
    Opentelemetry,
    /// v1beta2 only.
    Jaeger,
}
