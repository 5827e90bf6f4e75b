//! Converters: between Connect data and the bytes of a record's key or value.

mod json;
mod simple;

use std::sync::Arc;

use bytes::Bytes;

use crate::config::{ConfigDef, ConfigError, RawConfig};
use crate::error::Result;
use crate::record::{Data, Header};

pub use json::JsonConverter;
pub use simple::{ByteArrayConverter, NumberConverter, StringConverter};

/// `org.apache.kafka.connect.storage.Converter`. One converter is shared by all threads of a task.
#[allow(clippy::wrong_self_convention)] // The names are Connect's.
pub trait Converter: Send + Sync {
    /// To bytes; `None` is Kafka's null. A converter may add headers.
    fn from_connect(&self, topic: &str, headers: &mut Vec<Header>, data: &Data) -> Result<Option<Bytes>>;

    /// From bytes; `None` is Kafka's null.
    fn to_connect(&self, topic: &str, headers: &[Header], bytes: Option<&Bytes>) -> Result<Data>;

    /// Whether bytes go through unchanged and unseen in both directions, so that a worker need not call it at all.
    fn is_passthrough(&self) -> bool {
        false
    }

    /// The full name of the Java class that this one stands in for.
    fn class(&self) -> &'static str;
}

/// A plugin built from its configuration, or everything that is wrong with that.
pub(crate) type Configured<T> = std::result::Result<T, Vec<ConfigError>>;

/// A converter class that can be named in a configuration.
pub(crate) struct ConverterPlugin {
    pub class: &'static str,
    pub config_def: fn() -> ConfigDef,
    pub build: fn(config: &RawConfig, is_key: bool) -> Configured<Arc<dyn Converter>>,
}

pub(crate) static CONVERTERS: &[ConverterPlugin] = &[
    ConverterPlugin {
        class: ByteArrayConverter::CLASS,
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(ByteArrayConverter)),
    },
    ConverterPlugin {
        class: StringConverter::CLASS,
        config_def: StringConverter::config_def,
        build: StringConverter::build,
    },
    ConverterPlugin { class: JsonConverter::CLASS, config_def: JsonConverter::config_def, build: JsonConverter::build },
    ConverterPlugin {
        class: "org.apache.kafka.connect.converters.BooleanConverter",
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(NumberConverter::Boolean)),
    },
    ConverterPlugin {
        class: "org.apache.kafka.connect.converters.ShortConverter",
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(NumberConverter::Short)),
    },
    ConverterPlugin {
        class: "org.apache.kafka.connect.converters.IntegerConverter",
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(NumberConverter::Integer)),
    },
    ConverterPlugin {
        class: "org.apache.kafka.connect.converters.LongConverter",
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(NumberConverter::Long)),
    },
    ConverterPlugin {
        class: "org.apache.kafka.connect.converters.FloatConverter",
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(NumberConverter::Float)),
    },
    ConverterPlugin {
        class: "org.apache.kafka.connect.converters.DoubleConverter",
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(NumberConverter::Double)),
    },
];

pub(crate) fn find(class: &str) -> Option<&'static ConverterPlugin> {
    crate::registry::find_class(CONVERTERS, |plugin| plugin.class, class, "Converter")
}

/// Builds a converter from its class name (full or simple) and its configuration, prefix removed.
/// An unknown class is reported under the key `converter`, unknown keys under their own names.
pub fn converter(class: &str, config: &RawConfig, is_key: bool) -> Result<Arc<dyn Converter>, Vec<ConfigError>> {
    let Some(plugin) = find(class) else {
        return Err(vec![unknown_class("converter", class, CONVERTERS.iter().map(|plugin| plugin.class))]);
    };
    (plugin.build)(config, is_key)
}

/// `Invalid value <class> for configuration <key>: Class <class> could not be found.`, and what there is.
pub(crate) fn unknown_class<'a>(key: &str, class: &str, known: impl IntoIterator<Item = &'a str>) -> ConfigError {
    let known: Vec<&str> = known.into_iter().collect();
    let hint = match crate::config::nearest(class, known.iter().copied()) {
        Some(nearest) => format!(" Did you mean {nearest}?"),
        None => format!(" Available: {}.", known.join(", ")),
    };
    let message = crate::config::invalid_value(key, class, &format!("Class {class} could not be found.{hint}"));
    ConfigError::new(key, "UnknownClass", message)
}
