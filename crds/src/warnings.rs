//! What is accepted in a spec without being followed, each with what to do instead. Nothing is ignored in silence.

use crate::cluster::{MetricsType, RackType};
use crate::conditions::{Condition, reasons, types};
use crate::config::{AUTHENTICATION_PREFIXES, cluster_forbids, connector_forbids};
use crate::labels;
use crate::{ConnectCluster, ConnectClusterSpec, KafkaConnectorSpec};

/// A `Warning` condition in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// One of [`crate::conditions::reasons`].
    pub reason: &'static str,
    /// The field, and what to do instead.
    pub message: String,
}

impl Warning {
    fn unsupported(message: impl Into<String>) -> Self {
        Self { reason: reasons::UNSUPPORTED_FIELD, message: message.into() }
    }

    fn deprecated(message: impl Into<String>) -> Self {
        Self { reason: reasons::DEPRECATED_FIELDS, message: message.into() }
    }
}

impl From<Warning> for Condition {
    fn from(warning: Warning) -> Self {
        Self::new(types::WARNING, true, warning.reason, warning.message)
    }
}

impl ConnectCluster {
    /// The warnings of the spec, and of annotations that mean something else here than in Strimzi.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.spec.warnings();
        if let Some((key, "false")) = labels::annotation(&self.metadata, labels::USE_CONNECTOR_RESOURCES) {
            warnings.push(Warning::unsupported(format!(
                "The annotation {key}: \"false\" is ignored: KafkaConnector resources are always followed. Set the \
                 annotation barnabas.dev/pause-reconciliation: \"true\" on a connector to leave it alone."
            )));
        }
        warnings
    }
}

