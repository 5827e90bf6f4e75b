//! Source tasks against a real Kafka.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use barnabas_protocol::{TargetState, UnitState};
use common::{Driver, config, connectors::observed, create_topic, eventually, kafka, read_all, unique};

const COUNTER: &str = "test.CounterSourceConnector";

fn values(records: &[common::Raw]) -> Vec<String> {
    records.iter().map(|r| r.value.clone().unwrap()).collect()
}

fn counted(until: u64) -> Vec<String> {
    (0..until).map(|n| format!("record {n}")).collect()
}

async fn counter(kafka: &str, prefix: &str) -> (String, String) {
    let (name, topic) = (unique(prefix), unique("t"));
    create_topic(kafka, &topic, 1).await;
    (name, topic)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_through_a_topic_into_a_file_byte_for_byte() {
    let Some(kafka) = kafka() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let mut text = String::new();
    for n in 0..20_000 {
        text.push_str(&format!("{n} \u{e4}\u{20ac}\u{1f980} some line of text, not all alike {}\n", n * 7919 % 10_007));
    }
    text.push_str("\n\nlast one\n");
    fs::write(&from, &text).unwrap();
    let (source, topic) = counter(&kafka, "files").await;
    let sink = unique("files-sink");
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(
        &source,
        0,
        &[("connector.class", "FileStreamSource"), ("file", from.to_str().unwrap()), ("topic", &topic)],
    );
    driver.task(&sink, 0, &[("connector.class", "FileStreamSink"), ("file", to.to_str().unwrap()), ("topics", &topic)]);
    driver.until_records(&source, 20_003).await;
    driver.until_records(&sink, 20_003).await;
    driver.worker.shutdown().await;
    assert!(fs::read_to_string(&to).unwrap() == text, "the files differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_lie_in_the_topic_as_connect_writes_them() {
    let Some(kafka) = kafka() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("in put");
    fs::write(&file, "one\ntwo\n").unwrap();
    let (name, topic) = counter(&kafka, "off").await;
    let group = unique("g");
    let mut driver = Driver::start(config(&kafka, &group));
    let path = file.to_str().unwrap();
    driver.task(&name, 0, &[("connector.class", "FileStreamSource"), ("file", path), ("topic", &topic)]);
    driver.until_records(&name, 2).await;
    driver.remove(&name);
    driver.until_gone(&name).await;
    let offsets = read_all(&kafka, &format!("{group}-offsets")).await;
    let last = offsets.last().unwrap();
    assert_eq!(last.key.as_deref(), Some(format!(r#"["{name}",{{"filename":"{path}"}}]"#).as_str()));
    assert_eq!(last.value.as_deref(), Some(r#"{"position":8}"#));
    // Kafka's own partitioner, so that Connect finds and compacts the same key: murmur2, in 3 partitions.
    let expected = (murmur2(last.key.as_ref().unwrap().as_bytes()) & 0x7fff_ffff) % 3;
    assert_eq!(last.partition as u32, expected);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_incarnation_goes_on_where_the_old_one_stopped() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = counter(&kafka, "again").await;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    *observed(&name).limit.lock().unwrap() = 1234;
    driver.unit(&name, Some(0), 1, &[("connector.class", COUNTER), ("topic", &topic)]);
    driver.until_records(&name, 1234).await;
    *observed(&name).limit.lock().unwrap() = 3000;
    driver.unit(&name, Some(0), 2, &[("connector.class", COUNTER), ("topic", &topic), ("changed", "yes")]);
    driver
        .until_unit(&name, Some(0), "the second incarnation's records", |u| {
            u.incarnation == 2 && u.progress.as_ref().is_some_and(|p| p.records >= 1)
        })
        .await;
    driver.remove(&name);
    driver.until_gone(&name).await;
    let started = observed(&name).started_at.lock().unwrap().clone();
    assert_eq!((started.len(), started[0]), (2, 0));
    let found = values(&read_all(&kafka, &topic).await);
    // Stopped gracefully: nothing twice, nothing missing.
    assert_eq!(found, counted(found.len() as u64));
    assert!(found.len() as u64 >= started[1]);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_another_worker_process_are_found() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = counter(&kafka, "moves").await;
    let group = unique("g");
    *observed(&name).limit.lock().unwrap() = 500;
    let mut first = Driver::start(config(&kafka, &group));
    first.task(&name, 0, &[("connector.class", COUNTER), ("topic", &topic)]);
    first.until_records(&name, 500).await;
    first.worker.shutdown().await;
    *observed(&name).limit.lock().unwrap() = 700;
    let mut second = Driver::start(config(&kafka, &group));
    second.task(&name, 0, &[("connector.class", COUNTER), ("topic", &topic)]);
    second.until_records(&name, 200).await;
    second.worker.shutdown().await;
    assert_eq!(*observed(&name).started_at.lock().unwrap(), [0, 500]);
    assert_eq!(values(&read_all(&kafka, &topic).await), counted(700));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_cannot_turn_offsets_back() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = counter(&kafka, "zombie").await;
    let group = unique("g");
    let task = [("connector.class", COUNTER), ("topic", topic.as_str())];
    *observed(&name).limit.lock().unwrap() = 300;
    let mut old = Driver::start(config(&kafka, &group));
    old.task(&name, 0, &task);
    old.until_unit(&name, Some(0), "a commit", |u| {
        u.progress.as_ref().is_some_and(|p| p.positions.values().any(|o| o == r#"{"next":300}"#))
    })
    .await;
    // The same task starts elsewhere while the old one, cut off from its operator, still runs.
    let mut new = Driver::start(config(&kafka, &group));
    new.task(&name, 0, &task);
    new.until_state(&name, 0, UnitState::Running).await;
    eventually("the new instance's start", async || {
        (observed(&name).started_at.lock().unwrap().len() == 2).then_some(())
    })
    .await;
    *observed(&name).limit.lock().unwrap() = 400;
    new.until_unit(&name, Some(0), "the new one's commit", |u| {
        u.progress.as_ref().is_some_and(|p| p.positions.values().any(|o| o == r#"{"next":400}"#))
    })
    .await;
    let failed = old.until_state(&name, 0, UnitState::Failed).await;
    assert_eq!(failed.error.unwrap().reason, "Fenced");
    let running = new.until_state(&name, 0, UnitState::Running).await;
    assert_eq!(running.error, None);
    new.worker.shutdown().await;
    old.worker.shutdown().await;
    let offsets = values(&read_all(&kafka, &format!("{group}-offsets")).await);
    assert_eq!(offsets.last().unwrap(), r#"{"next":400}"#);
    assert_eq!(offsets.iter().filter(|o| *o == r#"{"next":400}"#).count(), 1, "the zombie wrote, too: {offsets:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_task_does_not_poll_and_goes_on_when_resumed() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = counter(&kafka, "pause").await;
    *observed(&name).limit.lock().unwrap() = 100;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(&name, 0, &[("connector.class", COUNTER), ("topic", &topic)]);
    driver.until_records(&name, 100).await;
    driver.target(&name, 0, TargetState::Paused);
    driver.until_state(&name, 0, UnitState::Paused).await;
    *observed(&name).limit.lock().unwrap() = 200;
    // A second connector shows that time passes and records flow.
    let (other, other_topic) = counter(&kafka, "pause-other").await;
    *observed(&other).limit.lock().unwrap() = 5000;
    driver.task(&other, 0, &[("connector.class", COUNTER), ("topic", &other_topic)]);
    driver.until_records(&other, 5000).await;
    let paused = driver.until_state(&name, 0, UnitState::Paused).await;
    assert_eq!(paused.progress.unwrap().records, 100);
    driver.target(&name, 0, TargetState::Running);
    driver.until_records(&name, 200).await;
    let resumed = driver.until_state(&name, 0, UnitState::Running).await;
    assert_eq!(resumed.started_at_ms, paused.started_at_ms, "resumed in place");
    assert_eq!(*observed(&name).started_at.lock().unwrap(), [0]);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn target_topics_are_created_as_the_connector_asks() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("creates"), unique("t"));
    *observed(&name).limit.lock().unwrap() = 10;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(
        &name,
        0,
        &[
            ("connector.class", COUNTER),
            ("topic", &topic),
            ("topic.creation.default.replication.factor", "1"),
            ("topic.creation.default.partitions", "4"),
        ],
    );
    driver.until_records(&name, 10).await;
    let partitions: std::collections::BTreeSet<_> =
        read_all(&kafka, &topic).await.iter().map(|r| r.partition).collect();
    assert!(partitions.iter().all(|p| *p < 4));
    let report = driver.until_state(&name, 0, UnitState::Running).await;
    assert_eq!(report.progress.unwrap().topics, [topic]);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_kafka_refuses_fails_the_task_and_what_came_before_is_committed() {
    let Some(kafka) = kafka() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, format!("short\n{}\n", "x".repeat(5000))).unwrap();
    let (name, topic) = counter(&kafka, "big").await;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    let path = file.to_str().unwrap();
    let task = [
        ("connector.class", "FileStreamSource"),
        ("file", path),
        ("topic", topic.as_str()),
        ("producer.override.max.request.size", "2000"),
    ];
    driver.task(&name, 0, &task);
    let failed = driver.until_state(&name, 0, UnitState::Failed).await;
    let error = failed.error.unwrap();
    assert_eq!(error.reason, "RecordTooLarge", "{error:?}");
    assert_eq!(failed.progress.unwrap().positions.into_values().collect::<Vec<_>>(), [r#"{"position":6}"#]);
    // With tolerance the record is skipped instead.
    let mut tolerant = task.to_vec();
    tolerant.push(("errors.tolerance", "all"));
    driver.unit(&name, Some(0), 2, &tolerant);
    driver
        .until_unit(&name, Some(0), "a skipped record", |u| {
            u.incarnation == 2 && u.progress.as_ref().is_some_and(|p| p.records_skipped == 1)
        })
        .await;
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_brokers_for_the_offsets_topic_names_the_key() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = counter(&kafka, "brokers").await;
    let mut config = config(&kafka, &unique("g"));
    config.config.insert("offset.storage.replication.factor".into(), "3".into());
    let mut driver = Driver::start(config);
    driver.task(&name, 0, &[("connector.class", COUNTER), ("topic", &topic)]);
    let error = driver.until_state(&name, 0, UnitState::Failed).await.error.unwrap();
    assert_eq!(error.reason, "InvalidConfiguration");
    assert!(error.message.contains("offset.storage.replication.factor"), "{error:?}");
    driver.worker.shutdown().await;
}

/// Java's `Utils.murmur2`.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h: u32 = 0x9747_b28c ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes(chunk.try_into().unwrap()).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * at);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}
