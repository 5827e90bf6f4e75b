//! A source task: poll, transform, convert, produce; commit what Kafka has acknowledged.
//!
//! Records go to librdkafka one batch at a time. When its queue is full the task
//! is not polled, so the outside system feels the backpressure. Offsets follow
//! acknowledgements (see [`super::acks`]) and are written by the task's own,
//! fenced writer, every `offset.flush.interval.ms` and once more at the end.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, SeqCst},
    },
    time::{Duration, Instant},
};

use barnabas_connect::{Data, Error, ErrorCode, Header, Record, SourceContext, SourcePosition, SourceTask, Str};
use bytes::Bytes;
use rdkafka::{
    message::{Header as KafkaHeader, OwnedHeaders},
    producer::{BaseRecord, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use tokio::time::MissedTickBehavior;

use super::{
    Closing, Context,
    acks::Token,
    delivery::{Delivery, InFlight},
    settings::{RecordSettings, Stage},
    source_offsets::{self, StoredOffsets},
};
use crate::kafka::{
    admin::{TopicCreation, create_topic},
    context::ClientNotes,
    errors::{DENIED, classify, code},
    offsets_writer::{OffsetsWriter, Target},
};

pub(super) async fn run(context: Context, mut task: Box<dyn SourceTask>) -> Result<(), Error> {
    // What only a person can mend fails before anything is opened.
    let settings = RecordSettings::build(&context.shared.registry, &context.config, &context.shared.config)?;
    let creation = topic_creation(&context)?;
    context.await_kafka().await?;
    source_offsets::ensure_topic(&context.shared, &source_offsets::topic(&context)).await?;
    // One writer for the unit's whole life: a second one would fence whoever may have taken over.
    let writer = Arc::clone(context.writer.get_or_try_init(|| open_writer(&context)).await?);
    let offsets = Arc::new(StoredOffsets::cached(&context));

    let in_flight = InFlight::new(Arc::clone(&context.status), settings.errors.tolerate);
    let (connector, id) = (context.unit.name.as_str(), context.task());
    let client = context.shared.clients.producer(&context.config, &format!("connector-producer-{connector}-{id}"))?;
    let producer: ThreadedProducer<Delivery> = client
        .rdkafka
        .create_with_context(Delivery {
            notes: ClientNotes::new(&context.unit.connector, context.unit.task),
            in_flight: Arc::clone(&in_flight),
        })
        .map_err(|error| classify("Creating the producer", error, None))?;
    let producer = context.closing(producer);

    let handed = SourceContext::new(context.unit.name.clone(), id, Arc::clone(&offsets) as _);
    let mut running = Running {
        context: context.clone(),
        settings,
        creation,
        topics: HashSet::new(),
        producer,
        in_flight,
        offsets,
        writer,
        confirmed: Vec::new(),
    };
    let result = match task.start(handed, (*context.config).clone()).await {
        Ok(()) => running.go(task.as_mut()).await,
        Err(error) => Err(error),
    };
    task.stop().await;
    result
}

async fn open_writer(context: &Context) -> Result<Arc<Closing<OffsetsWriter>>, Error> {
    let shared = Arc::clone(&context.shared);
    let config = Arc::clone(&context.config);
    let (name, task) = (context.unit.name.clone(), context.task());
    let target = Target {
        // Connect's own id (KIP-618), so that each fences the other when a connector moves over.
        transactional_id: (!shared.clients.embedded).then(|| format!("{}-{name}-{task}", shared.config.group_id)),
        topic: source_offsets::topic(context),
        connector: name,
        task,
        timeout: shared.config.offset_flush_timeout(),
    };
    let writer = context.blocking(move || OffsetsWriter::open(&shared.clients, &config, target)).await??;
    Ok(Arc::new(context.closing(writer)))
}

fn topic_creation(context: &Context) -> Result<Option<TopicCreation>, Error> {
    if !context.shared.config.topic_creation_enabled() {
        return Ok(None);
    }
    let parse = |config| TopicCreation::parse(config).map_err(|errors| barnabas_connect::config::combine(&errors));
    let creation = parse(&context.config)?;
    if creation.is_none() && context.shared.clients.embedded {
        // A Kafka broker makes topics by itself unless it is told not to; the embedded one cannot.
        let by_itself = ["partitions", "replication.factor"];
        return parse(&by_itself.map(|key| (format!("topic.creation.default.{key}"), "1".to_owned())).into());
    }
    Ok(creation)
}

/// A record as Kafka takes it.
struct Outgoing {
    topic: Str,
    partition: Option<i32>,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Option<OwnedHeaders>,
    timestamp: Option<i64>,
    token: Token,
}

struct Running {
    context: Context,
    settings: RecordSettings,
    creation: Option<TopicCreation>,
    /// Topics that were seen, and created where that was asked for.
    topics: HashSet<Str>,
    producer: Closing<ThreadedProducer<Delivery>>,
    in_flight: Arc<InFlight>,
    offsets: Arc<StoredOffsets>,
    writer: Arc<Closing<OffsetsWriter>>,
    /// Committed, and the task was not told yet.
    confirmed: Vec<SourcePosition>,
}

/// Of the topics that records are written to.
const REPLICATION: &str = "topic.creation.default.replication.factor";
/// How long a poll may go on before the task is told of a commit.
const CONFIRM: Duration = Duration::from_secs(1);

/// How waiting for a poll ended.
enum Polled {
    Done(Result<Vec<Record>, Error>),
    /// The poll was dropped, or not begun; look again.
    Again,
    Stop(Result<(), Error>),
}

async fn pending_or<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

impl Running {
    async fn go(&mut self, task: &mut dyn SourceTask) -> Result<(), Error> {
        let context = self.context.clone();
        let in_flight = Arc::clone(&self.in_flight);
        let mut target = context.target.clone();
        let period = context.shared.config.offset_flush_interval().max(Duration::from_millis(1));
        let mut flush = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pause = Duration::from_millis(100);
        context.show_target();
        let outcome = loop {
            if let Err(error) = self.confirm(task).await {
                break Err(error);
            }
            let started = Instant::now();
            let mut poll = (!context.paused()).then(|| task.poll());
            let polled = loop {
                tokio::select! {
                    biased;
                    () = context.stop.cancelled() => break Polled::Stop(Ok(())),
                    error = in_flight.failure() => break Polled::Stop(Err(error)),
                    changed = target.changed() => {
                        if changed.is_err() {
                            break Polled::Stop(Ok(()));
                        }
                        context.show_target();
                        break Polled::Again;
                    }
                    _ = flush.tick() => {
                        if let Err(error) = self.commit().await {
                            break Polled::Stop(Err(error));
                        }
                    }
                    // The task is told of commits between polls. A poll that waits for news must not
                    // hold that up; one that is just at work is left in peace, and is never dropped twice
                    // for the same commit, so that a slow one gets done.
                    () = tokio::time::sleep(CONFIRM), if !self.confirmed.is_empty() => break Polled::Again,
                    result = pending_or(&mut poll) => break Polled::Done(result),
                }
            };
            drop(poll);
            match polled {
                Polled::Stop(outcome) => break outcome,
                Polled::Again => {}
                Polled::Done(Ok(records)) if records.is_empty() => {
                    // The task should have waited; it must not spin a core all the same.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Polled::Done(Ok(records)) => {
                    context.status.counters.batches.observe(started.elapsed());
                    context.status.counters.polled.fetch_add(records.len() as u64, Relaxed);
                    pause = Duration::from_millis(100);
                    context.status.clear_error();
                    if let Err(error) = self.send(records).await {
                        break Err(error);
                    }
                }
                Polled::Done(Err(error)) if error.code() == ErrorCode::Retriable => {
                    context.status.counters.retries.fetch_add(1, Relaxed);
                    context.status.warn(&error);
                    tracing::warn!(%error, retry_in = ?pause, "Polling failed and is tried again.");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = context.stop.cancelled() => break Ok(()),
                    }
                    pause = (pause * 2).min(Duration::from_secs(30));
                }
                Polled::Done(Err(error)) => break Err(error),
            }
        };
        self.finish(task, outcome).await
    }

    /// Tells the task what was committed since it was told last.
    async fn confirm(&mut self, task: &mut dyn SourceTask) -> Result<(), Error> {
        if self.confirmed.is_empty() {
            return Ok(());
        }
        task.committed(&std::mem::take(&mut self.confirmed)).await
    }

    /// Waits, within bounds, for what is in flight, and commits what Kafka has.
    async fn finish(&mut self, task: &mut dyn SourceTask, outcome: Result<(), Error>) -> Result<(), Error> {
        let patience = self.context.shared.config.graceful_timeout().mul_f32(0.6);
        if tokio::time::timeout(patience, self.in_flight.drained()).await.is_err() {
            let pending = self.in_flight.tracker.lock().pending();
            tracing::warn!(pending, "Kafka has not acknowledged everything; the rest will be read again.");
        }
        let committed = match self.commit().await {
            Ok(()) => self.confirm(task).await,
            failed => failed,
        };
        match (outcome, committed) {
            (Ok(()), committed) => committed,
            (Err(error), Ok(())) => Err(error),
            (Err(error), Err(second)) => {
                tracing::warn!(error = %second, "Could not commit offsets after the failure either.");
                Err(error)
            }
        }
    }

    /// Transforms, converts and produces a batch. Returns early when asked to stop: what was not
    /// sent was not acknowledged, and is read again.
    async fn send(&mut self, records: Vec<Record>) -> Result<(), Error> {
        let mut outgoing = Vec::with_capacity(records.len());
        let mut failure = None;
        let mut positions = Vec::with_capacity(records.len());
        for mut record in records {
            let position = record.source.clone();
            let converted = match transform_and_convert(&mut self.settings, &mut record) {
                Ok(converted) => converted,
                Err((stage, error)) => {
                    let place = || match &position {
                        Some(position) => format!("{} at {}", position.partition, position.offset),
                        None => record.topic.to_string(),
                    };
                    if let Err(error) = self.settings.errors.record_failed(&self.context.status, stage, error, place) {
                        // As in Connect, the records before the bad one still go out.
                        failure = Some(error);
                        break;
                    }
                    None
                }
            };
            positions.push((position, converted.is_some()));
            outgoing.extend(converted);
        }
        self.track(&mut outgoing, positions);
        for record in outgoing {
            if !self.topics.contains(&record.topic) {
                self.new_topic(&record.topic).await?;
            }
            if !self.produce(record).await? {
                return Ok(());
            }
        }
        self.context.status.counters.active.store(self.in_flight.tracker.lock().pending() as u64, Relaxed);
        failure.map_or(Ok(()), Err)
    }

    /// Numbers the records in the order of the source; what is not sent counts as done.
    fn track(&self, outgoing: &mut [Outgoing], positions: Vec<(Option<SourcePosition>, bool)>) {
        let mut tracker = self.in_flight.tracker.lock();
        let mut sent = outgoing.iter_mut();
        for (position, is_sent) in positions {
            let token = position.as_ref().map_or(Token::UNTRACKED, |position| tracker.submit(position));
            match is_sent.then(|| sent.next()).flatten() {
                Some(record) => record.token = token,
                None => _ = tracker.acknowledge(token),
            }
        }
    }

    /// Hands one record to librdkafka, waiting for room. False when the unit is stopping.
    async fn produce(&mut self, record: Outgoing) -> Result<bool, Error> {
        let mut headers = record.headers;
        loop {
            let mut message = BaseRecord::<[u8], [u8], usize>::with_opaque_to(&record.topic, record.token.into_usize());
            message.partition = record.partition;
            message.timestamp = record.timestamp;
            message.key = record.key.as_deref();
            message.payload = record.value.as_deref();
            message.headers = headers.take();
            self.in_flight.sent();
            let Err((error, back)) = self.producer.send(message) else { return Ok(true) };
            self.in_flight.unsent();
            headers = back.headers;
            if code(&error) == Some(RDKafkaErrorCode::QueueFull) && !self.in_flight.is_empty() {
                tokio::select! {
                    () = self.context.stop.cancelled() => return Ok(false),
                    () = self.in_flight.room() => {}
                }
                // What woke this up may have been a failed delivery.
                if let Some(error) = self.in_flight.take_failure() {
                    return Err(error);
                }
                continue;
            }
            let error = classify(&format!("Writing a record to `{}`", record.topic), error, None);
            self.context.status.record_failed();
            if !self.settings.errors.tolerate || error.code() != ErrorCode::Data {
                return Err(error);
            }
            self.context.status.counters.skipped.fetch_add(1, SeqCst);
            self.in_flight.tracker.lock().acknowledge(record.token);
            return Ok(true);
        }
    }

    /// Creates a topic as the connector's `topic.creation.*` says (KIP-158).
    async fn new_topic(&mut self, topic: &Str) -> Result<(), Error> {
        self.context.status.add_topic(topic);
        if let Some(spec) = self.creation.as_ref().and_then(|creation| creation.spec(topic)) {
            match create_topic(&self.context.shared.clients, Some(&self.context.config), topic, spec, REPLICATION).await
            {
                Ok(_) => {}
                Err(error) if error.reason() == DENIED => {
                    tracing::warn!(%error, topic = %topic, "May not create the topic; leaving it to the broker.");
                }
                Err(error) => return Err(error),
            }
        }
        self.topics.insert(topic.clone());
        Ok(())
    }

    /// Writes the offsets of acknowledged records. Fails only for good; else the next commit tries again.
    async fn commit(&mut self) -> Result<(), Error> {
        if self.context.shared.reach.borrow().error.is_some() {
            return Ok(()); // Known to be in vain; a transaction begun now would only time out.
        }
        let positions = self.in_flight.tracker.lock().take_committable();
        if positions.is_empty() {
            return Ok(());
        }
        let counters = &self.context.status.counters;
        let started = Instant::now();
        let entries = self.offsets.encode(&positions).await;
        let (writer, batch) = (Arc::clone(&self.writer), entries.clone());
        let written = self.context.blocking(move || writer.write(&batch)).await.and_then(|result| result);
        if let Err(error) = written {
            counters.commit_failures.fetch_add(1, Relaxed);
            self.in_flight.tracker.lock().restore(positions);
            if error.code() != ErrorCode::Retriable {
                return Err(error);
            }
            tracing::warn!(%error, "Offsets were not committed; the next commit tries again.");
            return Ok(());
        }
        counters.commits.observe(started.elapsed());
        self.offsets.written(&positions, &entries).await;
        for position in &positions {
            self.context.status.set_position(position.partition.to_string(), position.offset.to_string());
        }
        tracing::debug!(partitions = positions.len(), "Committed source offsets.");
        let newer: HashSet<_> = positions.iter().map(|p| Arc::as_ptr(&p.partition)).collect();
        self.confirmed.retain(|p| !newer.contains(&Arc::as_ptr(&p.partition)));
        self.confirmed.extend(positions);
        Ok(())
    }
}

fn transform_and_convert(
    settings: &mut RecordSettings,
    record: &mut Record,
) -> Result<Option<Outgoing>, (Stage, Error)> {
    let transformed = if settings.chain.is_empty() {
        std::mem::take(record)
    } else {
        match settings.chain.apply(std::mem::take(record)).map_err(|e| (Stage::Transformation, e))? {
            Some(record) => record,
            None => return Ok(None),
        }
    };
    let Record { topic, partition, key, value, mut headers, timestamp, .. } = transformed;
    let key = settings.key.from_connect(&topic, &mut headers, &key).map_err(|e| (Stage::KeyConverter, e))?;
    let value = settings.value.from_connect(&topic, &mut headers, &value).map_err(|e| (Stage::ValueConverter, e))?;
    let headers = convert_headers(settings, &topic, headers).map_err(|e| (Stage::HeaderConverter, e))?;
    Ok(Some(Outgoing { topic, partition, key, value, headers, timestamp, token: Token::UNTRACKED }))
}

fn convert_headers(
    settings: &RecordSettings,
    topic: &str,
    headers: Vec<Header>,
) -> Result<Option<OwnedHeaders>, Error> {
    if headers.is_empty() {
        return Ok(None);
    }
    let mut out = OwnedHeaders::new_with_capacity(headers.len());
    for Header { key, schema, value } in headers {
        let bytes = settings.header.from_connect_header(topic, &key, &Data { schema, value })?;
        out = out.insert(KafkaHeader { key: key.as_str(), value: bytes.as_deref() });
    }
    Ok(Some(out))
}
