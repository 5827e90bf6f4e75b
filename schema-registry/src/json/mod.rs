//! `io.confluent.connect.json.JsonSchemaConverter`: JSON, the JSON Schema in a registry.

mod from_connect;
mod read;
mod to_connect;
mod validate;
mod write;

use std::sync::Arc;

use barnabas_connect::config::{Importance, Type, Validator};
use barnabas_connect::{Config, ConfigDef, ConfigKey, Data, Error, Result, Schema, SchemaRef, Str};
use bytes::Bytes;

use crate::client::{SchemaText, SchemaType};
use crate::config::{SerdeConfig, data_keys, flag, refused};
use crate::converter::{Format, RegistryConverter, Written};
use crate::serde::{self, Asking, WriteWith};
use validate::Rules;

pub use from_connect::from_connect;
pub use read::read;
pub use to_connect::to_connect;
pub use write::write;

/// The converter.
pub type JsonSchemaConverter = RegistryConverter<JsonSchema>;

/// The name of a struct that stands for one of several schemas.
const ONE_OF: &str = "io.confluent.connect.json.OneOf";
/// The parameter that marks a string as an enum.
const ENUM: &str = "io.confluent.connect.json.Enum";
/// Parameters that are the mapping's own.
const NAMESPACE: &str = "io.confluent.connect.json";
/// With `generalized.sum.type.support`.
const GENERAL_UNION: &str = "org.apache.kafka.connect.data.Union";
const GENERAL_ENUM: &str = "org.apache.kafka.connect.data.Enum";

/// How Connect's data and JSON's are mapped (`JsonSchemaDataConfig`).
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `object.additional.properties`
    pub additional_properties: bool,
    /// `use.optional.for.nonrequired`
    pub optional_for_nonrequired: bool,
    /// `decimal.format=NUMERIC`
    pub numeric_decimals: bool,
    /// `generalized.sum.type.support`
    pub general: bool,
    /// `ignore.default.for.nullables`
    pub ignore_default: bool,
    /// `flatten.singleton.unions`
    pub flatten_singleton: bool,
}

impl Settings {
    /// The keys of the mapping.
    pub fn config_def() -> ConfigDef {
        data_keys()
            .define(flag(
                "object.additional.properties",
                true,
                "Whether objects may have properties that the schema does not name.",
            ))
            .define(flag(
                "use.optional.for.nonrequired",
                false,
                "Whether properties that are not required are read as optional.",
            ))
            .define(flag("flatten.singleton.unions", true, "Whether a union of one schema is read as that schema."))
            .define(
                ConfigKey::new("decimal.format", Type::String)
                    .default("BASE64")
                    .validator(Validator::one_of_ignore_case(&["NUMERIC", "BASE64"]))
                    .importance(Importance::Low)
                    .doc("How decimals are written: `BASE64` of their bytes, or `NUMERIC`."),
            )
    }

    /// From parsed keys.
    pub fn new(config: &Config) -> Self {
        Self {
            additional_properties: config.boolean("object.additional.properties"),
            optional_for_nonrequired: config.boolean("use.optional.for.nonrequired"),
            numeric_decimals: config.string("decimal.format").eq_ignore_ascii_case("NUMERIC"),
            general: config.boolean("generalized.sum.type.support"),
            ignore_default: config.boolean("ignore.default.for.nullables"),
            flatten_singleton: config.boolean("flatten.singleton.unions"),
        }
    }
}

fn is_union(schema: &Schema) -> bool {
    schema.name() == Some(ONE_OF) || schema.parameter(GENERAL_UNION).is_some()
}

/// JSON Schema in the hands of a converter.
pub struct JsonSchema {
    settings: Settings,
    /// `json.fail.invalid.schema`
    validate: bool,
    /// `ignore.modern.dialects`
    only_old_drafts: bool,
}

/// Reads the messages of one schema.
pub struct Reader {
    schema: SchemaRef,
    /// What a message must satisfy besides.
    rules: Option<Rules>,
}

