//! The free-form `config` of both kinds: values become strings, and keys that the operator owns are left out.

use crate::conditions::reasons;
use crate::{Authentication, AuthenticationType, ConnectClusterSpec, KafkaConnector, KafkaConnectorSpec};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Keys of a connector's configuration that have fields of their own, with the field to use instead.
pub const CONNECTOR_FORBIDDEN_KEYS: &[(&str, &str)] = &[
    ("name", "metadata.name or spec.name"),
    ("connector.class", "spec.class"),
    ("tasks.max", "spec.tasksMax"),
    ("connector.plugin.version", "spec.version"),
];

/// Prefixes of worker configuration keys that the operator sets itself, with what to use instead.
pub const CLUSTER_FORBIDDEN_PREFIXES: &[(&str, &str)] = &[
    ("group.id", "spec.groupId"),
    ("config.storage.topic", "nothing: the KafkaConnector resources are the configuration"),
    ("offset.storage.topic", "spec.offsetStorageTopic"),
    ("status.storage.topic", "nothing: the status is on the KafkaConnector resources"),
    ("ssl.", "spec.tls and spec.authentication"),
    ("sasl.", "spec.authentication"),
    ("security.", "spec.tls and spec.authentication"),
    ("listeners", "nothing: the workers' ports are fixed"),
    ("plugin.path", "nothing: the connectors are in the worker image"),
    ("rest.", "nothing: the workers' ports are fixed"),
    ("bootstrap.servers", "spec.bootstrapServers"),
    ("consumer.interceptor.classes", "nothing: Java interceptors cannot run here"),
    ("producer.interceptor.classes", "nothing: Java interceptors cannot run here"),
    ("prometheus.metrics.reporter.", "nothing: metrics are always served on port 9404"),
];

/// Keys that are allowed although a prefix of theirs is not.
pub const CLUSTER_ALLOWED_KEYS: &[&str] =
    &["ssl.endpoint.identification.algorithm", "ssl.cipher.suites", "ssl.protocol", "ssl.enabled.protocols"];

/// Something in a resource that is wrong, by the path of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, for example `spec.config["file"]`.
    pub field: String,
    /// One of [`crate::conditions::reasons`].
    pub reason: &'static str,
    /// What is wrong and what would be right. Contains no secret.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(field: impl Into<String>, reason: &'static str, message: impl Into<String>) -> Self {
        Self { field: field.into(), reason, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

/// The operator's field for a forbidden key of a connector's configuration, if it is one.
pub fn connector_forbids(key: &str) -> Option<&'static str> {
    CONNECTOR_FORBIDDEN_KEYS.iter().find(|(forbidden, _)| *forbidden == key).map(|(_, instead)| *instead)
}

/// What to use instead of a forbidden key of the worker configuration, if it is one.
pub fn cluster_forbids(key: &str) -> Option<&'static str> {
    let key = key.to_lowercase();
    if CLUSTER_ALLOWED_KEYS.contains(&key.as_str()) {
        return None;
    }
    CLUSTER_FORBIDDEN_PREFIXES.iter().find(|(prefix, _)| key.starts_with(prefix)).map(|(_, instead)| *instead)
}

