//! JSON to values, by a Connect schema (`JsonSchemaData.toConnectData`).

use std::sync::Arc;

use barnabas_connect::json::{Node, Number, parse};
use barnabas_connect::schema::{Logical, SchemaKind};
use barnabas_connect::{Decimal, Error, Map, Result, Schema, SchemaRef, Str, Struct, Value, java};

use super::from_connect::{has_text_keys, value_schema};
use super::is_union;
use crate::input::unique;

/// Reads a message.
pub fn read(schema: &SchemaRef, text: &Str) -> Result<Value> {
    let node = parse(text).map_err(|error| Error::data(format!("The message is not JSON: {error}")))?;
    value(schema, node.as_ref())
}

/// Reads a value; a member that is not there is none.
pub fn value(schema: &SchemaRef, node: Option<&Node<'_>>) -> Result<Value> {
    let node = match node {
        None | Some(Node::Null) => {
            return match schema.default() {
                Some(default) => Ok(default.clone()),
                None if node.is_none() || schema.is_optional() => Ok(Value::Null),
                None => Err(Error::data(format!("Invalid null value for required {} field", schema.kind()))),
            };
        }
        Some(node) => node,
    };
    if let Some(logical) = schema.logical() {
        return logical_value(logical, schema, node);
    }
    Ok(match schema.kind() {
        SchemaKind::Boolean => Value::Boolean(*node == Node::Bool(true)),
        SchemaKind::Int8 => Value::Int8(integer(node) as i8),
        SchemaKind::Int16 => Value::Int16(integer(node) as i16),
        SchemaKind::Int32 => Value::Int32(integer(node) as i32),
        SchemaKind::Int64 => Value::Int64(integer(node)),
        SchemaKind::Float32 => Value::Float32(match number(node) {
            Some(Number::Integer(value)) => value as f32,
            Some(Number::BigInteger(digits) | Number::Decimal(digits)) => digits.parse().unwrap_or(f32::NAN),
            None => 0.0,
        }),
        SchemaKind::Float64 => Value::Float64(match number(node) {
            Some(Number::Integer(value)) => value as f64,
            Some(Number::BigInteger(digits) | Number::Decimal(digits)) => digits.parse().unwrap_or(f64::NAN),
            None => 0.0,
        }),
        SchemaKind::String => match node {
            Node::String(text) => Value::from(text.as_ref()),
            _ => Value::Null,
        },
        SchemaKind::Bytes => match node {
            Node::String(text) => Value::from(decode(text, "Invalid bytes field")?),
            other => return Err(Error::data(format!("Invalid bytes field: a {}", other.type_name()))),
        },
        SchemaKind::Array => {
            let inner = value_schema(schema)?;
            let Node::Array(items) = node else {
                return Err(Error::data(format!(
                    "Arrays should be encoded as JSON arrays, but found {}",
                    node.type_name()
                )));
            };
            Value::array(items.iter().map(|item| value(inner, Some(item))).collect::<Result<Vec<_>>>()?)
        }
        SchemaKind::Map => map(schema, node)?,
        SchemaKind::Struct if is_union(schema) => union(schema, node)?,
        SchemaKind::Struct => {
            let Node::Object(_) = node else {
                return Err(Error::data(format!(
                    "Structs should be encoded as JSON objects, but found {}",
                    node.type_name()
                )));
            };
            let mut values = Vec::with_capacity(schema.fields().len());
            for field in schema.fields() {
                values.push(value(field.schema(), node.get(field.name()))?);
            }
            let read = Struct::from_values(schema.clone(), values);
            read.validate()?;
            Value::Struct(Arc::new(read))
        }
    })
}

fn map(schema: &SchemaRef, node: &Node<'_>) -> Result<Value> {
    let values = value_schema(schema)?;
    let mut entries = Vec::new();
    if has_text_keys(schema) {
        let Node::Object(members) = node else {
            return Err(Error::data(format!(
                "Maps with string fields should be encoded as JSON objects, but found {}",
                node.type_name()
            )));
        };
        for (name, member) in members {
            entries.push((Value::from(name.as_ref()), value(values, Some(member))?));
        }
    } else {
        let keys = schema.key_schema().ok_or_else(|| Error::data("A MAP schema has no schema for its keys."))?;
        let Node::Array(items) = node else {
            return Err(Error::data(format!(
                "Maps with non-string fields should be encoded as JSON array of objects, but found {}",
                node.type_name()
            )));
        };
        for item in items {
            match item {
                Node::Object(members) if members.len() == 2 => {
                    entries.push((value(keys, item.get("key"))?, value(values, item.get("value"))?));
                }
                Node::Object(members) => {
                    return Err(Error::data(format!(
                        "Found invalid map entry, expected length 2 but found :{}",
                        members.len()
                    )));
                }
                other => {
                    return Err(Error::data(format!(
                        "Found invalid map entry instead of object: {}",
                        other.type_name()
                    )));
                }
            }
        }
    }
    Ok(Value::from(Map::from_unique(unique(entries)).into_hash_order(java::HASH_MAP_DEFAULT)))
}

