//! `io.debezium.transforms.ByLogicalTableRouter`: the events of several tables in one topic.

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigError, ConfigKey, Importance, RawConfig, Type, Validator};
use crate::converter::Configured;
use crate::error::Result;
use crate::record::{Data, Record};
use crate::regex::JavaRegex;
use crate::schema::{Schema, SchemaBuilder, SchemaKind, SchemaRef};
use crate::transform::Transform;
use crate::transform::fields::{SchemaCache, check_null, set_struct};
use crate::value::{Str, Struct, Value};

use super::{compile, is_envelope, regex_key, require_struct};

const PURPOSE: &str = "Updating schema";

pub(in crate::transform) fn config_def() -> ConfigDef {
    let low = |name: &str, ty, doc: &str| ConfigKey::new(name, ty).importance(Importance::Low).doc(doc);
    ConfigDef::new()
        .define(
            low("topic.regex", Type::String, "A Java regular expression. Topics whose whole name matches are renamed.")
                .validator(Validator::Regex),
        )
        .define(low("topic.replacement", Type::String, "The new name of the topic; `$1` stands for what the first group matched.").validator(Validator::NonEmptyString),)
        .define(
            low("key.enforce.uniqueness", Type::Boolean, "Whether the keys get a field that names the table of the row.")
                .default(true),
        )
        .define(regex_key(
            "key.field.regex",
            "A Java regular expression for the old name of the topic, to make the value of that field of. Without it the value is the \
             old name.",
        ))
        .define(low("key.field.name", Type::String, "The name of that field.").default("__dbz__physicalTableIdentifier"))
        .define(
            low("key.field.replacement", Type::String, "The value of that field, with what `key.field.regex` matched.")
                .default_null(),
        )
        .define(
            low(
                "schema.name.adjustment.mode",
                Type::String,
                "How the names of the schemas, which are made of the topic, are adjusted: `avro` puts underscores in place of \
                 characters that Avro does not allow.",
            )
            .default("none")
            .validator(Validator::one_of_ignore_case(&["none", "avro"])),
        )
        .define(
            low("logical.table.cache.size", Type::Int, "How many schemas to keep what was made of them. It is always 16.")
                .default(16)
                .validator(Validator::at_least(1)),
        )
}

struct ByLogicalTableRouter {
    topic: (JavaRegex, String),
    key_field: Option<KeyField>,
    adjust: bool,
    /// The topic seen last, its new name and the value for the field of the key.
    last: Option<(Str, Option<Routed>)>,
    keys: SchemaCache<Arc<Named>>,
    events: SchemaCache<Arc<Named>>,
}

struct KeyField {
    name: Str,
    regex: Option<(JavaRegex, String)>,
}

#[derive(Clone)]
struct Routed {
    topic: Str,
    identifier: Str,
}

/// A schema that was made for a topic.
struct Named {
    topic: Str,
    schema: SchemaRef,
    /// The schema of `before` and `after`, in that of an event.
    row: Option<SchemaRef>,
}

pub(in crate::transform) fn build(config: &RawConfig) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    let regex = |key: &str, replacement: &str| -> std::result::Result<Option<(JavaRegex, String)>, Vec<ConfigError>> {
        let Some(pattern) = config.opt_string(key).filter(|pattern| !pattern.is_empty()) else { return Ok(None) };
        match config.opt_string(replacement).filter(|text| key == "topic.regex" || !text.is_empty()) {
            Some(replacement) => Ok(Some((compile(key, pattern)?, replacement.to_owned()))),
            None => {
                let what = format!("{replacement} must be non-empty if {key} is set.");
                Err(vec![ConfigError::invalid(replacement, "null", &what)])
            }
        }
    };
    let topic = match regex("topic.regex", "topic.replacement")? {
        Some(topic) => topic,
        None => return Err(vec![ConfigError::invalid("topic.regex", "", "A value is required")]),
    };
    let key_regex = regex("key.field.regex", "key.field.replacement")?;
    let name = Str::copy_from(config.string("key.field.name"));
    Ok(Box::new(ByLogicalTableRouter {
        topic,
        key_field: config.boolean("key.enforce.uniqueness").then_some(KeyField { name, regex: key_regex }),
        adjust: config.string("schema.name.adjustment.mode").eq_ignore_ascii_case("avro"),
        last: None,
        keys: SchemaCache::new(),
        events: SchemaCache::new(),
    }))
}

/// The replacement where the whole name matches.
fn replaced((regex, replacement): &(JavaRegex, String), topic: &str) -> Result<Option<Str>> {
    if regex.matches(topic)? { Ok(Some(Str::from(regex.replace_first(topic, replacement)?))) } else { Ok(None) }
}

