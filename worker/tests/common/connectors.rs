//! Connectors whose every step a test can see and steer, by the connector's name.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use barnabas_connect::{
    ConfigDef, Connector, ConnectorContext, ConnectorPlugin, Data, ErrantRecordReporter, Error, Kind, OffsetMap,
    Offsets, RawConfig, Record, SinkContext, SinkTask, SourceContext, SourcePosition, SourceTask, TaskFactory,
    TopicPartition, TransactionContext, Value,
};

/// What happened to a connector of a test, and what is to happen.
#[derive(Default)]
pub struct Observed {
    /// Values that a sink was given, in order.
    pub put: Mutex<Vec<String>>,
    /// `open`, `close`, `stop`, in order.
    pub events: Mutex<Vec<String>>,
    /// How many `put` calls have to fail in a retriable way.
    pub fail_puts: Mutex<u32>,
    /// The sizes of the batches that were put, failed ones too.
    pub batches: Mutex<Vec<usize>>,
    /// What a source starts from.
    pub started_at: Mutex<Vec<u64>>,
    /// How far a source may count; 0 holds it.
    pub limit: Mutex<u64>,
    /// Values that a sink reports as errant instead of taking them.
    pub errant: Mutex<Vec<String>>,
    /// How often a sink cannot make durable what it has, in a retriable way.
    pub fail_flushes: Mutex<u32>,
    /// What a sink confirms of an offset that it is asked for; nothing below 0. By default all of it.
    pub confirm: Mutex<Option<Confirm>>,
}

pub fn observed(name: &str) -> Arc<Observed> {
    static ALL: LazyLock<Mutex<HashMap<String, Arc<Observed>>>> = LazyLock::new(Default::default);
    Arc::clone(ALL.lock().unwrap().entry(name.to_owned()).or_default())
}

/// What a sink confirms of an offset.
pub type Confirm = fn(i64) -> i64;

pub static COUNTER: Plugin = Plugin { class: "test.CounterSourceConnector", kind: Kind::Source };
pub static COLLECTOR: Plugin = Plugin { class: "test.CollectorSinkConnector", kind: Kind::Sink };

pub struct Plugin {
    class: &'static str,
    kind: Kind,
}

impl ConnectorPlugin for Plugin {
    fn class(&self) -> &'static str {
        self.class
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn config_def(&self) -> &ConfigDef {
        static DEF: OnceLock<ConfigDef> = OnceLock::new();
        DEF.get_or_init(|| ConfigDef::new().define_prefix("", "Any key."))
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(Plain(None))
    }

    fn task(&self) -> TaskFactory {
        match self.kind {
            Kind::Source => TaskFactory::Source(|| Box::new(Counter::default())),
            Kind::Sink => TaskFactory::Sink(|| Box::new(Collector::default())),
        }
    }
}

/// Plans `tasks.max` tasks, or those of `plan`, that differ in `part`; panics when asked to.
struct Plain(Option<RawConfig>);

#[async_trait]
impl Connector for Plain {
    async fn start(&mut self, _: ConnectorContext, config: RawConfig) -> Result<(), Error> {
        assert!(!config.contains_key("panic"), "asked to panic");
        self.0 = Some(config);
        Ok(())
    }

    async fn task_configs(&mut self, max: u32) -> Result<Vec<RawConfig>, Error> {
        let planned = self.0.as_ref().and_then(|config| config.get("plan")?.parse().ok());
        Ok((0..planned.unwrap_or(max)).map(|part| [("part".to_owned(), part.to_string())].into()).collect())
    }
}

/// Counts upwards from its offset, 100 records at a time.
#[derive(Default)]
struct Counter {
    name: String,
    topic: String,
    next: u64,
    partition: Arc<OffsetMap>,
    transactions: Option<Arc<TransactionContext>>,
}

