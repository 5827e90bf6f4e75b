//! `TimestampConverter$Key` and `TimestampConverter$Value`: times as text, numbers, or Connect's Date, Time and Timestamp.

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigError, ConfigKey, Importance, RawConfig, Type, Validator};
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::java::{self, MILLIS_PER_DAY, SimpleDateFormat};
use crate::record::Record;
use crate::schema::{Logical, Schema, SchemaBuilder, SchemaKind, SchemaRef};
use crate::value::{Struct, Value};

use super::fields::{
    SchemaCache, check_null, not_a_struct, replace_null_with_default, set_struct, take_map, take_struct,
};
use super::{Side, Transform};

const PURPOSE: &str = "converting timestamp formats";

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            ConfigKey::new("field", Type::String)
                .default("")
                .importance(Importance::High)
                .doc("The field that holds the time; empty when the whole key or value is the time."),
        )
        .define(
            ConfigKey::new("target.type", Type::String)
                .validator(Validator::one_of(&["string", "unix", "Date", "Time", "Timestamp"]))
                .importance(Importance::High)
                .doc("What the time becomes: text, a number since 1970, or one of Connect's logical types."),
        )
        .define(ConfigKey::new("format", Type::String).default("").doc(
            "The format of text, in UTC: a pattern of java.text.SimpleDateFormat. The target type string needs it, and times that \
             are text.",
        ))
        .define(
            ConfigKey::new("unix.precision", Type::String)
                .default("milliseconds")
                .validator(Validator::one_of(&["nanoseconds", "microseconds", "milliseconds", "seconds"]))
                .importance(Importance::Low)
                .doc("The unit of times that are numbers. What is finer than milliseconds is lost."),
        )
        .define(replace_null_with_default())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    Unix,
    Date,
    Time,
    Timestamp,
}

#[derive(Clone, Copy)]
enum Precision {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

struct TimestampConverter {
    side: Side,
    field: String,
    replace_null: bool,
    conversion: Conversion,
    schemas: SchemaCache<Arc<Compiled>>,
}

struct Conversion {
    target: Kind,
    format: Option<SimpleDateFormat>,
    precision: Precision,
    /// The schemas of the result where null is not allowed, and where it is.
    schemas: [SchemaRef; 2],
}

struct Compiled {
    schema: SchemaRef,
    /// The index of the field and what it is, or what is wrong with its schema.
    field: Option<(usize, std::result::Result<Kind, String>)>,
}

pub(super) fn build(config: &RawConfig, side: Side) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    let target = match config.string("target.type") {
        "string" => Kind::String,
        "unix" => Kind::Unix,
        "Date" => Kind::Date,
        "Time" => Kind::Time,
        _ => Kind::Timestamp,
    };
    let pattern = config.string("format");
    let blank = pattern.trim().is_empty();
    if blank && target == Kind::String {
        let what = "TimestampConverter requires format option to be specified when using string timestamps";
        return Err(vec![ConfigError::new("format", "InvalidValue", what)]);
    }
    let format = if blank { None } else { Some(SimpleDateFormat::new(pattern)) };
    let format = format.transpose().map_err(|error| {
        let what = "TimestampConverter requires a SimpleDateFormat-compatible pattern for string timestamps";
        vec![ConfigError::new("format", "InvalidValue", format!("{what}: {pattern} ({error})"))]
    })?;
    let precision = match config.string("unix.precision") {
        "seconds" => Precision::Seconds,
        "microseconds" => Precision::Micros,
        "nanoseconds" => Precision::Nanos,
        _ => Precision::Millis,
    };
    Ok(Box::new(TimestampConverter {
        side,
        field: config.string("field").to_owned(),
        replace_null: config.boolean("replace.null.with.default"),
        conversion: Conversion { target, format, precision, schemas: [target.schema(false), target.schema(true)] },
        schemas: SchemaCache::new(),
    }))
}

