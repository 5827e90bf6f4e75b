//! Protobuf's binary form straight to Connect values, by a plan that is compiled once for each message.

use std::sync::Arc;

use barnabas_connect::schema::SchemaKind;
use barnabas_connect::{Decimal, Error, Map, Result, SchemaRef, Str, Struct, Value, java};
use bytes::Bytes;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::to_connect::{has_optional, in_real_oneof, real_oneofs};
use super::{DATE, DECIMAL, Settings, TIME, TIMESTAMP, map_entry, wrapped};
use crate::input::{Input, unique};

/// How a message is read.
pub struct MessageRead {
    /// None for a wrapper at the root, which is its value.
    schema: Option<SchemaRef>,
    /// By their numbers.
    fields: Vec<(u32, FieldRead)>,
    /// What holds for fields that are not there.
    defaults: Vec<Value>,
}

struct FieldRead {
    slot: Slot,
    read: Read,
    many: Many,
}

/// Where a value goes.
enum Slot {
    Field(usize),
    Union { field: usize, schema: SchemaRef, member: usize },
}

enum Many {
    One,
    List,
    Entries,
}

enum Read {
    Scalar(Kind, SchemaKind),
    Enum {
        names: Vec<(i32, Str)>,
        as_text: bool,
    },
    Message(MessageRead),
    /// A wrapper whose value stands for it.
    Wrapped(Box<Read>),
    Entry(Box<(Read, Value, Read, Value)>),
    Decimal,
    Date,
    Time,
    Timestamp,
}

/// Compiles the plan of a message whose Connect schema is known.
pub fn compile(message: &MessageDescriptor, schema: &SchemaRef, settings: &Settings) -> Result<MessageRead> {
    if schema.kind() != SchemaKind::Struct {
        let field = wrapped(message).ok_or_else(|| Error::data("The message is no wrapper."))?;
        let read = Read::Scalar(field.kind(), schema.kind());
        let default = read.default();
        let one = FieldRead { slot: Slot::Field(0), read, many: Many::One };
        return Ok(MessageRead { schema: None, fields: vec![(1, one)], defaults: vec![default] });
    }
    let mut fields = Vec::new();
    let mut defaults = vec![Value::Null; schema.fields().len()];
    let missing = |name: &str| Error::data(format!("The Connect schema has no field {name}."));
    for field in message.fields() {
        let union = real_oneofs(message).find(|(_, oneof)| field.containing_oneof().as_ref() == Some(oneof));
        let (slot, own) = match union.filter(|_| !settings.flatten_unions) {
            Some((index, oneof)) => {
                let name = settings.union_field(oneof.name(), index);
                let at = schema.field_index(&name).ok_or_else(|| missing(&name))?;
                let union = schema.fields()[at].schema().clone();
                let member = union.field_index(field.name()).ok_or_else(|| missing(field.name()))?;
                let own = union.fields()[member].schema().clone();
                (Slot::Union { field: at, schema: union, member }, own)
            }
            None => {
                let at = schema.field_index(field.name()).ok_or_else(|| missing(field.name()))?;
                (Slot::Field(at), schema.fields()[at].schema().clone())
            }
        };
        let many = match (map_entry(&field), field.is_list()) {
            (Some(_), _) => Many::Entries,
            (None, true) => Many::List,
            _ => Many::One,
        };
        let read = read_of(&field, &own, settings)?;
        if let Slot::Field(at) = slot
            && !in_real_oneof(&field)
        {
            defaults[at] = default_of(&field, &read, &many, settings);
        }
        fields.push((field.number(), FieldRead { slot, read, many }));
    }
    fields.sort_by_key(|(number, _)| *number);
    Ok(MessageRead { schema: Some(schema.clone()), fields, defaults })
}

fn default_of(field: &FieldDescriptor, read: &Read, many: &Many, settings: &Settings) -> Value {
    let is_message = matches!(field.kind(), Kind::Message(_));
    match many {
        Many::List => Value::array(Vec::new()),
        Many::Entries => Value::from(Map::new()),
        Many::One if settings.struct_for_nulls => read.default(),
        Many::One if is_message => Value::Null,
        Many::One if has_optional(field) && (settings.optional_for_proto2 || field.containing_oneof().is_some()) => {
            Value::Null
        }
        Many::One => match (field.default_value(), read) {
            (prost_reflect::Value::String(text), _) => Value::from(text),
            (prost_reflect::Value::Bytes(bytes), _) => Value::Bytes(bytes),
            (prost_reflect::Value::EnumNumber(number), read) => read.enumerated(number),
            (prost_reflect::Value::Bool(value), _) => Value::Boolean(value),
            (prost_reflect::Value::F32(value), _) => Value::Float32(value),
            (prost_reflect::Value::F64(value), _) => Value::Float64(value),
            (prost_reflect::Value::I32(value), Read::Scalar(_, kind)) => narrow(i64::from(value), *kind),
            (prost_reflect::Value::U32(value), _) => Value::Int64(i64::from(value)),
            (prost_reflect::Value::I64(value), _) => Value::Int64(value),
            (prost_reflect::Value::U64(value), _) => Value::Int64(value as i64),
            (_, read) => read.default(),
        },
    }
}

