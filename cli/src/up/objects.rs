//! The resources of a running `up`: what an API server would hold.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use barnabas_crds::{ConnectCluster, ConnectClusterStatus, KafkaConnector, KafkaConnectorStatus, conditions};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    jiff::Timestamp,
};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use crate::{
    manifests::Key,
    view::snapshot::{Event, Snapshot},
};

/// Events that are remembered.
const EVENTS: usize = 200;

/// Every resource with its status. Clones are the same set.
#[derive(Clone, Debug)]
pub struct Objects {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    clusters: BTreeMap<Key, ConnectCluster>,
    connectors: BTreeMap<Key, KafkaConnector>,
    events: VecDeque<Event>,
    revision: u64,
}

impl Objects {
    /// None yet.
    pub fn new() -> Self {
        Self { inner: Arc::default() }
    }

    /// Stores a cluster as its manifest says, keeping what the system has said about it. Returns it as stored.
    pub fn put_cluster(&self, key: &Key, written: &ConnectCluster, now_ms: i64) -> ConnectCluster {
        let mut written = written.clone();
        self.change(|inner| {
            let old = inner.clusters.get(key);
            let same = old.is_some_and(|old| old.spec == written.spec);
            carry(&mut written.metadata, old.map(|old| &old.metadata), same, inner.revision, now_ms);
            written.status = old.and_then(|old| old.status.clone());
            inner.clusters.insert(key.clone(), written.clone());
            written
        })
    }

    /// Stores a connector as its manifest says, keeping what the system has said about it. Returns it as stored.
    pub fn put_connector(&self, key: &Key, written: &KafkaConnector, now_ms: i64) -> KafkaConnector {
        let mut written = written.clone();
        self.change(|inner| {
            let old = inner.connectors.get(key);
            let same = old.is_some_and(|old| old.spec == written.spec);
            carry(&mut written.metadata, old.map(|old| &old.metadata), same, inner.revision, now_ms);
            written.status = old.and_then(|old| old.status.clone());
            inner.connectors.insert(key.clone(), written.clone());
            written
        })
    }

    /// Removes a cluster.
    pub fn remove_cluster(&self, key: &Key) {
        self.change(|inner| drop(inner.clusters.remove(key)));
    }

    /// Marks a connector as being deleted; it stays until [`Self::remove_connector`].
    pub fn delete_connector(&self, key: &Key) -> Option<KafkaConnector> {
        self.change(|inner| {
            let connector = inner.connectors.get_mut(key)?;
            connector.metadata.deletion_timestamp.get_or_insert_with(|| Time(Timestamp::now()));
            Some(connector.clone())
        })
    }

    /// Removes a connector, unless it is another one than `uid` by now.
    pub fn remove_connector(&self, key: &Key, uid: &str) {
        self.change(|inner| {
            if inner.connectors.get(key).is_some_and(|it| it.metadata.uid.as_deref() == Some(uid)) {
                inner.connectors.remove(key);
            }
        });
    }

    /// Replaces a connector's status.
    pub fn connector_status(&self, key: &Key, status: KafkaConnectorStatus) {
        self.change(|inner| {
            if let Some(connector) = inner.connectors.get_mut(key) {
                connector.metadata.resource_version = Some(inner.revision.to_string());
                connector.status = Some(status);
            }
        });
    }

    /// Changes a cluster's status.
    pub fn cluster_status(&self, key: &Key, change: impl FnOnce(&mut ConnectClusterStatus)) {
        self.change(|inner| {
            if let Some(cluster) = inner.clusters.get_mut(key) {
                cluster.metadata.resource_version = Some(inner.revision.to_string());
                change(cluster.status.get_or_insert_default());
            }
        });
    }

    /// Remembers an event. One like the newest of the same resource replaces it.
    pub fn event(&self, event: Event) {
        self.change(|inner| {
            let same = |old: &Event| {
                (&old.kind, &old.namespace, &old.name, &old.reason, &old.message)
                    == (&event.kind, &event.namespace, &event.name, &event.reason, &event.message)
            };
            inner.events.retain(|old| !same(old));
            if inner.events.len() >= EVENTS {
                inner.events.pop_front();
            }
            inner.events.push_back(event);
        });
    }

    /// One connector.
    pub fn connector(&self, key: &Key) -> Option<KafkaConnector> {
        self.inner.lock().connectors.get(key).cloned()
    }

    /// Every connector.
    pub fn connectors(&self) -> BTreeMap<Key, KafkaConnector> {
        self.inner.lock().connectors.clone()
    }

