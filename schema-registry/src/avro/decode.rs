//! Avro's binary form straight to Connect values, by a plan that is compiled once for each schema.
//!
//! The bytes are foreign: every length is checked against what is left, and nothing is allocated on their word alone.

use std::sync::Arc;

use barnabas_connect::schema::{Logical, SchemaKind};
use barnabas_connect::{Decimal, Error, Map, Result, SchemaRef, Str, Struct, Value, java};
use bytes::Bytes;

use super::schema::{AvroSchema, Kind, TypeId};
use super::{Settings, anything, is_map_entry, is_union};
use crate::input::{Input, unique};

/// How a type is read.
pub enum Read {
    Null,
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Bytes,
    Text,
    Date,
    Time,
    Timestamp,
    Fixed(usize),
    Decimal {
        scale: i32,
        fixed: Option<usize>,
    },
    Enum(Vec<Str>),
    Array(Box<Items>),
    Map(Box<Items>),
    /// An array of keys and values; true when the key comes first.
    Entries(Box<Items>, Read0, bool),
    Struct {
        schema: SchemaRef,
        fields: Vec<Read>,
    },
    /// A union that is one value or null.
    Branches(Vec<Read>),
    /// A union that is a struct with one field set: the index of the field for each branch.
    Union {
        schema: SchemaRef,
        branches: Vec<(Option<usize>, Read)>,
    },
    Anything,
}

/// The value of a map entry.
type Read0 = Box<Read>;

/// The items of an array or map.
pub struct Items {
    read: Read,
    /// The fewest bytes that an item takes.
    least: usize,
}

impl Items {
    fn new(read: Read) -> Box<Self> {
        Box::new(Self { least: read.least(), read })
    }
}

/// Compiles the plan of a type whose Connect schema is known.
pub fn compile(avro: &AvroSchema, id: TypeId, schema: &SchemaRef, settings: &Settings) -> Result<Read> {
    let inner =
        |index: Option<&SchemaRef>| index.cloned().ok_or_else(|| Error::data("A schema has no schema for its items."));
    Ok(match &avro.get(id).kind {
        Kind::Null => Read::Null,
        Kind::Boolean => Read::Boolean,
        Kind::Int => match (schema.logical(), schema.kind()) {
            (Some(Logical::Date), _) => Read::Date,
            (Some(Logical::Time), _) => Read::Time,
            (_, SchemaKind::Int8) => Read::Int8,
            (_, SchemaKind::Int16) => Read::Int16,
            _ => Read::Int32,
        },
        Kind::Long if schema.logical() == Some(Logical::Timestamp) => Read::Timestamp,
        Kind::Long => Read::Int64,
        Kind::Float => Read::Float32,
        Kind::Double => Read::Float64,
        Kind::String => Read::Text,
        Kind::Bytes | Kind::Fixed { .. } => {
            let fixed = match &avro.get(id).kind {
                Kind::Fixed { size, .. } => Some(*size),
                _ => None,
            };
            match (schema.logical(), fixed) {
                (Some(Logical::Decimal), fixed) => Read::Decimal { scale: schema.decimal_scale()?, fixed },
                (_, Some(size)) => Read::Fixed(size),
                _ => Read::Bytes,
            }
        }
        Kind::Enum { symbols, .. } => Read::Enum(symbols.iter().map(|symbol| Str::copy_from(symbol)).collect()),
        Kind::Array(item) => match is_map_entry(avro, *item) {
            Some(entry) => {
                let (key, value) = entry?;
                let keys = compile(avro, key, &inner(schema.key_schema())?, settings)?;
                let values = compile(avro, value, &inner(schema.value_schema())?, settings)?;
                let least = keys.least() + values.least();
                let key_first = match &avro.get(*item).kind {
                    Kind::Record { fields, .. } => fields[0].name == "key",
                    _ => true,
                };
                Read::Entries(Box::new(Items { read: keys, least }), Box::new(values), key_first)
            }
            None => Read::Array(Items::new(compile(avro, *item, &inner(schema.value_schema())?, settings)?)),
        },
        Kind::Map(value) => Read::Map(Items::new(compile(avro, *value, &inner(schema.value_schema())?, settings)?)),
        Kind::Record { fields, .. } => {
            let own = fields.iter().zip(schema.fields());
            let fields =
                own.map(|(field, own)| compile(avro, field.ty, own.schema(), settings)).collect::<Result<Vec<_>>>()?;
            Read::Struct { schema: schema.clone(), fields }
        }
        Kind::Union(branches) if is_union(schema) && !is_plain_union(avro, branches, settings) => {
            let mut reads = Vec::with_capacity(branches.len());
            let mut field = 0;
            for branch in branches {
                if matches!(avro.get(*branch).kind, Kind::Null) {
                    reads.push((None, Read::Null));
                } else {
                    reads.push((Some(field), compile(avro, *branch, schema.fields()[field].schema(), settings)?));
                    field += 1;
                }
            }
            Read::Union { schema: schema.clone(), branches: reads }
        }
        Kind::Union(branches) => Read::Branches(
            branches.iter().map(|branch| compile(avro, *branch, schema, settings)).collect::<Result<Vec<_>>>()?,
        ),
    })
}

