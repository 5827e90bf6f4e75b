//! Values to JSON (`JsonSchemaData.fromConnectData`).

use std::sync::Arc;

use barnabas_connect::json::{write_double, write_float, write_string};
use barnabas_connect::schema::Logical;
use barnabas_connect::{Error, Result, Schema, Value, java};

use super::from_connect::has_text_keys;
use super::{Settings, is_union};

/// Appends a value. False when there is none: a required value that is null is left out, as in the original.
pub fn write(out: &mut Vec<u8>, schema: Option<&Schema>, value: &Value, settings: &Settings) -> Result<bool> {
    match (value, schema) {
        (Value::Null, None) => return Ok(false),
        (Value::Null, Some(schema)) => {
            if let Some(default) = schema.default().filter(|_| !settings.ignore_default) {
                return write(out, Some(schema), default, settings);
            }
            if schema.is_optional() {
                out.extend_from_slice(b"null");
            }
            return Ok(schema.is_optional());
        }
        (Value::Boolean(value), _) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        (Value::Int8(_) | Value::Int16(_) | Value::Int32(_) | Value::Int64(_), _) => {
            put(out, value.as_i64().unwrap_or_default());
        }
        (Value::Date(value), _) => put(out, i64::from(*value)),
        (Value::Time(value), _) => {
            if !(0..=java::MILLIS_PER_DAY).contains(&i64::from(*value)) {
                return Err(Error::data(
                    "Kafka Connect Time type should not have any date fields set to non-zero values.",
                ));
            }
            put(out, i64::from(*value));
        }
        (Value::Timestamp(value), _) => put(out, *value),
        (Value::Float32(value), _) => write_float(out, *value),
        (Value::Float64(value), _) => write_double(out, *value),
        (Value::String(text), _) => write_string(out, text),
        (Value::Bytes(bytes), _) => write_string(out, &java::base64_encode(bytes)),
        (Value::Decimal(decimal), schema) => {
            let schema = schema.filter(|schema| schema.logical() == Some(Logical::Decimal));
            match schema.filter(|_| !settings.numeric_decimals) {
                None => out.extend_from_slice(decimal.to_string().as_bytes()),
                Some(schema) => {
                    let scale = schema.decimal_scale()?;
                    if scale != decimal.scale() {
                        return Err(crate::avro::scale_error(scale, decimal.scale()));
                    }
                    write_string(out, &java::base64_encode(decimal.unscaled()));
                }
            }
        }
        (Value::Array(items), _) => {
            let inner = schema.and_then(|schema| schema.value_schema());
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_or_null(out, inner.map(|inner| &**inner), item, settings)?;
            }
            out.push(b']');
        }
        (Value::Map(entries), _) => map(out, schema, entries, settings)?,
        (Value::Struct(own), schema) => {
            if schema
                .is_some_and(|schema| !std::ptr::eq(schema, Arc::as_ptr(own.schema())) && **own.schema() != *schema)
            {
                return Err(Error::data("Mismatching schema."));
            }
            return structure(out, own, settings);
        }
    }
    Ok(true)
}

fn write_or_null(out: &mut Vec<u8>, schema: Option<&Schema>, value: &Value, settings: &Settings) -> Result<()> {
    if !write(out, schema, value, settings)? {
        out.extend_from_slice(b"null");
    }
    Ok(())
}

fn map(out: &mut Vec<u8>, schema: Option<&Schema>, entries: &barnabas_connect::Map, settings: &Settings) -> Result<()> {
    let as_object = match schema {
        Some(schema) => has_text_keys(schema),
        None => entries.iter().all(|(key, _)| key.as_str().is_some()),
    };
    let keys = schema.and_then(|schema| schema.key_schema()).map(|schema| &**schema);
    let values = schema.and_then(|schema| schema.value_schema()).map(|schema| &**schema);
    out.push(if as_object { b'{' } else { b'[' });
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if as_object {
            write_string(
                out,
                key.as_str().ok_or_else(|| Error::data("A key of a map with string keys is no string."))?,
            );
            out.push(b':');
            write_or_null(out, values, value, settings)?;
        } else {
            out.extend_from_slice(b"{\"key\":");
            write_or_null(out, keys, key, settings)?;
            out.extend_from_slice(b",\"value\":");
            write_or_null(out, values, value, settings)?;
            out.push(b'}');
        }
    }
    out.push(if as_object { b'}' } else { b']' });
    Ok(())
}

fn structure(out: &mut Vec<u8>, own: &barnabas_connect::Struct, settings: &Settings) -> Result<bool> {
    let schema = own.schema();
    let get = |index: usize| if settings.ignore_default { &own.values()[index] } else { own.get_at(index) };
    if is_union(schema) {
        for (index, field) in schema.fields().iter().enumerate() {
            let value = get(index);
            if !value.is_null() {
                return write(out, Some(field.schema()), value, settings);
            }
        }
        return write(out, Some(schema), &Value::Null, settings);
    }
    out.push(b'{');
    let mut first = true;
    for (index, field) in schema.fields().iter().enumerate() {
        let before = out.len();
        if !first {
            out.push(b',');
        }
        write_string(out, field.name());
        out.push(b':');
        if write(out, Some(field.schema()), get(index), settings)? {
            first = false;
        } else {
            out.truncate(before);
        }
    }
    out.push(b'}');
    Ok(true)
}

fn put(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(value.to_string().as_bytes());
}
