//! Converters whose bytes are the value itself: text, bytes, numbers.

use std::sync::Arc;

use bytes::Bytes;

use crate::config::{
    ConfigDef, ConfigError, ConfigKey, Importance, Parsed, RawConfig, Type, Validator, Width, invalid_value,
};
use crate::error::{Error, Result};
use crate::record::{Data, Header};
use crate::schema::{Schema, SchemaKind, SchemaRef};
use crate::value::{Str, Value};

use super::Converter;

/// `org.apache.kafka.connect.converters.ByteArrayConverter`: bytes go through as they are.
#[derive(Clone, Copy, Debug)]
pub struct ByteArrayConverter;

impl ByteArrayConverter {
    /// The Java class.
    pub const CLASS: &'static str = "org.apache.kafka.connect.converters.ByteArrayConverter";
}

impl Converter for ByteArrayConverter {
    fn from_connect(&self, _topic: &str, _headers: &mut Vec<Header>, data: &Data) -> Result<Option<Bytes>> {
        if let Some(schema) = &data.schema
            && schema.kind() != SchemaKind::Bytes
        {
            return Err(Error::data(format!("Invalid schema type for ByteArrayConverter: {}", schema.kind())));
        }
        match &data.value {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes.clone())),
            other => Err(Error::data(format!(
                "ByteArrayConverter is not compatible with objects of type class {}",
                other.java_class()
            ))),
        }
    }

    fn to_connect(&self, _topic: &str, _headers: &[Header], bytes: Option<&Bytes>) -> Result<Data> {
        Ok(Data::new(Schema::optional_bytes(), bytes.cloned()))
    }

    fn is_passthrough(&self) -> bool {
        true
    }

    fn class(&self) -> &'static str {
        Self::CLASS
    }
}

/// `org.apache.kafka.connect.storage.StringConverter`: text in an encoding, UTF-8 by default. Other values are written as
/// Java's `toString` prints them. In UTF-8 the bytes of a record are shared, not copied.
#[derive(Clone, Copy, Debug, Default)]
pub struct StringConverter {
    encoding: Encoding,
}

impl StringConverter {
    /// The Java class.
    pub const CLASS: &'static str = "org.apache.kafka.connect.storage.StringConverter";

    /// The keys.
    pub fn config_def() -> ConfigDef {
        ConfigDef::new().define(
            ConfigKey::new("converter.encoding", Type::String)
                .default("UTF-8")
                .validator(Validator::Custom(
                    "UTF-8, ISO-8859-1, US-ASCII, UTF-16, UTF-16BE or UTF-16LE",
                    |key, value| {
                        let name = value.and_then(Parsed::as_text).unwrap_or_default();
                        match Encoding::find(name) {
                            Some(_) => Ok(()),
                            None => Err(invalid_value(
                                key,
                                name,
                                "The encodings are UTF-8, ISO-8859-1, US-ASCII, UTF-16, UTF-16BE and UTF-16LE.",
                            )),
                        }
                    },
                ))
                .importance(Importance::High)
                .display("", -1, Width::Medium, "Encoding")
                .doc("The character set of the bytes."),
        )
    }

    /// From its configuration, prefix removed.
    pub fn from_config(config: &RawConfig) -> Result<Self, Vec<ConfigError>> {
        let config = Self::config_def().parse(config)?;
        Ok(Self { encoding: Encoding::find(config.string("converter.encoding")).unwrap_or_default() })
    }

    pub(super) fn build(config: &RawConfig, _is_key: bool) -> Result<Arc<dyn Converter>, Vec<ConfigError>> {
        Ok(Arc::new(Self::from_config(config)?))
    }
}

impl Converter for StringConverter {
    fn from_connect(&self, _topic: &str, _headers: &mut Vec<Header>, data: &Data) -> Result<Option<Bytes>> {
        Ok(match &data.value {
            Value::Null => None,
            Value::String(text) => Some(self.encoding.encode(text.clone())),
            other => Some(self.encoding.encode(Str::from(other.to_string()))),
        })
    }

    fn to_connect(&self, _topic: &str, _headers: &[Header], bytes: Option<&Bytes>) -> Result<Data> {
        Ok(Data::new(Schema::optional_string(), bytes.map(|bytes| self.encoding.decode(bytes))))
    }

