//! `io.debezium.transforms.outbox.EventRouter`: rows of an outbox table become messages of their own.

mod config;
mod json;

use std::sync::Arc;

use crate::config::RawConfig;
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::record::{Data, Header, Record};
use crate::schema::{Schema, SchemaBuilder, SchemaKind, SchemaRef};
use crate::transform::fields::SchemaCache;
use crate::transform::{Transform, regex_router};
use crate::value::{Str, Struct, Value};

use super::{is_envelope, require_struct, string, typed_field};
pub(in crate::transform) use config::config_def;
use config::{Additional, Placement, Settings};

struct EventRouter {
    settings: Settings,
    router: Box<dyn Transform>,
    /// For payloads of a schema the schema of the message.
    schemas: SchemaCache<Arc<Message>>,
}

/// What the schema of a message was made for, and the schema.
struct Message {
    topic: Str,
    version: Option<i32>,
    row: SchemaRef,
    schema: SchemaRef,
}

pub(in crate::transform) fn build(config: &RawConfig) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    let regex = [
        ("regex".to_owned(), config.string("route.topic.regex").to_owned()),
        ("replacement".to_owned(), config.string("route.topic.replacement").to_owned()),
    ];
    let router = regex_router::build(&RawConfig::from(regex))?;
    Ok(Box::new(EventRouter { settings: Settings::new(&config)?, router, schemas: SchemaCache::new() }))
}

impl Transform for EventRouter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        if record.value.value.is_null() {
            return Ok(None);
        }
        if !is_envelope(&record.value) {
            return Ok(Some(record));
        }
        let event = match std::mem::take(&mut record.value.value) {
            Value::Struct(event) => event,
            other => return Err(super::not_a_struct(&other, "Detect Debezium Operation")),
        };
        match string(&event, "op")? {
            Some("d") => return Ok(None),
            Some("u") if self.settings.fails_on_updates => {
                return Err(Error::data(format!("Unexpected update message received {}, fail.", record.key.value)));
            }
            // An outbox is only added to and deleted from.
            Some("u") => return Ok(None),
            _ => {}
        }
        let after = event.get("after").map_err(|_| Error::data("Unknown field: after"))?;
        let row = require_struct(after, "Read Outbox Event")?;
        self.message(&mut record, &event, row)?;
        self.router.apply(record)
    }
}

impl EventRouter {
    fn message(&mut self, record: &mut Record, event: &Struct, row: &Struct) -> Result<()> {
        let settings = &self.settings;
        let payload_field = row
            .schema()
            .field(&settings.payload)
            .ok_or_else(|| Error::data(format!("Unable to find payload field {} in event", settings.payload)))?;
        let mut payload = Data::new(payload_field.schema().clone(), row.get(&settings.payload)?.clone());
        let timestamp = timestamp(settings.timestamp.as_deref(), event, row)?;
        let add_header = |record: &mut Record, name: &Str, field: &str| -> Result<()> {
            let value = row.get(field)?.clone();
            let schema = row.schema().field(field).map(|field| field.schema().clone());
            if let Some(schema) = schema.as_ref().filter(|schema| value.is_null() && !schema.is_optional()) {
                let what = format!("A null value requires an optional schema but was {}", schema.describe());
                return Err(Error::data(what));
            }
            record.headers.push(Header { key: name.clone(), schema, value });
            Ok(())
        };
        add_header(record, &Str::from_static("id"), &settings.id)?;
        if settings.expand_json
            && let Value::String(text) = &payload.value
            && let Some(expanded) = json::expand(text, &settings.payload, settings.null_as_bytes)
        {
            payload = expanded;
        }
        let topic = string(row, &settings.route_by)?.map(Str::copy_from);
        let topic = topic.ok_or_else(|| {
            Error::data(format!("The field {} is null, of which the topic is made.", settings.route_by))
        })?;
        let missing = |field: &Additional| settings.ignores_missing && row.schema().field(&field.name).is_none();
        let mut partition = None;
        let mut envelope = Vec::new();
        for field in settings.additional.iter().filter(|field| !missing(field)) {
            match field.placement {
                Placement::Envelope => envelope.push(field),
                Placement::Header => add_header(record, &field.alias, &field.name)?,
                Placement::Partition => {
                    let index = typed_field(row, &field.name, SchemaKind::Int32)?;
                    partition = row.values()[index].as_i64().map(|number| number as i32);
                }
            }
        }
        let empty = match &payload.value {
            Value::Null => true,
            Value::String(text) => crate::java::trim(text).is_empty(),
            _ => false,
        };
        let wraps = settings.additional.iter().any(|field| field.placement == Placement::Envelope);
        record.value = if empty && settings.tombstones {
            Data::NULL
        } else if wraps {
            let payload_schema = payload.schema.clone().unwrap_or_else(Schema::optional_string);
            let version = match &settings.version {
                Some(field) => {
                    let index = typed_field(row, field, SchemaKind::Int32)?;
                    row.values()[index].as_i64().map(|number| number as i32)
                }
                None => None,
            };
            let make = || make_message(&payload_schema, row.schema(), &topic, version, &envelope);
            let mut message = self.schemas.get_or(&payload_schema, make)?;
            if message.topic != topic || message.version != version || message.row != *row.schema() {
                message = make()?;
                self.schemas.replace_last(message.clone());
            }
            let mut wrapped = Struct::new(message.schema.clone())?;
            wrapped.put("payload", payload.value)?;
            for field in &envelope {
                wrapped.put(&field.alias, row.get(&field.name)?.clone())?;
            }
            Data::new(message.schema.clone(), wrapped)
        } else {
            payload
        };
        let key = row.schema().field(&settings.key).map(|field| field.schema().clone());
        record.key = Data { value: row.get(&settings.key)?.clone(), schema: key };
        record.topic = topic;
        record.partition = partition;
        record.timestamp = timestamp;
        Ok(())
    }
}

