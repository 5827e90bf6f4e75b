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
///
/// Both calls convert one record and return at once, with one exception: a converter that keeps its schemas elsewhere may block
/// the calling thread while it asks for a schema that it has not seen yet, once for each schema and with a time limit of its own.
/// It has to tell the runtime that it blocks (`tokio::task::block_in_place`), so that a caller need not know. When the other
/// side cannot be reached the error is [`crate::ErrorCode::Retriable`].
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
pub type Configured<T> = std::result::Result<T, Vec<ConfigError>>;

/// A converter class that can be named in a configuration: one static for each, which a [`crate::Registry`] finds by name.
pub struct ConverterPlugin {
    /// The full name of the Java class that this one stands in for. The simple name, with or without `Converter` at its end,
    /// finds it as well.
    pub class: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its keys.
    pub config_def: fn() -> ConfigDef,
    /// Makes one from its configuration, prefix removed. It is called to check a configuration, too, so it opens nothing.
    pub build: fn(config: &RawConfig, is_key: bool) -> Configured<Arc<dyn Converter>>,
}

/// The converters that every worker has.
pub(crate) static BUILT_IN: &[ConverterPlugin] = &[
    ConverterPlugin {
        class: ByteArrayConverter::CLASS,
        version: crate::VERSION,
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(ByteArrayConverter)),
    },
    ConverterPlugin {
        class: StringConverter::CLASS,
        version: crate::VERSION,
        config_def: StringConverter::config_def,
        build: StringConverter::build,
    },
    ConverterPlugin {
        class: JsonConverter::CLASS,
        version: crate::VERSION,
        config_def: JsonConverter::config_def,
        build: JsonConverter::build,
    },
    ConverterPlugin {
        class: "org.apache.kafka.connect.converters.BooleanConverter",
        version: crate::VERSION,
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(NumberConverter::Boolean)),
    },
    ConverterPlugin {
        class: "org.apache.kafka.connect.converters.ShortConverter",
        version: crate::VERSION,
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(NumberConverter::Short)),
    },
    ConverterPlugin {
        class: "org.apache.kafka.connect.converters.IntegerConverter",
        version: crate::VERSION,
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(NumberConverter::Integer)),
    },
    ConverterPlugin {
        class: "org.apache.kafka.connect.converters.LongConverter",
        version: crate::VERSION,
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(NumberConverter::Long)),
    },
    ConverterPlugin {
        class: "org.apache.kafka.connect.converters.FloatConverter",
        version: crate::VERSION,
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(NumberConverter::Float)),
    },
    ConverterPlugin {
        class: "org.apache.kafka.connect.converters.DoubleConverter",
        version: crate::VERSION,
        config_def: ConfigDef::new,
        build: |_, _| Ok(Arc::new(NumberConverter::Double)),
    },
];

/// A built-in converter by its full name; some of them serve headers, too.
pub(crate) fn built_in(class: &str) -> Option<&'static ConverterPlugin> {
    BUILT_IN.iter().find(|plugin| plugin.class == class)
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
