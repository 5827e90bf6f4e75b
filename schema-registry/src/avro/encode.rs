//! Connect values straight to Avro's binary form, by a plan that is compiled once for each pair of schemas.

use std::sync::Arc;

use barnabas_connect::schema::{Logical, SchemaKind};
use barnabas_connect::{Error, Result, SchemaRef, Value, java};
use serde_json::Value as Json;

use super::from_connect::scale_error;
use super::schema::{AvroSchema, Kind, TypeId};
use super::{Settings, anything, is_map_entry, is_union};

/// How a value is written.
pub enum Write {
    Boolean,
    /// Any integer, also those of days and milliseconds.
    Integer,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Decimal {
        scale: i32,
        fixed: Option<usize>,
    },
    Enum {
        name: String,
        symbols: Vec<String>,
    },
    Array(Box<Write>),
    Map(Box<Write>),
    Entries {
        key: Box<Write>,
        value: Box<Write>,
        key_first: bool,
    },
    Record {
        schema: SchemaRef,
        fields: Vec<Source>,
        ignore_default: bool,
    },
    /// A union with null, or one of whose branches only this one is used.
    Nullable {
        null: Option<i64>,
        branch: i64,
        inner: Box<Write>,
    },
    /// A struct with one field set.
    Union {
        null: Option<i64>,
        branches: Vec<(i64, Write)>,
        ignore_default: bool,
    },
    Anything,
}

/// Where the value of a field of a record comes from.
pub enum Source {
    /// The field of the struct with this index.
    Field(usize, Write),
    /// The struct has no such field: the default value, encoded.
    Default(Vec<u8>),
}

/// Compiles the plan for a Connect schema and the Avro schema that it is written with. Fields are found by name, so that the
/// Avro schema may be another than the one made from the Connect schema.
pub fn compile(avro: &AvroSchema, id: TypeId, schema: &SchemaRef, settings: &Settings) -> Result<Write> {
    let ty = avro.get(id);
    let mismatch = || {
        let found = ty.kind.full_name().unwrap_or(ty.kind.type_name());
        let name = schema.name().map(|name| format!(" {name}")).unwrap_or_default();
        Error::data(format!("A {}{name} cannot be written as the Avro type {found}", schema.kind()))
    };
    if let Kind::Union(branches) = &ty.kind {
        return union(avro, branches, schema, settings, &mismatch);
    }
    let value_schema = || super::from_connect::value_schema(schema);
    Ok(match (&ty.kind, schema.kind()) {
        (Kind::Boolean, SchemaKind::Boolean) => Write::Boolean,
        (Kind::Int, SchemaKind::Int8 | SchemaKind::Int16 | SchemaKind::Int32)
        | (Kind::Long, SchemaKind::Int8 | SchemaKind::Int16 | SchemaKind::Int32 | SchemaKind::Int64) => Write::Integer,
        (Kind::Float, SchemaKind::Float32) => Write::Float,
        (Kind::Double, SchemaKind::Float32 | SchemaKind::Float64) => Write::Double,
        (Kind::String, SchemaKind::String) => Write::Text,
        (Kind::Enum { name, symbols, .. }, SchemaKind::String) => {
            Write::Enum { name: name.clone(), symbols: symbols.clone() }
        }
        (Kind::Bytes, SchemaKind::Bytes) => match schema.logical() {
            Some(Logical::Decimal) => Write::Decimal { scale: schema.decimal_scale()?, fixed: None },
            _ => Write::Bytes,
        },
        (Kind::Fixed { size, .. }, SchemaKind::Bytes) => match schema.logical() {
            Some(Logical::Decimal) => Write::Decimal { scale: schema.decimal_scale()?, fixed: Some(*size) },
            _ => Write::Fixed(*size),
        },
        (Kind::Array(item), SchemaKind::Array) => {
            Write::Array(Box::new(compile(avro, *item, value_schema()?, settings)?))
        }
        (Kind::Array(item), SchemaKind::Map) => {
            let (key, value) = is_map_entry(avro, *item).ok_or_else(mismatch)??;
            let key_schema = schema.key_schema().ok_or_else(mismatch)?;
            let key_first = matches!(&avro.get(*item).kind, Kind::Record { fields, .. } if fields[0].ty == key && fields[0].name == "key");
            Write::Entries {
                key: Box::new(compile(avro, key, key_schema, settings)?),
                value: Box::new(compile(avro, value, value_schema()?, settings)?),
                key_first,
            }
        }
        (Kind::Map(value), SchemaKind::Map) => Write::Map(Box::new(compile(avro, *value, value_schema()?, settings)?)),
        (Kind::Record { fields, .. }, SchemaKind::Struct) => {
            let known =
                |own: &&barnabas_connect::Field| fields.iter().any(|field| settings.name(own.name()) == field.name);
            if let Some(lost) = schema.fields().iter().find(|own| settings.strict && !known(own)) {
                return Err(Error::data(format!(
                    "The Avro record {} has no field {}. Set latest.compatibility.strict=false (id.compatibility.strict=false) to leave it out",
                    ty.kind.full_name().unwrap_or_default(),
                    lost.name()
                )));
            }
            let mut sources = Vec::with_capacity(fields.len());
            for field in fields {
                let own = schema.fields().iter().position(|own| settings.name(own.name()) == field.name);
                sources.push(match (own, &field.default) {
                    (Some(index), _) => {
                        Source::Field(index, compile(avro, field.ty, schema.fields()[index].schema(), settings)?)
                    }
                    (None, Some(default)) => {
                        let mut out = Vec::new();
                        put_default(avro, field.ty, default, &mut out)?;
                        Source::Default(out)
                    }
                    (None, None) => {
                        return Err(Error::data(format!(
                            "The field {} of the Avro record {} has no default value, and the data has no such field",
                            field.name,
                            ty.kind.full_name().unwrap_or_default()
                        )));
                    }
                });
            }
            Write::Record { schema: schema.clone(), fields: sources, ignore_default: settings.ignore_default }
        }
        _ => return Err(mismatch()),
    })
}

