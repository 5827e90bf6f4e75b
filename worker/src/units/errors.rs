//! What is done about a record that cannot be processed: `errors.*` (KIP-298; Connect's `RetryWithToleranceOperator`).
//!
//! An operation that may succeed when it is repeated is repeated, for `errors.retry.timeout`. A record that stays bad is
//! counted, logged and sent to the dead letter queue, as far as those are set; with `errors.tolerance=all` it is then
//! skipped, else it fails the task.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use barnabas_connect::{ConfigError, Error, ErrorCode, RawConfig};
use tokio_util::sync::CancellationToken;

use super::{
    dlq::{DeadLetters, Letter},
    status::UnitStatus,
};

/// The first pause between two attempts (`RETRIES_DELAY_MIN_MS`); it doubles from then on.
const FIRST_PAUSE: Duration = Duration::from_millis(300);

/// Where in the path of a record something failed (Connect's `Stage`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    Transformation,
    KeyConverter,
    ValueConverter,
    HeaderConverter,
    KafkaProduce,
    TaskPut,
}

impl Stage {
    /// As in the dead letter queue's header.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Transformation => "TRANSFORMATION",
            Self::KeyConverter => "KEY_CONVERTER",
            Self::ValueConverter => "VALUE_CONVERTER",
            Self::HeaderConverter => "HEADER_CONVERTER",
            Self::KafkaProduce => "KAFKA_PRODUCE",
            Self::TaskPut => "TASK_PUT",
        }
    }
}

/// What failed, and why.
pub(super) type Failed = (Stage, Error);

/// Why an operation on a record has no result.
#[derive(Debug)]
pub(super) enum NoResult {
    /// It failed for good.
    Failed(Failed),
    /// It may still heal, but the task is to stop. The record is left to whoever goes on, where Connect takes it for a
    /// failed one, and skips it when errors are tolerated.
    Stopping,
}

/// The keys `errors.*`, apart from those of the dead letter queue.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ErrorPolicy {
    /// `errors.tolerance=all`.
    pub(super) tolerate: bool,
    /// `errors.log.enable`.
    pub(super) log: bool,
    /// `errors.log.include.messages`: where the record is, too.
    include_messages: bool,
    /// There is a dead letter queue.
    queues: bool,
    /// `errors.retry.timeout`; absent when there is no end.
    retry_for: Option<Duration>,
    /// `errors.retry.delay.max.ms`.
    longest_pause: Duration,
}

impl ErrorPolicy {
    pub(super) fn parse(config: &RawConfig) -> Result<Self, Error> {
        let flag = |key: &str| config.get(key).is_some_and(|v| v.trim().eq_ignore_ascii_case("true"));
        let number = |key: &str, default: i64| match config.get(key).map(|text| text.trim()) {
            None => Ok(default),
            Some(text) => text
                .parse::<i64>()
                .map_err(|_| Error::config(ConfigError::invalid(key, text, "Not a number of type LONG").message)),
        };
        let tolerate = match config.get("errors.tolerance").map_or("none", |v| v.trim()) {
            "none" => false,
            "all" => true,
            other => {
                return Err(Error::config(format!("`errors.tolerance` is `{other}`; expected none or all")));
            }
        };
        let millis = |number: i64| u64::try_from(number).ok().map(Duration::from_millis);
        Ok(Self {
            tolerate,
            log: flag("errors.log.enable"),
            include_messages: flag("errors.log.include.messages"),
            queues: config.get("errors.deadletterqueue.topic.name").is_some_and(|topic| !topic.trim().is_empty()),
            retry_for: millis(number("errors.retry.timeout", 0)?),
            longest_pause: millis(number("errors.retry.delay.max.ms", 60_000)?).unwrap_or_default(),
        })
    }

    /// Whether a record is needed after it could not be processed.
    pub(super) fn keeps_records(&self) -> bool {
        self.retry_for != Some(Duration::ZERO) || self.log || self.queues
    }

    /// Only what one record is to blame for can be tolerated. In transforms and converters that is everything; elsewhere a
    /// fatal error, such as a missing permission, would lose all records after it, too.
    fn tolerates(&self, stage: Stage, error: &Error) -> bool {
        let elsewhere = matches!(stage, Stage::KafkaProduce | Stage::TaskPut);
        self.tolerate && (!elsewhere || matches!(error.code(), ErrorCode::Data | ErrorCode::Retriable))
    }

