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
//! | `config` | the keys that all three have: where the registry is, how schemas are found |
//! | `client` | requests to the registry: fail-over, retries, credentials, TLS |
//! | `serde`, `subject` | the wire format; which schema a value is written with |
//! | `cache` | what was worked out once for each topic and schema |
//! | `input` | reading foreign bytes |
//! | [`avro`] | Avro |
//! | [`json`] | JSON Schema |
//! | [`protobuf`] | Protobuf |
//!
//! A schema is compiled once into a plan, which then takes each record from bytes to values, or back, without another form
//! between. The calls are synchronous; one that meets a schema for the first time blocks while it asks the registry.

pub mod avro;
mod cache;
mod client;
mod config;
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

static PLUGINS: [&ConverterPlugin; 3] = [&avro::PLUGIN, &json::PLUGIN, &protobuf::PLUGIN];

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
