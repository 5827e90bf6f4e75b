//! Tells the control loop of one cluster what Kubernetes has: the cluster, its
//! connectors with their references resolved, its pods. Only differences are told.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use barnabas_crds::{ConnectCluster, ConnectorPlugin, KafkaConnector, Lenient, labels, reasons};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::{
    build::{Build, Names, Resolved, config_map, stateful_set},
    children::pod_address,
    cluster_status,
    convert::{self, FINALIZER},
    dereference::{Providers, Unresolved},
    host,
    shared::{Context, Shared},
    status::Subject,
    world::Key,
};
use crate::{
    drive::{Input, Link},
    metrics::ByCluster,
    plan::{ClusterSpec, ConnectorSpec, PodState, Problem, reason},
    session::PodLink,
};

/// Secrets are not watched: what refers to them is resolved anew this often.
const RESOLVE: Duration = Duration::from_secs(30);
/// The same while something is missing or forbidden.
const RESOLVE_SOON: Duration = Duration::from_secs(5);
/// Another worker will be asked when there is one.
const PLUGIN_ATTEMPTS: u32 = 6;
/// Changes come in groups.
const GROUP: Duration = Duration::from_millis(30);

/// A connector as it was told last.
struct Told {
    spec: ConnectorSpec,
    /// Of the resource that it was made from; it need not be made again from the same.
    version: Option<String>,
    /// It refers to Secrets or ConfigMaps.
    refers: bool,
}

struct Observer {
    context: Context,
    shared: Arc<Shared>,
    inputs: mpsc::Sender<Input>,
    cluster: Option<ClusterSpec>,
    connectors: BTreeMap<String, Told>,
    pods: BTreeMap<String, (PodState, Option<IpAddr>)>,
    links: BTreeMap<String, (String, IpAddr, Arc<PodLink>)>,
    /// The workers whose plugins were asked for last.
    asked_plugins: Option<BTreeSet<String>>,
}

/// Runs until its task is aborted, or the control loop ends.
pub async fn run(context: Context, shared: Arc<Shared>, inputs: mpsc::Sender<Input>) {
    let mut observer = Observer {
        context,
        shared: shared.clone(),
        inputs,
        cluster: None,
        connectors: BTreeMap::new(),
        pods: BTreeMap::new(),
        links: BTreeMap::new(),
        asked_plugins: None,
    };
    let mut synced = false;
    loop {
        let Some(again) = observer.once().await else { return };
        if !synced {
            synced = true;
            if observer.inputs.send(Input::Synced).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = shared.bells.observe.notified() => tokio::time::sleep(GROUP).await,
            () = tokio::time::sleep(again) => {}
        }
    }
}

impl Observer {
    /// One look at everything; says when to look again at the latest, `None` when nobody listens any more.
    async fn once(&mut self) -> Option<Duration> {
        let key = self.shared.key.clone();
        let set_key = Key::new(&key.namespace, Names(&key.name).component());
        let (cluster, connectors, pods, set) = self.context.world.read(|state| {
            (
                state.clusters.get(&key).cloned(),
                state.connectors_of(&key),
                state.pods_of(&key),
                state.sets.get(&set_key).cloned(),
            )
        });
        let cluster = cluster.and_then(|cluster| cluster.get().ok().cloned());
        let mut again = RESOLVE;
        if let Some(cluster) = &cluster {
            self.cluster(cluster).await?;
            again = self.connectors(cluster, connectors).await?;
        }
        let wanted = cluster.as_ref().map(|cluster| cluster.spec.replicas());
        self.pods(wanted, &pods, set.as_deref()).await?;
        self.plugins(&pods);
        Some(again)
    }

    async fn tell(&self, input: Input) -> Option<()> {
        self.inputs.send(input).await.ok()
    }

    async fn cluster(&mut self, cluster: &ConnectCluster) -> Option<()> {
        let build = Build { cluster, settings: &self.context.settings, resolved: &Resolved::default() };
        let mut spec = ClusterSpec::new(build.name(), cluster.spec.replicas());
        // A wrong value is the children's problem, shown on the cluster.
        if let Ok(delay) = config_map::unreachable_delay_ms(build) {
            spec.unreachable_delay_ms = delay;
        }
        spec.generation = cluster.metadata.generation.unwrap_or_default();
        spec.reconciliation_paused = labels::reconciliation_paused(&cluster.metadata);
        if self.cluster.as_ref() != Some(&spec) {
            self.cluster = Some(spec.clone());
            self.tell(Input::Cluster(spec)).await?;
        }
        Some(())
    }

