//! Writing status: only when it differs from what was written last, the newest
//! only, and a bounded number of writes at a time. What waits is one status per
//! resource, so the queue cannot grow beyond the number of resources.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use barnabas_crds::{ConnectCluster, KafkaConnector};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::{sync::Notify, task::JoinSet};
use tracing::{debug, warn};

use super::{
    apply::{FIELD_MANAGER, is_missing},
    world::Key,
};
use crate::metrics::Metrics;

/// Writes under way at once.
const WRITERS: usize = 4;
/// Pause before a failed write is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// The kinds that have a status of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// `ConnectCluster`.
    Cluster,
    /// `KafkaConnector`.
    Connector,
}

#[derive(Debug, Default)]
struct Waiting {
    newest: BTreeMap<(Subject, Key), Arc<Value>>,
    order: std::collections::VecDeque<(Subject, Key)>,
    written: BTreeMap<(Subject, Key), Arc<Value>>,
    /// Under way: two writes of one status may not overtake each other.
    busy: BTreeSet<(Subject, Key)>,
}

/// Writes status; cloning shares the queue.
#[derive(Clone, Debug)]
pub struct StatusWriter {
    waiting: Arc<Mutex<Waiting>>,
    added: Arc<Notify>,
}

impl StatusWriter {
    /// Starts the writers into `tasks`.
    pub fn start(client: &Client, metrics: &Metrics, tasks: &mut JoinSet<()>) -> Self {
        let writer = Self { waiting: Arc::default(), added: Arc::default() };
        for _ in 0..WRITERS {
            tasks.spawn(write(client.clone(), metrics.clone(), writer.clone()));
        }
        writer
    }

    /// Queues a status, in place of one of the same resource that still waits.
    pub fn set(&self, subject: Subject, key: Key, status: &impl Serialize) {
        let status = match serde_json::to_value(status) {
            Ok(status) => Arc::new(status),
            Err(error) => {
                warn!(resource = %key, %error, "A status cannot be written as JSON.");
                return;
            }
        };
        let mut waiting = self.waiting.lock();
        let item = (subject, key);
        if !waiting.newest.contains_key(&item) {
            if waiting.written.get(&item) == Some(&status) && !waiting.busy.contains(&item) {
                return;
            }
            waiting.order.push_back(item.clone());
        }
        waiting.newest.insert(item, status);
        drop(waiting);
        self.added.notify_one();
    }

    /// Forgets a resource that is gone, so that a successor of its name is written to.
    pub fn forget(&self, subject: Subject, key: &Key) {
        let item = (subject, key.clone());
        let mut waiting = self.waiting.lock();
        waiting.written.remove(&item);
        waiting.newest.remove(&item);
        waiting.order.retain(|other| *other != item);
    }

    fn next(&self) -> Option<((Subject, Key), Arc<Value>)> {
        let mut waiting = self.waiting.lock();
        let position = waiting.order.iter().position(|item| !waiting.busy.contains(item))?;
        let item = waiting.order.remove(position)?;
        let status = waiting.newest.remove(&item)?;
        if !waiting.order.is_empty() {
            self.added.notify_one();
        }
        waiting.busy.insert(item.clone());
        Some((item, status))
    }

    fn done(&self, item: (Subject, Key), status: Arc<Value>, outcome: Outcome) {
        let mut waiting = self.waiting.lock();
        waiting.busy.remove(&item);
        match outcome {
            Outcome::Written => _ = waiting.written.insert(item, status),
            Outcome::Gone => _ = waiting.written.remove(&item),
            Outcome::Failed => {
                // Unless something newer waits already.
                if !waiting.newest.contains_key(&item) {
                    waiting.order.push_back(item.clone());
                    waiting.newest.insert(item, status);
                }
            }
        }
        if !waiting.order.is_empty() {
            self.added.notify_one();
        }
    }
}

enum Outcome {
    Written,
    Gone,
    Failed,
}

async fn write(client: Client, metrics: Metrics, writer: StatusWriter) {
    loop {
        let Some(((subject, key), status)) = writer.next() else {
            writer.added.notified().await;
            continue;
        };
        let result = match subject {
            Subject::Cluster => patch::<ConnectCluster>(&client, &key, &status).await,
            Subject::Connector => patch::<KafkaConnector>(&client, &key, &status).await,
        };
        Metrics::count(&metrics.status_writes, &result);
        let outcome = match result {
            Ok(()) => Outcome::Written,
            Err(error) if is_missing(&error) => {
                debug!(resource = %key, "The resource is gone; its status is not written.");
                Outcome::Gone
            }
            Err(error) => {
                warn!(resource = %key, %error, "A status could not be written; trying again.");
                tokio::time::sleep(RETRY).await;
                Outcome::Failed
            }
        };
        writer.done((subject, key), status, outcome);
    }
}

async fn patch<K>(client: &Client, key: &Key, status: &Value) -> Result<(), kube::Error>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    // The answer is not needed, and may not be readable as K when the resource is malformed.
    let api: Api<kube::core::PartialObjectMeta<K>> = Api::namespaced(client.clone(), &key.namespace);
    let body = serde_json::json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "metadata": { "name": key.name }, "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(&key.name, &params, &Patch::Apply(body)).await.map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn writer() -> StatusWriter {
        StatusWriter { waiting: Arc::default(), added: Arc::default() }
    }

    fn key(name: &str) -> Key {
        Key::new("ns", name)
    }

    #[test]
    fn only_the_newest_waits_and_what_was_written_is_not_written_again() {
        let writer = writer();
        writer.set(Subject::Connector, key("a"), &1);
        writer.set(Subject::Connector, key("b"), &1);
        writer.set(Subject::Connector, key("a"), &2);
        let (item, status) = writer.next().unwrap();
        assert_eq!((&item.1.name, &*status), (&"a".to_owned(), &Value::from(2)));
        writer.done(item, status, Outcome::Written);
        writer.set(Subject::Connector, key("a"), &2);
        assert_eq!(writer.next().unwrap().0.1.name, "b");
        assert!(writer.next().is_none());
    }

    #[test]
    fn writes_of_one_status_do_not_overtake_each_other() {
        let writer = writer();
        writer.set(Subject::Cluster, key("a"), &1);
        let (item, first) = writer.next().unwrap();
        writer.set(Subject::Cluster, key("a"), &2);
        assert!(writer.next().is_none(), "the first is still under way");
        writer.done(item, first, Outcome::Failed);
        let (item, second) = writer.next().unwrap();
        assert_eq!(*second, 2, "the failed one was overtaken");
        writer.done(item, second, Outcome::Written);
        assert!(writer.next().is_none());
    }

    #[test]
    fn a_failed_write_is_tried_again_and_a_gone_resource_is_forgotten() {
        let writer = writer();
        writer.set(Subject::Cluster, key("a"), &1);
        let (item, status) = writer.next().unwrap();
        writer.done(item, status, Outcome::Failed);
        let (item, status) = writer.next().unwrap();
        writer.done(item, status, Outcome::Gone);
        assert!(writer.next().is_none());
        writer.set(Subject::Cluster, key("a"), &1);
        assert!(writer.next().is_some());
    }
}
