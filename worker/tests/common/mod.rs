//! A worker in this process, a Kafka beside it, and connectors made for tests.
#![allow(clippy::unwrap_used, dead_code)]

pub mod connectors;
pub mod flaky;
pub mod original;
pub mod process;
pub mod quota;
pub mod table;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use barnabas_connect::Registry;
use barnabas_protocol::{
    DesiredSet, Directive, Epoch, Fence, Hello, Report, TargetState, Unit, UnitReport, UnitState, directive::Body,
};
use barnabas_worker::{Worker, WorkerConfig, metrics};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

/// How long anything may take before a test gives up: a bound, never a measure.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The broker's address. A run without one has to say so.
pub fn kafka() -> Option<String> {
    match std::env::var("BARNABAS_TEST_KAFKA") {
        Ok(address) if !address.is_empty() => Some(address),
        _ if std::env::var("BARNABAS_SKIP_KAFKA").is_ok_and(|v| v == "1") => {
            eprintln!("skipped: BARNABAS_SKIP_KAFKA=1");
            None
        }
        _ => panic!(
            "this test needs a Kafka: set BARNABAS_TEST_KAFKA=host:port (`cargo xtask test` does), \
             or BARNABAS_SKIP_KAFKA=1 to leave it out"
        ),
    }
}

/// A name that no other test or run uses.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    format!("{prefix}-{ms:x}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

pub fn config(kafka: &str, group: &str) -> WorkerConfig {
    let keys = [
        ("offset.flush.interval.ms", "200"),
        ("offset.storage.replication.factor", "1"),
        ("offset.storage.partitions", "3"),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
        ("value.converter", "org.apache.kafka.connect.storage.StringConverter"),
    ];
    WorkerConfig {
        group_id: group.into(),
        bootstrap_servers: kafka.into(),
        offset_storage_topic: format!("{group}-offsets"),
        config: keys.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
        worker: Some(group.into()),
        ..WorkerConfig::default()
    }
}

pub fn registry() -> Registry {
    let mut registry = Registry::new();
    barnabas_file::register(&mut registry);
    registry.register(&connectors::COUNTER);
    registry.register(&connectors::COLLECTOR);
    registry.register(&table::TABLE);
    registry.register_converter(&flaky::FLAKY);
    registry
}

/// A worker and its operator: this test.
pub struct Driver {
    pub worker: Worker,
    pub units: BTreeMap<(String, Option<u32>), Unit>,
    revision: u64,
}

impl Driver {
    pub fn start(config: WorkerConfig) -> Self {
        static LOGGING: std::sync::Once = std::sync::Once::new();
        LOGGING.call_once(|| {
            if std::env::var("BARNABAS_TEST_LOG").is_ok() {
                let loggers = barnabas_worker::logging::Loggers::init(barnabas_worker::logging::Format::Text);
                loggers.set("root", "DEBUG").unwrap();
            }
        });
        let worker = Worker::new(config, registry()).unwrap();
        let hello = Hello { operator: "test".into() };
        worker.apply(Directive { epoch: Some(Epoch::hello(1)), body: Some(Body::Hello(hello)) }).unwrap();
        Self { worker, units: BTreeMap::new(), revision: 0 }
    }

    pub fn task(&mut self, name: &str, task: u32, config: &[(&str, &str)]) {
        self.unit(name, Some(task), 1, config);
    }

    pub fn unit(&mut self, name: &str, task: Option<u32>, incarnation: u64, config: &[(&str, &str)]) {
        let mut map: BTreeMap<String, String> =
            config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        map.insert("name".into(), name.into());
        let unit = Unit {
            connector: name.into(),
            name: name.into(),
            task,
            incarnation,
            config_hash: incarnation,
            config: map.into_iter().collect(),
            target: TargetState::Running.into(),
            tasks_max: 2,
            secrets: Vec::new(),
            fence: None,
        };
        self.units.insert((name.into(), task), unit);
        self.push();
    }

    /// Tells the connector unit to have tasks fenced.
    pub fn fence(&mut self, name: &str, number: u64, tasks: &[u32]) {
        let fence = Fence { number, tasks: tasks.to_vec() };
        self.units.get_mut(&(name.to_owned(), None)).unwrap().fence = Some(fence);
        self.push();
    }

    pub fn target(&mut self, name: &str, task: u32, target: TargetState) {
        self.units.get_mut(&(name.to_owned(), Some(task))).unwrap().target = target.into();
        self.push();
    }

    pub fn remove(&mut self, name: &str) {
        self.units.retain(|(connector, _), _| connector != name);
        self.push();
    }

    pub fn push(&mut self) {
        self.revision += 1;
        let set = DesiredSet { units: self.units.values().cloned().collect() };
        let epoch = Epoch { term: 1, revision: self.revision };
        self.worker.apply(Directive { epoch: Some(epoch), body: Some(Body::Desired(set)) }).unwrap();
    }

