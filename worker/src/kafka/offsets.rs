//! Reading source offsets from Connect's offsets topic.
//!
//! A read goes over the whole (compacted) topic up to what was written when it
//! began, and only over committed transactions. Tasks that start together share
//! one read; the result is dropped when the last of them has taken its part, so
//! that a worker keeps only the offsets that its tasks ask for.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use barnabas_connect::{Error, OffsetMap, offsets};
use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

use super::{
    clients::ClientFactory,
    context::{ClientNotes, last_error},
    errors::{self, classify},
};

/// How long one read may take before the task's start is tried again.
const READ_DEADLINE: Duration = Duration::from_secs(120);
/// How long a transaction that someone else left open may hold up a read. Longer than the
/// transaction timeout that tasks commit their offsets with.
const OPEN_TRANSACTION: Duration = Duration::from_secs(65);
const CALL: Duration = Duration::from_secs(10);

/// One connector's source partitions.
#[derive(Clone, Debug, Default)]
pub struct ConnectorOffsets(HashMap<OffsetMap, Entry>);

/// What the topic says about one source partition.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key as it was written, maybe by Connect with its own order of fields: writing
    /// under the same bytes keeps one entry, in the same Kafka partition.
    pub key: Bytes,
    /// The last offset; `None` once it was deleted.
    pub offset: Option<OffsetMap>,
}

impl ConnectorOffsets {
    /// What is known about a source partition.
    pub fn get(&self, partition: &OffsetMap) -> Option<&Entry> {
        self.0.get(partition)
    }

    /// Notes a newer offset.
    pub fn set(&mut self, partition: &OffsetMap, key: Bytes, offset: Option<OffsetMap>) {
        self.0.insert(partition.clone(), Entry { key, offset });
    }

    /// Takes what is missing here from another set.
    pub fn fill_from(&mut self, other: &Self) {
        for (partition, entry) in &other.0 {
            self.0.entry(partition.clone()).or_insert_with(|| entry.clone());
        }
    }
}

type Snapshot = HashMap<String, ConnectorOffsets>;

/// The offsets topics of a worker: its own, and those that connectors name with `offsets.storage.topic`.
#[derive(Debug)]
pub struct OffsetStore {
    clients: ClientFactory,
    group: String,
    topics: Mutex<HashMap<String, Arc<Topic>>>,
}

#[derive(Debug, Default)]
struct Topic {
    started: AtomicU64,
    /// The number of the last finished read and its result, as long as someone uses it.
    last: tokio::sync::Mutex<Option<(u64, Weak<Snapshot>)>>,
}

impl OffsetStore {
    /// For the worker's clients; `group` is the worker's `group.id`.
    pub fn new(clients: ClientFactory, group: String) -> Self {
        Self { clients, group, topics: Mutex::default() }
    }

    /// All offsets of a connector, as they were committed when this was called or later.
    pub async fn read(&self, topic: &str, connector: &str) -> Result<ConnectorOffsets, Error> {
        let state = Arc::clone(self.topics.lock().entry(topic.to_owned()).or_default());
        let asked_at = state.started.load(Ordering::Acquire);
        let mut last = state.last.lock().await;
        // A read that began after the question answers it.
        if let Some((number, snapshot)) = &*last
            && *number > asked_at
            && let Some(snapshot) = snapshot.upgrade()
        {
            return Ok(snapshot.get(connector).cloned().unwrap_or_default());
        }
        let number = state.started.fetch_add(1, Ordering::AcqRel) + 1;
        let (clients, group, name) = (self.clients.clone(), self.group.clone(), topic.to_owned());
        let snapshot = self
            .clients
            .blocking(move || read_topic(&clients, &group, &name))
            .await
            .map_err(|error| Error::fatal(format!("reading the offsets topic was interrupted: {error}")))??;
        let snapshot = Arc::new(snapshot);
        *last = Some((number, Arc::downgrade(&snapshot)));
        drop(last);
        // Those who waited for this read run before the result is dropped.
        tokio::task::yield_now().await;
        Ok(snapshot.get(connector).cloned().unwrap_or_default())
    }
}

fn client(clients: &ClientFactory, group: &str, committed: bool) -> Result<BaseConsumer<ClientNotes>, Error> {
    clients
        .reader(group, "", committed)?
        .rdkafka
        .create_with_context(ClientNotes::new("", None))
        .map_err(|error| classify("Creating a client for the offsets topic", error, None))
}