/// What a value of that schema is; the error is Java's message.
fn kind_of(schema: &Schema) -> std::result::Result<Kind, String> {
    match (schema.logical(), schema.kind()) {
        (Some(Logical::Timestamp), _) => Ok(Kind::Timestamp),
        (Some(Logical::Date), _) => Ok(Kind::Date),
        (Some(Logical::Time), _) => Ok(Kind::Time),
        (_, SchemaKind::String) => Ok(Kind::String),
        (_, SchemaKind::Int64) => Ok(Kind::Unix),
        _ => Err(format!("Schema {} does not correspond to a known timestamp type format", schema.describe())),
    }
}

impl Kind {
    fn schema(self, optional: bool) -> SchemaRef {
        let builder = match self {
            Self::String => SchemaBuilder::new(SchemaKind::String),
            Self::Unix => SchemaBuilder::new(SchemaKind::Int64),
            Self::Date => SchemaBuilder::date(),
            Self::Time => SchemaBuilder::time(),
            Self::Timestamp => SchemaBuilder::timestamp(),
        };
        builder.set_optional(optional).build_unchecked()
    }
}

impl Conversion {
    /// The schema of the result for a time of that schema.
    fn schema(&self, of: &Schema) -> &SchemaRef {
        &self.schemas[usize::from(of.is_optional())]
    }

    /// What the time becomes; null stays null. `from` is `None` where there is no schema, which decides on the form of the result too.
    fn convert(&self, value: &Value, from: Option<Kind>) -> Result<Value> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        let with_schema = from.is_some();
        let from = match (from, value) {
            (Some(kind), _) => kind,
            (None, Value::Date(_) | Value::Time(_) | Value::Timestamp(_)) => Kind::Timestamp,
            (None, Value::Int64(_)) => Kind::Unix,
            (None, Value::String(_)) => Kind::String,
            (None, other) => {
                let class = other.java_class();
                let what = format!("TimestampConverter does not support class {class} objects as timestamps");
                return Err(Error::data(what));
            }
        };
        let millis = self.millis(value, from)?;
        Ok(match self.target {
            Kind::String => match &self.format {
                Some(format) => format.format(millis).into(),
                None => return Err(missing_format(millis)),
            },
            Kind::Unix => Value::Int64(self.unix_of(millis)),
            Kind::Timestamp => Value::Timestamp(millis),
            // Without a schema Java has one class for all three, whose type is taken for a timestamp.
            Kind::Date if !with_schema => Value::Timestamp(millis - millis.rem_euclid(MILLIS_PER_DAY)),
            Kind::Time if !with_schema => Value::Timestamp(millis.rem_euclid(MILLIS_PER_DAY)),
            Kind::Date => Value::Date(
                i32::try_from(millis.div_euclid(MILLIS_PER_DAY))
                    .map_err(|_| Error::data(format!("The time {millis} is out of the range of Connect's Date.")))?,
            ),
            Kind::Time => Value::Time(millis.rem_euclid(MILLIS_PER_DAY) as i32),
        })
    }

    fn millis(&self, value: &Value, from: Kind) -> Result<i64> {
        let expected =
            |what: &str| Err(Error::data(format!("Expected {what}, but found class {}", value.java_class())));
        match (from, value) {
            (Kind::String, Value::String(text)) => match &self.format {
                Some(format) => format.parse(text).ok_or_else(|| {
                    let pattern = format.pattern();
                    let what = "Could not parse timestamp: value";
                    Error::data(format!("{what} ({text}) does not match pattern ({pattern})"))
                }),
                None => Err(missing_format(text)),
            },
            (Kind::String, _) => expected("string timestamp to be a String"),
            (Kind::Unix, Value::Int64(number)) => Ok(self.to_millis(*number)),
            (Kind::Unix, _) => expected("Unix timestamp to be a Long"),
            (_, Value::Date(days)) => Ok(i64::from(*days) * MILLIS_PER_DAY),
            (_, Value::Time(millis)) => Ok(i64::from(*millis)),
            (_, Value::Timestamp(millis)) => Ok(*millis),
            (Kind::Date, _) => expected("Date to be a java.util.Date"),
            (Kind::Time, _) => expected("Time to be a java.util.Date"),
            (Kind::Timestamp, _) => expected("Timestamp to be a java.util.Date"),
        }
    }

    /// `TimeUnit.toMillis`, which cuts towards zero and sticks at the ends of the range.
    fn to_millis(&self, number: i64) -> i64 {
        match self.precision {
            Precision::Seconds => number.saturating_mul(1000),
            Precision::Millis => number,
            Precision::Micros => number / 1000,
            Precision::Nanos => number / 1_000_000,
        }
    }

    fn unix_of(&self, millis: i64) -> i64 {
        match self.precision {
            Precision::Seconds => millis / 1000,
            Precision::Millis => millis,
            Precision::Micros => millis.saturating_mul(1000),
            Precision::Nanos => millis.saturating_mul(1_000_000),
        }
    }

    fn compile(&self, field: &str, schema: &Schema, replace_null: bool) -> Result<Arc<Compiled>> {
        let mut builder = SchemaBuilder::structure().basics_of(schema).set_optional(schema.is_optional());
        let mut found = None;
        for (index, old) in schema.fields().iter().enumerate() {
            let own = old.schema();
            let new = if old.name() == field {
                found = Some((index, kind_of(own)));
                self.schema(own).clone()
            } else {
                own.clone()
            };
            builder = builder.field(old.name_str().clone(), new);
        }
        let mut compiled = Compiled { schema: builder.clone().build()?, field: found };
        if let Some(Value::Struct(default)) = schema.default() {
            let mut values: Vec<Value> = default.values().to_vec();
            if replace_null {
                values = (0..values.len()).map(|index| default.get_at(index).clone()).collect();
            }
            self.convert_field(&compiled, &mut values)?;
            let default = Struct::from_values(compiled.schema, values);
            compiled.schema = builder.default_value(default).build_unchecked();
        }
        Ok(Arc::new(compiled))
    }

    fn convert_field(&self, compiled: &Compiled, values: &mut [Value]) -> Result<()> {
        if let Some((index, kind)) = &compiled.field {
            let kind = kind.as_ref().map_err(|message| Error::data(message.clone()))?;
            values[*index] = self.convert(&values[*index], Some(*kind))?;
        }
        for (field, value) in compiled.schema.fields().iter().zip(values) {
            check_null(field, value)?;
        }
        Ok(())
    }
}

