//! What a unit shows of itself: the source of reports and metrics.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use barnabas_connect::{Error, ErrorCode, Secrets};
use barnabas_protocol as proto;
use barnabas_protocol::{Progress, TaskPlan, Unit, UnitError, UnitReport, UnitState};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::now_ms;
use crate::logging::Hiding;

/// At most this many positions in a report.
const POSITIONS: usize = 16;
/// At most this many topics in a report.
const TOPICS: usize = 64;

/// The state of one unit, written by its body, read by reports and metrics.
pub struct UnitStatus {
    identity: UnitReport,
    secrets: Secrets,
    /// As long as the unit is there, no log line shows them either.
    _hiding: Hiding,
    shown: Mutex<Shown>,
    /// What has been counted since the unit was started.
    pub counters: Counters,
    changed: Arc<Notify>,
}

struct Shown {
    state: UnitState,
    error: Option<UnitError>,
    plan: Option<TaskPlan>,
    fenced: u64,
    positions: BTreeMap<String, String>,
    topics: BTreeSet<String>,
    lag: Option<u64>,
}

/// Counters in Connect's words (`ConnectMetricsRegistry`).
#[derive(Debug, Default)]
pub struct Counters {
    /// Records moved: acknowledged by Kafka (sources), put (sinks).
    pub records: AtomicU64,
    /// Bytes of keys and values of those.
    pub bytes: AtomicU64,
    /// When the last one was moved, milliseconds since 1970.
    pub last_record_at_ms: AtomicI64,
    /// Records that the source task returned.
    pub polled: AtomicU64,
    /// Records read from Kafka.
    pub read: AtomicU64,
    /// Records that wait for an acknowledgement (sources) or a put (sinks).
    pub active: AtomicU64,
    /// Partitions assigned (sinks).
    pub partitions: AtomicU64,
    /// `total-record-failures`: operations that failed.
    pub failures: AtomicU64,
    /// `total-record-errors`: records that could not be processed.
    pub errors: AtomicU64,
    /// `total-records-skipped`.
    pub skipped: AtomicU64,
    /// `total-retries`.
    pub retries: AtomicU64,
    /// `total-errors-logged`.
    pub logged: AtomicU64,
    /// `deadletterqueue-produce-requests`.
    pub dlq_requests: AtomicU64,
    /// `deadletterqueue-produce-failures`.
    pub dlq_failures: AtomicU64,
    /// `last-error-timestamp`.
    pub last_error_at_ms: AtomicI64,
    /// `poll` or `put` calls.
    pub batches: Timer,
    /// Offset commits.
    pub commits: Timer,
    /// Offset commits that failed.
    pub commit_failures: AtomicU64,
    /// Records in the transactions that were committed.
    pub transactions: Sizes,
}

/// How large something was.
#[derive(Debug, Default)]
pub struct Sizes {
    /// How often.
    pub count: AtomicU64,
    /// The sum.
    pub total: AtomicU64,
    /// The smallest, plus one; 0 while there was none.
    smallest: AtomicU64,
    /// The largest.
    pub max: AtomicU64,
}

impl Sizes {
    /// Notes one.
    pub fn observe(&self, size: u64) {
        self.count.fetch_add(1, Relaxed);
        self.total.fetch_add(size, Relaxed);
        self.max.fetch_max(size, Relaxed);
        // Fails only when another thread noted a smaller one.
        let smaller = |known: u64| (known == 0 || size < known - 1).then_some(size + 1);
        let _ = self.smallest.fetch_update(Relaxed, Relaxed, smaller);
    }

    /// The smallest, 0 while there was none.
    pub fn min(&self) -> u64 {
        self.smallest.load(Relaxed).saturating_sub(1)
    }
}

/// How often something ran and how long it took.
#[derive(Debug, Default)]
pub struct Timer {
    /// Runs.
    pub count: AtomicU64,
    /// Sum, microseconds.
    pub total_us: AtomicU64,
    /// The longest, microseconds.
    pub max_us: AtomicU64,
}

impl Timer {
    /// Notes one run.
    pub fn observe(&self, took: Duration) {
        let us = took.as_micros() as u64;
        self.count.fetch_add(1, Relaxed);
        self.total_us.fetch_add(us, Relaxed);
        self.max_us.fetch_max(us, Relaxed);
    }
}

impl Counters {
    /// Notes moved records.
    pub fn moved(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }
}

impl UnitStatus {
    /// A unit that is about to start.
    pub fn new(unit: &Unit, kind: &str, secrets: Secrets, started_at_ms: i64, changed: Arc<Notify>) -> Self {
        let identity = UnitReport {
            connector: unit.connector.clone(),
            name: unit.name.clone(),
            task: unit.task,
            incarnation: unit.incarnation,
            config_hash: unit.config_hash,
            started_at_ms,
            kind: kind.to_owned(),
            ..UnitReport::default()
        };
        let shown = Shown {
            state: UnitState::Starting,
            error: None,
            plan: None,
            fenced: 0,
            positions: BTreeMap::new(),
            topics: BTreeSet::new(),
            lag: None,
        };
        let hiding = crate::logging::hide(&secrets);
        Self { identity, secrets, _hiding: hiding, shown: Mutex::new(shown), counters: Counters::default(), changed }
    }

