//! What a task does to each record, built once from its configuration.

use std::{borrow::Cow, sync::Arc};

use barnabas_connect::{
    ConfigError, Converter, Error, HeaderConverter, Kind, RawConfig, Registry, Secrets, TransformChain, config,
    connector_config, header_converter, transform,
};
use barnabas_protocol::Unit;

use super::errors::ErrorPolicy;
use crate::{
    config::WorkerConfig,
    kafka::{admin::TopicCreation, clients::ClientFactory},
    logging,
    providers::Providers,
};

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const SIMPLE_HEADER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

/// Converters, transforms and what to do about records that they cannot handle.
pub(super) struct RecordSettings {
    pub(super) key: Arc<dyn Converter>,
    pub(super) value: Arc<dyn Converter>,
    pub(super) header: Arc<dyn HeaderConverter>,
    pub(super) chain: TransformChain,
    pub(super) errors: ErrorPolicy,
}

impl RecordSettings {
    pub(super) fn build(registry: &Registry, connector: &RawConfig, worker: &WorkerConfig) -> Result<Self, Error> {
        let (key_class, key_config) = converter_config("key.converter", JSON, connector, worker);
        let (value_class, value_config) = converter_config("value.converter", JSON, connector, worker);
        let (header_class, header_config) = converter_config("header.converter", SIMPLE_HEADER, connector, worker);
        let joined = |errors: Vec<ConfigError>| config::combine(&errors);
        Ok(Self {
            key: registry.converter(&key_class, &key_config, true).map_err(joined)?,
            value: registry.converter(&value_class, &value_config, false).map_err(joined)?,
            header: header_converter::header_converter(&header_class, &header_config).map_err(joined)?,
            chain: transform::chain(connector).map_err(joined)?,
            errors: ErrorPolicy::parse(connector)?,
        })
    }
}

/// A converter of the connector, else the worker's, each with the keys under its own prefix.
fn converter_config(key: &str, default: &str, connector: &RawConfig, worker: &WorkerConfig) -> (String, RawConfig) {
    let source = if connector.contains_key(key) { connector } else { &worker.config };
    let class = source.get(key).map_or(default, |c| c.trim()).to_owned();
    (class, config::with_prefix(source, &format!("{key}.")))
}

/// What a connector's configuration is checked against.
#[derive(Clone, Copy)]
pub struct Validator<'a> {
    /// The connector classes.
    pub registry: &'a Registry,
    /// What stands for `${provider:path:key}`.
    pub providers: &'a Providers,
    /// Kafka client settings, for the overrides.
    pub clients: &'a ClientFactory,
}

impl Validator<'_> {
    /// Everything that can be said about a connector's configuration without running it. No message shows `secrets`, nor
    /// what else in the configuration is one.
    pub async fn validate(
        &self,
        name: &str,
        config: &RawConfig,
        secrets: impl IntoIterator<Item: AsRef<str>>,
    ) -> Vec<ConfigError> {
        let known = Secrets::new(secrets);
        let (mut errors, secrets) = match resolve(self.registry, self.providers, config, &known) {
            Ok((config, secrets)) => {
                let _hiding = logging::hide(&secrets);
                (validate(self.registry, self.clients, name, &config).await, secrets)
            }
            Err(errors) => (errors, known),
        };
        for error in &mut errors {
            if let Cow::Owned(hidden) = secrets.hide(&error.message) {
                error.message = hidden;
            }
        }
        errors
    }
}

/// The configuration with every reference resolved, and what in it must not be shown: besides what took the place of
/// references `known`, which the operator resolved, and every password.
///
/// # Errors
/// A reference that cannot be resolved here.
pub(super) fn resolve(
    registry: &Registry,
    providers: &Providers,
    config: &RawConfig,
    known: &Secrets,
) -> Result<(RawConfig, Secrets), Vec<ConfigError>> {
    let (config, resolved) = providers.resolve(config)?;
    let named = Secrets::new(connector_config::passwords(registry, &config));
    Ok((config, Secrets::union([&resolved, &named, known])))
}

/// What is wrong with the configuration of a unit that is about to start. The operator had the connector's checked, but what
/// its references stand for on this worker may be something else by now. A task has keys of its own besides the
/// connector's, which nobody but the task can check.
pub(super) fn problems(registry: &Registry, unit: &Unit, config: &RawConfig, kind: Kind) -> Vec<ConfigError> {
    if unit.task.is_none() {
        return connector_config::validate(registry, &unit.name, config);
    }
    connector_config::validate_task(registry, kind, &unit.name, config)
}

async fn validate(registry: &Registry, clients: &ClientFactory, name: &str, config: &RawConfig) -> Vec<ConfigError> {
    let mut errors = connector_config::validate(registry, name, config);
    if errors.is_empty()
        && let Some(plugin) = config.get("connector.class").and_then(|class| registry.find(class))
    {
        // What needs the outside system is asked only about a configuration that is right in itself.
        errors = plugin.connector().validate(config).await;
    }
    errors.extend(clients.validate_overrides(config));
    let is_source = config
        .get("connector.class")
        .and_then(|class| registry.find(class))
        .is_some_and(|plugin| plugin.kind() == Kind::Source);
    if is_source {
        errors.extend(TopicCreation::parse(config).err().unwrap_or_default());
        let required = config.get("exactly.once.support").is_some_and(|v| v.trim().eq_ignore_ascii_case("required"));
        if required && !clients.exactly_once_sources {
            let what = if clients.embedded {
                "the embedded broker has no transactions; set this to `requested`, or use an Apache Kafka."
            } else {
                "set `exactly.once.source.support` of the cluster to `enabled`, or this to `requested`."
            };
            let message = format!("This worker does not have exactly-once source support enabled: {what}");
            errors.push(ConfigError::new("exactly.once.support", "InvalidValue", message));
        }
    }
    let mut seen = std::collections::HashSet::new();
    errors.retain(|error| seen.insert((error.key.clone(), error.message.clone())));
    errors
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn config(pairs: &[(&str, &str)]) -> RawConfig {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn a_connectors_converter_comes_with_its_own_keys_only() {
        let worker = WorkerConfig {
            config: config(&[("value.converter", "JsonConverter"), ("value.converter.schemas.enable", "false")]),
            ..WorkerConfig::default()
        };
        let of = |c: &RawConfig| converter_config("value.converter", JSON, c, &worker);
        let (class, keys) = of(&config(&[]));
        assert_eq!((class.as_str(), keys["schemas.enable"].as_str()), ("JsonConverter", "false"));
        let (class, keys) = of(&config(&[("value.converter", "StringConverter")]));
        assert_eq!((class.as_str(), keys.len()), ("StringConverter", 0));
    }

    #[test]
    fn an_unknown_tolerance_is_named() {
        let error = ErrorPolicy::parse(&config(&[("errors.tolerance", "some")])).unwrap_err();
        assert!(error.message().contains("errors.tolerance"), "{error}");
    }
}
