//! A source task: poll, transform, convert, produce; commit what Kafka has acknowledged.
//!
//! Records go to librdkafka one batch at a time. When its queue is full the task
//! is not polled, so the outside system feels the backpressure. Offsets follow
//! acknowledgements (see [`super::acks`]) and are written by the task's own,
//! fenced writer, every `offset.flush.interval.ms` and once more at the end; with
//! exactly-once support they are part of the records' own transaction instead.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use barnabas_connect::{
    Error, ErrorCode, Record, SourceContext, SourcePosition, SourceTask, Str, Transaction, config::combine,
};
use rdkafka::{
    producer::{BaseRecord, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use tokio::time::MissedTickBehavior;

use super::{
    Closing, Context,
    acks::Token,
    delivery::{Delivery, Event, InFlight, Rejected},
    dlq::{self, DeadLetters, Letter},
    errors::{ErrorHandler, NoResult, Stage},
    settings::RecordSettings,
    source_offsets::{self, StoredOffsets},
    source_records::{self, Outgoing},
    transactions::{Claim, Transactions},
};
use crate::kafka::{
    admin::{TopicCreation, create_topic},
    context::ClientNotes,
    errors::{DENIED, FENCED, TOO_LARGE, classify, code},
    keys::Client,
    offsets_writer::{OffsetsWriter, Target},
};

/// Transactional ids that are fenced at the same time.
const FENCED_AT_ONCE: usize = 8;

pub(super) async fn run(context: Context, mut task: Box<dyn SourceTask>) -> Result<(), Error> {
    // What only a person can mend fails before anything is opened.
    let settings = RecordSettings::build(&context.shared.registry, &context.config, &context.shared.config)?;
    let creation = topic_creation(&context)?;
    context.await_kafka().await?;
    let makes_topics = creation.is_some() || dlq::topic(&context.config).is_some();
    let clients: &[Client] = if makes_topics { &[Client::Producer, Client::Admin] } else { &[Client::Producer] };
    context.await_overrides(clients).await?;
    source_offsets::ensure_topic(&context.shared, &source_offsets::topic(&context)).await?;
    let dead_letters = DeadLetters::open(&context).await?.map(Arc::new);
    let errors =
        ErrorHandler::new(settings.errors.clone(), dead_letters, Arc::clone(&context.status), context.stop.clone());
    let offsets = Arc::new(StoredOffsets::cached(&context));

    // Either fences the task's previous instance, so that nobody else moves the offsets that are read from here on. Either is
    // for the unit's whole life: a second one would fence whoever may have taken over.
    let (producer, in_flight, guarantee) = if context.shared.config.exactly_once_sources() {
        let claim = context.claim.get_or_try_init(|| claim(&context)).await?.clone();
        let (producer, in_flight) = (Arc::clone(&claim.producer), Arc::clone(&claim.in_flight));
        let topic = source_offsets::topic(&context);
        (producer, in_flight, Guarantee::ExactlyOnce(Transactions::begin(&context, claim, topic).await?))
    } else {
        let writer = Arc::clone(context.writer.get_or_try_init(|| open_writer(&context)).await?);
        let (producer, in_flight) = producer(&context, settings.errors.tolerate, None)?;
        (producer, in_flight, Guarantee::AtLeastOnce(writer))
    };
    let mut handed = SourceContext::new(context.unit.name.clone(), context.task(), Arc::clone(&offsets) as _);
    if let Guarantee::ExactlyOnce(transactions) = &guarantee
        && let Some(bounds) = transactions.context()
    {
        handed = handed.with_transactions(bounds);
    }
    let mut running = Running {
        context: context.clone(),
        settings,
        creation,
        topics: HashSet::new(),
        producer,
        in_flight,
        errors,
        offsets,
        guarantee,
        confirmed: Vec::new(),
    };
    let result = match task.start(handed, (*context.config).clone()).await {
        Ok(()) => running.go(task.as_mut()).await,
        Err(error) => Err(error),
    };
    task.stop().await;
    result
}

/// The producer of a task's records.
fn producer(
    context: &Context,
    tolerate: bool,
    transactional_id: Option<&str>,
) -> Result<(Sending, Arc<InFlight>), Error> {
    let in_flight = InFlight::new(Arc::clone(&context.status), tolerate);
    let client_id = format!("connector-producer-{}-{}", context.unit.name, context.task());
    let clients = &context.shared.clients;
    let client = match transactional_id {
        Some(id) => clients.transactional_producer(&context.config, &client_id, id)?,
        None => clients.producer(&context.config, &client_id)?,
    };
    let notes = ClientNotes::new(&context.unit.connector, context.unit.task);
    let producer = client
        .rdkafka
        .create_with_context(Delivery { notes, in_flight: Arc::clone(&in_flight) })
        .map_err(|error| classify("Creating the producer", error, None))?;
    Ok((Arc::new(context.closing(producer)), in_flight))
}

/// A task's offsets.
fn target(context: &Context, task: u32) -> Target {
    let shared = &context.shared;
    Target {
        transactional_id: (!shared.clients.embedded).then(|| transactional_id(context, task)),
        topic: source_offsets::topic(context),
        connector: context.unit.name.clone(),
        task,
        timeout: shared.config.offset_flush_timeout(),
    }
}

/// Fences tasks of an earlier plan: whatever of them still runs somewhere writes neither offsets nor, with exactly-once
/// support, records any more.
pub(super) async fn fence_off(context: &Context, tasks: &[u32]) -> Result<(), Error> {
    context.await_kafka().await?;
    context.await_overrides(&[Client::Producer]).await?;
    let fence = |task: u32| {
        let shared = Arc::clone(&context.shared);
        let (config, target) = (Arc::clone(&context.config), target(context, task));
        context.blocking(move || OffsetsWriter::fence_off(&shared.clients, &config, target))
    };
    for tasks in tasks.chunks(FENCED_AT_ONCE) {
        for (fenced, task) in
            futures::future::join_all(tasks.iter().map(|task| fence(*task))).await.into_iter().zip(tasks)
        {
            if fenced?? || context.shared.clients.embedded {
                continue;
            }
            let id = transactional_id(context, *task);
            if context.shared.config.exactly_once_sources() {
                return Err(Error::config(format!(
                    "Kafka denies the transactional id `{id}`, under which task {task} of the previous plan may still \
                     write; allow Describe and Write on it"
                )));
            }
            tracing::warn!(
                task,
                transactional_id = id,
                "Kafka denies the transactional id: if the task of the previous plan still runs, its offsets are not fenced."
            );
        }
    }
    Ok(())
}

async fn claim(context: &Context) -> Result<Claim, Error> {
    // A record that Kafka refuses takes all of its transaction with it: nothing to tolerate.
    let (producer, in_flight) = producer(context, false, Some(&transactional_id(context, context.task())))?;
    Claim::new(context, producer, in_flight).await
}

async fn open_writer(context: &Context) -> Result<Arc<Closing<OffsetsWriter>>, Error> {
    let shared = Arc::clone(&context.shared);
    let config = Arc::clone(&context.config);
    let target = target(context, context.task());
    let writer = context.blocking(move || OffsetsWriter::open(&shared.clients, &config, target)).await??;
    Ok(Arc::new(context.closing(writer)))
}

/// Connect's own (KIP-618), so that each fences the other when a connector moves over.
fn transactional_id(context: &Context, task: u32) -> String {
    format!("{}-{}-{task}", context.shared.config.group_id, context.unit.name)
}

fn topic_creation(context: &Context) -> Result<Option<TopicCreation>, Error> {
    if !context.shared.config.topic_creation_enabled() {
        return Ok(None);
    }
    let parse = |config| TopicCreation::parse(config).map_err(|errors| combine(&errors));
    let creation = parse(&context.config)?;
    if creation.is_none() && context.shared.clients.embedded {
        // A Kafka broker makes topics by itself unless it is told not to; the embedded one cannot.
        let by_itself = ["partitions", "replication.factor"];
        return parse(&by_itself.map(|key| (format!("topic.creation.default.{key}"), "1".to_owned())).into());
    }
    Ok(creation)
}

type Sending = Arc<Closing<ThreadedProducer<Delivery>>>;

/// How the offsets get to Kafka.
enum Guarantee {
    /// After their records.
    AtLeastOnce(Arc<Closing<OffsetsWriter>>),
    /// With their records.
    ExactlyOnce(Transactions),
}

struct Running {
    context: Context,
    settings: RecordSettings,
    creation: Option<TopicCreation>,
    /// Topics that were seen, and created where that was asked for.
    topics: HashSet<Str>,
    producer: Sending,
    in_flight: Arc<InFlight>,
    errors: ErrorHandler,
    offsets: Arc<StoredOffsets>,
    guarantee: Guarantee,
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
    /// The target state changed.
    Target,
    Rejected(Vec<Rejected>),
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
                    event = in_flight.event() => break match event {
                        Event::Failed(error) => Polled::Stop(Err(error)),
                        Event::Rejected(records) => Polled::Rejected(records),
                    },
                    changed = target.changed() => {
                        if changed.is_err() {
                            break Polled::Stop(Ok(()));
                        }
                        break Polled::Target;
                    }
                    _ = flush.tick(), if matches!(self.guarantee, Guarantee::AtLeastOnce(_)) => {
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
                Polled::Target => {
                    // An open transaction would keep readers waiting for as long as the task is paused.
                    if context.paused()
                        && let Err(error) = self.commit_early().await
                    {
                        break Err(error);
                    }
                    context.show_target();
                }
                Polled::Rejected(records) => {
                    if let Err(error) = self.rejected(records).await {
                        break Err(error);
                    }
                }
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
        if let (Guarantee::ExactlyOnce(transactions), Err(error)) = (&mut self.guarantee, &outcome) {
            // Else readers would wait until Kafka ends it. Nobody who was fenced may end anything.
            if error.reason() != FENCED
                && let Err(second) = transactions.abort(&self.context).await
            {
                tracing::warn!(error = %second, "The transaction could not be aborted after the failure.");
            }
            return outcome;
        }
        let patience = self.context.shared.config.graceful_timeout().mul_f32(0.6);
        if tokio::time::timeout(patience, self.in_flight.drained()).await.is_err() {
            let pending = self.in_flight.tracker.lock().pending();
            tracing::warn!(pending, "Kafka has not acknowledged everything; the rest will be read again.");
        }
        let rejected = self.in_flight.take_rejected();
        let committed = match self.rejected(rejected).await.and(self.commit_early().await) {
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

    /// Sends a batch, in as many parts as it has transactions.
    async fn send(&mut self, mut records: Vec<Record>) -> Result<(), Error> {
        let cuts = match &mut self.guarantee {
            Guarantee::AtLeastOnce(_) => Vec::new(),
            Guarantee::ExactlyOnce(transactions) => transactions.cuts(records.len()),
        };
        let mut sent = 0;
        for (at, what) in cuts {
            let rest = records.split_off(at - sent);
            if !self.send_part(std::mem::replace(&mut records, rest)).await? {
                return Ok(());
            }
            sent = at;
            if let (Transaction::Abort, Guarantee::ExactlyOnce(transactions)) = (what, &mut self.guarantee) {
                tracing::info!("The connector drops a transaction.");
                transactions.abort(&self.context).await?;
            }
            // After an abort as well: the task is not to read the same records again.
            self.commit_transaction().await?;
        }
        self.send_part(records).await.map(drop)
    }

    /// Transforms, converts and produces records. False when it ended early because the unit is to stop: what was not sent
    /// was not acknowledged, and is read again.
    async fn send_part(&mut self, records: Vec<Record>) -> Result<bool, Error> {
        let mut outgoing = Vec::with_capacity(records.len());
        let mut failure = None;
        let mut stopping = false;
        let mut positions = Vec::with_capacity(records.len());
        // What an error needs is kept only where errors have consequences beyond failing the task.
        let keep = self.errors.policy.keeps_records();
        for record in records {
            let position = record.source.clone();
            let kept = keep.then(|| record.clone());
            let converted = match source_records::outgoing(&mut self.settings, record) {
                Err(failed) => {
                    let kept = || kept.clone().expect("records are kept where attempts are repeated");
                    let again = || source_records::outgoing(&mut self.settings, kept());
                    self.errors.retry(failed, again).await
                }
                Ok(done) => Ok(done),
            };
            let converted = match converted {
                Ok(converted) => converted,
                Err(NoResult::Stopping) => {
                    stopping = true;
                    break;
                }
                Err(NoResult::Failed((stage, error))) => {
                    let letter = || kept.as_ref().map_or_else(Letter::default, source_records::letter);
                    if let Err(error) = self.errors.failed(stage, error, letter).await {
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
                return Ok(false);
            }
        }
        self.context.status.counters.active.store(self.in_flight.tracker.lock().pending() as u64, Relaxed);
        failure.map_or(Ok(!stopping), Err)
    }

    /// Records that Kafka refused, and that may be skipped.
    async fn rejected(&mut self, records: Vec<Rejected>) -> Result<(), Error> {
        for Rejected { token, error, letter } in records {
            self.errors.failed(Stage::KafkaProduce, error, || letter).await?;
            self.in_flight.tracker.lock().acknowledge(token);
        }
        Ok(())
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
        if let Guarantee::ExactlyOnce(transactions) = &mut self.guarantee {
            transactions.record(&record.topic)?;
        }
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
            let fits = error.reason() != TOO_LARGE;
            let letter = || Letter {
                key: record.key,
                value: record.value.filter(|_| fits),
                headers,
                timestamp: record.timestamp,
                origin: source_records::origin(&record.topic, None),
            };
            self.errors.failed(Stage::KafkaProduce, error, letter).await?;
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

    /// Commits what does not have to wait: before a pause, and at the end.
    async fn commit_early(&mut self) -> Result<(), Error> {
        match &self.guarantee {
            Guarantee::AtLeastOnce(_) => self.commit().await,
            Guarantee::ExactlyOnce(transactions) if transactions.commits_early() => self.commit_transaction().await,
            Guarantee::ExactlyOnce(_) => Ok(()),
        }
    }

    /// Commits the records that were sent, with their offsets.
    async fn commit_transaction(&mut self) -> Result<(), Error> {
        let Guarantee::ExactlyOnce(transactions) = &mut self.guarantee else { return Ok(()) };
        let positions = self.in_flight.tracker.lock().take_all();
        if positions.is_empty() && transactions.is_empty() {
            return Ok(());
        }
        self.errors.flush(&self.context).await?;
        let counters = &self.context.status.counters;
        let started = Instant::now();
        let entries = self.offsets.encode(&positions).await;
        match transactions.commit(&self.context, entries.clone()).await {
            Ok(records) => counters.transactions.observe(records),
            Err(error) => {
                counters.commit_failures.fetch_add(1, Relaxed);
                return Err(error);
            }
        }
        counters.commits.observe(started.elapsed());
        self.committed(positions, &entries).await;
        Ok(())
    }

    /// Writes the offsets of acknowledged records. Fails only for good; else the next commit tries again.
    async fn commit(&mut self) -> Result<(), Error> {
        let Guarantee::AtLeastOnce(writer) = &self.guarantee else { return Ok(()) };
        if self.context.shared.reach.borrow().error.is_some() {
            return Ok(()); // Known to be in vain; a transaction begun now would only time out.
        }
        let positions = self.in_flight.tracker.lock().take_committable();
        if positions.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.errors.flush(&self.context).await {
            self.in_flight.tracker.lock().restore(positions);
            return Err(error);
        }
        let counters = &self.context.status.counters;
        let started = Instant::now();
        let entries = self.offsets.encode(&positions).await;
        let (writer, batch) = (Arc::clone(writer), entries.clone());
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
        self.committed(positions, &entries).await;
        Ok(())
    }

    /// Kafka has these positions.
    async fn committed(&mut self, positions: Vec<SourcePosition>, entries: &[source_offsets::Written]) {
        self.offsets.written(&positions, entries).await;
        for position in &positions {
            self.context.status.set_position(position.partition.to_string(), position.offset.to_string());
        }
        tracing::debug!(partitions = positions.len(), "Committed source offsets.");
        let newer: HashSet<_> = positions.iter().map(|p| Arc::as_ptr(&p.partition)).collect();
        self.confirmed.retain(|p| !newer.contains(&Arc::as_ptr(&p.partition)));
        self.confirmed.extend(positions);
    }
}
