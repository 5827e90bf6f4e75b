//! A source task's records on their way to Kafka.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst},
};

use barnabas_connect::{Error, ErrorCode};
use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::{BorrowedMessage, DeliveryResult, Headers, OwnedHeaders, Timestamp},
    producer::ProducerContext,
};
use tokio::sync::Notify;

use super::{
    acks::{AckTracker, Token},
    dlq::Letter,
    now_ms,
    status::UnitStatus,
};
use crate::kafka::{
    context::ClientNotes,
    errors::{TOO_LARGE, classify},
};

/// Records that librdkafka holds for one task. Its bound is librdkafka's queue, in bytes
/// (`buffer.memory`) and messages; this only knows when there is room again.
pub(super) struct InFlight {
    pub(super) tracker: Mutex<AckTracker>,
    count: AtomicUsize,
    /// Wake the task when no more than this are in flight.
    wake_at: AtomicUsize,
    woken: Notify,
    failed: Mutex<Option<Error>>,
    status: Arc<UnitStatus>,
    /// `errors.tolerance=all`: a record that Kafka refuses is put aside.
    tolerate: bool,
    rejected: Mutex<Vec<Rejected>>,
}

/// A record that Kafka refused.
pub(super) struct Rejected {
    pub(super) token: Token,
    pub(super) error: Error,
    pub(super) letter: Letter,
}

/// What happened to records on their way.
pub(super) enum Event {
    /// The task cannot go on.
    Failed(Error),
    /// Records to be treated as `errors.*` says.
    Rejected(Vec<Rejected>),
}

/// `wake_at` when nobody waits.
const NOBODY: usize = usize::MAX;

impl InFlight {
    pub(super) fn new(status: Arc<UnitStatus>, tolerate: bool) -> Arc<Self> {
        Arc::new(Self {
            tracker: Mutex::default(),
            count: AtomicUsize::new(0),
            wake_at: AtomicUsize::new(NOBODY),
            woken: Notify::new(),
            failed: Mutex::default(),
            status,
            tolerate,
            rejected: Mutex::default(),
        })
    }

    /// Begins anew after an attempt that failed; what it sent was aborted.
    pub(super) fn forget(&self) {
        *self.tracker.lock() = AckTracker::default();
        self.failed.lock().take();
        self.take_rejected();
    }

    /// A record is handed to librdkafka.
    pub(super) fn sent(&self) {
        self.count.fetch_add(1, SeqCst);
    }

    /// librdkafka did not take it after all.
    pub(super) fn unsent(&self) {
        self.count.fetch_sub(1, SeqCst);
    }

    /// Nothing is in flight: a record that finds the queue full all the same will never fit.
    pub(super) fn is_empty(&self) -> bool {
        self.count.load(SeqCst) == 0
    }

    /// Waits until a quarter of what is in flight has gone: waking for every single
    /// acknowledgement would cost more than the records do.
    pub(super) async fn room(&self) {
        let now = self.count.load(SeqCst);
        self.wait_for(now - now.div_ceil(4)).await;
    }

    /// Waits until everything is acknowledged, or something failed.
    pub(super) async fn drained(&self) {
        self.wait_for(0).await;
    }

    /// The first delivery that failed, once.
    pub(super) fn take_failure(&self) -> Option<Error> {
        self.failed.lock().take()
    }

    /// The records that Kafka refused since this was asked last.
    pub(super) fn take_rejected(&self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected.lock())
    }

    /// Resolves when a delivery has failed.
    pub(super) async fn event(&self) -> Event {
        loop {
            if let Some(error) = self.take_failure() {
                return Event::Failed(error);
            }
            let rejected = self.take_rejected();
            if !rejected.is_empty() {
                return Event::Rejected(rejected);
            }
            self.woken.notified().await;
        }
    }

    async fn wait_for(&self, at_most: usize) {
        self.wake_at.store(at_most, SeqCst);
        while self.count.load(SeqCst) > at_most && self.failed.lock().is_none() {
            self.woken.notified().await;
        }
        self.wake_at.store(NOBODY, SeqCst);
    }
}

/// The producer's callbacks.
pub(super) struct Delivery {
    pub(super) notes: ClientNotes,
    pub(super) in_flight: Arc<InFlight>,
}

impl ClientContext for Delivery {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.notes.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.notes.error(error, reason);
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let in_flight = &*self.in_flight;
        let counters = &in_flight.status.counters;
        match result {
            Ok(message) => {
                let bytes = (message.payload_len() + message.key_len()) as u64;
                counters.moved(1, bytes);
                in_flight.tracker.lock().acknowledge(Token::from_usize(opaque));
            }
            // The producer is being dropped: nobody waits for these any more.
            Err((KafkaError::MessageProduction(Code::PurgeQueue | Code::PurgeInflight), _)) => {}
            Err((error, message)) => {
                let doing = format!("Writing a record to `{}`", message.topic());
                let error = classify(&doing, error.clone(), self.notes.take_last_error());
                if in_flight.tolerate && error.code() == ErrorCode::Data {
                    let letter = letter(message, &error);
                    in_flight.rejected.lock().push(Rejected { token: Token::from_usize(opaque), error, letter });
                } else {
                    in_flight.status.record_failed();
                    in_flight.failed.lock().get_or_insert(error);
                }
                in_flight.woken.notify_one();
            }
        }
        let left = in_flight.count.fetch_sub(1, SeqCst) - 1;
        let wake_at = in_flight.wake_at.load(SeqCst);
        if wake_at != NOBODY && left <= wake_at {
            in_flight.woken.notify_one();
        }
        if left == 0 || left.is_multiple_of(256) {
            counters.last_record_at_ms.store(now_ms(), Relaxed);
            counters.active.store(left as u64, Relaxed);
        }
    }
}

/// A refused record as it was sent; one that is too large for its topic goes without its value.
fn letter(message: &BorrowedMessage<'_>, error: &Error) -> Letter {
    let copy = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
    let too_large = error.reason() == TOO_LARGE;
    let mut origin = vec![("topic", message.topic().to_owned())];
    if too_large {
        origin.push(("value.size", message.payload_len().to_string()));
    }
    Letter {
        key: copy(message.key()),
        value: copy(message.payload().filter(|_| !too_large)),
        headers: message.headers().filter(|headers| headers.count() > 0).map(|headers| {
            headers.iter().fold(OwnedHeaders::new_with_capacity(headers.count()), |all, header| all.insert(header))
        }),
        timestamp: match message.timestamp() {
            Timestamp::CreateTime(ms) => Some(ms),
            _ => None,
        },
        origin,
    }
}
