//! Configuration definitions: one definition per key drives parsing, validation, defaults and the documentation
//! (`org.apache.kafka.common.config.ConfigDef`). Messages are Java's own.

mod def;
mod infos;
mod markdown;
mod parse;
mod recommender;
pub mod reference;
mod suggest;
mod validator;
mod values;

use std::collections::BTreeMap;

use serde::Serialize;

pub use def::{ConfigDef, ConfigKey, Default, Importance, Type, Width};
pub use infos::{ConfigInfo, ConfigInfos, ConfigKeyInfo};
pub use recommender::{ParsedValues, Recommender};
pub use suggest::nearest;
pub(crate) use suggest::unknown_key;
pub use validator::Validator;
pub use values::{Config, Parsed, Password};

/// A configuration as a person wrote it: key to text.
pub type RawConfig = BTreeMap<String, String>;

/// What is wrong with one key of a configuration. It never holds a secret value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The key.
    pub key: String,
    /// A stable CamelCase reason: `InvalidValue`, `MissingKey`, `UnknownKey`, `UnknownConnectorClass`, `ForbiddenKey`, ...
    pub reason: &'static str,
    /// The message for people: names the key, the value and what would be right.
    pub message: String,
    /// Whether the same configuration may be right later, such as when the outside system answers again.
    pub retriable: bool,
}

impl ConfigError {
    /// An error that stays until a person changes the configuration.
    pub fn new(key: impl Into<String>, reason: &'static str, message: impl Into<String>) -> Self {
        Self { key: key.into(), reason, message: message.into(), retriable: false }
    }

    /// The value is not what the key takes: Java's `Invalid value <v> for configuration <k>: <what>`.
    pub fn invalid(key: &str, value: &str, what: &str) -> Self {
        Self::new(key, "InvalidValue", invalid_value(key, value, what))
    }

    /// The key is required and not there.
    pub fn missing(key: &str) -> Self {
        Self::new(key, "MissingKey", missing_key(key))
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// Joins the errors of one configuration into one error, for a plugin that is configured from a checked configuration.
pub fn combine(errors: &[ConfigError]) -> crate::Error {
    let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    crate::Error::config(messages.join("\n"))
}

/// What validation found out about one key (`org.apache.kafka.common.config.ConfigValue`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfigValue {
    /// The key.
    pub name: String,
    /// The parsed value or the default; `None` when there is neither. A password shows as `[hidden]`.
    pub value: Option<String>,
    /// The values to offer.
    #[serde(rename = "recommended_values")]
    pub recommended: Vec<String>,
    /// The errors, in Java's words.
    pub errors: Vec<String>,
    /// Whether a user interface should show the key.
    pub visible: bool,
}

impl ConfigValue {
    /// A key without a value.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), value: None, recommended: Vec::new(), errors: Vec::new(), visible: true }
    }
}

/// `ConfigException(name, value, message)`.
pub fn invalid_value(key: &str, value: &str, what: &str) -> String {
    format!("Invalid value {value} for configuration {key}: {what}")
}

pub(crate) fn missing_key(key: &str) -> String {
    format!("Missing required configuration \"{key}\" which has no default value.")
}

/// The part of a configuration under a prefix, with the prefix removed (`AbstractConfig.originalsWithPrefix`).
pub fn with_prefix(config: &RawConfig, prefix: &str) -> RawConfig {
    config
        .range(prefix.to_owned()..)
        .take_while(|(key, _)| key.starts_with(prefix))
        .filter(|(key, _)| key.len() > prefix.len())
        .map(|(key, value)| (key[prefix.len()..].to_owned(), value.clone()))
        .collect()
}
