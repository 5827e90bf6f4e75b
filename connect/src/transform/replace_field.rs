//! `ReplaceField$Key` and `ReplaceField$Value`: leave fields out, keep only some, rename.

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigError, ConfigKey, Parsed, RawConfig, Type, Validator};
use crate::error::Result;
use crate::java;
use crate::record::Record;
use crate::schema::{Schema, SchemaBuilder, SchemaRef};
use crate::value::{Map, Str, Value};

use super::fields::{SchemaCache, check_null, replace_null_with_default, set_struct, take_map, take_struct};
use super::{Side, Transform};

const PURPOSE: &str = "field replacement";

pub(super) fn config_def() -> ConfigDef {
    let empty = || Parsed::List(Vec::new());
    ConfigDef::new()
        .define(
            ConfigKey::new("exclude", Type::List)
                .default(empty())
                .doc("The fields to leave out. It takes precedence over the fields to include."),
        )
        .define(
            ConfigKey::new("include", Type::List)
                .default(empty())
                .doc("The fields to keep; all others are left out. Empty keeps all."),
        )
        .define(
            ConfigKey::new("renames", Type::List)
                .default(empty())
                .validator(Validator::Custom("list of colon-delimited pairs, e.g. foo:bar,abc:xyz", |_, value| {
                    parse_renames(value.and_then(Parsed::as_list).unwrap_or_default()).map(|_| ())
                }))
                .doc("Pairs of old and new names."),
        )
        .define(replace_null_with_default())
}

/// Old and new names; a later pair for the same old name replaces an earlier one. The error is Java's whole message.
fn parse_renames(mappings: &[String]) -> std::result::Result<Vec<(String, Str)>, String> {
    let mut renames: Vec<(String, Str)> = Vec::new();
    for mapping in mappings {
        // As `String.split(":")`, which drops empty parts at the end.
        let mut parts: Vec<&str> = mapping.split(':').collect();
        while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        let [old, new] = parts[..] else {
            let all = format!("[{}]", mappings.join(", "));
            return Err(crate::config::invalid_value("renames", &all, &format!("Invalid rename mapping: {mapping}")));
        };
        renames.retain(|(known, _)| known != old);
        renames.push((old.to_owned(), Str::copy_from(new)));
    }
    Ok(renames)
}

struct ReplaceField {
    side: Side,
    replace_null: bool,
    names: Names,
    schemas: SchemaCache<Arc<Compiled>>,
}

pub(super) fn build(config: &RawConfig, side: Side) -> std::result::Result<Box<dyn Transform>, Vec<ConfigError>> {
    let config = config_def().parse(config)?;
    let renames = parse_renames(config.list("renames"))
        .map_err(|message| vec![ConfigError::new("renames", "InvalidValue", message)])?;
    Ok(Box::new(ReplaceField {
        side,
        replace_null: config.boolean("replace.null.with.default"),
        names: Names { exclude: config.list("exclude").to_vec(), include: config.list("include").to_vec(), renames },
        schemas: SchemaCache::new(),
    }))
}

/// The transform that leaves out those fields, as Debezium uses it.
pub(super) fn excluding(exclude: Vec<String>, side: Side) -> Box<dyn Transform> {
    let names = Names { exclude, include: Vec::new(), renames: Vec::new() };
    Box::new(ReplaceField { side, replace_null: true, names, schemas: SchemaCache::new() })
}

/// Which fields stay, and their new names.
struct Names {
    exclude: Vec<String>,
    include: Vec<String>,
    renames: Vec<(String, Str)>,
}

/// What has to be known for each schema.
struct Compiled {
    schema: SchemaRef,
    /// For each field of the new schema the index of the old one.
    from: Vec<usize>,
    /// No old field is taken twice, so that values can be moved.
    distinct: bool,
    /// A field takes the value of another one, which may be of another type.
    crossed: bool,
}

impl Names {
    fn keeps(&self, field: &str) -> bool {
        !self.exclude.iter().any(|name| name == field)
            && (self.include.is_empty() || self.include.iter().any(|name| name == field))
    }

    fn renamed(&self, field: &Str) -> Str {
        self.renames.iter().find(|(old, _)| *old == **field).map_or_else(|| field.clone(), |(_, new)| new.clone())
    }

    fn compile(&self, schema: &Schema) -> Result<Arc<Compiled>> {
        let mut builder = SchemaBuilder::structure().basics_of(schema);
        let mut from = Vec::new();
        let mut crossed = false;
        for (own, field) in schema.fields().iter().enumerate().filter(|(_, field)| self.keeps(field.name())) {
            let name = self.renamed(field.name_str());
            // Java looks the value up by the reversed name, which differs when two fields are renamed to each other's names.
            let source = self.renames.iter().find(|(_, new)| *new == name).map_or(name.as_str(), |(old, _)| old);
            let index = schema
                .field_index(source)
                .ok_or_else(|| crate::Error::data(format!("{source} is not a valid field name")))?;
            crossed |= index != own;
            from.push(index);
            builder = builder.field(name, field.schema().clone());
        }
        let distinct = from.iter().enumerate().all(|(place, index)| !from[..place].contains(index));
        Ok(Arc::new(Compiled { schema: builder.build()?, from, distinct, crossed }))
    }
}

impl Transform for ReplaceField {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let data = self.side.of(&mut record);
        if data.value.is_null() {
            return Ok(Some(record));
        }
        if data.schema.is_none() {
            let entries = take_map(data, PURPOSE)?.into_entries();
            let buckets = java::hash_map_capacity(entries.len());
            let mut updated = Map::with_capacity(entries.len());
            for (key, value) in entries {
                let Value::String(name) = &key else {
                    let class = key.java_class();
                    let what = format!("ReplaceField needs maps whose keys are strings, and found a key of {class}.");
                    return Err(crate::Error::data(what));
                };
                if self.names.keeps(name) {
                    updated.insert(Value::String(self.names.renamed(name)), value);
                }
            }
            data.value = Value::from(updated.into_hash_order(buckets));
            return Ok(Some(record));
        }
        let (compiled, mut values) =
            take_struct(data, PURPOSE, self.replace_null, &mut self.schemas, |schema| self.names.compile(schema))?;
        let take = |index: &usize| {
            if compiled.distinct { std::mem::take(&mut values[*index]) } else { values[*index].clone() }
        };
        let updated: Vec<Value> = compiled.from.iter().map(take).collect();
        for (field, value) in compiled.schema.fields().iter().zip(&updated) {
            if compiled.crossed {
                field.schema().validate(Some(field.name()), value)?;
            } else {
                check_null(field, value)?;
            }
        }
        set_struct(data, compiled.schema.clone(), updated);
        Ok(Some(record))
    }
}
