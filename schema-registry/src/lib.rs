//! Converters whose schemas are in a schema registry, in Confluent's wire format: a zero, the id of the schema, the value.
//!
//! They stand in for `io.confluent.connect.avro.AvroConverter`, `io.confluent.connect.json.JsonSchemaConverter` and
//! `io.confluent.connect.protobuf.ProtobufConverter`, and keep their keys, their subjects and their mapping between Connect's
//! data and each format. [`register`] adds them to a worker's registry of plugins.
//!
//! # Map of the crate
//!
//! | module | what lives there |
//! | --- | --- |
//! | `converter` | what the three have in common, and what a format brings |
//! | `config` | the keys that all three have: where the registry is, how schemas are found; those that are refused |
//! | `client` | requests to the registry: fail-over, retries, one deadline, credentials, TLS |
//! | `serde`, `subject` | the wire format; which schema a value is written with |
//! | `cache` | what was worked out once for each topic and schema |
//! | `input` | reading foreign bytes |
//! | [`avro`] | Avro |
//! | [`json`] | JSON Schema |
//! | [`protobuf`] | Protobuf |
//!
//! A schema is compiled once into a plan, which then takes each record from bytes to values, or back, without another form
//! between. The calls are synchronous; one that meets a schema for the first time blocks while it asks the registry, no longer
//! than `http.total.timeout.ms`.

pub mod avro;
mod cache;
mod client;
mod config;
mod converter;
mod input;
pub mod json;
mod names;
pub mod protobuf;
mod serde;
mod subject;

use barnabas_connect::converter::ConverterPlugin;
use barnabas_connect::{ConfigDef, Registry};

pub use avro::AvroConverter;
pub use json::JsonSchemaConverter;
pub use protobuf::ProtobufConverter;

static PLUGINS: [ConverterPlugin; 3] = [AvroConverter::PLUGIN, JsonSchemaConverter::PLUGIN, ProtobufConverter::PLUGIN];

/// Adds the converters.
pub fn register(registry: &mut Registry) {
    PLUGINS.iter().for_each(|plugin| registry.register_converter(plugin));
}

/// The full names of the converters.
pub fn converters() -> Vec<&'static str> {
    PLUGINS.iter().map(|plugin| plugin.class).collect()
}

/// The keys that all of them have.
pub fn common_config_def() -> ConfigDef {
    config::with_registry(config::data_keys())
}

/// Why a key that an original has is refused, if it is.
pub fn refusal(key: &str) -> Option<&'static str> {
    config::refused::all().find(|refused| refused.key == key).map(|refused| refused.reason)
}

/// Whether this is another name of a key that says how to talk to the registry: the key with `schema.registry.` in front.
pub fn is_other_name(key: &str) -> bool {
    key.strip_prefix(config::PREFIX).is_some_and(|key| config::client_keys().get(key).is_some())
}
