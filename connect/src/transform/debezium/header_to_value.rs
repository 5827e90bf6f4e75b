//! `io.debezium.transforms.HeaderToValue`: moves or copies headers to fields of the value.

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigError, ConfigKey, Importance, Parsed, RawConfig, Type, Validator, invalid_value};
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::record::{Header, Record};
use crate::schema::{Schema, SchemaBuilder, SchemaKind, SchemaRef};
use crate::transform::Transform;
use crate::transform::fields::{SchemaCache, not_a_struct, set_struct};
use crate::value::{Str, Struct, Value};

const PURPOSE: &str = "Header field insertion";

pub(in crate::transform) fn config_def() -> ConfigDef {
    let list = |name: &str, doc: &str| {
        ConfigKey::new(name, Type::List).importance(Importance::High).doc(doc).validator(Validator::Custom(
            "non-empty names without blanks",
            |name, value| {
                let items = value.and_then(Parsed::as_list).unwrap_or_default();
                match items.iter().find(|item| item.is_empty() || item.contains(' ')) {
                    Some(_) => Err(invalid_value(
                        name,
                        &format!("[{}]", items.join(", ")),
                        "names must not be empty or hold blanks",
                    )),
                    None if items.is_empty() => Err(invalid_value(name, "[]", "A value is required")),
                    None => Ok(()),
                }
            },
        ))
    };
    ConfigDef::new()
        .define(list("headers", "The names of the headers."))
        .define(list("fields", "The names of the fields, in the order of the headers. Dots lead into nested structs."))
        .define(
            ConfigKey::new("operation", Type::String)
                .validator(Validator::one_of_ignore_case(&["move", "copy"]))
                .importance(Importance::High)
                .doc("Whether the headers are left out of the record (`move`) or stay there as well (`copy`)."),
        )
}

struct HeaderToValue {
    headers: Vec<Str>,
    paths: Vec<Vec<Str>>,
    moves: bool,
    /// For values of a schema what the headers seen last, with these schemas, make of it.
    schemas: SchemaCache<Arc<Compiled>>,
}

/// The headers that are inserted: for each the place in `paths`, and its schema.
type Inserted = Vec<(usize, Option<SchemaRef>)>;

struct Compiled {
    inserted: Inserted,
    plan: Level,
}

/// What becomes of one struct.
struct Level {
    schema: SchemaRef,
    /// For each new field where its value comes from.
    fields: Vec<Source>,
}

enum Source {
    /// The field of the old struct.
    Old(usize),
    /// That of the old struct, itself changed.
    Nested(usize, Level),
    /// A struct that was not there.
    New(Level),
    /// The header, by its place among those that are inserted.
    Header(usize),
}

pub(in crate::transform) fn build(config: &RawConfig) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    let (headers, fields) = (config.list("headers"), config.list("fields"));
    if headers.len() != fields.len() {
        let what = "'fields' config must have the same number of elements as 'headers' config.";
        return Err(vec![ConfigError::new("", "InvalidValue", what)]);
    }
    Ok(Box::new(HeaderToValue {
        headers: headers.iter().map(|name| Str::copy_from(name)).collect(),
        paths: fields.iter().map(|path| path.split('.').map(Str::copy_from).collect()).collect(),
        moves: config.string("operation").eq_ignore_ascii_case("move"),
        schemas: SchemaCache::new(),
    }))
}

impl Transform for HeaderToValue {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let old = match &record.value.value {
            Value::Null => return Ok(Some(record)),
            Value::Struct(old) => old.clone(),
            other => return Err(not_a_struct(other, PURPOSE)),
        };
        let place = |header: &Header| self.headers.iter().position(|name| *name == header.key);
        let inserted: Inserted =
            record.headers.iter().filter_map(|header| Some((place(header)?, header.schema.clone()))).collect();
        if inserted.is_empty() {
            return Ok(Some(record));
        }
        let values: Vec<&Value> =
            record.headers.iter().filter(|header| place(header).is_some()).map(|header| &header.value).collect();
        let compile = || {
            let entries: Vec<Entry<'_>> = inserted
                .iter()
                .enumerate()
                .map(|(index, (place, schema))| Entry { path: &self.paths[*place], schema: schema.as_ref(), index })
                .collect();
            Ok(Arc::new(Compiled { inserted: inserted.clone(), plan: level(Some(old.schema()), &entries)? }))
        };
        let mut compiled = self.schemas.get_or(old.schema(), compile)?;
        if compiled.inserted != inserted {
            compiled = compile()?;
            self.schemas.replace_last(compiled.clone());
        }
        let updated = fill(&compiled.plan, Some(&old), &values);
        set_struct(&mut record.value, compiled.plan.schema.clone(), updated);
        if self.moves {
            record.headers.retain(|header| !self.headers.contains(&header.key));
        }
        Ok(Some(record))
    }
}

