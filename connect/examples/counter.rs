//! A whole source connector: it counts, and goes on where it ended.
//!
//! Register `COUNTER` in the registry of a worker and name `dev.example.CounterSourceConnector` in a `KafkaConnector`.
//! Run as it stands, the example drives the connector by hand: `cargo run -p barnabas-connect --example counter`.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use barnabas_connect::config::{ConfigDef, ConfigKey, Importance, RawConfig, Type, Validator, combine};
use barnabas_connect::{
    Connector, ConnectorContext, ConnectorPlugin, Data, Error, ExactlyOnceSupport, Kind, OffsetMap, OffsetReader,
    Record, Registry, Result, Schema, SourceContext, SourcePosition, SourceTask, Str, TaskFactory, Value,
    connector_config,
};

/// The connector class: one static for each.
struct Counter;

static COUNTER: Counter = Counter;

/// One definition per key drives validation, defaults and the documentation.
static CONFIG: LazyLock<ConfigDef> = LazyLock::new(|| {
    ConfigDef::new()
        .define(
            ConfigKey::new("topic", Type::String)
                .validator(Validator::NonEmptyString)
                .importance(Importance::High)
                .doc("The topic to count into."),
        )
        .define(
            ConfigKey::new("counters", Type::Int)
                .default(1)
                .validator(Validator::at_least(1))
                .doc("How many counters there are. Each task has a share of them."),
        )
        .define(
            ConfigKey::new("interval.ms", Type::Int)
                .default(1000)
                .validator(Validator::at_least(1))
                .doc("The time in milliseconds between two numbers."),
        )
});

impl ConnectorPlugin for Counter {
    fn class(&self) -> &'static str {
        "dev.example.CounterSourceConnector"
    }

    fn kind(&self) -> Kind {
        Kind::Source
    }

    fn config_def(&self) -> &ConfigDef {
        &CONFIG
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(CounterConnector { config: RawConfig::new() })
    }

    fn task(&self) -> TaskFactory {
        TaskFactory::Source(|| Box::new(CounterTask::default()))
    }

    /// Nothing is lost or repeated when it goes on from the committed number.
    fn exactly_once_support(&self, _config: &RawConfig) -> ExactlyOnceSupport {
        ExactlyOnceSupport::Supported
    }
}

/// Plans the tasks.
struct CounterConnector {
    config: RawConfig,
}

#[async_trait]
impl Connector for CounterConnector {
    async fn start(&mut self, _context: ConnectorContext, config: RawConfig) -> Result<()> {
        self.config = config;
        Ok(())
    }

    async fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<RawConfig>> {
        let config = CONFIG.parse(&self.config).map_err(|errors| combine(&errors))?;
        let counters = u32::try_from(config.int("counters")).unwrap_or(1);
        let tasks = counters.min(max_tasks);
        let task_config = |task: u32| {
            let mine: Vec<String> =
                (task..counters).step_by(tasks as usize).map(|counter| counter.to_string()).collect();
            let mut config = self.config.clone();
            config.insert("task.counters".to_owned(), mine.join(","));
            config
        };
        Ok((0..tasks).map(task_config).collect())
    }
}

/// Counts.
#[derive(Default)]
struct CounterTask {
    topic: Str,
    interval: Duration,
    counters: Vec<(Arc<OffsetMap>, i64)>,
}

#[async_trait]
impl SourceTask for CounterTask {
    async fn start(&mut self, context: SourceContext, config: RawConfig) -> Result<()> {
        let parsed = CONFIG.parse(&config).map_err(|errors| combine(&errors))?;
        self.topic = Str::copy_from(parsed.string("topic"));
        self.interval = Duration::from_millis(u64::try_from(parsed.int("interval.ms")).unwrap_or(1000));
        let mine = config.get("task.counters").ok_or_else(|| Error::fatal("The task has no counters."))?;
        let partitions: Vec<_> =
            mine.split(',').map(|counter| Arc::new(OffsetMap::single("counter", counter))).collect();
        let committed = context.offsets.offsets(&partitions).await?;
        self.counters = partitions
            .into_iter()
            .zip(committed)
            .map(|(partition, offset)| {
                (partition, offset.and_then(|offset| offset.get("number")?.as_i64()).unwrap_or(0))
            })
            .collect();
        Ok(())
    }

    /// May be dropped while it sleeps: no number is taken before it is returned.
    async fn poll(&mut self) -> Result<Vec<Record>> {
        tokio::time::sleep(self.interval).await;
        let topic = &self.topic;
        let count = |(partition, number): &mut (Arc<OffsetMap>, i64)| {
            *number += 1;
            let source = SourcePosition { partition: partition.clone(), offset: OffsetMap::single("number", *number) };
            Record::from_source(topic.clone(), source, Data::new(Schema::int64(), Value::Int64(*number)))
        };
        Ok(self.counters.iter_mut().map(count).collect())
    }
}

/// Stands in for the offsets topic.
struct NoOffsets;

#[async_trait]
impl OffsetReader for NoOffsets {
    async fn offsets(&self, partitions: &[Arc<OffsetMap>]) -> Result<Vec<Option<OffsetMap>>> {
        Ok(vec![None; partitions.len()])
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut registry = Registry::new();
    registry.register(&COUNTER);
    let config: RawConfig =
        [("connector.class", "CounterSource"), ("topic", "numbers"), ("counters", "3"), ("interval.ms", "10")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    let errors = connector_config::validate(&registry, "counter", &config);
    if !errors.is_empty() {
        return Err(combine(&errors));
    }
    let plugin = registry.find("CounterSource").ok_or_else(|| Error::config("The class is not registered."))?;
    let mut connector = plugin.connector();
    connector.start(ConnectorContext::new("counter"), config).await?;
    for (number, config) in connector.task_configs(2).await?.into_iter().enumerate() {
        let TaskFactory::Source(make) = plugin.task() else { return Err(Error::fatal("The class is no source.")) };
        let mut task = make();
        task.start(SourceContext::new("counter", number as u32, Arc::new(NoOffsets)), config).await?;
        for record in task.poll().await? {
            println!("task {number}: {} = {}", record.topic, record.value.value);
        }
        task.stop().await;
    }
    Ok(())
}
