//! Keeps a cluster's children: reads what the cluster refers to, builds what is
//! to exist and applies it, whenever something of that changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use barnabas_crds::{ConnectCluster, cluster::LoggingType, labels, log4j_levels, reasons};
use k8s_openapi::api::core::v1::Pod;
use tracing::{debug, info, warn};

use super::{
    apply::apply,
    build::{
        Build, Resolved, api_service, config_map, headless_service, network_policy, pod_disruption_budget,
        service_account, stateful_set,
    },
    certificates, cluster_status,
    dereference::{Source, Unresolved},
    hash,
    shared::{Context, Shared},
    world::{Key, Kind},
};
use crate::{
    metrics::Metrics,
    plan::{EventKind, Problem},
    session,
};

/// Everything is looked at this often, whatever the watches say: Secrets are not watched.
const RESYNC: Duration = Duration::from_secs(60);
/// While something is wrong or a rotation is under way.
const SOON: Duration = Duration::from_secs(5);

/// Runs until its task is aborted.
pub async fn run(context: Context, shared: Arc<Shared>) {
    let mut keeper = Keeper { context, shared, done: None, accepted: false, told: None };
    let mut due = tokio::time::Instant::now();
    loop {
        // A pass that found nothing to do leaves the time of the next full one as it is.
        if let Some(next) = keeper.once().await {
            due = tokio::time::Instant::now() + next;
        }
        tokio::select! {
            () = keeper.shared.bells.children.notified() => {
                // Changes come in groups: an apply, its echo, what follows from it.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            () = tokio::time::sleep_until(due) => {
                keeper.done = None;
                due = tokio::time::Instant::now() + RESYNC;
            }
        }
    }
}

/// Everything that the children depend on; when it is the same as last time, there is nothing to do.
#[derive(Clone, PartialEq)]
struct Fingerprint {
    generation: Option<i64>,
    annotations: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
    children: BTreeMap<(Kind, Key), String>,
    references: BTreeMap<Key, Option<String>>,
    replicas: i32,
}

struct Keeper {
    context: Context,
    shared: Arc<Shared>,
    /// What was last brought about.
    done: Option<Fingerprint>,
    /// Every worker accepts the next authority.
    accepted: bool,
    told: Option<Problem>,
}

impl Keeper {
    /// One pass; returns when to make the next at the latest, if it did anything.
    async fn once(&mut self) -> Option<Duration> {
        let key = self.shared.key.clone();
        let lenient = self.context.world.read(|state| state.clusters.get(&key).cloned())?;
        let cluster = match lenient.get() {
            Ok(cluster) => cluster.clone(),
            Err(invalid) => {
                let message = format!("The resource cannot be read: {invalid}. What runs goes on as it was.");
                self.tell(Some(Problem { reason: reasons::INVALID_RESOURCE.to_owned(), message }));
                return Some(RESYNC);
            }
        };
        if cluster.metadata.deletion_timestamp.is_some() || labels::reconciliation_paused(&cluster.metadata) {
            cluster_status::publish(&self.context, &self.shared);
            return None;
        }
        let fingerprint = self.fingerprint(&cluster);
        if let Some(done) = &self.done
            && done.references.iter().all(|(key, version)| *version == self.version(key))
            && *done == (Fingerprint { references: done.references.clone(), ..fingerprint.clone() })
        {
            cluster_status::publish(&self.context, &self.shared);
            return None;
        }
        let begun = Instant::now();
        let result = self.reconcile(&cluster).await;
        self.context.metrics.reconcile_seconds.observe(begun.elapsed().as_secs_f64());
        Metrics::count(&self.context.metrics.reconciles, &result);
        match result {
            Ok((next, references)) => {
                // Taken before the pass: what changed meanwhile makes another one.
                self.done = Some(Fingerprint {
                    references: references.iter().map(|key| (key.clone(), self.version(key))).collect(),
                    ..fingerprint
                });
                self.tell(None);
                Some(next)
            }
            Err(Failed::Problem(problem)) => {
                self.done = None;
                self.tell(Some(problem));
                Some(SOON)
            }
            Err(Failed::Again(message)) => {
                warn!(cluster = %key, error = %message, "The cluster's children could not be brought up to date; trying again.");
                self.done = None;
                Some(SOON)
            }
        }
    }

    fn version(&self, config_map: &Key) -> Option<String> {
        self.context.world.read(|state| state.version(Kind::ConfigMap, config_map).map(str::to_owned))
    }

