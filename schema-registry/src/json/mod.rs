//! `io.confluent.connect.json.JsonSchemaConverter`: JSON, the JSON Schema in a registry.

mod from_connect;
mod read;
mod to_connect;
mod write;

use std::sync::Arc;

use barnabas_connect::config::{Importance, Type, Validator};
use barnabas_connect::converter::{Configured, ConverterPlugin};
use barnabas_connect::{
    Config, ConfigDef, ConfigKey, Converter, Data, Error, Header, RawConfig, Result, Schema, SchemaRef, Str,
};
use bytes::Bytes;

use crate::cache::Cache;
use crate::client::{SchemaText, SchemaType};
use crate::config::{SerdeConfig, data_keys, flag, with_registry};
use crate::serde::{self, Serde, WriteWith};

pub use from_connect::from_connect;
pub use read::read;
pub use to_connect::to_connect;
pub use write::write;

/// The converter class.
pub static PLUGIN: ConverterPlugin = ConverterPlugin {
    class: JsonSchemaConverter::CLASS,
    version: barnabas_connect::VERSION,
    config_def: JsonSchemaConverter::config_def,
    build: |config, is_key| Ok(Arc::new(JsonSchemaConverter::from_config(config, is_key)?)),
};

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

/// The converter.
pub struct JsonSchemaConverter {
    serde: Serde,
    settings: Settings,
    ids: Cache<Option<SchemaRef>, u32>,
    schemas: Cache<u32, SchemaRef>,
}

impl JsonSchemaConverter {
    /// The Java class.
    pub const CLASS: &'static str = "io.confluent.connect.json.JsonSchemaConverter";

    /// The keys.
    pub fn config_def() -> ConfigDef {
        with_registry(Settings::config_def())
    }

    /// From its configuration, prefix removed.
    pub fn from_config(config: &RawConfig, is_key: bool) -> Configured<Self> {
        let config = Self::config_def().parse(config)?;
        let serde = Serde::new(SerdeConfig::new(&config, is_key)?, SchemaType::Json, is_key);
        let size = serde.config.cache_size;
        Ok(Self {
            settings: Settings::new(&config),
            ids: Cache::new(size, serde.write_ttl()),
            schemas: Cache::new(size, None),
            serde,
        })
    }

    fn write(&self, topic: &str, data: &Data) -> Result<Option<Bytes>> {
        let Some(schema) = &data.schema else {
            if data.value.is_null() {
                return Ok(None);
            }
            return Err(Error::data(
                "Data without a schema cannot be written with a JSON Schema; give it one, or use org.apache.kafka.connect.json.JsonConverter",
            ));
        };
        let mut out = vec![0; serde::HEADER];
        if !write(&mut out, Some(schema), &data.value, &self.settings)? {
            return Ok(None);
        }
        let id = self.ids.get_or(topic, &data.schema, || {
            let text = from_connect(schema, &self.settings)?;
            match self.serde.writing(topic, schema.name(), &SchemaText::new(text))? {
                WriteWith::Own { id } | WriteWith::Theirs { id, .. } => Ok(id),
            }
        })?;
        out[..serde::HEADER].copy_from_slice(&serde::header(id));
        Ok(Some(out.into()))
    }

    fn schema(&self, topic: &str, id: u32) -> Result<SchemaRef> {
        let text = self.serde.reading(topic, id)?;
        let json: serde_json::Value = serde_json::from_str(&text.schema)
            .map_err(|error| Error::data(format!("The schema is not JSON: {error}")))?;
        let title = json.get("title").and_then(serde_json::Value::as_str);
        let version = self.serde.version(topic, title, &text)?;
        to_connect(&json, &self.serde.client.references(&text)?, version, &self.settings)
    }

    fn read(&self, topic: &str, bytes: &Bytes) -> Result<Data> {
        let (id, _) = serde::split(bytes)?;
        let schema = self.schemas.get_or(topic, &id, || self.schema(topic, id))?;
        let text = Str::try_from(bytes.slice(serde::HEADER..))
            .map_err(|error| Error::data(format!("The message is not UTF-8: {error}")))?;
        let value = read(&schema, &text)?;
        Ok(Data { schema: Some(schema), value })
    }
}

impl Converter for JsonSchemaConverter {
    fn from_connect(&self, topic: &str, _headers: &mut Vec<Header>, data: &Data) -> Result<Option<Bytes>> {
        self.write(topic, data).map_err(|error| self.serde.not_written(topic, error))
    }

    fn to_connect(&self, topic: &str, _headers: &[Header], bytes: Option<&Bytes>) -> Result<Data> {
        let Some(bytes) = bytes else { return Ok(Data::NULL) };
        self.read(topic, bytes).map_err(|error| self.serde.not_read(topic, error))
    }

    fn class(&self) -> &'static str {
        Self::CLASS
    }
}
