//! The traits that a connector implements, and what it gets to work with.
//!
//! What crosses these traits is plain data: no Kafka handle and no borrowed state, so that a connector can live in another
//! process behind the same contract.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::config::{ConfigDef, ConfigError, RawConfig};
use crate::error::Result;
use crate::offsets::{OffsetMap, SourcePosition};
use crate::record::Record;
use crate::transaction::TransactionContext;
use crate::value::Str;

/// Which way a connector moves records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// From an outside system to Kafka.
    Source,
    /// From Kafka to an outside system.
    Sink,
}

impl Kind {
    /// `source` or `sink`, as Connect's REST API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A connector class: one static for each, which a [`crate::Registry`] finds by name.
pub trait ConnectorPlugin: Send + Sync + 'static {
    /// The canonical class: the full name of the Java class that this one stands in for, or the native name.
    fn class(&self) -> &'static str;

    /// Further names. The registry also accepts the simple name of each class, with and without `Connector` at its end.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    /// Which way it moves records.
    fn kind(&self) -> Kind;

    /// Its version.
    fn version(&self) -> &'static str {
        crate::VERSION
    }

    /// Its own keys, without those common to all connectors.
    fn config_def(&self) -> &ConfigDef;

    /// A new connector, not started.
    fn connector(&self) -> Box<dyn Connector>;

    /// How to make a task, not started.
    fn task(&self) -> TaskFactory;

    /// Whether, with this configuration, the connector can resume from exactly the offsets that were committed
    /// (`SourceConnector.exactlyOnceSupport`, KIP-618). Sources only.
    fn exactly_once_support(&self, _config: &RawConfig) -> ExactlyOnceSupport {
        ExactlyOnceSupport::Unsupported
    }

    /// Whether, with this configuration, the tasks mark the bounds of transactions themselves, so that
    /// `transaction.boundary=connector` is allowed (KIP-618). Sources only.
    fn defines_transaction_boundaries(&self, _config: &RawConfig) -> bool {
        false
    }
}

/// Makes tasks, none of them started.
#[derive(Clone, Copy)]
pub enum TaskFactory {
    /// Of a source connector.
    Source(fn() -> Box<dyn SourceTask>),
    /// Of a sink connector.
    Sink(fn() -> Box<dyn SinkTask>),
}

/// The answer to [`ConnectorPlugin::exactly_once_support`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExactlyOnceSupport {
    /// It can.
    Supported,
    /// It cannot.
    Unsupported,
}

/// The connector unit: plans the configurations of the tasks and watches the outside system for changes.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Checks what [`ConnectorPlugin::config_def`] cannot: keys that depend on each other, the outside system.
    /// The configuration has passed all other checks. It is called on a connector that was not started.
    async fn validate(&self, _config: &RawConfig) -> Vec<ConfigError> {
        Vec::new()
    }

    /// Starts. The configuration is the whole one, with secrets resolved: never log it.
    async fn start(&mut self, context: ConnectorContext, config: RawConfig) -> Result<()>;

    /// The configurations of at most `max_tasks` tasks (`Connector.taskConfigs`). The same state must give the same answer,
    /// because tasks whose configuration did not change are left alone.
    async fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<RawConfig>>;

    /// Resolves when the task configurations should be asked for anew (`ConnectorContext.requestTaskReconfiguration`).
    /// It may be dropped and called again. An error fails the connector (`ConnectorContext.raiseError`).
    async fn changed(&mut self) -> Result<()> {
        std::future::pending().await
    }

    /// Stops; called once, also after a start that failed.
    async fn stop(&mut self) {}
}

/// A task that reads from an outside system.
///
/// The worker calls one method at a time.
#[async_trait]
pub trait SourceTask: Send {
    /// Starts with one of the configurations that the connector planned; it may hold secrets.
    async fn start(&mut self, context: SourceContext, config: RawConfig) -> Result<()>;

    /// Waits until there is something and returns a batch that is bounded, also in bytes.
    ///
    /// An empty batch is allowed, and makes the worker ask again at once, so wait before you return it. Dropping the future
    /// must lose nothing: a record counts as taken only when it was returned. A [`crate::ErrorCode::Retriable`] error makes
    /// the worker poll again.
    async fn poll(&mut self) -> Result<Vec<Record>>;

    /// The offsets topic has acknowledged these positions, the last of each partition.
    async fn committed(&mut self, _offsets: &[SourcePosition]) -> Result<()> {
        Ok(())
    }

    /// Stops; called once, also after a start that failed.
    async fn stop(&mut self) {}
}

/// A task that writes to an outside system.
///
/// The worker calls one method at a time.
#[async_trait]
pub trait SinkTask: Send {
    /// Starts with one of the configurations that the connector planned; it may hold secrets.
    async fn start(&mut self, context: SinkContext, config: RawConfig) -> Result<()>;

    /// The consumer group has given these partitions to the task.
    async fn open(&mut self, _partitions: &[TopicPartition]) -> Result<()> {
        Ok(())
    }

    /// The consumer group takes these partitions away; everything put so far was flushed before, if they were not lost.
    async fn close(&mut self, _partitions: &[TopicPartition]) -> Result<()> {
        Ok(())
    }