    /// Wall clock of the start.
    pub fn started_at_ms(&self) -> i64 {
        self.identity.started_at_ms
    }

    /// The current state.
    pub fn state(&self) -> UnitState {
        self.shown.lock().state
    }

    /// Shows RUNNING or PAUSED; a unit that is stopping stays so.
    pub fn set_state(&self, state: UnitState) {
        self.update(|shown| {
            if !matches!(shown.state, UnitState::Stopping | UnitState::Failed) {
                shown.state = state;
                shown.error = None;
            }
        });
    }

    /// Shows STOPPING.
    pub fn stopping(&self) {
        self.update(|shown| shown.state = UnitState::Stopping);
    }

    /// Shows STARTING with the reason why it takes long.
    pub fn waiting(&self, error: &Error) {
        let new = self.unit_error(error);
        self.update(|shown| {
            if matches!(shown.state, UnitState::Stopping | UnitState::Failed) {
                return;
            }
            shown.state = UnitState::Starting;
            if shown.error.as_ref().map(|e| &e.message) != Some(&new.message) {
                shown.error = Some(new);
            }
        });
    }

    /// Shows FAILED; a unit that is stopping keeps STOPPING and gets the error.
    pub fn fail(&self, error: &Error) {
        let new = self.unit_error(error);
        self.update(|shown| {
            if shown.state != UnitState::Stopping {
                shown.state = UnitState::Failed;
            }
            shown.error = Some(new);
        });
    }

    /// Shows an error that does not stop the unit.
    pub fn warn(&self, error: &Error) {
        let new = self.unit_error(error);
        self.update(|shown| shown.error = Some(new));
    }

    /// Forgets an error that has healed.
    pub fn clear_error(&self) {
        if self.shown.lock().error.is_some() {
            self.update(|shown| shown.error = None);
        }
    }

    /// Shows what the connector planned.
    pub fn set_plan(&self, plan: TaskPlan) {
        self.update(|shown| shown.plan = Some(plan));
    }

    /// Shows that the fence of this number was carried out.
    pub fn set_fenced(&self, number: u64) {
        self.update(|shown| shown.fenced = number);
    }

    /// Shows a position. Not worth a report of its own.
    pub fn set_position(&self, partition: String, offset: String) {
        let mut shown = self.shown.lock();
        if shown.positions.len() < POSITIONS || shown.positions.contains_key(&partition) {
            shown.positions.insert(partition, offset);
        }
    }

    /// Forgets the positions of partitions that went elsewhere.
    pub fn retain_positions(&self, keep: impl Fn(&str) -> bool) {
        self.shown.lock().positions.retain(|partition, _| keep(partition));
    }

    /// Notes a topic that the task reads or writes.
    pub fn add_topic(&self, topic: &str) {
        let mut shown = self.shown.lock();
        if shown.topics.len() < TOPICS && !shown.topics.contains(topic) {
            shown.topics.insert(topic.to_owned());
        }
    }

    /// What it must not show.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Shows how far a sink is behind.
    pub fn set_lag(&self, lag: Option<u64>) {
        self.shown.lock().lag = lag;
    }

    /// The report's lag.
    pub fn lag(&self) -> Option<u64> {
        self.shown.lock().lag
    }

    /// What the unit is, without its state.
    pub fn identity(&self) -> &UnitReport {
        &self.identity
    }

    /// Counts a record that could not be processed.
    pub fn record_failed(&self) {
        self.counters.failures.fetch_add(1, Relaxed);
        self.counters.last_error_at_ms.store(now_ms(), Relaxed);
    }

    /// The report about this unit.
    pub fn report(&self) -> UnitReport {
        let shown = self.shown.lock();
        let counters = &self.counters;
        let hide = |text: &str| self.secrets.hide(text).into_owned();
        let progress = self.identity.task.map(|_| Progress {
            records: counters.records.load(Relaxed),
            bytes: counters.bytes.load(Relaxed),
            last_record_at_ms: counters.last_record_at_ms.load(Relaxed),
            lag: shown.lag,
            positions: shown.positions.iter().map(|(partition, offset)| (hide(partition), hide(offset))).collect(),
            records_skipped: counters.skipped.load(Relaxed),
            records_failed: counters.failures.load(Relaxed),
            topics: shown.topics.iter().cloned().collect(),
        });
        UnitReport {
            state: shown.state.into(),
            error: shown.error.clone(),
            plan: shown.plan.clone(),
            fenced: shown.fenced,
            progress,
            ..self.identity.clone()
        }
    }

    /// The error as it may be shown.
    fn unit_error(&self, error: &Error) -> UnitError {
        let code = match error.code() {
            ErrorCode::Retriable => proto::ErrorCode::Retriable,
            ErrorCode::Config => proto::ErrorCode::Config,
            ErrorCode::Data => proto::ErrorCode::Data,
            ErrorCode::Fatal => proto::ErrorCode::Fatal,
        };
        UnitError {
            code: code.into(),
            reason: error.reason().to_owned(),
            message: self.secrets.hide(error.message()).into_owned(),
            trace: self.secrets.hide(&error.trace()).into_owned(),
            at_ms: now_ms(),
        }
    }

    fn update(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.shown.lock());
        self.changed.notify_one();
    }
}
