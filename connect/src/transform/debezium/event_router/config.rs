//! The keys of the outbox event router.

use crate::config::{Config, ConfigDef, ConfigError, ConfigKey, Importance, Parsed, Type, Validator, invalid_value};
use crate::value::Str;

pub(in crate::transform) fn config_def() -> ConfigDef {
    let key = |name: &str, ty, importance, doc: &str| ConfigKey::new(name, ty).importance(importance).doc(doc);
    let (high, medium, low) = (Importance::High, Importance::Medium, Importance::Low);
    ConfigDef::new()
        .define(key("table.field.event.id", Type::String, low, "The field of the id, which becomes the header `id`.").default("id"))
        .define(key("table.field.event.key", Type::String, low, "The field of the key of the message.").default("aggregateid"))
        .define(key("table.field.event.type", Type::String, low, "The field of the type of the event.").default("type"))
        .define(key("table.field.event.payload", Type::String, low, "The field of the message itself.").default("payload"))
        .define(
            key("table.field.event.timestamp", Type::String, medium, "The field of the time of the message. Without it that is the time of the event.")
                .default_null(),
        )
        .define(
            key(
                "table.fields.additional.placement",
                Type::List,
                high,
                "Further fields, `name:placement` or `name:placement:alias`, where the placement is `header`, `envelope` or \
                 `partition`.",
            )
            .default(Parsed::List(Vec::new()))
            .validator(Validator::Custom("list of name:placement or name:placement:alias", |name, value| {
                let items = value.and_then(Parsed::as_list).unwrap_or_default();
                items.iter().try_for_each(|item| {
                    Additional::parse(item).map(|_| ()).map_err(|what| invalid_value(name, &format!("[{}]", items.join(", ")), &what))
                })
            })),
        )
        .define(
            key("table.field.additional.missing", Type::String, medium, "Whether a further field that a row does not have is an error, or is left out.")
                .default("error")
                .validator(Validator::one_of_ignore_case(&["error", "ignore"])),
        )
        .define(
            key("table.field.event.schema.version", Type::String, low, "The field of the version of the schema of messages with further fields.")
                .default_null(),
        )
        .define(key("route.by.field", Type::String, high, "The field of which the topic is made.").default("aggregatetype"))
        .define(
            key("route.topic.regex", Type::String, low, "A Java regular expression for the value of that field.")
                .default("(?<routedByValue>.*)")
                .validator(Validator::Regex),
        )
        .define(
            key("route.topic.replacement", Type::String, high, "The topic, with what the expression matched.")
                .default("outbox.event.${routedByValue}"),
        )
        .define(
            key("route.tombstone.on.empty.payload", Type::Boolean, high, "Whether an empty message becomes a tombstone.").default(false),
        )
        .define(
            key(
                "table.op.invalid.behavior",
                Type::String,
                medium,
                "What happens when a row of the outbox is updated: it is left out (`warn`, `error`), or the transform fails (`fatal`).",
            )
            .default("warn")
            .validator(Validator::one_of_ignore_case(&["warn", "error", "fatal"])),
        )
        .define(
            key("table.expand.json.payload", Type::Boolean, medium, "Whether a message that is the text of a JSON object becomes a struct.").default(false),
        )
        .define(
            key(
                "table.json.payload.null.behavior",
                Type::String,
                medium,
                "Whether fields of such an object that are null are left out (`ignore`), or kept as optional bytes (`optional_bytes`).",
            )
            .default("ignore")
            .validator(Validator::one_of_ignore_case(&["ignore", "optional_bytes"])),
        )
}

/// The keys, parsed.
pub(super) struct Settings {
    pub id: String,
    pub key: String,
    pub payload: String,
    pub timestamp: Option<String>,
    pub version: Option<String>,
    pub route_by: String,
    pub additional: Vec<Additional>,
    pub ignores_missing: bool,
    pub fails_on_updates: bool,
    pub tombstones: bool,
    pub expand_json: bool,
    pub null_as_bytes: bool,
}

impl Settings {
    pub fn new(config: &Config) -> std::result::Result<Self, Vec<ConfigError>> {
        let additional = config.list("table.fields.additional.placement").iter().map(|item| {
            let key = "table.fields.additional.placement";
            Additional::parse(item).map_err(|what| vec![ConfigError::invalid(key, item, &what)])
        });
        let text = |key: &str| config.string(key).to_owned();
        let is = |key: &str, value: &str| config.string(key).eq_ignore_ascii_case(value);
        Ok(Self {
            id: text("table.field.event.id"),
            key: text("table.field.event.key"),
            payload: text("table.field.event.payload"),
            timestamp: config.opt_string("table.field.event.timestamp").map(str::to_owned),
            version: config.opt_string("table.field.event.schema.version").map(str::to_owned),
            route_by: text("route.by.field"),
            additional: additional.collect::<std::result::Result<_, _>>()?,
            ignores_missing: is("table.field.additional.missing", "ignore"),
            fails_on_updates: is("table.op.invalid.behavior", "fatal"),
            tombstones: config.boolean("route.tombstone.on.empty.payload"),
            expand_json: config.boolean("table.expand.json.payload"),
            null_as_bytes: is("table.json.payload.null.behavior", "optional_bytes"),
        })
    }
}

/// A further field of the row.
pub(super) struct Additional {
    pub name: String,
    pub placement: Placement,
    pub alias: Str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    Header,
    Envelope,
    Partition,
}

impl Additional {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let parts: Vec<&str> = text.split(':').map(str::trim).collect();
        let (name, placement, alias) = match parts[..] {
            [name, placement] => (name, placement, name),
            [name, placement, alias] => (name, placement, alias),
            _ => return Err("A comma-separated list of valid String pairs or trios is expected".to_owned()),
        };
        let placement = match placement.to_lowercase().as_str() {
            "header" => Placement::Header,
            "envelope" => Placement::Envelope,
            "partition" => Placement::Partition,
            other => return Err(format!("{other} is none of the placements header, envelope, partition")),
        };
        Ok(Self { name: name.to_owned(), placement, alias: Str::copy_from(alias) })
    }
}
