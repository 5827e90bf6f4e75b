//! The resource types of Barnabas: `ConnectCluster` and `KafkaConnector`, group `barnabas.dev`, version `v1`.
//!
//! Field names and meanings are Strimzi's wherever Strimzi has one, so that a manifest written for it runs after a
//! change of `apiVersion`. What is accepted without being followed is named by `warnings()`; what is wrong, by
//! `problems()`; what cannot be read at all does not stop the rest ([`guard::Lenient`]).
//!
//! ```text
//! spec  ──► problems(): refused         status ◄── conditions::merge(previous, desired, now)
//!       ──► warnings(): Warning         crds() ──► crds/yaml, the chart, `barnabas crds`, docs/reference
//!       ──► connect_config(): strings
//! ```

pub mod cluster;
pub mod conditions;
pub mod config;
pub mod connector;
pub mod guard;
pub mod labels;
pub mod logging;
mod reference;
mod rules;
mod schema;
pub mod status;
pub mod template;
pub mod warnings;

pub use cluster::{
    Authentication, AuthenticationType, CertificateAndKey, CertificateSource, ClientTls, ConfigMapSource,
    ConnectCluster, ConnectClusterSpec, EMBEDDED, Logging, LoggingType, MetricsConfig, MetricsType, PasswordSecret,
    Probe, Rack, RackType, Tracing, TracingType,
};
pub use conditions::{Condition, ConditionStatus, reasons, types};
pub use config::Problem;
pub use connector::{
    AlterOffsets, AutoRestart, ConfigMapRef, ConnectorState, KafkaConnector, KafkaConnectorSpec, ListOffsets,
};
pub use guard::{InvalidResource, Lenient};
pub use logging::log4j_levels;
pub use reference::markdown;
pub use schema::{crds, files, yaml};
pub use status::{
    AutoRestartStatus, ConnectClusterStatus, ConnectorPlugin, KafkaConnectorStatus, TaskError, TaskStatus,
};
pub use template::{
    ContainerAdditions, ContainerTemplate, ExternalConfiguration, ExternalEnv, ExternalEnvSource, ExternalVolume,
    MetadataOnly, MetadataTemplate, PodDisruptionBudgetTemplate, PodTemplate, ServiceTemplate, Template,
};
pub use warnings::Warning;

/// API group of both kinds.
pub const GROUP: &str = "barnabas.dev";
/// API version of both kinds.
pub const VERSION: &str = "v1";

impl ConnectCluster {
    /// What is wrong with the resource by itself: its name, and [`ConnectClusterSpec::problems`].
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = rules::cluster_name(self);
        problems.extend(self.spec.problems());
        problems
    }
}

impl ConnectClusterSpec {
    /// What is wrong with the spec by itself: the rules that the API server enforces, values in `config` that are no
    /// scalars, and keys of a custom authentication that belong elsewhere.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = rules::cluster(self);
        problems.extend(self.config_strings().err().into_iter().flatten());
        problems.extend(self.authentication.iter().filter_map(|it| it.config_strings().err()).flatten());
        problems
    }
}

impl KafkaConnectorSpec {
    /// What is wrong with the spec by itself, as a change of `old` when there is one: the rules that the API server
    /// enforces, and values in `config` that are no scalars.
    pub fn problems(&self, old: Option<&Self>) -> Vec<Problem> {
        let mut problems = rules::connector(old, self);
        problems.extend(self.config_strings().err().into_iter().flatten());
        problems
    }
}
