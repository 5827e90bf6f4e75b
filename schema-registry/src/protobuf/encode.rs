//! Connect values straight to Protobuf's binary form, by a plan that is compiled once for each pair of schemas.

use std::sync::Arc;

use barnabas_connect::schema::SchemaKind;
use barnabas_connect::{Decimal, Error, Map, Result, SchemaRef, Struct, Value, java};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::decode::wire_of;
use super::{DATE, DECIMAL, ENUM, GENERAL_ENUM, Settings, TIME, TIMESTAMP, is_union, map_entry, wrapped};

/// How a message is written.
pub enum Write {
    /// A plain value in a wrapper message.
    Wrapper(Field),
    /// A struct; its fields in the order of their numbers.
    Struct { schema: SchemaRef, fields: Vec<(Slot, Field)>, ignore_default: bool },
}

/// Where a value comes from.
#[derive(Clone, Copy)]
pub enum Slot {
    Field(usize),
    Union { field: usize, member: usize },
}

pub struct Field {
    number: u32,
    /// Whether a value that is the default is written all the same.
    presence: bool,
    packed: bool,
    kind: FieldKind,
}

enum FieldKind {
    Scalar(Kind),
    Enum { name: String, numbers: Vec<(String, i32)> },
    Message(Box<Write>),
    Wrapped(Kind),
    Entry(Box<(Field, Field)>),
    Decimal,
    Date,
    Time,
    Timestamp,
}

impl Write {
    /// The plan of a value and its message.
    pub fn root(schema: &SchemaRef, message: &MessageDescriptor, settings: &Settings) -> Result<Self> {
        match wrapped(message) {
            Some(field) if schema.kind() != SchemaKind::Struct => Ok(Self::Wrapper(Field {
                number: 1,
                presence: false,
                packed: false,
                kind: FieldKind::Scalar(field.kind()),
            })),
            _ => Self::of(schema, message, settings),
        }
    }

    fn of(schema: &SchemaRef, message: &MessageDescriptor, settings: &Settings) -> Result<Self> {
        if schema.kind() != SchemaKind::Struct {
            return Err(Error::data(format!(
                "A {} cannot be written as the Protobuf message {}",
                schema.kind(),
                message.full_name()
            )));
        }
        let mut fields = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if is_union(field.schema()) {
                for (member, own) in field.schema().fields().iter().enumerate() {
                    let target = find(message, &settings.name(own.name()))?;
                    fields.push((Slot::Union { field: index, member }, Field::of(&target, own.schema(), settings)?));
                }
            } else {
                let target = find(message, &settings.name(field.name()))?;
                fields.push((Slot::Field(index), Field::of(&target, field.schema(), settings)?));
            }
        }
        fields.sort_by_key(|(_, field)| field.number);
        Ok(Self::Struct { schema: schema.clone(), fields, ignore_default: settings.ignore_default })
    }

    /// Appends the content of the message.
    pub fn message(&self, out: &mut Vec<u8>, value: &Value) -> Result<()> {
        match (self, value) {
            (Self::Wrapper(field), value) => field.write(out, value),
            (Self::Struct { schema, fields, ignore_default }, Value::Struct(own)) => {
                if !Arc::ptr_eq(own.schema(), schema) && own.schema() != schema {
                    return Err(Error::data("Mismatching struct schema"));
                }
                for (slot, field) in fields {
                    let value = match slot {
                        Slot::Field(index) => get(own, *index, *ignore_default),
                        Slot::Union { field, member } => match get(own, *field, *ignore_default) {
                            // Of several members that are set the first counts.
                            Value::Struct(union) if first_set(union, *ignore_default) == Some(*member) => {
                                get(union, *member, *ignore_default)
                            }
                            Value::Struct(_) | Value::Null => continue,
                            other => return Err(wrong_type("STRUCT", other)),
                        },
                    };
                    field.write(out, value)?;
                }
                Ok(())
            }
            (_, other) => Err(wrong_type("STRUCT", other)),
        }
    }
}

fn get(own: &Struct, index: usize, ignore_default: bool) -> &Value {
    if ignore_default { &own.values()[index] } else { own.get_at(index) }
}

fn first_set(union: &Struct, ignore_default: bool) -> Option<usize> {
    (0..union.values().len()).find(|index| !get(union, *index, ignore_default).is_null())
}

fn find(message: &MessageDescriptor, name: &str) -> Result<FieldDescriptor> {
    let unknown = || Error::data(format!("The Protobuf message {} has no field {name}", message.full_name()));
    message.get_field_by_name(name).ok_or_else(unknown)
}

