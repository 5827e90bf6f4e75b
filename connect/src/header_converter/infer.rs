//! Text to typed values and back (`org.apache.kafka.connect.data.Values`), which is what SimpleHeaderConverter does.

mod scan;
mod text;

use crate::java;
use crate::record::Data;
use crate::schema::{Schema, SchemaBuilder, SchemaKind, SchemaRef};
use crate::value::{Decimal, Map, Str, Value};

use scan::Scanner;
pub(crate) use text::date_to_text;
pub(super) use text::to_text;

/// Guesses the type of a value from its text (`Values.parseString`): null, booleans, numbers in the narrowest type, dates and times,
/// arrays and maps of those. Everything else is a string.
pub fn parse_string(text: &Str) -> Data {
    if text.is_empty() {
        return Data::new(Schema::string(), text.clone());
    }
    let mut parser = Parser { scanner: Scanner::new(text), original: text, depth: 0 };
    match parser.parse(false) {
        Ok(Some(data)) => data,
        Ok(None) => Data::NULL,
        // Unreachable for a value that is not embedded, which falls back to a string.
        Err(NotParsed) => Data::new(Schema::string(), text.clone()),
    }
}

/// Deeper arrays and maps are strings. Java has no limit but its stack, whose end fails one task; ours would end the process.
const MAX_DEPTH: usize = 100;

/// The text of an array or map does not make sense; the whole is a string then.
struct NotParsed;

type Parsed = Result<Option<Data>, NotParsed>;

struct Parser<'a> {
    scanner: Scanner<'a>,
    original: &'a Str,
    depth: usize,
}

