//! Client overrides that lead nowhere, against librdkafka's own mock of a Kafka: no broker needed.
#![allow(clippy::unwrap_used)]

mod common;

use barnabas_protocol::{ErrorCode, UnitError, UnitReport, UnitState};
use common::{Driver, config};
use rdkafka::mocking::MockCluster;

/// Nothing listens there.
const DEAD: &str = "127.0.0.1:9";

/// Waits until the task says what it waits for.
async fn until_waiting(driver: &Driver, name: &str) -> UnitError {
    let says = |unit: &UnitReport| unit.error.as_ref().is_some_and(|error| error.message.contains(DEAD));
    let unit = driver.until_unit(name, Some(0), "the error", says).await;
    // Neither failed, which would take a person, nor running, which it is not.
    assert_eq!(unit.state(), UnitState::Starting, "{unit:?}");
    unit.error.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_whose_kafka_does_not_answer_says_which_key_leads_there_and_heals_when_it_is_corrected() {
    let kafka = MockCluster::new(1).unwrap();
    kafka.create_topic("t", 1, 1).unwrap();
    let mut driver = Driver::start(config(&kafka.bootstrap_servers(), "overrides"));
    let sink = [("connector.class", "test.CollectorSinkConnector"), ("topics", "t")];
    let with = |servers| [&sink[..], &[("consumer.override.bootstrap.servers", servers)][..]].concat();

    driver.unit("sink", Some(0), 1, &with(DEAD));
    let error = until_waiting(&driver, "sink").await;
    assert_eq!((error.reason.as_str(), error.code()), ("KafkaUnreachable", ErrorCode::Retriable));
    let named = format!("Reaching Kafka at {DEAD} (`consumer.override.bootstrap.servers`) failed");
    assert!(error.message.starts_with(&named) && error.message.contains("refused"), "{error:?}");

    driver.unit("sink", Some(0), 2, &with(&kafka.bootstrap_servers()));
    let running = |unit: &UnitReport| unit.incarnation == 2 && unit.state() == UnitState::Running;
    let unit = driver.until_unit("sink", Some(0), "the corrected sink", running).await;
    assert_eq!(unit.error, None);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_names_the_client_and_the_key_that_lead_nowhere() {
    let kafka = MockCluster::new(1).unwrap();
    let mut driver = Driver::start(config(&kafka.bootstrap_servers(), "overrides"));
    let source = [("connector.class", "test.CounterSourceConnector"), ("topic", "t"), ("records", "1")];
    driver.task("producer", 0, &[&source[..], &[("producer.override.bootstrap.servers", DEAD)][..]].concat());
    let admin = [("admin.override.bootstrap.servers", DEAD), ("errors.deadletterqueue.topic.name", "letters")];
    driver.task("admin", 0, &[&source[..], &admin[..]].concat());
    let error = until_waiting(&driver, "producer").await;
    assert!(error.message.contains("`producer.override.bootstrap.servers`"), "{error:?}");
    let error = until_waiting(&driver, "admin").await;
    assert!(error.message.contains("`admin.override.bootstrap.servers`"), "{error:?}");
    driver.worker.shutdown().await;
}
