//! The subject that a schema is registered under.

use barnabas_connect::{Error, Result};

/// `io.confluent.kafka.serializers.subject.*`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `<topic>-key` or `<topic>-value`
    #[default]
    Topic,
    /// The name of the record.
    Record,
    /// `<topic>-<name of the record>`
    TopicRecord,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Topic, Self::Record, Self::TopicRecord];

    /// The Java class.
    pub fn class(self) -> &'static str {
        match self {
            Self::Topic => "io.confluent.kafka.serializers.subject.TopicNameStrategy",
            Self::Record => "io.confluent.kafka.serializers.subject.RecordNameStrategy",
            Self::TopicRecord => "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy",
        }
    }

    /// By full or simple class name.
    pub fn find(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL.into_iter().find(|it| it.class() == name || it.class().rsplit('.').next() == Some(name))
    }

    /// The subject, when it does not depend on the schema.
    pub fn of_topic(self, topic: &str, is_key: bool) -> Option<String> {
        (self == Self::Topic).then(|| format!("{topic}-{}", if is_key { "key" } else { "value" }))
    }

    /// The subject of a schema with this full name, if it has one.
    pub fn subject(self, topic: &str, is_key: bool, record: Option<&str>) -> Result<String> {
        if let Some(subject) = self.of_topic(topic, is_key) {
            return Ok(subject);
        }
        let Some(record) = record else {
            let role = if is_key { "key" } else { "value" };
            return Err(Error::data(format!(
                "In configuration {role}.subject.name.strategy = {}, the message {role} must only be a record schema",
                self.class()
            )));
        };
        Ok(match self {
            Self::TopicRecord => format!("{topic}-{record}"),
            _ => record.to_owned(),
        })
    }
}