    /// Where to go on in those of the given partitions whose offsets the outside system keeps together with the data; the
    /// group's committed offset holds for the others. Called after [`SinkTask::open`] (`SinkTaskContext.offset`).
    ///
    /// This is how a sink delivers exactly once: with every write it stores the offset after the last record of each
    /// partition, in the same transaction. When it opens a partition it raises an epoch that is stored there, too, and a
    /// write checks that the epoch is still its own, so that a task that lost the partition without knowing cannot write.
    async fn positions(&mut self, _partitions: &[TopicPartition]) -> Result<Offsets> {
        Ok(Offsets::new())
    }

    /// Takes a batch. It may be buffered until the next [`SinkTask::pre_commit`].
    ///
    /// After a [`crate::ErrorCode::Retriable`] error the same batch is put again.
    async fn put(&mut self, records: Vec<Record>) -> Result<()>;

    /// Makes everything put so far durable in the outside system. `offsets` are the ones to be committed.
    async fn flush(&mut self, _offsets: &Offsets) -> Result<()> {
        Ok(())
    }

    /// Flushes, and says up to which offsets the outside system has the records (`SinkTask.preCommit`): `offsets`, or less.
    async fn pre_commit(&mut self, offsets: &Offsets) -> Result<Offsets> {
        self.flush(offsets).await?;
        Ok(offsets.clone())
    }

    /// Stops; called once, also after a start that failed.
    async fn stop(&mut self) {}
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Str,
    /// The partition.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of a topic.
    pub fn new(topic: impl Into<Str>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// For each partition the offset of the next record to read, as consumer groups commit it.
pub type Offsets = BTreeMap<TopicPartition, i64>;

/// Reads committed source offsets (`OffsetStorageReader`).
#[async_trait]
pub trait OffsetReader: Send + Sync {
    /// The last committed offset of each partition, in the order asked; `None` where there is none.
    async fn offsets(&self, partitions: &[Arc<OffsetMap>]) -> Result<Vec<Option<OffsetMap>>>;

    /// The last committed offset of one partition.
    async fn offset(&self, partition: &Arc<OffsetMap>) -> Result<Option<OffsetMap>> {
        Ok(self.offsets(std::slice::from_ref(partition)).await?.pop().flatten())
    }
}

/// Takes records that a sink cannot write (`ErrantRecordReporter`, KIP-610).
#[async_trait]
pub trait ErrantRecordReporter: Send + Sync {
    /// Reports one record. An error means that `errors.tolerance` does not allow to go on.
    async fn report(&self, record: Record, error: crate::Error) -> Result<()>;
}

/// What a connector gets to work with.
#[derive(Clone)]
#[non_exhaustive]
pub struct ConnectorContext {
    /// The connector's name towards Kafka.
    pub name: Str,
    /// The committed offsets of the connector's tasks; sources only.
    pub offsets: Option<Arc<dyn OffsetReader>>,
}

impl ConnectorContext {
    /// Without offsets.
    pub fn new(name: impl Into<Str>) -> Self {
        Self { name: name.into(), offsets: None }
    }

    /// With the offsets of a source.
    #[must_use]
    pub fn with_offsets(mut self, offsets: Arc<dyn OffsetReader>) -> Self {
        self.offsets = Some(offsets);
        self
    }
}

/// What a source task gets to work with.
#[derive(Clone)]
#[non_exhaustive]
pub struct SourceContext {
    /// The connector's name towards Kafka.
    pub name: Str,
    /// The number of the task, from 0.
    pub task: u32,
    /// The committed offsets.
    pub offsets: Arc<dyn OffsetReader>,
    /// Where the task says what belongs together; present when `transaction.boundary` is `connector` and the worker
    /// delivers exactly once.
    pub transactions: Option<Arc<TransactionContext>>,
}

impl SourceContext {
    /// For one task.
    pub fn new(name: impl Into<Str>, task: u32, offsets: Arc<dyn OffsetReader>) -> Self {
        Self { name: name.into(), task, offsets, transactions: None }
    }

    /// With transactions whose bounds the task sets.
    #[must_use]
    pub fn with_transactions(mut self, transactions: Arc<TransactionContext>) -> Self {
        self.transactions = Some(transactions);
        self
    }
}

/// What a sink task gets to work with.
#[derive(Clone)]
#[non_exhaustive]
pub struct SinkContext {
    /// The connector's name towards Kafka.
    pub name: Str,
    /// The number of the task, from 0.
    pub task: u32,
    /// Where to report records that cannot be written; `None` when neither a dead letter queue nor logging is set.
    pub reporter: Option<Arc<dyn ErrantRecordReporter>>,
}

impl SinkContext {
    /// For one task, without a reporter.
    pub fn new(name: impl Into<Str>, task: u32) -> Self {
        Self { name: name.into(), task, reporter: None }
    }

    /// With a reporter.
    #[must_use]
    pub fn with_reporter(mut self, reporter: Arc<dyn ErrantRecordReporter>) -> Self {
        self.reporter = Some(reporter);
        self
    }
}
