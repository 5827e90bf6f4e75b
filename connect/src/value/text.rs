//! Values as text: what Java's `toString` gives, which is what the FileStream sink writes and error messages show.

use std::fmt;

use super::{Map, Struct, Value};
use crate::java;

impl fmt::Display for Value {
    /// As Java's `String.valueOf`, with one exception: bytes, of which Java prints the class and an address, are shown in base64.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Int8(value) => write!(f, "{value}"),
            Self::Int16(value) => write!(f, "{value}"),
            Self::Int32(value) => write!(f, "{value}"),
            Self::Int64(value) => write!(f, "{value}"),
            Self::Float32(value) => f.write_str(&java::float_to_string(*value)),
            Self::Float64(value) => f.write_str(&java::double_to_string(*value)),
            Self::Bytes(value) => f.write_str(&java::base64_encode(value)),
            Self::String(value) => f.write_str(value),
            Self::Array(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(value) => value.fmt(f),
            Self::Struct(value) => value.fmt(f),
            Self::Decimal(value) => value.fmt(f),
            Self::Date(days) => f.write_str(&java::date_to_string(i64::from(*days) * java::MILLIS_PER_DAY)),
            Self::Time(millis) => f.write_str(&java::date_to_string(i64::from(*millis))),
            Self::Timestamp(millis) => f.write_str(&java::date_to_string(*millis)),
        }
    }
}

impl fmt::Display for Map {
    /// As `java.util.AbstractMap.toString`: `{a=1, b=2}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (key, value)) in self.iter().enumerate() {
            write!(f, "{}{key}={value}", if index > 0 { ", " } else { "" })?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Struct {
    /// As Connect's `Struct.toString`: `Struct{a=1,b=2}` without the fields that are null.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Struct{")?;
        let set = self.schema().fields().iter().zip(self.values()).filter(|(_, value)| !value.is_null());
        for (index, (field, value)) in set.enumerate() {
            write!(f, "{}{}={value}", if index > 0 { "," } else { "" }, field.name())?;
        }
        f.write_str("}")
    }
}
