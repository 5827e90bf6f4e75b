//! The worker: takes desired sets, runs units, reports.

use std::{
    collections::BTreeMap,
    fs,
    hash::{BuildHasher, Hasher},
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use barnabas_connect::{Kind, Registry};
use barnabas_protocol::{
    ConfigError, DesiredSet, Directive, Epoch, Plugin, Report, Unit, ValidateResponse, directive::Body,
};
use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    config::{WorkerConfig, WorkerConfigError},
    fencing::{Fence, Refused},
    kafka::{
        clients::ClientFactory,
        monitor::{Monitor, Reach},
        offsets::OffsetStore,
    },
    providers::Providers,
    reconcile::{Key, Running, Step, steps},
    resume::{Resume, StateDir, resume},
    units::{self, Shared, UnitHandle, Validator, now_ms},
};

/// A worker that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] WorkerConfigError),
    /// The state folder cannot be used.
    #[error("cannot use the state folder: {0}")]
    State(#[from] io::Error),
}

/// Runs units. Cheap to clone; all clones are one worker.
///
/// In process use it as it is (`apply`, `reports`); [`crate::control`] puts gRPC around it.
#[derive(Clone)]
pub struct Worker {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    core: Mutex<Core>,
    reports: watch::Sender<Report>,
    sessions: AtomicUsize,
    background: Mutex<Vec<JoinHandle<()>>>,
    _monitor: Monitor,
}

struct Core {
    fence: Fence,
    desired: BTreeMap<Key, Unit>,
    running: BTreeMap<Key, UnitHandle>,
    state: Option<StateDir>,
    draining: bool,
    /// No unit is started any more.
    closed: bool,
    /// A saved set that waits for an operator to speak first.
    pending_resume: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a worker, and what it ran before its process was restarted. Needs a tokio runtime.
    pub fn new(config: WorkerConfig, registry: Registry) -> Result<Self, StartError> {
        config.check()?;
        let clients = ClientFactory::new(&config)?;
        let providers = Providers::new(&config.config)?;
        let state = config.state_dir.as_deref().map(StateDir::open).transpose()?;
        let saved = match state.as_ref().map(StateDir::load).transpose() {
            Ok(saved) => saved.flatten(),
            // Half a file from a full tmpfs must not keep the worker from running.
            Err(error) => {
                tracing::error!(%error, "The saved set cannot be read; starting with nothing.");
                None
            }
        };
        let monitor = Monitor::start(clients.clone(), config.group_id.clone(), config.offset_storage_topic.clone());
        let boot_id = boot_id();
        tracing::info!(
            worker = config.worker_name(), cluster = config.cluster, %boot_id,
            ignored = ?unknown_keys(&config), "The worker starts."
        );
        let shared = Arc::new(Shared {
            offsets: OffsetStore::new(clients.clone(), config.group_id.clone()),
            reach: monitor.watch(),
            clients,
            registry,
            providers,
            boot_id,
            changed: Arc::default(),
            known_topics: Default::default(),
            config,
        });
        let core = Core {
            fence: Fence::new(saved.as_ref().map(|s| s.epoch).unwrap_or_default()),
            desired: BTreeMap::new(),
            running: BTreeMap::new(),
            state,
            draining: false,
            closed: false,
            pending_resume: None,
        };
        let worker = Self {
            inner: Arc::new(Inner {
                shared,
                core: Mutex::new(core),
                reports: watch::Sender::new(Report::default()),
                sessions: AtomicUsize::new(0),
                background: Mutex::default(),
                _monitor: monitor,
            }),
        };
        worker.start_reporting();
        if let Some(saved) = saved {
            worker.resume(saved);
        }
        worker.inner.publish(&worker.inner.core.lock());
        Ok(worker)
    }

