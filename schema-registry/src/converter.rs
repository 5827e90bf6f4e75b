//! What the three converters have in common: how they are made, what they keep, and what their errors say.

use std::sync::Arc;

use barnabas_connect::converter::{Configured, ConverterPlugin};
use barnabas_connect::{Config, ConfigDef, Converter, Data, Header, RawConfig, Result, SchemaRef};
use bytes::Bytes;

use crate::cache::Cache;
use crate::client::SchemaType;
use crate::config::{SerdeConfig, with_registry};
use crate::serde::{Asking, Serde};

/// One of the formats: what the converters do not have in common.
pub trait Format: Sized + Send + Sync + 'static {
    /// The Java class of the converter.
    const CLASS: &'static str;
    /// The language of its schemas.
    const TYPE: SchemaType;
    /// Writes values of one Connect schema.
    type Writer: Send + Sync;
    /// Reads messages of one schema of the registry.
    type Reader: Send + Sync;

    /// Its own keys.
    fn config_def() -> ConfigDef;

    /// From parsed keys.
    fn new(config: &Config, serde: &SerdeConfig) -> Self;

    /// Finds or registers the schema that values of a Connect schema are written with.
    fn writer(&self, asking: &Asking<'_>, topic: &str, schema: Option<&SchemaRef>) -> Result<Written<Self>>;

    /// Finds the schema with an id.
    fn reader(&self, asking: &Asking<'_>, topic: &str, id: u32) -> Result<Self::Reader>;

    /// Writes a value, with the schema's id in front; `None` is Kafka's null. The writer is asked for when there is something
    /// to write with it.
    fn write(&self, data: &Data, writer: impl FnOnce() -> Result<Arc<Written<Self>>>) -> Result<Option<Bytes>>;

    /// Reads a message whose value begins at `skip`.
    fn read(&self, reader: &Self::Reader, message: &Bytes, skip: usize) -> Result<Data>;
}

/// A writer with the id of the schema that it writes.
pub struct Written<F: Format> {
    /// The id.
    pub id: u32,
    /// The writer.
    pub writer: F::Writer,
}

/// A converter whose schemas are in a registry.
pub struct RegistryConverter<F: Format> {
    format: F,
    serde: Serde,
    writers: Cache<Option<SchemaRef>, Arc<Written<F>>>,
    readers: Cache<u32, Arc<F::Reader>>,
}

impl<F: Format> RegistryConverter<F> {
    /// The Java class.
    pub const CLASS: &'static str = F::CLASS;

    /// The converter class.
    pub const PLUGIN: ConverterPlugin = ConverterPlugin {
        class: F::CLASS,
        version: barnabas_connect::VERSION,
        config_def: Self::config_def,
        build: |config, is_key| Ok(Arc::new(Self::from_config(config, is_key)?)),
    };

    /// The keys.
    pub fn config_def() -> ConfigDef {
        with_registry(F::config_def())
    }

    /// From its configuration, prefix removed.
    pub fn from_config(config: &RawConfig, is_key: bool) -> Configured<Self> {
        let config = Self::config_def().parse(config)?;
        let serde = Serde::new(SerdeConfig::new(&config, is_key)?, F::TYPE, is_key);
        Ok(Self {
            format: F::new(&config, &serde.config),
            writers: Cache::new(serde.config.write_cache_size(), serde.config.write_ttl()),
            readers: Cache::new(serde.config.cache_size, None),
            serde,
        })
    }

    fn write(&self, topic: &str, data: &Data) -> Result<Option<Bytes>> {
        self.format.write(data, || {
            self.writers.get_or(topic, &data.schema, || {
                Ok(Arc::new(self.format.writer(&self.serde.asking(), topic, data.schema.as_ref())?))
            })
        })
    }

    fn read(&self, topic: &str, message: &Bytes) -> Result<Data> {
        let id = crate::serde::id(message)?;
        let reader =
            self.readers.get_or(topic, &id, || Ok(Arc::new(self.format.reader(&self.serde.asking(), topic, id)?)))?;
        self.format.read(&reader, message, crate::serde::HEADER)
    }
}

impl<F: Format> Converter for RegistryConverter<F> {
    fn from_connect(&self, topic: &str, _headers: &mut Vec<Header>, data: &Data) -> Result<Option<Bytes>> {
        self.write(topic, data).map_err(|error| self.serde.not_written(topic, error))
    }

    fn to_connect(&self, topic: &str, _headers: &[Header], bytes: Option<&Bytes>) -> Result<Data> {
        let Some(bytes) = bytes else { return Ok(Data::NULL) };
        self.read(topic, bytes).map_err(|error| self.serde.not_read(topic, error))
    }

    fn class(&self) -> &'static str {
        F::CLASS
    }
}
