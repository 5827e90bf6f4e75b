//! Predicates: conditions on which a transform is applied (`org.apache.kafka.connect.transforms.predicates`, KIP-585).

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigError, ConfigKey, RawConfig, Type, Validator};
use crate::converter::Configured;
use crate::error::Result;
use crate::record::Record;
use crate::regex::JavaRegex;

/// A condition on a record.
pub trait Predicate: Send + Sync {
    /// Whether the record satisfies it.
    fn test(&self, record: &Record) -> Result<bool>;
}

pub(crate) struct PredicatePlugin {
    pub class: &'static str,
    pub config_def: fn() -> ConfigDef,
    pub build: fn(&RawConfig) -> Configured<Arc<dyn Predicate>>,
}

pub(crate) static PREDICATES: &[PredicatePlugin] = &[
    PredicatePlugin {
        class: "org.apache.kafka.connect.transforms.predicates.HasHeaderKey",
        config_def: HasHeaderKey::config_def,
        build: HasHeaderKey::build,
    },
    PredicatePlugin {
        class: "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone",
        config_def: ConfigDef::new,
        build: |_| Ok(Arc::new(RecordIsTombstone)),
    },
    PredicatePlugin {
        class: "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        config_def: TopicNameMatches::config_def,
        build: TopicNameMatches::build,
    },
];

pub(crate) fn classes() -> impl Iterator<Item = &'static str> {
    PREDICATES.iter().map(|plugin| plugin.class)
}

pub(crate) fn find(class: &str) -> Option<&'static PredicatePlugin> {
    crate::registry::find_class(PREDICATES, |plugin| plugin.class, class, "Predicate")
}

/// Whether the record has a header of a name.
struct HasHeaderKey {
    name: String,
}

impl HasHeaderKey {
    fn config_def() -> ConfigDef {
        ConfigDef::new().define(
            ConfigKey::new("name", Type::String).validator(Validator::NonEmptyString).doc("The name of the header."),
        )
    }

    fn build(config: &RawConfig) -> Configured<Arc<dyn Predicate>> {
        Ok(Arc::new(Self { name: Self::config_def().parse(config)?.string("name").to_owned() }))
    }
}

impl Predicate for HasHeaderKey {
    fn test(&self, record: &Record) -> Result<bool> {
        Ok(record.header(&self.name).is_some())
    }
}

/// Whether the record has no value.
struct RecordIsTombstone;

impl Predicate for RecordIsTombstone {
    fn test(&self, record: &Record) -> Result<bool> {
        Ok(record.value.value.is_null())
    }
}

/// Whether the whole name of the record's topic matches a pattern.
struct TopicNameMatches {
    pattern: JavaRegex,
}

impl TopicNameMatches {
    fn config_def() -> ConfigDef {
        ConfigDef::new().define(
            ConfigKey::new("pattern", Type::String)
                .validator(Validator::All(vec![Validator::NonEmptyString, Validator::Regex]))
                .doc("A Java regular expression that the whole name of the topic has to match."),
        )
    }

    fn build(config: &RawConfig) -> Configured<Arc<dyn Predicate>> {
        let config = Self::config_def().parse(config)?;
        let pattern = config.string("pattern");
        let compiled = JavaRegex::new(pattern)
            .map_err(|error| vec![ConfigError::invalid("pattern", pattern, &format!("Invalid regex: {error}"))])?;
        Ok(Arc::new(Self { pattern: compiled }))
    }
}

impl Predicate for TopicNameMatches {
    fn test(&self, record: &Record) -> Result<bool> {
        self.pattern.matches(&record.topic)
    }
}