/// The plan of a whole schema. Connect's own schema of anything has no Connect schema.
pub fn compile_root(avro: &AvroSchema, schema: Option<&SchemaRef>, settings: &Settings) -> Result<Read> {
    match schema {
        Some(schema) => compile(avro, avro.root, schema, settings),
        None => Ok(Read::Anything),
    }
}

fn is_plain_union(avro: &AvroSchema, branches: &[TypeId], settings: &Settings) -> bool {
    match branches {
        [_] => settings.flatten_singleton,
        [one, other] => [one, other].iter().any(|branch| matches!(avro.get(**branch).kind, Kind::Null)),
        _ => false,
    }
}

impl Read {
    /// The fewest bytes that a value takes.
    fn least(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Float32 => 4,
            Self::Float64 => 8,
            Self::Fixed(size) | Self::Decimal { fixed: Some(size), .. } => *size,
            Self::Struct { fields, .. } => fields.iter().map(Self::least).fold(0, usize::saturating_add),
            Self::Anything => 9,
            _ => 1,
        }
    }

    /// Reads one value.
    pub fn read(&self, input: &mut Input<'_>) -> Result<Value> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Boolean => Value::Boolean(input.byte()? != 0),
            Self::Int8 => Value::Int8(int(input)? as i8),
            Self::Int16 => Value::Int16(int(input)? as i16),
            Self::Int32 => Value::Int32(int(input)?),
            Self::Int64 => Value::Int64(long(input)?),
            Self::Float32 => Value::Float32(f32::from_le_bytes(input.array()?)),
            Self::Float64 => Value::Float64(f64::from_le_bytes(input.array()?)),
            Self::Bytes => Value::Bytes(bytes(input)?),
            Self::Text => Value::String(Str::from_utf8_lossy(bytes(input)?)),
            Self::Date => Value::Date(int(input)?),
            Self::Time => {
                let millis = int(input)?;
                if !(0..=java::MILLIS_PER_DAY).contains(&i64::from(millis)) {
                    return Err(Error::data(
                        "Time values must use number of milliseconds greater than 0 and less than 86400000",
                    ));
                }
                Value::Time(millis)
            }
            Self::Timestamp => Value::Timestamp(long(input)?),
            Self::Fixed(size) => Value::Bytes(input.take(*size)?),
            Self::Decimal { scale, fixed: None } => decimal(bytes(input)?, *scale)?,
            Self::Decimal { scale, fixed: Some(size) } => decimal(input.take(*size)?, *scale)?,
            Self::Enum(symbols) => {
                let index = int(input)?;
                let symbol = usize::try_from(index).ok().and_then(|index| symbols.get(index));
                let symbol =
                    symbol.ok_or_else(|| Error::data(format!("The enum has no symbol with the index {index}.")))?;
                Value::String(symbol.clone())
            }
            Self::Array(items) => {
                let mut values = Vec::new();
                blocks(input, items.least, |input, left| {
                    if values.is_empty() {
                        values.reserve(left.min(1024));
                    }
                    values.push(items.read.read(input)?);
                    Ok(())
                })?;
                Value::array(values)
            }
            Self::Map(items) => {
                let mut entries = Vec::new();
                let mut first = 0;
                blocks(input, items.least + 1, |input, left| {
                    if entries.is_empty() {
                        first = left;
                        entries.reserve(left.min(1024));
                    }
                    let key = Str::from_utf8_lossy(bytes(input)?);
                    entries.push((Value::String(key), items.read.read(input)?));
                    Ok(())
                })?;
                // As Java: Avro's own map, made for the first block, is copied into one for all.
                let capacity = java::HASH_MAP_DEFAULT;
                let mut entries = unique(entries);
                java::hash_order(&mut entries, capacity, |(key, _)| key.as_str().map(utf8_hash));
                let capacity = java::hash_map_capacity(entries.len());
                Value::from(Map::from_unique(entries).into_hash_order(capacity))
            }
            Self::Entries(keys, values, key_first) => {
                let mut entries = Vec::new();
                blocks(input, keys.least, |input, _| {
                    let one = if *key_first { keys.read.read(input)? } else { values.read(input)? };
                    let other = if *key_first { values.read(input)? } else { keys.read.read(input)? };
                    entries.push(if *key_first { (one, other) } else { (other, one) });
                    Ok(())
                })?;
                let capacity = java::hash_map_capacity(entries.len());
                Value::from(Map::from_unique(unique(entries)).into_hash_order(capacity))
            }
            Self::Struct { schema, fields } => {
                let mut values = Vec::with_capacity(fields.len());
                for field in fields {
                    values.push(field.read(input)?);
                }
                Value::Struct(Arc::new(Struct::from_values(schema.clone(), values)))
            }
            Self::Branches(branches) => branches[branch(input, branches.len())?].read(input)?,
            Self::Union { schema, branches } => {
                let (field, read) = &branches[branch(input, branches.len())?];
                let value = read.read(input)?;
                match field {
                    None => Value::Null,
                    Some(field) => {
                        let mut values = vec![Value::Null; schema.fields().len()];
                        values[*field] = value;
                        Value::Struct(Arc::new(Struct::from_values(schema.clone(), values)))
                    }
                }
            }
            Self::Anything => anything::read(input, 0)?,
        })
    }
}

