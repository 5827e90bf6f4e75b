//! `HeaderFrom$Key` and `HeaderFrom$Value`: moves or copies fields to headers.

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigError, ConfigKey, Importance, RawConfig, Type, Validator};
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::java;
use crate::record::{Header, Record};
use crate::schema::{Schema, SchemaBuilder, SchemaRef};
use crate::value::{Str, Value};

use super::fields::{
    SchemaCache, check_null, non_empty_list, not_a_struct, replace_null_with_default, set_struct, take_map,
};
use super::{Side, Transform};

pub(super) fn config_def() -> ConfigDef {
    let list = |name: &str, doc: &str| {
        ConfigKey::new(name, Type::List).validator(non_empty_list()).importance(Importance::High).doc(doc)
    };
    ConfigDef::new()
        .define(list("fields", "The names of the fields."))
        .define(list("headers", "The names of the headers, in the order of the fields."))
        .define(
            ConfigKey::new("operation", Type::String)
                .validator(Validator::one_of(&["move", "copy"]))
                .importance(Importance::High)
                .doc("Whether the fields are left out of the key or value (`move`) or stay there as well (`copy`)."),
        )
        .define(replace_null_with_default())
}

struct HeaderFrom {
    side: Side,
    purpose: String,
    replace_null: bool,
    pairs: Pairs,
    schemas: SchemaCache<Arc<Compiled>>,
}

struct Pairs {
    fields: Vec<Str>,
    headers: Vec<Str>,
    moves: bool,
}

struct Compiled {
    /// For each header the index of the field.
    taken: Vec<usize>,
    /// What remains, when the fields are moved: its schema, and for each of its fields the index of the old one.
    rest: Option<(SchemaRef, Vec<usize>)>,
}

pub(super) fn build(config: &RawConfig, side: Side) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    let names = |key: &str| config.list(key).iter().map(|name| Str::copy_from(name)).collect::<Vec<_>>();
    let (fields, headers) = (names("fields"), names("headers"));
    if fields.len() != headers.len() {
        let what = "'fields' config must have the same number of elements as 'headers' config.";
        return Err(vec![ConfigError::new("", "InvalidValue", what)]);
    }
    let operation = config.string("operation");
    Ok(Box::new(HeaderFrom {
        side,
        purpose: format!("header {operation}"),
        replace_null: config.boolean("replace.null.with.default"),
        pairs: Pairs { fields, headers, moves: operation == "move" },
        schemas: SchemaCache::new(),
    }))
}

impl Pairs {
    fn compile(&self, schema: &Schema) -> Result<Arc<Compiled>> {
        let index = |name: &Str| {
            schema.field_index(name).ok_or_else(|| Error::data(format!("{name} is not a valid field name")))
        };
        let taken = self.fields.iter().map(index).collect::<Result<Vec<_>>>()?;
        let mut rest = None;
        if self.moves {
            let from: Vec<usize> = (0..schema.fields().len()).filter(|index| !taken.contains(index)).collect();
            let mut builder = SchemaBuilder::structure().basics_of(schema);
            for field in from.iter().map(|index| &schema.fields()[*index]) {
                builder = builder.field(field.name_str().clone(), field.schema().clone());
            }
            rest = Some((builder.build()?, from));
        }
        Ok(Arc::new(Compiled { taken, rest }))
    }
}

impl Transform for HeaderFrom {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let mut headers = std::mem::take(&mut record.headers);
        let data = self.side.of(&mut record);
        if data.schema.is_none() {
            let mut map = take_map(data, &self.purpose)?;
            let buckets = java::hash_map_copy(map.len());
            for (field, header) in self.pairs.fields.iter().zip(&self.pairs.headers) {
                let value = map.get(field).cloned().unwrap_or_default();
                headers.push(Header { key: header.clone(), schema: None, value });
            }
            if self.pairs.moves {
                for field in &self.pairs.fields {
                    map.remove(field);
                }
            }
            data.value = Value::from(map.into_hash_order(buckets));
        } else {
            let Value::Struct(old) = &data.value else { return Err(not_a_struct(&data.value, &self.purpose)) };
            let old = old.clone();
            let compiled = self.schemas.get_or(old.schema(), || self.pairs.compile(old.schema()))?;
            let value = |index: usize| if self.replace_null { old.get_at(index) } else { &old.values()[index] };
            if let Some((schema, from)) = &compiled.rest {
                let values: Vec<Value> = from.iter().map(|index| value(*index).clone()).collect();
                for (field, value) in schema.fields().iter().zip(&values) {
                    check_null(field, value)?;
                }
                set_struct(data, schema.clone(), values);
            }
            for (index, header) in compiled.taken.iter().zip(&self.pairs.headers) {
                let (schema, value) = (old.schema().fields()[*index].schema(), value(*index));
                if value.is_null() && !schema.is_optional() {
                    let what = format!("A null value requires an optional schema but was {}", schema.describe());
                    return Err(Error::data(what));
                }
                headers.push(Header { key: header.clone(), schema: Some(schema.clone()), value: value.clone() });
            }
        }
        record.headers = headers;
        Ok(Some(record))
    }
}
