//! Running one unit: a connector instance or a task.
//!
//! A unit's body runs in a tokio task of its own: what panics there is that
//! unit's failure alone. Around it, [`spawn`] keeps the promises that the
//! operator relies on: a unit is reported until nothing of it runs any more,
//! calls into Kafka that were under way included; a graceful stop is bounded; a
//! unit that cannot reach Kafka is tried again by itself.

pub mod acks;
mod connector;
mod delivery;
mod dlq;
mod errors;
mod settings;
mod sink;
mod sink_batch;
mod sink_consumer;
mod sink_records;
mod source;
mod source_offsets;
mod source_records;
pub mod status;
mod transactions;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use barnabas_connect::{Error, RawConfig, Registry, Secrets, TaskFactory, config::combine};
use barnabas_protocol::{Fence, TargetState, Unit, UnitState};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

pub use self::settings::Validator;
use self::status::UnitStatus;
use crate::{
    config::WorkerConfig,
    kafka::{
        clients::ClientFactory,
        context::ClientNotes,
        errors::{UNREACHABLE, may_heal},
        keys::Client,
        monitor::Reach,
        offsets::OffsetStore,
        offsets_writer::OffsetsWriter,
        overrides::{FirstWords, Override},
    },
    providers::Providers,
};

/// How long one question to a Kafka that a connector names may take; then the unit's status says so.
const ASK: Duration = Duration::from_secs(3);
/// After this long it is asked by a new client: certificates and passwords may have been replaced.
const ASK_ANEW: Duration = Duration::from_secs(30);

/// What all units of a worker share.
pub struct Shared {
    /// The worker's configuration.
    pub config: WorkerConfig,
    /// The connector classes.
    pub registry: Registry,
    /// What stands for `${provider:path:key}`.
    pub providers: Providers,
    /// Kafka client settings.
    pub clients: ClientFactory,
    /// The offsets topics.
    pub offsets: OffsetStore,
    /// Whether Kafka answers.
    pub reach: watch::Receiver<Reach>,
    /// Identifies this process.
    pub boot_id: String,
    /// Told whenever something changed that a report shows.
    pub changed: Arc<tokio::sync::Notify>,
    /// Topics that were found or created, so that each start asks once.
    pub known_topics: tokio::sync::Mutex<std::collections::HashSet<String>>,
}

/// What a unit's body gets.
#[derive(Clone)]
struct Context {
    shared: Arc<Shared>,
    unit: Arc<Unit>,
    /// Every reference resolved.
    config: Arc<RawConfig>,
    /// Why `config` is not to be used.
    problem: Option<Arc<str>>,
    status: Arc<UnitStatus>,
    stop: CancellationToken,
    target: watch::Receiver<TargetState>,
    /// Connector units: what is to be fenced.
    fence: watch::Receiver<Option<Fence>>,
    /// What Kafkas of its own overrides said.
    words: FirstWords,
    /// Everything of this unit that blocks a thread, such as a commit under way.
    blocking: TaskTracker,
    /// A source task's writer of offsets.
    writer: Arc<tokio::sync::OnceCell<Arc<Closing<OffsetsWriter>>>>,
    /// With exactly-once support, the source task's producer.
    claim: Arc<tokio::sync::OnceCell<transactions::Claim>>,
}

impl Context {
    fn task(&self) -> u32 {
        self.unit.task.unwrap_or_default()
    }

    fn paused(&self) -> bool {
        *self.target.borrow() == TargetState::Paused
    }

    /// RUNNING or PAUSED, as wanted.
    fn show_target(&self) {
        self.status.set_state(if self.paused() { UnitState::Paused } else { UnitState::Running });
    }

