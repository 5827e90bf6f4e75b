//! The world that the controllers act on: resources, pods, a network that loses and delays, and operators of which an
//! old one may go on pushing for a while. Time moves in steps; one seed is one run.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use barnabas_protocol::{ConfigError, Directive, Refused, Report, ValidateResponse, directive::Body};

use super::{
    check::Ledger,
    rng::Rng,
    worker::{Give, Gives, Pod, Started, key},
};
use crate::plan::{
    Action, Annotation, AutoRestart, ClusterSpec, ConnectorSpec, ConnectorStatusDraft, Controller, DrainReason, Millis,
    Options, PodState, PreviousStatus, Problem, Sabotage, TargetState, ValidateFailed,
};

/// Virtual milliseconds per step.
pub const STEP: Millis = 200;
/// The cluster's unreachable delay.
pub const DELAY: Millis = 8_000;
/// How long an old leader may go on.
pub const OVERLAP: Millis = 4_000;
/// A session without a report for this long is given up.
const SILENCE: Millis = 4_500;

/// Which faults a run has.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    pub connectors: bool,
    pub workers: bool,
    pub leaders: bool,
    pub network: bool,
}

/// A `KafkaConnector` as the API server has it.
#[derive(Clone, Debug)]
pub struct Resource {
    pub spec: ConnectorSpec,
    pub version: u64,
}

/// A controller at work, with its streams.
pub struct Lead {
    pub term: u64,
    pub controller: Controller,
    since: Millis,
    /// Learns that it has lost the Lease.
    until: Option<Millis>,
    /// By pod name: uid, stream, last report.
    sessions: BTreeMap<String, (String, u64, Millis)>,
    heard: BTreeMap<String, Millis>,
    /// When and in what knowledge each unit was given to each pod uid.
    gives: BTreeMap<String, Gives>,
    seen: BTreeMap<String, u64>,
    seen_pods: BTreeMap<String, PodState>,
    seen_cluster: Option<ClusterSpec>,
    busy: bool,
    pub asleep_until: Millis,
}

enum Message {
    Down { pod: String, uid: String, session: u64, term: u64, directive: Box<Directive>, gives: Gives },
    Up { pod: String, uid: String, session: u64, term: u64, report: Box<Report> },
    Answer { term: u64, key: String, hash: u64, answer: Result<ValidateResponse, ValidateFailed> },
}

pub struct World {
    pub now: Millis,
    pub rng: Rng,
    pub faults: Faults,
    pub sabotage: Sabotage,
    pub resources: BTreeMap<String, Resource>,
    pub statuses: BTreeMap<String, ConnectorStatusDraft>,
    pub cluster: ClusterSpec,
    pub revision: u64,
    /// Pods that the StatefulSet is to have.
    pub set_replicas: u32,
    pub pods: BTreeMap<String, Pod>,
    pub leads: Vec<Lead>,
    pub ledger: Ledger,
    /// Pairs of term and pod that cannot talk, and until when.
    cut: BTreeMap<(u64, String), Millis>,
    messages: BTreeMap<(Millis, u64), Message>,
    sequence: u64,
    term: u64,
    uids: u64,
    /// Streams that were opened, by pod uid: those to which it reports.
    streams: BTreeMap<String, BTreeSet<(u64, u64)>>,
    next_leader: Option<Millis>,
    pub trace: Option<Vec<String>>,
}

impl World {
    pub fn new(seed: u64, sabotage: Sabotage) -> Self {
        let mut rng = Rng::new(seed);
        let faults = Faults {
            connectors: rng.chance(800),
            workers: rng.chance(600),
            leaders: rng.chance(600),
            network: rng.chance(500),
        };
        let replicas = rng.range(1, 4) as u32;
        let mut cluster = ClusterSpec::new("cluster", replicas);
        cluster.unreachable_delay_ms = DELAY;
        cluster.drain_timeout_ms = 12_000;
        let mut world = Self {
            now: 1_000_000,
            rng,
            faults,
            sabotage,
            resources: BTreeMap::new(),
            statuses: BTreeMap::new(),
            cluster,
            revision: 1,
            set_replicas: replicas,
            pods: BTreeMap::new(),
            leads: Vec::new(),
            ledger: Ledger::default(),
            cut: BTreeMap::new(),
            messages: BTreeMap::new(),
            sequence: 0,
            term: 0,
            uids: 0,
            streams: BTreeMap::new(),
            next_leader: None,
            trace: None,
        };
        // c0 is never touched: its tasks have the strictest promise.
        for index in 0..world.rng.range(2, 4) {
            world.add_connector(format!("c{index}"));
        }
        world.elect();
        world
    }