impl Transform for ByLogicalTableRouter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let Some(routed) = self.route(&record.topic)? else { return Ok(Some(record)) };
        record.topic = routed.topic.clone();
        if record.key.value.is_null() {
            record.key = Data::NULL;
        } else {
            self.rename_key(&mut record.key, &routed)?;
        }
        if is_envelope(&record.value) && !record.value.value.is_null() {
            self.rename_event(&mut record.value, &routed.topic)?;
        }
        Ok(Some(record))
    }
}

impl ByLogicalTableRouter {
    fn route(&mut self, topic: &Str) -> Result<Option<Routed>> {
        if self.last.as_ref().is_none_or(|(known, _)| known != topic) {
            let routed = match replaced(&self.topic, topic)?.filter(|new| !new.is_empty()) {
                Some(new) => {
                    let regex = self.key_field.as_ref().and_then(|field| field.regex.as_ref());
                    let identifier = regex.map(|regex| replaced(regex, topic)).transpose()?.flatten();
                    Some(Routed { topic: new, identifier: identifier.unwrap_or_else(|| topic.clone()) })
                }
                None => None,
            };
            self.last = Some((topic.clone(), routed));
        }
        Ok(self.last.as_ref().and_then(|(_, routed)| routed.clone()))
    }

    fn rename_key(&mut self, key: &mut Data, routed: &Routed) -> Result<()> {
        let old = require_struct(&key.value, PURPOSE)?;
        let schema = old.schema();
        let (adjust, field) = (self.adjust, &self.key_field);
        let make = || {
            let mut builder = renamed(schema, &format!("{}.Key", routed.topic), adjust, |_| None);
            if let Some(field) = field {
                builder = builder.field(field.name.clone(), Schema::string());
            }
            Ok(Arc::new(Named { topic: routed.topic.clone(), schema: builder.build()?, row: None }))
        };
        let mut named = self.keys.get_or(schema, make)?;
        if named.topic != routed.topic {
            named = make()?;
        }
        let mut values = Vec::with_capacity(named.schema.fields().len());
        for (field, value) in schema.fields().iter().zip(old.values()) {
            check_null(field, value)?;
            values.push(value.clone());
        }
        if self.key_field.is_some() {
            values.push(Value::String(routed.identifier.clone()));
        }
        set_struct(key, named.schema.clone(), values);
        Ok(())
    }

    fn rename_event(&mut self, event: &mut Data, topic: &Str) -> Result<()> {
        let old = require_struct(&event.value, PURPOSE)?;
        let schema = old.schema();
        let adjust = self.adjust;
        let make = || {
            let row = match schema.field("before").map(|field| field.schema()) {
                Some(row) if row.kind() == SchemaKind::Struct => {
                    Some(renamed(row, &format!("{topic}.Value"), adjust, |_| None).build()?)
                }
                _ => None,
            };
            let replace = |name: &str| if matches!(name, "before" | "after") { row.clone() } else { None };
            let schema = renamed(schema, &format!("{topic}.Envelope"), adjust, replace).build()?;
            Ok(Arc::new(Named { topic: topic.clone(), schema, row }))
        };
        let mut named = self.events.get_or(schema, make)?;
        if named.topic != *topic {
            named = make()?;
        }
        let mut values = Vec::with_capacity(old.values().len());
        for (index, field) in schema.fields().iter().enumerate() {
            let value = match (old.get_at(index), &named.row) {
                (Value::Struct(row), Some(schema)) if matches!(field.name(), "before" | "after") => {
                    Value::from(Struct::from_values(schema.clone(), row.values().to_vec()))
                }
                (value, _) => value.clone(),
            };
            check_null(&named.schema.fields()[index], &value)?;
            values.push(value);
        }
        set_struct(event, named.schema.clone(), values);
        Ok(())
    }
}

/// The schema under another name. `replace` gives the schemas of fields that change.
fn renamed(schema: &Schema, name: &str, adjust: bool, replace: impl Fn(&str) -> Option<SchemaRef>) -> SchemaBuilder {
    let name = if adjust { avro_name(name) } else { name.to_owned() };
    let mut builder = SchemaBuilder::structure().basics_of(schema).name(name).set_optional(schema.is_optional());
    for field in schema.fields() {
        let schema = replace(field.name()).unwrap_or_else(|| field.schema().clone());
        builder = builder.field(field.name_str().clone(), schema);
    }
    builder
}

/// A full name that Avro allows (`SchemaNameAdjuster.validFullname`).
fn avro_name(name: &str) -> String {
    let mut adjusted = String::with_capacity(name.len());
    for (index, c) in name.chars().enumerate() {
        let valid = c.is_ascii_alphabetic() || c == '_' || (index > 0 && (c.is_ascii_digit() || c == '.'));
        adjusted.push(if valid { c } else { '_' });
        // So that names that differ in their first digit stay different.
        if index == 0 && c.is_ascii_digit() {
            adjusted.push(c);
        }
    }
    adjusted
}
