//! A model of a worker pod: a process that runs units behind an epoch fence, and what survives it on tmpfs.

use std::{collections::BTreeMap, rc::Rc};

use barnabas_protocol::{
    DesiredSet, Directive, Epoch, ErrorCode, Fence, Progress, Refused, Report, TaskConfig, TaskPlan, Unit, UnitError,
    UnitReport, UnitState, directive::Body,
};

use super::{rng::Rng, world::DELAY};
use crate::plan::Millis;

/// A unit, by the names that messages use.
pub type Key = (String, Option<u32>);

/// How each unit of a directive was given.
pub type Gives = BTreeMap<Key, Rc<Give>>;

/// Under what circumstances a unit was given to a pod: what the giver knew when it sent the directive.
#[derive(Debug)]
pub struct Give {
    pub sent: Millis,
    /// When the giver had last heard from each pod, by uid; its start of leadership for those it never heard.
    pub heard: BTreeMap<String, Millis>,
    pub leading_since: Millis,
}

impl Give {
    /// Whether the giver had not heard from that pod for the whole delay: then Kafka fences what runs there.
    pub fn fences(&self, uid: &str) -> bool {
        self.sent - self.heard.get(uid).copied().unwrap_or(self.leading_since) >= DELAY
    }
}

#[derive(Clone, Debug)]
pub struct Running {
    pub unit: Unit,
    pub state: UnitState,
    pub started: Millis,
    /// When starting, planning or stopping ends.
    pub due: Millis,
    pub plan: Option<TaskPlan>,
    pub error: Option<String>,
    pub give: Rc<Give>,
    /// The process came back and resumed it.
    pub resumed: bool,
    /// When the fence that it was told of is carried out, and the number of the last one that was.
    pub fence_due: Millis,
    pub fenced: u64,
}

#[derive(Clone, Debug)]
pub struct Saved {
    pub epoch: Epoch,
    pub set: Vec<(Unit, Rc<Give>)>,
    pub heartbeat: Millis,
}

/// What a start of a unit was, for the checks.
#[derive(Debug)]
pub struct Started {
    pub key: Key,
    pub hash: u64,
    /// See [`base`].
    pub base: BTreeMap<String, String>,
    pub give: Rc<Give>,
    /// The process came back and resumed it.
    pub resumed: bool,
}

#[derive(Debug)]
pub struct Process {
    pub boot: u64,
    pub newest: Epoch,
    pub units: BTreeMap<Key, Running>,
    pub desired: BTreeMap<Key, (Unit, Rc<Give>)>,
    /// When to resume the saved set although no operator has spoken.
    pub resume_at: Option<Millis>,
    /// Set by SIGTERM: stops everything, then exits.
    pub exiting: Option<Millis>,
    pub next_report: Millis,
    pub changed: bool,
    /// Tasks that were fenced in Kafka since the world last looked.
    pub fences: Vec<Key>,
}

#[derive(Debug)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    pub revision: u64,
    pub terminating: bool,
    /// When its process starts.
    pub boot_at: Option<Millis>,
    pub process: Option<Process>,
    pub saved: Option<Saved>,
    pub boots: u64,
}

impl Pod {
    pub fn new(name: String, uid: String, revision: u64, boot_at: Millis) -> Self {
        Self { name, uid, revision, terminating: false, boot_at: Some(boot_at), process: None, saved: None, boots: 0 }
    }

    /// The process starts, and resumes what it finds on tmpfs as the real one does.
    pub fn boot(&mut self, now: Millis, rng: &mut Rng, starts: &mut Vec<Started>) {
        self.boot_at = None;
        self.boots += 1;
        let mut process = Process {
            boot: self.boots,
            newest: Epoch::default(),
            units: BTreeMap::new(),
            desired: BTreeMap::new(),
            resume_at: None,
            exiting: None,
            next_report: now,
            changed: true,
            fences: Vec::new(),
        };
        if let Some(saved) = &self.saved {
            process.newest = saved.epoch;
            if now - saved.heartbeat < DELAY {
                process.resume(&saved.set, now, rng, starts);
            } else {
                process.resume_at = Some(now + 10_000);
            }
        }
        self.process = Some(process);
    }

    /// The process dies; only tmpfs is left.
    pub fn crash(&mut self, now: Millis) {
        self.process = None;
        if let Some(saved) = &mut self.saved {
            // The heartbeat is up to a second old.
            saved.heartbeat = now - 1000;
        }
    }

