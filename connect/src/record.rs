//! Records as they pass between connectors, transforms and converters.

use crate::offsets::SourcePosition;
use crate::plugin::TopicPartition;
use crate::schema::SchemaRef;
use crate::value::{Str, Value};

/// A value with its schema, if it has one (`org.apache.kafka.connect.data.SchemaAndValue`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    /// The schema; schemaless data has none.
    pub schema: Option<SchemaRef>,
    /// The value.
    pub value: Value,
}

impl Data {
    /// Neither schema nor value: a tombstone.
    pub const NULL: Self = Self { schema: None, value: Value::Null };

    /// A value with a schema.
    pub fn new(schema: SchemaRef, value: impl Into<Value>) -> Self {
        Self { schema: Some(schema), value: value.into() }
    }

    /// A value without a schema.
    pub fn schemaless(value: impl Into<Value>) -> Self {
        Self { schema: None, value: value.into() }
    }
}

/// A record header (`org.apache.kafka.connect.header.Header`). A key may occur several times.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The name.
    pub key: Str,
    /// The schema of the value, if it has one.
    pub schema: Option<SchemaRef>,
    /// The value.
    pub value: Value,
}

/// What a record's timestamp means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The record has none.
    #[default]
    NoTimestampType,
    /// Set by the producer.
    CreateTime,
    /// Set by the broker.
    LogAppendTime,
}

/// A record, on either path.
///
/// Sources fill [`Record::source`] and may leave the partition open; sinks get [`Record::offset`] and a partition.
/// One type for both, so that transforms are written once (`org.apache.kafka.connect.connector.ConnectRecord`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The topic.
    pub topic: Str,
    /// The partition; `None` leaves it to the producer.
    pub partition: Option<i32>,
    /// The key.
    pub key: Data,
    /// The value.
    pub value: Data,
    /// The headers in order.
    pub headers: Vec<Header>,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
    /// What the timestamp means; sinks only.
    pub timestamp_type: TimestampType,
    /// The Kafka offset; sinks only.
    pub offset: Option<i64>,
    /// Where Kafka has the record, when transforms may have changed its topic and partition (KIP-793); sinks only.
    pub original: Option<TopicPartition>,
    /// Where the record was read; sources only.
    pub source: Option<SourcePosition>,
}

impl Record {
    /// A source record with a value and no key.
    pub fn from_source(topic: impl Into<Str>, source: SourcePosition, value: Data) -> Self {
        Self { topic: topic.into(), value, source: Some(source), ..Self::default() }
    }

    /// The first header of that name.
    pub fn header(&self, key: &str) -> Option<&Header> {
        self.headers.iter().find(|header| header.key == *key)
    }
}
