//! Header converters: between Connect data and the bytes of a record header.

mod infer;

use std::sync::Arc;

use bytes::Bytes;

use crate::config::{ConfigDef, ConfigError, RawConfig};
use crate::converter::{self, ByteArrayConverter, Converter, JsonConverter, NumberConverter, StringConverter};
use crate::error::Result;
use crate::record::Data;
use crate::schema::Schema;
use crate::value::{Str, Value};

pub(crate) use infer::date_to_text;
pub use infer::parse_string;

/// `org.apache.kafka.connect.storage.HeaderConverter`.
#[allow(clippy::wrong_self_convention)] // The names are Connect's.
pub trait HeaderConverter: Send + Sync {
    /// To bytes; `None` is Kafka's null.
    fn from_connect_header(&self, topic: &str, key: &str, data: &Data) -> Result<Option<Bytes>>;

    /// From bytes; `None` is Kafka's null.
    fn to_connect_header(&self, topic: &str, key: &str, bytes: Option<&Bytes>) -> Result<Data>;

    /// The full name of the Java class that this one stands in for.
    fn class(&self) -> &'static str;
}

/// `org.apache.kafka.connect.storage.SimpleHeaderConverter`, the default: values as text, types guessed from the text.
pub struct SimpleHeaderConverter;

impl SimpleHeaderConverter {
    /// The Java class.
    pub const CLASS: &'static str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";
}

impl HeaderConverter for SimpleHeaderConverter {
    fn from_connect_header(&self, _topic: &str, _key: &str, data: &Data) -> Result<Option<Bytes>> {
        infer::to_text(&data.value).map(|text| text.map(Str::into_bytes))
    }

    fn to_connect_header(&self, _topic: &str, _key: &str, bytes: Option<&Bytes>) -> Result<Data> {
        let Some(bytes) = bytes else { return Ok(Data::NULL) };
        if bytes.is_empty() {
            return Ok(Data::new(Schema::string(), Value::String(Str::new())));
        }
        Ok(parse_string(&Str::from_utf8_lossy(bytes.clone())))
    }

    fn class(&self) -> &'static str {
        Self::CLASS
    }
}

/// The converters of Connect that are header converters too: a header is converted as a value is.
macro_rules! as_header_converter {
    ($($converter:ty),*) => {
        $(impl HeaderConverter for $converter {
            fn from_connect_header(&self, topic: &str, _key: &str, data: &Data) -> Result<Option<Bytes>> {
                self.from_connect(topic, &mut Vec::new(), data)
            }

            fn to_connect_header(&self, topic: &str, _key: &str, bytes: Option<&Bytes>) -> Result<Data> {
                self.to_connect(topic, &[], bytes)
            }

            fn class(&self) -> &'static str {
                Converter::class(self)
            }
        })*
    };
}

as_header_converter!(StringConverter, ByteArrayConverter, JsonConverter, NumberConverter);

const OTHERS: [&str; 9] = [
    StringConverter::CLASS,
    ByteArrayConverter::CLASS,
    JsonConverter::CLASS,
    "org.apache.kafka.connect.converters.BooleanConverter",
    "org.apache.kafka.connect.converters.ShortConverter",
    "org.apache.kafka.connect.converters.IntegerConverter",
    "org.apache.kafka.connect.converters.LongConverter",
    "org.apache.kafka.connect.converters.FloatConverter",
    "org.apache.kafka.connect.converters.DoubleConverter",
];

pub(crate) fn classes() -> impl Iterator<Item = &'static str> {
    std::iter::once(SimpleHeaderConverter::CLASS).chain(OTHERS)
}

/// The full class name and the keys of a header converter.
pub(crate) fn find(class: &str) -> Option<(&'static str, ConfigDef)> {
    let names: Vec<&'static str> = classes().collect();
    let by = |suffix| crate::registry::find_class(&names, |known| known, class, suffix);
    let class = *by("HeaderConverter").or_else(|| by("Converter"))?;
    Some((class, converter::built_in(class).map(|plugin| (plugin.config_def)()).unwrap_or_default()))
}

/// Builds a header converter from its class name (full or simple) and its configuration, prefix removed.
pub fn header_converter(class: &str, config: &RawConfig) -> Result<Arc<dyn HeaderConverter>, Vec<ConfigError>> {
    let Some((class, _)) = find(class) else {
        return Err(vec![converter::unknown_class("header.converter", class, classes())]);
    };
    Ok(match class {
        StringConverter::CLASS => Arc::new(StringConverter::from_config(config)?),
        JsonConverter::CLASS => Arc::new(JsonConverter::from_config(config)?),
        ByteArrayConverter::CLASS => Arc::new(ByteArrayConverter),
        number => match NumberConverter::from_class(number) {
            Some(converter) => Arc::new(converter),
            None => Arc::new(SimpleHeaderConverter),
        },
    })
}
