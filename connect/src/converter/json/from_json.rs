//! JSON to values (`JsonConverter.convertToConnect`).

use std::borrow::Cow;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::java;
use crate::json::{Node, Number, Reader, Token, unite};
use crate::schema::{Logical, SchemaKind, SchemaRef};
use crate::value::{Decimal, Map, Str, Struct, Value};

use super::{Settings, not_json};

/// Converts the payload of one message.
pub(super) struct FromJson<'t> {
    // The whole message: strings without escapes share its bytes.
    text: &'t Str,
    settings: Settings,
    // A value had not the type that its schema says, and became null as in Java: the struct around it has to be checked in full.
    suspicious: bool,
}

impl<'t> FromJson<'t> {
    pub fn new(text: &'t Str, settings: Settings) -> Self {
        Self { text, settings, suspicious: false }
    }

    /// Reads a value without a schema, straight from the text. `payload` is the message or a part of it.
    pub fn schemaless(&self, payload: &str) -> Result<Value> {
        let mut reader = Reader::new(payload);
        if !reader.begin() {
            return Ok(Value::Null);
        }
        let number = reader.at_number();
        let value = self.read(&mut reader)?;
        reader.finish(number).map_err(not_json)?;
        Ok(value)
    }

    /// The same from a tree.
    pub fn schemaless_node(&self, node: &Node<'_>) -> Value {
        match node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Boolean(*value),
            Node::Number(number @ Number::Decimal(_)) => Value::Float64(double_value(*number)),
            Node::Number(number) => Value::Int64(long_value(*number)),
            Node::String(text) => Value::String(self.share(text.clone())),
            Node::Array(items) => Value::array(items.iter().map(|item| self.schemaless_node(item)).collect::<Vec<_>>()),
            Node::Object(members) => {
                let entry = |(name, value): &(Cow<'_, str>, Node<'_>)| {
                    (Value::String(self.share(name.clone())), self.schemaless_node(value))
                };
                let map = Map::from_unique(members.iter().map(entry).collect());
                Value::from(map.into_hash_order(java::HASH_MAP_DEFAULT))
            }
        }
    }

    fn read(&self, reader: &mut Reader<'_>) -> Result<Value> {
        Ok(match reader.token().map_err(not_json)? {
            Token::Null => Value::Null,
            Token::Bool(value) => Value::Boolean(value),
            Token::Number(number @ Number::Decimal(_)) => Value::Float64(double_value(number)),
            Token::Number(number) => Value::Int64(long_value(number)),
            Token::String(text) => Value::String(self.share(text)),
            Token::Array => {
                let mut values = Vec::new();
                while reader.next_item(values.is_empty()).map_err(not_json)? {
                    values.push(self.read(reader)?);
                }
                Value::array(values)
            }
            Token::Object => {
                let mut entries = Vec::new();
                while let Some(name) = reader.next_name(entries.is_empty()).map_err(not_json)? {
                    entries.push((Value::String(self.share(name)), self.read(reader)?));
                }
                unite(&mut entries, |one, other| one == other);
                Value::from(Map::from_unique(entries).into_hash_order(java::HASH_MAP_DEFAULT))
            }
        })
    }

    fn share(&self, text: Cow<'_, str>) -> Str {
        match text {
            Cow::Borrowed(part) if self.contains(part) => self.text.slice_ref(part),
            text => Str::from(text.into_owned()),
        }
    }

    /// Whether `part` is a slice of the message and long enough for sharing to beat a copy.
    fn contains(&self, part: &str) -> bool {
        let (whole, part) = (self.text.as_bytes().as_ptr_range(), part.as_bytes().as_ptr_range());
        part.start != part.end && whole.start <= part.start && part.end <= whole.end
    }

    /// Converts a value that has a schema; a missing member is null.
    pub fn with_schema(&mut self, schema: &SchemaRef, node: Option<&Node<'_>>) -> Result<Value> {
        let node = match node {
            None | Some(Node::Null) => {
                return match schema.default() {
                    Some(default) if self.settings.replace_null => Ok(default.clone()),
                    _ if schema.is_optional() => Ok(Value::Null),
                    _ => Err(Error::data(format!("Invalid null value for required {} field", schema.kind()))),
                };
            }
            Some(node) => node,
        };
        if let Some(logical) = schema.logical() {
            return logical_value(logical, schema, node);
        }
        Ok(match schema.kind() {
            SchemaKind::Boolean => Value::Boolean(*node == Node::Bool(true)),
            SchemaKind::Int8 => Value::Int8(long_value(number(node)) as i8),
            SchemaKind::Int16 => Value::Int16(long_value(number(node)) as i16),
            SchemaKind::Int32 => Value::Int32(long_value(number(node)) as i32),
            SchemaKind::Int64 => Value::Int64(long_value(number(node))),
            SchemaKind::Float32 => Value::Float32(match number(node) {
                Number::Integer(value) => value as f32,
                // Adding zero makes the negative zero positive: a `BigDecimal` has only one.
                Number::BigInteger(digits) | Number::Decimal(digits) => digits.parse().unwrap_or(f32::NAN) + 0.0,
            }),
            SchemaKind::Float64 => Value::Float64(double_value(number(node))),
            SchemaKind::String => match node {
                Node::String(text) => Value::String(self.share(text.clone())),
                _ => self.wrong_type(),
            },
            SchemaKind::Bytes => match node {
                Node::String(text) => Value::Bytes(Bytes::from(
                    java::base64_decode(text).map_err(|error| Error::data("Invalid bytes field").with_source(error))?,
                )),
                _ => self.wrong_type(),
            },
            SchemaKind::Array => self.array(schema, node)?,
            SchemaKind::Map => self.map(schema, node)?,
            SchemaKind::Struct => self.structure(schema, node)?,
        })
    }

    fn wrong_type(&mut self) -> Value {
        self.suspicious = true;
        Value::Null
    }

    fn array(&mut self, schema: &SchemaRef, node: &Node<'_>) -> Result<Value> {
        let Some(element) = schema.value_schema() else {
            return Err(Error::data("No schema defined for element of array"));
        };
        let mut values = Vec::new();
        match node {
            Node::Array(items) => {
                values.reserve(items.len());
                for item in items {
                    values.push(self.with_schema(element, Some(item))?);
                }
            }
            // Java iterates over whatever it finds: the values of an object, nothing in all else.
            Node::Object(members) => {
                for (_, item) in members {
                    values.push(self.with_schema(element, Some(item))?);
                }
            }
            _ => {}
        }
        Ok(Value::array(values))
    }

    fn map(&mut self, schema: &SchemaRef, node: &Node<'_>) -> Result<Value> {
        let (Some(key_schema), Some(value_schema)) = (schema.key_schema(), schema.value_schema()) else {
            return Err(Error::data("No schema defined for key of map"));
        };
        let mut map = Map::new();
        if key_schema.kind() == SchemaKind::String {
            let Node::Object(members) = node else {
                return Err(Error::data(format!(
                    "Maps with string fields should be encoded as JSON objects, but found {}",
                    node.type_name()
                )));
            };
            let mut entries = Vec::with_capacity(members.len());
            for (name, value) in members {
                entries.push((Value::String(self.share(name.clone())), self.with_schema(value_schema, Some(value))?));
            }
            map = Map::from_unique(entries);
        } else {
            let Node::Array(pairs) = node else {
                return Err(Error::data(format!(
                    "Maps with non-string fields should be encoded as JSON array of tuples, but found {}",
                    node.type_name()
                )));
            };
            for pair in pairs {
                let Node::Array(pair) = pair else {
                    let found = pair.type_name();
                    return Err(Error::data(format!("Found invalid map entry instead of array tuple: {found}")));
                };
                let [key, value] = &pair[..] else {
                    let found = pair.len();
                    return Err(Error::data(format!("Found invalid map entry, expected length 2 but found :{found}")));
                };
                let key = self.with_schema(key_schema, Some(key))?;
                map.insert(key, self.with_schema(value_schema, Some(value))?);
            }
        }
        Ok(Value::from(map.into_hash_order(java::HASH_MAP_DEFAULT)))
    }

    fn structure(&mut self, schema: &SchemaRef, node: &Node<'_>) -> Result<Value> {
        let Node::Object(members) = node else {
            let found = node.type_name();
            return Err(Error::data(format!("Structs should be encoded as JSON objects, but found {found}")));
        };
        let mut values = Vec::with_capacity(schema.fields().len());
        for (index, field) in schema.fields().iter().enumerate() {
            // The members of nearly every message are in the order of the schema.
            let member = match members.get(index) {
                Some((name, member)) if name == field.name() => Some(member),
                _ => node.get(field.name()),
            };
            let value = self.with_schema(field.schema(), member)?;
            // What was converted by a schema is valid but for nulls of a wrong type; the full check is for those.
            if self.suspicious {
                field.schema().validate(Some(field.name()), &value)?;
            }
            values.push(value);
        }
        Ok(Value::from(Struct::from_values(schema.clone(), values)))
    }
}