    /// How long to wait after attempt number `attempt`, from 1, that failed when `elapsed` had passed since the first one
    /// began; nothing when there is to be no other.
    fn next_pause(&self, attempt: u32, elapsed: Duration) -> Option<Duration> {
        let left = match self.retry_for {
            Some(all) => Some(all.checked_sub(elapsed).filter(|left| !left.is_zero())?),
            None => None,
        };
        let mut pause = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        if pause > self.longest_pause {
            // Any time up to the longest, so that tasks that fail together do not return together.
            pause = self.longest_pause.mul_f64(f64::from(jitter()) / f64::from(u32::MAX));
        }
        Some(left.map_or(pause, |left| pause.min(left)))
    }
}

/// A number that differs from call to call; nothing depends on its quality.
fn jitter() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() as u32
}

/// Treats the failed records of one task.
#[derive(Clone)]
pub(super) struct ErrorHandler {
    pub(super) policy: ErrorPolicy,
    status: Arc<UnitStatus>,
    queue: Option<Arc<DeadLetters>>,
    stop: CancellationToken,
}

impl ErrorHandler {
    pub(super) fn new(
        policy: ErrorPolicy,
        queue: Option<Arc<DeadLetters>>,
        status: Arc<UnitStatus>,
        stop: CancellationToken,
    ) -> Self {
        Self { policy, status, queue, stop }
    }

