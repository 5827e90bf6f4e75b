//! What the API server has, as far as the operator looks at it: filled by
//! watches, read by the tasks of the clusters, which it wakes.
//!
//! Only metadata is kept of children and of ConfigMaps: enough to notice drift
//! and to know when something that a connector refers to changed. Secrets are
//! not watched: least privilege lets the operator read them by name only.

mod indexed;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use barnabas_crds::{ConnectCluster, KafkaConnector, Lenient, labels};
use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, runtime::watcher::Event};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};

pub use self::indexed::Indexed;

/// Namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl Key {
    /// A key.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    ConnectCluster,
    KafkaConnector,
    Pod,
    StatefulSet,
    ConfigMap,
    Service,
    ServiceAccount,
    PodDisruptionBudget,
    NetworkPolicy,
}

impl Kind {
    /// For logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectCluster => "ConnectCluster",
            Self::KafkaConnector => "KafkaConnector",
            Self::Pod => "Pod",
            Self::StatefulSet => "StatefulSet",
            Self::ConfigMap => "ConfigMap",
            Self::Service => "Service",
            Self::ServiceAccount => "ServiceAccount",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::NetworkPolicy => "NetworkPolicy",
        }
    }
}

/// What is kept of an object that is not read in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// Its kind.
    pub kind: Kind,
    /// Changes when its spec does: the generation where there is one, else the resource version.
    pub version: String,
    /// The cluster that it is a child of.
    pub cluster: Option<String>,
    metadata: ObjectMeta,
}

impl Meta {
    /// Of an object's metadata.
    pub fn new(kind: Kind, metadata: ObjectMeta) -> Self {
        let version = metadata.generation.filter(|generation| *generation > 0).map(|g| g.to_string());
        Self {
            kind,
            version: version.or_else(|| metadata.resource_version.clone()).unwrap_or_default(),
            cluster: child_of(&metadata).map(str::to_owned),
            metadata: ObjectMeta {
                name: metadata.name,
                namespace: metadata.namespace,
                annotations: metadata.annotations,
                ..ObjectMeta::default()
            },
        }
    }

    /// Its annotations.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }
}

/// The cluster whose child an object says it is.
fn child_of(metadata: &ObjectMeta) -> Option<&str> {
    let labels = metadata.labels.as_ref()?;
    labels.get(labels::KIND).filter(|kind| *kind == "ConnectCluster")?;
    labels.get(labels::CLUSTER).map(String::as_str)
}

/// Everything that is known, by kind.
#[derive(Debug, Default)]
pub struct State {
    /// Clusters, readable or not.
    pub clusters: BTreeMap<Key, Arc<Lenient<ConnectCluster>>>,
    /// Connectors, readable or not.
    pub connectors: BTreeMap<Key, Arc<Lenient<KafkaConnector>>>,
    /// Worker pods.
    pub pods: BTreeMap<Key, Arc<Pod>>,
    /// Workers' StatefulSets.
    pub sets: BTreeMap<Key, Arc<StatefulSet>>,
    /// All the rest.
    pub metas: BTreeMap<Kind, BTreeMap<Key, Arc<Meta>>>,
}

impl State {
    /// The connectors that name this cluster.
    pub fn connectors_of(&self, cluster: &Key) -> Vec<Arc<Lenient<KafkaConnector>>> {
        self.connectors
            .values()
            .filter(|connector| cluster_of(connector.meta()).as_ref() == Some(cluster))
            .cloned()
            .collect()
    }

    /// The worker pods of this cluster.
    pub fn pods_of(&self, cluster: &Key) -> Vec<Arc<Pod>> {
        self.pods
            .values()
            .filter(|pod| pod.metadata.namespace.as_ref() == Some(&cluster.namespace))
            .filter(|pod| child_of(&pod.metadata) == Some(&cluster.name))
            .cloned()
            .collect()
    }

    /// The version of an object of which only metadata is kept.
    pub fn version(&self, kind: Kind, key: &Key) -> Option<&str> {
        Some(self.metas.get(&kind)?.get(key)?.version.as_str())
    }
}

/// The cluster that a connector's label names.
pub fn cluster_of(metadata: &ObjectMeta) -> Option<Key> {
    Some(Key::new(metadata.namespace.clone()?, labels::cluster(metadata)?))
}

/// How a cluster's tasks are woken.
#[derive(Debug, Default)]
pub struct Bells {
    /// Something that planning depends on changed.
    pub observe: Notify,
    /// Something that the cluster's children depend on changed.
    pub children: Notify,
    /// ConfigMaps that connectors refer to.
    connector_references: Mutex<BTreeSet<Key>>,
    /// ConfigMaps that the cluster refers to.
    cluster_references: Mutex<BTreeSet<Key>>,
}

