//! `io.debezium.transforms.ExtractNewRecordState`: a change event becomes the row as it is after the change.

mod reference;

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigKey, Importance, RawConfig, Type, Validator};
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::record::{Data, Header, Record};
use crate::schema::{Schema, SchemaBuilder, SchemaKind, SchemaRef};
use crate::transform::fields::{
    SchemaCache, check_null, no_fields, not_a_struct, replace_null_with_default, set_struct,
};
use crate::transform::{Side, Transform, replace_field};
use crate::value::{Str, Struct, Value};

use super::{is_envelope, require_struct, string};
use reference::{Getter, Reference};

const DELETED: &str = "__deleted";

pub(in crate::transform) fn config_def() -> ConfigDef {
    let low = |name: &str, ty, doc: &str| ConfigKey::new(name, ty).importance(Importance::Low).doc(doc);
    let list = |name, doc: &str| {
        low(name, Type::List, doc).default(crate::config::Parsed::List(Vec::new())).validator(Validator::Custom(
            "fields, with a struct before a dot and a new name behind a colon where wanted",
            |name, value| {
                for field in value.and_then(crate::config::Parsed::as_list).unwrap_or_default() {
                    Reference::parse("", field).map_err(|what| crate::config::invalid_value(name, field, &what))?;
                }
                Ok(())
            },
        ))
    };
    ConfigDef::new()
        .define(
            ConfigKey::new("delete.tombstone.handling.mode", Type::String)
                .default("tombstone")
                .validator(Validator::one_of_ignore_case(&[
                    "drop",
                    "tombstone",
                    "rewrite",
                    "rewrite-with-tombstone",
                    "delete-to-tombstone",
                ]))
                .doc(
                    "What becomes of delete events and the tombstones behind them. `drop`: both are left out. `tombstone`: the \
                     delete event becomes a tombstone, the one behind it is left out. `rewrite`: the deleted row with the field \
                     `__deleted`, no tombstone. `rewrite-with-tombstone`: that and the tombstone. `delete-to-tombstone`: as \
                     `tombstone`, without a schema.",
                ),
        )
        .define(low("route.by.field", Type::String, "The field of the row whose value is the new topic.").default(""))
        .define(low("add.fields.prefix", Type::String, "What stands before the names of added fields.").default("__"))
        .define(list(
            "add.fields",
            "Fields of the event to add to the row, such as `op,table,source.ts_ms`. `source.ts_ms` becomes `__source_ts_ms`; \
             `source.ts_ms:time` becomes `__time`. Fields that do not exist are left out.",
        ))
        .define(low("add.headers.prefix", Type::String, "What stands before the names of added headers.").default("__"))
        .define(list("add.headers", "Fields of the event to add as headers, written as those of `add.fields`."))
        .define(
            low("drop.fields.header.name", Type::String, "The header that holds a list of fields to leave out.")
                .default_null(),
        )
        .define(low("drop.fields.from.key", Type::Boolean, "Whether to leave them out of the key too.").default(false))
        .define(
            low(
                "drop.fields.keep.schema.compatible",
                Type::Boolean,
                "Whether only optional fields are left out, so that the schemas stay compatible.",
            )
            .default(true),
        )
        .define(replace_null_with_default().importance(Importance::Low))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deletes {
    Drop,
    Tombstone,
    Rewrite,
    RewriteWithTombstone,
    DeleteToTombstone,
}

struct ExtractNewRecordState {
    deletes: Deletes,
    route_by: Option<String>,
    replace_null: bool,
    add_fields: Vec<Reference>,
    add_headers: Vec<Reference>,
    drop: Option<DropFields>,
    /// For envelopes of a schema, how the row after the change is made, and that before a deletion.
    after: SchemaCache<Arc<Row>>,
    before: SchemaCache<Arc<Row>>,
    headers: SchemaCache<Arc<[(Str, Getter)]>>,
}

/// How a row is made of an envelope of one schema.
struct Row {
    /// The index of `after` or `before` in the envelope.
    index: usize,
    schema: SchemaRef,
    added: Vec<Getter>,
}

pub(in crate::transform) fn build(config: &RawConfig) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    let references = |key: &str| {
        let prefix = config.string(&format!("{key}.prefix"));
        // The definition has checked them.
        config.list(key).iter().filter_map(|field| Reference::parse(prefix, field).ok()).collect::<Vec<_>>()
    };
    let deletes = match config.string("delete.tombstone.handling.mode").to_lowercase().as_str() {
        "drop" => Deletes::Drop,
        "rewrite" => Deletes::Rewrite,
        "rewrite-with-tombstone" => Deletes::RewriteWithTombstone,
        "delete-to-tombstone" => Deletes::DeleteToTombstone,
        _ => Deletes::Tombstone,
    };
    let drop = config.opt_string("drop.fields.header.name").filter(|name| !name.is_empty()).map(|header| DropFields {
        header: header.to_owned(),
        from_key: config.boolean("drop.fields.from.key"),
        keep_compatible: config.boolean("drop.fields.keep.schema.compatible"),
        key: None,
        value: None,
    });
    Ok(Box::new(ExtractNewRecordState {
        deletes,
        route_by: Some(config.string("route.by.field").to_owned()).filter(|field| !field.is_empty()),
        replace_null: config.boolean("replace.null.with.default"),
        add_fields: references("add.fields"),
        add_headers: references("add.headers"),
        drop,
        after: SchemaCache::new(),
        before: SchemaCache::new(),
        headers: SchemaCache::new(),
    }))
}