fn union(
    avro: &AvroSchema,
    branches: &[TypeId],
    schema: &SchemaRef,
    settings: &Settings,
    mismatch: &dyn Fn() -> Error,
) -> Result<Write> {
    let null =
        branches.iter().position(|branch| matches!(avro.get(*branch).kind, Kind::Null)).map(|index| index as i64);
    if !is_union(schema) {
        let mut last = None;
        for (index, branch) in branches.iter().enumerate().filter(|(index, _)| Some(*index as i64) != null) {
            match compile(avro, *branch, schema, settings) {
                Ok(inner) => return Ok(Write::Nullable { null, branch: index as i64, inner: Box::new(inner) }),
                Err(error) => last = Some(error),
            }
        }
        return Err(last.unwrap_or_else(mismatch));
    }
    let mut writes = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        // By name, which holds for unions that came from Avro; else in order.
        let named = branches.iter().enumerate().find(|(at, branch)| {
            let kind = &avro.get(**branch).kind;
            !matches!(kind, Kind::Null) && settings.branch_name(kind, *at) == field.name()
        });
        let (at, write) = match named.map(|(at, branch)| (at, compile(avro, *branch, field.schema(), settings))) {
            Some((at, Ok(write))) => (at, write),
            _ => {
                let offset = usize::from(null == Some(0));
                let at = index + offset;
                let branch = branches.get(at).ok_or_else(mismatch)?;
                (at, compile(avro, *branch, field.schema(), settings)?)
            }
        };
        writes.push((at as i64, write));
    }
    Ok(Write::Union { null, branches: writes, ignore_default: settings.ignore_default })
}

