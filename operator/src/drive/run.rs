//! The loop itself.

use std::{collections::BTreeMap, sync::Arc};

use barnabas_protocol::{Report, ValidateRequest, ValidateResponse};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, info, warn};

use super::{Clock, Host, Input, Link, LinkEvent, Outbox, Redial, link};
use crate::plan::{Action, Controller, Options, ValidateFailed};

/// Validations under way at once, over all connectors of the cluster.
const VALIDATIONS: usize = 8;
/// Sessions' events that may wait for the loop; then the sessions wait.
const EVENTS: usize = 64;
/// Inputs that are taken together before the next decision.
const BATCH: usize = 256;

/// One worker's session.
struct Worker {
    uid: String,
    link: Option<Arc<dyn Link>>,
    /// Counts links to this name, so that a late event of an earlier session is not taken for one of the present.
    generation: u64,
    outbox: Option<Outbox>,
    /// Ends the session's task.
    _stop: Option<DropGuard>,
}

/// What sessions and validations tell the loop.
enum Told {
    Session { worker: String, generation: u64, event: LinkEvent },
    Validated { key: String, config_hash: u64, answer: Result<ValidateResponse, ValidateFailed> },
}

/// Runs the control loop until `inputs` closes, `stop` is cancelled, or a worker
/// turns out to know a later leader.
pub async fn run(
    options: Options,
    clock: Clock,
    mut inputs: mpsc::Receiver<Input>,
    mut host: impl Host,
    redial: Redial,
    stop: CancellationToken,
) {
    let (told, mut tell) = mpsc::channel(EVENTS);
    let mut drive = Drive {
        controller: Controller::new(options),
        workers: BTreeMap::new(),
        generation: 0,
        waiting_validations: BTreeMap::new(),
        validations: JoinSet::new(),
        told,
        clock,
        redial,
    };
    loop {
        let wakeup = drive.controller.next_wakeup().map(|at| clock.instant(at));
        tokio::select! {
            () = stop.cancelled() => return,
            input = inputs.recv() => {
                let Some(input) = input else { return };
                drive.input(input);
                for _ in 0..BATCH {
                    let Ok(input) = inputs.try_recv() else { break };
                    drive.input(input);
                }
            }
            Some(first) = tell.recv() => {
                drive.told(first);
                for _ in 0..BATCH {
                    let Ok(next) = tell.try_recv() else { break };
                    drive.told(next);
                }
            }
            Some(_) = drive.validations.join_next() => {}
            () = tokio::time::sleep_until(wakeup.unwrap_or(clock.instant(i64::MAX))), if wakeup.is_some() => {}
        }
        for action in drive.controller.decide(clock.now()) {
            if let Action::Deposed { newest } = &action {
                warn!(newest = %newest, "A worker knows a later leader; this control loop ends.");
                host.deposed(newest.term);
                return;
            }
            drive.act(action, &mut host);
        }
        drive.start_validations();
        host.sessions(drive.workers.values().filter(|worker| worker.outbox.is_some()).count());
    }
}

struct Validation {
    worker: String,
    config_hash: u64,
    request: ValidateRequest,
}

struct Drive {
    controller: Controller,
    workers: BTreeMap<String, Worker>,
    generation: u64,
    /// The newest validation wanted per connector; an older one that has not begun is worth nothing.
    waiting_validations: BTreeMap<String, Validation>,
    validations: JoinSet<()>,
    told: mpsc::Sender<Told>,
    clock: Clock,
    redial: Redial,
}

impl Drive {
    fn input(&mut self, input: Input) {
        match input {
            Input::Cluster(spec) => self.controller.observe_cluster(spec),
            Input::Connector { key, spec } => self.controller.observe_connector(&key, *spec),
            Input::PreviousStatus { key, previous } => self.controller.adopt_status(&key, previous),
            Input::ConnectorGone { key } => {
                self.waiting_validations.remove(&key);
                self.controller.forget_connector(&key);
            }
            Input::Worker { name, state, link } => {
                let now = self.clock.now();
                let uid = state.uid.clone();
                self.controller.observe_pod(&name, state, now);
                self.dial(name, uid, link);
            }
            Input::WorkerGone { name } => {
                self.workers.remove(&name);
                self.controller.pod_gone(&name);
            }
            Input::Synced => self.controller.synced(),
        }
    }