    /// Every cluster.
    pub fn clusters(&self) -> BTreeMap<Key, ConnectCluster> {
        self.inner.lock().clusters.clone()
    }

    /// Everything, for another terminal; `dir` and `bootstrap_servers` are the caller's to fill in.
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.inner.lock();
        Snapshot {
            pid: std::process::id(),
            clusters: inner.clusters.values().map(json).collect(),
            connectors: inner.connectors.values().map(json).collect(),
            events: inner.events.iter().cloned().collect(),
            ..Snapshot::default()
        }
    }

    fn change<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        let mut inner = self.inner.lock();
        inner.revision += 1;
        change(&mut inner)
    }
}

fn json(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// What an API server keeps or sets when a resource is written.
fn carry(new: &mut ObjectMeta, old: Option<&ObjectMeta>, same_spec: bool, revision: u64, now_ms: i64) {
    let generation = old.and_then(|old| old.generation).unwrap_or(0);
    new.generation = Some(if same_spec { generation } else { generation + 1 });
    new.resource_version = Some(revision.to_string());
    new.uid = old.and_then(|old| old.uid.clone()).or_else(|| Some(uid(revision, now_ms)));
    new.creation_timestamp = old
        .and_then(|old| old.creation_timestamp.clone())
        .or_else(|| Some(Time(conditions::rfc3339(now_ms).parse().unwrap_or(Timestamp::UNIX_EPOCH))));
    new.deletion_timestamp = None;
    // Of another API server, when the manifest was exported from one.
    new.managed_fields = None;
}

/// A name for one life of a resource: never the same twice on this machine.
fn uid(revision: u64, now_ms: i64) -> String {
    let (high, low) = (now_ms.unsigned_abs(), u64::from(std::process::id()));
    format!(
        "{:08x}-{:04x}-4000-8000-{:04x}{:08x}",
        high >> 16 & 0xffff_ffff,
        high & 0xffff,
        low & 0xffff,
        revision & 0xffff_ffff
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn connector(class: &str) -> KafkaConnector {
        serde_json::from_value(json!({"apiVersion": "barnabas.dev/v1", "kind": "KafkaConnector",
            "metadata": {"name": "a", "namespace": "default"}, "spec": {"class": class}}))
        .unwrap()
    }

    #[test]
    fn a_generation_counts_changes_of_the_spec_alone() {
        let (objects, key) = (Objects::new(), Key::new("default", "a"));
        let first = objects.put_connector(&key, &connector("X"), 1000);
        objects.connector_status(&key, KafkaConnectorStatus { tasks_running: 1, ..Default::default() });
        let again = objects.put_connector(&key, &connector("X"), 2000);
        let changed = objects.put_connector(&key, &connector("Y"), 3000);
        assert_eq!(first.metadata.generation, Some(1));
        assert_eq!(again.metadata.generation, Some(1));
        assert_eq!(changed.metadata.generation, Some(2));
        assert_eq!(first.metadata.uid, changed.metadata.uid);
        assert_eq!(first.metadata.creation_timestamp, changed.metadata.creation_timestamp);
        assert_eq!(changed.status.unwrap().tasks_running, 1, "a change of the spec keeps the status");
    }

    #[test]
    fn a_connector_made_anew_has_a_new_uid_and_outlives_the_removal_of_the_old_one() {
        let (objects, key) = (Objects::new(), Key::new("default", "a"));
        let old = objects.put_connector(&key, &connector("X"), 1000).metadata.uid.unwrap();
        objects.remove_connector(&key, &old);
        assert!(objects.connector(&key).is_none());
        let new = objects.put_connector(&key, &connector("X"), 1000).metadata.uid.unwrap();
        assert_ne!(old, new);
        objects.remove_connector(&key, &old);
        assert!(objects.connector(&key).is_some());
    }

    #[test]
    fn events_are_bounded_and_repeat_only_once() {
        let objects = Objects::new();
        let event = |message: String| Event {
            kind: "KafkaConnector".into(),
            namespace: "default".into(),
            name: "a".into(),
            type_: "Normal".into(),
            reason: "R".into(),
            message,
            at_ms: 0,
        };
        for round in 0..2 * EVENTS {
            objects.event(event(format!("{round}")));
            objects.event(event("the same".into()));
        }
        let events = objects.snapshot().events;
        assert!(events.len() <= EVENTS);
        assert_eq!(events.iter().filter(|event| event.message == "the same").count(), 1);
    }
}