fn narrow(value: i64, kind: SchemaKind) -> Value {
    match kind {
        SchemaKind::Int8 => Value::Int8(value as i8),
        SchemaKind::Int16 => Value::Int16(value as i16),
        SchemaKind::Int32 => Value::Int32(value as i32),
        _ => Value::Int64(value),
    }
}

fn read_of(field: &FieldDescriptor, schema: &SchemaRef, settings: &Settings) -> Result<Read> {
    let schema = match schema.kind() {
        SchemaKind::Array => schema.value_schema().unwrap_or(schema),
        _ => schema,
    };
    Ok(match field.kind() {
        Kind::Enum(ty) => Read::Enum {
            names: ty.values().map(|value| (value.number(), Str::copy_from(value.name()))).collect(),
            as_text: !settings.int_for_enums,
        },
        Kind::Message(message) => match message.full_name() {
            DECIMAL => Read::Decimal,
            DATE => Read::Date,
            TIME => Read::Time,
            TIMESTAMP => Read::Timestamp,
            _ => match (wrapped(&message).filter(|_| settings.wrapper_for_nullables), map_entry(field)) {
                (Some(inner), _) => Read::Wrapped(Box::new(Read::Scalar(inner.kind(), schema.kind()))),
                (None, Some((key, value))) => {
                    let part = |field: &FieldDescriptor, schema: Option<&SchemaRef>| {
                        let schema =
                            schema.ok_or_else(|| Error::data("A MAP schema has no schema for its entries."))?;
                        let read = read_of(field, schema, settings)?;
                        let default = default_of(field, &read, &Many::One, settings);
                        Ok::<_, Error>((read, default))
                    };
                    let ((key, no_key), (value, no_value)) =
                        (part(&key, schema.key_schema())?, part(&value, schema.value_schema())?);
                    Read::Entry(Box::new((key, no_key, value, no_value)))
                }
                (None, None) => Read::Message(compile(&message, schema, settings)?),
            },
        },
        kind => Read::Scalar(kind, schema.kind()),
    })
}

impl MessageRead {
    /// Reads a message; a part that comes later is merged into what was read before.
    pub fn read(&self, mut input: Input<'_>, before: Option<Value>) -> Result<Value> {
        let mut values = match before {
            Some(Value::Struct(before)) => before.values().to_vec(),
            _ => self.defaults.clone(),
        };
        let mut lists: Vec<Option<Vec<Value>>> = Vec::new();
        let mut maps: Vec<Option<Vec<(Value, Value)>>> = Vec::new();
        while input.left() > 0 {
            let (number, wire) = key(&mut input)?;
            let Ok(at) = self.fields.binary_search_by_key(&number, |(number, _)| *number) else {
                skip(&mut input, number, wire, 0)?;
                continue;
            };
            let field = &self.fields[at].1;
            match (&field.many, &field.slot) {
                (Many::List, Slot::Field(slot)) => {
                    lists.resize_with(values.len(), || None);
                    let list = lists[*slot].get_or_insert_with(Vec::new);
                    field.read.list(&mut input, wire, list)?;
                }
                (Many::Entries, Slot::Field(slot)) => {
                    maps.resize_with(values.len(), || None);
                    let Read::Entry(entry) = &field.read else { return Err(Error::data("A map has no entries.")) };
                    let pair = read_entry(entry, part(&mut input, wire)?)?;
                    maps[*slot].get_or_insert_with(Vec::new).push(pair);
                }
                (_, Slot::Field(slot)) => {
                    let before = std::mem::take(&mut values[*slot]);
                    values[*slot] = field.read.read(&mut input, wire, Some(before))?;
                }
                (_, Slot::Union { field: slot, schema, member }) => {
                    let value = field.read.read(&mut input, wire, None)?;
                    let mut members = vec![Value::Null; schema.fields().len()];
                    members[*member] = value;
                    values[*slot] = Value::Struct(Arc::new(Struct::from_values(schema.clone(), members)));
                }
            }
        }
        for (slot, list) in lists.into_iter().enumerate() {
            if let Some(list) = list {
                values[slot] = Value::array(list);
            }
        }
        for (slot, entries) in maps.into_iter().enumerate() {
            if let Some(entries) = entries {
                values[slot] = Value::from(Map::from_unique(unique(entries)).into_hash_order(java::HASH_MAP_DEFAULT));
            }
        }
        Ok(match &self.schema {
            Some(schema) => Value::Struct(Arc::new(Struct::from_values(schema.clone(), values))),
            None => values.pop().unwrap_or_default(),
        })
    }
}

