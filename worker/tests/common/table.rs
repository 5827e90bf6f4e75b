//! The twin of `java/test/TableSourceConnector.java`: the same class name, keys, records and source offsets.

use std::{fs, io::Write, sync::Arc, time::Duration};

use async_trait::async_trait;
use barnabas_connect::{
    ConfigDef, Connector, ConnectorContext, ConnectorPlugin, Data, Error, ExactlyOnceSupport, Kind, OffsetMap,
    RawConfig, Record, SourceContext, SourcePosition, SourceTask, TaskFactory, Value,
};

pub static TABLE: Plugin = Plugin;

pub struct Plugin;

impl ConnectorPlugin for Plugin {
    fn class(&self) -> &'static str {
        "test.TableSourceConnector"
    }

    fn kind(&self) -> Kind {
        Kind::Source
    }

    fn config_def(&self) -> &ConfigDef {
        static DEF: std::sync::OnceLock<ConfigDef> = std::sync::OnceLock::new();
        DEF.get_or_init(|| ConfigDef::new().define_prefix("", "Any key."))
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(TableSource(RawConfig::new()))
    }

    fn task(&self) -> TaskFactory {
        TaskFactory::Source(|| Box::new(TableTask::default()))
    }

    fn exactly_once_support(&self, _: &RawConfig) -> ExactlyOnceSupport {
        ExactlyOnceSupport::Supported
    }
}

struct TableSource(RawConfig);

#[async_trait]
impl Connector for TableSource {
    async fn start(&mut self, _: ConnectorContext, config: RawConfig) -> Result<(), Error> {
        self.0 = config;
        Ok(())
    }

    async fn task_configs(&mut self, _: u32) -> Result<Vec<RawConfig>, Error> {
        Ok(vec![self.0.clone()])
    }
}

#[derive(Default)]
struct TableTask {
    config: RawConfig,
    partition: Arc<OffsetMap>,
    last: u64,
}

fn offset(row: u64) -> OffsetMap {
    let ms = 1_700_000_000_000 + 37 * row;
    // Another order than Java's HashMap has: neither side may depend on it.
    [("timestamp_nanos", ms % 1000 * 1_000_000 + row % 1_000_000), ("incrementing", row), ("timestamp", ms)]
        .into_iter()
        .collect()
}

#[async_trait]
impl SourceTask for TableTask {
    async fn start(&mut self, context: SourceContext, config: RawConfig) -> Result<(), Error> {
        self.partition = Arc::new([("table", "db.t"), ("protocol", "1")].into_iter().collect());
        let stored = context.offsets.offset(&self.partition).await?;
        self.last = stored.as_ref().map_or(0, |stored| stored.get("incrementing").unwrap().as_u64().unwrap());
        if let Some(stored) = stored.filter(|stored| *stored != offset(self.last)) {
            return Err(Error::fatal(format!("the offset {stored} is not that of row {}", self.last)));
        }
        let mut starts = fs::File::options().create(true).append(true).open(&config["starts"]).unwrap();
        writeln!(starts, "twin {}", self.last).unwrap();
        self.config = config;
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, Error> {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let limit: u64 = fs::read_to_string(&self.config["limit"]).unwrap().trim().parse().unwrap();
            let rows = self.last + 1..=limit.min(self.last + 100);
            if rows.is_empty() {
                continue;
            }
            self.last = *rows.end();
            let record = |row| {
                let position = SourcePosition { partition: Arc::clone(&self.partition), offset: offset(row) };
                let value = Data::schemaless(Value::String(format!("row {row}").into()));
                Record::from_source(self.config["topic"].clone(), position, value)
            };
            return Ok(rows.map(record).collect());
        }
    }

    async fn stop(&mut self) {}
}
