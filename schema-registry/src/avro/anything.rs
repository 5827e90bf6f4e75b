//! Schemaless data, which travels as Connect's own record `Anything`: one field is set, the one of the value's type.

use barnabas_connect::{Error, Map, Result, Str, Value, java};

use super::decode::{blocks, branch, bytes, int, long};
use super::encode::{put_block_end, put_bytes, put_long};
use crate::input::{Input, unique};

/// Data nests as deep as its bytes say, so that has to end somewhere.
const MAX_DEPTH: usize = 100;

const FIELDS: usize = 9;
const MAP: usize = 8;

/// Reads one; of several fields that are set, which Connect does not write, the first counts.
pub fn read(input: &mut Input<'_>, depth: usize) -> Result<Value> {
    if depth > MAX_DEPTH {
        return Err(Error::data(format!("Schemaless data is nested more than {MAX_DEPTH} levels deep.")));
    }
    let mut found = None;
    for field in 0..FIELDS {
        if branch(input, 2)? == 0 {
            continue;
        }
        let value = match field {
            0 => Value::Boolean(input.byte()? != 0),
            1 => Value::Bytes(bytes(input)?),
            2 => Value::Float64(f64::from_le_bytes(input.array()?)),
            3 => Value::Float32(f32::from_le_bytes(input.array()?)),
            4 => Value::Int32(int(input)?),
            5 => Value::Int64(long(input)?),
            6 => Value::String(Str::from_utf8_lossy(bytes(input)?)),
            MAP => {
                let mut entries = Vec::new();
                blocks(input, 2 * FIELDS, |input, _| {
                    entries.push((read(input, depth + 1)?, read(input, depth + 1)?));
                    Ok(())
                })?;
                let capacity = java::hash_map_capacity(entries.len());
                Value::from(Map::from_unique(unique(entries)).into_hash_order(capacity))
            }
            _ => {
                let mut values = Vec::new();
                blocks(input, FIELDS, |input, _| {
                    values.push(read(input, depth + 1)?);
                    Ok(())
                })?;
                Value::array(values)
            }
        };
        found.get_or_insert(value);
    }
    Ok(found.unwrap_or_default())
}

/// Writes one.
pub fn write(out: &mut Vec<u8>, value: &Value) -> Result<()> {
    let field = match value {
        Value::Null => FIELDS,
        Value::Boolean(_) => 0,
        Value::Float64(_) => 2,
        Value::Float32(_) => 3,
        Value::Int8(_) | Value::Int16(_) | Value::Int32(_) => 4,
        Value::Int64(_) => 5,
        Value::String(_) => 6,
        Value::Array(_) => 7,
        Value::Map(_) => MAP,
        other => {
            return Err(Error::data(format!("Unknown Java type for schemaless data: class {}", other.java_class())));
        }
    };
    out.extend(std::iter::repeat_n(0, field));
    if field == FIELDS {
        return Ok(());
    }
    out.push(2);
    match value {
        Value::Boolean(value) => out.push(u8::from(*value)),
        Value::Float64(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::Float32(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::String(text) => put_bytes(out, text.as_bytes()),
        Value::Array(values) => {
            if !values.is_empty() {
                put_long(out, values.len() as i64);
                values.iter().try_for_each(|value| write(out, value))?;
            }
            put_block_end(out);
        }
        Value::Map(entries) => {
            if !entries.is_empty() {
                put_long(out, entries.len() as i64);
                entries.iter().try_for_each(|(key, value)| {
                    write(out, key)?;
                    write(out, value)
                })?;
            }
            put_block_end(out);
        }
        number => put_long(out, number.as_i64().unwrap_or_default()),
    }
    out.extend(std::iter::repeat_n(0, FIELDS - 1 - field));
    Ok(())
}