fn read_entry(entry: &(Read, Value, Read, Value), mut input: Input<'_>) -> Result<(Value, Value)> {
    let (mut key_value, mut value) = (entry.1.clone(), entry.3.clone());
    while input.left() > 0 {
        match key(&mut input)? {
            (1, wire) => key_value = entry.0.read(&mut input, wire, None)?,
            (2, wire) => value = entry.2.read(&mut input, wire, None)?,
            (number, wire) => skip(&mut input, number, wire, 0)?,
        }
    }
    Ok((key_value, value))
}

impl Read {
    fn default(&self) -> Value {
        match self {
            Self::Scalar(_, kind) => match kind {
                SchemaKind::Boolean => Value::Boolean(false),
                SchemaKind::String => Value::from_static(""),
                SchemaKind::Bytes => Value::Bytes(Bytes::new()),
                SchemaKind::Float32 => Value::Float32(0.0),
                SchemaKind::Float64 => Value::Float64(0.0),
                kind => narrow(0, *kind),
            },
            Self::Enum { .. } => self.enumerated(0),
            Self::Message(message) => match &message.schema {
                Some(schema) => Value::Struct(Arc::new(Struct::from_values(schema.clone(), message.defaults.clone()))),
                None => message.defaults.first().cloned().unwrap_or_default(),
            },
            Self::Wrapped(inner) => inner.default(),
            _ => Value::Null,
        }
    }

    fn enumerated(&self, number: i32) -> Value {
        match self {
            Self::Enum { names, as_text: true } => match names.iter().find(|(known, _)| *known == number) {
                Some((_, name)) => Value::String(name.clone()),
                None => Value::from(format!("UNKNOWN_ENUM_VALUE_{number}")),
            },
            _ => Value::Int32(number),
        }
    }

    /// Items of a list: one, or many without keys between them.
    fn list(&self, input: &mut Input<'_>, wire: u8, list: &mut Vec<Value>) -> Result<()> {
        let own = match self {
            Self::Scalar(kind, _) => wire_of(kind),
            Self::Enum { .. } => 0,
            _ => 2,
        };
        if wire == 2 && own != 2 {
            let mut packed = part(input, wire)?;
            while packed.left() > 0 {
                list.push(self.read(&mut packed, own, None)?);
            }
            return Ok(());
        }
        list.push(self.read(input, wire, None)?);
        Ok(())
    }

    fn read(&self, input: &mut Input<'_>, wire: u8, before: Option<Value>) -> Result<Value> {
        Ok(match self {
            Self::Scalar(kind, target) => scalar(input, wire, kind, *target)?,
            Self::Enum { .. } => {
                expect(wire, 0)?;
                self.enumerated(input.varint(10)? as i32)
            }
            Self::Message(message) => message.read(part(input, wire)?, before)?,
            Self::Wrapped(inner) => {
                let mut message = part(input, wire)?;
                let mut value = inner.default();
                while message.left() > 0 {
                    match key(&mut message)? {
                        (1, wire) => value = inner.read(&mut message, wire, None)?,
                        (number, wire) => skip(&mut message, number, wire, 0)?,
                    }
                }
                value
            }
            Self::Entry(_) => return Err(Error::data("A map entry stands alone.")),
            Self::Decimal => {
                let (mut unscaled, mut scale) = (Bytes::new(), 0);
                let mut message = part(input, wire)?;
                while message.left() > 0 {
                    match key(&mut message)? {
                        (1, 2) => unscaled = length_delimited(&mut message)?,
                        (3, 0) => scale = message.varint(10)? as i32,
                        (number, wire) => skip(&mut message, number, wire, 0)?,
                    }
                }
                Value::Decimal(Decimal::new(unscaled, scale))
            }
            Self::Date => {
                let [year, month, day, _] = numbers(part(input, wire)?)?;
                let (month, day) = (u32::try_from(month).unwrap_or(0), u32::try_from(day).unwrap_or(0));
                if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
                    return Err(Error::data(format!(
                        "A google.type.Date of the year {year}, month {month} and day {day} is no day."
                    )));
                }
                let days = java::days_from_civil(year, month, day);
                Value::Date(i32::try_from(days).map_err(|_| Error::data(format!("The year {year} is out of range.")))?)
            }
            Self::Time => {
                let [hours, minutes, seconds, nanos] = numbers(part(input, wire)?)?;
                let seconds =
                    hours.saturating_mul(3600).saturating_add(minutes.saturating_mul(60)).saturating_add(seconds);
                let millis = seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000);
                let in_day = i32::try_from(millis).ok().filter(|millis| (0..=86_400_000).contains(millis));
                Value::Time(in_day.ok_or_else(|| Error::data("A google.type.TimeOfDay is beyond the day."))?)
            }
            Self::Timestamp => {
                let [seconds, nanos, ..] = numbers(part(input, wire)?)?;
                Value::Timestamp(seconds.saturating_mul(1000).saturating_add(nanos.div_euclid(1_000_000)))
            }
        })
    }
}