/// Jackson's `intValue` and so on: what is not a number is zero.
fn number<'a>(node: &Node<'a>) -> Number<'a> {
    match node {
        Node::Number(number) => *number,
        _ => Number::Integer(0),
    }
}

fn logical_value(logical: Logical, schema: &SchemaRef, node: &Node<'_>) -> Result<Value> {
    let int = |name: &str| match node {
        Node::Number(Number::Integer(value)) if i32::try_from(*value).is_ok() => Ok(*value as i32),
        _ => Err(Error::data(format!(
            "Invalid type for {name}, underlying representation should be integer but was {}",
            node.type_name()
        ))),
    };
    Ok(match logical {
        Logical::Decimal => Value::Decimal(match node {
            Node::Number(Number::Integer(value)) => Decimal::from_i128(i128::from(*value), 0),
            Node::Number(Number::BigInteger(digits) | Number::Decimal(digits)) => {
                Decimal::parse(digits).ok_or_else(|| Error::data("Invalid bytes for Decimal field"))?
            }
            Node::String(text) => decimal_from_base64(schema, text)
                .map_err(|error| Error::data("Invalid bytes for Decimal field").with_source(error))?,
            _ => {
                return Err(Error::data(format!(
                    "Invalid type for Decimal, underlying representation should be numeric or bytes but was {}",
                    node.type_name()
                )));
            }
        }),
        Logical::Date => Value::Date(int("Date")?),
        Logical::Time => {
            let millis = int("Time")?;
            if !(0..=java::MILLIS_PER_DAY).contains(&i64::from(millis)) {
                return Err(Error::data(
                    "Time values must use number of milliseconds greater than 0 and less than 86400000",
                ));
            }
            Value::Time(millis)
        }
        Logical::Timestamp => match node {
            Node::Number(number @ (Number::Integer(_) | Number::BigInteger(_))) => {
                Value::Timestamp(long_value(*number))
            }
            _ => {
                return Err(Error::data(format!(
                    "Invalid type for Timestamp, underlying representation should be integral but was {}",
                    node.type_name()
                )));
            }
        },
    })
}

