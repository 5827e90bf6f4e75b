//! What the controller remembers about workers, connectors and units.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use barnabas_protocol::{ConfigError, TaskPlan, UnitReport, UnitState};

use super::{
    AutoRestartStatus, Condition, ConnectorSpec, ConnectorStatusDraft, DrainReason, Millis, PodState, TargetState,
    fencing::Retired,
};

/// A configuration, shared between the units that run with it and the pushes that carry it.
pub(super) type Config = Arc<Complete>;

/// A complete configuration, and which values in it are secret.
#[derive(Debug)]
pub(super) struct Complete {
    pub values: BTreeMap<String, String>,
    pub secrets: Arc<BTreeSet<String>>,
}

/// Position of a worker in the controller's table. Pod names are interned, because every unit refers to some.
pub(super) type WorkerId = u32;

/// Position of a connector in the controller's table.
pub(super) type ConnectorId = u32;

/// A unit: which connector, and which part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UnitId {
    pub connector: ConnectorId,
    /// 0 for the connector instance, n + 1 for task n.
    pub part: u32,
}

/// The connector instance's `UnitId::part`.
pub(super) const INSTANCE: u32 = 0;

/// `UnitId::part` from a message's task id.
pub(super) fn part(task: Option<u32>) -> u32 {
    task.map_or(INSTANCE, |task| task.saturating_add(1))
}

/// A message's task id from `UnitId::part`.
pub(super) fn task(part: u32) -> Option<u32> {
    part.checked_sub(1)
}

/// One unit: what it is to be, where, and who may be running it.
#[derive(Debug)]
pub(super) struct Unit {
    pub incarnation: u64,
    pub hash: u64,
    /// Absent when the unit was found running and its configuration is no longer known. It can stay where it is, and
    /// cannot be started elsewhere.
    pub config: Option<Config>,
    /// The connector's name towards Kafka.
    pub name: Arc<str>,
    pub tasks_max: u32,
    pub wanted: bool,
    pub paused: bool,
    /// The worker it belongs to.
    pub home: Option<WorkerId>,
    /// Whether it is in `home`'s desired set. Not so while it moves: then the workers in `holders` have to let go first.
    pub given: bool,
    /// No incarnation of it was ever decided or given under this leader: what a worker reports is to be adopted.
    pub fresh: bool,
    /// This leader knows where it was, so that no worker not yet heard from can have it.
    pub located: bool,
    /// It was started before: until the next start is reported its state is RESTARTING, not UNASSIGNED.
    pub restarting: bool,
    /// Workers that run it or may run it.
    pub holders: Vec<WorkerId>,
}

impl Unit {
    pub fn new(name: Arc<str>) -> Self {
        Self {
            incarnation: 0,
            hash: 0,
            config: None,
            name,
            tasks_max: 0,
            wanted: false,
            paused: false,
            home: None,
            given: false,
            fresh: true,
            located: false,
            restarting: false,
            holders: Vec::new(),
        }
    }
}

/// A unit that a worker runs or may run.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The first revision pushed to the worker that lacked the unit; only a report under it or a later one proves
    /// that the unit has stopped.
    pub removed_at: Option<u64>,
    /// As last reported.
    pub report: Option<UnitReport>,
    /// The report in which it was last seen, see `Worker::reports`.
    pub seen: u64,
}

/// A pod that is being emptied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    pub why: DrainReason,
    pub since: Millis,
    /// `PodDrained` was said.
    pub announced: bool,
}

/// A worker pod.
#[derive(Debug)]
pub(super) struct Worker {
    pub name: String,
    pub pod: PodState,
    pub first_seen: Millis,
    /// Not found at work by this leader: it is to get its share.
    pub joining: bool,
    /// A stream is open.
    pub session: bool,
    /// When the present stream was greeted.
    pub hello_sent: Option<Millis>,
    /// A report under our term came on the present stream.
    pub heard: bool,
    /// A report under our term ever came.
    pub known: bool,
    /// When it was last lost, unless it is `heard`.
    pub down_since: Millis,
    /// Unreachable past the delay: what it may still run is fenced by Kafka and counts no more.
    pub fenced: bool,
    /// What it runs or may run.
    pub held: BTreeMap<UnitId, Held>,
    /// What it is to run.
    pub desired: BTreeSet<UnitId>,
    /// `desired` differs from what was last pushed on this stream.
    pub dirty: bool,
    /// Its connectors were told that it cannot be reached.
    pub missed: bool,
    pub pushed_revision: u64,
    pub pushed_at: Millis,
    pub reported_revision: u64,
    /// Counts reports.
    pub reports: u64,
    pub boot_id: String,
    pub worker_id: String,
    pub kafka_error: String,
    /// The worker asked for its units to be moved away.
    pub leaving: bool,
    pub drain: Option<Drain>,
}

