//! A controller with workers that do at once, and exactly, what they are told.

use std::collections::BTreeMap;

use barnabas_protocol::{
    ConfigError, Directive, Epoch, Report, TargetState as Target, TaskConfig, TaskPlan, Unit, UnitError, UnitReport,
    UnitState, ValidateResponse, directive::Body,
};

use crate::plan::{
    Action, Annotation, ClusterSpec, Condition, ConnectorSpec, ConnectorStatusDraft, Controller, Event, Millis,
    Options, PodState, condition,
};

pub type Key = (String, Option<u32>);

/// A unit by its short name: `c` is the instance, `c/0` its first task.
pub fn unit(name: &str) -> Key {
    match name.split_once('/') {
        Some((connector, task)) => (connector.to_owned(), Some(task.parse().unwrap())),
        None => (name.to_owned(), None),
    }
}

#[derive(Clone, Default)]
pub struct FakeWorker {
    pub epoch: Epoch,
    pub units: BTreeMap<Key, (Unit, UnitReport)>,
    /// Keeps reporting what it should stop, as STOPPING.
    pub slow: bool,
    /// Does not come round to fencing what it should.
    pub no_fence: bool,
    pub draining: bool,
    pub kafka_error: String,
    pub pushes: Vec<Directive>,
    connected: bool,
}

pub struct Rig {
    pub controller: Controller,
    pub now: Millis,
    pub workers: BTreeMap<String, FakeWorker>,
    pub statuses: BTreeMap<String, ConnectorStatusDraft>,
    pub published: usize,
    pub events: Vec<Event>,
    pub actions: Vec<Action>,
    /// Config keys that do not pass validation, and whether that heals.
    pub invalid: BTreeMap<String, bool>,
}

pub fn spec(tasks: u32) -> ConnectorSpec {
    ConnectorSpec {
        uid: "u".to_owned(),
        namespace: "ns".to_owned(),
        name: "c".to_owned(),
        class: "Source".to_owned(),
        config: [("tasks".to_owned(), tasks.to_string())].into(),
        tasks_max: 10,
        generation: 1,
        ..ConnectorSpec::default()
    }
}

impl Rig {
    /// A cluster of ready workers without connectors, at the beginning of term 1.
    pub fn new(workers: usize) -> Self {
        let mut rig = Self::term(1, workers);
        for index in 0..workers {
            rig.add_pod(&format!("w{index}"));
        }
        rig.controller.synced();
        rig.settle();
        rig
    }

    /// A leader that knows the cluster and no pod yet.
    pub fn term(term: u64, replicas: usize) -> Self {
        let now = 1_000_000 * i64::try_from(term).unwrap();
        let mut controller = Controller::new(Options::new(term, "op", now));
        controller.observe_cluster(ClusterSpec::new("cluster", u32::try_from(replicas).unwrap()));
        Self {
            controller,
            now,
            workers: BTreeMap::new(),
            statuses: BTreeMap::new(),
            published: 0,
            events: Vec::new(),
            actions: Vec::new(),
            invalid: BTreeMap::new(),
        }
    }

    /// The next leader over the same workers, before it has spoken to any.
    pub fn succeed(&self, connectors: &[(&str, ConnectorSpec)]) -> Self {
        let term = self.workers.values().map(|worker| worker.epoch.term).max().unwrap_or(0) + 1;
        let mut next = Self::term(term, self.workers.len());
        for (name, worker) in &self.workers {
            next.controller.observe_pod(name, pod(name), next.now);
            next.workers.insert(name.clone(), FakeWorker { connected: false, pushes: Vec::new(), ..worker.clone() });
        }
        for (key, spec) in connectors {
            next.controller.observe_connector(key, spec.clone());
        }
        next.controller.synced();
        next
    }

    pub fn add_pod(&mut self, name: &str) {
        self.controller.observe_pod(name, pod(name), self.now);
        self.workers.insert(name.to_owned(), FakeWorker::default());
        self.connect(name);
    }

    pub fn remove_pod(&mut self, name: &str) {
        self.workers.remove(name);
        self.controller.pod_gone(name);
    }

    pub fn connect(&mut self, name: &str) {
        self.workers.get_mut(name).unwrap().connected = true;
        self.controller.session_up(name, self.now);
    }

