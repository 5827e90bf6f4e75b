//! The cluster's status, put together from what the planner, the children and
//! the workers say.

use barnabas_crds::{Condition, ConditionStatus, ConnectCluster, ConnectClusterStatus, conditions, types};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use super::{
    build::{Build, Resolved, api_service, selector_string},
    convert,
    shared::{Context, Shared},
    status::Subject,
    world::Key,
};

/// Composes the status and queues it; writing is left out when nothing changed.
pub fn publish(context: &Context, shared: &Shared) {
    let key = &shared.key;
    let Some((lenient, pods)) =
        context.world.read(|state| Some((state.clusters.get(key).cloned()?, state.pods_of(key).len())))
    else {
        return;
    };
    let metadata = lenient.meta();
    let generation = metadata.generation.unwrap_or_default();
    let mut parts = shared.parts.lock();
    if parts.draft.is_none() && parts.problem.is_none() {
        return;
    }
    if parts.written.is_empty() {
        parts.written = lenient.conditions();
    }
    let mut desired: Vec<Condition> = match &parts.draft {
        Some(draft) => draft.conditions.iter().map(|c| convert::condition(c, draft.observed_generation)).collect(),
        None => Vec::new(),
    };
    if let Some(problem) = &parts.problem {
        desired.retain(|condition| condition.type_ != types::READY && condition.type_ != types::NOT_READY);
        let ready = Condition::new(types::READY, false, problem.reason.clone(), problem.message.clone());
        desired.insert(0, ready.observed(Some(generation)));
    }
    let cluster = lenient.get().ok();
    if let Some(cluster) = cluster {
        let warnings = cluster.warnings().into_iter().map(Condition::from);
        desired.extend(warnings.map(|warning| warning.observed(Some(generation))));
    }
    let conditions = conditions::merge(&parts.written, desired, context.clock.now());
    parts.written.clone_from(&conditions);
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let status = ConnectClusterStatus {
        conditions,
        observed_generation: Some(parts.draft.as_ref().map_or(generation, |draft| draft.observed_generation)),
        url: cluster.and_then(|cluster| url(cluster, context)),
        replicas: count(pods),
        ready_replicas: parts.draft.as_ref().map_or(0, |draft| count(draft.replicas as usize)),
        connectors: parts.draft.as_ref().map_or(0, |draft| count(draft.connectors as usize)),
        label_selector: Some(selector_string(&key.name)),
        connector_plugins: parts.plugins.clone(),
    };
    drop(parts);
    context.status.set(Subject::Cluster, key.clone(), &status);
}

fn url(cluster: &ConnectCluster, context: &Context) -> Option<String> {
    api_service::url(Build { cluster, settings: &context.settings, resolved: &Resolved::default() })
}

/// A condition `Ready=False` for a resource that no planner speaks of.
pub fn not_ready(reason: &str, message: String, generation: Option<i64>) -> Vec<Condition> {
    vec![Condition::new(types::READY, ConditionStatus::False, reason, message).observed(generation)]
}

/// What an Event about the cluster refers to.
pub fn reference(context: &Context, key: &Key) -> Option<ObjectReference> {
    let uid = context.world.read(|state| state.clusters.get(key).map(|c| c.meta().uid.clone()))?;
    Some(object_reference::<ConnectCluster>(key, uid))
}

/// What an Event refers to.
pub fn object_reference<K: Resource<DynamicType = ()>>(key: &Key, uid: Option<String>) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: Some(key.name.clone()),
        namespace: Some(key.namespace.clone()),
        uid,
        ..ObjectReference::default()
    }
}