    /// Takes a directive. Level-triggered: the same one again changes nothing.
    pub fn apply(&self, directive: Directive) -> Result<(), Refused> {
        let epoch = directive.epoch.unwrap_or_default();
        let mut core = self.inner.core.lock();
        match directive.body {
            Some(Body::Hello(hello)) => {
                core.fence.hello(epoch)?;
                tracing::info!(operator = hello.operator, %epoch, "An operator says hello.");
                core.cancel_resume();
            }
            Some(Body::Desired(set)) => {
                core.fence.desired(epoch)?;
                core.cancel_resume();
                core.desired = keep_configs(by_key(set), &core.desired);
                self.inner.reconcile(&mut core);
            }
            None => {}
        }
        core.save();
        self.inner.publish(&core);
        Ok(())
    }

    /// The worker's reports: the newest one, replaced at once when something changes and every second.
    pub fn reports(&self) -> watch::Receiver<Report> {
        self.inner.reports.subscribe()
    }

    /// The newest accepted epoch.
    pub fn epoch(&self) -> Epoch {
        self.inner.core.lock().fence.newest()
    }

    /// Checks a connector configuration without running anything.
    ///
    /// `secrets` are the values in it that no message may show.
    pub async fn validate(
        &self,
        name: &str,
        config: &BTreeMap<String, String>,
        secrets: &[String],
    ) -> ValidateResponse {
        let shared = &self.inner.shared;
        let validator =
            Validator { registry: &shared.registry, providers: &shared.providers, clients: &shared.clients };
        let errors = validator.validate(name, config, secrets).await;
        let plugin = config.get("connector.class").and_then(|class| shared.registry.find(class));
        ValidateResponse {
            class: plugin.map(|p| p.class().to_owned()).unwrap_or_default(),
            kind: plugin.map(|p| p.kind()).map(Kind::as_str).unwrap_or_default().to_owned(),
            errors: errors
                .into_iter()
                .map(|error| ConfigError {
                    key: error.key,
                    reason: match error.reason {
                        reason @ ("UnknownConnectorClass" | "ForbiddenKey") => reason,
                        _ => "InvalidConfiguration",
                    }
                    .to_owned(),
                    message: error.message,
                    retriable: error.retriable,
                })
                .collect(),
        }
    }

    /// The plugins that this worker can run.
    pub fn plugins(&self) -> Vec<Plugin> {
        let plugin = |p: barnabas_connect::PluginInfo| Plugin {
            class: p.class.to_owned(),
            r#type: p.kind.as_str().to_owned(),
            version: p.version.to_owned(),
        };
        self.inner.shared.registry.plugins().into_iter().map(plugin).collect()
    }

    /// Whether this worker reaches Kafka.
    pub fn kafka(&self) -> Reach {
        self.inner.shared.reach.borrow().clone()
    }

