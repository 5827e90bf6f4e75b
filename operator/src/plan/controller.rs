//! The state machine: its inputs, and the order of a decision.

use std::collections::{BTreeMap, BTreeSet};

use barnabas_protocol::{Epoch, Report, ValidateResponse};

use super::{
    Action, ClusterSpec, ClusterStatusDraft, ConnectorSpec, Millis, Options, PodPlan, PodState, PreviousStatus,
    ValidateFailed,
    model::{Connector, ConnectorId, Unit, UnitId, Worker, WorkerId},
};

/// Plans one cluster. See the module's documentation.
#[derive(Debug)]
pub struct Controller {
    pub(super) options: Options,
    pub(super) cluster: ClusterSpec,
    pub(super) synced: bool,
    /// The newest epoch of a later leader, once one is known.
    pub(super) deposed: Option<Epoch>,
    deposed_said: bool,
    pub(super) workers: BTreeMap<WorkerId, Worker>,
    pub(super) worker_ids: BTreeMap<String, WorkerId>,
    next_worker: WorkerId,
    pub(super) connectors: BTreeMap<ConnectorId, Connector>,
    pub(super) connector_ids: BTreeMap<String, ConnectorId>,
    next_connector: ConnectorId,
    /// Connectors to look at in the next decision.
    pub(super) dirty: BTreeSet<ConnectorId>,
    /// Connectors to look at later.
    timers: BTreeSet<(Millis, ConnectorId)>,
    /// Units that may be in want of a home.
    pub(super) homeless: BTreeSet<UnitId>,
    /// Units with a home that they were not given to yet.
    pub(super) ungiven: BTreeSet<UnitId>,
    /// Units or workers changed in a way that may change homes.
    pub(super) unplaced: bool,
    /// Revision of the newest push.
    pub(super) revision: u64,
    /// Last part of the newest incarnation.
    incarnations: u64,
    /// When the first worker was heard.
    pub(super) first_open: Option<Millis>,
    /// When the newest worker joined.
    pub(super) last_join: Millis,
    /// A worker has joined and is yet to get its share. Only that moves units for balance: what happens to one
    /// connector moves no unit of another (invariant 2), and neither does a new leader (invariant 3).
    pub(super) rebalance: bool,
    /// Some pod may run anything, see [`Self::take_stock`].
    pub(super) is_learning: bool,
    /// Workers that can be given units.
    pub(super) open_workers: usize,
    pub(super) last_roll: Millis,
    pub(super) cluster_status: Option<Box<ClusterStatusDraft>>,
    /// Connectors whose configuration is with a worker.
    pub(super) validating: BTreeSet<ConnectorId>,
    /// Connectors that wait to be validated.
    pub(super) waiting_checks: BTreeSet<ConnectorId>,
    /// No earlier leader can be at work any more.
    outlasted: bool,
    wakeup: Option<Millis>,
    pub(super) actions: Vec<Action>,
    /// Test hook: gives units without waiting for those who hold them.
    #[cfg(test)]
    pub(super) sabotage: super::Sabotage,
}

impl Controller {
    /// A controller that knows nothing yet and decides nothing before [`Self::synced`].
    pub fn new(options: Options) -> Self {
        let started = options.started;
        Self {
            options,
            cluster: ClusterSpec::new("", 0),
            synced: false,
            deposed: None,
            deposed_said: false,
            workers: BTreeMap::new(),
            worker_ids: BTreeMap::new(),
            next_worker: 0,
            connectors: BTreeMap::new(),
            connector_ids: BTreeMap::new(),
            next_connector: 0,
            dirty: BTreeSet::new(),
            timers: BTreeSet::new(),
            homeless: BTreeSet::new(),
            ungiven: BTreeSet::new(),
            unplaced: true,
            revision: 0,
            incarnations: 0,
            first_open: None,
            last_join: started,
            rebalance: false,
            is_learning: true,
            open_workers: 0,
            last_roll: started,
            cluster_status: None,
            validating: BTreeSet::new(),
            waiting_checks: BTreeSet::new(),
            outlasted: false,
            wakeup: None,
            actions: Vec::new(),
            #[cfg(test)]
            sabotage: super::Sabotage::default(),
        }
    }

    /// The `ConnectCluster` as it stands.
    pub fn observe_cluster(&mut self, spec: ClusterSpec) {
        if self.cluster != spec {
            self.cluster = spec;
            self.unplaced = true;
            self.dirty_all();
        }
    }

