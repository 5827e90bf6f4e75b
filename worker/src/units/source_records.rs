//! A source's records as Kafka takes them, and, when they cannot be processed, as letters.

use barnabas_connect::{Converter, Data, Error, Header, Record, Registry, SourcePosition, Str, header_converter};
use bytes::Bytes;
use rdkafka::message::{Header as KafkaHeader, OwnedHeaders};

use super::{
    acks::Token,
    dlq::Letter,
    errors::{Failed, Stage},
    settings::RecordSettings,
};

/// A record as Kafka takes it.
pub(super) struct Outgoing {
    pub(super) topic: Str,
    pub(super) partition: Option<i32>,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Option<OwnedHeaders>,
    pub(super) timestamp: Option<i64>,
    pub(super) token: Token,
}

/// Transforms and converts a record; `None` when a transform dropped it.
pub(super) fn outgoing(settings: &mut RecordSettings, record: Record) -> Result<Option<Outgoing>, Failed> {
    let transformed = if settings.chain.is_empty() {
        record
    } else {
        match settings.chain.apply(record).map_err(|e| (Stage::Transformation, e))? {
            Some(record) => record,
            None => return Ok(None),
        }
    };
    let Record { topic, partition, key, value, mut headers, timestamp, .. } = transformed;
    let key = settings.key.from_connect(&topic, &mut headers, &key).map_err(|e| (Stage::KeyConverter, e))?;
    let value = settings.value.from_connect(&topic, &mut headers, &value).map_err(|e| (Stage::ValueConverter, e))?;
    let headers = convert_headers(settings, &topic, headers).map_err(|e| (Stage::HeaderConverter, e))?;
    Ok(Some(Outgoing { topic, partition, key, value, headers, timestamp, token: Token::UNTRACKED }))
}

fn convert_headers(
    settings: &RecordSettings,
    topic: &str,
    headers: Vec<Header>,
) -> Result<Option<OwnedHeaders>, Error> {
    if headers.is_empty() {
        return Ok(None);
    }
    let mut out = OwnedHeaders::new_with_capacity(headers.len());
    for Header { key, schema, value } in headers {
        let bytes = settings.header.from_connect_header(topic, &key, &Data { schema, value })?;
        out = out.insert(KafkaHeader { key: key.as_str(), value: bytes.as_deref() });
    }
    Ok(Some(out))
}

/// Where a record that goes to `topic` comes from. Connect has no dead letter queue for sources, and so no names for these.
pub(super) fn origin(topic: &str, position: Option<&SourcePosition>) -> Vec<(&'static str, String)> {
    let mut origin = vec![("topic", topic.to_owned())];
    if let Some(position) = position {
        origin.push(("source.partition", position.partition.to_string()));
        origin.push(("source.offset", position.offset.to_string()));
    }
    origin
}

/// A record that could not be transformed or converted: key and value as JSON, with their schemas where they have one.
pub(super) fn letter(record: &Record) -> Letter {
    let json = |data: &Data, is_key| {
        let schemas = data.schema.is_some().to_string();
        let config = [("schemas.enable".to_owned(), schemas)].into();
        let json = Registry::new().converter("JsonConverter", &config, is_key).ok()?;
        written(&*json, &record.topic, data)
    };
    let simple = "org.apache.kafka.connect.storage.SimpleHeaderConverter";
    let headers = header_converter::header_converter(simple, &Default::default()).ok().map(|converter| {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for Header { key, schema, value } in &record.headers {
            let data = Data { schema: schema.clone(), value: value.clone() };
            let bytes = converter.from_connect_header(&record.topic, key, &data).ok().flatten();
            headers = headers.insert(KafkaHeader { key: key.as_str(), value: bytes.as_deref() });
        }
        headers
    });
    Letter {
        key: json(&record.key, true),
        value: json(&record.value, false),
        headers,
        timestamp: record.timestamp,
        origin: origin(&record.topic, record.source.as_ref()),
    }
}

fn written(converter: &dyn Converter, topic: &str, data: &Data) -> Option<Bytes> {
    converter.from_connect(topic, &mut Vec::new(), data).unwrap_or_else(|error| {
        // The value does not fit its own schema: then at least what it is.
        tracing::debug!(%error, "A record for the dead letter queue cannot be written with its schema.");
        Some(Bytes::from(format!("{:?}", data.value)))
    })
}