impl ConnectClusterSpec {
    /// What is accepted without being followed.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = vec![];
        let mut unsupported = |present: bool, message: &str| {
            if present {
                warnings.push(Warning::unsupported(message));
            }
        };
        unsupported(
            self.jvm_options.is_some(),
            "spec.jvmOptions is ignored: workers have no JVM. Remove it, and set memory and CPU in spec.resources.",
        );
        unsupported(
            self.jmx_options.is_some(),
            "spec.jmxOptions is ignored: workers have no JMX. Remove it, and read Prometheus metrics from port 9404 of the workers.",
        );
        unsupported(
            self.build.is_some(),
            "spec.build is ignored: the connectors are in the worker image, and Java plugins cannot run in it. Remove it; \
             status.connectorPlugins lists the connectors there are. For an image of your own, set spec.image.",
        );
        unsupported(
            self.plugins.is_some(),
            "spec.plugins is ignored: the connectors are in the worker image, and Java plugins cannot run in it. Remove it; \
             status.connectorPlugins lists the connectors there are.",
        );
        unsupported(
            self.tracing.is_some(),
            "spec.tracing is ignored: traces are not exported. Remove it, and use the metrics on port 9404 of the workers.",
        );
        unsupported(
            self.version.is_some(),
            "spec.version is ignored: workers speak to Kafka brokers of any version. Remove it; for another version of the \
             workers, set spec.image.",
        );
        unsupported(
            self.client_rack_init_image.is_some(),
            "spec.clientRackInitImage is ignored: no init container looks up the rack. Remove it.",
        );
        unsupported(
            self.rack.as_ref().is_some_and(|rack| rack.type_ != Some(RackType::EnvironmentVariable)),
            "spec.rack with a topology label is ignored: workers may not read nodes. Use type environment-variable with a \
             variable set in spec.template.connectContainer.env, or set consumer.client.rack in spec.config.",
        );
        unsupported(
            self.metrics_config.as_ref().is_some_and(|metrics| metrics.type_ == MetricsType::JmxPrometheusExporter),
            "spec.metricsConfig.valueFrom is ignored: there is no JMX exporter whose rules it could be. Remove \
             spec.metricsConfig; metrics under fixed names are always served on port 9404 of the workers.",
        );
        unsupported(
            self.metrics_config.as_ref().is_some_and(|metrics| metrics.values.is_some()),
            "spec.metricsConfig.values is ignored: all metrics are served on port 9404 of the workers. Choose among them when scraping.",
        );
        if let Some(template) = &self.template {
            let ignored = [
                (template.init_container.is_some(), "initContainer", "there is no init container"),
                (template.cluster_role_binding.is_some(), "clusterRoleBinding", "workers have no cluster role"),
                (template.build_pod.is_some(), "buildPod", "nothing is built"),
                (template.build_container.is_some(), "buildContainer", "nothing is built"),
                (template.build_config.is_some(), "buildConfig", "nothing is built"),
                (template.build_service_account.is_some(), "buildServiceAccount", "nothing is built"),
                (template.jmx_secret.is_some(), "jmxSecret", "there is no JMX"),
                (
                    template.pod.as_ref().is_some_and(|pod| pod.templated_volumes.is_some()),
                    "pod.templatedVolumes",
                    "use template.pod.volumes",
                ),
            ];
            for (_, field, why) in ignored.iter().filter(|(present, ..)| *present) {
                unsupported(true, &format!("spec.template.{field} is ignored: {why}. Remove it."));
            }
            if template.deployment.is_some() {
                warnings.push(Warning::deprecated(
                    "spec.template.deployment is ignored: workers are a StatefulSet. Use spec.template.podSet for labels and annotations.",
                ));
            }
        }
        if self.external_configuration.is_some() {
            warnings.push(Warning::deprecated(
                "spec.externalConfiguration is of v1beta2. It is followed; use spec.template.connectContainer.env, \
                 spec.template.pod.volumes and spec.template.connectContainer.volumeMounts instead.",
            ));
        }
        self.config_warnings(&mut warnings);
        warnings
    }

    fn config_warnings(&self, warnings: &mut Vec<Warning>) {
        for key in self.authentication.iter().flat_map(|authentication| authentication.other_keys()) {
            warnings.push(Warning {
                reason: reasons::FORBIDDEN_KEY,
                message: format!(
                    "{key} in spec.authentication.config is left out: keys of authentication begin with {}. Use spec.tls or spec.config.",
                    AUTHENTICATION_PREFIXES.join(" or ")
                ),
            });
        }
        let followed = |field: &Option<String>, key: &str| field.is_none() && self.config.contains_key(key);
        for key in self.config.keys() {
            let Some(instead) = cluster_forbids(key) else { continue };
            warnings.push(match key.as_str() {
                "group.id" if followed(&self.group_id, key) => Warning::deprecated(
                    "group.id in spec.config is of v1beta2. It is followed; use spec.groupId instead.",
                ),
                "offset.storage.topic" if followed(&self.offset_storage_topic, key) => Warning::deprecated(
                    "offset.storage.topic in spec.config is of v1beta2. It is followed; use spec.offsetStorageTopic instead.",
                ),
                "config.storage.topic" | "status.storage.topic" => {
                    Warning::deprecated(format!("{key} in spec.config is of v1beta2 and ignored. Use {instead}."))
                }
                _ => Warning {
                    reason: reasons::FORBIDDEN_KEY,
                    message: format!("{key} in spec.config is left out: the operator sets it. Use {instead}."),
                },
            });
        }
        let named = |field: &Option<String>, key: &str| field.is_some() || self.config.contains_key(key);
        let own = named(&self.group_id, "group.id") && named(&self.offset_storage_topic, "offset.storage.topic");
        if !own && !self.is_embedded() {
            warnings.push(Warning {
                reason: reasons::SHARED_DEFAULT,
                message: format!(
                    "spec.groupId and spec.offsetStorageTopic are not both set, so that {:?} and {:?} are used, as v1beta2 did. \
                     Two clusters on one Kafka must not share them: set both.",
                    self.group_id(),
                    self.offset_storage_topic()
                ),
            });
        }
    }
}