#[async_trait]
impl SourceTask for Counter {
    async fn start(&mut self, context: SourceContext, config: RawConfig) -> Result<(), Error> {
        self.name = context.name.to_string();
        self.topic = config["topic"].clone();
        self.transactions = context.transactions.clone();
        self.partition = Arc::new(OffsetMap::single("counter", "one"));
        let stored = context.offsets.offset(&self.partition).await?;
        self.next = stored.and_then(|o| o.get("next").and_then(|n| n.as_u64())).unwrap_or(0);
        observed(&self.name).started_at.lock().unwrap().push(self.next);
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, Error> {
        loop {
            let limit = *observed(&self.name).limit.lock().unwrap();
            if self.next < limit {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let limit = *observed(&self.name).limit.lock().unwrap();
        let until = (self.next + 100).min(limit);
        if let Some(transactions) = &self.transactions {
            // 150 records belong together, across batches; the second such group is dropped.
            for end in (self.next + 1..=until).filter(|end| end % 150 == 0) {
                let records = (end - self.next) as usize;
                if end == 300 { transactions.abort_after(records) } else { transactions.commit_after(records) }
            }
        }
        let records = (self.next..until)
            .map(|n| {
                let position =
                    SourcePosition { partition: Arc::clone(&self.partition), offset: OffsetMap::single("next", n + 1) };
                let value = Data::schemaless(Value::String(format!("record {n}").into()));
                Record::from_source(self.topic.clone(), position, value)
            })
            .collect();
        self.next = until;
        Ok(records)
    }

    async fn stop(&mut self) {
        observed(&self.name).events.lock().unwrap().push("stop".into());
    }
}

#[derive(Default)]
struct Collector {
    name: String,
    panic_at: Option<String>,
    reporter: Option<Arc<dyn ErrantRecordReporter>>,
}

impl Collector {
    fn event(&self, event: String) {
        observed(&self.name).events.lock().unwrap().push(event);
    }
}

#[async_trait]
impl SinkTask for Collector {
    async fn start(&mut self, context: SinkContext, config: RawConfig) -> Result<(), Error> {
        self.name = context.name.to_string();
        self.panic_at = config.get("panic.at").cloned();
        self.reporter = context.reporter.clone();
        Ok(())
    }

    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.event(format!("open {}", partitions.len()));
        Ok(())
    }

    async fn close(&mut self, partitions: &[TopicPartition]) -> Result<(), Error> {
        self.event(format!("close {}", partitions.len()));
        Ok(())
    }

    async fn put(&mut self, records: Vec<Record>) -> Result<(), Error> {
        let observed = observed(&self.name);
        observed.batches.lock().unwrap().push(records.len());
        {
            let mut left = observed.fail_puts.lock().unwrap();
            if *left > 0 {
                *left -= 1;
                return Err(Error::retriable("not now"));
            }
        }
        let values: Vec<String> = records
            .iter()
            .map(|r| match &r.value.value {
                Value::String(text) => text.to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        if let Some(at) = &self.panic_at {
            assert!(!values.contains(at), "asked to panic");
        }
        let errant = observed.errant.lock().unwrap().clone();
        for (value, record) in values.into_iter().zip(records) {
            match &self.reporter {
                Some(reporter) if errant.contains(&value) => {
                    reporter.report(record, Error::data(format!("{value} is not wanted"))).await?;
                }
                _ => observed.put.lock().unwrap().push(value),
            }
        }
        Ok(())
    }

    async fn flush(&mut self, _: &Offsets) -> Result<(), Error> {
        let observed = observed(&self.name);
        let mut left = observed.fail_flushes.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return Err(Error::retriable("not durable yet"));
        }
        Ok(())
    }

    async fn pre_commit(&mut self, offsets: &Offsets) -> Result<Offsets, Error> {
        self.flush(offsets).await?;
        let confirm = *observed(&self.name).confirm.lock().unwrap();
        let confirmed = |offset: i64| confirm.map_or(offset, |confirm| confirm(offset));
        let all = offsets.iter().map(|(tp, offset)| (tp.clone(), confirmed(*offset)));
        Ok(all.filter(|(_, offset)| *offset >= 0).collect())
    }

    async fn stop(&mut self) {
        self.event("stop".into());
    }
}
