//! What each kind is to the index: its table, and whom a change of it wakes.

use std::{collections::BTreeMap, sync::Arc};

use barnabas_crds::{ConnectCluster, KafkaConnector, Lenient, labels};
use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;

use super::{Key, Kind, Meta, State, World, child_of};

/// A kind's place in the index.
pub trait Indexed: Sized + Send + Sync + 'static {
    /// Where objects of this kind are kept.
    fn table(state: &mut State, kind: Kind) -> &mut BTreeMap<Key, Arc<Self>>;
    /// Metadata of the object.
    fn metadata(&self) -> &ObjectMeta;
    /// Wakes whoever depends on this object, which came, changed or went.
    fn ring(&self, world: &World);
    /// Whether going from `before` to this is worth waking anybody.
    fn differs(&self, before: &Self) -> bool {
        self.metadata().resource_version != before.metadata().resource_version
    }
}

impl Indexed for Lenient<ConnectCluster> {
    fn table(state: &mut State, _: Kind) -> &mut BTreeMap<Key, Arc<Self>> {
        &mut state.clusters
    }
    fn metadata(&self) -> &ObjectMeta {
        self.meta()
    }
    fn ring(&self, world: &World) {
        if let Some(bells) = world.bells_of(self.meta().namespace.as_deref(), self.meta().name.as_deref()) {
            bells.observe.notify_one();
            bells.children.notify_one();
        }
        world.supervisor.notify_one();
    }
}

impl Indexed for Lenient<KafkaConnector> {
    fn table(state: &mut State, _: Kind) -> &mut BTreeMap<Key, Arc<Self>> {
        &mut state.connectors
    }
    fn metadata(&self) -> &ObjectMeta {
        self.meta()
    }
    fn ring(&self, world: &World) {
        if let Some(bells) = world.bells_of(self.meta().namespace.as_deref(), labels::cluster(self.meta())) {
            bells.observe.notify_one();
        }
        world.supervisor.notify_one();
    }
}

impl Indexed for Pod {
    fn table(state: &mut State, _: Kind) -> &mut BTreeMap<Key, Arc<Self>> {
        &mut state.pods
    }
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn ring(&self, world: &World) {
        // The number of pods, and which of them may be scaled away, concerns the other children.
        ring_parent(world, &self.metadata);
        world.supervisor.notify_one();
    }
}

impl Indexed for StatefulSet {
    fn table(state: &mut State, _: Kind) -> &mut BTreeMap<Key, Arc<Self>> {
        &mut state.sets
    }
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn ring(&self, world: &World) {
        ring_parent(world, &self.metadata);
    }
}

impl Indexed for Meta {
    fn table(state: &mut State, kind: Kind) -> &mut BTreeMap<Key, Arc<Self>> {
        state.metas.entry(kind).or_default()
    }
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn differs(&self, before: &Self) -> bool {
        self != before
    }
    fn ring(&self, world: &World) {
        if let Some(bells) = world.bells_of(self.metadata.namespace.as_deref(), self.cluster.as_deref()) {
            bells.children.notify_one();
        }
        if self.kind == Kind::ConfigMap {
            let reference = Key::of(&self.metadata);
            for bells in world.bells.lock().values() {
                if bells.connector_references.lock().contains(&reference) {
                    bells.observe.notify_one();
                }
                if bells.cluster_references.lock().contains(&reference) {
                    bells.children.notify_one();
                }
            }
        }
    }
}

/// Wakes both loops of the cluster that a child belongs to.
fn ring_parent(world: &World, child: &ObjectMeta) {
    if let Some(bells) = world.bells_of(child.namespace.as_deref(), child_of(child)) {
        bells.observe.notify_one();
        bells.children.notify_one();
    }
}