    fn fingerprint(&self, cluster: &ConnectCluster) -> Fingerprint {
        let metadata = &cluster.metadata;
        let key = &self.shared.key;
        self.context.world.read(|state| {
            let mut children = BTreeMap::new();
            for (kind, metas) in &state.metas {
                for (child, meta) in metas {
                    if child.namespace == key.namespace && meta.cluster.as_deref() == Some(&key.name) {
                        children.insert((*kind, child.clone()), meta.version.clone());
                    }
                }
            }
            let set = Key::new(&key.namespace, format!("{}-connect", key.name));
            if let Some(found) = state.sets.get(&set) {
                let generation = found.metadata.generation.unwrap_or_default();
                children.insert((Kind::StatefulSet, set), generation.to_string());
            }
            let drained = self.shared.drained.lock();
            Fingerprint {
                generation: metadata.generation,
                annotations: metadata.annotations.clone(),
                labels: metadata.labels.clone(),
                children,
                references: BTreeMap::new(),
                replicas: replicas(cluster.spec.replicas(), &state.pods_of(key), &drained),
            }
        })
    }

    async fn reconcile(&mut self, cluster: &ConnectCluster) -> Result<(Duration, BTreeSet<Key>), Failed> {
        let key = self.shared.key.clone();
        let context = self.context.clone();
        let settings = &context.settings;
        let problems = cluster.spec.problems();
        if let Some(problem) = problems.first() {
            let message = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            return Err(Failed::Problem(Problem { reason: problem.reason.to_owned(), message }));
        }

        // Certificates first: sessions need them whatever else is wrong.
        let unresolved = Resolved::default();
        let build = Build { cluster, settings, resolved: &unresolved };
        let now = context.clock.now();
        let kept = certificates::keep(&context.client, build, &context.validity, now, self.accepted)
            .await
            .map_err(|error| Failed::Again(error.to_string()))?;
        self.use_credentials(kept.credentials);
        self.accepted = match &kept.probe {
            Some(probe) => self.all_accept(probe).await,
            None => false,
        };

        let mut references = BTreeSet::new();
        let resolved = self.dereference(cluster, &kept.hash_key, &mut references).await?;
        self.shared.bells.cluster_refers_to(references.clone());
        let build = Build { resolved: &resolved, ..build };
        let invalid = |error: config_map::Error| {
            Failed::Problem(Problem { reason: reasons::INVALID_CONFIGURATION.to_owned(), message: error.0 })
        };
        let config = config_map::build(build).map_err(invalid)?;
        let config_hash = config_map::roll_hash(&config);

        let client = &context.client;
        apply(client, &service_account::build(build)).await?;
        apply(client, &config).await?;
        apply(client, &headless_service::build(build)).await?;
        apply(client, &api_service::build(build)).await?;
        apply(client, &pod_disruption_budget::build(build)).await?;
        if settings.network_policies {
            apply(client, &network_policy::build(build)).await?;
        }
        let replicas = {
            let drained = self.shared.drained.lock();
            context.world.read(|state| replicas(cluster.spec.replicas(), &state.pods_of(&key), &drained))
        };
        apply(client, &stateful_set::build(build, replicas, &config_hash)).await?;
        debug!(cluster = %key, replicas, "The cluster's children are up to date.");

        let due = u64::try_from(kept.due_ms.saturating_sub(context.clock.now())).unwrap_or(0);
        let soon = if kept.rotating || self.accepted { SOON } else { RESYNC };
        Ok((soon.min(Duration::from_millis(due.max(500))), references))
    }

    fn use_credentials(&self, credentials: session::Credentials) {
        let before = self.shared.credentials.borrow().clone();
        if before.as_deref() == Some(&credentials) {
            return;
        }
        let new_identity = before.is_some_and(|before| before.cert != credentials.cert);
        self.shared.credentials.send_replace(Some(Arc::new(credentials)));
        if new_identity {
            info!(cluster = %self.shared.key, "The operator's certificate changed; sessions are opened anew.");
            self.shared.redial.all();
        }
    }

