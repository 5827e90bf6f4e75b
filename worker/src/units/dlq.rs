//! The dead letter queue: `errors.deadletterqueue.*` (KIP-298), which sources have here, too.
//!
//! A sink's letter is the record as it was read. A source's record that could not be converted has no bytes yet: its key
//! and value are written as JSON; one that Kafka refused is written as it was sent.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst},
};

use barnabas_connect::{Error, RawConfig};
use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::KafkaError,
    message::{DeliveryResult, Header, Headers, OwnedHeaders},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};

use super::{Closing, Context, errors::Stage, status::UnitStatus};
use crate::kafka::{
    admin::{TopicSpec, create_topic},
    context::ClientNotes,
    errors::{DENIED, classify, code},
};

const REPLICATION: &str = "errors.deadletterqueue.topic.replication.factor";
/// Connect's prefix of the context headers.
const PREFIX: &str = "__connect.errors.";

/// A record that could not be processed.
#[derive(Clone, Debug, Default)]
pub(super) struct Letter {
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Option<OwnedHeaders>,
    pub(super) timestamp: Option<i64>,
    /// Context headers that say where the record comes from, without their prefix.
    pub(super) origin: Vec<(&'static str, String)>,
}

impl Letter {
    /// Where the record comes from, for the log.
    pub(super) fn place(&self) -> String {
        self.origin.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
    }
}

/// Writes records that a task could not process to a topic.
pub(super) struct DeadLetters {
    topic: String,
    with_context: bool,
    connector: String,
    task: String,
    status: Arc<UnitStatus>,
    producer: Arc<Closing<ThreadedProducer<Reports>>>,
}

struct Reports {
    notes: ClientNotes,
    status: Arc<UnitStatus>,
    failed: Mutex<Option<KafkaError>>,
    in_flight: AtomicUsize,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.notes.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.notes.error(error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.in_flight.fetch_sub(1, SeqCst);
        if let Err((error, _)) = result {
            self.status.counters.dlq_failures.fetch_add(1, Relaxed);
            self.failed.lock().get_or_insert_with(|| error.clone());
        }
    }
}

/// The connector's dead letter queue, if it has one.
pub(super) fn topic(config: &RawConfig) -> Option<&str> {
    config.get("errors.deadletterqueue.topic.name").map(|topic| topic.trim()).filter(|topic| !topic.is_empty())
}

impl DeadLetters {
    /// Opens the queue, creating its topic, when the connector has one.
    pub(super) async fn open(context: &Context) -> Result<Option<Self>, Error> {
        let get = |key: &str| context.config.get(&format!("errors.deadletterqueue.{key}")).map(|v| v.trim());
        let Some(topic) = topic(&context.config) else { return Ok(None) };
        let replication = match get("topic.replication.factor") {
            None => 3,
            Some(text) => text.parse().map_err(|_| {
                Error::config(format!(
                    "`errors.deadletterqueue.topic.replication.factor` is `{text}`; a number is expected"
                ))
            })?,
        };
        let spec = TopicSpec { partitions: 1, replication, config: Default::default() };
        match create_topic(&context.shared.clients, Some(&context.config), topic, &spec, REPLICATION).await {
            Err(error) if error.reason() == DENIED => {
                tracing::warn!(%error, topic, "May not create the dead letter queue's topic.");
            }
            other => _ = other?,
        }
        let (connector, task) = (context.unit.name.clone(), context.task().to_string());
        let client_id = format!("connector-dlq-producer-{connector}-{task}");
        let reports = Reports {
            notes: ClientNotes::new(&context.unit.connector, context.unit.task),
            status: Arc::clone(&context.status),
            failed: Mutex::default(),
            in_flight: AtomicUsize::new(0),
        };
        let producer = context
            .shared
            .clients
            .producer(&context.config, &client_id)?
            .rdkafka
            .create_with_context(reports)
            .map_err(|error| classify("Creating the producer of the dead letter queue", error, None))?;
        Ok(Some(Self {
            topic: topic.to_owned(),
            with_context: get("context.headers.enable").is_some_and(|v| v.eq_ignore_ascii_case("true")),
            connector,
            task,
            status: Arc::clone(&context.status),
            producer: Arc::new(context.closing(producer)),
        }))
    }

    /// Sends one record there. [`DeadLetters::flush`] says whether Kafka has it.
    pub(super) async fn send(&self, letter: Letter, stage: Stage, error: &Error) -> Result<(), Error> {
        self.status.counters.dlq_requests.fetch_add(1, Relaxed);
        let mut headers = letter.headers.unwrap_or_else(|| OwnedHeaders::new_with_capacity(10));
        if self.with_context {
            headers = self.context_headers(headers, &letter.origin, stage, error);
        }
        let mut headers = (headers.count() > 0).then_some(headers);
        loop {
            let mut message = BaseRecord::<[u8], [u8]>::to(&self.topic);
            message.key = letter.key.as_deref();
            message.payload = letter.value.as_deref();
            message.timestamp = letter.timestamp;
            message.headers = headers.take();
            self.reports().in_flight.fetch_add(1, SeqCst);
            let Err((error, back)) = self.producer.send(message) else { return Ok(()) };
            self.reports().in_flight.fetch_sub(1, SeqCst);
            if code(&error) != Some(RDKafkaErrorCode::QueueFull) {
                self.status.counters.dlq_failures.fetch_add(1, Relaxed);
                return Err(self.failed(error));
            }
            headers = back.headers;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Waits until Kafka has everything: before that, no offset may be committed.
    pub(super) async fn flush(&self, context: &Context) -> Result<(), Error> {
        if self.reports().in_flight.load(SeqCst) > 0 {
            let producer = Arc::clone(&self.producer);
            let timeout = context.shared.config.offset_flush_timeout();
            context.blocking(move || producer.flush(timeout)).await?.map_err(|error| self.failed(error))?;
        }
        self.reports().failed.lock().take().map_or(Ok(()), |error| Err(self.failed(error)))
    }

    fn reports(&self) -> &Reports {
        self.producer.client().context()
    }

    fn failed(&self, error: KafkaError) -> Error {
        classify(
            &format!("Writing to the dead letter queue `{}`", self.topic),
            error,
            self.reports().notes.take_last_error(),
        )
    }

    fn context_headers(
        &self,
        headers: OwnedHeaders,
        origin: &[(&'static str, String)],
        stage: Stage,
        error: &Error,
    ) -> OwnedHeaders {
        let secrets = self.status.secrets();
        let trace = error.trace();
        let origin = origin.iter().map(|(name, value)| (*name, value.as_str().into()));
        let error = [
            ("connector.name", self.connector.as_str().into()),
            ("task.id", self.task.as_str().into()),
            ("stage", stage.name().into()),
            ("class.name", error.origin().unwrap_or_default().into()),
            ("exception.class.name", error.code().java_class().into()),
            ("exception.message", secrets.hide(error.message())),
            ("exception.stacktrace", secrets.hide(&trace)),
        ];
        origin.chain(error).fold(headers, |headers, (name, value)| {
            headers.insert(Header { key: &format!("{PREFIX}{name}"), value: Some(value.as_bytes()) })
        })
    }
}