    async fn connectors(
        &mut self,
        cluster: &ConnectCluster,
        connectors: Vec<Arc<Lenient<KafkaConnector>>>,
    ) -> Option<Duration> {
        let mut again = RESOLVE;
        let mut references = BTreeSet::new();
        let providers = Providers::of(&cluster.spec.config_strings().unwrap_or_default());
        let mut seen: BTreeMap<String, (ConnectorSpec, i64, Option<String>, bool)> = BTreeMap::new();
        for lenient in &connectors {
            let key = lenient.name_any();
            if let Ok(connector) = lenient.get() {
                self.hold(connector).await;
            }
            let version = lenient.resource_version();
            let created = lenient.meta().creation_timestamp.as_ref().map_or(0, |time| time.0.as_millisecond());
            let (spec, refers) = match self.connectors.get(&key) {
                Some(told) if told.version == version && !told.refers && told.spec.problem.is_none() => {
                    (told.spec.clone(), false)
                }
                _ => self.resolve(&key, lenient, &providers, &mut references).await,
            };
            if spec.problem.is_some() || refers {
                again = if spec.problem.is_some() { RESOLVE_SOON } else { again };
            }
            seen.insert(key, (spec, created, version, refers));
        }
        self.shared.bells.connectors_refer_to(references);
        let doubles = convert::doubles(seen.iter().map(|(key, (spec, created, ..))| (key.as_str(), spec, *created)));
        for (key, other) in doubles {
            if let Some((spec, ..)) = seen.get_mut(&key).filter(|(spec, ..)| !spec.deleted) {
                again = RESOLVE_SOON;
                spec.problem = Some(Problem {
                    reason: reasons::INVALID_CONFIGURATION.to_owned(),
                    message: format!(
                        "The KafkaConnector {other} has the name {:?} towards Kafka already; set another one in spec.name.",
                        spec.name
                    ),
                });
            }
        }
        let gone: Vec<String> = self.connectors.keys().filter(|key| !seen.contains_key(*key)).cloned().collect();
        for key in gone {
            self.connectors.remove(&key);
            self.context.status.forget(Subject::Connector, &Key::new(&self.shared.key.namespace, &key));
            self.tell(Input::ConnectorGone { key }).await?;
        }
        let gauge = ByCluster { namespace: self.shared.key.namespace.clone(), cluster: self.shared.key.name.clone() };
        self.context.metrics.connectors.get_or_create(&gauge).set(i64::try_from(seen.len()).unwrap_or(i64::MAX));
        for (key, (spec, _, version, refers)) in seen {
            let told = self.connectors.get(&key);
            if told.is_none() {
                let lenient = connectors.iter().find(|connector| connector.name_any() == key);
                let status = lenient.and_then(|lenient| lenient.get().ok()).and_then(|c| c.status.as_ref());
                if let Some(status) = status {
                    let previous = convert::previous_status(status);
                    self.tell(Input::PreviousStatus { key: key.clone(), previous }).await?;
                }
            }
            if told.is_none_or(|told| told.spec != spec) {
                debug!(connector = %key, generation = spec.generation, "The connector changed.");
                self.tell(Input::Connector { key: key.clone(), spec: Box::new(spec.clone()) }).await?;
            }
            self.connectors.insert(key, Told { spec, version, refers });
        }
        Some(again)
    }

