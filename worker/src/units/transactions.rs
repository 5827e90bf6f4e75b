//! Exactly-once sources (KIP-618): records and their offsets in one transaction.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use barnabas_connect::{Error, ErrorCode, RawConfig, Transaction, TransactionContext};
use bytes::Bytes;
use rdkafka::{
    error::KafkaError,
    producer::{BaseRecord, Producer, ThreadedProducer},
    types::RDKafkaErrorCode as Code,
};

use super::{
    Closing, Context,
    acks::Token,
    delivery::{Delivery, InFlight},
};
use crate::kafka::errors::{self, classify};

/// How long one call may wait before it is repeated; a transaction's own bound is `transaction.timeout.ms`.
const CALL: Duration = Duration::from_secs(10);
/// How long taking over a transactional id may take: Kafka may have to end the predecessor's transaction.
const TAKE_OVER: Duration = Duration::from_secs(60);

type Shared = Arc<Closing<ThreadedProducer<Delivery>>>;

/// A task's transactional producer, for the unit's whole life: a second one would fence whoever may have taken over while
/// Kafka could not be reached.
#[derive(Clone)]
pub(super) struct Claim {
    pub(super) producer: Shared,
    pub(super) in_flight: Arc<InFlight>,
    /// A transaction was begun, and neither committed nor aborted.
    open: Arc<AtomicBool>,
}

impl Claim {
    /// Takes over the task's transactional id, which ends the transaction of its previous instance.
    pub(super) async fn new(context: &Context, producer: Shared, in_flight: Arc<InFlight>) -> Result<Self, Error> {
        let fencing = Arc::clone(&producer);
        context
            .blocking(move || fencing.init_transactions(TAKE_OVER))
            .await?
            .map_err(|error| failed("Taking over the transactional id", error, &producer))?;
        Ok(Self { producer, in_flight, open: Arc::default() })
    }
}

/// When a transaction is committed: `transaction.boundary`.
enum Boundary {
    /// After each batch.
    Poll,
    /// After the batch with which this time has passed.
    Interval(Duration),
    /// Where the task says.
    Connector(Arc<TransactionContext>),
}

/// The transactions of one task, and its offsets in them.
pub(super) struct Transactions {
    claim: Claim,
    boundary: Boundary,
    offsets_topic: String,
    records: u64,
    last: Instant,
}

impl Transactions {
    /// Begins, without whatever an earlier attempt of this unit left open.
    pub(super) async fn begin(context: &Context, claim: Claim, offsets_topic: String) -> Result<Self, Error> {
        let boundary = Boundary::parse(&context.config, context.shared.config.offset_flush_interval())?;
        let mut transactions = Self { claim, boundary, offsets_topic, records: 0, last: Instant::now() };
        transactions.abort(context).await?;
        transactions.claim.in_flight.forget();
        Ok(transactions)
    }

    /// What the task gets to set the bounds with.
    pub(super) fn context(&self) -> Option<Arc<TransactionContext>> {
        match &self.boundary {
            Boundary::Connector(context) => Some(Arc::clone(context)),
            _ => None,
        }
    }

    /// Where a batch of so many records is to be cut, and what becomes of the transaction there. Its end is among the cuts
    /// when the transaction does not go on.
    pub(super) fn cuts(&mut self, records: usize) -> Vec<(usize, Transaction)> {
        match &self.boundary {
            Boundary::Poll => vec![(records, Transaction::Commit)],
            Boundary::Interval(interval) => {
                if self.last.elapsed() < *interval {
                    return Vec::new();
                }
                self.last = Instant::now();
                vec![(records, Transaction::Commit)]
            }
            Boundary::Connector(context) => context.take(records),
        }
    }

    /// Whether what is open is to be committed although no batch ends: before a pause, and at the end. Only the task knows
    /// whether its records belong together.
    pub(super) fn commits_early(&self) -> bool {
        !matches!(self.boundary, Boundary::Connector(_))
    }

    /// Whether nothing was sent since the last transaction.
    pub(super) fn is_empty(&self) -> bool {
        !self.claim.open.load(Relaxed)
    }

    /// A record is about to be sent to `topic`: there has to be a transaction.
    pub(super) fn record(&mut self, topic: &str) -> Result<(), Error> {
        if topic == self.offsets_topic {
            return Err(Error::fatal(format!(
                "the connector writes to its own offsets topic `{topic}`; with exactly-once support a source may not"
            )));
        }
        self.records += 1;
        self.open()
    }

    fn open(&mut self) -> Result<(), Error> {
        if self.is_empty() {
            let producer = &self.claim.producer;
            producer.begin_transaction().map_err(|error| failed("Beginning a transaction", error, producer))?;
            self.claim.open.store(true, Relaxed);
        }
        Ok(())
    }

    /// Writes the offsets and commits. The number of records in the transaction.
    pub(super) async fn commit(
        &mut self,
        context: &Context,
        entries: Vec<(Bytes, Option<Bytes>)>,
    ) -> Result<u64, Error> {
        self.open()?;
        let producer = Arc::clone(&self.claim.producer);
        let topic = self.offsets_topic.clone();
        context
            .blocking(move || send(&producer, &topic, &entries))
            .await?
            .map_err(|error| failed("Writing offsets", error, &self.claim.producer))?;
        let patience = transaction_timeout(&context.config);
        // The client's own way of waiting looks only every 100 ms, because another thread gets the acknowledgements.
        let in_flight = Arc::clone(&self.claim.in_flight);
        if tokio::time::timeout(patience, in_flight.drained()).await.is_err() {
            tracing::warn!(?patience, "Kafka does not acknowledge the records of the transaction.");
        }
        let producer = Arc::clone(&self.claim.producer);
        let committed = context
            .blocking(move || {
                let started = Instant::now();
                loop {
                    match producer.commit_transaction(CALL) {
                        Err(KafkaError::Transaction(error)) if error.is_retriable() && started.elapsed() < patience => {
                        }
                        result => return result,
                    }
                }
            })
            .await?;
        if let Err(error) = committed {
            return Err(failed("Committing a transaction", error, &self.claim.producer));
        }
        self.claim.open.store(false, Relaxed);
        Ok(std::mem::take(&mut self.records))
    }

