//! `InsertField$Key` and `InsertField$Value`: add what is known about the record, or a constant.

use crate::config::{ConfigDef, ConfigError, ConfigKey, RawConfig, Type};
use crate::error::{Error, Result};
use crate::java;
use crate::record::Record;
use crate::schema::{Schema, SchemaBuilder, SchemaRef};
use crate::value::{Str, Value};

use super::fields::{SchemaCache, check_null, replace_null_with_default, set_struct, take_map, take_struct};
use super::{Side, Transform};

const PURPOSE: &str = "field insertion";
const FIELDS: [(&str, &str, Source); 5] = [
    ("topic.field", "The field for the name of the topic.", Source::Topic),
    ("partition.field", "The field for the Kafka partition.", Source::Partition),
    ("offset.field", "The field for the Kafka offset; sink connectors only.", Source::Offset),
    ("timestamp.field", "The field for the timestamp of the record.", Source::Timestamp),
    ("static.field", "The field for the constant in `static.value`.", Source::Static),
];

pub(super) fn config_def() -> ConfigDef {
    let mut def = ConfigDef::new();
    for (name, doc, _) in FIELDS {
        let doc =
            format!("{doc} With the suffix `!` the field is required, with `?` or without a suffix it is optional.");
        def = def.define(ConfigKey::new(name, Type::String).default_null().doc(doc));
    }
    def.define(ConfigKey::new("static.value", Type::String).default_null().doc("The constant for `static.field`."))
        .define(replace_null_with_default())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Static,
}

struct Insertion {
    name: Str,
    optional: bool,
    source: Source,
}

struct InsertField {
    side: Side,
    replace_null: bool,
    insertions: Insertions,
    schemas: SchemaCache<SchemaRef>,
}

struct Insertions {
    all: Vec<Insertion>,
    static_value: Value,
}

pub(super) fn build(config: &RawConfig, side: Side) -> std::result::Result<Box<dyn Transform>, Vec<ConfigError>> {
    let config = config_def().parse(config)?;
    let insertions: Vec<Insertion> = FIELDS
        .iter()
        .filter_map(|&(key, _, source)| {
            let spec = config.opt_string(key)?;
            let (name, optional) = match spec.strip_suffix('!') {
                Some(name) => (name, false),
                None => (spec.strip_suffix('?').unwrap_or(spec), true),
            };
            Some(Insertion { name: Str::copy_from(name), optional, source })
        })
        .collect();
    if insertions.is_empty() {
        return Err(vec![ConfigError::new("", "MissingKey", "No field insertion configured")]);
    }
    let static_value = config.opt_string("static.value");
    if let Some(insertion) = insertions.iter().find(|insertion| insertion.source == Source::Static)
        && static_value.is_none()
    {
        let what = format!("No value specified for static field: {}", insertion.name);
        return Err(vec![ConfigError::invalid("static.value", "null", &what)]);
    }
    Ok(Box::new(InsertField {
        side,
        replace_null: config.boolean("replace.null.with.default"),
        insertions: Insertions { all: insertions, static_value: static_value.map_or(Value::Null, Value::from) },
        schemas: SchemaCache::new(),
    }))
}

/// What there is to insert, taken before the record's key or value is borrowed.
struct Known {
    topic: Str,
    partition: Option<i32>,
    offset: Option<i64>,
    timestamp: Option<i64>,
}

impl Insertions {
    /// The value of one insertion; `None` leaves the field out. A timestamp is a number where there is no schema.
    fn value(&self, insertion: &Insertion, known: &Known, with_schema: bool) -> Result<Option<Value>> {
        Ok(match insertion.source {
            Source::Topic => Some(Value::String(known.topic.clone())),
            Source::Partition => known.partition.map(Value::Int32),
            Source::Offset => Some(Value::Int64(known.offset.ok_or_else(|| {
                Error::data(format!(
                    "Only SinkRecord supported for [{PURPOSE}], found: org.apache.kafka.connect.source.SourceRecord"
                ))
            })?)),
            Source::Timestamp if with_schema => known.timestamp.map(Value::Timestamp),
            Source::Timestamp => known.timestamp.map(Value::Int64),
            Source::Static => Some(self.static_value.clone()),
        })
    }

    fn updated_schema(&self, schema: &Schema) -> Result<SchemaRef> {
        let mut builder = SchemaBuilder::structure().basics_of(schema);
        for field in schema.fields() {
            builder = builder.field(field.name_str().clone(), field.schema().clone());
        }
        for insertion in &self.all {
            let added = match (insertion.source, insertion.optional) {
                (Source::Topic | Source::Static, true) => Schema::optional_string(),
                (Source::Topic | Source::Static, false) => Schema::string(),
                (Source::Partition, true) => Schema::optional_int32(),
                (Source::Partition, false) => Schema::int32(),
                (Source::Offset, true) => Schema::optional_int64(),
                (Source::Offset, false) => Schema::int64(),
                (Source::Timestamp, true) => SchemaBuilder::timestamp().optional().build()?,
                (Source::Timestamp, false) => Schema::timestamp(),
            };
            builder = builder.field(insertion.name.clone(), added);
        }
        builder.build()
    }
}

impl Transform for InsertField {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let known = Known {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
        };
        let data = self.side.of(&mut record);
        if data.value.is_null() {
            return Ok(Some(record));
        }
        if data.schema.is_none() {
            let mut map = take_map(data, PURPOSE)?;
            let buckets = java::hash_map_copy(map.len());
            for insertion in &self.insertions.all {
                if let Some(value) = self.insertions.value(insertion, &known, false)? {
                    map.insert(Value::String(insertion.name.clone()), value);
                }
            }
            data.value = Value::from(map.into_hash_order(buckets));
            return Ok(Some(record));
        }
        let (schema, mut values) = take_struct(data, PURPOSE, self.replace_null, &mut self.schemas, |schema| {
            self.insertions.updated_schema(schema)
        })?;
        for (field, value) in schema.fields().iter().zip(&values) {
            check_null(field, value)?;
        }
        values.reserve(self.insertions.all.len());
        for insertion in &self.insertions.all {
            values.push(self.insertions.value(insertion, &known, true)?.unwrap_or_default());
        }
        set_struct(data, schema, values);
        Ok(Some(record))
    }
}