impl Transform for ExtractNewRecordState {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        if record.value.value.is_null() {
            for reference in self.add_headers.iter().filter(|reference| reference.field() == "op") {
                let key = Str::copy_from(reference.new_name());
                record.headers.push(Header { key, schema: Some(Schema::string()), value: Value::from_static("d") });
            }
            return Ok((self.deletes == Deletes::RewriteWithTombstone).then_some(record));
        }
        if !is_envelope(&record.value) {
            return Ok(Some(record));
        }
        let event = match std::mem::take(&mut record.value.value) {
            Value::Struct(event) => event,
            other => return Err(not_a_struct(&other, "field extraction")),
        };
        self.add_headers(&mut record, &event)?;
        let after = event.get("after").map_err(|_| Error::data("Unknown field: after"))?;
        if !after.is_null() {
            if let Some(field) = &self.route_by {
                route(&mut record, after, field, "Read record to set topic routing for CREATE / UPDATE")?;
            }
            self.set_row(&mut record, &event, "after")?;
        } else {
            let before = event.get("before").map_err(|_| Error::data("Unknown field: before"))?;
            // The table was truncated.
            if before.is_null() || self.deletes == Deletes::Drop {
                return Ok(None);
            }
            if let Some(field) = &self.route_by {
                route(&mut record, before, field, "Read record to set topic routing for DELETE")?;
            }
            match self.deletes {
                Deletes::Rewrite | Deletes::RewriteWithTombstone => self.set_row(&mut record, &event, "before")?,
                Deletes::Tombstone => {
                    let schema = event.schema().field("after").map(|field| field.schema().clone());
                    record.value = Data { schema, value: Value::Null };
                }
                _ => record.value = Data::NULL,
            }
        }
        match &mut self.drop {
            Some(drop) => drop.apply(record).map(Some),
            None => Ok(Some(record)),
        }
    }
}

/// A value that is not blank becomes the topic.
fn route(record: &mut Record, row: &Value, field: &str, purpose: &str) -> Result<()> {
    if let Some(topic) = string(require_struct(row, purpose)?, field)?
        && !topic.trim().is_empty()
    {
        record.topic = Str::copy_from(topic);
    }
    Ok(())
}

impl ExtractNewRecordState {
    fn add_headers(&mut self, record: &mut Record, event: &Struct) -> Result<()> {
        if self.add_headers.is_empty() {
            return Ok(());
        }
        let getters = self.headers.get_or(event.schema(), || {
            let found = |reference: &Reference| {
                let getter = reference.resolve(event.schema())?;
                Ok(getter.map(|getter| (Str::copy_from(reference.new_name()), getter)))
            };
            self.add_headers.iter().filter_map(|reference| found(reference).transpose()).collect()
        })?;
        for (name, getter) in getters.iter() {
            let value = getter.get(event);
            record.headers.push(Header { key: name.clone(), schema: Some(getter.schema.clone()), value });
        }
        Ok(())
    }

