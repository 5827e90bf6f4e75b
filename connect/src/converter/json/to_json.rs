//! Values to JSON (`JsonConverter.convertToJson`).

use crate::error::{Error, Result};
use crate::java;
use crate::json::{write_double, write_float, write_string};
use crate::schema::{Logical, Schema, SchemaKind};
use crate::value::{Map, Value};

use super::Settings;

pub(super) fn write(out: &mut Vec<u8>, schema: Option<&Schema>, value: &Value, settings: Settings) -> Result<()> {
    let Some(schema) = schema else { return write_schemaless(out, value, settings) };
    if value.is_null() {
        return match schema.default() {
            Some(default) if settings.replace_null => write(out, Some(schema), default, settings),
            _ if schema.is_optional() => {
                out.extend_from_slice(b"null");
                Ok(())
            }
            _ => Err(Error::data("Conversion error: null value for field that is required and has no default value")),
        };
    }
    if let Some(logical) = schema.logical() {
        return write_logical(out, logical, schema, value, settings);
    }
    match (schema.kind(), value) {
        (SchemaKind::Int8, Value::Int8(value)) => integer(out, i64::from(*value)),
        (SchemaKind::Int16, Value::Int16(value)) => integer(out, i64::from(*value)),
        (SchemaKind::Int32, Value::Int32(value)) => integer(out, i64::from(*value)),
        (SchemaKind::Int64, Value::Int64(value)) => integer(out, *value),
        (SchemaKind::Float32, Value::Float32(value)) => write_float(out, *value),
        (SchemaKind::Float64, Value::Float64(value)) => write_double(out, *value),
        (SchemaKind::Boolean, Value::Boolean(value)) => boolean(out, *value),
        (SchemaKind::String, Value::String(text)) => write_string(out, text),
        (SchemaKind::Bytes, Value::Bytes(bytes)) => base64(out, bytes),
        (SchemaKind::Bytes, other) => {
            return Err(Error::data(format!("Invalid type for bytes type: class {}", other.java_class())));
        }
        (SchemaKind::Array, Value::Array(values)) => {
            let element = schema.value_schema().map(AsRef::as_ref);
            write_array(out, element, values, settings)?;
        }
        (SchemaKind::Map, Value::Map(map)) => {
            let key = schema.key_schema().map(AsRef::as_ref);
            let element = schema.value_schema().map(AsRef::as_ref);
            let as_object = key.is_some_and(|key| key.kind() == SchemaKind::String);
            write_map(out, (key, element), map, as_object, settings)?;
        }
        (SchemaKind::Struct, Value::Struct(fields)) => {
            if !std::ptr::eq::<Schema>(fields.schema().as_ref(), schema) && **fields.schema() != *schema {
                return Err(Error::data("Mismatching schema."));
            }
            out.push(b'{');
            for (index, (field, value)) in schema.fields().iter().zip(fields.values()).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(out, field.name());
                out.push(b':');
                write(out, Some(field.schema()), value, settings)?;
            }
            out.push(b'}');
        }
        (kind, other) => return Err(Error::data(format!("Invalid type for {kind}: class {}", other.java_class()))),
    }
    Ok(())
}

fn write_schemaless(out: &mut Vec<u8>, value: &Value, settings: Settings) -> Result<()> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(value) => boolean(out, *value),
        Value::Int8(value) => integer(out, i64::from(*value)),
        Value::Int16(value) => integer(out, i64::from(*value)),
        Value::Int32(value) => integer(out, i64::from(*value)),
        Value::Int64(value) => integer(out, *value),
        Value::Float32(value) => write_float(out, *value),
        Value::Float64(value) => write_double(out, *value),
        Value::String(text) => write_string(out, text),
        Value::Bytes(bytes) => base64(out, bytes),
        Value::Array(values) => write_array(out, None, values, settings)?,
        Value::Map(map) => {
            let as_object = map.iter().all(|(key, _)| matches!(key, Value::String(_)));
            write_map(out, (None, None), map, as_object, settings)?;
        }
        // A struct without a schema beside it never equals the schema that is asked for.
        Value::Struct(_) => return Err(Error::data("Mismatching schema.")),
        Value::Decimal(_) | Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
            let class = value.java_class();
            return Err(Error::data(format!("Java class class {class} does not have corresponding schema type.")));
        }
    }
    Ok(())
}

fn write_array(out: &mut Vec<u8>, element: Option<&Schema>, values: &[Value], settings: Settings) -> Result<()> {
    out.push(b'[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, element, value, settings)?;
    }
    out.push(b']');
    Ok(())
}

/// An object when all keys are strings, else an array of pairs.
fn write_map(
    out: &mut Vec<u8>,
    (key_schema, value_schema): (Option<&Schema>, Option<&Schema>),
    map: &Map,
    as_object: bool,
    settings: Settings,
) -> Result<()> {
    out.push(if as_object { b'{' } else { b'[' });
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match key {
            Value::String(name) if as_object => write_string(out, name),
            _ if as_object => {
                // Java takes the text of the key's JSON; a key that is null becomes "null".
                let mut text = Vec::new();
                write(&mut text, key_schema, key, settings)?;
                write_string(out, &String::from_utf8_lossy(&text));
            }
            _ => {
                out.push(b'[');
                write(out, key_schema, key, settings)?;
            }
        }
        out.push(if as_object { b':' } else { b',' });
        write(out, value_schema, value, settings)?;
        if !as_object {
            out.push(b']');
        }
    }
    out.push(if as_object { b'}' } else { b']' });
    Ok(())
}

fn write_logical(
    out: &mut Vec<u8>,
    logical: Logical,
    schema: &Schema,
    value: &Value,
    settings: Settings,
) -> Result<()> {
    match (logical, value) {
        (Logical::Decimal, Value::Decimal(decimal)) if settings.decimals_as_numbers => {
            out.extend_from_slice(decimal.to_string().as_bytes());
        }
        (Logical::Decimal, Value::Decimal(decimal)) => {
            let scale = schema.decimal_scale()?;
            if scale != decimal.scale() {
                return Err(Error::data(format!(
                    "Decimal value has mismatching scale for given Decimal schema. Schema has scale {scale}, value has scale {}.",
                    decimal.scale()
                )));
            }
            base64(out, decimal.unscaled());
        }
        (Logical::Decimal, other) => return Err(wrong_class("Decimal", "BigDecimal", other)),
        (Logical::Date, Value::Date(days)) => integer(out, i64::from(*days)),
        (Logical::Date, other) => return Err(wrong_class("Date", "Date", other)),
        (Logical::Time, Value::Time(millis)) => {
            if !(0..=java::MILLIS_PER_DAY).contains(&i64::from(*millis)) {
                return Err(Error::data(
                    "Kafka Connect Time type should not have any date fields set to non-zero values.",
                ));
            }
            integer(out, i64::from(*millis));
        }
        (Logical::Time, other) => return Err(wrong_class("Time", "Date", other)),
        (Logical::Timestamp, Value::Timestamp(millis)) => integer(out, *millis),
        (Logical::Timestamp, other) => return Err(wrong_class("Timestamp", "Date", other)),
    }
    Ok(())
}

fn wrong_class(name: &str, expected: &str, value: &Value) -> Error {
    Error::data(format!("Invalid type for {name}, expected {expected} but was class {}", value.java_class()))
}

fn integer(out: &mut Vec<u8>, value: i64) {
    // Twenty characters hold every 64-bit number; no allocation on the hot path.
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(java::base64_encode(bytes).as_bytes());
    out.push(b'"');
}