impl Bells {
    /// Replaces what wakes `observe`.
    pub fn connectors_refer_to(&self, references: BTreeSet<Key>) {
        *self.connector_references.lock() = references;
    }

    /// Replaces what wakes `children`.
    pub fn cluster_refers_to(&self, references: BTreeSet<Key>) {
        *self.cluster_references.lock() = references;
    }
}

/// The index: see the module's documentation.
#[derive(Debug)]
pub struct World {
    state: RwLock<State>,
    bells: Mutex<BTreeMap<Key, Arc<Bells>>>,
    /// Rung when clusters or connectors come, change or go.
    pub supervisor: Notify,
    /// Watches that have not listed everything yet.
    unsynced: watch::Sender<BTreeSet<String>>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            state: RwLock::default(),
            bells: Mutex::default(),
            supervisor: Notify::default(),
            unsynced: watch::Sender::new(BTreeSet::new()),
        }
    }
}

impl World {
    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read())
    }

    /// The bells of a cluster, made when asked for first.
    pub fn bells(&self, cluster: &Key) -> Arc<Bells> {
        self.bells.lock().entry(cluster.clone()).or_default().clone()
    }

    /// Forgets a cluster's bells.
    pub fn remove_bells(&self, cluster: &Key) {
        self.bells.lock().remove(cluster);
    }

    /// Announces a watch that has to list everything before anything may be decided.
    pub fn expect(&self, watch: &str) {
        self.unsynced.send_modify(|unsynced| _ = unsynced.insert(watch.to_owned()));
    }

    /// Returns once every watch has listed everything; `waiting` is told what is missing now and then.
    pub async fn synced(&self, mut waiting: impl FnMut(&BTreeSet<String>)) {
        let mut unsynced = self.unsynced.subscribe();
        loop {
            let wait = unsynced.wait_for(BTreeSet::is_empty);
            if tokio::time::timeout(std::time::Duration::from_secs(10), wait).await.is_ok() {
                return;
            }
            let missing = unsynced.borrow().clone();
            waiting(&missing);
        }
    }

    fn bells_of(&self, namespace: Option<&str>, cluster: Option<&str>) -> Option<Arc<Bells>> {
        self.bells.lock().get(&Key::new(namespace?, cluster?)).cloned()
    }
}

/// Feeds one watch into the index. Several watches of a kind in different namespaces may share its table.
#[derive(Debug)]
pub struct Feed {
    kind: Kind,
    /// `None` watches all namespaces.
    namespace: Option<String>,
    label: String,
    /// Seen since the present list began.
    listed: Option<BTreeSet<Key>>,
}

impl Feed {
    /// A feed, which has to complete its list before the world counts as synced.
    pub fn new(world: &World, kind: Kind, namespace: Option<String>) -> Self {
        let label = format!("{} in {}", kind.as_str(), namespace.as_deref().unwrap_or("all namespaces"));
        world.expect(&label);
        Self { kind, namespace, label, listed: None }
    }