impl Parser<'_> {
    /// `None` is null.
    fn parse(&mut self, embedded: bool) -> Parsed {
        if !self.scanner.has_next() {
            return Ok(None);
        }
        if embedded && self.scanner.consume("\"") {
            return Ok(Some(self.quoted()));
        }
        if self.literal(embedded, "null") {
            return Ok(None);
        }
        for (literal, value) in [("true", true), ("false", false)] {
            if self.literal(embedded, literal) {
                return Ok(Some(Data::new(Schema::boolean(), value)));
            }
        }
        let start = self.scanner.mark();
        self.depth += 1;
        let structured = if self.scanner.consume("[") {
            Some(if self.depth > MAX_DEPTH { Err(NotParsed) } else { self.array() })
        } else if self.scanner.consume("{") {
            Some(if self.depth > MAX_DEPTH { Err(NotParsed) } else { self.map() })
        } else {
            None
        };
        self.depth -= 1;
        match structured {
            Some(Ok(data)) => return Ok(Some(data)),
            Some(Err(NotParsed)) => self.scanner.rewind(start),
            // Blanks before the token were lost in looking for a bracket, as they are in Java.
            None => {}
        }
        let token = self.scanner.next().to_owned();
        match java::trim(&token) {
            // Java's `isBlank` also knows other white space, which `trim` leaves.
            trimmed if trimmed.chars().all(char::is_whitespace) => {
                Ok(Some(Data::new(Schema::string(), Str::from(token))))
            }
            trimmed => self.token(embedded, trimmed).map(Some),
        }
    }

    /// A single word. At the top level nothing may follow it: `true}` is a string.
    fn literal(&mut self, embedded: bool, literal: &str) -> bool {
        let start = self.scanner.mark();
        if self.scanner.consume(literal) && (embedded || !self.scanner.has_next()) {
            return true;
        }
        self.scanner.rewind(start);
        false
    }

    fn token(&mut self, embedded: bool, token: &str) -> Result<Data, NotParsed> {
        let first = token.chars().next().unwrap_or(' ');
        let digit = first.is_numeric();
        if digit && let Some(temporal) = self.temporal_tokens(token) {
            return Ok(temporal);
        }
        if (digit || first == '+' || first == '-')
            && let Some(number) = number(token)
        {
            return Ok(number);
        }
        if embedded { Err(NotParsed) } else { Ok(Data::new(Schema::string(), self.original.clone())) }
    }

    /// A time holds colons, which divide it into five tokens unless they are escaped.
    fn temporal_tokens(&mut self, token: &str) -> Option<Data> {
        let position = self.scanner.mark();
        if let Some(rest) = self.scanner.next_four()
            && let Some(found) = temporal(&format!("{token}{rest}"))
        {
            return Some(found);
        }
        self.scanner.rewind(position);
        temporal(token)
    }

    fn quoted(&mut self) -> Data {
        let mut content = String::new();
        while self.scanner.has_next() {
            if self.scanner.consume("\"") {
                break;
            }
            content.push_str(self.scanner.next());
        }
        temporal(&content).unwrap_or_else(|| Data::new(Schema::string(), Str::from(content)))
    }

    fn array(&mut self) -> Result<Data, NotParsed> {
        let mut values = Vec::new();
        let mut schema = Common::default();
        while self.scanner.has_next() {
            if self.scanner.consume("]") {
                let mut builder = SchemaBuilder::new(SchemaKind::Array);
                if let Some(element) = &schema.common {
                    values = values.into_iter().map(|value| convert(element, value)).collect::<Result<_, _>>()?;
                    builder = SchemaBuilder::array(element.clone());
                }
                return Ok(Data::new(builder.build_unchecked(), Value::array(values)));
            }
            if self.scanner.consume(",") {
                return Err(NotParsed);
            }
            let element = self.parse(true)?;
            schema.merge(element.as_ref());
            values.push(element.map(|element| element.value).unwrap_or_default());
            let position = self.scanner.mark();
            if self.scanner.consume("]") {
                self.scanner.rewind(position);
            } else if !self.scanner.consume(",") {
                return Err(NotParsed);
            }
        }
        Err(NotParsed)
    }

    fn map(&mut self) -> Result<Data, NotParsed> {
        let mut map = Map::new();
        let (mut keys, mut values) = (Common::default(), Common::default());
        while self.scanner.has_next() {
            if self.scanner.consume("}") {
                return finish_map(map, keys.common, values.common);
            }
            if self.scanner.consume(",") {
                return Err(NotParsed);
            }
            let Some(key) = self.parse(true)?.filter(|key| !key.value.is_null()) else { return Err(NotParsed) };
            if !self.scanner.consume(":") {
                return Err(NotParsed);
            }
            let value = self.parse(true)?;
            keys.merge(Some(&key));
            values.merge(value.as_ref());
            map.insert(key.value, value.map(|value| value.value).unwrap_or_default());
            self.scanner.consume(",");
        }
        Err(NotParsed)
    }
}

fn finish_map(map: Map, keys: Option<SchemaRef>, values: Option<SchemaRef>) -> Result<Data, NotParsed> {
    let Some(keys) = keys else {
        return Ok(Data::new(SchemaBuilder::new(SchemaKind::Map).build_unchecked(), map));
    };
    let mut converted = Map::with_capacity(map.len());
    for (key, value) in map.into_entries() {
        let value = match &values {
            Some(schema) => convert(schema, value)?,
            None => value,
        };
        converted.insert(convert(&keys, key)?, value);
    }
    let schema = match values {
        Some(values) => SchemaBuilder::map(keys, values).build_unchecked(),
        None => SchemaBuilder::map_with_null_values(keys).build_unchecked(),
    };
    Ok(Data::new(schema, converted))
}

/// The schema that fits all elements, as long as there is one (`SchemaMerger`).
#[derive(Default)]
struct Common {
    common: Option<SchemaRef>,
    incompatible: bool,
}

impl Common {
    fn merge(&mut self, latest: Option<&Data>) {
        let Some(latest) = latest.and_then(|data| data.schema.as_ref()) else { return };
        if self.incompatible {
            return;
        }
        self.common = match self.common.take() {
            None => Some(latest.clone()),
            Some(common) => merge(common, latest),
        };
        self.incompatible = self.common.is_none();
    }
}

