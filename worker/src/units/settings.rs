//! What a task does to each record, built once from its configuration.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use barnabas_connect::{
    ConfigError, Converter, Error, ErrorCode, HeaderConverter, RawConfig, Registry, TransformChain, config,
    header_converter, transform,
};

use super::status::UnitStatus;
use crate::{
    config::WorkerConfig,
    kafka::{admin::TopicCreation, clients::ClientFactory},
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

/// What to do about a bad record: `errors.*`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ErrorPolicy {
    /// `errors.tolerance=all`.
    pub(super) tolerate: bool,
    /// `errors.log.enable`.
    log: bool,
    /// `errors.log.include.messages`: where the record is, too.
    include_messages: bool,
}

/// Where in the path of a record something failed (Connect's `Stage`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    Transformation,
    KeyConverter,
    ValueConverter,
    HeaderConverter,
}

impl Stage {
    /// As in the dead letter queue's header.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Transformation => "TRANSFORMATION",
            Self::KeyConverter => "KEY_CONVERTER",
            Self::ValueConverter => "VALUE_CONVERTER",
            Self::HeaderConverter => "HEADER_CONVERTER",
        }
    }
}

impl ErrorPolicy {
    pub(super) fn parse(config: &RawConfig) -> Result<Self, Error> {
        let flag = |key: &str| config.get(key).is_some_and(|v| v.trim().eq_ignore_ascii_case("true"));
        let tolerate = match config.get("errors.tolerance").map_or("none", |v| v.trim()) {
            "none" => false,
            "all" => true,
            other => {
                return Err(Error::config(format!("`errors.tolerance` is `{other}`; expected none or all")));
            }
        };
        Ok(Self { tolerate, log: flag("errors.log.enable"), include_messages: flag("errors.log.include.messages") })
    }

    /// Only what one record alone is to blame for can be tolerated.
    pub(super) fn tolerates(&self, error: &Error) -> bool {
        self.tolerate && matches!(error.code(), ErrorCode::Data | ErrorCode::Retriable)
    }

    /// Counts and logs a record that failed. `Ok` when it is to be skipped.
    ///
    /// `place` says where the record is, for the log; it is not called in vain.
    pub(super) fn record_failed(
        &self,
        status: &UnitStatus,
        stage: Stage,
        error: Error,
        place: impl FnOnce() -> String,
    ) -> Result<Error, Error> {
        status.record_failed();
        if self.log {
            status.counters.logged.fetch_add(1, Relaxed);
            let place = self.include_messages.then(place);
            tracing::error!(
                stage = stage.name(), class = error.origin(), record = place, trace = %error.trace(),
                "A record could not be processed: {error}"
            );
        }
        if self.tolerates(&error) {
            status.counters.skipped.fetch_add(1, Relaxed);
            Ok(error)
        } else {
            Err(error)
        }
    }
}

/// Everything that can be said about a connector's configuration without running it.
pub async fn validate(
    registry: &Registry,
    clients: &ClientFactory,
    name: &str,
    config: &RawConfig,
) -> Vec<ConfigError> {
    let mut errors = barnabas_connect::connector_config::validate(registry, name, config);
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
        .is_some_and(|plugin| plugin.kind() == barnabas_connect::Kind::Source);
    if is_source {
        errors.extend(TopicCreation::parse(config).err().unwrap_or_default());
        if config.get("exactly.once.support").is_some_and(|v| v.trim().eq_ignore_ascii_case("required")) {
            let why =
                if clients.embedded { "the embedded broker has no transactions" } else { "sources are at-least-once" };
            errors.push(ConfigError::new(
                "exactly.once.support",
                "InvalidValue",
                format!(
                    "`exactly.once.support` is `required`, which this worker cannot give: {why}; set it to `requested`"
                ),
            ));
        }
    }
    let mut seen = std::collections::HashSet::new();
    errors.retain(|error| seen.insert((error.key.clone(), error.message.clone())));
    errors
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use barnabas_protocol::Unit;

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
    fn tolerance_skips_bad_records_and_counts_them_but_nothing_fatal() {
        let status = UnitStatus::new(&Unit::default(), "sink", 0, Arc::default());
        let all = ErrorPolicy::parse(&config(&[("errors.tolerance", "all")])).unwrap();
        let none = ErrorPolicy::parse(&config(&[])).unwrap();
        let fail = |policy: &ErrorPolicy, error| {
            policy.record_failed(&status, Stage::ValueConverter, error, String::new).is_ok()
        };
        assert!(fail(&all, Error::data("bad")));
        assert!(!fail(&none, Error::data("bad")));
        assert!(!fail(&all, Error::fatal("broken")));
        assert_eq!(status.counters.failures.load(Relaxed), 3);
        assert_eq!(status.counters.skipped.load(Relaxed), 1);
    }

    #[test]
    fn an_unknown_tolerance_is_named() {
        let error = ErrorPolicy::parse(&config(&[("errors.tolerance", "some")])).unwrap_err();
        assert!(error.message().contains("errors.tolerance"), "{error}");
    }
}