    pub async fn until(&self, what: &str, mut check: impl FnMut(&Report) -> bool) -> Report {
        let mut reports = self.worker.reports();
        let wait = async {
            loop {
                let report = reports.borrow_and_update().clone();
                if check(&report) {
                    return report;
                }
                reports.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(report) => report,
            Err(_) => panic!("waited in vain for {what}; last report: {:#?}", *self.worker.reports().borrow()),
        }
    }

    pub async fn until_unit(
        &self,
        name: &str,
        task: Option<u32>,
        what: &str,
        mut check: impl FnMut(&UnitReport) -> bool,
    ) -> UnitReport {
        let find = |report: &Report| report.units.iter().find(|u| u.connector == name && u.task == task).cloned();
        let report = self.until(what, |report| find(report).is_some_and(|unit| check(&unit))).await;
        find(&report).unwrap()
    }

    pub async fn until_state(&self, name: &str, task: u32, state: UnitState) -> UnitReport {
        self.until_unit(name, Some(task), state.as_str_name(), |unit| unit.state() == state).await
    }

    pub async fn until_gone(&self, name: &str) {
        self.until("the units to stop", |report| report.units.iter().all(|u| u.connector != name)).await;
    }

    /// A metric of one task, as Prometheus gets it.
    pub fn metric(&self, name: &str, connector: &str) -> f64 {
        let text = metrics::text(&metrics::registry(self.worker.clone())).unwrap();
        let labels = format!("connector=\"{connector}\"");
        let mut found = text.lines().filter_map(|line| {
            let (labelled, value) = line.rsplit_once(' ')?;
            let rest = labelled.strip_prefix(name)?;
            let rest = rest.strip_prefix("_total").unwrap_or(rest);
            (rest.starts_with('{') && rest.contains(&labels)).then(|| value.parse::<f64>().unwrap())
        });
        found.next_back().unwrap_or_else(|| panic!("no {name} of {connector}"))
    }

    pub async fn until_records(&self, name: &str, records: u64) {
        self.until_unit(name, Some(0), &format!("{records} records"), |unit| {
            assert_ne!(unit.state(), UnitState::Failed, "{unit:#?}");
            unit.progress.as_ref().is_some_and(|p| p.records >= records)
        })
        .await;
    }
}

/// Waits for something that no report shows.
pub async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub async fn create_topic(kafka: &str, name: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka).create().unwrap();
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let results = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
    results.into_iter().for_each(|r| _ = r.unwrap());
}

/// A message as it lies in Kafka.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw {
    pub partition: i32,
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: Vec<(String, String)>,
}

/// Everything that is committed in a topic.
pub async fn read_all(kafka: &str, topic: &str) -> Vec<Raw> {
    let (kafka, topic) = (kafka.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || read_topic(&kafka, &topic)).await.unwrap()
}

fn read_topic(kafka: &str, topic: &str) -> Vec<Raw> {
    use rdkafka::message::Headers;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", unique("reader"))
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(20)).unwrap();
    let partitions = metadata.topics()[0].partitions().len();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions as i32 {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut open, mut found) = (partitions, Vec::new());
    let started = Instant::now();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    while open > 0 {
        assert!(started.elapsed() < PATIENCE, "cannot read {topic}");
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => panic!("{error}"),
            Some(Ok(message)) => found.push(Raw {
                partition: message.partition(),
                key: message.key().map(text),
                value: message.payload().map(text),
                headers: message.headers().map_or_else(Vec::new, |headers| {
                    headers.iter().map(|h| (h.key.to_owned(), text(h.value.unwrap_or_default()))).collect()
                }),
            }),
        }
    }
    found
}

/// The end of a topic's only partition: how many records, and ends of transactions, were ever written to it.
pub async fn end(kafka: &str, topic: &str) -> i64 {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", kafka).create().unwrap();
    let topic = topic.to_owned();
    let ask = move || consumer.fetch_watermarks(&topic, 0, Duration::from_secs(20)).unwrap().1;
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// Where a group is in a topic, over all partitions.
pub async fn committed(kafka: &str, group: &str, topic: &str, partitions: i32) -> i64 {
    let (kafka, group, topic) = (kafka.to_owned(), group.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", kafka).set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&topic, 0, partitions - 1);
        let offsets = consumer.committed_offsets(list, Duration::from_secs(20)).unwrap();
        offsets.elements().iter().filter_map(|e| e.offset().to_raw()).filter(|o| *o > 0).sum()
    })
    .await
    .unwrap()
}

/// Produces values without keys to partition 0.
pub async fn produce(kafka: &str, topic: &str, values: impl IntoIterator<Item = String>) {
    use rdkafka::producer::{FutureProducer, FutureRecord};
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", kafka).create().unwrap();
    for value in values {
        let record = FutureRecord::<str, str>::to(topic).payload(&value).partition(0);
        producer.send(record, Duration::from_secs(30)).await.unwrap();
    }
}