    fn class(&self) -> &'static str {
        Self::CLASS
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Encoding {
    #[default]
    Utf8,
    Latin1,
    Ascii,
    Utf16,
    Utf16Be,
    Utf16Le,
}

impl Encoding {
    fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Self::Utf8,
            "ISO-8859-1" | "ISO8859_1" | "ISO8859-1" | "LATIN1" => Self::Latin1,
            "US-ASCII" | "ASCII" => Self::Ascii,
            "UTF-16" | "UTF_16" => Self::Utf16,
            "UTF-16BE" | "UTF_16BE" => Self::Utf16Be,
            "UTF-16LE" | "UTF_16LE" => Self::Utf16Le,
            _ => return None,
        })
    }

    /// What the encoding has no byte for becomes `?`, as in Java.
    fn encode(self, text: Str) -> Bytes {
        let single = |last: u32| text.chars().map(|c| if u32::from(c) <= last { c as u8 } else { b'?' }).collect();
        match self {
            Self::Utf8 => text.into_bytes(),
            Self::Latin1 => single(0xff),
            Self::Ascii => single(0x7f),
            Self::Utf16 => [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect(),
            Self::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Self::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        }
    }

    /// Malformed input becomes U+FFFD, as in Java.
    fn decode(self, bytes: &Bytes) -> Str {
        let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
            let units = bytes.chunks(2).map(|pair| <[u8; 2]>::try_from(pair).map_or(0xdfff, unit));
            Str::from(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>())
        };
        match self {
            Self::Utf8 => Str::from_utf8_lossy(bytes.clone()),
            Self::Latin1 => Str::from(bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
            Self::Ascii => Str::from(
                bytes
                    .iter()
                    .map(|byte| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER })
                    .collect::<String>(),
            ),
            Self::Utf16 if bytes.starts_with(&[0xff, 0xfe]) => utf16(&bytes[2..], u16::from_le_bytes),
            Self::Utf16 => utf16(bytes.strip_prefix(&[0xfe, 0xff]).unwrap_or(bytes), u16::from_be_bytes),
            Self::Utf16Be => utf16(bytes, u16::from_be_bytes),
            Self::Utf16Le => utf16(bytes, u16::from_le_bytes),
        }
    }
}

/// The converters of single numbers in `org.apache.kafka.connect.converters`: big-endian, of fixed width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // One for each Java class.
pub enum NumberConverter {
    Boolean,
    Short,
    Integer,
    Long,
    Float,
    Double,
}

impl NumberConverter {
    pub(crate) fn from_class(class: &str) -> Option<Self> {
        [Self::Boolean, Self::Short, Self::Integer, Self::Long, Self::Float, Self::Double]
            .into_iter()
            .find(|converter| Converter::class(converter) == class)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Short => "short",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
        }
    }

    fn schema(self) -> SchemaRef {
        match self {
            Self::Boolean => Schema::optional_boolean(),
            Self::Short => Schema::optional_int16(),
            Self::Integer => Schema::optional_int32(),
            Self::Long => Schema::optional_int64(),
            Self::Float => Schema::optional_float32(),
            Self::Double => Schema::optional_float64(),
        }
    }

    fn value(self, bytes: &[u8]) -> Option<Value> {
        Some(match self {
            Self::Boolean => match bytes {
                [0] => Value::Boolean(false),
                [1] => Value::Boolean(true),
                _ => return None,
            },
            Self::Short => Value::Int16(i16::from_be_bytes(bytes.try_into().ok()?)),
            Self::Integer => Value::Int32(i32::from_be_bytes(bytes.try_into().ok()?)),
            Self::Long => Value::Int64(i64::from_be_bytes(bytes.try_into().ok()?)),
            Self::Float => Value::Float32(f32::from_be_bytes(bytes.try_into().ok()?)),
            Self::Double => Value::Float64(f64::from_be_bytes(bytes.try_into().ok()?)),
        })
    }
}

impl Converter for NumberConverter {
    fn from_connect(&self, _topic: &str, _headers: &mut Vec<Header>, data: &Data) -> Result<Option<Bytes>> {
        if *self == Self::Boolean
            && let Some(schema) = &data.schema
            && schema.kind() != SchemaKind::Boolean
        {
            return Err(Error::data(format!("Invalid schema type for BooleanConverter: {}", schema.kind())));
        }
        Ok(match (self, &data.value) {
            (_, Value::Null) => None,
            (Self::Boolean, Value::Boolean(value)) => Some(Bytes::from_static(if *value { &[1] } else { &[0] })),
            (Self::Short, Value::Int16(value)) => Some(Bytes::copy_from_slice(&value.to_be_bytes())),
            (Self::Integer, Value::Int32(value)) => Some(Bytes::copy_from_slice(&value.to_be_bytes())),
            (Self::Long, Value::Int64(value)) => Some(Bytes::copy_from_slice(&value.to_be_bytes())),
            (Self::Float, Value::Float32(value)) => Some(Bytes::copy_from_slice(&value.to_be_bytes())),
            (Self::Double, Value::Float64(value)) => Some(Bytes::copy_from_slice(&value.to_be_bytes())),
            (Self::Boolean, other) => {
                let message =
                    format!("BooleanConverter is not compatible with objects of type class {}", other.java_class());
                return Err(Error::data(message));
            }
            (_, other) => {
                let message = format!("Failed to serialize to {} (was class {}): ", self.name(), other.java_class());
                return Err(Error::data(message));
            }
        })
    }

    fn to_connect(&self, _topic: &str, _headers: &[Header], bytes: Option<&Bytes>) -> Result<Data> {
        let value = match bytes {
            None => Value::Null,
            Some(bytes) => {
                self.value(bytes).ok_or_else(|| Error::data(format!("Failed to deserialize {}: ", self.name())))?
            }
        };
        Ok(Data::new(self.schema(), value))
    }

    fn class(&self) -> &'static str {
        match self {
            Self::Boolean => "org.apache.kafka.connect.converters.BooleanConverter",
            Self::Short => "org.apache.kafka.connect.converters.ShortConverter",
            Self::Integer => "org.apache.kafka.connect.converters.IntegerConverter",
            Self::Long => "org.apache.kafka.connect.converters.LongConverter",
            Self::Float => "org.apache.kafka.connect.converters.FloatConverter",
            Self::Double => "org.apache.kafka.connect.converters.DoubleConverter",
        }
    }
}