    pub fn disconnect(&mut self, name: &str) {
        self.workers.get_mut(name).unwrap().connected = false;
        self.controller.session_down(name, self.now);
    }

    pub fn connect_all(&mut self) {
        for name in self.workers.keys().cloned().collect::<Vec<_>>() {
            self.connect(&name);
        }
    }

    pub fn observe(&mut self, key: &str, spec: &ConnectorSpec) {
        self.controller.observe_connector(key, spec.clone());
    }

    /// Observes and settles.
    pub fn apply(&mut self, key: &str, spec: &ConnectorSpec) {
        self.observe(key, spec);
        self.settle();
    }

    pub fn pass(&mut self, millis: Millis) {
        self.settle();
        let until = self.now + millis;
        while let Some(at) = self.controller.next_wakeup().filter(|at| *at <= until) {
            assert!(at > self.now, "a wakeup in the past at {at}, now {}", self.now);
            self.now = at;
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    /// Decides, carries out and reports until nothing more follows.
    pub fn settle(&mut self) {
        for round in 0..100 {
            let before = self.actions.len();
            self.decide();
            let quiet = self.actions[before..].iter().all(|action| {
                matches!(action, Action::ConnectorStatus { .. } | Action::ClusterStatus { .. } | Action::Event(_))
            });
            self.report_all();
            if quiet && round > 0 {
                self.decide();
                return;
            }
        }
        panic!("no end of actions: {:?}", &self.actions[self.actions.len() - 3..]);
    }

    pub fn decide(&mut self) {
        for action in self.controller.decide(self.now) {
            match &action {
                Action::Push { worker, directive } => self.workers.get_mut(worker).unwrap().accept(directive, self.now),
                Action::Validate { key, config_hash, config, .. } => {
                    let errors = config.keys().filter_map(|key| {
                        Some(ConfigError {
                            key: key.clone(),
                            reason: "InvalidConfiguration".to_owned(),
                            message: format!("{key} is not a key of Source."),
                            retriable: *self.invalid.get(key)?,
                        })
                    });
                    let answer = ValidateResponse {
                        class: "Source".to_owned(),
                        kind: "source".to_owned(),
                        errors: errors.collect(),
                    };
                    self.controller.validated(key, *config_hash, Ok(answer), self.now);
                }
                Action::ConnectorStatus { key, status } => {
                    self.published += 1;
                    self.statuses.insert(key.clone(), (**status).clone());
                }
                Action::Event(event) => self.events.push(event.clone()),
                _ => {}
            }
            self.actions.push(action);
        }
    }

    pub fn report_all(&mut self) {
        for name in self.workers.keys().cloned().collect::<Vec<_>>() {
            self.report(&name);
        }
    }

    pub fn report(&mut self, name: &str) {
        let worker = &self.workers[name];
        if worker.connected {
            self.controller.report(name, worker.report(name), self.now);
        }
    }

    /// What the workers run: unit to worker and incarnation.
    pub fn running(&self) -> BTreeMap<Key, Vec<(String, u64)>> {
        let mut running = BTreeMap::<Key, Vec<_>>::new();
        for (name, worker) in &self.workers {
            for (key, (unit, _)) in &worker.units {
                running.entry(key.clone()).or_default().push((name.clone(), unit.incarnation));
            }
        }
        running
    }

    pub fn runs(&self, name: &str) -> bool {
        self.running().contains_key(&unit(name))
    }

    pub fn incarnation(&self, name: &str) -> u64 {
        self.running()[&unit(name)][0].1
    }

    pub fn loads(&self) -> Vec<usize> {
        self.workers.values().map(|worker| worker.units.len()).collect()
    }

    /// How the worker that runs it sees the unit.
    pub fn seen(&mut self, name: &str) -> &mut UnitReport {
        let key = unit(name);
        self.workers.values_mut().find_map(|worker| worker.units.get_mut(&key)).map(|(_, report)| report).unwrap()
    }

    pub fn fail(&mut self, name: &str, reason: &str) {
        let report = self.seen(name);
        report.state = UnitState::Failed.into();
        report.error = Some(UnitError {
            code: 0,
            reason: reason.to_owned(),
            message: format!("{name} has failed."),
            trace: "first\nsecond\nthird\nfourth\nfifth\nsixth".to_owned(),
            at_ms: 0,
        });
        self.report_all();
        self.settle();
    }

    pub fn ready(&self, key: &str) -> (&str, &str, &str) {
        let one = self.condition(key, condition::READY).unwrap();
        (one.status.as_str(), &one.reason, &one.message)
    }

    pub fn condition(&self, key: &str, kind: &str) -> Option<&Condition> {
        self.statuses[key].conditions.iter().find(|one| one.kind == kind)
    }

    pub fn annotations_done(&self) -> Vec<(Annotation, &str)> {
        self.actions
            .iter()
            .filter_map(|action| match action {
                Action::AnnotationDone { annotation, value, .. } => Some((*annotation, value.as_str())),
                _ => None,
            })
            .collect()
    }

    pub fn finalized(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::FinalizerDone { .. }))
    }

