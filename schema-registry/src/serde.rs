//! What the three converters do alike: the wire format, and which schema a value is written with.

use barnabas_connect::{Error, Result};

use crate::client::{Client, Deadline, Registered, SchemaText, SchemaType, Use};
use crate::config::{Choice, SerdeConfig};

/// The byte that each message begins with; the id of its schema follows, big-endian.
pub const MAGIC: u8 = 0;
/// How long both are.
pub const HEADER: usize = 5;

/// The id of the schema of a message.
pub fn id(message: &[u8]) -> Result<u32> {
    match message {
        [MAGIC, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        [MAGIC, ..] => Err(Error::data("Invalid schema id in payload: the message is shorter than an id.")),
        [] => Err(Error::data("Unknown magic byte! The message is empty.")),
        [magic, ..] => Err(Error::data(format!(
            "Unknown magic byte! The message begins with {magic} instead of 0: it was not written with a schema registry."
        ))),
    }
}

/// What a message begins with.
pub fn header(id: u32) -> [u8; HEADER] {
    let [a, b, c, d] = id.to_be_bytes();
    [MAGIC, a, b, c, d]
}

/// Begins a message.
pub fn begin(id: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(256);
    message.extend_from_slice(&header(id));
    message
}

/// A schema of the registry that values cannot be written with.
pub fn unfit(id: u32, error: &Error) -> Error {
    Error::data(format!("Schema {id} of the registry does not fit the data: {}", error.message()))
        .with_reason("IncompatibleSchema")
}

/// The schema that a value is written with.
pub enum WriteWith {
    /// The one that was made from the value's own schema.
    Own {
        /// Its id.
        id: u32,
    },
    /// One that the registry has (`use.schema.id`, `use.latest.with.metadata`, `use.latest.version`).
    Theirs {
        /// Its id.
        id: u32,
        /// The schema.
        text: SchemaText,
    },
}

/// A converter's view of the registry.
pub struct Serde {
    pub config: SerdeConfig,
    client: Client,
    is_key: bool,
    ty: SchemaType,
}

impl Serde {
    pub fn new(config: SerdeConfig, ty: SchemaType, is_key: bool) -> Self {
        Self { client: Client::new(&config.client, ty), config, is_key, ty }
    }

    /// Begins what one conversion asks.
    pub fn asking(&self) -> Asking<'_> {
        Asking { serde: self, deadline: Deadline::after(self.config.client.total_timeout) }
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

/// What one conversion asks the registry: all of it together has to end by one deadline, because the task waits for it.
pub struct Asking<'a> {
    serde: &'a Serde,
    deadline: Deadline,
}

impl Asking<'_> {
    /// Finds or registers the schema of a value. `record` is the schema's full name, if it has one.
    pub fn writing(&self, topic: &str, record: Option<&str>, own: &SchemaText) -> Result<WriteWith> {
        let Serde { config, client, .. } = self.serde;
        let subject = self.subject(topic, record)?;
        let theirs = |Registered { id, text, .. }| WriteWith::Theirs { id, text };
        match &config.write_with {
            Choice::Register => Ok(WriteWith::Own { id: client.register(self.deadline, &subject, own)? }),
            Choice::Id(id) => {
                let text = client.by_id(self.deadline, *id, Some(&subject), Use::Write)?;
                Ok(WriteWith::Theirs { id: *id, text })
            }
            Choice::Metadata(wanted) => client.latest_with(self.deadline, &subject, wanted).map(theirs),
            Choice::Latest => client.latest(self.deadline, &subject).map(theirs),
            Choice::Lookup => Ok(WriteWith::Own { id: client.lookup(self.deadline, &subject, own)?.id }),
        }
    }

    /// The schema of a message.
    pub fn reading(&self, topic: &str, id: u32) -> Result<SchemaText> {
        let subject = self.serde.config.strategy.of_topic(topic, self.serde.is_key);
        self.serde.client.by_id(self.deadline, id, subject.as_deref(), Use::Read)
    }

    /// The schemas that a schema refers to, by the names that it uses.
    pub fn references(&self, text: &SchemaText) -> Result<Vec<(String, String)>> {
        self.serde.client.references(self.deadline, text)
    }

    /// The version of a schema in its subject, which is the version of the Connect schema. A schema that is not under the
    /// subject, because another topic's was copied, has none.
    pub fn version(&self, topic: &str, record: Option<&str>, text: &SchemaText) -> Result<Option<i32>> {
        match self.serde.client.lookup(self.deadline, &self.subject(topic, record)?, text) {
            Ok(found) => Ok(found.version),
            Err(error) if error.reason() == "SchemaNotFound" => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn subject(&self, topic: &str, record: Option<&str>) -> Result<String> {
        self.serde.config.strategy.subject(topic, self.serde.is_key, record)
    }
}
