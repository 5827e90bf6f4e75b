//! `org.apache.kafka.connect.json.JsonConverter`, byte for byte.

mod cache;
mod from_json;
mod schema;
mod to_json;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::config::{ConfigDef, ConfigError, ConfigKey, Importance, RawConfig, Type, Validator, Width};
use crate::error::{Error, Result};
use crate::json::{Reader, parse, read_node};
use crate::record::{Data, Header};
use crate::schema::{Schema, SchemaRef};
use crate::value::{Str, Value};

use super::Converter;
use cache::{FromConnectCache, ToConnectCache};
use from_json::FromJson;

/// JSON, in an envelope with its schema (`{"schema":...,"payload":...}`) or plain.
pub struct JsonConverter {
    settings: Settings,
    schemas_enabled: bool,
    fixed_schema: Option<SchemaRef>,
    rendered: Mutex<FromConnectCache>,
    parsed: Mutex<ToConnectCache>,
}

/// What both directions have to know.
#[derive(Clone, Copy)]
struct Settings {
    decimals_as_numbers: bool,
    replace_null: bool,
}

impl JsonConverter {
    /// The Java class.
    pub const CLASS: &'static str = "org.apache.kafka.connect.json.JsonConverter";

    /// The keys.
    pub fn config_def() -> ConfigDef {
        ConfigDef::new()
            .define(
                ConfigKey::new("schemas.enable", Type::Boolean)
                    .default(true)
                    .importance(Importance::High)
                    .display("Schemas", 0, Width::Medium, "Enable Schemas")
                    .doc("Whether each value is in an envelope with its schema."),
            )
            .define(
                ConfigKey::new("schemas.cache.size", Type::Int)
                    .default(1000)
                    .importance(Importance::High)
                    .display("Schemas", 1, Width::Medium, "Schema Cache Size")
                    .doc("The largest number of schemas to keep in each direction."),
            )
            .define(
                ConfigKey::new("schema.content", Type::String)
                    .default_null()
                    .importance(Importance::High)
                    .display("Schemas", 2, Width::Medium, "Schema Content")
                    .doc("The schema of all messages, as JSON, for messages that do not carry it (KIP-1054)."),
            )
            .define(
                ConfigKey::new("decimal.format", Type::String)
                    .default("BASE64")
                    .validator(Validator::one_of_ignore_case(&["NUMERIC", "BASE64"]))
                    .importance(Importance::Low)
                    .display("Serialization", 0, Width::Medium, "Decimal Format")
                    .doc("How decimals are written: `BASE64` of their bytes, or `NUMERIC`."),
            )
            .define(
                ConfigKey::new("replace.null.with.default", Type::Boolean)
                    .default(true)
                    .importance(Importance::Low)
                    .display("Serialization", 1, Width::Medium, "Replace null with default")
                    .doc("Whether fields that are null take the default value of their schema."),
            )
    }

    /// From its configuration, prefix removed.
    pub fn from_config(config: &RawConfig) -> Result<Self, Vec<ConfigError>> {
        let config = Self::config_def().parse(config)?;
        let settings = Settings {
            decimals_as_numbers: config.string("decimal.format").eq_ignore_ascii_case("NUMERIC"),
            replace_null: config.boolean("replace.null.with.default"),
        };
        let capacity = usize::try_from(config.int("schemas.cache.size")).unwrap_or(0);
        let mut converter = Self {
            settings,
            schemas_enabled: config.boolean("schemas.enable"),
            fixed_schema: None,
            rendered: Mutex::new(FromConnectCache::new(capacity)),
            parsed: Mutex::new(ToConnectCache::new(capacity)),
        };
        if let Some(content) = config.opt_string("schema.content").filter(|content| !content.is_empty()) {
            converter.fixed_schema = converter
                .parse_schema(content)
                .map_err(|error| vec![ConfigError::invalid("schema.content", content, &error.to_string())])?;
        }
        Ok(converter)
    }

    pub(super) fn build(config: &RawConfig, _is_key: bool) -> Result<Arc<dyn Converter>, Vec<ConfigError>> {
        Ok(Arc::new(Self::from_config(config)?))
    }

    fn parse_schema(&self, content: &str) -> Result<Option<SchemaRef>> {
        let node = parse(content).map_err(|error| Error::data(format!("Not JSON: {error}")))?;
        match node {
            Some(node) => schema::from_json(&node, self.settings),
            None => Ok(None),
        }
    }

    /// The JSON of a schema, from the cache when it was rendered before.
    fn schema_json(&self, schema: &SchemaRef) -> Result<Bytes> {
        self.rendered.lock().unwrap_or_else(PoisonError::into_inner).get_or(schema, || {
            let mut out = Vec::with_capacity(256);
            schema::to_json(&mut out, schema, None, self.settings)?;
            Ok(out.into())
        })
    }

