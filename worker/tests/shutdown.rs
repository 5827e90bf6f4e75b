//! A worker that has stopped leaves no Kafka client behind. Alone in its file: it counts the threads of its process.
#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, time::Duration};

use barnabas_protocol::UnitState;
use common::{Driver, config, eventually};
use rdkafka::mocking::MockCluster;

/// Clients of librdkafka in this process: each has one thread of this name, which is the last to end.
fn clients() -> usize {
    fs::read_dir("/proc/self/task")
        .unwrap()
        // A thread may end while the list is read.
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.trim_end() == "rdk:main")
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_has_stopped_has_no_client_that_would_miss_its_kafka() {
    let kafka = MockCluster::new(1).unwrap();
    kafka.create_topic("t", 1, 1).unwrap();
    let before = clients();
    let mut driver = Driver::start(config(&kafka.bootstrap_servers(), "shutdown"));
    driver.task("sink", 0, &[("connector.class", "test.CollectorSinkConnector"), ("topics", "t")]);
    driver.until_state("sink", 0, UnitState::Running).await;
    assert!(clients() > before, "threads of clients are found by their names");
    tokio::time::timeout(Duration::from_secs(60), driver.worker.shutdown()).await.unwrap();
    // A thread that has ended is listed for a moment longer.
    eventually("no client", async || (clients() == before).then_some(())).await;
}
