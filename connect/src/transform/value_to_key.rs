//! `ValueToKey`: a new key of some fields of the value.

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigKey, Importance, RawConfig, Type};
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::java;
use crate::record::{Data, Record};
use crate::schema::{Schema, SchemaBuilder, SchemaRef};
use crate::value::{Map, Str, Value};

use super::Transform;
use super::fields::{
    SchemaCache, check_null, names, not_a_map, not_a_struct, replace_null_with_default, set_struct, unique,
};

const PURPOSE: &str = "copying fields from value to key";

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            ConfigKey::new("fields", Type::List)
                .validator(names())
                .importance(Importance::High)
                .doc("The names of the fields of the value that make the key."),
        )
        .define(replace_null_with_default())
}

struct ValueToKey {
    fields: Vec<Str>,
    replace_null: bool,
    schemas: SchemaCache<Arc<KeySchema>>,
}

/// The key for values of one schema.
struct KeySchema {
    schema: SchemaRef,
    /// For each field of the key the index of that of the value.
    from: Vec<usize>,
}

pub(super) fn build(config: &RawConfig) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    Ok(Box::new(ValueToKey {
        fields: unique(config.list("fields")),
        replace_null: config.boolean("replace.null.with.default"),
        schemas: SchemaCache::new(),
    }))
}

fn compile(fields: &[Str], schema: &Schema) -> Result<Arc<KeySchema>> {
    let mut builder = SchemaBuilder::structure();
    let mut from = Vec::with_capacity(fields.len());
    for name in fields {
        let index = schema.field_index(name).ok_or_else(|| Error::data(format!("Field does not exist: {name}")))?;
        builder = builder.field(name.clone(), schema.fields()[index].schema().clone());
        from.push(index);
    }
    Ok(Arc::new(KeySchema { schema: builder.build()?, from }))
}

impl Transform for ValueToKey {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        match (&record.value.schema, &record.value.value) {
            (None, Value::Map(map)) => {
                let entry = |field: &Str| (Value::String(field.clone()), map.get(field).cloned().unwrap_or_default());
                let key = Map::from_unique(self.fields.iter().map(entry).collect());
                record.key = Data::schemaless(key.into_hash_order(java::hash_map_capacity(self.fields.len())));
            }
            (None, other) => return Err(not_a_map(other, PURPOSE)),
            (Some(_), Value::Struct(value)) => {
                let key = self.schemas.get_or(value.schema(), || compile(&self.fields, value.schema()))?;
                let mut values = Vec::with_capacity(key.from.len());
                for (field, index) in key.schema.fields().iter().zip(&key.from) {
                    let value = if self.replace_null { value.get_at(*index) } else { &value.values()[*index] };
                    check_null(field, value)?;
                    values.push(value.clone());
                }
                set_struct(&mut record.key, key.schema.clone(), values);
            }
            (Some(_), other) => return Err(not_a_struct(other, PURPOSE)),
        }
        Ok(Some(record))
    }
}