    pub fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>8} {}", self.now - 1_000_000, line()));
        }
    }

    pub fn step(&mut self, chaos: bool) {
        self.now += STEP;
        if chaos && self.rng.chance(240) {
            self.misfortune();
        }
        if self.next_leader.is_some_and(|at| at <= self.now) {
            self.next_leader = None;
            self.elect();
        }
        self.cut.retain(|_, until| *until > self.now);
        self.stateful_set();
        self.deliver();
        self.run_pods();
        self.run_leads();
    }

    /// Ends every fault: what was promised has to come true from here on.
    pub fn calm(&mut self) {
        self.say(|| "calm".to_owned());
        self.cut.clear();
        for lead in &mut self.leads {
            lead.asleep_until = 0;
        }
        let leading = self.leads.iter().any(|lead| lead.until.is_none());
        if !leading && self.next_leader.is_none() {
            self.elect();
        }
    }

    fn add_connector(&mut self, key: String) {
        let spec = ConnectorSpec {
            uid: format!("{key}-{}", self.sequence),
            namespace: "ns".to_owned(),
            name: key.clone(),
            class: "Source".to_owned(),
            config: [("tasks".to_owned(), self.rng.range(0, 4).to_string()), ("shard".to_owned(), "0".to_owned())]
                .into(),
            tasks_max: self.rng.range(1, 4) as u32,
            generation: 1,
            ..ConnectorSpec::default()
        };
        self.say(|| format!("add {key} tasks={} max={}", spec.config["tasks"], spec.tasks_max));
        self.ledger.touched.insert(key.clone(), self.now);
        self.sequence += 1;
        self.resources.insert(key, Resource { spec, version: self.sequence });
    }

    fn elect(&mut self) {
        for lead in &mut self.leads {
            if lead.until.is_none() {
                lead.until = Some(self.now + self.rng.range(0, OVERLAP - STEP));
            }
        }
        self.term += 1;
        let term = self.term;
        let mut options = Options::new(term, format!("operator-{term}"), self.now);
        options.predecessor_ms = OVERLAP;
        options.progress_interval_ms = 2_000;
        let mut controller = Controller::new(options);
        controller.sabotage = self.sabotage;
        for (key, status) in &self.statuses {
            controller.adopt_status(
                key,
                PreviousStatus {
                    conditions: status.conditions.clone(),
                    auto_restart: status.auto_restart.clone(),
                    topics: status.topics.clone(),
                    tasks: status.tasks.iter().map(|task| task.id).collect(),
                    retired: status.retired.clone(),
                },
            );
        }
        self.say(|| format!("leader of term {term}"));
        let mut lead = Lead {
            term,
            controller,
            since: self.now,
            until: None,
            sessions: BTreeMap::new(),
            heard: BTreeMap::new(),
            gives: BTreeMap::new(),
            seen: BTreeMap::new(),
            seen_pods: BTreeMap::new(),
            seen_cluster: None,
            busy: true,
            asleep_until: 0,
        };
        self.observe(&mut lead);
        lead.controller.synced();
        self.leads.push(lead);
    }

    /// The watches of one operator deliver.
    fn observe(&mut self, lead: &mut Lead) {
        if lead.seen_cluster.as_ref() != Some(&self.cluster) {
            lead.seen_cluster = Some(self.cluster.clone());
            lead.controller.observe_cluster(self.cluster.clone());
            lead.busy = true;
        }
        for (key, resource) in &self.resources {
            if lead.seen.get(key) != Some(&resource.version) {
                lead.seen.insert(key.clone(), resource.version);
                lead.controller.observe_connector(key, resource.spec.clone());
                lead.busy = true;
            }
        }
        let gone: Vec<String> = lead.seen.keys().filter(|key| !self.resources.contains_key(*key)).cloned().collect();
        for key in gone {
            lead.seen.remove(&key);
            lead.controller.forget_connector(&key);
            lead.busy = true;
        }
        for (name, pod) in &self.pods {
            let index: u32 = name.trim_start_matches("pod-").parse().unwrap_or(0);
            let state = PodState {
                uid: pod.uid.clone(),
                ready: pod.process.is_some() && !pod.terminating,
                terminating: pod.terminating,
                finished: false,
                surplus: index >= self.cluster.replicas,
                outdated: pod.revision != self.revision,
            };
            if lead.seen_pods.get(name) != Some(&state) {
                if lead.seen_pods.get(name).is_some_and(|old| old.uid != state.uid) {
                    lead.sessions.remove(name);
                }
                lead.seen_pods.insert(name.clone(), state.clone());
                lead.controller.observe_pod(name, state, self.now);
                lead.busy = true;
            }
        }
        let gone: Vec<String> = lead.seen_pods.keys().filter(|name| !self.pods.contains_key(*name)).cloned().collect();
        for name in gone {
            lead.seen_pods.remove(&name);
            lead.sessions.remove(&name);
            lead.controller.pod_gone(&name);
            lead.busy = true;
        }
    }

    fn stateful_set(&mut self) {
        self.set_replicas = self.set_replicas.max(self.cluster.replicas);
        for index in 0..self.set_replicas {
            let name = format!("pod-{index}");
            if !self.pods.contains_key(&name) {
                self.uids += 1;
                let uid = format!("uid-{}", self.uids);
                let boot_at = self.now + self.rng.range(200, 4000);
                self.say(|| format!("pod {name} is {uid}"));
                self.ledger.upheaval = self.now;
                self.pods.insert(name.clone(), Pod::new(name, uid, self.revision, boot_at));
            }
        }
        let surplus: Vec<String> = self
            .pods
            .keys()
            .filter(|name| name.trim_start_matches("pod-").parse::<u32>().is_ok_and(|index| index >= self.set_replicas))
            .cloned()
            .collect();
        for name in surplus {
            self.delete_pod(&name);
        }
    }

    /// Graceful deletion: SIGTERM, then the object goes when the process has ended.
    fn delete_pod(&mut self, name: &str) {
        let now = self.now;
        self.ledger.upheaval = now;
        let Some(pod) = self.pods.get_mut(name).filter(|pod| !pod.terminating) else { return };
        pod.terminating = true;
        match &mut pod.process {
            Some(process) => process.terminate(now),
            None => self.remove_pod(name),
        }
        self.say(|| format!("delete {name}"));
    }

    fn remove_pod(&mut self, name: &str) {
        if let Some(pod) = self.pods.remove(name) {
            self.say(|| format!("{name} {} is gone", pod.uid));
            self.streams.remove(&pod.uid);
        }
        self.ledger.upheaval = self.now;
    }

    fn send(&mut self, message: Message) {
        let delay = if self.faults.network && self.rng.chance(50) {
            self.rng.range(0, 1500)
        } else {
            self.rng.range(0, 2) * STEP
        };
        let mut due = self.now + delay;
        // A stream keeps its order.
        let same = |a: &Message, b: &Message| match (a, b) {
            (Message::Down { session: a, .. }, Message::Down { session: b, .. })
            | (Message::Up { session: a, .. }, Message::Up { session: b, .. }) => a == b,
            _ => false,
        };
        if let Some(((last, _), _)) = self.messages.iter().rev().find(|(_, other)| same(other, &message)) {
            due = due.max(*last);
        }
        self.sequence += 1;
        self.messages.insert((due, self.sequence), message);
    }

    fn is_cut(&self, term: u64, pod: &str) -> bool {
        self.cut.contains_key(&(term, pod.to_owned()))
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.messages.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            match entry.remove() {
                Message::Down { pod, uid, session, term, directive, gives } => {
                    // What was under way on a stream that has broken since may still arrive, or not.
                    let open = self.streams.get(&uid).is_some_and(|streams| streams.contains(&(term, session)));
                    if self.is_cut(term, &pod) || (!open && self.rng.chance(500)) {
                        continue;
                    }
                    let mut starts = Vec::new();
                    let Some(target) = self.pods.get_mut(&pod).filter(|pod| pod.uid == uid) else { continue };
                    let refused = target.receive(&directive, &gives, self.now, &mut self.rng, &mut starts);
                    if let Some(process) = target.process.as_ref().filter(|_| refused.is_some()) {
                        let report = Report { refused, ..process.report(&pod) };
                        self.send(Message::Up {
                            pod: pod.clone(),
                            uid: uid.clone(),
                            session,
                            term,
                            report: Box::new(report),
                        });
                        if let Some(streams) = self.streams.get_mut(&uid) {
                            streams.remove(&(term, session));
                        }
                        self.say(|| format!("{pod} refuses term {term}"));
                    }
                    self.note(&uid, &starts);
                }
                Message::Up { pod, uid, session, term, report } => {
                    if self.is_cut(term, &pod) {
                        continue;
                    }
                    let Some(lead) = self.leads.iter_mut().find(|lead| lead.term == term) else { continue };
                    let Some(stream) = lead.sessions.get_mut(&pod) else { continue };
                    if stream.0 != uid || stream.1 != session {
                        continue;
                    }
                    stream.2 = self.now;
                    if report.epoch.is_some_and(|epoch| epoch.term == term) {
                        lead.heard.insert(uid, self.now);
                    }
                    let refused = report.refused.and_then(|Refused { newest }| newest);
                    lead.controller.report(&pod, *report, self.now);
                    lead.busy = true;
                    if refused.is_some_and(|newest| newest.term == term) {
                        lead.sessions.remove(&pod);
                        lead.controller.session_down(&pod, self.now);
                    }
                }
                Message::Answer { term, key, hash, answer } => {
                    if let Some(lead) = self.leads.iter_mut().find(|lead| lead.term == term) {
                        lead.controller.validated(&key, hash, answer, self.now);
                        lead.busy = true;
                    }
                }
            }
        }
    }

    fn note(&mut self, uid: &str, starts: &[Started]) {
        for start in starts {
            self.say(|| {
                format!("{uid} starts {:?} hash {:x} resumed {}", start.key, start.hash & 0xffff, start.resumed)
            });
            self.ledger.started(self.now, uid, start, &self.pods);
        }
    }

    fn run_pods(&mut self) {
        let names: Vec<String> = self.pods.keys().cloned().collect();
        for name in names {
            let mut starts = Vec::new();
            let Some(pod) = self.pods.get_mut(&name) else { continue };
            if pod.boot_at.is_some_and(|at| at <= self.now) {
                pod.boot(self.now, &mut self.rng, &mut starts);
            }
            let ended = pod.tick(self.now, &mut self.rng, &mut starts);
            let uid = pod.uid.clone();
            for task in pod.process.iter_mut().flat_map(|process| std::mem::take(&mut process.fences)) {
                self.ledger.fenced.insert(task, self.now);
            }
            let mut report = None;
            if let Some(process) = &mut pod.process
                && (process.changed || process.next_report <= self.now)
            {
                process.changed = false;
                process.next_report = self.now + 2000;
                report = Some(process.report(&name));
            }
            self.note(&uid, &starts);
            if let Some(report) = report {
                for (term, session) in self.streams.get(&uid).cloned().unwrap_or_default() {
                    let report = Box::new(report.clone());
                    self.send(Message::Up { pod: name.clone(), uid: uid.clone(), session, term, report });
                }
            }
            if ended {
                self.remove_pod(&name);
            }
        }
    }

    fn run_leads(&mut self) {
        let mut leads = std::mem::take(&mut self.leads);
        leads.retain_mut(|lead| self.run_lead(lead));
        leads.append(&mut self.leads);
        self.leads = leads;
    }

    /// False when the operator stops leading.
    fn run_lead(&mut self, lead: &mut Lead) -> bool {
        if lead.until.is_some_and(|until| until <= self.now) {
            self.end_sessions(lead);
            self.say(|| format!("term {} ends", lead.term));
            return false;
        }
        if lead.asleep_until > self.now {
            return true;
        }
        if self.rng.chance(800) {
            self.observe(lead);
        }
        self.dial(lead);
        if !lead.busy && lead.controller.next_wakeup().is_none_or(|at| at > self.now) {
            return true;
        }
        lead.busy = false;
        for action in lead.controller.decide(self.now) {
            if matches!(action, Action::Deposed { .. }) {
                self.end_sessions(lead);
                self.say(|| format!("term {} is deposed", lead.term));
                if lead.until.is_none() {
                    self.ledger.fail(format!("the present leader (term {}) was deposed", lead.term));
                }
                return false;
            }
            self.act(lead, action);
        }
        true
    }

    fn end_sessions(&mut self, lead: &Lead) {
        for streams in self.streams.values_mut() {
            streams.retain(|(term, _)| *term != lead.term);
        }
    }

    fn dial(&mut self, lead: &mut Lead) {
        let names: Vec<String> = lead.seen_pods.keys().cloned().collect();
        for name in names {
            if let Some((uid, session, last)) = lead.sessions.get(&name).cloned() {
                let open = self.streams.get(&uid).is_some_and(|streams| streams.contains(&(lead.term, session)));
                if self.now - last >= SILENCE || (!open && self.rng.chance(200)) {
                    lead.sessions.remove(&name);
                    if let Some(streams) = self.streams.get_mut(&uid) {
                        streams.remove(&(lead.term, session));
                    }
                    lead.controller.session_down(&name, self.now);
                    lead.busy = true;
                }
                continue;
            }
            let Some(pod) = self.pods.get_mut(&name) else { continue };
            let Some(process) = pod.process.as_mut() else { continue };
            if lead.seen_pods.get(&name).is_none_or(|seen| seen.uid != pod.uid) {
                continue;
            }
            if self.cut.contains_key(&(lead.term, name.clone())) || !self.rng.chance(500) {
                continue;
            }
            process.changed = true;
            let uid = pod.uid.clone();
            self.sequence += 1;
            let session = self.sequence;
            self.streams.entry(uid.clone()).or_default().insert((lead.term, session));
            lead.sessions.insert(name.clone(), (uid, session, self.now));
            lead.controller.session_up(&name, self.now);
            lead.busy = true;
        }
    }

    fn act(&mut self, lead: &mut Lead, action: Action) {
        match action {
            Action::Push { worker, directive } => {
                let Some((uid, session, _)) = lead.sessions.get(&worker).cloned() else { return };
                let give = Rc::new(Give { sent: self.now, heard: lead.heard.clone(), leading_since: lead.since });
                let mut gives = Gives::new();
                if let Some(Body::Desired(set)) = &directive.body {
                    // A unit that was in the set before was given then, even if that push was lost.
                    let before = lead.gives.entry(uid.clone()).or_default();
                    for unit in &set.units {
                        let key = key(unit);
                        gives.insert(key.clone(), before.get(&key).unwrap_or(&give).clone());
                    }
                    before.clone_from(&gives);
                }
                let (directive, term) = (Box::new(directive), lead.term);
                self.send(Message::Down { pod: worker, uid, session, term, directive, gives });
            }
            Action::Validate { worker, key, config_hash: hash, config, .. } => {
                let answer = if self.is_cut(lead.term, &worker) {
                    Err(ValidateFailed("cut".to_owned()))
                } else if self.pods.get(&worker).is_none_or(|pod| pod.process.is_none()) {
                    Err(ValidateFailed("down".to_owned()))
                } else {
                    let error = config.get("invalid").map(|value| ConfigError {
                        key: "invalid".to_owned(),
                        reason: "InvalidConfiguration".to_owned(),
                        message: "invalid is not a key".to_owned(),
                        retriable: value == "retriable",
                    });
                    Ok(ValidateResponse {
                        class: "Source".to_owned(),
                        kind: "source".to_owned(),
                        errors: error.into_iter().collect(),
                    })
                };
                self.send(Message::Answer { term: lead.term, key, hash, answer });
            }
            Action::ConnectorStatus { key, status } => {
                self.ledger.published(self.now, &key, &status);
                self.statuses.insert(key, *status);
            }
            Action::AnnotationDone { key, annotation, value } => {
                self.sequence += 1;
                let version = self.sequence;
                if let Some(resource) = self.resources.get_mut(&key) {
                    let slot = match annotation {
                        Annotation::Restart => &mut resource.spec.restart,
                        Annotation::RestartTask => &mut resource.spec.restart_task,
                    };
                    if slot.as_ref() == Some(&value) {
                        *slot = None;
                        resource.version = version;
                        self.ledger.touched.insert(key, self.now);
                    }
                }
            }
            Action::FinalizerDone { key, uid } => {
                self.say(|| format!("term {} finalizes {key}", lead.term));
                if self.resources.get(&key).is_some_and(|resource| resource.spec.uid == uid && resource.spec.deleted) {
                    // An old leader cannot know what its successor has given meanwhile; against that there is the Lease,
                    // without which no operator writes to resources. The units are stopped when the resource is gone.
                    if lead.until.is_none() {
                        self.ledger.finalized(&key, &self.pods, &lead.heard, lead.since, self.now);
                    }
                    self.resources.remove(&key);
                    self.statuses.remove(&key);
                }
            }
            Action::PodDrained { pod, uid, why } => {
                self.say(|| format!("{pod} is drained ({why:?})"));
                if self.pods.get(&pod).is_some_and(|pod| pod.uid == uid) {
                    match why {
                        DrainReason::Outdated => self.delete_pod(&pod),
                        DrainReason::Surplus => {}
                    }
                }
                self.scale_down(&lead.controller);
            }
            Action::Event(event) => self.say(|| format!("event {}: {}", event.reason, event.message)),
            Action::ClusterStatus { .. } | Action::Deposed { .. } => {}
        }
    }

    /// A StatefulSet can only lose its last pods: as many as are drained.
    fn scale_down(&mut self, controller: &Controller) {
        let kept = self
            .pods
            .keys()
            .filter(|name| {
                controller
                    .pod_plan(name)
                    .is_none_or(|plan| !plan.drained || plan.draining != Some(DrainReason::Surplus))
            })
            .filter_map(|name| name.trim_start_matches("pod-").parse::<u32>().ok())
            .map(|index| index + 1)
            .max()
            .unwrap_or(0);
        self.set_replicas = kept.max(self.cluster.replicas);
    }

    fn misfortune(&mut self) {
        let mut kinds = Vec::new();
        if self.faults.connectors {
            kinds.extend([0, 0, 0]);
        }
        if self.faults.workers {
            kinds.extend([1, 1]);
        }
        if self.faults.leaders {
            kinds.push(2);
        }
        if self.faults.network {
            kinds.extend([3, 3]);
        }
        match self.rng.pick(&kinds).copied() {
            Some(0) => self.change_connector(),
            Some(1) => self.harm_worker(),
            Some(2) => self.change_leader(),
            Some(_) => self.cut_network(),
            None => {}
        }
    }

    fn change_connector(&mut self) {
        let key = format!("c{}", self.rng.range(1, 5));
        let Some(resource) = self.resources.get(&key) else { return self.add_connector(key) };
        if resource.spec.deleted {
            return;
        }
        let mut spec = resource.spec.clone();
        let shard = self.rng.next().to_string();
        match self.rng.below(13) {
            0 | 1 => drop(spec.config.insert("shard".to_owned(), shard)),
            2 => drop(spec.config.insert("tasks".to_owned(), self.rng.range(0, 4).to_string())),
            3 => spec.tasks_max = self.rng.range(1, 4) as u32,
            4 => {
                spec.state = match self.rng.below(3) {
                    0 => TargetState::Running,
                    1 => TargetState::Paused,
                    _ => TargetState::Stopped,
                }
            }
            5 => spec.deleted = true,
            6 => {
                spec.restart = self
                    .rng
                    .pick(&["true", "includeTasks", "onlyFailed", "includeTasks,onlyFailed", "no"])
                    .map(|s| (*s).to_owned());
            }
            7 => spec.restart_task = Some(self.rng.range(0, 4).to_string()),
            8 => {
                if spec.config.remove("invalid").is_none() {
                    let value = if self.rng.chance(500) { "retriable" } else { "yes" };
                    spec.config.insert("invalid".to_owned(), value.to_owned());
                }
            }
            9 => {
                spec.problem = match spec.problem {
                    Some(_) => None,
                    None => Some(Problem {
                        reason: "SecretNotFound".to_owned(),
                        message: "Secret s is missing.".to_owned(),
                    }),
                }
            }
            10 => {
                if spec.config.remove("breaks").is_none() {
                    spec.config.insert("breaks".to_owned(), "yes".to_owned());
                }
            }
            11 => spec.auto_restart = Some(AutoRestart { max_restarts: Some(3) }),
            _ => return self.fail_task(&key),
        }
        if spec == resource.spec {
            return;
        }
        spec.generation += 1;
        self.say(|| {
            format!(
                "change {key}: {:?} {:?} max={} deleted={} restart={:?}/{:?} problem={}",
                spec.config,
                spec.state,
                spec.tasks_max,
                spec.deleted,
                spec.restart,
                spec.restart_task,
                spec.problem.is_some()
            )
        });
        self.ledger.touched.insert(key.clone(), self.now);
        self.sequence += 1;
        self.resources.insert(key, Resource { spec, version: self.sequence });
    }

    fn fail_task(&mut self, key: &str) {
        let running: Vec<_> = self
            .pods
            .values_mut()
            .filter_map(|pod| pod.process.as_mut())
            .flat_map(|process| process.units.iter_mut())
            .filter(|((connector, _), unit)| connector == key && unit.state == barnabas_protocol::UnitState::Running)
            .collect();
        if running.is_empty() {
            return;
        }
        let index = self.rng.below(running.len() as u64) as usize;
        if let Some((_, unit)) = running.into_iter().nth(index) {
            unit.state = barnabas_protocol::UnitState::Failed;
            unit.error = Some("It failed.".to_owned());
        }
        self.ledger.touched.insert(key.to_owned(), self.now);
        self.say(|| format!("a unit of {key} fails"));
    }

    fn harm_worker(&mut self) {
        let names: Vec<String> = self.pods.keys().cloned().collect();
        let Some(name) = self.rng.pick(&names).cloned() else { return };
        self.ledger.upheaval = self.now;
        match self.rng.below(8) {
            0 | 1 => {
                let replicas = self.rng.range(1, 4) as u32;
                self.cluster.replicas = replicas;
                self.say(|| format!("scale to {replicas}"));
            }
            2 => {
                self.revision += 1;
                self.say(|| "a new revision".to_owned());
            }
            3 => self.delete_pod(&name),
            4 => self.remove_pod(&name),
            _ => {
                let downtime = if self.rng.chance(300) {
                    self.rng.range(DELAY - 2000, DELAY + 12_000)
                } else {
                    self.rng.range(200, 3000)
                };
                let now = self.now;
                let Some(pod) = self.pods.get_mut(&name).filter(|pod| pod.process.is_some() && !pod.terminating) else {
                    return;
                };
                pod.crash(now);
                pod.boot_at = Some(now + downtime);
                self.streams.remove(&pod.uid);
                self.say(|| format!("{name} crashes for {downtime} ms"));
            }
        }
    }

    fn change_leader(&mut self) {
        match self.rng.below(4) {
            // Both operators die; nobody leads for a while.
            0 => {
                let leads = std::mem::take(&mut self.leads);
                for lead in &leads {
                    self.end_sessions(lead);
                }
                self.next_leader = Some(self.now + self.rng.range(500, 15_000));
                self.say(|| "every operator dies".to_owned());
            }
            1 => {
                let until = self.now + self.rng.range(500, 4000);
                if let Some(lead) = self.leads.last_mut() {
                    lead.asleep_until = until;
                }
            }
            _ if self.next_leader.is_none() => self.elect(),
            _ => {}
        }
    }

    fn cut_network(&mut self) {
        let names: Vec<String> = self.pods.keys().cloned().collect();
        let Some(name) = self.rng.pick(&names).cloned() else { return };
        let Some(term) = self.leads.last().map(|lead| lead.term) else { return };
        let length = if self.rng.chance(300) { self.rng.range(DELAY, DELAY + 8000) } else { self.rng.range(200, 5000) };
        self.say(|| format!("cut between term {term} and {name} for {length} ms"));
        self.ledger.upheaval = self.now + length;
        self.cut.insert((term, name), self.now + length);
    }
}
