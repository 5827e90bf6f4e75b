//! Records that cannot be processed, on both paths (`errors.*`, KIP-298, KIP-610).
#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, fs};

use barnabas_protocol::UnitState;
use common::{Driver, Raw, config, connectors::observed, create_topic, eventually, kafka, produce, read_all, unique};

const COLLECTOR: &str = "test.CollectorSinkConnector";
const COUNTER: &str = "test.CounterSourceConnector";

fn headers(letter: &Raw) -> BTreeMap<String, String> {
    let short = |name: &str| name.strip_prefix("__connect.errors.").unwrap_or(name).to_owned();
    letter.headers.iter().map(|(name, value)| (short(name), value.clone())).collect()
}

/// The keys of a dead letter queue in a topic of its own.
fn queue(topic: &str) -> [(&str, &str); 3] {
    [
        ("errors.deadletterqueue.topic.name", topic),
        ("errors.deadletterqueue.topic.replication.factor", "1"),
        ("errors.deadletterqueue.context.headers.enable", "true"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sink_reports_goes_to_the_queue_as_it_was_read() {
    let Some(kafka) = kafka() else { return };
    let (name, topic, dead) = (unique("errant"), unique("t"), unique("dead"));
    create_topic(&kafka, &topic, 1).await;
    produce(&kafka, &topic, ["good", "bad", "better"].map(str::to_owned)).await;
    observed(&name).errant.lock().unwrap().push("bad".to_owned());
    let mut task = vec![
        ("connector.class", COLLECTOR),
        ("topics", topic.as_str()),
        ("errors.tolerance", "all"),
        // The letter names the topic that the record came from, not what became of it.
        ("transforms", "route"),
        ("transforms.route.type", "RegexRouter"),
        ("transforms.route.regex", ".*"),
        ("transforms.route.replacement", "elsewhere"),
    ];
    task.extend(queue(&dead));
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(&name, 0, &task);
    eventually("the letter", async || (read_all(&kafka, &dead).await.len() == 1).then_some(())).await;
    eventually("the others", async || (observed(&name).put.lock().unwrap().len() == 2).then_some(())).await;
    let letter = read_all(&kafka, &dead).await.remove(0);
    assert_eq!(letter.value.as_deref(), Some("bad"));
    let headers = headers(&letter);
    for (header, value) in
        [("topic", topic.as_str()), ("offset", "1"), ("stage", "TASK_PUT"), ("exception.message", "bad is not wanted")]
    {
        assert_eq!(headers[header], value, "{headers:?}");
    }
    let skipped = driver.until_unit(&name, Some(0), "a skipped record", |unit| {
        unit.progress.as_ref().is_some_and(|progress| progress.records_skipped == 1)
    });
    skipped.await;

    // Without tolerance the task fails, and the record is in the queue all the same, as in Connect.
    let strict = format!("{name}-strict");
    observed(&strict).errant.lock().unwrap().push("bad".to_owned());
    let task: Vec<_> = task.into_iter().filter(|(key, _)| *key != "errors.tolerance").collect();
    driver.task(&strict, 0, &task);
    let failed = driver.until_state(&strict, 0, UnitState::Failed).await;
    assert!(failed.error.unwrap().message.contains("bad is not wanted"));
    eventually("its letter", async || (read_all(&kafka, &dead).await.len() == 2).then_some(())).await;
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_has_a_queue_for_what_cannot_be_converted() {
    let Some(kafka) = kafka() else { return };
    let (name, topic, dead) = (unique("unconverted"), unique("t"), unique("dead"));
    create_topic(&kafka, &topic, 1).await;
    *observed(&name).limit.lock().unwrap() = 3;
    let mut task = vec![
        ("connector.class", COUNTER),
        ("topic", topic.as_str()),
        ("value.converter", "org.apache.kafka.connect.converters.IntegerConverter"),
        ("errors.tolerance", "all"),
        ("errors.log.enable", "true"),
    ];
    task.extend(queue(&dead));
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(&name, 0, &task);
    driver
        .until_unit(&name, Some(0), "a committed position", |unit| {
            unit.progress.as_ref().is_some_and(|p| p.positions.values().any(|o| o == r#"{"next":3}"#))
        })
        .await;
    // Committed only when the queue has them.
    let letters = read_all(&kafka, &dead).await;
    assert_eq!(
        letters.iter().filter_map(|l| l.value.as_deref()).collect::<Vec<_>>(),
        ["\"record 0\"", "\"record 1\"", "\"record 2\""]
    );
    let headers = headers(&letters[1]);
    for (header, value) in [
        ("topic", topic.as_str()),
        ("source.partition", r#"{"counter":"one"}"#),
        ("source.offset", r#"{"next":2}"#),
        ("stage", "VALUE_CONVERTER"),
        ("connector.name", name.as_str()),
    ] {
        assert_eq!(headers[header], value, "{headers:?}");
    }
    assert_eq!(read_all(&kafka, &topic).await, []);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_has_a_queue_for_what_kafka_refuses() {
    let Some(kafka) = kafka() else { return };
    let (name, topic, dead) = (unique("refused"), unique("t"), unique("dead"));
    create_topic(&kafka, &topic, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.txt");
    fs::write(&file, format!("short\n{}\nlast\n", "x".repeat(5000))).unwrap();
    let mut task = vec![
        ("connector.class", "FileStreamSource"),
        ("file", file.to_str().unwrap()),
        ("topic", topic.as_str()),
        ("producer.override.max.request.size", "2000"),
        ("errors.tolerance", "all"),
    ];
    task.extend(queue(&dead));
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(&name, 0, &task);
    driver.until_records(&name, 2).await;
    eventually("the letter", async || (read_all(&kafka, &dead).await.len() == 1).then_some(())).await;
    let letter = read_all(&kafka, &dead).await.remove(0);
    assert_eq!(letter.value, None, "it would not fit here either");
    let headers = headers(&letter);
    assert_eq!((headers["stage"].as_str(), headers["topic"].as_str()), ("KAFKA_PRODUCE", topic.as_str()));
    let values: Vec<_> = read_all(&kafka, &topic).await.into_iter().filter_map(|record| record.value).collect();
    assert_eq!(values, ["short", "last"]);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_converter_that_waits_does_not_hold_up_a_stop_for_each_record() {
    let Some(kafka) = kafka() else { return };
    const RECORDS: u32 = 100;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    for class in [COLLECTOR, COUNTER] {
        let (name, topic) = (unique("stuck"), unique("t"));
        create_topic(&kafka, &topic, 1).await;
        if class == COLLECTOR {
            produce(&kafka, &topic, (0..RECORDS).map(|n| n.to_string())).await;
        }
        *observed(&name).limit.lock().unwrap() = RECORDS.into();
        let task = [
            ("connector.class", class),
            (if class == COLLECTOR { "topics" } else { "topic" }, topic.as_str()),
            ("value.converter", "test.StuckConverter"),
            ("value.converter.connector", name.as_str()),
            ("errors.tolerance", "all"),
        ];
        driver.task(&name, 0, &task);
        let conversions = || *observed(&name).conversions.lock().unwrap();
        eventually("a conversion", async || (conversions() > 0).then_some(())).await;
        driver.remove(&name);
        driver.until_gone(&name).await;
        assert!(conversions() < RECORDS / 2, "{class} converted {} of {RECORDS} records", conversions());
        assert!(observed(&name).put.lock().unwrap().is_empty());
    }
    driver.worker.shutdown().await;
}
