//! `Flatten$Key` and `Flatten$Value`: the fields of nested structs and maps become fields of the outermost one.

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigKey, RawConfig, Type};
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::record::Record;
use crate::schema::{Schema, SchemaBuilder, SchemaKind, SchemaRef};
use crate::value::{Map, Str, Struct, Value};

use super::fields::{SchemaCache, check_null, not_a_struct, set_struct, take_map};
use super::{Side, Transform};

const PURPOSE: &str = "flattening";

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new().define(
        ConfigKey::new("delimiter", Type::String)
            .default(".")
            .doc("What stands between the names of the levels in the name of a new field."),
    )
}

struct Flatten {
    side: Side,
    delimiter: String,
    schemas: SchemaCache<SchemaRef>,
}

pub(super) fn build(config: &RawConfig, side: Side) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    Ok(Box::new(Flatten { side, delimiter: config.string("delimiter").to_owned(), schemas: SchemaCache::new() }))
}

impl Transform for Flatten {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let data = self.side.of(&mut record);
        let Some(schema) = &data.schema else {
            if !data.value.is_null() {
                let mut flat = Map::new();
                flatten_map(&self.delimiter, take_map(data, PURPOSE)?, "", &mut flat)?;
                data.value = Value::from(flat);
            }
            return Ok(Some(record));
        };
        let old = match std::mem::take(&mut data.value) {
            Value::Null => return Ok(Some(record)),
            Value::Struct(old) => old,
            other => return Err(not_a_struct(&other, PURPOSE)),
        };
        let updated = self.schemas.get_or(schema, || updated_schema(&self.delimiter, schema))?;
        let mut values = Vec::with_capacity(updated.fields().len());
        take_leaves(old, &mut values);
        for (field, value) in updated.fields().iter().zip(&values) {
            check_null(field, value)?;
        }
        set_struct(data, updated, values);
        Ok(Some(record))
    }
}

fn joined(delimiter: &str, prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}{delimiter}{name}") }
}

fn flatten_map(delimiter: &str, map: Map, prefix: &str, flat: &mut Map) -> Result<()> {
    for (key, value) in map.into_entries() {
        let Value::String(key) = &key else {
            let class = key.java_class();
            return Err(Error::data(format!("Flatten needs maps whose keys are strings, and found a key of {class}.")));
        };
        let name = joined(delimiter, prefix, key);
        match value {
            Value::Map(inner) => flatten_map(delimiter, Arc::unwrap_or_clone(inner), &name, flat)?,
            Value::Struct(_) => {
                return Err(Error::data(format!(
                    "Flatten transformation does not support class {} for record without schemas (for field {name}).",
                    value.java_class()
                )));
            }
            Value::Decimal(_) | Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
                return Err(Error::data(format!(
                    "Flatten transformation was passed a value of type class {} which is not supported by Connect's data API",
                    value.java_class()
                )));
            }
            leaf => {
                flat.insert(Value::from(name), leaf);
            }
        }
    }
    Ok(())
}

fn updated_schema(delimiter: &str, schema: &Schema) -> Result<SchemaRef> {
    let mut builder = SchemaBuilder::structure().basics_of(schema);
    let default = schema.default().and_then(Value::as_struct);
    add_leaves(delimiter, schema, "", schema.is_optional(), default, &mut |name, leaf| {
        builder = std::mem::replace(&mut builder, SchemaBuilder::structure()).field(name, leaf);
    })?;
    builder.build()
}

/// Hands on the fields that are no structs. What makes a level optional makes its fields so, and its default has theirs.
fn add_leaves(
    delimiter: &str,
    schema: &Schema,
    prefix: &str,
    optional: bool,
    outer_default: Option<&Struct>,
    add: &mut dyn FnMut(Str, SchemaRef),
) -> Result<()> {
    for (index, field) in schema.fields().iter().enumerate() {
        let name = joined(delimiter, prefix, field.name());
        let own = field.schema();
        let optional = optional || own.is_optional();
        let default = own.default().or_else(|| outer_default.map(|outer| outer.get_at(index)).filter(|v| !v.is_null()));
        match own.kind() {
            SchemaKind::Struct => {
                add_leaves(delimiter, own, &name, optional, default.and_then(Value::as_struct), add)?;
            }
            SchemaKind::Map => {
                return Err(Error::data(format!(
                    "Flatten transformation does not support {} for record with schemas (for field {name}).",
                    own.kind()
                )));
            }
            _ if optional == own.is_optional() && default == own.default() => add(name.into(), own.clone()),
            _ => {
                let mut builder = SchemaBuilder::copy_of(own).set_optional(optional);
                if let Some(default) = default {
                    builder = builder.default_value(default.clone());
                }
                add(name.into(), builder.build()?);
            }
        }
    }
    Ok(())
}

/// The values of the fields that are no structs, with their defaults. A struct that is null gives null for each of its fields.
fn take_leaves(old: Arc<Struct>, leaves: &mut Vec<Value>) {
    let schema = old.schema().clone();
    for (field, value) in schema.fields().iter().zip(Arc::unwrap_or_clone(old).into_values()) {
        match value {
            Value::Struct(inner) => take_leaves(inner, leaves),
            Value::Null if field.schema().kind() == SchemaKind::Struct => add_nulls(field.schema(), leaves),
            Value::Null => leaves.push(field.schema().default().cloned().unwrap_or_default()),
            leaf => leaves.push(leaf),
        }
    }
}

fn add_nulls(schema: &Schema, leaves: &mut Vec<Value>) {
    for field in schema.fields() {
        match field.schema().kind() {
            SchemaKind::Struct => add_nulls(field.schema(), leaves),
            _ => leaves.push(Value::Null),
        }
    }
}