    /// Runs a blocking call; the unit is not reported stopped before it returned.
    async fn blocking<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        self.blocking
            .spawn_blocking(call)
            .await
            .map_err(|error| Error::fatal(format!("a call to Kafka did not finish: {error}")))
    }

    /// Wraps something whose drop blocks (Kafka clients say goodbye to the broker).
    fn closing<T: Send + 'static>(&self, inner: T) -> Closing<T> {
        Closing { inner: Some(inner), blocking: self.blocking.clone() }
    }

    /// Waits for Kafka, saying so in the unit's status.
    async fn await_kafka(&self) -> Result<(), Error> {
        let mut reach = self.shared.reach.clone();
        let mut said = false;
        loop {
            let now = reach.borrow_and_update().clone();
            if let Some(error) = now.error {
                self.status.waiting(&Error::retriable(error).with_reason(UNREACHABLE));
                said = true;
            } else if now.once {
                // Why an earlier attempt failed stays to be seen until this one succeeds.
                if said {
                    self.status.clear_error();
                }
                return Ok(());
            }
            let gone = tokio::select! {
                changed = reach.changed() => changed.is_err(),
                () = self.stop.cancelled() => true,
            };
            if gone {
                return Err(Error::retriable("the unit is stopped before it reached Kafka").with_reason(UNREACHABLE));
            }
        }
    }

    /// Waits for the Kafkas to which the connector's own keys take these clients, saying so in the unit's status. Without
    /// it, a source would wait in a call that does not say why, and a sink would run and never read anything.
    async fn await_overrides(&self, clients: &[Client]) -> Result<(), Error> {
        for client in clients {
            let Some(other) = Override::of(&self.shared.clients, *client, &self.config)? else { continue };
            let notes = ClientNotes::new(&self.unit.connector, self.unit.task);
            let probe = Arc::new(self.closing(other.connect(notes, &self.words)?));
            let (started, mut said) = (Instant::now(), false);
            loop {
                let (asked, topic) = (Arc::clone(&probe), self.shared.config.offset_storage_topic.clone());
                let Err(error) = self.blocking(move || asked.ask(&topic, ASK)).await? else {
                    if said {
                        self.status.clear_error();
                    }
                    break;
                };
                if !may_heal(&error) || started.elapsed() > ASK_ANEW {
                    return Err(error);
                }
                self.status.waiting(&error);
                said = true;
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(500)) => {}
                    () = self.stop.cancelled() => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// Drops its content on a thread that may block.
struct Closing<T: Send + 'static> {
    inner: Option<T>,
    blocking: TaskTracker,
}

impl<T: Send + 'static> std::ops::Deref for Closing<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_ref().expect("only drop takes it")
    }
}

impl<T: Send + 'static> Drop for Closing<T> {
    fn drop(&mut self) {
        let inner = self.inner.take();
        self.blocking.spawn_blocking(move || drop(inner));
    }
}

/// A unit that was started and has not finished stopping.
pub struct UnitHandle {
    /// What it runs.
    pub unit: Arc<Unit>,
    /// What to report about it.
    pub status: Arc<UnitStatus>,
    stop: CancellationToken,
    target: watch::Sender<TargetState>,
    fence: watch::Sender<Option<Fence>>,
}

impl UnitHandle {
    /// Asks it to stop; it is gone when `ended` of [`spawn`] was called.
    pub fn stop(&self) {
        if !self.stop.is_cancelled() {
            self.status.stopping();
            self.stop.cancel();
        }
    }

    /// Whether it was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Tells a connector unit what is to be fenced.
    pub fn set_fence(&self, fence: Option<&Fence>) {
        self.fence.send_if_modified(|now| {
            let changed = now.as_ref() != fence;
            if changed {
                *now = fence.cloned();
            }
            changed
        });
    }

    /// Pauses or resumes it in place.
    pub fn set_target(&self, target: TargetState) {
        self.target.send_if_modified(|now| std::mem::replace(now, target) != target);
    }
}

/// Starts a unit. `ended` is called when nothing of it runs any more.
pub fn spawn(shared: Arc<Shared>, unit: Unit, ended: impl FnOnce() + Send + 'static) -> UnitHandle {
    let stop = CancellationToken::new();
    let (target, target_changes) = watch::channel(unit.target());
    let (fence, fence_changes) = watch::channel(unit.fence.clone());
    let kind = unit
        .config
        .get("connector.class")
        .and_then(|class| shared.registry.find(class))
        .map_or("", |plugin| plugin.kind().as_str());
    let written = unit.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let known = Secrets::new(&unit.secrets);
    let (config, secrets, problem) = match settings::resolve(&shared.registry, &shared.providers, &written, &known) {
        Ok((config, secrets)) => (config, secrets, None),
        Err(errors) => (written, known, Some(combine(&errors).message().into())),
    };
    let status = Arc::new(UnitStatus::new(&unit, kind, secrets, now_ms(), Arc::clone(&shared.changed)));
    let unit = Arc::new(unit);
    let context = Context {
        shared,
        unit: Arc::clone(&unit),
        config: Arc::new(config),
        problem,
        status: Arc::clone(&status),
        stop: stop.clone(),
        target: target_changes,
        fence: fence_changes,
        words: FirstWords::default(),
        blocking: TaskTracker::new(),
        writer: Arc::default(),
        claim: Arc::default(),
    };
    let span = tracing::info_span!("unit", connector = %unit.connector, task = unit.task);
    tokio::spawn(
        async move {
            supervise(context).await;
            ended();
        }
        .instrument(span),
    );
    UnitHandle { unit, status, stop, target, fence }
}