/// `org.apache.avro.util.Utf8.hashCode`: that of a string where the text is ASCII.
fn utf8_hash(text: &str) -> i32 {
    text.bytes().fold(1i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte as i8)))
}

pub fn long(input: &mut Input<'_>) -> Result<i64> {
    let raw = input.varint(10)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

pub fn int(input: &mut Input<'_>) -> Result<i32> {
    let raw = input.varint(5)? as u32;
    Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

pub fn bytes(input: &mut Input<'_>) -> Result<Bytes> {
    let length = long(input)?;
    let length = usize::try_from(length).map_err(|_| Error::data(format!("A length is negative: {length}.")))?;
    input.take(length)
}

fn decimal(unscaled: Bytes, scale: i32) -> Result<Value> {
    if unscaled.is_empty() {
        return Err(Error::data("Zero length BigInteger"));
    }
    Ok(Value::Decimal(Decimal::new(unscaled, scale)))
}

pub fn branch(input: &mut Input<'_>, count: usize) -> Result<usize> {
    let index = int(input)?;
    let valid = usize::try_from(index).ok().filter(|index| *index < count);
    valid.ok_or_else(|| Error::data(format!("The union has no branch with the index {index}.")))
}

/// Reads the items of all blocks. Each gets the number of items that its block says to have left.
pub fn blocks(
    input: &mut Input<'_>,
    least: usize,
    mut item: impl FnMut(&mut Input<'_>, usize) -> Result<()>,
) -> Result<()> {
    loop {
        let mut count = long(input)?;
        if count == 0 {
            return Ok(());
        }
        if count < 0 {
            // A block with its length in bytes, for readers that skip.
            long(input)?;
            count = count.checked_neg().unwrap_or(i64::MAX);
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        input.expect_items(count, least)?;
        for left in (1..=count).rev() {
            item(input, left)?;
        }
    }
}