impl JsonSchema {
    /// The rules that messages must satisfy, when they are to be checked.
    fn rules(&self, schema: &serde_json::Value, references: &[(String, String)]) -> Result<Option<Rules>> {
        self.validate.then(|| Rules::new(schema, references, self.only_old_drafts)).transpose()
    }
}

impl Format for JsonSchema {
    const CLASS: &'static str = "io.confluent.connect.json.JsonSchemaConverter";
    const TYPE: SchemaType = SchemaType::Json;
    type Writer = Option<Rules>;
    type Reader = Reader;

    fn config_def() -> ConfigDef {
        let def = Settings::config_def()
            .define(flag(
                "json.fail.invalid.schema",
                false,
                "Whether each message is checked against its schema: lengths, ranges, patterns and all else.",
            ))
            .define(flag(
                "ignore.modern.dialects",
                false,
                "Whether schemas of drafts after 7 are checked by the rules of draft 7. It matters with `json.fail.invalid.schema`.",
            ));
        refused::define(def, refused::JSON)
    }

    fn new(config: &Config, _serde: &SerdeConfig) -> Self {
        Self {
            settings: Settings::new(config),
            validate: config.boolean("json.fail.invalid.schema"),
            only_old_drafts: config.boolean("ignore.modern.dialects"),
        }
    }

    fn writer(&self, asking: &Asking<'_>, topic: &str, schema: Option<&SchemaRef>) -> Result<Written<Self>> {
        let schema = schema.ok_or_else(schemaless)?;
        let own = SchemaText::new(from_connect(schema, &self.settings)?);
        let (id, text) = match asking.writing(topic, schema.name(), &own)? {
            WriteWith::Own { id } => (id, own),
            WriteWith::Theirs { id, text } => (id, text),
        };
        let writer = match self.validate {
            true => self.rules(&parse(&text)?, &asking.references(&text)?)?,
            false => None,
        };
        Ok(Written { id, writer })
    }

    fn reader(&self, asking: &Asking<'_>, topic: &str, id: u32) -> Result<Reader> {
        let text = asking.reading(topic, id)?;
        let json = parse(&text)?;
        let title = json.get("title").and_then(serde_json::Value::as_str);
        let version = asking.version(topic, title, &text)?;
        let references = asking.references(&text)?;
        let schema = to_connect(&json, &references, version, &self.settings)?;
        Ok(Reader { schema, rules: self.rules(&json, &references)? })
    }

    fn write(&self, data: &Data, writer: impl FnOnce() -> Result<Arc<Written<Self>>>) -> Result<Option<Bytes>> {
        let Some(schema) = &data.schema else {
            return if data.value.is_null() { Ok(None) } else { Err(schemaless()) };
        };
        // The id comes last: nothing is registered for a value that does not fit its own schema, as in the original.
        let mut out = vec![0; serde::HEADER];
        if !write(&mut out, Some(schema), &data.value, &self.settings)? {
            return Ok(None);
        }
        let Written { id, writer } = &*writer()?;
        if let Some(rules) = writer {
            rules.check(&out[serde::HEADER..])?;
        }
        out[..serde::HEADER].copy_from_slice(&serde::header(*id));
        Ok(Some(out.into()))
    }

    fn read(&self, reader: &Reader, message: &Bytes, skip: usize) -> Result<Data> {
        let text = Str::try_from(message.slice(skip..))
            .map_err(|error| Error::data(format!("The message is not UTF-8: {error}")))?;
        if let Some(rules) = &reader.rules {
            rules.check(text.as_bytes())?;
        }
        let value = read(&reader.schema, &text)?;
        Ok(Data { schema: Some(reader.schema.clone()), value })
    }
}

fn parse(text: &SchemaText) -> Result<serde_json::Value> {
    serde_json::from_str(&text.schema).map_err(|error| Error::data(format!("The schema is not JSON: {error}")))
}

fn schemaless() -> Error {
    Error::data(
        "Data without a schema cannot be written with a JSON Schema; give it one, or use org.apache.kafka.connect.json.JsonConverter",
    )
}