/// `Values.mergeSchemas`: the wider number, or the same type.
fn merge(previous: SchemaRef, latest: &SchemaRef) -> Option<SchemaRef> {
    let width = |kind| {
        let widths = [
            SchemaKind::Int8,
            SchemaKind::Int16,
            SchemaKind::Int32,
            SchemaKind::Int64,
            SchemaKind::Float32,
            SchemaKind::Float64,
        ];
        widths.iter().position(|known| *known == kind)
    };
    if previous.kind() != latest.kind() {
        let (one, other) = (width(previous.kind())?, width(latest.kind())?);
        return Some(if one > other { previous } else { latest.clone() });
    }
    if previous.is_optional() == latest.is_optional() {
        return Some(if previous.is_optional() { previous } else { latest.clone() });
    }
    (previous == *latest).then_some(previous)
}

/// Widens a number, and leaves everything else (`Values.convertTo` as far as merged schemas need it).
fn convert(schema: &SchemaRef, value: Value) -> Result<Value, NotParsed> {
    if value.is_null() {
        return if schema.is_optional() { Ok(Value::Null) } else { Err(NotParsed) };
    }
    let float = match &value {
        Value::Float32(value) => Some(f64::from(*value)),
        Value::Float64(value) => Some(*value),
        Value::Decimal(value) => Some(value.to_f64()),
        other => other.as_i64().map(|value| value as f64),
    };
    Ok(match (schema.logical(), schema.kind(), value.as_i64(), float) {
        (None, SchemaKind::Int8, Some(value), _) => Value::Int8(value as i8),
        (None, SchemaKind::Int16, Some(value), _) => Value::Int16(value as i16),
        (None, SchemaKind::Int32, Some(value), _) => Value::Int32(value as i32),
        (None, SchemaKind::Int64, Some(value), _) => Value::Int64(value),
        (None, SchemaKind::Float32, _, Some(value)) => Value::Float32(value as f32),
        (None, SchemaKind::Float64, _, Some(value)) => Value::Float64(value),
        _ => value,
    })
}

/// `ValueParser.parseAsNumber`: whole numbers in the narrowest type, others as float, double or decimal.
fn number(token: &str) -> Option<Data> {
    let decimal = Decimal::parse(token)?;
    if let Some(whole) = whole(&decimal) {
        return Some(if let Ok(value) = i8::try_from(whole) {
            Data::new(Schema::int8(), value)
        } else if let Ok(value) = i16::try_from(whole) {
            Data::new(Schema::int16(), value)
        } else if let Ok(value) = i32::try_from(whole) {
            Data::new(Schema::int32(), value)
        } else {
            Data::new(Schema::int64(), whole)
        });
    }
    let text = decimal.to_string();
    let (single, double) = (text.parse::<f32>().ok()?, text.parse::<f64>().ok()?);
    Some(if single.is_finite() && decimal.scale() != 0 {
        Data::new(Schema::float32(), single)
    } else if double.is_finite() && decimal.scale() != 0 {
        Data::new(Schema::float64(), double)
    } else {
        Data::new(SchemaBuilder::decimal(decimal.scale()).build_unchecked(), decimal)
    })
}

/// The value when it is whole and within 64 bits.
fn whole(decimal: &Decimal) -> Option<i64> {
    let unscaled = decimal.unscaled_i128()?;
    if unscaled == 0 {
        return Some(0);
    }
    let power = 10i128.checked_pow(decimal.scale().unsigned_abs())?;
    let value = if decimal.scale() < 0 {
        unscaled.checked_mul(power)?
    } else if unscaled % power == 0 {
        unscaled / power
    } else {
        return None;
    };
    i64::try_from(value).ok()
}

/// `ValueParser.parseAsTemporal`: by the length of the text a date, a time or a timestamp, in UTC.
fn temporal(token: &str) -> Option<Data> {
    let token = token.replace("\\:", ":");
    match token.encode_utf16().count() {
        10 => text::parse_date(&token).map(|days| Data::new(Schema::date(), Value::Date(days))),
        13 => text::parse_time(&token).map(|millis| Data::new(Schema::time(), Value::Time(millis))),
        24 => text::parse_timestamp(&token).map(|millis| Data::new(Schema::timestamp(), Value::Timestamp(millis))),
        _ => None,
    }
}