impl KafkaConnectorSpec {
    /// What is accepted without being followed.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = vec![];
        if self.pause.is_some() {
            let message = if self.state.is_some() {
                "spec.pause is of v1beta2 and ignored, because spec.state is set. Remove it."
            } else {
                "spec.pause is of v1beta2. It is followed; use spec.state: paused or running instead."
            };
            warnings.push(Warning::deprecated(message));
        }
        for (key, instead) in self.config.keys().filter_map(|key| Some((key, connector_forbids(key)?))) {
            warnings.push(Warning {
                reason: reasons::FORBIDDEN_KEY,
                message: format!("{key} in spec.config is left out: use {instead}."),
            });
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn cluster(mut extra: serde_json::Value) -> ConnectClusterSpec {
        let object = extra.as_object_mut().unwrap();
        for (key, value) in [("bootstrapServers", "kafka:9092"), ("groupId", "g"), ("offsetStorageTopic", "o")] {
            if object.get(key).is_none() {
                object.insert(key.into(), value.into());
            }
        }
        object.retain(|_, value| !value.is_null());
        serde_json::from_value(extra).unwrap()
    }

    #[test]
    fn what_needs_a_jvm_is_answered_with_what_to_do() {
        assert_eq!(cluster(json!({})).warnings(), []);
        for (field, value, instead) in [
            ("jvmOptions", json!({ "-Xmx": "1g", "gcLoggingEnabled": true }), "spec.resources"),
            ("jmxOptions", json!({ "authentication": { "type": "password" } }), "9404"),
            (
                "build",
                json!({ "output": { "type": "docker", "image": "x" }, "plugins": [] }),
                "status.connectorPlugins",
            ),
            ("plugins", json!([{ "name": "x", "artifacts": [] }]), "status.connectorPlugins"),
            ("tracing", json!({ "type": "opentelemetry" }), "metrics"),
            ("version", json!("4.1.0"), "spec.image"),
            ("rack", json!({ "topologyKey": "zone" }), "consumer.client.rack"),
            ("clientRackInitImage", json!("x"), "Remove"),
        ] {
            let warnings = cluster(json!({ (field): value })).warnings();
            assert_eq!(warnings.len(), 1, "{field}: {warnings:?}");
            assert_eq!(warnings[0].reason, reasons::UNSUPPORTED_FIELD);
            assert!(warnings[0].message.contains(&format!("spec.{field}")), "{}", warnings[0].message);
            assert!(warnings[0].message.contains(instead), "{}", warnings[0].message);
        }
    }

    #[test]
    fn v1beta2_names_in_config_are_followed_with_a_warning() {
        let spec = cluster(json!({
            "groupId": null, "offsetStorageTopic": null,
            "config": { "group.id": "old", "offset.storage.topic": "old-offsets", "config.storage.topic": "c", "rest.port": 1 }
        }));
        assert_eq!((spec.group_id().as_str(), spec.offset_storage_topic().as_str()), ("old", "old-offsets"));
        let reasons = spec.warnings().into_iter().map(|warning| warning.reason).collect::<Vec<_>>();
        assert_eq!(reasons, ["DeprecatedFields", "DeprecatedFields", "DeprecatedFields", "ForbiddenKey"]);
        // The field wins, and the key is then no more than forbidden.
        let spec = cluster(json!({ "config": { "group.id": "old" } }));
        assert_eq!(spec.group_id(), "g");
        assert_eq!(spec.warnings()[0].reason, reasons::FORBIDDEN_KEY);
    }

    #[test]
    fn shared_defaults_are_pointed_out_except_on_the_embedded_broker() {
        let spec = cluster(json!({ "groupId": null }));
        assert_eq!(spec.group_id(), "connect-cluster");
        assert_eq!(spec.warnings()[0].reason, reasons::SHARED_DEFAULT);
        assert_eq!(cluster(json!({ "groupId": null, "bootstrapServers": "embedded" })).warnings(), []);
    }

    #[test]
    fn connectors_are_told_of_old_spellings() {
        let spec: KafkaConnectorSpec =
            serde_json::from_value(json!({ "pause": true, "config": { "tasks.max": "3", "topic": "t" } })).unwrap();
        assert_eq!(spec.state(), crate::ConnectorState::Paused);
        let warnings = spec.warnings();
        assert_eq!(warnings.iter().map(|w| w.reason).collect::<Vec<_>>(), ["DeprecatedFields", "ForbiddenKey"]);
        assert!(warnings[1].message.contains("spec.tasksMax"));
        let spec: KafkaConnectorSpec = serde_json::from_value(json!({ "pause": true, "state": "running" })).unwrap();
        assert_eq!(spec.state(), crate::ConnectorState::Running);
        assert!(spec.warnings()[0].message.contains("ignored"));
    }
}