impl Worker {
    pub fn new(name: &str, pod: PodState, joining: bool, now: Millis) -> Self {
        Self {
            name: name.to_owned(),
            pod,
            first_seen: now,
            joining,
            session: false,
            hello_sent: None,
            heard: false,
            known: false,
            down_since: now,
            fenced: false,
            held: BTreeMap::new(),
            desired: BTreeSet::new(),
            dirty: false,
            missed: false,
            pushed_revision: 0,
            pushed_at: now,
            reported_revision: 0,
            reports: 0,
            boot_id: String::new(),
            worker_id: String::new(),
            kafka_error: String::new(),
            leaving: false,
            drain: None,
        }
    }

    /// Gives units away as soon as others can take them, and gets none.
    pub fn closing(&self) -> bool {
        self.pod.terminating || self.pod.finished || self.leaving || self.drain.is_some()
    }

    /// Connect's `worker_id`, or the pod's name before the first report.
    pub fn id(&self) -> &str {
        if self.worker_id.is_empty() { &self.name } else { &self.worker_id }
    }
}

/// The configuration in force: the last one that passed validation, or the one found running.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub hash: u64,
    /// Absent when it was found running and differs from the resource's.
    pub config: Option<Config>,
    pub name: Arc<str>,
    pub tasks_max: u32,
}

/// What is known about the validity of a configuration that is not in force yet.
#[derive(Clone, Debug)]
pub(super) struct Check {
    /// Of the configuration.
    pub hash: u64,
    pub step: CheckStep,
    /// Answers so far.
    pub attempts: u32,
    /// When the last answer came.
    pub answered: Millis,
    /// Why it did not pass; empty before the first answer.
    pub errors: Vec<ConfigError>,
    /// Why there was no answer.
    pub trouble: Option<String>,
}

/// How far a [`Check`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckStep {
    /// To be sent to a worker, not before this moment.
    Waiting(Millis),
    /// With a worker since then.
    Sent(Millis),
}

/// What the connector instance planned, merged into complete task configurations.
#[derive(Debug)]
pub(super) struct Plan {
    pub raw: TaskPlan,
    /// Hash and configuration per task; computed once the connector's own configuration is known.
    pub tasks: Option<Vec<(u64, Config)>>,
}

/// A connector of the cluster, or units of one that is no longer there.
#[derive(Debug)]
pub(super) struct Connector {
    pub key: String,
    /// As last observed; absent when only its units are left.
    pub spec: Option<ConnectorSpec>,
    /// The spec that is acted on: lags behind `spec` while reconciliation is paused or the resource cannot be read.
    pub effective: Option<ConnectorSpec>,
    /// The complete configuration of `effective` (or of `spec` when there is none) and its hash.
    pub complete: Option<(u64, Config)>,
    pub accepted: Option<Accepted>,
    /// Present while the resource's configuration is not the one in force.
    pub check: Option<Check>,
    pub plan: Option<Plan>,
    /// Tasks of a source's earlier plans.
    pub retired: Retired,
    pub units: BTreeMap<u32, Unit>,
    pub kind: String,
    pub topics: BTreeSet<String>,
    pub auto_restart: Option<AutoRestartStatus>,
    /// The annotation's value that was acted on and is to be removed.
    pub restart_done: Option<String>,
    pub restart_task_done: Option<String>,
    /// Conditions as last published, by this leader or an earlier one.
    pub conditions: Vec<Condition>,
    /// An earlier leader had published a status.
    pub inherited: bool,
    pub last_status: Option<Box<ConnectorStatusDraft>>,
    pub last_published: Millis,
    pub timer: Option<Millis>,
    pub finalizer_sent: bool,
}

impl Connector {
    pub fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            spec: None,
            effective: None,
            complete: None,
            accepted: None,
            check: None,
            plan: None,
            retired: Retired::default(),
            units: BTreeMap::new(),
            kind: String::new(),
            topics: BTreeSet::new(),
            auto_restart: None,
            restart_done: None,
            restart_task_done: None,
            conditions: Vec::new(),
            inherited: false,
            last_status: None,
            last_published: Millis::MIN / 2,
            timer: None,
            finalizer_sent: false,
        }
    }

    /// The resource is gone or going.
    pub fn ending(&self) -> bool {
        self.spec.as_ref().is_none_or(|spec| spec.deleted)
    }

    /// Reconciliation is paused, or the resource cannot be read, and nothing was acted on before: what runs stays as it
    /// is.
    pub fn on_hold(&self) -> bool {
        self.effective.is_none() && !self.ending()
    }

    /// The state that its units are to be in.
    pub fn target(&self) -> TargetState {
        if self.ending() {
            return TargetState::Stopped;
        }
        self.effective.as_ref().map_or(TargetState::Running, |spec| spec.state)
    }
}

/// The state in a report; anything unknown counts as starting.
pub(super) fn unit_state(report: &UnitReport) -> UnitState {
    match report.state() {
        UnitState::Unspecified => UnitState::Starting,
        state => state,
    }
}