impl Write {
    /// Writes one value.
    pub fn write(&self, out: &mut Vec<u8>, value: &Value) -> Result<()> {
        match (self, value) {
            (Self::Nullable { null, .. } | Self::Union { null, .. }, Value::Null) => {
                put_long(out, null.ok_or_else(null_value)?);
            }
            (Self::Anything, value) => anything::write(out, value)?,
            (_, Value::Null) => return Err(null_value()),
            (Self::Nullable { branch, inner, .. }, value) => {
                put_long(out, *branch);
                inner.write(out, value)?;
            }
            (Self::Boolean, Value::Boolean(value)) => out.push(u8::from(*value)),
            (Self::Integer, Value::Int32(value) | Value::Date(value)) => put_long(out, i64::from(*value)),
            (Self::Integer, Value::Time(value)) => {
                if !(0..=java::MILLIS_PER_DAY).contains(&i64::from(*value)) {
                    return Err(Error::data(
                        "Kafka Connect Time type should not have any date fields set to non-zero values.",
                    ));
                }
                put_long(out, i64::from(*value));
            }
            (Self::Integer, Value::Int64(value) | Value::Timestamp(value)) => put_long(out, *value),
            (Self::Integer, Value::Int8(value)) => put_long(out, i64::from(*value)),
            (Self::Integer, Value::Int16(value)) => put_long(out, i64::from(*value)),
            (Self::Float, Value::Float32(value)) => out.extend_from_slice(&value.to_le_bytes()),
            (Self::Double, Value::Float64(value)) => out.extend_from_slice(&value.to_le_bytes()),
            (Self::Double, Value::Float32(value)) => out.extend_from_slice(&f64::from(*value).to_le_bytes()),
            (Self::Bytes, Value::Bytes(bytes)) => put_bytes(out, bytes),
            (Self::Text, Value::String(text)) => put_bytes(out, text.as_bytes()),
            (Self::Fixed(size), Value::Bytes(bytes)) => {
                if bytes.len() != *size {
                    return Err(Error::data(format!("A fixed type of {size} bytes cannot hold {} bytes", bytes.len())));
                }
                out.extend_from_slice(bytes);
            }
            (Self::Decimal { scale, fixed }, Value::Decimal(decimal)) => {
                if *scale != decimal.scale() {
                    return Err(scale_error(*scale, decimal.scale()));
                }
                let unscaled = decimal.unscaled();
                match fixed {
                    None => put_bytes(out, unscaled),
                    Some(size) if unscaled.len() > *size => {
                        return Err(Error::data(format!(
                            "Unscaled value byte array length {} is greater than fixed size {size}",
                            unscaled.len()
                        )));
                    }
                    Some(size) => {
                        let sign = if decimal.is_negative() { 0xff } else { 0 };
                        out.extend(std::iter::repeat_n(sign, size - unscaled.len()));
                        out.extend_from_slice(unscaled);
                    }
                }
            }
            (Self::Enum { name, symbols }, Value::String(text)) => {
                let index = symbols.iter().position(|symbol| *symbol == **text);
                let index = index.ok_or_else(|| Error::data(format!("The enum {name} has no symbol {text}")))?;
                put_long(out, index as i64);
            }
            (Self::Array(inner), Value::Array(values)) => {
                if !values.is_empty() {
                    put_long(out, values.len() as i64);
                    values.iter().try_for_each(|value| inner.write(out, value))?;
                }
                put_block_end(out);
            }
            (Self::Map(inner), Value::Map(entries)) => {
                if !entries.is_empty() {
                    put_long(out, entries.len() as i64);
                    for (key, value) in in_avro_order(entries) {
                        let Value::String(key) = key else { return Err(wrong_type("STRING", key)) };
                        put_bytes(out, key.as_bytes());
                        inner.write(out, value)?;
                    }
                }
                put_block_end(out);
            }
            (Self::Entries { key, value, key_first }, Value::Map(entries)) => {
                if !entries.is_empty() {
                    put_long(out, entries.len() as i64);
                    for (own_key, own_value) in entries.iter() {
                        if *key_first {
                            key.write(out, own_key)?;
                            value.write(out, own_value)?;
                        } else {
                            value.write(out, own_value)?;
                            key.write(out, own_key)?;
                        }
                    }
                }
                put_block_end(out);
            }
            (Self::Record { schema, fields, ignore_default }, Value::Struct(own)) => {
                if !Arc::ptr_eq(own.schema(), schema) && own.schema() != schema {
                    return Err(Error::data("Mismatching struct schema"));
                }
                for field in fields {
                    match field {
                        Source::Field(index, write) => {
                            let value = if *ignore_default { &own.values()[*index] } else { own.get_at(*index) };
                            write.write(out, value)?;
                        }
                        Source::Default(bytes) => out.extend_from_slice(bytes),
                    }
                }
            }
            (Self::Union { null, branches, ignore_default }, Value::Struct(own)) => {
                for (index, (branch, write)) in branches.iter().enumerate() {
                    let value = if *ignore_default { own.values().get(index) } else { Some(own.get_at(index)) };
                    if let Some(value) = value.filter(|value| !value.is_null()) {
                        put_long(out, *branch);
                        return write.write(out, value);
                    }
                }
                put_long(out, null.ok_or_else(null_value)?);
            }
            (_, other) => return Err(wrong_type(self.java_name(), other)),
        }
        Ok(())
    }

