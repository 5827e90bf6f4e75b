//! What a leader does: watches, one set of tasks per cluster, and everything
//! stopped at once when it leads no longer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use barnabas_crds::reasons;
use kube::{Client, Resource};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    authority::Validity,
    build::Settings,
    children, cluster_status,
    dereference::Resolver,
    events::Events,
    host::KubeHost,
    observe,
    orphans::Orphans,
    shared::{Context, Shared},
    status::{StatusWriter, Subject},
    watch as watches,
    world::{Key, World},
};
use crate::{
    drive::{self, Clock},
    metrics::Metrics,
    plan::{EventKind, Options, Problem},
};

/// Inputs that may wait for a control loop.
const INPUTS: usize = 256;
/// Orphans are looked at this often, whatever the watches say.
const RESYNC: Duration = Duration::from_secs(60);

/// What is the same for every term.
#[derive(Clone)]
pub struct Installation {
    /// The API server.
    pub client: Client,
    /// Namespaces to watch; all when empty.
    pub namespaces: Vec<String>,
    /// For building children.
    pub settings: Arc<Settings>,
    /// Life of certificates.
    pub validity: Validity,
    /// The operator's pod name.
    pub operator: String,
    /// How long an earlier leader may go on pushing.
    pub lease_duration: Duration,
    /// Counters.
    pub metrics: Metrics,
    /// Events.
    pub events: Events,
    /// Told the highest term that a worker knows.
    pub deposed: watch::Sender<u64>,
    /// Control port of the workers.
    pub control_port: u16,
}

/// Leads under `term`, until the future is dropped.
pub async fn lead(installation: Installation, term: u64) {
    let mut tasks = JoinSet::new();
    let world = Arc::new(World::default());
    let Installation { client, metrics, .. } = installation.clone();
    watches::start(&client, &world, &installation.namespaces, &metrics, &mut tasks);
    let status = StatusWriter::start(&client, &metrics, &mut tasks);
    world.synced(|missing| warn!(?missing, "Still waiting for the first lists of these watches.")).await;
    info!(term, "The first lists are complete.");
    let context = Context {
        resolver: Arc::new(Resolver::new(client.clone(), world.clone())),
        client,
        world,
        status,
        events: installation.events,
        metrics,
        settings: installation.settings,
        validity: installation.validity,
        term,
        operator: installation.operator,
        lease_duration: installation.lease_duration,
        clock: Clock::start(),
        deposed: installation.deposed,
        control_port: installation.control_port,
    };
    let mut clusters: BTreeMap<Key, (String, JoinSet<()>)> = BTreeMap::new();
    let mut orphans = Orphans::default();
    let mut unreadable: BTreeMap<Key, String> = BTreeMap::new();
    loop {
        let wanted = readable(&context, &clusters);
        clusters.retain(|key, (uid, _)| {
            let stays = wanted.get(key) == Some(uid);
            if !stays {
                info!(cluster = %key, "The cluster is gone; its control loop ends.");
                context.world.remove_bells(key);
                context.status.forget(Subject::Cluster, key);
            }
            stays
        });
        for (key, uid) in &wanted {
            if !clusters.contains_key(key) {
                info!(cluster = %key, "A control loop begins.");
                clusters.insert(key.clone(), (uid.clone(), start(&context, key.clone())));
            }
        }
        tell_unreadable(&context, &wanted, &mut unreadable);
        for (key, (_, tasks)) in &mut clusters {
            // A task of a cluster never ends by itself, unless it was deposed or has panicked.
            while let Some(ended) = tasks.try_join_next() {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    warn!(cluster = %key, "A task of the cluster failed; all of them start again.");
                    tasks.abort_all();
                    context.world.remove_bells(key);
                    *tasks = start(&context, key.clone());
                    break;
                }
            }
        }
        let served: BTreeSet<Key> = clusters.keys().cloned().collect();
        orphans.tend(&context, &served).await;
        tokio::select! {
            () = context.world.supervisor.notified() => tokio::time::sleep(Duration::from_millis(50)).await,
            () = tokio::time::sleep(RESYNC) => {}
        }
    }
}

/// Clusters that can be led: those that can be read, and those that could be before.
fn readable(context: &Context, clusters: &BTreeMap<Key, (String, JoinSet<()>)>) -> BTreeMap<Key, String> {
    context.world.read(|state| {
        let all = state.clusters.iter();
        all.filter(|(key, lenient)| lenient.get().is_ok() || clusters.contains_key(*key))
            .map(|(key, lenient)| (key.clone(), lenient.meta().uid.clone().unwrap_or_default()))
            .collect()
    })
}

/// A cluster that never could be read gets its status from here.
fn tell_unreadable(context: &Context, served: &BTreeMap<Key, String>, told: &mut BTreeMap<Key, String>) {
    let broken: BTreeMap<Key, String> = context.world.read(|state| {
        let all = state.clusters.iter().filter(|(key, _)| !served.contains_key(*key));
        all.filter_map(|(key, lenient)| Some((key.clone(), lenient.get().err()?.to_string()))).collect()
    });
    told.retain(|key, _| broken.contains_key(key));
    for (key, error) in broken {
        if told.get(&key) == Some(&error) {
            continue;
        }
        let message = format!("The resource cannot be read: {error}");
        let shared = Shared::new(key.clone(), context.world.bells(&key));
        let reason = reasons::INVALID_RESOURCE.to_owned();
        shared.parts.lock().problem = Some(Problem { reason, message: message.clone() });
        cluster_status::publish(context, &shared);
        if let Some(reference) = cluster_status::reference(context, &key) {
            context.events.publish(reference, EventKind::Warning, reasons::INVALID_RESOURCE, &message);
        }
        told.insert(key, error);
    }
}

/// Starts the tasks of one cluster; dropping the set stops them.
fn start(context: &Context, key: Key) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let shared = Arc::new(Shared::new(key.clone(), context.world.bells(&key)));
    let (inputs, waiting) = mpsc::channel(INPUTS);
    let (host, work) = KubeHost::new(context.clone(), shared.clone());
    let mut options = Options::new(context.term, context.operator.clone(), context.clock.now());
    options.predecessor_ms = i64::try_from(context.lease_duration.as_millis()).unwrap_or(i64::MAX);
    let redial = shared.redial.clone();
    tasks.spawn(work);
    tasks.spawn(children::run(context.clone(), shared.clone()));
    tasks.spawn(drive::run(options, context.clock, waiting, host, redial, CancellationToken::new()));
    tasks.spawn(observe::run(context.clone(), shared, inputs));
    tasks
}