/// The first field whose type a plain value has, or the one most of whose fields an object has.
fn union(schema: &SchemaRef, node: &Node<'_>) -> Result<Value> {
    let simple = schema.fields().iter().position(|field| fits(field.schema(), node));
    let best = || {
        let counted = schema.fields().iter().enumerate().map(|(index, field)| (common(field.schema(), node), index));
        // Of equals the first.
        counted.filter(|(count, _)| *count > 0).max_by_key(|(count, index)| (*count, std::cmp::Reverse(*index)))
    };
    let index = simple.or_else(|| best().map(|(_, index)| index));
    let index = index.ok_or_else(|| Error::data("Did not find matching oneof field for data"))?;
    let mut values = vec![Value::Null; schema.fields().len()];
    values[index] = value(schema.fields()[index].schema(), Some(node))?;
    Ok(Value::Struct(Arc::new(Struct::from_values(schema.clone(), values))))
}

fn fits(schema: &Schema, node: &Node<'_>) -> bool {
    match schema.kind() {
        SchemaKind::Int8 | SchemaKind::Int16 | SchemaKind::Int32 | SchemaKind::Int64 => {
            matches!(node, Node::Number(Number::Integer(_) | Number::BigInteger(_)))
        }
        SchemaKind::Float32 | SchemaKind::Float64 => matches!(node, Node::Number(_)),
        SchemaKind::Boolean => matches!(node, Node::Bool(_)),
        SchemaKind::String => matches!(node, Node::String(_)),
        SchemaKind::Array => matches!(node, Node::Array(_)),
        SchemaKind::Map => matches!(node, Node::Object(_) | Node::Array(_)),
        SchemaKind::Bytes => matches!(node, Node::Number(Number::Decimal(_))),
        SchemaKind::Struct => false,
    }
}

fn common(schema: &Schema, node: &Node<'_>) -> usize {
    if schema.kind() != SchemaKind::Struct || !matches!(node, Node::Object(_)) {
        return 0;
    }
    let shared = schema.fields().iter().filter_map(|field| Some((field.schema(), node.get(field.name())?)));
    shared.map(|(schema, node)| 1 + common(schema, node)).sum()
}

fn logical_value(logical: Logical, schema: &Schema, node: &Node<'_>) -> Result<Value> {
    let wrong = |name: &str, expected: &str| {
        Error::data(format!(
            "Invalid type for {name}, underlying representation should be {expected} but was {}",
            node.type_name()
        ))
    };
    let small = || match node {
        Node::Number(Number::Integer(value)) => i32::try_from(*value).ok(),
        _ => None,
    };
    Ok(match (logical, node) {
        (Logical::Decimal, Node::Number(Number::Integer(value))) => {
            Value::Decimal(Decimal::from_i128(i128::from(*value), 0))
        }
        (Logical::Decimal, Node::Number(Number::BigInteger(digits) | Number::Decimal(digits))) => {
            Value::Decimal(Decimal::parse(digits).ok_or_else(|| wrong("Decimal", "numeric or bytes"))?)
        }
        (Logical::Decimal, Node::String(text)) => {
            Value::Decimal(Decimal::new(decode(text, "Invalid bytes for Decimal field")?, schema.decimal_scale()?))
        }
        (Logical::Decimal, _) => return Err(wrong("Decimal", "numeric or bytes")),
        (Logical::Date, _) => Value::Date(small().ok_or_else(|| wrong("Date", "integer"))?),
        (Logical::Time, _) => {
            let millis = small().ok_or_else(|| wrong("Time", "integer"))?;
            if !(0..=java::MILLIS_PER_DAY).contains(&i64::from(millis)) {
                return Err(Error::data(
                    "Time values must use number of milliseconds greater than 0 and less than 86400000",
                ));
            }
            Value::Time(millis)
        }
        (Logical::Timestamp, Node::Number(Number::Integer(value))) => Value::Timestamp(*value),
        (Logical::Timestamp, _) => return Err(wrong("Timestamp", "integral")),
    })
}

fn decode(text: &str, what: &'static str) -> Result<Vec<u8>> {
    java::base64_decode(text).map_err(|error| Error::data(what).with_source(error))
}

fn number<'a>(node: &Node<'a>) -> Option<Number<'a>> {
    match node {
        Node::Number(number) => Some(*number),
        _ => None,
    }
}

/// As Jackson's `longValue`: what is no number is 0, a fraction is cut off.
fn integer(node: &Node<'_>) -> i64 {
    match number(node) {
        Some(Number::Integer(value)) => value,
        Some(Number::BigInteger(digits) | Number::Decimal(digits)) => {
            digits.parse::<f64>().map_or(0, |value| value as i64)
        }
        None => 0,
    }
}