    pub fn drained(&self) -> Vec<&str> {
        self.actions
            .iter()
            .filter_map(|action| match action {
                Action::PodDrained { pod, .. } => Some(pod.as_str()),
                _ => None,
            })
            .collect()
    }
}

pub fn pod(name: &str) -> PodState {
    PodState { uid: format!("uid-{name}"), ready: true, ..PodState::default() }
}

impl FakeWorker {
    pub fn accept(&mut self, directive: &Directive, now: Millis) {
        self.pushes.push(directive.clone());
        let epoch = directive.epoch.unwrap();
        let Some(Body::Desired(set)) = &directive.body else {
            self.epoch = self.epoch.max(epoch);
            return;
        };
        assert!(epoch >= self.epoch, "an older epoch is pushed");
        self.epoch = epoch;
        let keys: Vec<Key> = set.units.iter().map(|unit| (unit.connector.clone(), unit.task)).collect();
        if self.slow {
            for (_, (_, report)) in self.units.iter_mut().filter(|(key, _)| !keys.contains(key)) {
                report.state = UnitState::Stopping.into();
            }
        } else {
            self.units.retain(|key, _| keys.contains(key));
        }
        for (key, unit) in keys.into_iter().zip(&set.units) {
            let mut unit = unit.clone();
            if let Some((old, report)) = self.units.get_mut(&key).filter(|(old, _)| old.incarnation == unit.incarnation)
            {
                if unit.config.is_empty() {
                    unit.config.clone_from(&old.config);
                }
                if report.state() != UnitState::Failed {
                    report.state = goal(&unit).into();
                }
                if let Some(fence) = unit.fence.as_ref().filter(|_| !self.no_fence) {
                    report.fenced = fence.number;
                }
                *old = unit;
                continue;
            }
            assert!(!unit.config.is_empty(), "{key:?} is to be started without a configuration");
            let report = UnitReport {
                connector: unit.connector.clone(),
                name: unit.name.clone(),
                task: unit.task,
                incarnation: unit.incarnation,
                config_hash: unit.config_hash,
                state: goal(&unit).into(),
                started_at_ms: now,
                error: None,
                plan: unit.task.is_none().then(|| plan(&unit)),
                progress: None,
                kind: unit.config.get("kind").map_or("source", String::as_str).to_owned(),
                fenced: unit.fence.as_ref().filter(|_| !self.no_fence).map_or(0, |fence| fence.number),
            };
            self.units.insert(key, (unit, report));
        }
    }

    fn report(&self, name: &str) -> Report {
        Report {
            worker: name.to_owned(),
            boot_id: "boot".to_owned(),
            epoch: Some(self.epoch),
            refused: None,
            units: self.units.values().map(|(_, report)| report.clone()).collect(),
            draining: self.draining,
            worker_id: format!("{name}:8083"),
            memory_bytes: 0,
            kafka_error: self.kafka_error.clone(),
        }
    }
}

fn goal(unit: &Unit) -> UnitState {
    if unit.target() == Target::Paused { UnitState::Paused } else { UnitState::Running }
}

/// Task n has the key `own` with the value of the connector's `own.n`.
fn plan(unit: &Unit) -> TaskPlan {
    let tasks: u32 = unit.config["tasks"].parse().unwrap();
    let task = |id: u32| {
        let own = unit.config.get(&format!("own.{id}")).cloned().unwrap_or_default();
        TaskConfig { config: [("own".to_owned(), own)].into() }
    };
    TaskPlan { config_hash: unit.config_hash, tasks: (0..tasks.min(unit.tasks_max)).map(task).collect() }
}
