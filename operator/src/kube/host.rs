//! Carries out on Kubernetes what the control loop decides: status, Events,
//! finalizers, annotations, pods.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use barnabas_crds::{KafkaConnector, labels};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Resource,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use super::{
    apply::{is_conflict, is_missing},
    cluster_status,
    convert::{self, FINALIZER},
    shared::{Context, Shared},
    status::Subject,
    world::Key,
};
use crate::{
    drive::Host,
    metrics::{ByCluster, ByKind},
    plan::{Annotation, ClusterStatusDraft, ConnectorStatusDraft, DrainReason, Event, EventObject},
};

/// Pause before what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What waits to be done; at most one entry per resource and kind of action.
#[derive(Default)]
struct Todo {
    finalizers: BTreeMap<String, String>,
    annotations: BTreeMap<(String, Annotation), String>,
    pods: BTreeMap<String, String>,
}

/// The planner's arm on Kubernetes, for one cluster.
pub struct KubeHost {
    context: Context,
    shared: Arc<Shared>,
    todo: Arc<(Mutex<Todo>, Notify)>,
}

impl KubeHost {
    /// The host, and the future that does the writing.
    pub fn new(context: Context, shared: Arc<Shared>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let todo: Arc<(Mutex<Todo>, Notify)> = Arc::default();
        let work = work(context.clone(), shared.clone(), todo.clone());
        (Self { context, shared, todo }, work)
    }

    fn add(&self, add: impl FnOnce(&mut Todo)) {
        add(&mut self.todo.0.lock());
        self.todo.1.notify_one();
    }

    fn count(&self, kind: &'static str) {
        self.context.metrics.actions.get_or_create(&ByKind { kind }).inc();
    }
}

impl Host for KubeHost {
    fn connector_status(&mut self, key: &str, status: ConnectorStatusDraft) {
        self.count("connector_status");
        let status = convert::connector_status(status, &self.shared.key.name);
        self.context.status.set(Subject::Connector, Key::new(&self.shared.key.namespace, key), &status);
    }

    fn cluster_status(&mut self, status: ClusterStatusDraft) {
        self.count("cluster_status");
        self.shared.parts.lock().draft = Some(status);
        cluster_status::publish(&self.context, &self.shared);
    }

    fn event(&mut self, event: Event) {
        self.count("event");
        let cluster = &self.shared.key;
        let reference = match &event.object {
            EventObject::Cluster => cluster_status::reference(&self.context, cluster),
            EventObject::Connector(name) => {
                let key = Key::new(&cluster.namespace, name);
                let uid = self.context.world.read(|state| state.connectors.get(&key).map(|c| c.meta().uid.clone()));
                uid.map(|uid| cluster_status::object_reference::<KafkaConnector>(&key, uid))
            }
        };
        if let Some(reference) = reference {
            self.context.events.publish(reference, event.kind, &event.reason, &event.message);
        }
    }

    fn annotation_done(&mut self, key: &str, annotation: Annotation, value: &str) {
        self.count("annotation_done");
        self.add(|todo| _ = todo.annotations.insert((key.to_owned(), annotation), value.to_owned()));
    }

    fn finalizer_done(&mut self, key: &str, uid: &str) {
        self.count("finalizer_done");
        self.add(|todo| _ = todo.finalizers.insert(key.to_owned(), uid.to_owned()));
    }

    fn pod_drained(&mut self, pod: &str, uid: &str, why: DrainReason) {
        self.count("pod_drained");
        match why {
            DrainReason::Outdated => self.add(|todo| _ = todo.pods.insert(pod.to_owned(), uid.to_owned())),
            DrainReason::Surplus => {
                self.shared.drained.lock().insert(uid.to_owned());
                self.shared.bells.children.notify_one();
            }
        }
    }

    fn deposed(&mut self, newest_term: u64) {
        self.context.deposed.send_if_modified(|floor| {
            let above = newest_term.saturating_add(1);
            let higher = above > *floor;
            if higher {
                *floor = above;
            }
            higher
        });
    }

    fn sessions(&mut self, open: usize) {
        let cluster = ByCluster { namespace: self.shared.key.namespace.clone(), cluster: self.shared.key.name.clone() };
        self.context.metrics.sessions.get_or_create(&cluster).set(i64::try_from(open).unwrap_or(i64::MAX));
    }
}

