//! A sink task: consume, convert, transform, put; commit what the task has confirmed.
//!
//! Messages are taken from librdkafka's queue many at a time. While the outside system
//! asks for patience the partitions are paused and the consumer keeps polling, so the
//! task stays in its group.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use barnabas_connect::{Error, Offsets, SinkContext, SinkTask, Str, TopicPartition, regex::JavaRegex};
use futures::{FutureExt, StreamExt};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode as Code},
};
use tokio::time::MissedTickBehavior;

use super::{
    Closing, Context,
    dlq::DeadLetters,
    errors::ErrorHandler,
    now_ms,
    settings::RecordSettings,
    sink_batch::{Batch, Converted, End},
    sink_consumer::{Events, Rebalance, SinkConsumer},
    sink_records::Reporter,
};
use crate::kafka::{context::ClientNotes, errors::classify};

/// How often topics are matched against `topics.regex`.
const MATCH_TOPICS: Duration = Duration::from_secs(30);

pub(super) async fn run(context: Context, mut task: Box<dyn SinkTask>) -> Result<(), Error> {
    let settings = RecordSettings::build(&context.shared.registry, &context.config, &context.shared.config)?;
    let topics = Topics::parse(&context)?;
    context.await_kafka().await?;
    let dead_letters = DeadLetters::open(&context).await?.map(Arc::new);
    let reports = dead_letters.is_some() || settings.errors.log;
    let errors =
        ErrorHandler::new(settings.errors.clone(), dead_letters, Arc::clone(&context.status), context.stop.clone());
    let reporter = reports.then(|| Arc::new(Reporter::new(&settings, errors.clone())));
    let clients = &context.shared.clients;
    let (name, id) = (context.unit.name.as_str(), context.task());
    let group = clients.consumer_group(&context.config, name);
    let client = clients.consumer(&context.config, &group, &format!("connector-consumer-{name}-{id}"))?;
    let consumer = client
        .rdkafka
        .create_with_context(Events::new(ClientNotes::new(&context.unit.connector, context.unit.task)))
        .map_err(|error| classify("Creating the consumer", error, None))?;
    let consumer = Arc::new(context.closing(SinkConsumer(consumer)));
    let mut running = Running {
        context: context.clone(),
        settings,
        consumer,
        topics,
        errors,
        reporter: reporter.clone(),
        max_records: client.max_poll_records,
        batch: Batch::default(),
        assigned: BTreeSet::new(),
        begins: Offsets::new(),
        positions: Offsets::new(),
        committed: Offsets::new(),
        retry: None,
        rewound: false,
    };
    let result = async {
        let mut handed = SinkContext::new(context.unit.name.clone(), id);
        if let Some(reporter) = reporter {
            handed = handed.with_reporter(reporter);
        }
        task.start(handed, (*context.config).clone()).await?;
        running.go(task.as_mut()).await
    }
    .await;
    task.stop().await;
    result
}

/// A put that is tried again.
struct Retry {
    at: tokio::time::Instant,
    pause: Duration,
}

struct Running {
    context: Context,
    settings: RecordSettings,
    consumer: Arc<Closing<SinkConsumer>>,
    topics: Topics,
    errors: ErrorHandler,
    reporter: Option<Arc<Reporter>>,
    max_records: usize,
    /// What was read and not yet put.
    batch: Batch,
    assigned: BTreeSet<TopicPartition>,
    /// For each partition, the offset of the first record that was put since it was assigned.
    begins: Offsets,
    /// For each partition, the offset after the last record that was put.
    positions: Offsets,
    committed: Offsets,
    retry: Option<Retry>,
    /// The task could not confirm what it had, and has not confirmed anything since.
    rewound: bool,
}

