//! The subject that a schema is registered under.

use barnabas_connect::{Error, Result};

/// `io.confluent.kafka.serializers.subject.*`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `<topic>-key` or `<topic>-value`
    #[default]
    TopicName,
    /// The name of the record.
    RecordName,
    /// `<topic>-<name of the record>`
    TopicRecordName,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::TopicName, Self::RecordName, Self::TopicRecordName];

    /// The Java class.
    pub fn class(self) -> &'static str {
        match self {
            Self::TopicName => "io.confluent.kafka.serializers.subject.TopicNameStrategy",
            Self::RecordName => "io.confluent.kafka.serializers.subject.RecordNameStrategy",
            Self::TopicRecordName => "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy",
        }
    }

    /// By full or simple class name.
    pub fn find(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL.into_iter().find(|it| it.class() == name || it.class().rsplit('.').next() == Some(name))
    }

    /// The subject, when it does not depend on the schema.
    pub fn of_topic(self, topic: &str, is_key: bool) -> Option<String> {
        (self == Self::TopicName).then(|| format!("{topic}-{}", if is_key { "key" } else { "value" }))
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
            Self::TopicRecordName => format!("{topic}-{record}"),
            _ => record.to_owned(),
        })
    }
}