    /// Whether every worker accepts a certificate of the next authority.
    async fn all_accept(&self, probe: &session::Credentials) -> bool {
        let key = &self.shared.key;
        let names = super::build::Names(&key.name);
        for pod in self.context.world.read(|state| state.pods_of(key)) {
            let Some(name) = pod.metadata.name.as_deref() else { continue };
            let Some(address) = pod_address(&pod) else {
                // It will start with the present Secret mounted.
                continue;
            };
            let server_name = names.server_name(name, &key.namespace);
            if !session::accepts(address, self.context.control_port, &server_name, probe).await {
                debug!(pod = name, "The worker does not accept the next authority yet.");
                return false;
            }
        }
        true
    }

    /// Reads the Secrets and ConfigMaps that the cluster itself refers to.
    async fn dereference(
        &self,
        cluster: &ConnectCluster,
        hash_key: &[u8],
        references: &mut BTreeSet<Key>,
    ) -> Result<Resolved, Failed> {
        let spec = &cluster.spec;
        let mut resolved = Resolved::default();
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let trusted = spec.tls.iter().flat_map(|tls| &tls.trusted_certificates).enumerate();
        for (index, source) in trusted {
            let field = format!("spec.tls.trustedCertificates[{index}]");
            let data = self.secret(&source.secret_name, &field).await?;
            let keys = match (&source.certificate, &source.pattern) {
                (Some(key), _) => vec![key.clone()],
                (None, pattern) => {
                    let pattern = pattern.as_deref().unwrap_or("*.crt");
                    let bytes = data.keys().map(|key| (key.clone(), k8s_openapi::ByteString(vec![]))).collect();
                    let keys = config_map::matching_keys(&bytes, pattern);
                    if keys.is_empty() {
                        return Err(missing(&field, &self.shared.key.namespace, &source.secret_name, pattern));
                    }
                    keys
                }
            };
            for key in &keys {
                parts.push(self.part(&data, &source.secret_name, key, &field)?);
            }
            resolved.trusted_certificates.push((source.secret_name.clone(), keys));
        }
        if let Some(authentication) = &spec.authentication {
            if let Some(password) = &authentication.password_secret {
                let field = "spec.authentication.passwordSecret";
                let data = self.secret(&password.secret_name, field).await?;
                parts.push(self.part(&data, &password.secret_name, &password.password, field)?);
            }
            if let Some(pair) = &authentication.certificate_and_key {
                let field = "spec.authentication.certificateAndKey";
                let data = self.secret(&pair.secret_name, field).await?;
                parts.push(self.part(&data, &pair.secret_name, &pair.certificate, field)?);
                parts.push(self.part(&data, &pair.secret_name, &pair.key, field)?);
            }
        }
        if !parts.is_empty() {
            resolved.secrets_hash = hash::keyed(hash_key, parts.iter().map(Vec::as_slice));
        }
        resolved.loggers = self.loggers(cluster, references).await?;
        Ok(resolved)
    }

    async fn loggers(
        &self,
        cluster: &ConnectCluster,
        references: &mut BTreeSet<Key>,
    ) -> Result<BTreeMap<String, String>, Failed> {
        let Some(logging) = &cluster.spec.logging else { return Ok(BTreeMap::new()) };
        if logging.type_ == LoggingType::Inline {
            return Ok(logging.loggers.clone());
        }
        let field = "spec.logging.valueFrom.configMapKeyRef";
        let Some(reference) = logging.value_from.as_ref().and_then(|from| from.config_map_key_ref.as_ref()) else {
            return Ok(BTreeMap::new());
        };
        let target = Key::new(&self.shared.key.namespace, &reference.name);
        references.insert(target.clone());
        let data = self.context.resolver.data(Source::ConfigMap, &target).await?;
        let text = data.as_ref().and_then(|data| data.get(&reference.key));
        match text {
            Some(text) => Ok(log4j_levels(&String::from_utf8_lossy(text))),
            None if reference.optional == Some(true) => Ok(BTreeMap::new()),
            None => Err(Failed::Problem(Problem {
                reason: reasons::SECRET_NOT_FOUND.to_owned(),
                message: format!(
                    "{field} refers to the key {:?} of the ConfigMap {target}; there is none.",
                    reference.key
                ),
            })),
        }
    }

    async fn secret(&self, name: &str, field: &str) -> Result<Arc<BTreeMap<String, Vec<u8>>>, Failed> {
        let target = Key::new(&self.shared.key.namespace, name);
        match self.context.resolver.data(Source::Secret, &target).await? {
            Some(data) => Ok(data),
            None => Err(Failed::Problem(Problem {
                reason: reasons::SECRET_NOT_FOUND.to_owned(),
                message: format!("{field} refers to the Secret {target}; there is no such Secret."),
            })),
        }
    }