    /// The planner's view of one connector, and whether it refers to other resources.
    async fn resolve(
        &self,
        key: &str,
        lenient: &Lenient<KafkaConnector>,
        providers: &Providers,
        references: &mut BTreeSet<Key>,
    ) -> (ConnectorSpec, bool) {
        let Ok(connector) = lenient.get() else {
            return (convert::unreadable_connector(lenient), false);
        };
        let mut spec = convert::connector_spec(connector);
        // The planner adds name, class and tasks.max itself.
        let problems = connector.spec.problems(None);
        if !problems.is_empty() {
            let message = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            spec.problem = Some(Problem { reason: problems[0].reason.to_owned(), message });
            return (spec, false);
        }
        let mut config = connector.spec.config_strings().unwrap_or_default();
        if let Some(version) = &connector.spec.version {
            config.insert("connector.plugin.version".to_owned(), version.clone());
        }
        let namespace = &self.shared.key.namespace;
        let account = Names(&self.shared.key.name).component();
        let resolved = self.context.resolver.config(&mut config, namespace, &account, providers, references).await;
        match resolved {
            Ok(resolved) => {
                spec.config = config;
                spec.secrets = resolved.secrets;
                (spec.reloaded(self.connectors.get(key).map(|told| &told.spec)), resolved.refers)
            }
            Err(Unresolved::Problem(problem)) => {
                spec.problem = Some(problem);
                (spec, true)
            }
            Err(Unresolved::Transient(message)) => {
                warn!(connector = %key, error = %message, "References of the connector could not be resolved; trying again.");
                // What was resolved before stays good; what never was has to wait.
                match self.connectors.get(key).filter(|told| told.spec.problem.is_none()) {
                    Some(told) if told.spec.generation == spec.generation => {
                        spec.config.clone_from(&told.spec.config);
                        spec.secrets.clone_from(&told.spec.secrets);
                    }
                    _ => {
                        spec.problem = Some(Problem {
                            reason: reason::DEPLOYING.to_owned(),
                            message: format!(
                                "The API server did not answer about what spec.config refers to: {message}."
                            ),
                        });
                    }
                }
                (spec, true)
            }
        }
    }

    /// Puts the finalizer on a connector before anything of it can run.
    async fn hold(&self, connector: &KafkaConnector) {
        let held = connector.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
        if held || connector.metadata.deletion_timestamp.is_some() {
            return;
        }
        let key = Key::of(&connector.metadata);
        if let Err(error) = host::hold(&self.context, &key).await {
            warn!(connector = %key, %error, "The finalizer could not be added.");
        }
    }

    async fn pods(&mut self, wanted: Option<u32>, pods: &[Arc<Pod>], set: Option<&StatefulSet>) -> Option<()> {
        let mut seen = BTreeSet::new();
        for pod in pods {
            let name = pod.name_any();
            seen.insert(name.clone());
            let state = pod_state(pod, wanted, set);
            if !state.surplus {
                // A mark of an earlier scale-down, undone since.
                self.shared.drained.lock().remove(&state.uid);
            }
            let address = pod_address(pod).filter(|_| !state.finished);
            if self.pods.get(&name).is_some_and(|(told, at)| *told == state && *at == address) {
                continue;
            }
            let link = address.map(|address| self.link(&name, &state.uid, address) as Arc<dyn Link>);
            self.pods.insert(name.clone(), (state.clone(), address));
            self.tell(Input::Worker { name, state, link }).await?;
        }
        let gone: Vec<String> = self.pods.keys().filter(|name| !seen.contains(*name)).cloned().collect();
        for name in gone {
            if let Some((state, _)) = self.pods.remove(&name) {
                self.shared.drained.lock().remove(&state.uid);
            }
            self.links.remove(&name);
            self.tell(Input::WorkerGone { name }).await?;
        }
        Some(())
    }

    fn link(&mut self, name: &str, uid: &str, address: IpAddr) -> Arc<PodLink> {
        if let Some((old_uid, old_address, link)) = self.links.get(name)
            && old_uid == uid
            && *old_address == address
        {
            return link.clone();
        }
        let server_name = Names(&self.shared.key.name).server_name(name, &self.shared.key.namespace);
        let credentials = self.shared.credentials.subscribe();
        let link = Arc::new(PodLink::new(address, self.context.control_port, server_name, credentials));
        self.links.insert(name.to_owned(), (uid.to_owned(), address, link.clone()));
        link
    }