    /// Wants the units moved away, and waits until they are: not longer than `timeout`, and not at
    /// all without an operator to move them.
    pub async fn drain(&self, timeout: Duration) {
        {
            let mut core = self.inner.core.lock();
            core.draining = true;
            self.inner.publish(&core);
        }
        let moved = async {
            let mut reports = self.reports();
            while self.inner.sessions.load(SeqCst) > 0 && !reports.borrow_and_update().units.is_empty() {
                if reports.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(timeout, moved).await.is_err() {
            tracing::warn!("The operator has not moved every unit away in time.");
        }
    }

    /// Stops every unit, gracefully, and waits until nothing runs. Nothing is started afterwards.
    pub async fn shutdown(&self) {
        {
            let mut core = self.inner.core.lock();
            core.closed = true;
            core.cancel_resume();
            core.running.values().for_each(UnitHandle::stop);
            self.inner.publish(&core);
        }
        let mut reports = self.reports();
        while !self.inner.core.lock().running.is_empty() {
            if reports.changed().await.is_err() {
                break;
            }
        }
        self.inner.background.lock().drain(..).for_each(|task| task.abort());
        tracing::info!("The worker has stopped.");
    }

    /// Counts an operator's session as long as the guard lives.
    pub(crate) fn session(&self) -> SessionGuard {
        self.inner.sessions.fetch_add(1, SeqCst);
        SessionGuard(self.clone())
    }

    /// The units, for metrics.
    pub(crate) fn statuses(&self) -> Vec<Arc<units::status::UnitStatus>> {
        self.inner.core.lock().running.values().map(|unit| Arc::clone(&unit.status)).collect()
    }

    fn start_reporting(&self) {
        let weak = Arc::downgrade(&self.inner);
        let changed = Arc::clone(&self.inner.shared.changed);
        let mut reach = self.inner.shared.reach.clone();
        let task = tokio::spawn(async move {
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            loop {
                tokio::select! {
                    _ = seconds.tick() => {
                        if let Some(inner) = weak.upgrade() {
                            inner.core.lock().touch();
                        }
                    }
                    () = changed.notified() => {}
                    Ok(()) = reach.changed() => {}
                }
                let Some(inner) = weak.upgrade() else { return };
                inner.publish(&inner.core.lock());
                drop(inner);
                // Many units that change at once make one report.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        self.inner.background.lock().push(task);
    }

    fn resume(&self, saved: crate::resume::Saved) {
        let decision = resume(saved.downtime, self.inner.shared.config.unreachable_delay());
        let units = saved.desired.units.len();
        tracing::info!(epoch = %saved.epoch, units, downtime = ?saved.downtime, ?decision, "Found the set of a previous process.");
        match decision {
            Resume::AtOnce => self.start_saved(saved.desired),
            Resume::After(grace) => {
                let weak = Arc::downgrade(&self.inner);
                let task = tokio::spawn(async move {
                    tokio::time::sleep(grace).await;
                    let Some(inner) = weak.upgrade() else { return };
                    tracing::info!("No operator has spoken; resuming.");
                    inner.core.lock().pending_resume = None;
                    Worker { inner }.start_saved(saved.desired);
                });
                self.inner.core.lock().pending_resume = Some(task);
            }
        }
    }

    fn start_saved(&self, desired: DesiredSet) {
        let mut core = self.inner.core.lock();
        core.desired = by_key(desired);
        self.inner.reconcile(&mut core);
        self.inner.publish(&core);
    }
}

/// Counts one session of an operator.
pub(crate) struct SessionGuard(Worker);

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.0.inner.sessions.fetch_sub(1, SeqCst);
        self.0.inner.shared.changed.notify_one();
    }
}

impl Inner {
    fn reconcile(self: &Arc<Self>, core: &mut Core) {
        if core.closed {
            return;
        }
        let running = core
            .running
            .iter()
            .map(|(key, unit)| {
                (key.clone(), Running { incarnation: unit.unit.incarnation, stopping: unit.is_stopping() })
            })
            .collect();
        for step in steps(&core.desired, &running) {
            match step {
                Step::Keep(key) => {
                    if let (Some(unit), Some(wanted)) = (core.running.get(&key), core.desired.get(&key)) {
                        unit.set_target(wanted.target());
                        unit.set_fence(wanted.fence.as_ref());
                    }
                }
                Step::Stop(key) => {
                    if let Some(unit) = core.running.get(&key) {
                        unit.stop();
                    }
                }
                Step::Start(key) => {
                    let Some(unit) = core.desired.get(&key).cloned() else { continue };
                    let weak = Arc::downgrade(self);
                    let ended = key.clone();
                    let handle = units::spawn(Arc::clone(&self.shared), unit, move || {
                        if let Some(inner) = weak.upgrade() {
                            let mut core = inner.core.lock();
                            core.running.remove(&ended);
                            inner.reconcile(&mut core);
                            inner.publish(&core);
                        }
                    });
                    core.running.insert(key, handle);
                }
            }
        }
    }

    /// Replaces the report. Under the core's lock, so that epoch and units belong together.
    fn publish(&self, core: &Core) {
        let config = &self.shared.config;
        self.reports.send_replace(Report {
            worker: config.worker_name(),
            boot_id: self.shared.boot_id.clone(),
            epoch: Some(core.fence.newest()),
            refused: None,
            units: core.running.values().map(|unit| unit.status.report()).collect(),
            draining: core.draining,
            worker_id: config.worker_id(),
            memory_bytes: resident_bytes(),
            kafka_error: self.shared.reach.borrow().error.clone().unwrap_or_default(),
        });
    }
}

impl Core {
    fn save(&self) {
        let Some(state) = &self.state else { return };
        // What was to be fenced once is not fenced again by a process that resumes by itself: other tasks may have those
        // transactional ids by then.
        let unit = |unit: &Unit| Unit { fence: None, ..unit.clone() };
        let set = DesiredSet { units: self.desired.values().map(unit).collect() };
        if let Err(error) = state.save(self.fence.newest(), &set) {
            tracing::error!(%error, "The desired set cannot be saved; a restart would not resume it.");
        }
    }

    fn touch(&self) {
        // Until a waiting resume is decided, the old heartbeat keeps saying how long nobody was here.
        if let (Some(state), None) = (&self.state, &self.pending_resume)
            && let Err(error) = state.touch()
        {
            tracing::error!(%error, "The heartbeat cannot be written.");
        }
    }

    fn cancel_resume(&mut self) {
        if let Some(task) = self.pending_resume.take() {
            task.abort();
        }
    }
}

fn by_key(set: DesiredSet) -> BTreeMap<Key, Unit> {
    set.units.into_iter().map(|unit| ((unit.connector.clone(), unit.task), unit)).collect()
}

/// A unit that is pushed without a configuration keeps the one that this worker has for the same incarnation: a new
/// leader cannot know what its predecessor resolved. Kept here so that it is saved, and resumed, with it.
fn keep_configs(mut desired: BTreeMap<Key, Unit>, before: &BTreeMap<Key, Unit>) -> BTreeMap<Key, Unit> {
    for (key, unit) in &mut desired {
        let known = before.get(key).filter(|known| known.incarnation == unit.incarnation);
        if let Some(known) = known.filter(|_| unit.config.is_empty()) {
            unit.config.clone_from(&known.config);
            unit.secrets.clone_from(&known.secrets);
            unit.tasks_max = known.tasks_max;
        }
    }
    desired
}

/// Worker keys that mean nothing here; Connect only warns about those, too.
fn unknown_keys(config: &WorkerConfig) -> Vec<&str> {
    const KNOWN: &[&str] = &[
        "admin.",
        "client.rack",
        "config.providers",
        "config.storage.",
        "connector.client.config.override.",
        "consumer.",
        "exactly.once.source.support",
        "group.id",
        "header.converter",
        "key.converter",
        "offset.flush.",
        "offset.storage.",
        "producer.",
        "sasl.",
        "scheduled.rebalance.max.delay.ms",
        "security.protocol",
        "shutdown.drain.timeout.ms",
        "ssl.",
        "status.storage.",
        "task.shutdown.graceful.timeout.ms",
        "topic.creation.enable",
        "value.converter",
    ];
    config.config.keys().map(String::as_str).filter(|key| !KNOWN.iter().any(|known| key.starts_with(known))).collect()
}

/// Differs between any two processes; not a secret.
fn boot_id() -> String {
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_i64(now_ms());
    hasher.write_u32(std::process::id());
    format!("{:016x}", hasher.finish())
}

/// Resident memory of this process, bytes; 0 where the kernel does not say.
fn resident_bytes() -> u64 {
    // Pages; 4096 bytes on every machine that this runs on.
    fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok())
        .map_or(0, |pages| pages * 4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_without_a_configuration_keeps_that_of_its_incarnation_only() {
        let unit = |incarnation, config: &[(&str, &str)]| Unit {
            connector: "c".to_owned(),
            incarnation,
            config: config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..Unit::default()
        };
        let set = |unit| by_key(DesiredSet { units: vec![unit] });
        let before = set(unit(1, &[("file", "/in")]));
        assert_eq!(keep_configs(set(unit(1, &[])), &before), before);
        assert_eq!(keep_configs(set(unit(2, &[])), &before), set(unit(2, &[])));
        let replaced = set(unit(1, &[("file", "/other")]));
        assert_eq!(keep_configs(replaced.clone(), &before), replaced);
    }
}
