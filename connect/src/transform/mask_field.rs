//! `MaskField$Key` and `MaskField$Value`: a null value of its type, or a constant, takes the place of a field.

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigKey, Importance, RawConfig, Type, Validator};
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::java;
use crate::record::Record;
use crate::schema::SchemaRef;
use crate::value::{Decimal, Map, Str, Value};

use super::fields::{
    SchemaCache, check_null, names, replace_null_with_default, set_struct, take_map, take_struct, unique,
};
use super::{Side, Transform};

const PURPOSE: &str = "mask fields";

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            ConfigKey::new("fields", Type::List)
                .validator(names())
                .importance(Importance::High)
                .doc("The names of the fields to mask."),
        )
        .define(
            ConfigKey::new("replacement", Type::String)
                .default_null()
                .validator(Validator::NonEmptyString)
                .importance(Importance::Low)
                .doc(
                    "What to put in place of the values, which have to be numbers or strings. Without it that is 0, false, the \
                     empty string, array or map.",
                ),
        )
        .define(replace_null_with_default())
}

struct MaskField {
    side: Side,
    replace_null: bool,
    fields: Vec<Str>,
    replacement: Option<Replacement>,
    schemas: SchemaCache<Arc<Masked>>,
}

/// The schema itself, and for each of its fields whether it is masked.
struct Masked {
    schema: SchemaRef,
    masked: Vec<bool>,
}

pub(super) fn build(config: &RawConfig, side: Side) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    // In the order in which Java's set of names iterates, where the new entries of a map show it.
    let mut fields: Vec<Str> = unique(config.list("fields"));
    let buckets = java::hash_map_copy(fields.len()).max(java::HASH_MAP_DEFAULT);
    java::hash_order(&mut fields, buckets, |name| Some(java::string_hash(name)));
    Ok(Box::new(MaskField {
        side,
        replace_null: config.boolean("replace.null.with.default"),
        fields,
        replacement: config.opt_string("replacement").map(Replacement::new),
        schemas: SchemaCache::new(),
    }))
}

/// The constant, and the number that it is.
struct Replacement {
    text: Str,
    number: Option<Decimal>,
}

impl Replacement {
    fn new(text: &str) -> Self {
        Self { text: Str::copy_from(text), number: Decimal::parse(text) }
    }

    /// The constant as a value of the same type.
    fn like(&self, value: &Value) -> Result<Value> {
        let number = || {
            self.number.as_ref().ok_or_else(|| {
                let text = &self.text;
                Error::data(format!("Unable to convert {text} (class java.lang.String) to a number"))
            })
        };
        Ok(match value {
            Value::Int8(_) => Value::Int8(number()?.to_i64_wrapping() as i8),
            Value::Int16(_) => Value::Int16(number()?.to_i64_wrapping() as i16),
            Value::Int32(_) => Value::Int32(number()?.to_i64_wrapping() as i32),
            Value::Int64(_) => Value::Int64(number()?.to_i64_wrapping()),
            Value::Float32(_) => Value::Float32(number()?.to_f64() as f32),
            Value::Float64(_) => Value::Float64(number()?.to_f64()),
            Value::String(_) => Value::String(self.text.clone()),
            Value::Decimal(_) => Value::Decimal(self.number.clone().ok_or_else(|| {
                let text = &self.text;
                Error::data(format!("Unable to convert {text} (class java.lang.String) to number"))
            })?),
            other => {
                let class = other.java_class();
                return Err(Error::data(format!("Cannot mask value of type class {class} with custom replacement.")));
            }
        })
    }
}

/// The value of the same type that stands for nothing.
fn nothing_like(value: &Value) -> Result<Value> {
    Ok(match value {
        Value::Null => Value::Null,
        Value::Boolean(_) => Value::Boolean(false),
        Value::Int8(_) => Value::Int8(0),
        Value::Int16(_) => Value::Int16(0),
        Value::Int32(_) => Value::Int32(0),
        Value::Int64(_) => Value::Int64(0),
        Value::Float32(_) => Value::Float32(0.0),
        Value::Float64(_) => Value::Float64(0.0),
        Value::String(_) => Value::String(Str::new()),
        Value::Decimal(_) => Value::Decimal(Decimal::from_i128(0, 0)),
        Value::Date(_) => Value::Date(0),
        Value::Time(_) => Value::Time(0),
        Value::Timestamp(_) => Value::Timestamp(0),
        Value::Array(_) => Value::array(Vec::new()),
        Value::Map(_) => Value::from(Map::new()),
        Value::Bytes(_) | Value::Struct(_) => {
            return Err(Error::data(format!("Cannot mask value of type: class {}", value.java_class())));
        }
    })
}

fn mask(replacement: Option<&Replacement>, value: &Value) -> Result<Value> {
    match replacement {
        Some(replacement) if !value.is_null() => replacement.like(value),
        _ => nothing_like(value),
    }
}

impl Transform for MaskField {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let data = self.side.of(&mut record);
        let replacement = self.replacement.as_ref();
        if data.schema.is_none() {
            let mut map = take_map(data, PURPOSE)?;
            let buckets = java::hash_map_copy(map.len());
            for field in &self.fields {
                let masked = mask(replacement, map.get(field).unwrap_or(&Value::Null))?;
                map.insert(Value::String(field.clone()), masked);
            }
            data.value = Value::from(map.into_hash_order(buckets));
            return Ok(Some(record));
        }
        let (compiled, mut values) = take_struct(data, PURPOSE, self.replace_null, &mut self.schemas, |schema| {
            let masked = schema.fields().iter().map(|field| self.fields.contains(field.name_str())).collect();
            Ok(Arc::new(Masked { schema: schema.clone(), masked }))
        })?;
        let fields = compiled.schema.fields().iter().zip(&compiled.masked);
        for ((field, masked), value) in fields.zip(&mut values) {
            if *masked {
                *value = mask(replacement, value)?;
            }
            check_null(field, value)?;
        }
        set_struct(data, compiled.schema.clone(), values);
        Ok(Some(record))
    }
}
