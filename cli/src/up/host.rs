//! What a control loop has to say, taken down where it does not wait.

use std::{collections::BTreeSet, sync::Arc};

use barnabas_operator::{
    drive::{self, Clock},
    plan::{Annotation, ClusterStatusDraft, ConnectorStatusDraft, DrainReason, Event, EventObject},
};
use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};

use super::{objects::Objects, translate};
use crate::{manifests::Key, view::snapshot};

/// Something that [`super::reconcile::Up`] has to do for a loop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// An annotation was acted on.
    AnnotationDone { connector: Key, annotation: Annotation, value: String },
    /// Nothing of a connector runs any more.
    Released { cluster: Key, connector: Key, uid: String },
    /// Nothing runs on a worker any more.
    Drained { cluster: Key, worker: String, uid: String },
}

/// What is waiting to be done. Bounded by the number of resources: the same thing is kept once.
#[derive(Debug, Default)]
pub struct Pending {
    told: Mutex<BTreeSet<Told>>,
    notify: Notify,
}

impl Pending {
    /// Resolves when there is something.
    pub fn notified(&self) -> Notified<'_> {
        self.notify.notified()
    }

    /// Takes everything that is waiting.
    pub fn take(&self) -> BTreeSet<Told> {
        std::mem::take(&mut *self.told.lock())
    }

    fn add(&self, told: Told) {
        self.told.lock().insert(told);
        self.notify.notify_one();
    }
}

/// The host of one cluster's loop.
pub struct Host {
    /// The cluster.
    pub cluster: Key,
    /// Where status and events go.
    pub objects: Objects,
    /// Where everything else goes.
    pub pending: Arc<Pending>,
    /// For events.
    pub clock: Clock,
}

impl Host {
    fn connector(&self, name: &str) -> Key {
        Key::new(&self.cluster.namespace, name)
    }
}

impl drive::Host for Host {
    fn connector_status(&mut self, key: &str, status: ConnectorStatusDraft) {
        self.objects.connector_status(&self.connector(key), translate::connector_status(status));
    }

    fn cluster_status(&mut self, status: ClusterStatusDraft) {
        self.objects.cluster_status(&self.cluster, |old| translate::cluster_status(old, status));
    }

    fn event(&mut self, event: Event) {
        let (kind, name) = match event.object {
            EventObject::Connector(name) => ("KafkaConnector", name),
            EventObject::Cluster => ("ConnectCluster", self.cluster.name.clone()),
        };
        self.objects.event(snapshot::Event {
            kind: kind.to_owned(),
            namespace: self.cluster.namespace.clone(),
            name,
            type_: event.kind.as_str().to_owned(),
            reason: event.reason,
            message: event.message,
            at_ms: self.clock.now(),
        });
    }

    fn annotation_done(&mut self, key: &str, annotation: Annotation, value: &str) {
        let connector = self.connector(key);
        self.pending.add(Told::AnnotationDone { connector, annotation, value: value.to_owned() });
    }

    fn finalizer_done(&mut self, key: &str, uid: &str) {
        let connector = self.connector(key);
        self.pending.add(Told::Released { cluster: self.cluster.clone(), connector, uid: uid.to_owned() });
    }

    fn pod_drained(&mut self, pod: &str, uid: &str, _: DrainReason) {
        let cluster = self.cluster.clone();
        self.pending.add(Told::Drained { cluster, worker: pod.to_owned(), uid: uid.to_owned() });
    }

    fn deposed(&mut self, newest_term: u64) {
        // Nobody else knows these workers.
        tracing::error!(cluster = %self.cluster, newest_term, "A worker of this process knows another leader.");
    }
}