/// The schema of a message with additional fields; its name holds the topic.
fn make_message(
    payload: &SchemaRef,
    row: &SchemaRef,
    topic: &Str,
    version: Option<i32>,
    envelope: &[&Additional],
) -> Result<Arc<Message>> {
    let name = match row.name().map(|name| (name, name.rfind('.'))) {
        Some((name, Some(dot))) => format!("{}{topic}.{}", &name[..=dot], &name[dot + 1..]),
        Some((name, None)) => format!("{topic}.{name}"),
        None => topic.to_string(),
    };
    let mut builder = SchemaBuilder::structure().name(name).field("payload", payload.clone());
    for field in envelope {
        let schema = row.field(&field.name);
        let schema = schema.ok_or_else(|| Error::data(format!("Unable to find field {} in event", field.name)))?;
        builder = builder.field(field.alias.clone(), schema.schema().clone());
    }
    if let Some(version) = version {
        builder = builder.version(version);
    }
    Ok(Arc::new(Message { topic: topic.clone(), version, row: row.clone(), schema: builder.build()? }))
}

/// Milliseconds, from the field of the row or else from the event.
fn timestamp(field: Option<&str>, event: &Struct, row: &Struct) -> Result<Option<i64>> {
    let of_event =
        || -> Result<Option<i64>> { Ok(event.values()[typed_field(event, "ts_ms", SchemaKind::Int64)?].as_i64()) };
    let Some(field) = field else { return of_event() };
    let schema = row.schema().field(field).map(|field| field.schema());
    let schema = schema.ok_or_else(|| Error::data(format!("Unable to find timestamp field {field} in event")))?;
    let value = match row.values()[typed_field(row, field, SchemaKind::Int64)?] {
        Value::Int64(value) => value,
        _ => return of_event(),
    };
    match schema.name() {
        Some("io.debezium.time.Timestamp") => Ok(Some(value)),
        Some("io.debezium.time.MicroTimestamp") => Ok(Some(value / 1000)),
        Some("io.debezium.time.NanoTimestamp") => Ok(Some(value / 1_000_000)),
        Some(name) => Err(Error::data(format!("Unsupported field type {name} for event timestamp"))),
        None => Err(Error::data(format!(
            "Unsupported field type {} (without logical schema name) for event timestamp",
            schema.kind()
        ))),
    }
}