impl Field {
    fn of(field: &FieldDescriptor, schema: &SchemaRef, settings: &Settings) -> Result<Self> {
        let item = match schema.kind() {
            SchemaKind::Array => schema.value_schema().unwrap_or(schema),
            _ => schema,
        };
        let is_list = matches!(schema.kind(), SchemaKind::Array | SchemaKind::Map);
        let mismatch = || {
            let name = item.name().map(|name| format!(" {name}")).unwrap_or_default();
            Error::data(format!(
                "A {}{name} cannot be written as the Protobuf field {}",
                item.kind(),
                field.full_name()
            ))
        };
        if is_list != (field.is_list() || field.is_map()) {
            return Err(mismatch());
        }
        let kind = match field.kind() {
            Kind::Message(message) => match (message.full_name(), map_entry(field)) {
                (DECIMAL, _) => FieldKind::Decimal,
                (DATE, _) => FieldKind::Date,
                (TIME, _) => FieldKind::Time,
                (TIMESTAMP, _) => FieldKind::Timestamp,
                (_, Some((key, value))) if item.kind() == SchemaKind::Map => {
                    let part = |part: &FieldDescriptor, schema: Option<&SchemaRef>| {
                        let part = Self::of(part, schema.ok_or_else(mismatch)?, settings)?;
                        // As Google's library does it, the entries of what was declared as a map have their zeros, too.
                        Ok::<_, Error>(Self { presence: part.presence || field.is_map(), ..part })
                    };
                    FieldKind::Entry(Box::new((part(&key, item.key_schema())?, part(&value, item.value_schema())?)))
                }
                _ => match wrapped(&message) {
                    Some(inner) if item.kind() != SchemaKind::Struct => FieldKind::Wrapped(inner.kind()),
                    _ => FieldKind::Message(Box::new(Write::of(item, &message, settings)?)),
                },
            },
            Kind::Enum(ty) => {
                // What a symbol stands for may have been said by the schema of the data.
                let own = |symbol: &str| {
                    let marked =
                        |marker: &str| item.parameter(&format!("{marker}.{symbol}")).and_then(|text| text.parse().ok());
                    marked(ENUM).or_else(|| marked(GENERAL_ENUM))
                };
                let numbers = ty.values().map(|value| {
                    let name = value.name().to_owned();
                    let number = own(&name).unwrap_or(value.number());
                    (name, number)
                });
                FieldKind::Enum { name: ty.full_name().to_owned(), numbers: numbers.collect() }
            }
            kind => FieldKind::Scalar(kind),
        };
        Ok(Self { number: field.number(), presence: field.supports_presence(), packed: field.is_packed(), kind })
    }

    fn write(&self, out: &mut Vec<u8>, value: &Value) -> Result<()> {
        match (value, &self.kind) {
            (Value::Null, _) => Ok(()),
            (Value::Array(items), kind) => {
                if self.packed && !items.is_empty() {
                    self.put_key(out, 2);
                    return with_length(out, |out| {
                        items.iter().try_for_each(|item| match kind {
                            FieldKind::Scalar(kind) => put_scalar(out, kind, item),
                            FieldKind::Enum { name, numbers } => put_enum(out, name, numbers, item),
                            _ => Err(wrong_type("ARRAY", item)),
                        })
                    });
                }
                items.iter().filter(|item| !item.is_null()).try_for_each(|item| self.put(out, item))
            }
            (Value::Map(entries), FieldKind::Entry(entry)) => self.entries(out, entries, entry),
            (value, _) if !self.presence && self.is_default(value) => Ok(()),
            (value, _) => self.put(out, value),
        }
    }

    fn entries(&self, out: &mut Vec<u8>, entries: &Map, entry: &(Field, Field)) -> Result<()> {
        for (key, value) in entries.iter() {
            self.put_key(out, 2);
            with_length(out, |out| {
                entry.0.write(out, key)?;
                entry.1.write(out, value)
            })?;
        }
        Ok(())
    }

    fn is_default(&self, value: &Value) -> bool {
        match (value, &self.kind) {
            (Value::String(text), FieldKind::Enum { numbers, .. }) => {
                numbers.iter().any(|(name, number)| *number == 0 && *name == **text)
            }
            (Value::String(text), _) => text.is_empty(),
            (Value::Bytes(bytes), _) => bytes.is_empty(),
            (Value::Boolean(value), _) => !value,
            // The negative zero is not the default.
            (Value::Float32(value), _) => value.to_bits() == 0,
            (Value::Float64(value), _) => value.to_bits() == 0,
            (value, _) => value.as_i64() == Some(0),
        }
    }

    fn put_key(&self, out: &mut Vec<u8>, wire: u8) {
        put_varint(out, u64::from(self.number) << 3 | u64::from(wire));
    }

