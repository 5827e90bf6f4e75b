//! What a sink task's consumer has read and the task has not taken yet.
//!
//! Messages are copied out of librdkafka once, into one buffer for each batch.

use std::{collections::HashSet, sync::Arc};

use barnabas_connect::{Error, Record, Str, TimestampType, TopicPartition};
use bytes::{Bytes, BytesMut};
use rdkafka::{Message, Timestamp, message::BorrowedMessage};

use super::{
    errors::{ErrorHandler, NoResult},
    settings::RecordSettings,
    sink_records::Raw,
};

/// At most this many bytes of keys and values in one `put` (one record may be larger).
const MAX_BYTES: usize = 8 << 20;

/// A topic, a partition and an offset.
type Place = (Str, i32, i64);

/// The records of one `put`, however often it is tried.
#[derive(Default)]
pub(super) struct Batch {
    buffer: BytesMut,
    raws: Arc<Vec<Raw>>,
    bytes: usize,
    /// Records that were skipped when the batch was put first. They are not counted, logged and queued again, and no other
    /// is skipped without that.
    skipped: HashSet<Place>,
    /// The record that fails the task once those before it are put.
    fails: Option<(Place, Error)>,
}

/// A batch as records.
pub(super) struct Converted {
    pub(super) records: Vec<Record>,
    /// The first message that is not among the records, nor any after it, and why.
    pub(super) end: Option<(usize, End)>,
}

/// Why a batch ends early.
pub(super) enum End {
    /// That record fails the task, after the records before it.
    Failed(Error),
    /// That record may heal, but the task is to stop.
    Stopping,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.raws.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.raws.len()
    }

    /// Whether another message may be taken.
    pub(super) fn has_room(&self, max_records: usize) -> bool {
        self.len() < max_records && self.bytes < MAX_BYTES
    }

    /// The messages.
    pub(super) fn raws(&self) -> &Arc<Vec<Raw>> {
        &self.raws
    }

    /// Bytes of the keys and values of the first messages.
    pub(super) fn bytes_of(&self, messages: usize) -> usize {
        if messages == self.len() { self.bytes } else { self.raws[..messages].iter().map(Raw::bytes).sum() }
    }

    /// Copies a message out of librdkafka.
    pub(super) fn take(&mut self, message: &BorrowedMessage<'_>) {
        if self.raws.is_empty() {
            // One allocation for the records of a batch; they share it. The last one tells how large it should be.
            self.buffer = BytesMut::with_capacity(self.bytes.clamp(16 << 10, MAX_BYTES));
            self.bytes = 0;
        }
        let buffer = &mut self.buffer;
        let mut copy = |bytes: &[u8]| {
            buffer.extend_from_slice(bytes);
            buffer.split().freeze()
        };
        let (key, value) = (message.key().map(&mut copy), message.payload().map(&mut copy));
        self.bytes += key.as_ref().map_or(0, Bytes::len) + value.as_ref().map_or(0, Bytes::len);
        let topic = match self.raws.last() {
            Some(last) if last.topic == *message.topic() => last.topic.clone(),
            _ => Str::from(message.topic().to_owned()),
        };
        let (timestamp, timestamp_type) = match message.timestamp() {
            Timestamp::NotAvailable => (None, TimestampType::NoTimestampType),
            Timestamp::CreateTime(ms) => (Some(ms), TimestampType::CreateTime),
            Timestamp::LogAppendTime(ms) => (Some(ms), TimestampType::LogAppendTime),
        };
        Arc::make_mut(&mut self.raws).push(Raw {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            key,
            value,
            headers: message.headers().map(|h| h.detach()),
            timestamp,
            timestamp_type,
        });
    }

    /// The batch as records, up to the first that must fail the task: those before it are put all the same.
    pub(super) async fn convert(&mut self, settings: &mut RecordSettings, errors: &ErrorHandler) -> Converted {
        let mut records = Vec::with_capacity(self.len());
        for (at, raw) in self.raws.iter().enumerate() {
            if !self.skipped.is_empty() && self.skipped.contains(&raw.place()) {
                continue;
            }
            if let Some((_, error)) = self.fails.take_if(|(place, _)| *place == raw.place()) {
                return Converted { records, end: Some((at, End::Failed(error))) };
            }
            let converted = match raw.to_record(settings) {
                Err(failed) => errors.retry(failed, || raw.to_record(settings)).await,
                Ok(record) => Ok(record),
            };
            match converted {
                Ok(record) => records.extend(record),
                Err(NoResult::Stopping) => return Converted { records, end: Some((at, End::Stopping)) },
                Err(NoResult::Failed((stage, error))) => match errors.failed(stage, error, || raw.letter()).await {
                    Ok(()) => _ = self.skipped.insert(raw.place()),
                    Err(error) => return Converted { records, end: Some((at, End::Failed(error))) },
                },
            }
        }
        Converted { records, end: None }
    }

    /// The put has to be tried again: keeps the error of the record that will fail the task then.
    pub(super) fn keep(&mut self, end: Option<(usize, End)>) {
        if let Some((at, End::Failed(error))) = end {
            self.fails = Some((self.raws[at].place(), error));
        }
    }

    /// Drops the messages of partitions that went elsewhere.
    pub(super) fn retain(&mut self, keep: impl Fn(&TopicPartition) -> bool) {
        Arc::make_mut(&mut self.raws).retain(|raw| keep(&raw.topic_partition()));
        self.bytes = self.raws.iter().map(Raw::bytes).sum();
    }

    /// Drops all messages: they are the task's now, or read again.
    pub(super) fn clear(&mut self) {
        Arc::make_mut(&mut self.raws).clear();
        self.skipped.clear();
        self.fails = None;
    }
}