    fn java_name(&self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Integer => "INT32",
            Self::Float => "FLOAT32",
            Self::Double => "FLOAT64",
            Self::Bytes | Self::Fixed(_) | Self::Decimal { .. } => "BYTES",
            Self::Text | Self::Enum { .. } => "STRING",
            Self::Array(_) => "ARRAY",
            Self::Map(_) | Self::Entries { .. } => "MAP",
            _ => "STRUCT",
        }
    }
}

/// Java puts the entries into a new `HashMap` before it writes them.
fn in_avro_order(entries: &barnabas_connect::Map) -> impl Iterator<Item = (&Value, &Value)> {
    let mut order: Vec<&(Value, Value)> = entries.iter().collect();
    java::hash_order(&mut order, java::HASH_MAP_DEFAULT, |(key, _)| java::hash_code(key));
    order.into_iter().map(|(key, value)| (key, value))
}

fn null_value() -> Error {
    Error::data("Found null value for non-optional schema")
}

fn wrong_type(expected: &str, value: &Value) -> Error {
    Error::data(format!("Invalid type for {expected}: class {}", value.java_class()))
}

pub fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

pub fn put_block_end(out: &mut Vec<u8>) {
    out.push(0);
}

/// Encodes the default value of a field.
fn put_default(avro: &AvroSchema, id: TypeId, json: &Json, out: &mut Vec<u8>) -> Result<()> {
    let wrong = || {
        Error::data(format!("The default value {json} is not one of the Avro type {}", avro.get(id).kind.type_name()))
    };
    match &avro.get(id).kind {
        Kind::Null => {}
        Kind::Boolean => out.push(u8::from(json.as_bool().ok_or_else(wrong)?)),
        Kind::Int | Kind::Long => put_long(out, json.as_i64().ok_or_else(wrong)?),
        Kind::Float => out.extend_from_slice(&(json.as_f64().ok_or_else(wrong)? as f32).to_le_bytes()),
        Kind::Double => out.extend_from_slice(&json.as_f64().ok_or_else(wrong)?.to_le_bytes()),
        Kind::String => put_bytes(out, json.as_str().ok_or_else(wrong)?.as_bytes()),
        Kind::Bytes => {
            let bytes: Vec<u8> = json.as_str().ok_or_else(wrong)?.chars().map(|c| c as u32 as u8).collect();
            put_bytes(out, &bytes);
        }
        Kind::Fixed { .. } => out.extend(json.as_str().ok_or_else(wrong)?.chars().map(|c| c as u32 as u8)),
        Kind::Enum { symbols, .. } => {
            let index = symbols.iter().position(|symbol| Some(symbol.as_str()) == json.as_str()).ok_or_else(wrong)?;
            put_long(out, index as i64);
        }
        Kind::Array(item) => {
            let items = json.as_array().ok_or_else(wrong)?;
            if !items.is_empty() {
                put_long(out, items.len() as i64);
                items.iter().try_for_each(|json| put_default(avro, *item, json, out))?;
            }
            put_block_end(out);
        }
        Kind::Map(value) => {
            let entries = json.as_object().ok_or_else(wrong)?;
            if !entries.is_empty() {
                put_long(out, entries.len() as i64);
                for (key, json) in entries {
                    put_bytes(out, key.as_bytes());
                    put_default(avro, *value, json, out)?;
                }
            }
            put_block_end(out);
        }
        Kind::Union(branches) => {
            put_long(out, 0);
            put_default(avro, *branches.first().ok_or_else(wrong)?, json, out)?;
        }
        Kind::Record { fields, .. } => {
            let members = json.as_object().ok_or_else(wrong)?;
            for field in fields {
                let json = members.get(&field.name).or(field.default.as_ref()).ok_or_else(wrong)?;
                put_default(avro, field.ty, json, out)?;
            }
        }
    }
    Ok(())
}