    fn put(&self, out: &mut Vec<u8>, value: &Value) -> Result<()> {
        match (&self.kind, value) {
            (FieldKind::Scalar(kind), value) => {
                self.put_key(out, wire_of(kind));
                put_scalar(out, kind, value)
            }
            (FieldKind::Enum { name, numbers }, value) => {
                self.put_key(out, 0);
                put_enum(out, name, numbers, value)
            }
            (FieldKind::Message(message), value) => {
                self.put_key(out, 2);
                with_length(out, |out| message.message(out, value))
            }
            (FieldKind::Wrapped(kind), value) => {
                let inner = Self { number: 1, presence: false, packed: false, kind: FieldKind::Scalar(kind.clone()) };
                self.put_key(out, 2);
                with_length(out, |out| inner.write(out, value))
            }
            (FieldKind::Decimal, Value::Decimal(decimal)) => {
                self.put_key(out, 2);
                with_length(out, |out| {
                    let precision =
                        Decimal::new(decimal.unscaled().clone(), 0).to_string().trim_start_matches('-').len();
                    put_bytes(out, 1, decimal.unscaled());
                    put_number(out, 2, precision as i64);
                    put_number(out, 3, i64::from(decimal.scale()));
                    Ok(())
                })
            }
            (FieldKind::Date, Value::Date(days)) => {
                let (year, month, day) = java::civil_from_days(i64::from(*days));
                self.numbers(out, [year, i64::from(month), i64::from(day), 0])
            }
            (FieldKind::Time, Value::Time(millis)) => {
                let millis = i64::from(*millis);
                let seconds = millis / 1000;
                self.numbers(out, [seconds / 3600, seconds / 60 % 60, seconds % 60, millis % 1000 * 1_000_000])
            }
            (FieldKind::Timestamp, Value::Timestamp(millis)) => {
                self.numbers(out, [millis.div_euclid(1000), millis.rem_euclid(1000) * 1_000_000, 0, 0])
            }
            (_, other) => Err(wrong_type("STRUCT", other)),
        }
    }

    fn numbers(&self, out: &mut Vec<u8>, numbers: [i64; 4]) -> Result<()> {
        self.put_key(out, 2);
        with_length(out, |out| {
            (1..).zip(numbers).for_each(|(field, number)| put_number(out, field, number));
            Ok(())
        })
    }
}

/// A field that is a number, when it is not the default.
fn put_number(out: &mut Vec<u8>, field: u64, number: i64) {
    if number != 0 {
        put_varint(out, field << 3);
        put_varint(out, number as u64);
    }
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_enum(out: &mut Vec<u8>, name: &str, numbers: &[(String, i32)], value: &Value) -> Result<()> {
    let number = match value {
        Value::String(text) => numbers
            .iter()
            .find(|(symbol, _)| *symbol == **text)
            .map(|(_, number)| *number)
            .ok_or_else(|| Error::data(format!("The enum {name} has no symbol {text}")))?,
        Value::Int32(number) => *number,
        other => return Err(wrong_type("STRING", other)),
    };
    put_varint(out, i64::from(number) as u64);
    Ok(())
}

fn put_scalar(out: &mut Vec<u8>, kind: &Kind, value: &Value) -> Result<()> {
    let zigzag = |value: i64| (value << 1 ^ value >> 63) as u64;
    match (kind, value) {
        (Kind::Double, Value::Float64(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Kind::Double, Value::Float32(value)) => out.extend_from_slice(&f64::from(*value).to_le_bytes()),
        (Kind::Float, Value::Float32(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Kind::Bool, Value::Boolean(value)) => out.push(u8::from(*value)),
        (Kind::String, Value::String(text)) => {
            put_varint(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        (Kind::Bytes, Value::Bytes(bytes)) => {
            put_varint(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        (kind, value) => {
            let number = value.as_i64().ok_or_else(|| wrong_type(name_of(kind), value))?;
            match kind {
                Kind::Int32 => put_varint(out, i64::from(number as i32) as u64),
                Kind::Uint32 => put_varint(out, u64::from(number as u32)),
                Kind::Int64 | Kind::Uint64 => put_varint(out, number as u64),
                Kind::Sint32 | Kind::Sint64 => put_varint(out, zigzag(number)),
                Kind::Fixed32 | Kind::Sfixed32 => out.extend_from_slice(&(number as u32).to_le_bytes()),
                Kind::Fixed64 | Kind::Sfixed64 => out.extend_from_slice(&number.to_le_bytes()),
                _ => return Err(wrong_type(name_of(kind), value)),
            }
        }
    }
    Ok(())
}

fn name_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Double => "FLOAT64",
        Kind::Float => "FLOAT32",
        Kind::Bool => "BOOLEAN",
        Kind::String => "STRING",
        Kind::Bytes => "BYTES",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "INT32",
        _ => "INT64",
    }
}

fn wrong_type(expected: &str, value: &Value) -> Error {
    Error::data(format!("Invalid type for {expected}: class {}", value.java_class()))
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes the content, then its length in front of it.
fn with_length(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let start = out.len();
    // Nearly all are shorter than 128 bytes.
    out.push(0);
    content(out)?;
    let length = out.len() - start - 1;
    if length < 0x80 {
        out[start] = length as u8;
    } else {
        let mut prefix = Vec::with_capacity(10);
        put_varint(&mut prefix, length as u64);
        out.splice(start..=start, prefix);
    }
    Ok(())
}

/// The path to a message in its schema; the first message of all is just a zero.
pub fn put_indexes(out: &mut Vec<u8>, path: &[usize]) {
    if path == [0] {
        return out.push(0);
    }
    put_varint(out, (path.len() as u64) << 1);
    path.iter().for_each(|index| put_varint(out, (*index as u64) << 1));
}