fn missing_format(value: impl std::fmt::Display) -> Error {
    Error::data(format!("The time {value} is text, or is to become text: TimestampConverter needs the key format."))
}

impl Transform for TimestampConverter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let data = self.side.of(&mut record);
        let conversion = &self.conversion;
        match (&data.schema, self.field.is_empty()) {
            (None, _) if data.value.is_null() => {}
            (None, true) => data.value = conversion.convert(&data.value, None)?,
            (None, false) => {
                let mut map = take_map(data, PURPOSE)?;
                let buckets = java::hash_map_copy(map.len());
                let value = conversion.convert(map.get(&self.field).unwrap_or(&Value::Null), None)?;
                map.insert(Value::from(self.field.as_str()), value);
                data.value = Value::from(map.into_hash_order(buckets));
            }
            (Some(schema), true) => {
                let kind = kind_of(schema).map_err(Error::data)?;
                data.value = conversion.convert(&data.value, Some(kind))?;
                data.schema = Some(conversion.schema(schema).clone());
            }
            (Some(schema), false) => {
                let (field, replace_null) = (&self.field, self.replace_null);
                let compile = |schema: &SchemaRef| conversion.compile(field, schema, replace_null);
                match &data.value {
                    Value::Null => {
                        let schema = schema.clone();
                        let compiled = self.schemas.get_or(&schema, || compile(&schema))?;
                        data.schema = Some(compiled.schema.clone());
                    }
                    Value::Struct(_) => {
                        let (compiled, mut values) =
                            take_struct(data, PURPOSE, replace_null, &mut self.schemas, compile)?;
                        conversion.convert_field(&compiled, &mut values)?;
                        set_struct(data, compiled.schema.clone(), values);
                    }
                    other => return Err(not_a_struct(other, PURPOSE)),
                }
            }
        }
        Ok(Some(record))
    }
}