    /// Repeats an operation whose first attempt failed with `failed`, until it succeeds, fails in a way that no repeating
    /// heals, or has failed for long enough.
    pub(super) async fn retry<T>(
        &self,
        mut failed: Failed,
        mut operation: impl FnMut() -> Result<T, Failed>,
    ) -> Result<T, NoResult> {
        let started = Instant::now();
        let mut attempt = 1;
        while failed.1.is_retriable() {
            // Connect counts the last attempt of those that it gives up twice, and so does this: here, and as a failed record.
            self.status.record_failed();
            let Some(pause) = self.policy.next_pause(attempt, started.elapsed()) else { break };
            tracing::debug!(stage = failed.0.name(), error = %failed.1, retry_in = ?pause, "An operation is tried again.");
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(NoResult::Stopping),
                () = tokio::time::sleep(pause) => {}
            }
            self.status.counters.retries.fetch_add(1, Relaxed);
            attempt += 1;
            match operation() {
                Ok(done) => return Ok(done),
                Err(again) => failed = again,
            }
        }
        Err(NoResult::Failed(failed))
    }

    /// Counts, logs and queues a record that cannot be processed. `Ok` when it is to be skipped, else the error that fails
    /// the task.
    pub(super) async fn failed(
        &self,
        stage: Stage,
        error: Error,
        letter: impl FnOnce() -> Letter,
    ) -> Result<(), Error> {
        let tolerated = self.policy.tolerates(stage, &error);
        let letter = (self.policy.log || self.queue.is_some()).then(letter);
        self.status.record_failed();
        self.status.counters.errors.fetch_add(1, Relaxed);
        if self.policy.log {
            self.status.counters.logged.fetch_add(1, Relaxed);
            let record = letter.as_ref().filter(|_| self.policy.include_messages).map(Letter::place);
            tracing::error!(
                stage = stage.name(), class = error.origin(), record, trace = %error.trace(),
                "A record could not be processed: {error}"
            );
        }
        // As in Connect, the record that fails the task is in the queue, too.
        if let (Some(queue), Some(letter)) = (&self.queue, letter) {
            queue.send(letter, stage, &error).await?;
        }
        if tolerated {
            self.status.counters.skipped.fetch_add(1, Relaxed);
            Ok(())
        } else {
            Err(error)
        }
    }

    /// Waits until the dead letter queue has everything: before that, no offset may be committed.
    pub(super) async fn flush(&self, context: &super::Context) -> Result<(), Error> {
        match &self.queue {
            Some(queue) => queue.flush(context).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::AtomicU64;

    use barnabas_protocol::Unit;

    use super::*;

    fn handler(pairs: &[(&str, &str)]) -> ErrorHandler {
        let config = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let status = UnitStatus::new(&Unit::default(), "sink", Default::default(), 0, Arc::default());
        ErrorHandler::new(ErrorPolicy::parse(&config).unwrap(), None, Arc::new(status), CancellationToken::new())
    }

    #[tokio::test]
    async fn tolerance_skips_bad_records_and_counts_them() {
        let (all, none) = (handler(&[("errors.tolerance", "all")]), handler(&[]));
        assert!(all.failed(Stage::ValueConverter, Error::data("bad"), Letter::default).await.is_ok());
        assert!(all.failed(Stage::Transformation, Error::fatal("bad"), Letter::default).await.is_ok());
        assert!(all.failed(Stage::KafkaProduce, Error::fatal("no permission"), Letter::default).await.is_err());
        assert!(none.failed(Stage::ValueConverter, Error::data("bad"), Letter::default).await.is_err());
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let counters = &all.status.counters;
        assert_eq!((read(&counters.failures), read(&counters.errors), read(&counters.skipped)), (3, 3, 2));
    }

    #[tokio::test]
    async fn what_may_heal_is_tried_again_until_the_time_is_up() {
        let handler = handler(&[("errors.retry.timeout", "-1"), ("errors.retry.delay.max.ms", "1")]);
        let mut attempts = 1;
        let operation = || {
            attempts += 1;
            if attempts < 6 { Err((Stage::ValueConverter, Error::retriable("away"))) } else { Ok(attempts) }
        };
        let first = || (Stage::ValueConverter, Error::retriable("away"));
        assert_eq!(handler.retry(first(), operation).await.unwrap(), 6);
        assert_eq!(handler.status.counters.retries.load(Relaxed), 5);
        // Only what may heal.
        let broken = || Err::<(), _>((Stage::ValueConverter, Error::data("broken")));
        let NoResult::Failed((_, error)) = handler.retry(first(), broken).await.unwrap_err() else {
            panic!("stopping")
        };
        assert_eq!(error.code(), ErrorCode::Data);
        // Not at all by default.
        let once = self::handler(&[]);
        let never = || -> Result<(), _> { panic!("tried again") };
        assert!(matches!(once.retry(first(), never).await, Err(NoResult::Failed(_))));
        // And not when the task is to stop.
        handler.stop.cancel();
        assert!(matches!(handler.retry(first(), never).await, Err(NoResult::Stopping)));
    }

    /// `retries.json` is what Connect's `RetryWithToleranceOperator` does on a clock of its own.
    #[test]
    fn attempts_and_pauses_are_those_of_connect() {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/compat/fixtures/retries.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(fixture).unwrap()).unwrap();
        assert!(cases.len() > 20, "{}", cases.len());
        for case in cases {
            let config = ["errors.retry.timeout", "errors.retry.delay.max.ms"]
                .map(|key| (key.to_owned(), case[key].as_str().unwrap().to_owned()));
            let policy = ErrorPolicy::parse(&config.into()).unwrap();
            let longest = case["errors.retry.delay.max.ms"].as_str().unwrap().parse::<u64>().unwrap();
            let takes = Duration::from_millis(case["attempt.ms"].as_u64().unwrap());
            let fails = case["fails"].as_u64().unwrap();
            let (mut elapsed, mut ours, mut failures) = (takes, Vec::new(), 0);
            for attempt in 1..=fails as u32 {
                failures += 1;
                let Some(pause) = policy.next_pause(attempt, elapsed) else {
                    failures += 1;
                    break;
                };
                let ms = pause.as_millis() as u64;
                // Those that are drawn by lot take half of the longest there.
                let drawn = 300_u64 << (attempt - 1) > longest;
                assert!(!drawn || ms <= longest, "{case}: {ms}");
                ours.push((!drawn).then_some(ms));
                elapsed += Duration::from_millis(if drawn { longest / 2 } else { ms }) + takes;
            }
            let ours = serde_json::json!({"pauses": ours, "retries": ours.len(), "failures": failures});
            for (key, ours) in ours.as_object().unwrap() {
                assert_eq!(*ours, case[key], "{key} of {case}");
            }
        }
    }

    #[test]
    fn a_wrong_number_is_named() {
        let config = [("errors.retry.timeout".to_owned(), "soon".to_owned())].into();
        assert!(ErrorPolicy::parse(&config).unwrap_err().message().contains("errors.retry.timeout"));
    }
}