/// The first four fields, all numbers.
fn numbers(mut message: Input<'_>) -> Result<[i64; 4]> {
    let mut found = [0; 4];
    while message.left() > 0 {
        match key(&mut message)? {
            (number @ 1..=4, 0) => found[number as usize - 1] = message.varint(10)? as i64,
            (number, wire) => skip(&mut message, number, wire, 0)?,
        }
    }
    Ok(found)
}

pub fn wire_of(kind: &Kind) -> u8 {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
        Kind::String | Kind::Bytes | Kind::Message(_) => 2,
        _ => 0,
    }
}

fn scalar(input: &mut Input<'_>, wire: u8, kind: &Kind, target: SchemaKind) -> Result<Value> {
    expect(wire, wire_of(kind))?;
    let zigzag = |raw: u64| (raw >> 1) as i64 ^ -((raw & 1) as i64);
    Ok(match kind {
        Kind::Double => Value::Float64(f64::from_le_bytes(input.array()?)),
        Kind::Float => Value::Float32(f32::from_le_bytes(input.array()?)),
        Kind::Int32 => narrow(i64::from(input.varint(10)? as i32), target),
        Kind::Sint32 => narrow(i64::from(zigzag(input.varint(10)?) as i32), target),
        Kind::Sfixed32 => narrow(i64::from(i32::from_le_bytes(input.array()?)), target),
        Kind::Uint32 => Value::Int64(i64::from(input.varint(10)? as u32)),
        Kind::Fixed32 => Value::Int64(i64::from(u32::from_le_bytes(input.array()?))),
        Kind::Int64 | Kind::Uint64 => Value::Int64(input.varint(10)? as i64),
        Kind::Sint64 => Value::Int64(zigzag(input.varint(10)?)),
        Kind::Fixed64 | Kind::Sfixed64 => Value::Int64(i64::from_le_bytes(input.array()?)),
        Kind::Bool => Value::Boolean(input.varint(10)? != 0),
        Kind::String => {
            let bytes = length_delimited(input)?;
            Value::String(Str::try_from(bytes).map_err(|error| Error::data(format!("A string is not UTF-8: {error}")))?)
        }
        _ => Value::Bytes(length_delimited(input)?),
    })
}

fn key(input: &mut Input<'_>) -> Result<(u32, u8)> {
    let raw = input.varint(5)?;
    let number = u32::try_from(raw >> 3).ok().filter(|number| (1..1 << 29).contains(number));
    let number = number.ok_or_else(|| Error::data(format!("{} is no field number.", raw >> 3)))?;
    Ok((number, (raw & 7) as u8))
}

fn length(input: &mut Input<'_>) -> Result<usize> {
    Ok(usize::try_from(input.varint(10)?).unwrap_or(usize::MAX))
}

fn length_delimited(input: &mut Input<'_>) -> Result<Bytes> {
    let length = length(input)?;
    input.take(length)
}

fn part<'a>(input: &mut Input<'a>, wire: u8) -> Result<Input<'a>> {
    expect(wire, 2)?;
    let length = length(input)?;
    input.part(length)
}

fn expect(found: u8, expected: u8) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::data(format!("A field has the wire type {found}, but its schema says {expected}.")))
}

/// Passes a field that the schema does not know.
fn skip(input: &mut Input<'_>, number: u32, wire: u8, depth: usize) -> Result<()> {
    match wire {
        0 => _ = input.varint(10)?,
        1 => _ = input.array::<8>()?,
        2 => _ = length_delimited(input)?,
        5 => _ = input.array::<4>()?,
        3 if depth < 100 => loop {
            match key(input)? {
                (end, 4) if end == number => return Ok(()),
                (inner, wire) => skip(input, inner, wire, depth + 1)?,
            }
        },
        other => return Err(Error::data(format!("The field {number} has the wire type {other}."))),
    }
    Ok(())
}
