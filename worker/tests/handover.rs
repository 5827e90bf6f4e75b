//! Connectors that run in Apache Kafka Connect are handed to a worker, and back, while their outside system goes on: the same names,
//! configurations, `group.id` and offsets topic, and nothing is converted in between.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use barnabas_protocol::UnitState;
use common::{
    Driver, config, create_topic, end, eventually, kafka,
    original::{Original, compile_table},
    read_all, unique,
};

#[tokio::test(flavor = "multi_thread")]
async fn connectors_move_from_kafka_connect_and_back_without_a_gap_or_a_repeat() {
    hand_over(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_move_from_kafka_connect_and_back_with_exactly_once_support() {
    hand_over(true).await;
}

/// Each worker has to move at least this much of what is written while it runs.
const BYTES: u64 = 5_000;
const ROWS: usize = 1_000;

async fn hand_over(exactly_once: bool) {
    let Some(kafka) = kafka() else { return };
    // One JVM at a time.
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = TURN.lock().await;
    let folder = tempfile::tempdir().unwrap();
    compile_table(folder.path());
    let stage = Stage::new(&kafka, folder.path(), exactly_once);
    create_topic(&kafka, &stage.lines, 1).await;
    create_topic(&kafka, &stage.rows, 1).await;
    let growing = Arc::new(AtomicBool::new(true));
    let growth = tokio::spawn(grow(stage.input.clone(), Arc::clone(&growing)));

    let first = Original::start(folder.path(), &stage.worker()).await;
    for (name, config) in stage.connectors() {
        first.create(name, &config).await;
    }
    stage.until_moved(ROWS, || ()).await;
    first.stop().await;

    let rows = stage.rows_sent().await;
    let mut config = config(&kafka, &stage.group);
    config.config.insert("exactly.once.source.support".into(), stage.support().into());
    let mut driver = Driver::start(config);
    for (name, config) in stage.connectors() {
        driver.task(name, 0, &config);
    }
    let reports = driver.worker.reports();
    stage
        .until_moved(ROWS, || {
            let report = reports.borrow();
            assert_eq!(report.units.iter().find(|unit| unit.state() == UnitState::Failed), None);
        })
        .await;
    driver.worker.shutdown().await;

    let second = stage.rows_sent().await;
    fs::write(&stage.limit, (second + ROWS).to_string()).unwrap();
    // It knows its connectors from its own topic.
    let last = Original::start(folder.path(), &stage.worker()).await;
    for (name, _) in stage.connectors() {
        last.until_running(name).await;
    }
    stage.until_moved(0, || ()).await;
    growing.store(false, Ordering::Relaxed);
    let text = growth.await.unwrap();
    stage.until_at_rest(text.len(), second + ROWS).await;
    last.stop().await;

    let starts = fs::read_to_string(&stage.starts).unwrap();
    assert_eq!(starts, format!("original 0\ntwin {rows}\noriginal {second}\n"));
    let wanted: Vec<String> = (1..=second + ROWS).map(|row| format!("row {row}")).collect();
    assert!(values(&kafka, &stage.rows).await == wanted, "every row once and in order");
    let wanted: Vec<&str> = text.lines().collect();
    let sent = values(&kafka, &stage.lines).await;
    assert_eq!(sent.len(), wanted.len(), "lines in the topic");
    assert!(sent == wanted, "the topic holds every line once and in order");
    assert!(fs::read_to_string(&stage.output).unwrap() == text, "and so does the file that the sink wrote");
    // Both sides wrote under the same bytes, or compaction would keep a stale offset.
    let keys: BTreeSet<String> =
        read_all(&kafka, &stage.offsets).await.into_iter().map(|record| record.key.unwrap()).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
}

async fn values(kafka: &str, topic: &str) -> Vec<String> {
    read_all(kafka, topic).await.into_iter().map(|record| record.value.unwrap()).collect()
}

/// Appends to a file, not always whole lines, until told to stop. Gives back what it wrote.
async fn grow(path: PathBuf, go_on: Arc<AtomicBool>) -> String {
    let mut file = fs::File::options().create(true).append(true).open(path).unwrap();
    let (mut text, mut line, mut written) = (String::new(), 0, 0);
    while go_on.load(Ordering::Relaxed) {
        while text.len() < written + 400 {
            text.push_str(&format!("line {line} of a file that grows all the while\n"));
            line += 1;
        }
        let until = written + 1 + (written * 7919) % 400;
        file.write_all(&text.as_bytes()[written..until]).unwrap();
        written = until;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    file.write_all(&text.as_bytes()[written..]).unwrap();
    text
}

/// A file into a topic and out of it into another file; the rows of a table into a second topic.
struct Stage {
    kafka: String,
    group: String,
    offsets: String,
    lines: String,
    rows: String,
    names: [String; 3],
    input: PathBuf,
    output: PathBuf,
    limit: PathBuf,
    starts: PathBuf,
    exactly_once: bool,
}

impl Stage {
    fn new(kafka: &str, folder: &Path, exactly_once: bool) -> Self {
        let group = unique("handover");
        let file = |name: &str| folder.join(name);
        fs::write(file("limit"), u32::MAX.to_string()).unwrap();
        fs::write(file("in.txt"), "").unwrap();
        Self {
            kafka: kafka.to_owned(),
            offsets: format!("{group}-offsets"),
            lines: format!("{group}-lines"),
            rows: format!("{group}-rows"),
            names: ["file", "sink", "table"].map(|kind| format!("{group}-{kind}")),
            group,
            input: file("in.txt"),
            output: file("out.txt"),
            limit: file("limit"),
            starts: file("starts"),
            exactly_once,
        }
    }

    fn support(&self) -> &'static str {
        if self.exactly_once { "enabled" } else { "disabled" }
    }

    /// Kafka Connect's own configuration.
    fn worker(&self) -> Vec<(&str, String)> {
        let internal = |purpose: &str| format!("{}-{purpose}", self.group);
        let mut keys = vec![
            ("bootstrap.servers", self.kafka.clone()),
            ("group.id", self.group.clone()),
            ("offset.storage.topic", self.offsets.clone()),
            ("config.storage.topic", internal("configs")),
            ("status.storage.topic", internal("status")),
            ("exactly.once.source.support", self.support().to_owned()),
        ];
        let others = [
            ("offset.storage.replication.factor", "1"),
            ("config.storage.replication.factor", "1"),
            ("status.storage.replication.factor", "1"),
            ("offset.storage.partitions", "3"),
            ("status.storage.partitions", "1"),
            ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
            ("value.converter", "org.apache.kafka.connect.storage.StringConverter"),
            ("offset.flush.interval.ms", "500"),
            ("task.shutdown.graceful.timeout.ms", "30000"),
            ("plugin.discovery", "service_load"),
        ];
        keys.extend(others.map(|(key, value)| (key, value.to_owned())));
        keys
    }

    /// The connectors, the same to both.
    fn connectors(&self) -> [(&str, Vec<(&str, &str)>); 3] {
        let [file, sink, table] = &self.names;
        let source = vec![
            ("connector.class", "org.apache.kafka.connect.file.FileStreamSourceConnector"),
            ("tasks.max", "1"),
            ("file", self.input.to_str().unwrap()),
            ("topic", &self.lines),
        ];
        let writer = vec![
            ("connector.class", "org.apache.kafka.connect.file.FileStreamSinkConnector"),
            ("tasks.max", "1"),
            ("file", self.output.to_str().unwrap()),
            ("topics", &self.lines),
        ];
        let rows = vec![
            ("connector.class", "test.TableSourceConnector"),
            ("tasks.max", "1"),
            ("topic", &self.rows),
            ("limit", self.limit.to_str().unwrap()),
            ("starts", self.starts.to_str().unwrap()),
        ];
        [(file, source), (sink, writer), (table, rows)]
    }

    /// Only while nothing moves: there is no end to read to otherwise.
    async fn rows_sent(&self) -> usize {
        read_all(&self.kafka, &self.rows).await.len()
    }

    fn read(&self) -> u64 {
        fs::metadata(&self.output).map_or(0, |file| file.len())
    }

    /// Waits until the worker that runs now has moved lines, through both connectors, that were written since it runs, and rows.
    async fn until_moved(&self, rows: usize, check: impl Fn()) {
        let lines = fs::metadata(&self.input).unwrap().len() + BYTES;
        let rows = end(&self.kafka, &self.rows).await + rows as i64;
        eventually("lines and rows to move", async || {
            check();
            (self.read() >= lines && end(&self.kafka, &self.rows).await >= rows).then_some(())
        })
        .await;
    }

    /// Waits until there is nothing left to move.
    async fn until_at_rest(&self, bytes: usize, rows: usize) {
        eventually("the last lines and rows", async || {
            (self.read() >= bytes as u64 && self.rows_sent().await >= rows).then_some(())
        })
        .await;
    }
}
