//! One value to another type, as Java converts numbers and parses text.

use crate::error::{Error, Result};
use crate::header_converter::date_to_text;
use crate::java::{self, MILLIS_PER_DAY};
use crate::schema::{Schema, SchemaKind};
use crate::value::{Str, Value};

const INPUTS: [SchemaKind; 9] = [
    SchemaKind::Int8,
    SchemaKind::Int16,
    SchemaKind::Int32,
    SchemaKind::Int64,
    SchemaKind::Float32,
    SchemaKind::Float64,
    SchemaKind::Boolean,
    SchemaKind::String,
    SchemaKind::Bytes,
];

/// As Java prints a set of types.
pub(super) fn list_of(kinds: &[SchemaKind]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.java_name()).collect();
    format!("[{}]", names.join(", "))
}

/// `value`, which is of `schema` when there is one, as `target`.
pub(super) fn cast(schema: Option<&Schema>, value: Value, target: SchemaKind) -> Result<Value> {
    if value.is_null() {
        return Ok(value);
    }
    let kind = match schema {
        Some(schema) => schema.kind(),
        None => inferred(&value)?,
    };
    if !INPUTS.contains(&kind) {
        return Err(Error::data(format!(
            "Cast transformation does not support casting from {kind}; supported types are {}",
            list_of(&INPUTS)
        )));
    }
    if target == SchemaKind::String {
        return Ok(Value::String(to_text(value)));
    }
    // Numbers of days and milliseconds stand in for dates and times.
    let value = match value {
        Value::Date(days) => Value::Int32(days),
        Value::Time(millis) => Value::Int32(millis),
        Value::Timestamp(millis) => Value::Int64(millis),
        value => value,
    };
    match &value {
        Value::String(text) => parsed(text, target)
            .ok_or_else(|| Error::data(format!("Value ({text}) was out of range for requested data type"))),
        Value::Boolean(value) => Ok(of_integer(i64::from(*value), target)),
        Value::Float32(number) if target == SchemaKind::Float32 => Ok(Value::Float32(*number)),
        Value::Float32(number) => Ok(of_float(f64::from(*number), target)),
        Value::Float64(number) => Ok(of_float(*number, target)),
        Value::Decimal(number) => Ok(match target {
            SchemaKind::Float32 => Value::Float32(number.to_string().parse().unwrap_or(f32::NAN)),
            SchemaKind::Float64 => Value::Float64(number.to_f64()),
            _ => of_integer(number.to_i64_wrapping(), target),
        }),
        other => match other.as_i64() {
            Some(number) => Ok(of_integer(number, target)),
            None => Err(Error::data(format!("Unexpected type in Cast transformation: class {}", other.java_class()))),
        },
    }
}

/// `ConnectSchema.schemaType`, which does not know the classes of logical types.
fn inferred(value: &Value) -> Result<SchemaKind> {
    Ok(match value {
        Value::Int8(_) => SchemaKind::Int8,
        Value::Int16(_) => SchemaKind::Int16,
        Value::Int32(_) => SchemaKind::Int32,
        Value::Int64(_) => SchemaKind::Int64,
        Value::Float32(_) => SchemaKind::Float32,
        Value::Float64(_) => SchemaKind::Float64,
        Value::Boolean(_) => SchemaKind::Boolean,
        Value::String(_) => SchemaKind::String,
        Value::Bytes(_) => SchemaKind::Bytes,
        Value::Array(_) => SchemaKind::Array,
        Value::Map(_) => SchemaKind::Map,
        Value::Struct(_) => SchemaKind::Struct,
        Value::Null | Value::Decimal(_) | Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
            return Err(Error::data(format!(
                "Cast transformation was passed a value of type class {} which is not supported by Connect's data API",
                value.java_class()
            )));
        }
    })
}

fn to_text(value: Value) -> Str {
    match value {
        Value::String(text) => text,
        Value::Date(days) => date_to_text(i64::from(days) * MILLIS_PER_DAY).into(),
        Value::Time(millis) => date_to_text(i64::from(millis)).into(),
        Value::Timestamp(millis) => date_to_text(millis).into(),
        other => other.to_string().into(),
    }
}

/// A whole number, of which a narrower type keeps the lowest bits.
fn of_integer(number: i64, target: SchemaKind) -> Value {
    match target {
        SchemaKind::Int8 => Value::Int8(number as i8),
        SchemaKind::Int16 => Value::Int16(number as i16),
        SchemaKind::Int32 => Value::Int32(number as i32),
        SchemaKind::Float32 => Value::Float32(number as f32),
        SchemaKind::Float64 => Value::Float64(number as f64),
        SchemaKind::Boolean => Value::Boolean(number != 0),
        _ => Value::Int64(number),
    }
}

/// A float, which Java first narrows to the nearest int and then cuts.
fn of_float(number: f64, target: SchemaKind) -> Value {
    match target {
        SchemaKind::Int8 => Value::Int8(number as i32 as i8),
        SchemaKind::Int16 => Value::Int16(number as i32 as i16),
        SchemaKind::Int32 => Value::Int32(number as i32),
        SchemaKind::Float32 => Value::Float32(number as f32),
        SchemaKind::Float64 => Value::Float64(number),
        SchemaKind::Boolean => Value::Boolean(number as i64 != 0),
        _ => Value::Int64(number as i64),
    }
}

fn parsed(text: &str, target: SchemaKind) -> Option<Value> {
    Some(match target {
        SchemaKind::Int8 => Value::Int8(text.parse().ok()?),
        SchemaKind::Int16 => Value::Int16(text.parse().ok()?),
        SchemaKind::Int32 => Value::Int32(text.parse().ok()?),
        SchemaKind::Int64 => Value::Int64(text.parse().ok()?),
        SchemaKind::Float32 => Value::Float32(java::float_literal(text)?.parse().ok()?),
        SchemaKind::Float64 => Value::Float64(java::float_literal(text)?.parse().ok()?),
        _ => Value::Boolean(text.eq_ignore_ascii_case("true")),
    })
}