    /// What is watched, for logs.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Takes one event.
    pub fn take<T: Indexed>(&mut self, world: &World, event: Event<T>) {
        match event {
            Event::Apply(object) => self.put(world, object),
            Event::Delete(object) => self.remove::<T>(world, &Key::of(object.metadata())),
            Event::Init => self.listed = Some(BTreeSet::new()),
            Event::InitApply(object) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(Key::of(object.metadata()));
                }
                self.put(world, object);
            }
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                // What was deleted while nobody watched is missing from the list.
                let gone: Vec<Key> = T::table(&mut world.state.write(), self.kind)
                    .keys()
                    .filter(|key| self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace))
                    .filter(|key| !listed.contains(key))
                    .cloned()
                    .collect();
                for key in gone {
                    self.remove::<T>(world, &key);
                }
                world.unsynced.send_if_modified(|unsynced| unsynced.remove(&self.label));
            }
        }
    }

    fn put<T: Indexed>(&self, world: &World, object: T) {
        let object = Arc::new(object);
        let before = T::table(&mut world.state.write(), self.kind).insert(Key::of(object.metadata()), object.clone());
        match before {
            Some(before) if !object.differs(&before) => {}
            before => {
                // A label may have moved it from one cluster to another: both have to know.
                if let Some(before) = before {
                    before.ring(world);
                }
                object.ring(world);
            }
        }
    }

    fn remove<T: Indexed>(&self, world: &World, key: &Key) {
        let gone = T::table(&mut world.state.write(), self.kind).remove(key);
        if let Some(gone) = gone {
            gone.ring(world);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::FutureExt;

    use super::*;

    fn pod(name: &str, version: &str) -> Pod {
        serde_json::from_value(serde_json::json!({ "metadata": {
            "namespace": "ns", "name": name, "resourceVersion": version,
            "labels": { "barnabas.dev/cluster": "c", "barnabas.dev/kind": "ConnectCluster" } } }))
        .unwrap()
    }

    fn rang(notify: &Notify) -> bool {
        notify.notified().now_or_never().is_some()
    }

    #[test]
    fn a_relist_removes_what_went_unseen_but_only_in_its_namespace() {
        let world = World::default();
        let mut feed = Feed::new(&world, Kind::Pod, Some("ns".into()));
        let mut other = Feed::new(&world, Kind::Pod, Some("other".into()));
        let mut elsewhere = pod("x", "1");
        elsewhere.metadata.namespace = Some("other".into());
        other.take(&world, Event::Apply(elsewhere));
        for event in [Event::Init, Event::InitApply(pod("a", "1")), Event::InitApply(pod("b", "1")), Event::InitDone] {
            feed.take(&world, event);
        }
        for event in [Event::Init, Event::InitApply(pod("b", "2")), Event::InitDone] {
            feed.take(&world, event);
        }
        let names: Vec<String> = world.read(|state| state.pods.keys().map(ToString::to_string).collect());
        assert_eq!(names, ["ns/b", "other/x"]);
    }

    #[tokio::test]
    async fn nothing_counts_as_known_before_every_watch_has_listed() {
        let world = World::default();
        let mut pods = Feed::new(&world, Kind::Pod, None);
        let mut sets = Feed::new(&world, Kind::StatefulSet, None);
        pods.take::<Pod>(&world, Event::Init);
        pods.take::<Pod>(&world, Event::InitDone);
        assert!(world.synced(|_| {}).now_or_never().is_none());
        sets.take::<StatefulSet>(&world, Event::Init);
        sets.take::<StatefulSet>(&world, Event::InitDone);
        assert!(world.synced(|_| {}).now_or_never().is_some());
    }

    #[test]
    fn a_change_rings_its_cluster_once_and_an_echo_does_not() {
        let world = World::default();
        let bells = world.bells(&Key::new("ns", "c"));
        let stranger = world.bells(&Key::new("ns", "d"));
        let mut feed = Feed::new(&world, Kind::Pod, None);
        feed.take(&world, Event::Apply(pod("a", "1")));
        assert!(rang(&bells.observe));
        feed.take(&world, Event::Apply(pod("a", "1")));
        assert!(!rang(&bells.observe));
        feed.take(&world, Event::Delete(pod("a", "1")));
        assert!(rang(&bells.observe));
        assert!(!rang(&stranger.observe));
    }

    #[test]
    fn a_connector_that_changes_its_cluster_rings_both() {
        let connector = |cluster: &str, version: &str| -> Lenient<KafkaConnector> {
            serde_json::from_value(serde_json::json!({ "metadata": { "namespace": "ns", "name": "k",
                "resourceVersion": version, "labels": { "strimzi.io/cluster": cluster } }, "spec": {} }))
            .unwrap()
        };
        let world = World::default();
        let (first, second) = (world.bells(&Key::new("ns", "a")), world.bells(&Key::new("ns", "b")));
        let mut feed = Feed::new(&world, Kind::KafkaConnector, None);
        feed.take(&world, Event::Apply(connector("a", "1")));
        assert!(rang(&first.observe) && !rang(&second.observe));
        feed.take(&world, Event::Apply(connector("b", "2")));
        assert!(rang(&first.observe) && rang(&second.observe));
    }

    #[test]
    fn a_config_map_rings_who_refers_to_it() {
        let config_map = |version: &str| {
            let metadata = ObjectMeta {
                namespace: Some("ns".into()),
                name: Some("s".into()),
                resource_version: Some(version.into()),
                ..ObjectMeta::default()
            };
            Meta::new(Kind::ConfigMap, metadata)
        };
        let world = World::default();
        let bells = world.bells(&Key::new("ns", "c"));
        bells.connectors_refer_to([Key::new("ns", "s")].into());
        let mut feed = Feed::new(&world, Kind::ConfigMap, None);
        feed.take(&world, Event::Apply(config_map("1")));
        assert!(rang(&bells.observe) && !rang(&bells.children));
        bells.connectors_refer_to(BTreeSet::new());
        feed.take(&world, Event::Apply(config_map("2")));
        assert!(!rang(&bells.observe));
    }
}
