//! What the three converters do alike: the wire format, and which schema a value is written with.

use barnabas_connect::{Error, Result};

use crate::client::{Client, SchemaText, SchemaType};
use crate::config::SerdeConfig;

/// The byte that each message begins with; the id of its schema follows, big-endian.
pub const MAGIC: u8 = 0;
/// How long both are.
pub const HEADER: usize = 5;

/// Splits a message into the id of its schema and the rest.
pub fn split(bytes: &[u8]) -> Result<(u32, &[u8])> {
    match bytes {
        [MAGIC, a, b, c, d, rest @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), rest)),
        [MAGIC, ..] => Err(Error::data("Invalid schema id in payload: the message is shorter than an id.")),
        [] => Err(Error::data("Unknown magic byte! The message is empty.")),
        [magic, ..] => Err(Error::data(format!(
            "Unknown magic byte! The message begins with {magic} instead of 0: it was not written with a schema registry."
        ))),
    }
}

/// Begins a message.
pub fn header(id: u32) -> [u8; HEADER] {
    let [a, b, c, d] = id.to_be_bytes();
    [MAGIC, a, b, c, d]
}

/// The schema that a value is written with.
pub enum WriteWith {
    /// The one that was made from the value's own schema.
    Own {
        /// Its id.
        id: u32,
    },
    /// One that the registry has (`use.latest.version`, `use.schema.id`).
    Theirs {
        /// Its id.
        id: u32,
        /// The schema.
        text: SchemaText,
    },
}

/// A converter's view of the registry.
pub struct Serde {
    pub client: Client,
    pub config: SerdeConfig,
    is_key: bool,
    ty: SchemaType,
}

impl Serde {
    pub fn new(config: SerdeConfig, ty: SchemaType, is_key: bool) -> Self {
        Self { client: Client::new(&config.client, ty), config, is_key, ty }
    }

    /// How long the answer of [`Serde::writing`] holds.
    pub fn write_ttl(&self) -> Option<std::time::Duration> {
        let latest = !self.config.auto_register && self.config.use_schema_id.is_none() && self.config.use_latest;
        self.config.latest_ttl.filter(|_| latest)
    }

    /// Finds or registers the schema of a value. `record` is the schema's full name, if it has one.
    pub fn writing(&self, topic: &str, record: Option<&str>, own: &SchemaText) -> Result<WriteWith> {
        let subject = self.config.strategy.subject(topic, self.is_key, record)?;
        if self.config.auto_register {
            return Ok(WriteWith::Own { id: self.client.register(&subject, own)? });
        }
        if let Some(id) = self.config.use_schema_id {
            return Ok(WriteWith::Theirs { id, text: self.client.by_id(id, Some(&subject))? });
        }
        if self.config.use_latest {
            let latest = self.client.latest(&subject)?;
            return Ok(WriteWith::Theirs { id: latest.id, text: latest.text });
        }
        Ok(WriteWith::Own { id: self.client.lookup(&subject, own)?.id })
    }

    /// The schema of a message.
    pub fn reading(&self, topic: &str, id: u32) -> Result<SchemaText> {
        self.client.by_id(id, self.config.strategy.of_topic(topic, self.is_key).as_deref())
    }

    /// The version of a schema in its subject, which is the version of the Connect schema. A schema that is not under the
    /// subject, because another topic's was copied, has none.
    pub fn version(&self, topic: &str, record: Option<&str>, text: &SchemaText) -> Result<Option<i32>> {
        let subject = self.config.strategy.subject(topic, self.is_key, record)?;
        match self.client.lookup(&subject, text) {
            Ok(found) => Ok(found.version),
            Err(error) if error.reason() == "SchemaNotFound" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the converters say about a value that cannot be written.
    pub fn not_written(&self, topic: &str, error: Error) -> Error {
        self.at("serialize", &format!("data from topic {topic}"), error)
    }

    /// What the converters say about a message that cannot be read.
    pub fn not_read(&self, topic: &str, error: Error) -> Error {
        self.at("deserialize", &format!("data of topic {topic}"), error)
    }

    fn at(&self, what: &str, of: &str, error: Error) -> Error {
        let ty = match self.ty {
            SchemaType::Avro => "Avro",
            SchemaType::Json => "JSON Schema",
            SchemaType::Protobuf => "Protobuf",
        };
        let message = format!("Failed to {what} {ty} {of}: {}", error.message());
        Error::new(error.code(), message).with_reason(error.reason()).with_source(error)
    }
}