    /// Reads an envelope: the schema from the cache by its very text, the payload against it.
    fn envelope(&self, text: &Str) -> Result<Data> {
        let mut reader = Reader::new(text);
        let (mut schema, mut payload, mut members) = (None, None, 0);
        if reader.begin() && reader.at_object() {
            reader.token().map_err(not_json)?;
            while let Some(name) = reader.next_name(members == 0).map_err(not_json)? {
                members += 1;
                // A repeated name counts once, and its last value.
                match &*name {
                    "schema" => {
                        members -= usize::from(schema.is_some());
                        schema = Some(self.schema_text(&mut reader)?);
                    }
                    "payload" => {
                        members -= usize::from(payload.is_some());
                        payload = Some(read_node(&mut reader).map_err(not_json)?);
                    }
                    _ => reader.skip_value().map_err(not_json)?,
                }
            }
        } else if reader.begin() {
            let number = reader.at_number();
            reader.skip_value().and_then(|()| reader.finish(number)).map_err(not_json)?;
        }
        let (Some(schema), Some(payload), 2) = (schema, payload, members) else {
            return Err(Error::data(
                "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not contain \
                 additional fields. If you are trying to deserialize plain JSON data, set schemas.enable=false in your \
                 converter configuration.",
            ));
        };
        let schema = self.lock_parsed().get_or(schema, || match parse(schema).map_err(not_json)? {
            Some(node) => schema::from_json(&node, self.settings),
            None => Ok(None),
        })?;
        let mut from = FromJson::new(text, self.settings);
        let value = match &schema {
            Some(schema) => from.with_schema(schema, Some(&payload))?,
            None => from.schemaless_node(&payload),
        };
        Ok(Data { schema, value })
    }

    /// The text of the schema. When it is that of the message before, it is known to be right and where it ends.
    fn schema_text<'a>(&self, reader: &mut Reader<'a>) -> Result<&'a str> {
        reader.skip_space();
        let start = reader.position();
        let known = self.lock_parsed().last_length(reader.rest());
        match known {
            Some(length) => reader.skip(length),
            None => reader.skip_value().map_err(not_json)?,
        }
        Ok(reader.between(start, reader.position()))
    }

    fn lock_parsed(&self) -> MutexGuard<'_, ToConnectCache> {
        self.parsed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn payload(&self, text: &Str, payload: &str, schema: Option<&SchemaRef>) -> Result<Value> {
        let mut from = FromJson::new(text, self.settings);
        match schema {
            None => from.schemaless(payload),
            Some(schema) => {
                let node = parse(payload).map_err(not_json)?;
                from.with_schema(schema, node.as_ref())
            }
        }
    }
}

/// The message as text. Jackson never sees what follows the first value, so that need not be UTF-8.
fn readable(bytes: &Bytes) -> Result<Str> {
    let malformed = match Str::try_from(bytes.clone()) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let prefix = Str::try_from(bytes.slice(..malformed.valid_up_to())).unwrap_or_default();
    // Only these say by themselves where they end.
    if prefix.trim_start().starts_with(['{', '[', '"']) {
        return Ok(prefix);
    }
    let message = "Converting byte[] to Kafka Connect data failed due to serialization error: ";
    Err(Error::data(message).with_source(malformed))
}

/// `DataException` of `toConnectData`
fn not_json(error: crate::json::ParseError) -> Error {
    Error::data("Converting byte[] to Kafka Connect data failed due to serialization error: ").with_source(error)
}

impl Converter for JsonConverter {
    fn from_connect(&self, _topic: &str, _headers: &mut Vec<Header>, data: &Data) -> Result<Option<Bytes>> {
        let schema = data.schema.as_ref();
        if schema.is_none() && data.value.is_null() {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(256);
        if self.schemas_enabled {
            out.extend_from_slice(b"{\"schema\":");
            match schema {
                Some(schema) => out.extend_from_slice(&self.schema_json(schema)?),
                None => out.extend_from_slice(b"null"),
            }
            out.extend_from_slice(b",\"payload\":");
        }
        to_json::write(&mut out, schema.map(|schema| -> &Schema { schema }), &data.value, self.settings)?;
        if self.schemas_enabled {
            out.push(b'}');
        }
        Ok(Some(out.into()))
    }

    fn to_connect(&self, _topic: &str, _headers: &[Header], bytes: Option<&Bytes>) -> Result<Data> {
        let Some(bytes) = bytes else { return Ok(Data::NULL) };
        let text = readable(bytes)?;
        if self.schemas_enabled && self.fixed_schema.is_none() {
            return self.envelope(&text);
        }
        let schema = if self.schemas_enabled { self.fixed_schema.clone() } else { None };
        let value = self.payload(&text, &text, schema.as_ref())?;
        Ok(Data { schema, value })
    }

    fn class(&self) -> &'static str {
        Self::CLASS
    }
}