async fn supervise(context: Context) {
    let unit = &context.unit;
    let started_at_ms = context.status.started_at_ms();
    tracing::info!(
        target: "barnabas::units",
        connector = %unit.connector, task = unit.task, incarnation = unit.incarnation,
        boot_id = %context.shared.boot_id, started_at_ms,
        "Unit started."
    );
    let graceful = context.shared.config.graceful_timeout();
    let mut body = tokio::spawn(attempts(context.clone()).in_current_span());
    let outcome = tokio::select! {
        outcome = &mut body => Some(outcome),
        () = context.stop.cancelled() => tokio::time::timeout(graceful, &mut body).await.ok(),
    };
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => {
            tracing::warn!(timeout = ?graceful, "The unit did not stop in time and is aborted.");
            body.abort();
            body.await
        }
    };
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            if !context.stop.is_cancelled() || error.reason() == crate::kafka::errors::FENCED {
                tracing::error!(
                    code = %error.code(), reason = error.reason(), trace = %error.trace(), "The unit failed: {error}"
                );
                context.status.fail(&error);
            } else {
                tracing::warn!(%error, "The unit stopped with an error.");
            }
        }
        Err(join) if join.is_panic() => {
            let error = panic_error(join.into_panic(), unit.task.is_some());
            tracing::error!("{error}");
            context.status.fail(&error);
        }
        Err(_) => {}
    }
    let Context { unit, status: _, stop, blocking, writer, claim, shared, .. } = context;
    drop((writer, claim));
    blocking.close();
    blocking.wait().await;
    tracing::info!(
        target: "barnabas::units",
        connector = %unit.connector, task = unit.task, incarnation = unit.incarnation,
        boot_id = %shared.boot_id, started_at_ms, stopped_at_ms = now_ms(),
        "Unit stopped."
    );
    // A failed unit stays, to be seen, until it is taken away or started anew.
    stop.cancelled().await;
}

/// Runs the body, again when only Kafka was missing.
async fn attempts(context: Context) -> Result<(), Error> {
    let mut pause = Duration::from_millis(500);
    loop {
        let error = match body(context.clone()).await {
            Err(error) if may_heal(&error) => error,
            other => return other,
        };
        if context.stop.is_cancelled() {
            return Ok(());
        }
        tracing::warn!(%error, retry_in = ?pause, "The unit cannot reach Kafka and is tried again.");
        context.status.waiting(&error);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = context.stop.cancelled() => return Ok(()),
        }
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

async fn body(context: Context) -> Result<(), Error> {
    if let Some(problem) = &context.problem {
        return Err(Error::config(problem.to_string()));
    }
    if is_blank(&context.unit) {
        return Err(Error::retriable(format!(
            "the configuration of incarnation {} is not known: the operator did not send it, and this worker has not kept it; \
             change the connector's resource",
            context.unit.incarnation
        ))
        .with_reason("ConfigurationUnknown"));
    }
    let class = context.config.get("connector.class").map_or("", String::as_str);
    let plugin = context.shared.registry.find(class).ok_or_else(|| {
        Error::config(format!("`connector.class` is `{class}`, which this worker does not have"))
            .with_reason("UnknownConnectorClass")
    })?;
    let problems = settings::problems(&context.shared.registry, &context.unit, &context.config, plugin.kind());
    if !problems.is_empty() {
        return Err(combine(&problems));
    }
    if context.unit.task.is_none() {
        return connector::run(context, plugin).await;
    }
    match plugin.task() {
        TaskFactory::Source(task) => source::run(context, task()).await,
        TaskFactory::Sink(task) => sink::run(context, task()).await,
    }
}

/// The operator did not know the configuration, and neither does the worker.
pub fn is_blank(unit: &Unit) -> bool {
    unit.config.is_empty()
}

fn panic_error(panic: Box<dyn std::any::Any + Send>, is_task: bool) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    let (what, reason) = if is_task { ("task", "TaskFailed") } else { ("connector", "ConnectorFailed") };
    Error::fatal(format!("the {what} panicked: {text}")).with_reason(reason)
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