    fn part(&self, data: &BTreeMap<String, Vec<u8>>, secret: &str, key: &str, field: &str) -> Result<Vec<u8>, Failed> {
        data.get(key).cloned().ok_or_else(|| missing(field, &self.shared.key.namespace, secret, key))
    }

    /// Puts the problem, or that there is none, into the status.
    fn tell(&mut self, problem: Option<Problem>) {
        if problem != self.told
            && let Some(problem) = &problem
        {
            warn!(cluster = %self.shared.key, reason = %problem.reason, why = %problem.message, "The cluster cannot be brought about.");
            if let Some(reference) = cluster_status::reference(&self.context, &self.shared.key) {
                self.context.events.publish(reference, EventKind::Warning, &problem.reason, &problem.message);
            }
        }
        self.told.clone_from(&problem);
        self.shared.parts.lock().problem = problem;
        cluster_status::publish(&self.context, &self.shared);
    }
}

fn missing(field: &str, namespace: &str, secret: &str, key: &str) -> Failed {
    Failed::Problem(Problem {
        reason: reasons::SECRET_NOT_FOUND.to_owned(),
        message: format!(
            "{field} refers to the key {key:?} of the Secret {namespace}/{secret}; that Secret has no such key."
        ),
    })
}

enum Failed {
    /// Somebody has to act.
    Problem(Problem),
    /// It may work next time.
    Again(String),
}

impl From<kube::Error> for Failed {
    fn from(error: kube::Error) -> Self {
        match &error {
            // The API server says what is wrong with what was built, which follows from the resource.
            kube::Error::Api(status) if status.code == 422 => Self::Problem(Problem {
                reason: reasons::INVALID_CONFIGURATION.to_owned(),
                message: status.message.clone(),
            }),
            _ => Self::Again(error.to_string()),
        }
    }
}

impl From<Unresolved> for Failed {
    fn from(unresolved: Unresolved) -> Self {
        match unresolved {
            Unresolved::Problem(problem) => Self::Problem(problem),
            Unresolved::Transient(message) => Self::Again(message),
        }
    }
}

/// Where to dial a pod, once it runs.
pub fn pod_address(pod: &Pod) -> Option<std::net::IpAddr> {
    let status = pod.status.as_ref()?;
    (status.phase.as_deref() == Some("Running")).then_some(())?;
    status.pod_ip.as_ref()?.parse().ok()
}

/// How many pods the StatefulSet is to have: those that are wanted, and every
/// surplus one that may still hold units, because a StatefulSet takes its
/// highest pods away first.
fn replicas(wanted: u32, pods: &[Arc<Pod>], drained: &BTreeSet<String>) -> i32 {
    let holding = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .filter(|pod| pod.metadata.uid.as_ref().is_none_or(|uid| !drained.contains(uid)))
        .filter_map(|pod| stateful_set::ordinal(pod.metadata.name.as_deref()?))
        .max()
        .map_or(0, |highest| highest + 1);
    i32::try_from(wanted.max(holding)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pod(ordinal: u32) -> Arc<Pod> {
        let metadata = serde_json::json!({ "name": format!("c-connect-{ordinal}"), "uid": format!("u{ordinal}") });
        Arc::new(serde_json::from_value(serde_json::json!({ "metadata": metadata })).unwrap())
    }

    fn drained(ordinals: &[u32]) -> BTreeSet<String> {
        ordinals.iter().map(|ordinal| format!("u{ordinal}")).collect()
    }

    #[test]
    fn a_set_shrinks_only_past_pods_that_hold_nothing() {
        let pods = [pod(0), pod(1), pod(2), pod(3)];
        assert_eq!(replicas(1, &pods, &drained(&[])), 4);
        assert_eq!(replicas(1, &pods, &drained(&[1, 2])), 4, "the highest still holds units");
        assert_eq!(replicas(1, &pods, &drained(&[3])), 3);
        assert_eq!(replicas(1, &pods, &drained(&[1, 2, 3])), 1);
        assert_eq!(replicas(0, &pods, &drained(&[0, 1, 2, 3])), 0);
    }

    #[test]
    fn a_set_grows_at_once() {
        assert_eq!(replicas(3, &[pod(0)], &drained(&[])), 3);
        assert_eq!(replicas(2, &[], &drained(&[])), 2);
    }
}
