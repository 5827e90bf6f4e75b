//! What the tasks of one cluster share, and what all clusters share.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use barnabas_crds::ConnectorPlugin;
use kube::Client;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    authority::Validity,
    build::Settings,
    dereference::Resolver,
    events::Events,
    status::StatusWriter,
    world::{Bells, Key, World},
};
use crate::{
    drive::{Clock, Redial},
    metrics::Metrics,
    plan::{ClusterStatusDraft, Problem},
    session::Credentials,
};

/// What every cluster's tasks use.
#[derive(Clone)]
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What is known of it.
    pub world: Arc<World>,
    /// Reads Secrets and ConfigMaps.
    pub resolver: Arc<Resolver>,
    /// Writes status.
    pub status: StatusWriter,
    /// Publishes Events.
    pub events: Events,
    /// Counters.
    pub metrics: Metrics,
    /// The installation's settings.
    pub settings: Arc<Settings>,
    /// Life of certificates.
    pub validity: Validity,
    /// The term under which this operator leads.
    pub term: u64,
    /// The operator's pod name.
    pub operator: String,
    /// How long an earlier leader may go on pushing.
    pub lease_duration: Duration,
    /// The one clock.
    pub clock: Clock,
    /// Told the highest term that a worker knows, when it is not ours.
    pub deposed: watch::Sender<u64>,
    /// Control port of the workers.
    pub control_port: u16,
}

/// What the tasks of one cluster share.
pub struct Shared {
    /// The cluster.
    pub key: Key,
    /// Wakes its tasks.
    pub bells: Arc<Bells>,
    /// What sessions are made with.
    pub credentials: watch::Sender<Option<Arc<Credentials>>>,
    /// Makes sessions anew.
    pub redial: Redial,
    /// Uids of surplus pods that hold no unit any more.
    pub drained: Mutex<BTreeSet<String>>,
    /// Parts of the cluster's status.
    pub parts: Mutex<StatusParts>,
}

/// The cluster's status comes from several places.
#[derive(Default)]
pub struct StatusParts {
    /// The planner's.
    pub draft: Option<ClusterStatusDraft>,
    /// Why the children are not as they should be.
    pub problem: Option<Problem>,
    /// What the workers know.
    pub plugins: Vec<ConnectorPlugin>,
    /// Conditions that were written last, for their transition times.
    pub written: Vec<barnabas_crds::Condition>,
}

impl Shared {
    /// For a cluster that nothing is known of yet.
    pub fn new(key: Key, bells: Arc<Bells>) -> Self {
        Self {
            key,
            bells,
            credentials: watch::Sender::new(None),
            redial: Redial::default(),
            drained: Mutex::default(),
            parts: Mutex::default(),
        }
    }
}
