//! Writing source offsets, fenced by Kafka.
//!
//! Every source task writes its offsets in transactions under Connect's own
//! transactional id, `<group.id>-<connector>-<task>` (KIP-618), for at-least-once
//! sources too: opening the writer fences the task's previous instance wherever
//! it still runs, so that a zombie can repeat records but never turn offsets back.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use barnabas_connect::{Error, RawConfig};
use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::DeliveryResult,
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
};

use super::{
    clients::ClientFactory,
    context::ClientNotes,
    errors::{self, classify},
};

/// Whose offsets are written, and where.
#[derive(Clone, Debug)]
pub struct Target {
    /// The connector's name towards Kafka.
    pub connector: String,
    /// The task.
    pub task: u32,
    /// The offsets topic.
    pub topic: String,
    /// `<group.id>-<connector>-<task>`; `None` where the broker has no transactions.
    pub transactional_id: Option<String>,
    /// Bound of each call to Kafka.
    pub timeout: Duration,
}

/// A task's own writer. All calls block; after an error other than a retriable one it is of no more use.
pub struct OffsetsWriter {
    producer: BaseProducer<Context>,
    target: Target,
    /// A transaction was begun and its outcome is not known.
    open: AtomicBool,
}

struct Context {
    notes: ClientNotes,
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.notes.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.notes.error(error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failed.lock().get_or_insert_with(|| error.clone());
        }
    }
}

/// Why a transactional writer cannot be opened.
enum Refusal {
    TransactionalId,
    Error(Error),
}

impl OffsetsWriter {
    /// Opens the writer and fences the previous instance of the task.
    ///
    /// A broker that denies the transactional id leaves the offsets unfenced: said in a warning,
    /// because Connect's at-least-once sources need no such permission.
    pub fn open(clients: &ClientFactory, config: &RawConfig, target: Target) -> Result<Self, Error> {
        if target.transactional_id.is_some() {
            let writer = Self::create(clients, config, target.clone())?;
            match writer.fence() {
                Ok(()) => return Ok(writer),
                Err(Refusal::Error(error)) => return Err(error),
                Err(Refusal::TransactionalId) => tracing::warn!(
                    connector = %target.connector,
                    task = target.task,
                    transactional_id = target.transactional_id,
                    "Kafka denies the transactional id: offsets are written without a fence. Allow Describe and Write on it."
                ),
            }
        }
        Self::create(clients, config, Target { transactional_id: None, ..target })
    }

    /// Fences whoever writes under the transactional id, as Kafka's `Admin.fenceProducers` does. False where the broker
    /// denies the id, or has none.
    pub fn fence_off(clients: &ClientFactory, config: &RawConfig, target: Target) -> Result<bool, Error> {
        if target.transactional_id.is_none() {
            return Ok(false);
        }
        match Self::create(clients, config, target)?.fence() {
            Ok(()) => Ok(true),
            Err(Refusal::TransactionalId) => Ok(false),
            Err(Refusal::Error(error)) => Err(error),
        }
    }

    /// Writes keys and offsets, all or (with transactions) none, and waits until Kafka has them.
    /// `None` as an offset deletes it.
    pub fn write(&self, entries: &[(Bytes, Option<Bytes>)]) -> Result<(), Error> {
        let transactional = self.target.transactional_id.is_some();
        let result = if transactional { self.write_in_transaction(entries) } else { self.send_and_flush(entries) };
        result.map_err(|error| {
            self.producer.poll(Duration::ZERO);
            let doing = format!("Writing offsets to `{}`", self.target.topic);
            // A fenced producer's flush fails in many ways; the client itself remembers why.
            if let Some((code, _)) = self.producer.client().fatal_error()
                && matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
            {
                return classify(&doing, KafkaError::MessageProduction(code), None);
            }
            classify(&doing, error, self.producer.context().notes.take_last_error())
        })
    }

    fn create(clients: &ClientFactory, config: &RawConfig, target: Target) -> Result<Self, Error> {
        let Target { connector, task, timeout, .. } = &target;
        let client_id = format!("connector-producer-offsets-{connector}-{task}");
        let settings =
            clients.offsets_producer(config, &client_id, target.transactional_id.as_deref(), timeout.as_millis())?;
        let context = Context { notes: ClientNotes::new(connector, Some(*task)), failed: Mutex::default() };
        let producer = settings
            .rdkafka
            .create_with_context(context)
            .map_err(|error| classify("Creating the offsets producer", error, None))?;
        Ok(Self { producer, target, open: AtomicBool::new(false) })
    }

    fn fence(&self) -> Result<(), Refusal> {
        self.producer.init_transactions(self.target.timeout.max(Duration::from_secs(30))).map_err(|error| {
            self.producer.poll(Duration::ZERO);
            if errors::code(&error) == Some(Code::TransactionalIdAuthorizationFailed) {
                return Refusal::TransactionalId;
            }
            let hint = self.producer.context().notes.take_last_error();
            Refusal::Error(classify("Taking over the transactional id", error, hint))
        })
    }

    fn write_in_transaction(&self, entries: &[(Bytes, Option<Bytes>)]) -> Result<(), KafkaError> {
        if self.open.load(Relaxed) {
            // The outcome of the last transaction is not known yet: asking again settles it.
            self.settle(self.commit())?;
        }
        self.producer.begin_transaction()?;
        self.open.store(true, Relaxed);
        self.settle(self.send(entries).and_then(|()| self.commit()))
    }

    fn commit(&self) -> Result<(), KafkaError> {
        self.producer.commit_transaction(self.target.timeout.max(Duration::from_secs(10)))?;
        self.failure()
    }

    /// Closes the transaction, unless Kafka could not be asked.
    fn settle(&self, result: Result<(), KafkaError>) -> Result<(), KafkaError> {
        let Err(error) = result else {
            self.open.store(false, Relaxed);
            return Ok(());
        };
        let retriable = match &error {
            KafkaError::Transaction(inner) => inner.is_retriable(),
            KafkaError::Flush(code) => *code == Code::OperationTimedOut,
            _ => false,
        };
        if !retriable && !errors::is_fenced(&error) && self.producer.client().fatal_error().is_none() {
            self.producer.abort_transaction(self.target.timeout.max(Duration::from_secs(10)))?;
            self.open.store(false, Relaxed);
            self.producer.context().failed.lock().take();
        }
        Err(error)
    }

    fn send_and_flush(&self, entries: &[(Bytes, Option<Bytes>)]) -> Result<(), KafkaError> {
        self.send(entries)?;
        self.producer.flush(self.target.timeout)?;
        self.failure()
    }

    fn send(&self, entries: &[(Bytes, Option<Bytes>)]) -> Result<(), KafkaError> {
        for (key, value) in entries {
            let mut record = BaseRecord::<[u8], [u8]>::to(&self.target.topic).key(key);
            if let Some(value) = value {
                record = record.payload(value);
            }
            while let Err((error, back)) = self.producer.send(record) {
                if errors::code(&error) != Some(Code::QueueFull) {
                    return Err(error);
                }
                self.producer.poll(Duration::from_millis(100));
                record = back;
            }
        }
        Ok(())
    }

    fn failure(&self) -> Result<(), KafkaError> {
        self.producer.context().failed.lock().take().map_or(Ok(()), Err)
    }
}