    /// A connector as it stands. `key` is its `metadata.name`.
    pub fn observe_connector(&mut self, key: &str, spec: ConnectorSpec) {
        let id = self.connector_id(key);
        self.dirty.insert(id);
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        if connector.spec.as_ref().is_some_and(|old| old.uid != spec.uid) {
            // Another resource of the same name: its history is not its predecessor's. What runs is found by its hash,
            // as after a leader change.
            connector.auto_restart = None;
            connector.topics.clear();
            connector.conditions.clear();
            connector.last_status = None;
        }
        if spec.restart != connector.restart_done {
            connector.restart_done = None;
        }
        if spec.restart_task != connector.restart_task_done {
            connector.restart_task_done = None;
        }
        connector.finalizer_sent = false;
        connector.observe(spec);
    }

    /// What an earlier leader wrote, before [`Self::synced`].
    pub fn adopt_status(&mut self, key: &str, previous: PreviousStatus) {
        let id = self.connector_id(key);
        self.dirty.insert(id);
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        if connector.last_status.is_some() {
            return;
        }
        connector.retired.inherit(&previous);
        connector.inherited = !previous.conditions.is_empty();
        connector.conditions = previous.conditions;
        connector.auto_restart = previous.auto_restart;
        connector.topics.extend(previous.topics);
    }

    /// The resource no longer exists or belongs to another cluster now. Its units are stopped.
    pub fn forget_connector(&mut self, key: &str) {
        let Some(id) = self.connector_ids.get(key).copied() else { return };
        self.dirty.insert(id);
        if let Some(connector) = self.connectors.get_mut(&id) {
            let (units, timer) = (std::mem::take(&mut connector.units), connector.timer);
            let retired = std::mem::take(&mut connector.retired);
            *connector = Connector { units, timer, retired, ..Connector::new(key) };
            self.validating.remove(&id);
        }
    }

    /// A worker pod as it stands. `now` is when this was seen.
    pub fn observe_pod(&mut self, name: &str, pod: PodState, now: Millis) {
        if self.worker(name).is_some_and(|worker| worker.pod.uid != pod.uid) {
            self.pod_gone(name);
        }
        self.unplaced = true;
        let id = match self.worker_ids.get(name) {
            Some(id) => *id,
            None => {
                let id = self.next_worker;
                self.next_worker += 1;
                self.worker_ids.insert(name.to_owned(), id);
                let joining = self.synced || !pod.ready;
                self.workers.insert(id, Worker::new(name, pod.clone(), joining, now));
                id
            }
        };
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let finished = pod.finished;
        worker.pod = pod;
        if finished {
            self.release_all(id);
        }
    }

    /// The pod object is gone: its units are free.
    pub fn pod_gone(&mut self, name: &str) {
        let Some(id) = self.worker_ids.remove(name) else { return };
        self.release_all(id);
        self.workers.remove(&id);
        self.unplaced = true;
    }

    /// The first lists are complete; decisions begin.
    pub fn synced(&mut self) {
        self.synced = true;
        self.dirty_all();
    }

    /// A stream to this worker is open (a new one replaces an older one). Unknown pods are ignored.
    pub fn session_up(&mut self, worker: &str, _now: Millis) {
        let Some(worker) = self.worker_ids.get(worker).and_then(|id| self.workers.get_mut(id)) else { return };
        worker.session = true;
        worker.hello_sent = None;
        worker.heard = false;
        self.unplaced = true;
    }

    /// A report that came on the worker's current stream.
    pub fn report(&mut self, worker: &str, report: Report, now: Millis) {
        let Some(id) = self.worker_ids.get(worker).copied() else { return };
        self.ingest(id, report, now);
    }