impl Running {
    async fn go(&mut self, task: &mut dyn SinkTask) -> Result<(), Error> {
        let context = self.context.clone();
        let consumer = Arc::clone(&self.consumer);
        let mut target = context.target.clone();
        let every = |period: Duration| {
            let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let mut commits = every(context.shared.config.offset_flush_interval().max(Duration::from_millis(1)));
        let mut seconds = every(Duration::from_secs(1));
        self.subscribe().await?;
        let mut matched = Instant::now();
        context.show_target();
        let outcome = loop {
            if let Some(rebalance) = consumer.events().next_rebalance() {
                if let Err(error) = self.rebalance(task, rebalance).await {
                    break Err(error);
                }
                continue;
            }
            let step = tokio::select! {
                biased;
                () = context.stop.cancelled() => break Ok(()),
                changed = target.changed() => {
                    if changed.is_err() {
                        break Ok(());
                    }
                    self.hold_or_go_on();
                    context.show_target();
                    if context.paused() || self.retry.is_some() { Ok(()) } else { self.deliver(task).await }
                }
                () = consumer.events().rebalanced.notified() => Ok(()),
                _ = commits.tick() => self.commit(task, CommitMode::Async).await,
                _ = seconds.tick() => {
                    self.show_lag();
                    if self.topics.pattern.is_some() && matched.elapsed() > MATCH_TOPICS {
                        matched = Instant::now();
                        self.subscribe().await
                    } else {
                        Ok(())
                    }
                }
                () = sleep_until(&self.retry), if !context.paused() => self.deliver(task).await,
                first = consumer.0.recv() => match first {
                    Ok(message) => {
                        self.batch.take(&message);
                        drop(message);
                        match self.take_more() {
                            Ok(()) if self.retry.is_none() && !context.paused() => self.deliver(task).await,
                            other => other,
                        }
                    }
                    Err(error) => self.consume_error(error),
                },
            };
            if let Err(error) = step {
                break Err(error);
            }
        };
        self.finish(task, outcome).await
    }

    async fn finish(&mut self, task: &mut dyn SinkTask, outcome: Result<(), Error>) -> Result<(), Error> {
        // After a failed put the task's own confirmation still tells what is safe.
        let committed = self.commit(task, CommitMode::Sync).await;
        let partitions: Vec<_> = self.assigned.iter().cloned().collect();
        let closed = if partitions.is_empty() { Ok(()) } else { task.close(&partitions).await };
        let later = committed.and(closed);
        match (outcome, later) {
            (Ok(()), later) => later,
            (Err(error), later) => {
                if let Err(second) = later {
                    tracing::warn!(error = %second, "Could not commit and close after the failure either.");
                }
                Err(error)
            }
        }
    }

    /// Subscribes to the configured topics, or to those that match now.
    async fn subscribe(&mut self) -> Result<(), Error> {
        let names = match &self.topics.pattern {
            None => self.topics.names.clone(),
            Some(pattern) => {
                let consumer = Arc::clone(&self.consumer);
                let metadata = self
                    .context
                    .blocking(move || consumer.0.fetch_metadata(None, Duration::from_secs(10)))
                    .await?
                    .map_err(|error| classify("Listing the topics", error, None))?;
                let mut names: Vec<String> = metadata.topics().iter().map(|t| t.name().to_owned()).collect();
                // Java's pattern subscription leaves out internal topics.
                names.retain(|n| !n.starts_with("__") && pattern.matches(n).unwrap_or(false));
                names.sort();
                names
            }
        };
        if names == self.topics.subscribed {
            return Ok(());
        }
        tracing::info!(topics = ?names, "Subscribing.");
        let list: Vec<&str> = names.iter().map(String::as_str).collect();
        self.consumer.0.subscribe(&list).map_err(|error| classify("Subscribing", error, None))?;
        self.topics.subscribed = names;
        Ok(())
    }

    /// Takes what else librdkafka has at hand, up to the bounds of a batch.
    fn take_more(&mut self) -> Result<(), Error> {
        let consumer = Arc::clone(&self.consumer);
        let mut stream = consumer.0.stream();
        while self.batch.has_room(self.max_records) {
            match stream.next().now_or_never().flatten() {
                None => break,
                Some(Ok(message)) => self.batch.take(&message),
                Some(Err(error)) => return self.consume_error(error),
            }
        }
        Ok(())
    }

    /// Converts and puts what was taken. A retriable failure leaves it in place.
    async fn deliver(&mut self, task: &mut dyn SinkTask) -> Result<(), Error> {
        if self.batch.is_empty() {
            self.retry = None;
            self.hold_or_go_on();
            return Ok(());
        }
        let again = self.retry.is_some();
        let status = Arc::clone(&self.context.status);
        let counters = &status.counters;
        if !again {
            counters.read.fetch_add(self.batch.len() as u64, Relaxed);
        }
        counters.active.store(self.batch.len() as u64, Relaxed);
        let Converted { records, end } = self.batch.convert(&mut self.settings, &self.errors).await;
        let started = Instant::now();
        let reporter = self.reporter.as_deref();
        reporter.inspect(|reporter| reporter.working_on(Arc::clone(self.batch.raws())));
        let put = if records.is_empty() { Ok(()) } else { task.put(records).await };
        reporter.inspect(|reporter| reporter.working_on(Arc::default()));
        counters.batches.observe(started.elapsed());
        match put {
            Ok(()) => {
                let done = end.as_ref().map_or(self.batch.len(), |(at, _)| *at);
                counters.moved(done as u64, self.batch.bytes_of(done) as u64);
                counters.last_record_at_ms.store(now_ms(), Relaxed);
                counters.active.store(0, Relaxed);
                self.advance(done);
                if again {
                    self.retry = None;
                    self.context.status.clear_error();
                    self.hold_or_go_on();
                }
                match end {
                    Some((_, End::Failed(error))) => Err(error),
                    // What is left is read again by whoever goes on.
                    Some((_, End::Stopping)) | None => Ok(()),
                }
            }
            Err(error) if error.is_retriable() => {
                self.batch.keep(end);
                counters.retries.fetch_add(1, Relaxed);
                let pause = self
                    .retry
                    .as_ref()
                    .map_or(Duration::from_millis(100), |r| (r.pause * 2).min(Duration::from_secs(30)));
                tracing::warn!(%error, retry_in = ?pause, "Putting a batch failed and is tried again.");
                self.context.status.warn(&error);
                self.retry = Some(Retry { at: tokio::time::Instant::now() + pause, pause });
                self.hold_or_go_on();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Notes that the first `done` records of the batch are the task's now, and drops the batch.
    fn advance(&mut self, done: usize) {
        let mut last: Option<(&Str, i32)> = None;
        let messages = &self.batch.raws()[..done];
        for raw in messages.iter().rev() {
            // Only the last record of each run matters, and runs are long.
            if last == Some((&raw.topic, raw.partition)) {
                continue;
            }
            last = Some((&raw.topic, raw.partition));
            let next = raw.offset + 1;
            let tp = raw.topic_partition();
            match self.positions.get_mut(&tp) {
                Some(position) => *position = next.max(*position),
                None => {
                    self.context.status.add_topic(&raw.topic);
                    let first =
                        messages.iter().find(|first| (&first.topic, first.partition) == (&raw.topic, raw.partition));
                    self.begins.entry(tp.clone()).or_insert(first.map_or(raw.offset, |first| first.offset));
                    self.positions.insert(tp, next);
                }
            }
        }
        self.batch.clear();
    }

    async fn rebalance(&mut self, task: &mut dyn SinkTask, rebalance: Rebalance) -> Result<(), Error> {
        match &rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(partitions = %list(partitions), "Partitions assigned.");
                let mut kept = Offsets::new();
                if !partitions.is_empty() {
                    task.open(partitions).await?;
                    kept = task.positions(partitions).await?;
                }
                self.assigned.extend(partitions.iter().cloned());
                self.consumer.acknowledge(&rebalance, &kept)?;
                self.hold_or_go_on();
            }
            Rebalance::Revoke(partitions) => {
                tracing::info!(partitions = %list(partitions), "Partitions revoked.");
                if self.consumer.0.assignment_lost() {
                    tracing::warn!("The partitions went to another member already; nothing is committed.");
                } else {
                    self.commit(task, CommitMode::Sync).await?;
                }
                if !partitions.is_empty() {
                    task.close(partitions).await?;
                }
                for tp in partitions {
                    self.assigned.remove(tp);
                    self.begins.remove(tp);
                    self.positions.remove(tp);
                    self.committed.remove(tp);
                }
                // Not put: whoever gets the partition reads them again.
                let assigned = &self.assigned;
                self.batch.retain(|tp| assigned.contains(tp));
                let shown: BTreeSet<String> = assigned.iter().map(ToString::to_string).collect();
                self.context.status.retain_positions(|tp| shown.contains(tp));
                self.consumer.acknowledge(&rebalance, &Offsets::new())?;
            }
        }
        self.context.status.counters.partitions.store(self.assigned.len() as u64, Relaxed);
        self.show_lag();
        Ok(())
    }

    /// Commits what the task confirms. A failed commit is tried again by the next; a failing task fails.
    async fn commit(&mut self, task: &mut dyn SinkTask, mode: CommitMode) -> Result<(), Error> {
        let counters = &self.context.status.counters;
        if let Some(error) = self.consumer.events().take_commit_error() {
            tracing::warn!(%error, "An offset commit failed; it is tried again.");
            counters.commit_failures.fetch_add(1, Relaxed);
            self.committed.clear();
        }
        if self.positions == self.committed {
            return Ok(());
        }
        self.errors.flush(&self.context).await?;
        let started = Instant::now();
        let confirmed = match task.pre_commit(&self.positions).await {
            Ok(confirmed) => confirmed,
            Err(error) if error.is_retriable() => return self.unconfirmed(error, mode).await,
            Err(error) => return Err(error),
        };
        if std::mem::take(&mut self.rewound) {
            self.context.status.clear_error();
        }
        let mut offsets = TopicPartitionList::new();
        let mut changed = Vec::new();
        for (tp, offset) in confirmed {
            let Some(position) = self.positions.get(&tp) else {
                tracing::warn!(partition = %tp, "The task confirmed a partition that it does not have.");
                continue;
            };
            if offset > *position {
                tracing::warn!(partition = %tp, offset, position, "The task confirmed records that it was not given.");
                continue;
            }
            if self.committed.get(&tp) != Some(&offset) {
                offsets
                    .add_partition_offset(&tp.topic, tp.partition, Offset::Offset(offset))
                    .map_err(|error| classify("Committing offsets", error, None))?;
                changed.push((tp, offset));
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let result = match mode {
            CommitMode::Async => self.consumer.0.commit(&offsets, mode),
            CommitMode::Sync => {
                let consumer = Arc::clone(&self.consumer);
                self.context.blocking(move || consumer.0.commit(&offsets, mode)).await?
            }
        };
        match result {
            Ok(()) => {
                counters.commits.observe(started.elapsed());
                for (tp, offset) in changed {
                    self.context.status.set_position(tp.to_string(), offset.to_string());
                    self.committed.insert(tp, offset);
                }
            }
            Err(KafkaError::ConsumerCommit(Code::NoOffset)) => {}
            Err(error) => {
                counters.commit_failures.fetch_add(1, Relaxed);
                tracing::warn!(%error, "Offsets were not committed.");
            }
        }
        Ok(())
    }

    /// The task could not make durable what it was given, but may be able to later: it is given everything again that came
    /// after the last commit. When it is about to let go, that is for whoever gets the partitions.
    async fn unconfirmed(&mut self, error: Error, mode: CommitMode) -> Result<(), Error> {
        self.context.status.counters.commit_failures.fetch_add(1, Relaxed);
        if let CommitMode::Sync = mode {
            tracing::warn!(%error, "The task did not confirm its last records; they will be read again.");
            return Ok(());
        }
        tracing::warn!(%error, "The task did not confirm its records; they are read again from the last commit on.");
        self.context.status.warn(&error);
        self.rewound = true;
        let mut back = TopicPartitionList::new();
        for (tp, begin) in &self.begins {
            let offset = Offset::Offset(*self.committed.get(tp).unwrap_or(begin));
            back.add_partition_offset(&tp.topic, tp.partition, offset)
                .map_err(|error| classify("Reading again", error, None))?;
        }
        let consumer = Arc::clone(&self.consumer);
        let sought = self.context.blocking(move || consumer.0.seek_partitions(back, Duration::from_secs(10))).await?;
        let sought = sought.map_err(|error| classify("Reading again", error, None))?;
        for partition in sought.elements() {
            partition.error().map_err(|error| classify("Reading again", error, None))?;
        }
        self.positions = self.committed.clone();
        self.batch.clear();
        self.retry = None;
        self.hold_or_go_on();
        Ok(())
    }

    /// Holds the partitions while the unit is paused or a put is tried again.
    fn hold_or_go_on(&self) {
        let partitions: Vec<_> = self.assigned.iter().cloned().collect();
        if partitions.is_empty() {
            return;
        }
        if self.context.paused() || self.retry.is_some() {
            self.consumer.pause(&partitions);
        } else {
            self.consumer.resume(&partitions);
        }
    }

    fn show_lag(&self) {
        let positions = self.assigned.iter().map(|tp| (tp, self.positions.get(tp).copied()));
        self.context.status.set_lag(self.consumer.events().lag(positions));
    }

    /// What a failed receive means.
    fn consume_error(&self, error: KafkaError) -> Result<(), Error> {
        let fatal = match &error {
            KafkaError::MessageConsumptionFatal(_) => true,
            KafkaError::MessageConsumption(code) => matches!(
                code,
                Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::AutoOffsetReset
                    | Code::InvalidTopic
                    | Code::FencedInstanceId
            ),
            _ => false,
        };
        if fatal {
            return Err(classify("Reading from Kafka", error, self.consumer.events().notes.take_last_error()));
        }
        // librdkafka goes on by itself: reconnects, joins again, waits for the topic.
        tracing::warn!(%error, "Reading from Kafka was interrupted.");
        Ok(())
    }
}

async fn sleep_until(retry: &Option<Retry>) {
    match retry {
        Some(retry) => tokio::time::sleep_until(retry.at).await,
        None => std::future::pending().await,
    }
}

fn list(partitions: &[TopicPartition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// `topics` or `topics.regex`.
struct Topics {
    names: Vec<String>,
    pattern: Option<JavaRegex>,
    subscribed: Vec<String>,
}

impl Topics {
    fn parse(context: &Context) -> Result<Self, Error> {
        let get = |key: &str| context.config.get(key).map(|v| v.trim()).filter(|v| !v.is_empty());
        match (get("topics"), get("topics.regex")) {
            (Some(list), None) => {
                let names = list.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect();
                Ok(Self { names, pattern: None, subscribed: Vec::new() })
            }
            (None, Some(pattern)) => {
                let regex = JavaRegex::new(pattern)
                    .map_err(|error| Error::config(format!("`topics.regex` is `{pattern}`: {error}")))?;
                Ok(Self { names: Vec::new(), pattern: Some(regex), subscribed: Vec::new() })
            }
            _ => Err(Error::config("a sink needs exactly one of `topics` and `topics.regex`")),
        }
    }
}
