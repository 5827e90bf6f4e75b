//! A source connector's offsets, as its connector and its tasks read and write them.

use std::sync::Arc;

use async_trait::async_trait;
use barnabas_connect::{Error, OffsetMap, OffsetReader, SourcePosition, offsets};
use bytes::Bytes;
use tokio::sync::Mutex;

use super::{Context, Shared};
use crate::kafka::{
    admin::{TopicSpec, create_topic},
    errors::DENIED,
    offsets::ConnectorOffsets,
};

/// A key of the offsets topic, and the offset there.
pub(super) type Written = (Bytes, Option<Bytes>);

/// The offsets of one connector. A task reads them once, after it has fenced its
/// predecessor, and then knows what it wrote itself; the connector reads anew each time.
pub(super) struct StoredOffsets {
    shared: Arc<Shared>,
    connector: String,
    /// Connect's `offsets.storage.topic` when the connector has its own, then the worker's.
    topics: Vec<String>,
    cache: Option<Mutex<Option<ConnectorOffsets>>>,
}

impl StoredOffsets {
    pub(super) fn cached(context: &Context) -> Self {
        Self { cache: Some(Mutex::default()), ..Self::uncached(context) }
    }

    pub(super) fn uncached(context: &Context) -> Self {
        let worker = context.shared.config.offset_storage_topic.clone();
        let mut topics = vec![topic(context)];
        if topics[0] != worker {
            topics.push(worker);
        }
        Self { shared: Arc::clone(&context.shared), connector: context.unit.name.clone(), topics, cache: None }
    }

    /// The entries to write for positions.
    pub(super) async fn encode(&self, positions: &[SourcePosition]) -> Vec<Written> {
        let cache = match &self.cache {
            Some(cache) => Some(cache.lock().await),
            None => None,
        };
        let known = cache.as_ref().and_then(|cache| cache.as_ref());
        positions
            .iter()
            .map(|position| {
                let known = known.and_then(|known| known.get(&position.partition)).map(|entry| entry.key.clone());
                let key = known.unwrap_or_else(|| offsets::encode_key(&self.connector, &position.partition));
                (key, Some(offsets::encode_value(&position.offset)))
            })
            .collect()
    }

    /// Remembers what was written.
    pub(super) async fn written(&self, positions: &[SourcePosition], entries: &[Written]) {
        let Some(cache) = &self.cache else { return };
        if let Some(known) = cache.lock().await.as_mut() {
            for (position, (key, _)) in positions.iter().zip(entries) {
                known.set(&position.partition, key.clone(), Some(position.offset.clone()));
            }
        }
    }

    async fn read(&self) -> Result<ConnectorOffsets, Error> {
        let mut all = ConnectorOffsets::default();
        for topic in &self.topics {
            ensure_topic(&self.shared, topic).await?;
            all.fill_from(&self.shared.offsets.read(topic, &self.connector).await?);
        }
        Ok(all)
    }
}

#[async_trait]
impl OffsetReader for StoredOffsets {
    async fn offsets(&self, partitions: &[Arc<OffsetMap>]) -> Result<Vec<Option<OffsetMap>>, Error> {
        let find = |known: &ConnectorOffsets| -> Vec<_> {
            partitions.iter().map(|p| known.get(p).and_then(|entry| entry.offset.clone())).collect()
        };
        let Some(cache) = &self.cache else { return Ok(find(&self.read().await?)) };
        let mut cache = cache.lock().await;
        if cache.is_none() {
            *cache = Some(self.read().await?);
        }
        Ok(cache.as_ref().map(find).unwrap_or_default())
    }
}

/// Where a connector's offsets are written.
pub(super) fn topic(context: &Context) -> String {
    context
        .config
        .get("offsets.storage.topic")
        .map(|t| t.trim())
        .filter(|t| !t.is_empty())
        .unwrap_or(&context.shared.config.offset_storage_topic)
        .to_owned()
}

/// Creates an offsets topic as Connect does (`offset.storage.*`), unless it exists or must not be created.
pub(super) async fn ensure_topic(shared: &Shared, topic: &str) -> Result<(), Error> {
    let mut known = shared.known_topics.lock().await;
    if known.contains(topic) {
        return Ok(());
    }
    let number = |key: &str, default: i32| {
        shared.config.get(key).map_or(Ok(default), |text| {
            text.parse::<i32>().map_err(|_| Error::config(format!("`{key}` is `{text}`; a number is expected")))
        })
    };
    let mut spec = TopicSpec {
        partitions: number("offset.storage.partitions", 25)?,
        replication: number("offset.storage.replication.factor", if shared.clients.embedded { 1 } else { 3 })?,
        config: [("cleanup.policy".to_owned(), "compact".to_owned())].into(),
    };
    for (key, value) in &shared.config.config {
        if let Some(name) = key.strip_prefix("offset.storage.")
            && !["topic", "partitions", "replication.factor", "cleanup.policy"].contains(&name)
        {
            spec.config.insert(name.to_owned(), value.clone());
        }
    }
    match create_topic(&shared.clients, None, topic, &spec, "offset.storage.replication.factor").await {
        Ok(_) => {}
        // It may exist all the same; reading it will tell.
        Err(error) if error.reason() == DENIED => {
            tracing::warn!(%error, topic, "May not create the offsets topic.");
        }
        Err(error) => return Err(error),
    }
    known.insert(topic.to_owned());
    Ok(())
}
