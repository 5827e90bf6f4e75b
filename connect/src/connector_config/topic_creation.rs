//! The settings of topics that a worker creates for a source connector (KIP-158, `TopicCreationConfig`).

use crate::config::{ConfigDef, ConfigError, ConfigKey, Importance, Parsed, RawConfig, Type, Validator, invalid_value};
use crate::regex::JavaRegex;

pub(super) const PREFIX: &str = "topic.creation.";

fn group_def(default: bool) -> ConfigDef {
    let patterns = |name: &str, doc: &str| {
        ConfigKey::new(name, Type::List)
            .default(Parsed::List(Vec::new()))
            .validator(Validator::Custom("Java regular expressions", |name, value| {
                for pattern in value.and_then(Parsed::as_list).unwrap_or_default() {
                    JavaRegex::new(pattern).map_err(|error| {
                        invalid_value(name, pattern, &format!("Syntax error in regular expression: {error}"))
                    })?;
                }
                Ok(())
            }))
            .importance(Importance::Low)
            .doc(doc)
    };
    let number = |name: &str, ty: Type, doc: &str| {
        let key = ConfigKey::new(name, ty).importance(Importance::Low).doc(doc);
        if default { key } else { key.default_null() }
    };
    ConfigDef::new()
        .define(patterns("include", "Regular expressions; topics whose whole name matches one of them are of this group."))
        .define(patterns("exclude", "Regular expressions; topics whose whole name matches one of them are not of this group."))
        .define(
            number("replication.factor", Type::Short, "The replication factor; -1 takes the broker's default.").validator(
                Validator::Custom("Positive number not larger than the number of brokers in the Kafka cluster, or -1 to use the broker's default", |name, value| {
                    positive(name, value, "Replication factor must be positive and not larger than the number of brokers in the Kafka cluster, or -1 to use the broker's default")
                }),
            ),
        )
        .define(number("partitions", Type::Int, "The number of partitions; -1 takes the broker's default.").validator(
            Validator::Custom("Positive number, or -1 to use the broker's default", |name, value| {
                positive(name, value, "Number of partitions must be positive, or -1 to use the broker's default")
            }),
        ))
        // Everything else is a configuration of the topic, such as `cleanup.policy`, which the broker checks.
        .define_prefix("", "Any configuration of the topic.")
}

fn positive(name: &str, value: Option<&Parsed>, what: &str) -> Result<(), String> {
    match value.and_then(Parsed::as_number) {
        Some(number) if number != -1.0 && number < 1.0 => {
            Err(invalid_value(name, &value.map(ToString::to_string).unwrap_or_default(), what))
        }
        _ => Ok(()),
    }
}

/// Everything wrong with the keys under `topic.creation.`. The group `default` always exists, and has to set the replication
/// factor and the number of partitions as soon as one of these keys is used.
pub fn topic_creation_errors(config: &RawConfig) -> Vec<ConfigError> {
    if !config.keys().any(|key| key.starts_with(PREFIX)) {
        return Vec::new();
    }
    let mut groups = vec!["default".to_owned()];
    let listed = config.get("topic.creation.groups").and_then(|text| Type::List.parse(text).ok());
    for group in listed.as_ref().and_then(Parsed::as_list).unwrap_or_default() {
        if !groups.contains(group) {
            groups.push(group.clone());
        }
    }
    let mut errors: Vec<ConfigError> = groups
        .iter()
        .flat_map(|group| group_def(group == "default").embed(&format!("{PREFIX}{group}.")).errors(config))
        .collect();
    for key in config.keys().filter(|key| key.starts_with(PREFIX) && *key != "topic.creation.groups") {
        let rest = &key[PREFIX.len()..];
        if !groups.iter().any(|group| rest.strip_prefix(group.as_str()).is_some_and(|rest| rest.starts_with('.'))) {
            let group = rest.split('.').next().unwrap_or_default();
            let message =
                format!("Unknown configuration {key}: {group} is not one of the groups in topic.creation.groups.");
            errors.push(ConfigError::new(key, "UnknownKey", message));
        }
    }
    errors
}