    /// Drops what the transaction holds.
    pub(super) async fn abort(&mut self, context: &Context) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        self.records = 0;
        // Kafka may not have heard of the transaction yet, and then calls its end an error that no producer survives.
        let in_flight = Arc::clone(&self.claim.in_flight);
        drop(tokio::time::timeout(CALL, in_flight.drained()).await);
        let producer = Arc::clone(&self.claim.producer);
        context
            .blocking(move || producer.abort_transaction(CALL))
            .await?
            .map_err(|error| failed("Aborting a transaction", error, &self.claim.producer))?;
        self.claim.open.store(false, Relaxed);
        Ok(())
    }
}

impl Boundary {
    fn parse(config: &RawConfig, flush: Duration) -> Result<Self, Error> {
        let get = |key: &str| config.get(key).map(|text| text.trim());
        match get("transaction.boundary").unwrap_or("poll").to_ascii_lowercase().as_str() {
            "poll" => Ok(Self::Poll),
            "connector" => Ok(Self::Connector(Arc::default())),
            "interval" => {
                let key = "transaction.boundary.interval.ms";
                let interval = get(key).map(|text| {
                    text.parse().map(Duration::from_millis).map_err(|_| {
                        Error::config(format!("`{key}` is `{text}`; a number of milliseconds is expected"))
                    })
                });
                Ok(Self::Interval(interval.transpose()?.unwrap_or(flush)))
            }
            other => {
                Err(Error::config(format!("`transaction.boundary` is `{other}`; expected poll, interval or connector")))
            }
        }
    }
}

/// Java's default is a minute.
fn transaction_timeout(config: &RawConfig) -> Duration {
    let set = config.get("producer.override.transaction.timeout.ms").and_then(|text| text.trim().parse().ok());
    Duration::from_millis(set.unwrap_or(60_000))
}

fn send(producer: &Shared, topic: &str, entries: &[(Bytes, Option<Bytes>)]) -> Result<(), KafkaError> {
    for (key, value) in entries {
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, Token::UNTRACKED.into_usize()).key(key);
        if let Some(value) = value {
            record = record.payload(value);
        }
        let in_flight = &producer.client().context().in_flight;
        in_flight.sent();
        while let Err((error, back)) = producer.send(record) {
            if errors::code(&error) != Some(Code::QueueFull) {
                in_flight.unsent();
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(20));
            record = back;
        }
    }
    Ok(())
}

/// What a failed call means. A transaction that Kafka has ended because it took too long says what can be done.
fn failed(doing: &str, error: KafkaError, producer: &Shared) -> Error {
    let context = producer.client().context();
    if let Some(error) = context.in_flight.take_failure() {
        return error;
    }
    let fatal = producer.client().fatal_error().map(|(code, _)| code);
    if fatal == Some(Code::InvalidProducerEpoch) || errors::code(&error) == Some(Code::InvalidProducerEpoch) {
        let message = format!(
            "{doing} failed: the task did not finish its transaction before it expired, or a newer instance has taken over. If \
             it was too slow: raise `producer.override.transaction.timeout.ms`, lower \
             `transaction.boundary.interval.ms` where the boundary is `interval`, or use the boundary `poll`"
        );
        return Error::fatal(message).with_reason(errors::FENCED).with_source(error);
    }
    if let Some(code) = fatal {
        return classify(doing, KafkaError::MessageProduction(code), context.notes.take_last_error());
    }
    match classify(doing, error, context.notes.take_last_error()) {
        // The transaction's outcome is not known: only a new instance may go on.
        error if error.code() == ErrorCode::Retriable => error.with_reason(errors::UNREACHABLE),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Boundary, Error> {
        let config = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Boundary::parse(&config, Duration::from_secs(60))
    }

    #[test]
    fn boundaries_are_read_as_connect_reads_them() {
        assert!(matches!(parse(&[]), Ok(Boundary::Poll)));
        assert!(matches!(parse(&[("transaction.boundary", "CONNECTOR")]), Ok(Boundary::Connector(_))));
        let interval = |pairs: &[(&str, &str)]| match parse(pairs).unwrap() {
            Boundary::Interval(interval) => interval,
            _ => panic!("no interval"),
        };
        assert_eq!(interval(&[("transaction.boundary", "interval")]), Duration::from_secs(60));
        let pairs = [("transaction.boundary", "Interval"), ("transaction.boundary.interval.ms", "500")];
        assert_eq!(interval(&pairs), Duration::from_millis(500));
        assert!(parse(&[("transaction.boundary", "never")]).is_err());
        let pairs = [("transaction.boundary", "interval"), ("transaction.boundary.interval.ms", "soon")];
        assert!(parse(&pairs).is_err_and(|error| error.message().contains("transaction.boundary.interval.ms")));
    }
}