fn read_topic(clients: &ClientFactory, group: &str, topic: &str) -> Result<Snapshot, Error> {
    let doing = || format!("Reading the offsets topic `{topic}`");
    let started = Instant::now();
    let consumer = client(clients, group, true)?;
    let fail = |error: KafkaError| classify(&doing(), error, consumer.context().take_last_error());
    let metadata =
        consumer.fetch_metadata(Some(topic), CALL).map_err(|error| classify(&doing(), error, last_error(&consumer)))?;
    let partitions: Vec<i32> =
        metadata.topics().iter().filter(|t| t.name() == topic).flat_map(|t| t.partitions()).map(|p| p.id()).collect();
    if partitions.is_empty() {
        return Err(Error::retriable(format!("the offsets topic `{topic}` does not exist yet"))
            .with_reason(errors::UNREACHABLE));
    }
    if !clients.embedded {
        await_open_transactions(&consumer, &client(clients, group, false)?, topic, &partitions).map_err(fail)?;
    }

    let mut assignment = TopicPartitionList::new();
    for partition in &partitions {
        assignment.add_partition_offset(topic, *partition, Offset::Beginning).map_err(fail)?;
    }
    consumer.assign(&assignment).map_err(fail)?;
    let asked = started.elapsed();
    let deadline = Instant::now() + READ_DEADLINE;
    let mut open: HashSet<i32> = partitions.into_iter().collect();
    let mut snapshot = Snapshot::new();
    while !open.is_empty() {
        if Instant::now() > deadline {
            return Err(fail(KafkaError::MessageConsumption(rdkafka::types::RDKafkaErrorCode::OperationTimedOut)));
        }
        match consumer.poll(Duration::from_millis(500)) {
            None => {}
            Some(Ok(message)) => note(&mut snapshot, message.key(), message.payload()),
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = open.remove(&partition),
            Some(Err(error)) => {
                let error = fail(error);
                // The client reconnects by itself; what no waiting heals is reported.
                if error.code() != barnabas_connect::ErrorCode::Retriable {
                    return Err(error);
                }
            }
        }
    }
    let read = started.elapsed();
    tracing::debug!(topic, connectors = snapshot.len(), ?asked, ?read, "Read the offsets topic.");
    Ok(snapshot)
}

/// Waits until everything written so far is decided: an open transaction of another task hides what
/// this connector committed after it.
fn await_open_transactions(
    committed: &BaseConsumer<ClientNotes>,
    uncommitted: &BaseConsumer<ClientNotes>,
    topic: &str,
    partitions: &[i32],
) -> Result<(), KafkaError> {
    let ends = |consumer: &BaseConsumer<ClientNotes>| -> Result<HashMap<i32, i64>, KafkaError> {
        let mut query = TopicPartitionList::new();
        for partition in partitions {
            query.add_partition_offset(topic, *partition, Offset::End)?;
        }
        let answer = consumer.offsets_for_times(query, CALL)?;
        Ok(answer.elements().iter().map(|e| (e.partition(), e.offset().to_raw().unwrap_or(0))).collect())
    };
    let written = ends(uncommitted)?;
    let deadline = Instant::now() + OPEN_TRANSACTION;
    loop {
        let stable = ends(committed)?;
        let open: Vec<_> = written.iter().filter(|(p, end)| stable.get(p).is_none_or(|s| s < end)).collect();
        if open.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            tracing::warn!(topic, partitions = ?open, "A transaction on the offsets topic stays open; offsets committed after it are not seen.");
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn note(snapshot: &mut Snapshot, key: Option<&[u8]>, value: Option<&[u8]>) {
    let Some(raw) = key else { return };
    let (connector, partition) = match offsets::decode_key(raw) {
        Ok(key) => key,
        Err(error) => {
            tracing::debug!(%error, "Skipped a record of the offsets topic.");
            return;
        }
    };
    let offset = match value.map(offsets::decode_value).transpose() {
        Ok(offset) => offset.flatten(),
        Err(error) => {
            tracing::warn!(%error, connector, "Skipped an offset that is not valid.");
            return;
        }
    };
    snapshot.entry(connector).or_default().set(&partition, Bytes::copy_from_slice(raw), offset);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn later_records_win_and_tombstones_delete() {
        let mut snapshot = Snapshot::new();
        let key = br#"["c",{"b":1,"a":"x"}]"#;
        note(&mut snapshot, Some(key), Some(br#"{"position":1}"#));
        note(&mut snapshot, Some(key), Some(br#"{"position":2}"#));
        note(&mut snapshot, Some(br#"["c",{"f":2}]"#), Some(br#"{"position":3}"#));
        note(&mut snapshot, Some(br#"["c",{"f":2}]"#), None);
        note(&mut snapshot, Some(b"junk"), Some(b"{}"));
        note(&mut snapshot, None, Some(b"{}"));
        let offsets = &snapshot["c"];
        // Java's map order is not ours: the same partition is found, under the bytes it was written with.
        let partition: OffsetMap = serde_json::from_str(r#"{"a":"x","b":1}"#).unwrap();
        let entry = offsets.get(&partition).unwrap();
        assert_eq!(entry.offset, Some(OffsetMap::single("position", 2)));
        assert_eq!(&entry.key[..], key);
        assert_eq!(offsets.get(&OffsetMap::single("f", 2)).unwrap().offset, None);
        assert_eq!(snapshot.len(), 1);
    }
}
