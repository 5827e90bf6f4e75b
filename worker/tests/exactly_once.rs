//! Exactly-once sources (KIP-618), and a sink that keeps its own positions.
#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, io::Write, time::Duration};

use barnabas_protocol::{TargetState, UnitReport, UnitState};
use barnabas_worker::WorkerConfig;
use common::{
    Driver, config,
    connectors::observed,
    create_topic, eventually, kafka,
    process::{Process, prepare},
    read_all, unique,
};

const COUNTER: &str = "test.CounterSourceConnector";

fn exactly_once(kafka: &str, group: &str) -> WorkerConfig {
    let mut config = config(kafka, group);
    config.config.insert("exactly.once.source.support".into(), "enabled".into());
    config
}

async fn values(kafka: &str, topic: &str) -> Vec<String> {
    read_all(kafka, topic).await.into_iter().map(|record| record.value.unwrap()).collect()
}

fn counted(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| format!("record {n}")).collect()
}

/// A file into a topic in transactions, and out of it into a file that keeps its positions, while the process is killed at
/// arbitrary moments: each line is in the topic once, and in the file once.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_again_and_again_repeats_and_loses_nothing() {
    const LINES: usize = 300_000;
    const KILLS: usize = 12;
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("killed"), unique("t"));
    create_topic(&kafka, &topic, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (input, output) = (path("in.txt"), path("out.txt"));
    let source = [
        ("connector.class", "FileStreamSource"),
        ("file", input.as_str()),
        ("topic", topic.as_str()),
        ("batch.size", "300"),
        ("transaction.boundary", "poll"),
    ];
    let sink = [
        ("connector.class", "FileStreamSink"),
        ("file", output.as_str()),
        ("topics", topic.as_str()),
        ("exactly.once", "true"),
        ("consumer.override.isolation.level", "read_committed"),
        // A killed member is missed sooner.
        ("consumer.override.session.timeout.ms", "6000"),
        ("consumer.override.heartbeat.interval.ms", "500"),
    ];
    let sink_name = format!("{name}-sink");
    let config = exactly_once(&kafka, &unique("g"));
    prepare(folder.path(), config, &[(&name, &source), (&sink_name, &sink)]);
    let text: String = (0..LINES).map(|n| format!("line {n} of the text\n")).collect();
    fs::write(&input, "").unwrap();

    // The text grows while the worker dies, so that every part of the path is caught at work.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut file = fs::File::options().append(true).open(&input).unwrap();
    for part in text.as_bytes().chunks(text.len().div_ceil(KILLS)) {
        let process = Process::start(folder.path());
        file.write_all(part).unwrap();
        tokio::time::sleep(Duration::from_millis(300 + next() % 2500)).await;
        drop(process);
    }
    let _last = Process::start(folder.path());
    eventually("the whole text has arrived", async || {
        (fs::metadata(&output).map_or(0, |file| file.len()) >= text.len() as u64).then_some(())
    })
    .await;
    let wanted: Vec<String> = text.lines().map(str::to_owned).collect();
    let sent = values(&kafka, &topic).await;
    assert_eq!(sent.len(), wanted.len(), "lines in the topic");
    assert!(sent == wanted, "the topic holds the text, each line once and in order");
    let starts = fs::read_to_string(path("log")).unwrap().matches("Unit started").count();
    assert!(starts > KILLS, "{starts} starts");
    assert!(fs::read_to_string(&output).unwrap() == text, "the file holds the text, each line once and in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_sets_the_bounds_of_its_transactions() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("bounds"), unique("t"));
    create_topic(&kafka, &topic, 1).await;
    *observed(&name).limit.lock().unwrap() = 740;
    let mut driver = Driver::start(exactly_once(&kafka, &unique("g")));
    let task = [("connector.class", COUNTER), ("topic", topic.as_str()), ("transaction.boundary", "connector")];
    driver.task(&name, 0, &task);
    // 300 to 449 and on are there; 150 to 299 were dropped, 600 to 739 belong to a transaction that is not at its end.
    let whole = || [counted(0..150), counted(300..600)].concat();
    eventually("what was committed", async || (values(&kafka, &topic).await == whole()).then_some(())).await;
    driver
        .until_unit(&name, Some(0), "the committed position", |unit| {
            unit.progress.as_ref().is_some_and(|p| p.positions.values().any(|o| o == r#"{"next":600}"#))
        })
        .await;
    // It goes on where the last transaction ended.
    driver.unit(&name, Some(0), 2, &task);
    *observed(&name).limit.lock().unwrap() = 750;
    let all = || [whole(), counted(600..750)].concat();
    eventually("the rest", async || (values(&kafka, &topic).await == all()).then_some(())).await;
    assert_eq!(*observed(&name).started_at.lock().unwrap(), [0, 600]);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_last_an_interval_and_end_with_a_pause() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("interval"), unique("t"));
    create_topic(&kafka, &topic, 1).await;
    *observed(&name).limit.lock().unwrap() = 100;
    let mut driver = Driver::start(exactly_once(&kafka, &unique("g")));
    let boundary = [("transaction.boundary", "interval"), ("transaction.boundary.interval.ms", "3600000")];
    let mut task = vec![("connector.class", COUNTER), ("topic", topic.as_str())];
    task.extend(boundary);
    driver.task(&name, 0, &task);
    driver.until_records(&name, 100).await;
    assert_eq!(values(&kafka, &topic).await, Vec::<String>::new(), "the hour is not over");
    driver.target(&name, 0, TargetState::Paused);
    driver.until_state(&name, 0, UnitState::Paused).await;
    assert_eq!(values(&kafka, &topic).await, counted(0..100));
    driver.target(&name, 0, TargetState::Running);
    *observed(&name).limit.lock().unwrap() = 200;
    driver.until_records(&name, 200).await;
    driver.remove(&name);
    driver.until_gone(&name).await;
    assert_eq!(values(&kafka, &topic).await, counted(0..200), "and stopping commits");
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_writes_nothing_that_readers_of_transactions_see() {
    let Some(kafka) = kafka() else { return };
    let (name, topic, group) = (unique("zombie"), unique("t"), unique("g"));
    create_topic(&kafka, &topic, 1).await;
    *observed(&name).limit.lock().unwrap() = 300;
    let task = [("connector.class", COUNTER), ("topic", topic.as_str())];
    let mut old = Driver::start(exactly_once(&kafka, &group));
    old.task(&name, 0, &task);
    eventually("the first records", async || (values(&kafka, &topic).await.len() == 300).then_some(())).await;
    let mut new = Driver::start(exactly_once(&kafka, &group));
    new.task(&name, 0, &task);
    eventually("the new instance's start", async || {
        (observed(&name).started_at.lock().unwrap().len() == 2).then_some(())
    })
    .await;
    *observed(&name).limit.lock().unwrap() = 600;
    let failed = old.until_state(&name, 0, UnitState::Failed).await;
    assert_eq!(failed.error.unwrap().reason, "Fenced");
    eventually("the rest", async || (values(&kafka, &topic).await.len() >= 600).then_some(())).await;
    assert_eq!(values(&kafka, &topic).await, counted(0..600));
    old.worker.shutdown().await;
    new.worker.shutdown().await;
}

/// What KIP-618 has the leader of a Connect cluster do: task 5 of an earlier plan lives on where no operator reaches it, and
/// its work has gone to tasks with other transactional ids.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_an_earlier_plan_commits_nothing_once_the_instance_has_it_fenced() {
    let Some(kafka) = kafka() else { return };
    for exactly in [true, false] {
        let (name, topic, group) = (unique("retired"), unique("t"), unique("g"));
        create_topic(&kafka, &topic, 1).await;
        let config = || if exactly { exactly_once(&kafka, &group) } else { config(&kafka, &group) };
        *observed(&name).limit.lock().unwrap() = 300;
        let plugin = [("connector.class", COUNTER), ("topic", topic.as_str())];
        let mut lost = Driver::start(config());
        lost.task(&name, 5, &plugin);
        let committed = |next: &'static str| {
            move |unit: &UnitReport| {
                unit.progress.as_ref().is_some_and(|progress| progress.positions.values().any(|o| o == next))
            }
        };
        lost.until_unit(&name, Some(5), "the first offsets", committed(r#"{"next":300}"#)).await;

        let mut home = Driver::start(config());
        home.unit(&name, None, 1, &plugin);
        home.until_unit(&name, None, "its plan", |unit| unit.plan.is_some() && unit.fenced == 0).await;
        home.fence(&name, 7, &[4, 5]);
        home.until_unit(&name, None, "the fence", |unit| unit.fenced == 7).await;
        assert_eq!(lost.worker.reports().borrow().units[0].state(), UnitState::Running, "it does not know yet");

        *observed(&name).limit.lock().unwrap() = 600;
        let failed = lost.until_state(&name, 5, UnitState::Failed).await;
        assert_eq!(failed.error.as_ref().unwrap().reason, "Fenced");
        assert!(committed(r#"{"next":300}"#)(&failed), "{failed:#?}");
        if exactly {
            assert_eq!(values(&kafka, &topic).await, counted(0..300));
        }
        // Whoever has the work now goes on where the fenced one had got to.
        home.task(&name, 0, &plugin);
        home.until_unit(&name, Some(0), "the rest", committed(r#"{"next":600}"#)).await;
        assert_eq!(*observed(&name).started_at.lock().unwrap(), [0, 300]);
        if exactly {
            assert_eq!(values(&kafka, &topic).await, counted(0..600));
        }
        lost.worker.shutdown().await;
        home.worker.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_kafka_refuses_drops_its_transaction_and_fails_the_task() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("refused"), unique("t"));
    create_topic(&kafka, &topic, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.txt");
    fs::write(&file, format!("short\n{}\nshort\n", "x".repeat(5000))).unwrap();
    let mut driver = Driver::start(exactly_once(&kafka, &unique("g")));
    let task = [
        ("connector.class", "FileStreamSource"),
        ("file", file.to_str().unwrap()),
        ("topic", topic.as_str()),
        ("producer.override.max.request.size", "2000"),
    ];
    driver.task(&name, 0, &task);
    let failed = driver.until_state(&name, 0, UnitState::Failed).await;
    assert_eq!(failed.error.unwrap().reason, "RecordTooLarge");
    assert_eq!(values(&kafka, &topic).await, Vec::<String>::new());
    driver.worker.shutdown().await;
}