    /// Asks a worker what it knows, whenever there are other ready workers than last time.
    fn plugins(&mut self, pods: &[Arc<Pod>]) {
        let ready: BTreeSet<String> =
            pods.iter().filter(|pod| is_ready(pod)).filter_map(|pod| pod.metadata.uid.clone()).collect();
        if ready.is_empty() || self.asked_plugins.as_ref() == Some(&ready) {
            return;
        }
        let link = pods.iter().filter(|pod| is_ready(pod)).find_map(|pod| self.links.get(&pod.name_any()));
        let Some((_, _, link)) = link else { return };
        self.asked_plugins = Some(ready);
        let (context, shared, link) = (self.context.clone(), self.shared.clone(), link.clone());
        tokio::spawn(async move {
            let mut attempts = 0;
            let answer = loop {
                match link.plugins().await {
                    Ok(answer) => break answer,
                    Err(error) => {
                        debug!(cluster = %shared.key, %error, "The plugins could not be listed.");
                        attempts += 1;
                        if attempts == PLUGIN_ATTEMPTS {
                            return;
                        }
                        tokio::time::sleep(RESOLVE_SOON).await;
                    }
                }
            };
            let mut plugins: Vec<ConnectorPlugin> = answer
                .plugins
                .into_iter()
                .map(|plugin| ConnectorPlugin { class: plugin.class, type_: plugin.r#type, version: plugin.version })
                .collect();
            plugins.sort();
            shared.parts.lock().plugins = plugins;
            cluster_status::publish(&context, &shared);
        });
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// A pod as the planner sees it.
fn pod_state(pod: &Pod, wanted: Option<u32>, set: Option<&StatefulSet>) -> PodState {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let asked =
        |metadata| labels::annotation(metadata, "manual-rolling-update").is_some_and(|(_, value)| value == "true");
    let revision = pod.metadata.labels.as_ref().and_then(|labels| labels.get("controller-revision-hash"));
    PodState {
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        ready: is_ready(pod),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        finished: matches!(phase, Some("Failed" | "Succeeded")),
        surplus: match (wanted, stateful_set::ordinal(name)) {
            (Some(wanted), Some(ordinal)) => ordinal >= wanted,
            _ => false,
        },
        outdated: asked(&pod.metadata)
            || wanted_revision(set).is_some_and(|wanted| revision.is_some_and(|revision| revision != wanted)),
    }
}

/// The revision that pods are to have, once the StatefulSet's controller has seen the newest template.
fn wanted_revision(set: Option<&StatefulSet>) -> Option<&str> {
    let set = set?;
    let status = set.status.as_ref()?;
    (status.observed_generation == set.metadata.generation).then_some(())?;
    status.update_revision.as_deref()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn pod(extra: serde_json::Value) -> Pod {
        let mut pod = json!({
            "metadata": { "name": "c-connect-1", "uid": "u", "labels": { "controller-revision-hash": "r1" } },
            "status": { "phase": "Running", "podIP": "10.1.2.3", "conditions": [{ "type": "Ready", "status": "True" }] },
        });
        if let (Some(pod), Some(extra)) = (pod["metadata"].as_object_mut(), extra.as_object()) {
            pod.extend(extra.clone());
        }
        serde_json::from_value(pod).unwrap()
    }

    fn set(generation: i64, revision: &str) -> StatefulSet {
        serde_json::from_value(json!({
            "metadata": { "generation": 2 },
            "spec": { "selector": {}, "template": {} },
            "status": { "replicas": 1, "observedGeneration": generation, "updateRevision": revision },
        }))
        .unwrap()
    }

    #[test]
    fn a_pod_is_outdated_only_by_a_revision_that_is_known_to_be_the_newest() {
        let outdated = |set: &StatefulSet| pod_state(&pod(json!({})), Some(2), Some(set)).outdated;
        assert!(outdated(&set(2, "r2")));
        assert!(!outdated(&set(2, "r1")));
        assert!(!outdated(&set(1, "r2")), "the controller has not seen the newest template");
        let asked = pod(json!({ "annotations": { "strimzi.io/manual-rolling-update": "true" } }));
        assert!(pod_state(&asked, Some(2), None).outdated);
    }

    #[test]
    fn pods_past_the_wanted_number_are_surplus() {
        let state = |wanted| pod_state(&pod(json!({})), wanted, None);
        assert!(state(Some(1)).surplus && !state(Some(2)).surplus && !state(None).surplus);
        assert!(state(None).ready && !state(None).terminating);
        assert_eq!(pod_address(&pod(json!({}))), Some([10, 1, 2, 3].into()));
    }
}
