//! `io.debezium.transforms.TimezoneConverter`: the times of change events in another time zone.

mod rules;
mod zone;

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigError, ConfigKey, Importance, Parsed, RawConfig, Type, Validator, invalid_value};
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::record::Record;
use crate::schema::Schema;
use crate::transform::Transform;
use crate::transform::fields::SchemaCache;
use crate::value::{Struct, Value};

use super::{is_envelope, require_struct};
use rules::{Rules, Selection};
use zone::{Kind, Zone};

pub(in crate::transform) fn config_def() -> ConfigDef {
    let list = |name: &str, doc: &str| {
        ConfigKey::new(name, Type::List)
            .default(Parsed::List(Vec::new()))
            .importance(Importance::High)
            .doc(format!(
                "{doc}, each `source:<table>`, `topic:<topic>` or `<table or topic>`, with `:<field>` behind it for one field; the last \
                 form needs it. Fields of one struct only are written `before.<field>`, `after.<field>` and `source.<field>`."
            ))
            .validator(Validator::Custom("rules such as source:table:field", |name, value| {
                let items = value.and_then(Parsed::as_list).unwrap_or_default();
                match items.iter().find(|item| !rules::is_rule(item)) {
                    Some(item) => Err(invalid_value(
                        name,
                        item,
                        "a rule is source:<table>[:<field>], topic:<topic>[:<field>] or <table or topic>:<field>",
                    )),
                    None => Ok(()),
                }
            }))
    };
    ConfigDef::new()
        .define(
            ConfigKey::new("converted.timezone", Type::String)
                .importance(Importance::High)
                .validator(Validator::Custom("time zone", |name, value| {
                    let text = value.and_then(Parsed::as_text).unwrap_or_default();
                    match Zone::new(text) {
                        Some(_) => Ok(()),
                        None => Err(invalid_value(
                            name,
                            text,
                            "a time zone is a name such as America/Los_Angeles, or an offset such as +08:00",
                        )),
                    }
                }))
                .doc("The time zone: a name such as `America/Los_Angeles`, or an offset such as `+08:00`."),
        )
        .define(list("include.list", "What is converted. Without rules that are all times of the rows. Rules"))
        .define(list("exclude.list", "What is not converted. Rules"))
}

struct TimezoneConverter {
    zone: Zone,
    rules: Rules,
    /// For structs of a schema the fields that hold a time.
    schemas: SchemaCache<Arc<[(usize, Kind)]>>,
}

pub(in crate::transform) fn build(config: &RawConfig) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    let (include, exclude) = (config.list("include.list"), config.list("exclude.list"));
    if !include.is_empty() && !exclude.is_empty() {
        let what = "Both include and exclude lists are specified. Please specify only one.";
        return Err(vec![ConfigError::new("exclude.list", "InvalidValue", what)]);
    }
    let text = config.string("converted.timezone");
    let zone = Zone::new(text)
        .ok_or_else(|| vec![ConfigError::invalid("converted.timezone", text, "there is no such time zone")])?;
    Ok(Box::new(TimezoneConverter { zone, rules: Rules::new(include, exclude), schemas: SchemaCache::new() }))
}

/// The fields of a struct that hold times. In `source` numbers without a schema name are times too.
fn times(schema: &Schema, of_source: bool) -> Arc<[(usize, Kind)]> {
    let kind = |field: &crate::schema::Field| match field.schema().name() {
        Some(name) => Kind::of(name),
        None if of_source => Kind::of_source(field.name()),
        None => None,
    };
    schema.fields().iter().enumerate().filter_map(|(index, field)| Some((index, kind(field)?))).collect()
}

impl Transform for TimezoneConverter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        if record.value.value.is_null() || !is_envelope(&record.value) {
            return Ok(Some(record));
        }
        let event = require_struct(&record.value.value, "time zone conversion")?;
        let table = event.get("source").ok().and_then(Value::as_struct);
        let table = table.and_then(|source| source.get("table").ok()).and_then(Value::as_str);
        let selection = self.rules.select(table, &record.topic);
        if matches!(selection, Selection::Nothing) {
            return Ok(Some(record));
        }
        let mut values = event.values().to_vec();
        for which in ["before", "after", "source"] {
            let Some(index) = event.schema().field_index(which) else { continue };
            let Value::Struct(row) = &values[index] else { continue };
            if which == "source" && !selection.names_source() {
                continue;
            }
            if let Some(changed) = convert(&self.zone, &mut self.schemas, row, which, &selection)? {
                values[index] = changed.into();
            }
        }
        record.value.value = Struct::from_values(event.schema().clone(), values).into();
        Ok(Some(record))
    }
}

/// The struct with its times converted; `None` when there is nothing to convert.
fn convert(
    zone: &Zone,
    schemas: &mut SchemaCache<Arc<[(usize, Kind)]>>,
    row: &Struct,
    which: &str,
    selection: &Selection<'_>,
) -> Result<Option<Struct>> {
    let fields = row.schema().fields();
    let times = if which == "source" {
        times(row.schema(), true)
    } else {
        schemas.get_or(row.schema(), || Ok(times(row.schema(), false)))?
    };
    let mut changed: Option<Vec<Value>> = None;
    for (index, kind) in times.iter().filter(|(index, _)| selection.takes(which, fields[*index].name())) {
        let value = row.get_at(*index);
        if value.is_null() {
            continue;
        }
        let converted = zone.convert(*kind, value).ok_or_else(|| {
            let name = fields[*index].name();
            Error::data(format!("The value {value} of the field {which}.{name} is no time that can be converted."))
        })?;
        changed.get_or_insert_with(|| row.values().to_vec())[*index] = converted;
    }
    Ok(changed.map(|values| Struct::from_values(row.schema().clone(), values)))
}