/// Values as Strimzi makes them strings: strings, numbers and booleans are taken, anything else is refused by key.
fn strings<'a>(
    field: &str,
    config: &'a BTreeMap<String, Value>,
    skip: impl Fn(&'a str) -> bool,
) -> Result<BTreeMap<String, String>, Vec<Problem>> {
    let mut taken = BTreeMap::new();
    let mut problems = vec![];
    for (key, value) in config.iter().filter(|(key, _)| !skip(key)) {
        let kind = match value {
            Value::String(text) => {
                taken.insert(key.clone(), text.clone());
                continue;
            }
            Value::Number(_) | Value::Bool(_) => {
                taken.insert(key.clone(), value.to_string());
                continue;
            }
            Value::Null => "null",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        problems.push(Problem::new(
            format!("{field}[{key:?}]"),
            reasons::INVALID_CONFIGURATION,
            format!("The value of {key:?} is {kind}; it has to be a string, a number or a boolean."),
        ));
    }
    if problems.is_empty() { Ok(taken) } else { Err(problems) }
}

impl KafkaConnectorSpec {
    /// The configuration as strings, without the keys that have fields of their own.
    ///
    /// # Errors
    /// One problem for each value that is neither string, number nor boolean.
    pub fn config_strings(&self) -> Result<BTreeMap<String, String>, Vec<Problem>> {
        strings("spec.config", &self.config, |key| connector_forbids(key).is_some())
    }
}

impl KafkaConnector {
    /// The configuration as Connect's `GET /connectors/{name}/config` shows it: [`KafkaConnectorSpec::config_strings`]
    /// with `name`, `connector.class`, `tasks.max` and, where set, `connector.plugin.version`. A missing class is left
    /// out; the validation on a worker names it.
    ///
    /// # Errors
    /// One problem for each value that is neither string, number nor boolean.
    pub fn connect_config(&self) -> Result<BTreeMap<String, String>, Vec<Problem>> {
        let mut config = self.spec.config_strings()?;
        config.insert("name".into(), self.kafka_name().to_owned());
        config.insert("tasks.max".into(), self.spec.tasks_max().to_string());
        if let Some(class) = &self.spec.class {
            config.insert("connector.class".into(), class.clone());
        }
        if let Some(version) = &self.spec.version {
            config.insert("connector.plugin.version".into(), version.clone());
        }
        Ok(config)
    }
}

impl ConnectClusterSpec {
    /// The worker configuration as strings, without the keys that the operator sets itself.
    ///
    /// # Errors
    /// One problem for each value that is neither string, number nor boolean.
    pub fn config_strings(&self) -> Result<BTreeMap<String, String>, Vec<Problem>> {
        strings("spec.config", &self.config, |key| cluster_forbids(key).is_some())
    }
}

/// Prefixes of the client keys that a custom authentication may set, as with Strimzi.
pub const AUTHENTICATION_PREFIXES: &[&str] = &["sasl.", "ssl.keystore."];

fn is_about_authentication(key: &str) -> bool {
    AUTHENTICATION_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

impl Authentication {
    /// The client keys of type `custom`, as strings; no other type has any. Keys that are not about authentication are left out,
    /// as with Strimzi: see [`Self::other_keys`].
    ///
    /// # Errors
    /// One problem for each value that is neither string, number nor boolean.
    pub fn config_strings(&self) -> Result<BTreeMap<String, String>, Vec<Problem>> {
        const FIELD: &str = "spec.authentication.config";
        if self.type_ != AuthenticationType::Custom {
            return Ok(BTreeMap::new());
        }
        strings(FIELD, &self.config, |key| !is_about_authentication(key))
    }

    /// The keys of type `custom` that are left out.
    pub fn other_keys(&self) -> impl Iterator<Item = &str> {
        let custom = self.type_ == AuthenticationType::Custom;
        self.config.keys().map(String::as_str).filter(move |key| custom && !is_about_authentication(key))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn connector(spec: Value) -> KafkaConnector {
        KafkaConnector::new("my-file", serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn values_become_strings_as_strimzi_makes_them() {
        let config = connector(json!({
            "class": "FileStreamSource",
            "config": { "a": "x", "b": 5, "c": true, "d": 1.5, "e": 9007199254740993u64, "name": "other", "tasks.max": 7 }
        }))
        .connect_config()
        .unwrap();
        let expected = [
            ("a", "x"),
            ("b", "5"),
            ("c", "true"),
            ("connector.class", "FileStreamSource"),
            ("d", "1.5"),
            ("e", "9007199254740993"),
            ("name", "my-file"),
            ("tasks.max", "1"),
        ];
        assert_eq!(config, expected.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect());
    }

    #[test]
    fn a_value_that_is_no_scalar_is_refused_by_key() {
        let problems =
            connector(json!({ "config": { "topics": ["a"], "file": null, "ok": 1 } })).connect_config().unwrap_err();
        let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            text,
            [
                r#"spec.config["file"]: The value of "file" is null; it has to be a string, a number or a boolean."#,
                r#"spec.config["topics"]: The value of "topics" is a list; it has to be a string, a number or a boolean."#,
            ]
        );
    }

    #[test]
    fn a_custom_authentication_takes_keys_of_authentication_alone() {
        let of = |config: Value| {
            let text = json!({ "type": "custom", "sasl": true, "config": config });
            serde_json::from_value::<Authentication>(text).unwrap().config_strings()
        };
        let good =
            of(json!({ "sasl.mechanism": "PLAIN", "ssl.keystore.type": "PEM", "sasl.login.retries": 3 })).unwrap();
        assert_eq!((good["sasl.mechanism"].as_str(), good["sasl.login.retries"].as_str()), ("PLAIN", "3"));
        let some = of(json!({ "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN" })).unwrap();
        assert_eq!(some.keys().collect::<Vec<_>>(), ["sasl.mechanism"], "the others are left out, with a warning");
        let bad = of(json!({ "sasl.mechanism": ["PLAIN"] })).unwrap_err();
        assert_eq!(bad[0].field, r#"spec.authentication.config["sasl.mechanism"]"#);
    }

    #[test]
    fn worker_keys_are_forbidden_by_prefix_except_four() {
        for key in
            ["group.id", "ssl.keystore.location", "SSL.truststore.type", "listeners", "rest.port", "sasl.mechanism"]
        {
            assert!(cluster_forbids(key).is_some(), "{key}");
        }
        for key in [
            "ssl.cipher.suites",
            "ssl.endpoint.identification.algorithm",
            "key.converter",
            "offset.flush.interval.ms",
            "config.storage.replication.factor",
            "producer.ssl.protocol",
        ] {
            assert!(cluster_forbids(key).is_none(), "{key}");
        }
    }
}