    /// Time passes in the process. True when the pod has ended by itself.
    pub fn tick(&mut self, now: Millis, rng: &mut Rng, starts: &mut Vec<Started>) -> bool {
        let Some(process) = &mut self.process else { return false };
        if process.resume_at.is_some_and(|at| at <= now) {
            process.resume_at = None;
            if let Some(saved) = &self.saved {
                process.resume(&saved.set, now, rng, starts);
            }
        }
        process.tick(now, rng, starts);
        if process.exiting.is_some_and(|deadline| process.units.is_empty() || now >= deadline) {
            self.process = None;
            return true;
        }
        false
    }

    /// A directive arrives.
    pub fn receive(
        &mut self,
        directive: &Directive,
        gives: &Gives,
        now: Millis,
        rng: &mut Rng,
        starts: &mut Vec<Started>,
    ) -> Option<Refused> {
        let process = self.process.as_mut()?;
        let epoch = directive.epoch.unwrap_or_default();
        let stale = match directive.body {
            Some(Body::Hello(_)) => epoch.term < process.newest.term,
            _ => epoch < process.newest,
        };
        if stale {
            return Some(Refused { newest: Some(process.newest) });
        }
        process.newest = process.newest.max(epoch);
        process.resume_at = None;
        process.changed = true;
        if let Some(Body::Desired(DesiredSet { units })) = &directive.body {
            process.accept(units, gives, now, rng, starts);
        }
        self.saved = Some(Saved {
            epoch: process.newest,
            set: process.desired.values().map(unfenced).collect(),
            heartbeat: now,
        });
        None
    }
}

impl Process {
    fn resume(&mut self, set: &[(Unit, Rc<Give>)], now: Millis, rng: &mut Rng, starts: &mut Vec<Started>) {
        self.desired = set.iter().map(|(unit, give)| (key(unit), (unit.clone(), give.clone()))).collect();
        for (unit, give) in set {
            self.start(unit.clone(), give.clone(), true, now, rng, starts);
        }
    }

    fn accept(&mut self, units: &[Unit], gives: &Gives, now: Millis, rng: &mut Rng, starts: &mut Vec<Started>) {
        let mut desired = BTreeMap::new();
        for unit in units {
            let key = key(unit);
            let mut unit = unit.clone();
            let Some(mut given) = gives.get(&key).cloned() else { continue };
            if let Some((old, first)) = self.desired.get(&key) {
                // An empty configuration: the one that is there.
                if unit.config.is_empty() && old.incarnation == unit.incarnation {
                    unit.config.clone_from(&old.config);
                    unit.tasks_max = old.tasks_max;
                }
                // It has been here all the time.
                given = first.clone();
            }
            desired.insert(key, (unit, given));
        }
        self.desired = desired;
        self.reconcile(now, rng, starts);
    }

    fn reconcile(&mut self, now: Millis, rng: &mut Rng, starts: &mut Vec<Started>) {
        if self.exiting.is_some() {
            return;
        }
        for (key, running) in &mut self.units {
            let keep = self.desired.get(key).filter(|(unit, _)| unit.incarnation == running.unit.incarnation);
            if running.state == UnitState::Stopping {
                continue;
            }
            match keep {
                Some((unit, _)) => {
                    if running.unit.target != unit.target {
                        running.unit.target = unit.target;
                        if running.state != UnitState::Failed {
                            running.state = UnitState::Starting;
                            running.due = now + rng.range(0, 500);
                        }
                        self.changed = true;
                    }
                    if running.unit.fence != unit.fence {
                        running.unit.fence.clone_from(&unit.fence);
                        running.fence_due = now + rng.range(0, 600);
                    }
                }
                None => {
                    running.state = UnitState::Stopping;
                    running.due = now + if rng.chance(100) { rng.range(1000, 5000) } else { rng.range(0, 800) };
                    self.changed = true;
                }
            }
        }
        let missing: Vec<_> = self
            .desired
            .iter()
            .filter(|(key, _)| !self.units.contains_key(*key))
            .map(|(_, both)| both.clone())
            .collect();
        for (unit, give) in missing {
            self.start(unit, give, false, now, rng, starts);
        }
    }

    fn start(
        &mut self,
        unit: Unit,
        give: Rc<Give>,
        resumed: bool,
        now: Millis,
        rng: &mut Rng,
        starts: &mut Vec<Started>,
    ) {
        let key = key(&unit);
        let (hash, base) = (unit.config_hash, base(&unit));
        starts.push(Started { key: key.clone(), hash, base, give: give.clone(), resumed });
        let due = now + rng.range(0, 600);
        let running = Running {
            unit,
            state: UnitState::Starting,
            started: now,
            due,
            plan: None,
            error: None,
            give,
            resumed,
            fence_due: due,
            fenced: 0,
        };
        self.units.insert(key, running);
        self.changed = true;
    }