fn decimal_from_base64(schema: &SchemaRef, text: &str) -> Result<Decimal> {
    let bytes = java::base64_decode(text).map_err(Error::data)?;
    if bytes.is_empty() {
        return Err(Error::data("Zero length BigInteger"));
    }
    Ok(Decimal::new(bytes, schema.decimal_scale()?))
}

/// `JsonNode.doubleValue`, from a `BigDecimal`, which has no negative zero.
fn double_value(number: Number<'_>) -> f64 {
    match number {
        Number::Integer(value) => value as f64,
        Number::BigInteger(digits) | Number::Decimal(digits) => digits.parse().unwrap_or(f64::NAN) + 0.0,
    }
}

/// `JsonNode.longValue`: without the fraction, the low 64 bits. Narrower types take the low bits of this.
fn long_value(number: Number<'_>) -> i64 {
    match number {
        Number::Integer(value) => value,
        Number::BigInteger(digits) => low_bits(digits),
        Number::Decimal(text) => Decimal::parse(text).map_or(0, |decimal| integral_low_bits(&decimal)),
    }
}

/// The low 64 bits of a whole number in decimal digits.
pub(super) fn low_bits(digits: &str) -> i64 {
    let (negative, digits) = digits.strip_prefix('-').map_or((false, digits), |digits| (true, digits));
    let value = digits.bytes().fold(0i64, |value, digit| value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')));
    if negative { value.wrapping_neg() } else { value }
}

/// `BigDecimal.longValue`
fn integral_low_bits(decimal: &Decimal) -> i64 {
    let digits = Decimal::new(decimal.unscaled().clone(), 0).to_string();
    match decimal.scale() {
        scale @ 0.. => {
            let unsigned = digits.len() - usize::from(digits.starts_with('-'));
            let scale = scale as usize;
            if scale >= unsigned { 0 } else { low_bits(&digits[..digits.len() - scale]) }
        }
        // 10^64 and more is a multiple of 2^64.
        scale if scale <= -64 => 0,
        scale => {
            let power = (0..-scale).fold(1i64, |power, _| power.wrapping_mul(10));
            low_bits(&digits).wrapping_mul(power)
        }
    }
}
