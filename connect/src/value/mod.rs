//! Connect's data model at run time: what a schema describes (`org.apache.kafka.connect.data`).

mod decimal;
mod map;
mod string;
mod structs;
mod text;

use std::sync::Arc;

use bytes::Bytes;

pub use decimal::Decimal;
pub use map::Map;
pub use string::Str;
pub use structs::Struct;

/// One value of Connect's type system. Cloning is cheap: everything larger than a word is shared.
///
/// The logical types have variants of their own, as Java has classes of their own for them (`BigDecimal`,
/// `java.util.Date`); their encoded forms are plain `Bytes`, `Int32` and `Int64`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Absent; allowed where the schema is optional, or without a schema.
    #[default]
    Null,
    /// `BOOLEAN`
    Boolean(bool),
    /// `INT8`
    Int8(i8),
    /// `INT16`
    Int16(i16),
    /// `INT32`
    Int32(i32),
    /// `INT64`
    Int64(i64),
    /// `FLOAT32`
    Float32(f32),
    /// `FLOAT64`
    Float64(f64),
    /// `BYTES`
    Bytes(Bytes),
    /// `STRING`
    String(Str),
    /// `ARRAY`
    Array(Arc<Vec<Value>>),
    /// `MAP`
    Map(Arc<Map>),
    /// `STRUCT`
    Struct(Arc<Struct>),
    /// `org.apache.kafka.connect.data.Decimal`: `BYTES` underneath.
    Decimal(Decimal),
    /// `org.apache.kafka.connect.data.Date`: days since 1970-01-01, `INT32` underneath.
    Date(i32),
    /// `org.apache.kafka.connect.data.Time`: milliseconds since midnight, `INT32` underneath.
    Time(i32),
    /// `org.apache.kafka.connect.data.Timestamp`: milliseconds since 1970-01-01T00:00:00Z, `INT64` underneath.
    Timestamp(i64),
}

impl Value {
    /// An array of the given elements.
    pub fn array(values: impl Into<Vec<Value>>) -> Self {
        Self::Array(Arc::new(values.into()))
    }

    /// A string that lives as long as the program; nothing is allocated.
    pub fn from_static(text: &'static str) -> Self {
        Self::String(Str::from(text))
    }

    /// Whether this is [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a `STRING`.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Any of the integer types, widened.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Int8(n) => Some(n.into()),
            Self::Int16(n) => Some(n.into()),
            Self::Int32(n) => Some(n.into()),
            Self::Int64(n) => Some(n),
            _ => None,
        }
    }

    /// The fields of a `STRUCT`.
    pub fn as_struct(&self) -> Option<&Struct> {
        match self {
            Self::Struct(fields) => Some(fields),
            _ => None,
        }
    }

    /// The entries of a `MAP`.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The class that the value has in Java; error messages of Connect name it.
    pub fn java_class(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "java.lang.Boolean",
            Self::Int8(_) => "java.lang.Byte",
            Self::Int16(_) => "java.lang.Short",
            Self::Int32(_) => "java.lang.Integer",
            Self::Int64(_) => "java.lang.Long",
            Self::Float32(_) => "java.lang.Float",
            Self::Float64(_) => "java.lang.Double",
            Self::Bytes(_) => "[B",
            Self::String(_) => "java.lang.String",
            Self::Array(_) => "java.util.ArrayList",
            Self::Map(_) => "java.util.HashMap",
            Self::Struct(_) => "org.apache.kafka.connect.data.Struct",
            Self::Decimal(_) => "java.math.BigDecimal",
            Self::Date(_) | Self::Time(_) | Self::Timestamp(_) => "java.util.Date",
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    bool => Boolean, i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64, f32 => Float32, f64 => Float64,
    Bytes => Bytes, Vec<u8> => Bytes, Str => String, String => String, Decimal => Decimal,
    Arc<Struct> => Struct, Struct => Struct, Arc<Map> => Map, Map => Map, Vec<Value> => Array,
}

impl From<&str> for Value {
    /// Copies the text; [`Value::from_static`] does not.
    fn from(text: &str) -> Self {
        Self::String(Str::copy_from(text))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