async fn work(context: Context, shared: Arc<Shared>, todo: Arc<(Mutex<Todo>, Notify)>) {
    let namespace = shared.key.namespace.clone();
    loop {
        let next = std::mem::take(&mut *todo.0.lock());
        let mut failed = Todo::default();
        for (key, uid) in next.finalizers {
            if let Err(error) = release(&context, &Key::new(&namespace, &key), Some(&uid)).await {
                warn!(connector = %key, %error, "The finalizer could not be removed; trying again.");
                failed.finalizers.insert(key, uid);
            }
        }
        for ((key, annotation), value) in next.annotations {
            if let Err(error) = remove_annotation(&context, &namespace, &key, annotation, &value).await {
                warn!(connector = %key, %error, "An annotation could not be removed; trying again.");
                failed.annotations.insert((key, annotation), value);
            }
        }
        for (pod, uid) in next.pods {
            if let Err(error) = delete_pod(&context, &namespace, &pod, &uid).await {
                warn!(pod, %error, "The pod could not be deleted; trying again.");
                failed.pods.insert(pod, uid);
            }
        }
        let again = !(failed.finalizers.is_empty() && failed.annotations.is_empty() && failed.pods.is_empty());
        if again {
            let mut waiting = todo.0.lock();
            for (key, uid) in failed.finalizers {
                waiting.finalizers.entry(key).or_insert(uid);
            }
            for (key, value) in failed.annotations {
                waiting.annotations.entry(key).or_insert(value);
            }
            for (pod, uid) in failed.pods {
                waiting.pods.entry(pod).or_insert(uid);
            }
        }
        tokio::select! {
            () = todo.1.notified() => {}
            () = tokio::time::sleep(RETRY), if again => {}
        }
    }
}

/// Removes our finalizer, if it is this very connector and still has it.
pub async fn release(context: &Context, key: &Key, uid: Option<&str>) -> Result<(), kube::Error> {
    change_metadata(context, key, |metadata| {
        if uid.is_some_and(|uid| metadata.uid.as_deref() != Some(uid)) {
            return None;
        }
        let finalizers = metadata.finalizers.as_ref()?;
        finalizers.iter().any(|finalizer| finalizer == FINALIZER).then_some(())?;
        let left: Vec<&String> = finalizers.iter().filter(|finalizer| *finalizer != FINALIZER).collect();
        info!(connector = %key, "The connector has stopped everywhere; it may go.");
        Some(serde_json::json!({ "finalizers": left }))
    })
    .await
}

/// Adds our finalizer, so that a deletion waits until every unit has stopped.
pub async fn hold(context: &Context, key: &Key) -> Result<(), kube::Error> {
    change_metadata(context, key, |metadata| {
        let mut finalizers = metadata.finalizers.clone().unwrap_or_default();
        if metadata.deletion_timestamp.is_some() || finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            return None;
        }
        finalizers.push(FINALIZER.to_owned());
        Some(serde_json::json!({ "finalizers": finalizers }))
    })
    .await
}

async fn remove_annotation(
    context: &Context,
    namespace: &str,
    name: &str,
    annotation: Annotation,
    value: &str,
) -> Result<(), kube::Error> {
    let wanted = match annotation {
        Annotation::Restart => labels::RESTART,
        Annotation::RestartTask => labels::RESTART_TASK,
    };
    change_metadata(context, &Key::new(namespace, name), |metadata| {
        let (full, present) = labels::annotation(metadata, wanted)?;
        (present == value).then(|| serde_json::json!({ "annotations": { full: null } }))
    })
    .await
}

/// Changes a connector's metadata as `change` says, knowing what it is now.
async fn change_metadata(
    context: &Context,
    key: &Key,
    change: impl Fn(&k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Option<serde_json::Value>,
) -> Result<(), kube::Error> {
    let api: Api<KafkaConnector> = Api::namespaced(context.client.clone(), &key.namespace);
    loop {
        let Some(object) = api.get_metadata_opt(&key.name).await? else { return Ok(()) };
        let Some(mut metadata) = change(&object.metadata) else { return Ok(()) };
        metadata["resourceVersion"] = object.metadata.resource_version.clone().into();
        let patch = Patch::Merge(serde_json::json!({ "metadata": metadata }));
        match api.patch_metadata(&key.name, &PatchParams::default(), &patch).await {
            Ok(_) => return Ok(()),
            Err(error) if is_missing(&error) => return Ok(()),
            Err(error) if is_conflict(&error) => debug!(resource = %key, "Changed meanwhile; looking again."),
            Err(error) => return Err(error),
        }
    }
}

async fn delete_pod(context: &Context, namespace: &str, pod: &str, uid: &str) -> Result<(), kube::Error> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    let only_this = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    match api.delete(pod, &DeleteParams::default().preconditions(only_this)).await {
        Ok(_) => {
            info!(pod, "An outdated worker pod is deleted; its successor has the new revision.");
            Ok(())
        }
        Err(error) if is_missing(&error) || is_conflict(&error) => Ok(()),
        Err(error) => Err(error),
    }
}
