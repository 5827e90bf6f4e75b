//! Messages as a sink task reads them, as records, and, when they cannot be processed, as letters.

use std::sync::Arc;

use async_trait::async_trait;
use barnabas_connect::{
    Converter, Data, ErrantRecordReporter, Error, Header, HeaderConverter, Record, Str, TimestampType, TopicPartition,
};
use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::message::{Header as KafkaHeader, Headers, OwnedHeaders};

use super::{
    dlq::Letter,
    errors::{ErrorHandler, Failed, Stage},
    settings::RecordSettings,
};

/// A message as it came, until the task has taken it.
#[derive(Clone)]
pub(super) struct Raw {
    pub(super) topic: Str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Option<OwnedHeaders>,
    pub(super) timestamp: Option<i64>,
    pub(super) timestamp_type: TimestampType,
}

impl Raw {
    /// Its topic, partition and offset.
    pub(super) fn place(&self) -> (Str, i32, i64) {
        (self.topic.clone(), self.partition, self.offset)
    }

    /// Its topic and partition.
    pub(super) fn topic_partition(&self) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), self.partition)
    }

    /// Bytes of its key and value.
    pub(super) fn bytes(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len)
    }

    /// As it was, for the dead letter queue.
    pub(super) fn letter(&self) -> Letter {
        Letter {
            key: self.key.clone(),
            value: self.value.clone(),
            headers: self.headers.clone(),
            timestamp: self.timestamp,
            origin: origin(&self.topic, self.partition, self.offset),
        }
    }

    /// Converts and transforms it; `None` when a transform dropped it.
    pub(super) fn to_record(&self, settings: &mut RecordSettings) -> Result<Option<Record>, Failed> {
        let headers = match &self.headers {
            None => Vec::new(),
            Some(headers) => {
                convert_headers(settings, &self.topic, headers).map_err(|e| (Stage::HeaderConverter, e))?
            }
        };
        let (topic, key, value) = (&self.topic, self.key.as_ref(), self.value.as_ref());
        let key = settings.key.to_connect(topic, &headers, key).map_err(|e| (Stage::KeyConverter, e))?;
        let value = settings.value.to_connect(topic, &headers, value).map_err(|e| (Stage::ValueConverter, e))?;
        let transformed = !settings.chain.is_empty();
        let record = Record {
            topic: topic.clone(),
            partition: Some(self.partition),
            key,
            value,
            headers,
            timestamp: self.timestamp,
            timestamp_type: self.timestamp_type,
            offset: Some(self.offset),
            original: transformed.then(|| TopicPartition::new(topic.clone(), self.partition)),
            source: None,
        };
        if !transformed {
            return Ok(Some(record));
        }
        settings.chain.apply(record).map_err(|e| (Stage::Transformation, e))
    }
}

fn origin(topic: &str, partition: i32, offset: i64) -> Vec<(&'static str, String)> {
    vec![("topic", topic.to_owned()), ("partition", partition.to_string()), ("offset", offset.to_string())]
}

fn convert_headers(settings: &RecordSettings, topic: &str, headers: &OwnedHeaders) -> Result<Vec<Header>, Error> {
    headers
        .iter()
        .map(|header| {
            let bytes = header.value.map(Bytes::copy_from_slice);
            let data = settings.header.to_connect_header(topic, header.key, bytes.as_ref())?;
            Ok(Header { key: Str::from(header.key.to_owned()), schema: data.schema, value: data.value })
        })
        .collect()
}

/// Takes the records that a sink task cannot write (KIP-610; Connect's `WorkerErrantRecordReporter`).
pub(super) struct Reporter {
    errors: ErrorHandler,
    key: Arc<dyn Converter>,
    value: Arc<dyn Converter>,
    header: Arc<dyn HeaderConverter>,
    /// The batch that the task is working on: its records are in the queue as they were read.
    batch: Mutex<Arc<Vec<Raw>>>,
}

impl Reporter {
    pub(super) fn new(settings: &RecordSettings, errors: ErrorHandler) -> Self {
        Self {
            errors,
            key: Arc::clone(&settings.key),
            value: Arc::clone(&settings.value),
            header: Arc::clone(&settings.header),
            batch: Mutex::default(),
        }
    }

    /// Says what the task is working on.
    pub(super) fn working_on(&self, batch: Arc<Vec<Raw>>) {
        *self.batch.lock() = batch;
    }

    /// The record as it was read; of one from an earlier batch, as its converters write it.
    fn letter(&self, record: &Record) -> Letter {
        let (topic, partition) = match &record.original {
            Some(original) => (original.topic.clone(), original.partition),
            None => (record.topic.clone(), record.partition.unwrap_or_default()),
        };
        let offset = record.offset.unwrap_or_default();
        let batch = Arc::clone(&self.batch.lock());
        let read = |raw: &&Raw| raw.offset == offset && raw.partition == partition && raw.topic == topic;
        match batch.iter().find(read) {
            Some(raw) => raw.letter(),
            None => Letter { origin: origin(&topic, partition, offset), ..self.written(record) },
        }
    }

    fn written(&self, record: &Record) -> Letter {
        let mut added = record.headers.clone();
        let mut bytes = |converter: &dyn Converter, data: &Data| {
            converter.from_connect(&record.topic, &mut added, data).unwrap_or_else(|error| {
                tracing::debug!(%error, "A record for the dead letter queue cannot be written as its converter would.");
                None
            })
        };
        let (key, value) = (bytes(&*self.key, &record.key), bytes(&*self.value, &record.value));
        let mut headers = OwnedHeaders::new_with_capacity(added.len());
        for Header { key, schema, value } in added {
            let data = Data { schema, value };
            let bytes = self.header.from_connect_header(&record.topic, &key, &data).ok().flatten();
            headers = headers.insert(KafkaHeader { key: key.as_str(), value: bytes.as_deref() });
        }
        Letter { key, value, headers: Some(headers), timestamp: record.timestamp, origin: Vec::new() }
    }
}

#[async_trait]
impl ErrantRecordReporter for Reporter {
    async fn report(&self, record: Record, error: Error) -> Result<(), Error> {
        self.errors.failed(Stage::TaskPut, error, || self.letter(&record)).await
    }
}