    /// Starts a session when there is none to this very pod at this very address.
    fn dial(&mut self, name: String, uid: String, link: Option<Arc<dyn Link>>) {
        if let Some(worker) = self.workers.get(&name) {
            let same_link = match (&worker.link, &link) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            };
            if worker.uid == uid && same_link {
                return;
            }
            if worker.outbox.is_some() {
                self.controller.session_down(&name, self.clock.now());
            }
        }
        self.generation += 1;
        let generation = self.generation;
        let stop = link.clone().map(|link| {
            let stop = CancellationToken::new();
            let told = self.told.clone();
            let worker = name.clone();
            let notify = move |event| {
                let (told, worker) = (told.clone(), worker.clone());
                // An error means that the loop has ended, and this task with it.
                async move { drop(told.send(Told::Session { worker, generation, event }).await) }
            };
            tokio::spawn(link::run(name.clone(), link, self.redial.session(), notify, stop.clone()));
            stop.drop_guard()
        });
        self.workers.insert(name, Worker { uid, link, generation, outbox: None, _stop: stop });
    }

    fn told(&mut self, told: Told) {
        let now = self.clock.now();
        match told {
            Told::Validated { key, config_hash, answer } => self.controller.validated(&key, config_hash, answer, now),
            Told::Session { worker: name, generation, event } => {
                let Some(worker) = self.workers.get_mut(&name).filter(|worker| worker.generation == generation) else {
                    return;
                };
                match event {
                    LinkEvent::Up(outbox) => {
                        worker.outbox = Some(outbox);
                        self.controller.session_up(&name, now);
                    }
                    LinkEvent::Report(report) => self.report(&name, *report),
                    LinkEvent::Down(_) => {
                        if worker.outbox.take().is_some() {
                            self.controller.session_down(&name, now);
                        }
                    }
                }
            }
        }
    }

    fn report(&mut self, name: &str, report: Report) {
        if report.worker != name {
            // An address may be reused by another pod; its certificate is the same, its name is not.
            warn!(worker = name, other = %report.worker, "Another worker answers at this worker's address; its report is dropped.");
            return;
        }
        self.controller.report(name, report, self.clock.now());
    }

    fn act(&mut self, action: Action, host: &mut impl Host) {
        match action {
            Action::Push { worker, directive } => match self.workers.get(&worker).and_then(|w| w.outbox.as_ref()) {
                Some(outbox) => {
                    debug!(worker, epoch = ?directive.epoch, "Pushing a directive.");
                    outbox.push(directive);
                }
                None => debug!(worker, "A directive is dropped: the worker's session is gone."),
            },
            Action::Validate { worker, key, config_hash, name, config, secrets } => {
                let request = ValidateRequest { name, config, secrets };
                if let Some(overtaken) =
                    self.waiting_validations.insert(key.clone(), Validation { worker, config_hash, request })
                {
                    let answer = Err(ValidateFailed("a newer configuration overtook this one".to_owned()));
                    self.controller.validated(&key, overtaken.config_hash, answer, self.clock.now());
                }
            }
            Action::ConnectorStatus { key, status } => host.connector_status(&key, *status),
            Action::ClusterStatus { status } => host.cluster_status(*status),
            Action::Event(event) => host.event(event),
            Action::AnnotationDone { key, annotation, value } => host.annotation_done(&key, annotation, &value),
            Action::FinalizerDone { key, uid } => host.finalizer_done(&key, &uid),
            Action::PodDrained { pod, uid, why } => {
                info!(pod, ?why, "The worker is drained.");
                host.pod_drained(&pod, &uid, why);
            }
            // Handled by the loop.
            Action::Deposed { .. } => {}
        }
    }

    fn start_validations(&mut self) {
        while self.validations.len() < VALIDATIONS {
            let Some((key, validation)) = self.waiting_validations.pop_first() else { return };
            let told = self.told.clone();
            let link = self.workers.get(&validation.worker).and_then(|worker| worker.link.clone());
            self.validations.spawn(async move {
                let answer = match link {
                    Some(link) => link.validate(validation.request).await.map_err(|error| ValidateFailed(error.0)),
                    None => Err(ValidateFailed(format!("the worker {} is gone", validation.worker))),
                };
                // An error means that the loop has ended.
                drop(told.send(Told::Validated { key, config_hash: validation.config_hash, answer }).await);
            });
        }
    }
}