    fn tick(&mut self, now: Millis, rng: &mut Rng, starts: &mut Vec<Started>) {
        let mut stopped = false;
        self.units.retain(|_, running| {
            if running.state == UnitState::Stopping && running.due <= now {
                stopped = true;
                return false;
            }
            if running.state == UnitState::Starting && running.due <= now {
                running.begin();
                self.changed = true;
            }
            if let Some(fence) = running.fence(now) {
                let connector = &running.unit.connector;
                self.fences.extend(fence.tasks.iter().map(|task| (connector.clone(), Some(*task))));
                self.changed = true;
            }
            true
        });
        if stopped {
            self.changed = true;
            self.reconcile(now, rng, starts);
        }
    }

    /// SIGTERM: wants its units moved away, and stops them when they have not been moved in time.
    pub fn terminate(&mut self, now: Millis) {
        if self.exiting.is_none() {
            self.exiting = Some(now + 4000);
            self.changed = true;
            for running in self.units.values_mut() {
                if running.state != UnitState::Stopping {
                    running.state = UnitState::Stopping;
                    running.due = now + 1000;
                }
            }
        }
    }

    pub fn report(&self, worker: &str) -> Report {
        Report {
            worker: worker.to_owned(),
            boot_id: self.boot.to_string(),
            epoch: Some(self.newest),
            refused: None,
            units: self.units.values().map(Running::report).collect(),
            draining: self.exiting.is_some(),
            worker_id: format!("{worker}:8083"),
            memory_bytes: 1,
            kafka_error: String::new(),
        }
    }
}

impl Running {
    /// The fence that is carried out now.
    fn fence(&mut self, now: Millis) -> Option<Fence> {
        let fence = self.unit.fence.clone()?;
        let works = matches!(self.state, UnitState::Running | UnitState::Paused);
        if !works || self.fenced == fence.number || now < self.fence_due {
            return None;
        }
        self.fenced = fence.number;
        Some(fence)
    }

    fn begin(&mut self) {
        let config = &self.unit.config;
        if config.contains_key("breaks") || config.is_empty() {
            self.state = UnitState::Failed;
            self.error = Some("It is broken.".to_owned());
            return;
        }
        self.state = if self.unit.target() == barnabas_protocol::TargetState::Paused {
            UnitState::Paused
        } else {
            UnitState::Running
        };
        if self.unit.task.is_none() {
            let tasks =
                config.get("tasks").and_then(|tasks| tasks.parse().ok()).unwrap_or(1_u32).min(self.unit.tasks_max);
            let task = |id: u32| TaskConfig { config: [("task.id".to_owned(), id.to_string())].into() };
            self.plan = Some(TaskPlan { config_hash: self.unit.config_hash, tasks: (0..tasks).map(task).collect() });
        }
    }

    fn report(&self) -> UnitReport {
        UnitReport {
            connector: self.unit.connector.clone(),
            name: self.unit.name.clone(),
            task: self.unit.task,
            incarnation: self.unit.incarnation,
            config_hash: self.unit.config_hash,
            state: self.state.into(),
            started_at_ms: self.started,
            error: self.error.as_ref().map(|message| UnitError {
                code: ErrorCode::Retriable.into(),
                reason: "Broken".to_owned(),
                message: message.clone(),
                trace: String::new(),
                at_ms: self.started,
            }),
            plan: self.plan.clone(),
            progress: self.unit.task.map(|_| Progress { topics: vec!["t".to_owned()], ..Progress::default() }),
            kind: "source".to_owned(),
            fenced: self.fenced,
        }
    }
}

/// As it is saved: what was to be fenced once is not fenced again by a process that resumes by itself.
fn unfenced((unit, give): &(Unit, Rc<Give>)) -> (Unit, Rc<Give>) {
    (Unit { fence: None, ..unit.clone() }, give.clone())
}

/// The connector's configuration in a task's: what all tasks of one plan have in common. Tasks of two plans that differ in
/// `tasks.max` alone may run side by side.
pub fn base(unit: &Unit) -> BTreeMap<String, String> {
    let common = unit.config.iter().filter(|(key, _)| !["task.id", "tasks.max"].contains(&key.as_str()));
    common.map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub fn key(unit: &Unit) -> Key {
    (unit.connector.clone(), unit.task)
}
