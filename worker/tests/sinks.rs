//! Sink tasks, connectors and failures against a real Kafka.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use barnabas_protocol::{ErrorCode, TargetState, UnitState};
use common::{
    Driver, committed, config, connectors::observed, create_topic, eventually, kafka, produce, read_all, unique,
};

const COLLECTOR: &str = "test.CollectorSinkConnector";
const COUNTER: &str = "test.CounterSourceConnector";

fn numbered(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|n| format!("v{n}"))
}

async fn put(name: &str, count: usize) -> Vec<String> {
    let observed = observed(name);
    eventually(&format!("{count} records in {name}"), async || {
        let put = observed.put.lock().unwrap();
        (put.len() >= count).then(|| put.clone())
    })
    .await
}

async fn sink(kafka: &str, prefix: &str, partitions: i32) -> (String, String) {
    let (name, topic) = (unique(prefix), unique("t"));
    create_topic(kafka, &topic, partitions).await;
    (name, topic)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_is_committed_in_connects_group_and_a_restart_goes_on_there() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = sink(&kafka, "sink", 1).await;
    produce(&kafka, &topic, numbered(0..50)).await;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    let task = [("connector.class", COLLECTOR), ("topics", topic.as_str())];
    driver.task(&name, 0, &task);
    put(&name, 50).await;
    driver.remove(&name);
    driver.until_gone(&name).await;
    assert_eq!(committed(&kafka, &format!("connect-{name}"), &topic, 1).await, 50);
    assert_eq!(*observed(&name).events.lock().unwrap(), ["open 1", "close 1", "stop"]);
    produce(&kafka, &topic, numbered(50..60)).await;
    driver.unit(&name, Some(0), 2, &task);
    let all = put(&name, 60).await;
    driver.worker.shutdown().await;
    assert_eq!(all, numbered(0..60).collect::<Vec<_>>());
    assert_eq!(*observed(&name).put.lock().unwrap(), all, "nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tasks_share_the_partitions_and_a_partition_that_moves_is_committed_first() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = sink(&kafka, "share", 2).await;
    produce(&kafka, &topic, numbered(0..20)).await;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    let task = [("connector.class", COLLECTOR), ("topics", topic.as_str())];
    driver.task(&name, 0, &task);
    put(&name, 20).await;
    driver.task(&name, 1, &task);
    eventually("a rebalance", async || {
        let events = observed(&name).events.lock().unwrap().clone();
        (events.iter().filter(|e| *e == "open 1").count() == 2).then_some(())
    })
    .await;
    produce(&kafka, &topic, numbered(20..30)).await;
    let all = put(&name, 30).await;
    driver.worker.shutdown().await;
    assert_eq!(all, numbered(0..30).collect::<Vec<_>>(), "in order, once, over the rebalance");
    assert_eq!(committed(&kafka, &format!("connect-{name}"), &topic, 2).await, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retriable_put_gets_the_same_batch_again_and_the_task_stays_running() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = sink(&kafka, "retry", 1).await;
    *observed(&name).fail_puts.lock().unwrap() = 3;
    produce(&kafka, &topic, numbered(0..30)).await;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(&name, 0, &[("connector.class", COLLECTOR), ("topics", &topic)]);
    driver
        .until_unit(&name, Some(0), "a visible retry", |u| {
            u.state() == UnitState::Running && u.error.as_ref().is_some_and(|e| e.code() == ErrorCode::Retriable)
        })
        .await;
    let all = put(&name, 30).await;
    driver.until_unit(&name, Some(0), "the error to heal", |u| u.error.is_none()).await;
    produce(&kafka, &topic, numbered(30..40)).await;
    put(&name, 40).await;
    driver.worker.shutdown().await;
    assert_eq!(all, numbered(0..30).collect::<Vec<_>>());
    let batches = observed(&name).batches.lock().unwrap().clone();
    assert!(batches[1] >= batches[0] && batches[0] > 0, "{batches:?}");
    let events = observed(&name).events.lock().unwrap().clone();
    assert_eq!(events, ["open 1", "close 1", "stop"], "the task stayed in its group");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_sink_reads_nothing_and_keeps_its_partitions() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = sink(&kafka, "pause", 1).await;
    produce(&kafka, &topic, numbered(0..5)).await;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(&name, 0, &[("connector.class", COLLECTOR), ("topics", &topic)]);
    put(&name, 5).await;
    driver.target(&name, 0, TargetState::Paused);
    driver.until_state(&name, 0, UnitState::Paused).await;
    produce(&kafka, &topic, numbered(5..10)).await;
    // Another sink on the same topic shows that the records are there to be read.
    let other = unique("pause-other");
    driver.task(&other, 0, &[("connector.class", COLLECTOR), ("topics", &topic)]);
    put(&other, 10).await;
    assert_eq!(observed(&name).put.lock().unwrap().len(), 5);
    driver.target(&name, 0, TargetState::Running);
    let all = put(&name, 10).await;
    assert_eq!(all, numbered(0..10).collect::<Vec<_>>());
    driver.remove(&name);
    driver.until_gone(&name).await;
    assert_eq!(*observed(&name).events.lock().unwrap(), ["open 1", "close 1", "stop"]);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_found_by_pattern_and_lag_is_shown() {
    let Some(kafka) = kafka() else { return };
    let name = unique("pattern");
    let prefix = unique("p");
    for suffix in ["a", "b", "other"] {
        let topic = format!("{prefix}.{suffix}");
        create_topic(&kafka, &topic, 1).await;
        produce(&kafka, &topic, [suffix.to_owned()]).await;
    }
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    let pattern = format!(r"\Q{prefix}\E\.(a|b)");
    driver.task(&name, 0, &[("connector.class", COLLECTOR), ("topics.regex", &pattern)]);
    let mut all = put(&name, 2).await;
    all.sort();
    assert_eq!(all, ["a", "b"]);
    let unit =
        driver.until_unit(&name, Some(0), "no lag", |u| u.progress.as_ref().is_some_and(|p| p.lag == Some(0))).await;
    assert_eq!(unit.progress.unwrap().topics, [format!("{prefix}.a"), format!("{prefix}.b")]);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_goes_to_the_dead_letter_queue_with_connects_headers() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = sink(&kafka, "dlq", 1).await;
    let queue = unique("dead");
    produce(&kafka, &topic, [r#"{"a":1}"#, "not json", r#"{"a":2}"#].map(str::to_owned)).await;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(
        &name,
        0,
        &[
            ("connector.class", COLLECTOR),
            ("topics", &topic),
            ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("value.converter.schemas.enable", "false"),
            ("errors.tolerance", "all"),
            ("errors.deadletterqueue.topic.name", &queue),
            ("errors.deadletterqueue.topic.replication.factor", "1"),
            ("errors.deadletterqueue.context.headers.enable", "true"),
        ],
    );
    put(&name, 2).await;
    driver.remove(&name);
    driver.until_gone(&name).await;
    assert_eq!(committed(&kafka, &format!("connect-{name}"), &topic, 1).await, 3);
    let dead = read_all(&kafka, &queue).await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].value.as_deref(), Some("not json"));
    let headers: BTreeMap<_, _> = dead[0].headers.iter().cloned().collect();
    for (header, value) in [
        ("topic", topic.as_str()),
        ("partition", "0"),
        ("offset", "1"),
        ("connector.name", &name),
        ("task.id", "0"),
        ("stage", "VALUE_CONVERTER"),
        ("exception.class.name", "org.apache.kafka.connect.errors.DataException"),
    ] {
        assert_eq!(headers[&format!("__connect.errors.{header}")], value, "{header}");
    }
    assert!(headers.contains_key("__connect.errors.exception.stacktrace"));
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tolerance_a_bad_record_fails_the_task_after_what_came_before_it() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = sink(&kafka, "strict", 1).await;
    produce(&kafka, &topic, [r#"{"a":1}"#, "not json", r#"{"a":2}"#].map(str::to_owned)).await;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(
        &name,
        0,
        &[
            ("connector.class", COLLECTOR),
            ("topics", &topic),
            ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("value.converter.schemas.enable", "false"),
        ],
    );
    let failed = driver.until_state(&name, 0, UnitState::Failed).await;
    assert_eq!(failed.error.unwrap().code(), ErrorCode::Data);
    assert_eq!(observed(&name).put.lock().unwrap().len(), 1);
    assert_eq!(committed(&kafka, &format!("connect-{name}"), &topic, 1).await, 1);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_that_units_failure_alone() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = sink(&kafka, "panic", 1).await;
    let (other, other_topic) = sink(&kafka, "calm", 1).await;
    produce(&kafka, &topic, numbered(0..3)).await;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(&other, 0, &[("connector.class", COLLECTOR), ("topics", &other_topic)]);
    let before = driver.until_state(&other, 0, UnitState::Running).await;
    driver.task(&name, 0, &[("connector.class", COLLECTOR), ("topics", &topic), ("panic.at", "v1")]);
    let failed = driver.until_state(&name, 0, UnitState::Failed).await;
    let error = failed.error.unwrap();
    assert_eq!((error.code(), error.reason.as_str()), (ErrorCode::Fatal, "TaskFailed"));
    assert!(error.message.contains("asked to panic"), "{error:?}");
    produce(&kafka, &other_topic, numbered(0..3)).await;
    put(&other, 3).await;
    let after = driver.until_state(&other, 0, UnitState::Running).await;
    assert_eq!(after.started_at_ms, before.started_at_ms);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_unit_reports_its_plan_or_why_it_failed() {
    let Some(kafka) = kafka() else { return };
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    let name = unique("plan");
    driver.unit(&name, None, 7, &[("connector.class", COUNTER), ("topic", "t")]);
    let unit = driver.until_unit(&name, None, "a plan", |u| u.state() == UnitState::Running && u.plan.is_some()).await;
    let plan = unit.plan.unwrap();
    assert_eq!((plan.config_hash, plan.tasks.len(), unit.kind.as_str()), (7, 2, "source"));
    assert_eq!(plan.tasks[1].config["part"], "1");
    let bad = unique("plan-panic");
    driver.unit(&bad, None, 1, &[("connector.class", COUNTER), ("panic", "yes")]);
    let failed = driver.until_unit(&bad, None, "a failure", |u| u.state() == UnitState::Failed).await;
    assert_eq!(failed.error.unwrap().reason, "ConnectorFailed");
    let unknown = unique("plan-unknown");
    driver.unit(&unknown, None, 1, &[("connector.class", "no.Such")]);
    let failed = driver.until_unit(&unknown, None, "a failure", |u| u.state() == UnitState::Failed).await;
    assert_eq!(failed.error.unwrap().reason, "UnknownConnectorClass");
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_appears_later_is_read_with_either_group_protocol() {
    let Some(kafka) = kafka() else { return };
    let (classic, modern, topic) = (unique("later"), unique("later-848"), unique("t"));
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(&classic, 0, &[("connector.class", COLLECTOR), ("topics", &topic)]);
    let task = [("connector.class", COLLECTOR), ("topics", &topic), ("consumer.override.group.protocol", "consumer")];
    driver.task(&modern, 0, &task);
    driver.until_state(&classic, 0, UnitState::Running).await;
    driver.until_state(&modern, 0, UnitState::Running).await;
    create_topic(&kafka, &topic, 2).await;
    produce(&kafka, &topic, numbered(0..5)).await;
    put(&classic, 5).await;
    put(&modern, 5).await;
    driver.remove(&modern);
    driver.until_gone(&modern).await;
    assert_eq!(committed(&kafka, &format!("connect-{modern}"), &topic, 2).await, 5);
    driver.worker.shutdown().await;
}

/// Forwards bytes: an address that is there or not, as the test wants.
async fn forward(listen: std::net::SocketAddr, to: String) {
    let listener = tokio::net::TcpListener::bind(listen).await.unwrap();
    loop {
        let (mut from, _) = listener.accept().await.unwrap();
        let to = to.clone();
        tokio::spawn(async move {
            if let Ok(mut to) = tokio::net::TcpStream::connect(to).await {
                drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_kafka_is_said_and_heals_by_itself() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = sink(&kafka, "heals", 1).await;
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    produce(&kafka, &topic, numbered(0..3)).await;
    let mut driver = Driver::start(config(&address.to_string(), &unique("g")));
    driver.task(&name, 0, &[("connector.class", COLLECTOR), ("topics", &topic)]);
    let unit = driver
        .until_unit(&name, Some(0), "the reason", |u| u.error.as_ref().is_some_and(|e| e.reason == "KafkaUnreachable"))
        .await;
    assert_eq!(unit.state(), UnitState::Starting);
    driver.until("the worker's own word", |r| !r.kafka_error.is_empty()).await;
    assert!(!driver.worker.kafka().once);
    let proxy = tokio::spawn(forward(address, kafka));
    put(&name, 3).await;
    let report = driver.until("the healing", |r| r.kafka_error.is_empty()).await;
    assert_eq!(report.units[0].state(), UnitState::Running);
    driver.worker.shutdown().await;
    proxy.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn records_flow_over_sasl_and_a_wrong_password_is_said() {
    let Some(kafka) = kafka() else { return };
    let get = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let (Some(sasl), Some(user), Some(password)) =
        (get("BARNABAS_TEST_KAFKA_SASL"), get("BARNABAS_TEST_KAFKA_USER"), get("BARNABAS_TEST_KAFKA_PASSWORD"))
    else {
        panic!("set BARNABAS_TEST_KAFKA_SASL, BARNABAS_TEST_KAFKA_USER and BARNABAS_TEST_KAFKA_PASSWORD");
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let (name, topic) = sink(&kafka, "sasl", 1).await;
    produce(&kafka, &topic, numbered(0..3)).await;
    for mechanism in ["SCRAM-SHA-512", "PLAIN"] {
        std::fs::write(&file, "wrong").unwrap();
        let mut config = config(&sasl, &unique("g"));
        config.security.protocol = Some("SASL_PLAINTEXT".into());
        config.security.sasl_mechanism = Some(mechanism.into());
        config.security.username = Some(user.clone());
        config.security.password_file = Some(file.clone());
        let mut driver = Driver::start(config);
        let name = format!("{name}-{mechanism}");
        driver.task(&name, 0, &[("connector.class", COLLECTOR), ("topics", &topic)]);
        let unit = driver
            .until_unit(&name, Some(0), "the reason", |u| {
                u.error.as_ref().is_some_and(|e| e.message.to_lowercase().contains("authentication"))
            })
            .await;
        assert!(!unit.error.unwrap().trace.contains("wrong"), "the password is shown");
        // A corrected Secret heals it, without a restart.
        std::fs::write(&file, format!("{password}\n")).unwrap();
        put(&name, 3).await;
        driver.worker.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_flow_over_tls_with_a_client_certificate() {
    let Some(kafka) = kafka() else { return };
    let get = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let (Some(mtls), Some(certs)) = (get("BARNABAS_TEST_KAFKA_MTLS"), get("BARNABAS_TEST_KAFKA_CERTS")) else {
        panic!("set BARNABAS_TEST_KAFKA_MTLS and BARNABAS_TEST_KAFKA_CERTS (ca.crt, client.crt, client.key)");
    };
    let certs = std::path::PathBuf::from(certs);
    let (name, topic) = sink(&kafka, "mtls", 1).await;
    produce(&kafka, &topic, numbered(0..3)).await;
    let mut config = config(&mtls, &unique("g"));
    config.security.protocol = Some("SSL".into());
    config.security.ca_files = vec![certs.join("ca.crt")];
    config.security.cert_file = Some(certs.join("client.crt"));
    config.security.key_file = Some(certs.join("client.key"));
    let mut driver = Driver::start(config);
    driver.task(&name, 0, &[("connector.class", COLLECTOR), ("topics", &topic)]);
    put(&name, 3).await;
    driver.worker.shutdown().await;
}