/// A header to insert, and what is left of the path to its field.
#[derive(Clone, Copy)]
struct Entry<'a> {
    path: &'a [Str],
    schema: Option<&'a SchemaRef>,
    index: usize,
}

/// The old fields, then the new ones, then the structs that were not there.
fn level(old: Option<&Schema>, entries: &[Entry<'_>]) -> Result<Level> {
    let mut builder = SchemaBuilder::structure();
    builder = match old {
        Some(old) => builder.basics_of(old),
        None => builder.optional(),
    };
    let mut fields = Vec::new();
    let inner = |name: &str| -> Vec<Entry<'_>> {
        let inside = entries.iter().filter(|entry| entry.path.len() > 1 && entry.path[0] == *name);
        inside.map(|entry| Entry { path: &entry.path[1..], ..*entry }).collect()
    };
    for (index, field) in old.map(Schema::fields).unwrap_or_default().iter().enumerate() {
        let inside = inner(field.name());
        let replaced = entries.iter().rfind(|entry| entry.path.len() == 1 && entry.path[0] == *field.name());
        let mut schema = field.schema().clone();
        fields.push(if let Some(entry) = replaced {
            Source::Header(entry.index)
        } else if inside.is_empty() {
            Source::Old(index)
        } else if schema.kind() == SchemaKind::Struct {
            let nested = level(Some(&schema), &inside)?;
            schema = nested.schema.clone();
            Source::Nested(index, nested)
        } else {
            let (name, path) = (field.name(), inside[0].path.join("."));
            return Err(Error::data(format!(
                "Field '{name}' is a primitive type, not a struct. Cannot add nested field '{name}.{path}'."
            )));
        });
        builder = builder.field(field.name_str().clone(), schema);
    }
    for entry in entries.iter().filter(|entry| entry.path.len() == 1) {
        let name = &entry.path[0];
        let schema =
            entry.schema.ok_or_else(|| Error::data(format!("fieldSchema for field {name} cannot be null.")))?;
        match builder.field_index(name) {
            // A header that occurs twice: the last one counts.
            Some(index) => fields[index] = Source::Header(entry.index),
            None => {
                builder = builder.field(name.clone(), schema.clone());
                fields.push(Source::Header(entry.index));
            }
        }
    }
    for entry in entries.iter().filter(|entry| entry.path.len() > 1) {
        let name = &entry.path[0];
        if builder.field_index(name).is_none() {
            let nested = level(None, &inner(name))?;
            builder = builder.field(name.clone(), nested.schema.clone());
            fields.push(Source::New(nested));
        }
    }
    Ok(Level { schema: builder.build()?, fields })
}

fn fill(plan: &Level, old: Option<&Struct>, headers: &[&Value]) -> Vec<Value> {
    let value = |source: &Source| match source {
        Source::Old(index) => old.map(|old| old.get_at(*index).clone()).unwrap_or_default(),
        Source::Header(index) => headers[*index].clone(),
        Source::New(nested) => Struct::from_values(nested.schema.clone(), fill(nested, None, headers)).into(),
        Source::Nested(index, nested) => match old.map(|old| old.get_at(*index)) {
            Some(Value::Struct(inner)) => {
                Struct::from_values(nested.schema.clone(), fill(nested, Some(inner), headers)).into()
            }
            _ => Value::Null,
        },
    };
    plan.fields.iter().map(value).collect()
}