    /// The worker's stream ended or went silent (no report for several seconds).
    pub fn session_down(&mut self, worker: &str, now: Millis) {
        let Some(id) = self.worker_ids.get(worker).copied() else { return };
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.session) else { return };
        if worker.heard {
            worker.down_since = now;
        }
        worker.session = false;
        worker.heard = false;
        self.unplaced = true;
        self.dirty_units_of(id);
    }

    /// The answer to [`Action::Validate`].
    pub fn validated(
        &mut self,
        key: &str,
        config_hash: u64,
        answer: Result<ValidateResponse, ValidateFailed>,
        now: Millis,
    ) {
        let Some(id) = self.connector_ids.get(key).copied() else { return };
        self.dirty.insert(id);
        self.judge(id, config_hash, answer, now);
    }

    /// Everything that follows from what is known.
    pub fn decide(&mut self, now: Millis) -> Vec<Action> {
        if let Some(newest) = self.deposed {
            self.wakeup = None;
            let said = std::mem::replace(&mut self.deposed_said, true);
            return if said { Vec::new() } else { vec![Action::Deposed { newest }] };
        }
        if !self.synced {
            return Vec::new();
        }
        let mut wakeup = Wakeup::new(now);
        self.outlast_predecessor(now, &mut wakeup);
        self.watch_workers(now, &mut wakeup);
        self.drain_pods(now, &mut wakeup);
        self.take_stock();
        while let Some((at, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, id));
            if let Some(connector) = self.connectors.get_mut(&id) {
                connector.timer = None;
            }
            self.dirty.insert(id);
        }
        // Planning one connector never makes another one dirty, but placing does.
        for id in self.dirty.clone() {
            self.plan_connector(id, now);
        }
        self.place(now, &mut wakeup);
        self.push(now, &mut wakeup);
        self.send_validations(now);
        for id in std::mem::take(&mut self.dirty) {
            self.conclude(id, now);
        }
        self.announce_drained(now);
        self.publish_cluster(now);
        if let Some((at, _)) = self.timers.first() {
            wakeup.at(*at);
        }
        self.wakeup = wakeup.next;
        std::mem::take(&mut self.actions)
    }

    /// An earlier leader may have overwritten what this one wrote while both were at work: says it again, once.
    fn outlast_predecessor(&mut self, now: Millis, wakeup: &mut Wakeup) {
        let until = self.options.started.saturating_add(self.options.predecessor_ms);
        if self.outlasted || self.options.predecessor_ms == 0 {
            return;
        }
        if now < until {
            wakeup.at(until);
            return;
        }
        self.outlasted = true;
        self.cluster_status = None;
        for connector in self.connectors.values_mut() {
            connector.last_status = None;
        }
        self.dirty_all();
    }

    /// When to call [`Self::decide`] even though nothing was observed; `None` when only inputs can change anything.
    pub fn next_wakeup(&self) -> Option<Millis> {
        self.wakeup
    }

    /// Whether a pod may go. `None` for a pod that was not observed.
    pub fn pod_plan(&self, pod: &str) -> Option<PodPlan> {
        let worker = self.worker(pod)?;
        let drained = worker.drain.is_some_and(|drain| drain.announced) || (worker.pod.surplus && worker.pod.finished);
        Some(PodPlan { units: worker.held.len(), draining: worker.drain.map(|drain| drain.why), drained })
    }

    pub(super) fn worker(&self, name: &str) -> Option<&Worker> {
        self.workers.get(self.worker_ids.get(name)?)
    }

    pub(super) fn unit(&self, id: UnitId) -> Option<&Unit> {
        self.connectors.get(&id.connector)?.units.get(&id.part)
    }

    pub(super) fn unit_mut(&mut self, id: UnitId) -> Option<&mut Unit> {
        self.connectors.get_mut(&id.connector)?.units.get_mut(&id.part)
    }

    /// The connector of this key, made when there is none.
    pub(super) fn connector_id(&mut self, key: &str) -> ConnectorId {
        if let Some(id) = self.connector_ids.get(key) {
            return *id;
        }
        let id = self.next_connector;
        self.next_connector += 1;
        self.connector_ids.insert(key.to_owned(), id);
        self.connectors.insert(id, Connector::new(key));
        id
    }

    /// An incarnation that no leader has used before.
    pub(super) fn next_incarnation(&mut self) -> u64 {
        self.incarnations += 1;
        (self.options.term << 32) | self.incarnations
    }

    /// Looks at the connector again at `at`, or earlier if that was already planned.
    pub(super) fn look_again(&mut self, id: ConnectorId, at: Millis) {
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        if connector.timer.is_some_and(|timer| timer <= at) {
            return;
        }
        if let Some(timer) = connector.timer.replace(at) {
            self.timers.remove(&(timer, id));
        }
        self.timers.insert((at, id));
    }

    pub(super) fn dirty_all(&mut self) {
        self.dirty.extend(self.connectors.keys());
    }

    /// Marks the connectors that have a unit on this worker.
    pub(super) fn dirty_units_of(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get(&id) else { return };
        self.dirty.extend(worker.held.keys().map(|unit| unit.connector));
        self.dirty.extend(worker.desired.iter().map(|unit| unit.connector));
    }

    /// Removes a connector of which nothing is left.
    pub(super) fn drop_connector(&mut self, id: ConnectorId) {
        if let Some(connector) = self.connectors.remove(&id) {
            self.connector_ids.remove(&connector.key);
            if let Some(timer) = connector.timer {
                self.timers.remove(&(timer, id));
            }
            self.validating.remove(&id);
        }
    }
}

/// The next moment at which time alone changes something.
pub(super) struct Wakeup {
    now: Millis,
    next: Option<Millis>,
}

impl Wakeup {
    fn new(now: Millis) -> Self {
        Self { now, next: None }
    }

    /// Something changes at `at`; moments that have passed were acted on already.
    pub fn at(&mut self, at: Millis) {
        if at > self.now {
            self.next = Some(self.next.map_or(at, |next| next.min(at)));
        }
    }
}