    /// The row of the event takes the place of the event; `which` is `after` or `before`.
    fn set_row(&mut self, record: &mut Record, event: &Arc<Struct>, which: &'static str) -> Result<()> {
        let rewrites = matches!(self.deletes, Deletes::Rewrite | Deletes::RewriteWithTombstone);
        let rows = if which == "after" { &mut self.after } else { &mut self.before };
        let plan =
            rows.get_or(event.schema(), || compile(event.schema(), which, rewrites, &self.add_fields).map(Arc::new))?;
        let row = require_struct(event.get_at(plan.index), "source field insertion")?;
        let mut values = Vec::with_capacity(plan.schema.fields().len());
        for index in 0..row.values().len() {
            let value = if rewrites && self.replace_null { row.get_at(index) } else { &row.values()[index] };
            check_null(&plan.schema.fields()[index], value)?;
            values.push(value.clone());
        }
        if rewrites {
            values.push(Value::from_static(if which == "after" { "false" } else { "true" }));
        }
        for getter in &plan.added {
            let value = getter.get(event);
            if matches!(value, Value::Struct(_) | Value::Map(_)) {
                getter.schema.validate(None, &value)?;
            }
            values.push(value);
        }
        set_struct(&mut record.value, plan.schema.clone(), values);
        Ok(())
    }
}

fn compile(event: &Schema, which: &str, rewrites: bool, add_fields: &[Reference]) -> Result<Row> {
    let unknown = || Error::data(format!("Unknown field: {which}"));
    let index = event.field_index(which).ok_or_else(unknown)?;
    let row = event.fields()[index].schema();
    let mut builder = SchemaBuilder::structure().basics_of(row);
    for field in row.fields() {
        builder = builder.field(field.name_str().clone(), field.schema().clone());
    }
    if rewrites {
        builder = builder.field(DELETED, Schema::optional_string());
    }
    let mut added = Vec::new();
    for reference in add_fields {
        if let Some(getter) = reference.resolve(event)? {
            builder = builder.field(Str::copy_from(reference.new_name()), getter.schema.clone());
            added.push(getter);
        }
    }
    Ok(Row { index, schema: builder.build()?, added })
}

/// Leaves out the fields that a header names.
struct DropFields {
    header: String,
    from_key: bool,
    keep_compatible: bool,
    // The lists of one connector rarely differ, so the last transform of each side is kept.
    key: Option<(Vec<Str>, Box<dyn Transform>)>,
    value: Option<(Vec<Str>, Box<dyn Transform>)>,
}

impl DropFields {
    fn apply(&mut self, mut record: Record) -> Result<Record> {
        let names = match record.header(&self.header).map(|header| &header.value) {
            None | Some(Value::Null) => return Ok(record),
            Some(Value::Array(names)) => names.clone(),
            Some(other) => {
                let class = other.java_class();
                let what = format!("The header {} has to be a list of names of fields, and is a {class}.", self.header);
                return Err(Error::data(what));
            }
        };
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        if self.from_key && !record.key.value.is_null() {
            record = leave_out(&mut self.key, Side::Key, &names, self.keep_compatible, record)?;
        }
        leave_out(&mut self.value, Side::Value, &names, self.keep_compatible, record)
    }
}

fn leave_out(
    last: &mut Option<(Vec<Str>, Box<dyn Transform>)>,
    side: Side,
    names: &[&str],
    keep_compatible: bool,
    mut record: Record,
) -> Result<Record> {
    let Some(schema) = &side.of(&mut record).schema else { return Ok(record) };
    if schema.kind() != SchemaKind::Struct {
        return Err(no_fields());
    }
    let dropped: Vec<Str> = if keep_compatible {
        let fields = schema.fields().iter().filter(|field| field.schema().is_optional());
        fields.filter(|field| names.contains(&field.name())).map(|field| field.name_str().clone()).collect()
    } else {
        names.iter().map(|name| Str::copy_from(name)).collect()
    };
    if dropped.is_empty() {
        return Ok(record);
    }
    if last.as_ref().is_none_or(|(known, _)| *known != dropped) {
        let transform = replace_field::excluding(dropped.iter().map(|name| name.as_str().to_owned()).collect(), side);
        *last = Some((dropped, transform));
    }
    match last {
        Some((_, transform)) => transform.apply(record)?.ok_or_else(|| Error::data("ReplaceField drops no record.")),
        None => Ok(record),
    }
}
