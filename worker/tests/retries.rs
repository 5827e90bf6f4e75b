//! What may heal is tried again: conversions (`errors.retry.*`), puts, confirmations; and nothing is lost meanwhile.
#![allow(clippy::unwrap_used)]

mod common;

use barnabas_protocol::{ErrorCode, UnitReport, UnitState};
use common::{
    Driver, committed, config,
    connectors::{Confirm, observed},
    create_topic, eventually, flaky, kafka, produce, read_all, unique,
};

const COLLECTOR: &str = "test.CollectorSinkConnector";
const COUNTER: &str = "test.CounterSourceConnector";
/// Longer than any test: the attempts end before.
const LONG: &str = "600000";

/// One flaky connector, its topic and its dead letter queue.
struct Flaky {
    kafka: String,
    name: String,
    topic: String,
    dead: String,
    class: &'static str,
}

impl Flaky {
    /// A sink with the records `a`, `b` and `c` before it.
    async fn sink(kafka: &str) -> Self {
        let flaky = Self::new(kafka, COLLECTOR).await;
        produce(kafka, &flaky.topic, ["a", "b", "c"].map(str::to_owned)).await;
        flaky
    }

    /// A source of the records `record 0`, `record 1` and `record 2`.
    async fn source(kafka: &str) -> Self {
        let flaky = Self::new(kafka, COUNTER).await;
        *observed(&flaky.name).limit.lock().unwrap() = 3;
        flaky
    }

    async fn new(kafka: &str, class: &'static str) -> Self {
        let (name, topic, dead) = (unique("flaky"), unique("t"), unique("dead"));
        create_topic(kafka, &topic, 1).await;
        Self { kafka: kafka.to_owned(), name, topic, dead, class }
    }

    /// The value in the middle takes these steps.
    fn script(&self, steps: &str) {
        flaky::script(&self.name, self.middle(), steps);
    }

    fn middle(&self) -> &'static str {
        if self.class == COLLECTOR { "b" } else { "record 1" }
    }

    fn attempts(&self) -> usize {
        flaky::attempts(&self.name, self.middle())
    }

    fn run(&self, driver: &mut Driver, incarnation: u64, errors: &[(&str, &str)]) {
        let mut task = vec![
            ("connector.class", self.class),
            ("value.converter", "test.FlakyConverter"),
            ("value.converter.test", self.name.as_str()),
            (if self.class == COLLECTOR { "topics" } else { "topic" }, &self.topic),
        ];
        task.extend(errors);
        driver.unit(&self.name, Some(0), incarnation, &task);
    }

    /// The keys of its dead letter queue.
    fn queue(&self) -> [(&str, &str); 3] {
        [
            ("errors.deadletterqueue.topic.name", &self.dead),
            ("errors.deadletterqueue.topic.replication.factor", "1"),
            ("errors.deadletterqueue.context.headers.enable", "true"),
        ]
    }

    /// Waits until the sink was given that many records, or the source has written them.
    async fn moved(&self, count: usize) -> Vec<String> {
        eventually(&format!("{count} records of {}", self.name), async || {
            let moved = self.moved_so_far().await;
            (moved.len() >= count).then_some(moved)
        })
        .await
    }

    async fn moved_so_far(&self) -> Vec<String> {
        if self.class == COLLECTOR {
            return observed(&self.name).put.lock().unwrap().clone();
        }
        read_all(&self.kafka, &self.topic).await.into_iter().filter_map(|record| record.value).collect()
    }

    /// What all records are, or those without the one in the middle.
    fn expected(&self, with_middle: bool) -> Vec<String> {
        let all = if self.class == COLLECTOR { ["a", "b", "c"] } else { ["record 0", "record 1", "record 2"] };
        all.into_iter().filter(|value| with_middle || *value != self.middle()).map(str::to_owned).collect()
    }

    /// Stops it, and says where it goes on.
    async fn position(&self, driver: &mut Driver) -> i64 {
        driver.remove(&self.name);
        driver.until_gone(&self.name).await;
        if self.class == COLLECTOR {
            return committed(&self.kafka, &format!("connect-{}", self.name), &self.topic, 1).await;
        }
        self.run(driver, 99, &[]);
        let started = async || observed(&self.name).started_at.lock().unwrap().get(1).copied();
        let position = eventually("the task to start again", started).await;
        driver.remove(&self.name);
        driver.until_gone(&self.name).await;
        position as i64
    }

    /// Failed attempts, records that failed, skipped records, retries.
    fn counted(&self, driver: &Driver) -> [f64; 4] {
        ["total_record_failures", "total_record_errors", "total_records_skipped", "total_retries"]
            .map(|name| driver.metric(&format!("kafka_connect_task_error_{name}"), &self.name))
    }
}

async fn both(kafka: &str) -> [Flaky; 2] {
    [Flaky::sink(kafka).await, Flaky::source(kafka).await]
}

async fn failed(driver: &Driver, name: &str) -> UnitReport {
    driver.until_state(name, 0, UnitState::Failed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversion_that_heals_in_time_is_counted_and_nothing_else() {
    let Some(kafka) = kafka() else { return };
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    for flaky in both(&kafka).await {
        flaky.script("rrr.");
        flaky.run(&mut driver, 1, &[("errors.retry.timeout", LONG), ("errors.retry.delay.max.ms", "400")]);
        assert_eq!(flaky.moved(3).await, flaky.expected(true));
        assert_eq!(flaky.attempts(), 4);
        assert_eq!(flaky.counted(&driver), [3.0, 0.0, 0.0, 3.0], "{}", flaky.class);
        driver.until_state(&flaky.name, 0, UnitState::Running).await;
    }
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_heal_in_time_is_dead_lettered_when_errors_are_tolerated() {
    let Some(kafka) = kafka() else { return };
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    for flaky in both(&kafka).await {
        flaky.script("r");
        let mut errors = vec![("errors.retry.timeout", "1500"), ("errors.tolerance", "all")];
        errors.extend(flaky.queue());
        flaky.run(&mut driver, 1, &errors);
        assert_eq!(flaky.moved(2).await, flaky.expected(false));
        // 300, 600 and what is left of 1500 ms after them: more attempts than that do not fit.
        let attempts = flaky.attempts();
        assert!((2..=4).contains(&attempts), "{attempts}");
        // Connect counts giving up as one more.
        let failures = attempts as f64 + 1.0;
        assert_eq!(flaky.counted(&driver), [failures, 1.0, 1.0, failures - 2.0], "{}", flaky.class);
        let requests = "kafka_connect_task_error_deadletterqueue_produce_requests";
        assert_eq!(driver.metric(requests, &flaky.name), 1.0);
        // The queue has it before the position passes it.
        assert_eq!(flaky.position(&mut driver).await, 3);
        let dead = read_all(&kafka, &flaky.dead).await;
        assert_eq!(dead.len(), 1, "{dead:?}");
        let header = |name: &str| {
            let name = format!("__connect.errors.{name}");
            dead[0].headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
        };
        assert_eq!(header("stage"), Some("VALUE_CONVERTER"));
        assert_eq!(header("exception.class.name"), Some("org.apache.kafka.connect.errors.RetriableException"));
    }
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_heal_in_time_fails_the_task_when_errors_are_not_tolerated() {
    let Some(kafka) = kafka() else { return };
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    // 0 is the default: no second attempt.
    for (timeout, most) in [("700", 3), ("0", 1)] {
        for flaky in both(&kafka).await {
            flaky.script("r");
            flaky.run(&mut driver, 1, &[("errors.retry.timeout", timeout)]);
            let report = failed(&driver, &flaky.name).await;
            let error = report.error.unwrap();
            assert_eq!(error.code(), ErrorCode::Retriable, "{error:?}");
            assert!(error.message.contains("cannot be converted yet"), "{error:?}");
            let attempts = flaky.attempts();
            assert!((most.min(2)..=most).contains(&attempts), "{attempts}");
            let failures = attempts as f64 + 1.0;
            assert_eq!(flaky.counted(&driver), [failures, 1.0, 0.0, failures - 2.0], "{}", flaky.class);
            // What came before it was moved, it was not passed over.
            assert_eq!(flaky.moved(1).await, flaky.expected(true)[..1]);
            flaky.script(".");
            assert_eq!(flaky.position(&mut driver).await, 1);
        }
    }
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_stops_while_it_tries_again_skips_nothing() {
    let Some(kafka) = kafka() else { return };
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    for flaky in both(&kafka).await {
        flaky.script("r");
        let mut errors = vec![("errors.retry.timeout", "-1"), ("errors.tolerance", "all")];
        errors.extend(flaky.queue());
        flaky.run(&mut driver, 1, &errors);
        eventually("a second attempt", async || (flaky.attempts() > 1).then_some(())).await;
        driver.remove(&flaky.name);
        driver.until_gone(&flaky.name).await;
        assert_eq!(flaky.moved_so_far().await, flaky.expected(true)[..1]);
        flaky.script(".");
        flaky.run(&mut driver, 2, &errors);
        assert_eq!(flaky.moved(3).await, flaky.expected(true), "{}", flaky.class);
        assert_eq!(read_all(&kafka, &flaky.dead).await, []);
    }
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_healed_is_not_skipped_when_its_batch_is_put_again() {
    let Some(kafka) = kafka() else { return };
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    let flaky = Flaky::sink(&kafka).await;
    // Each put converts anew.
    flaky.script("r.r.");
    flaky::script(&flaky.name, "c", "d");
    *observed(&flaky.name).fail_puts.lock().unwrap() = 1;
    let mut errors =
        vec![("errors.retry.timeout", LONG), ("errors.retry.delay.max.ms", "50"), ("errors.tolerance", "all")];
    errors.extend(flaky.queue());
    flaky.run(&mut driver, 1, &errors);
    assert_eq!(flaky.moved(2).await, ["a", "b"]);
    assert_eq!(flaky.position(&mut driver).await, 3);
    // The bad one was put aside once, however often its batch is put.
    let dead = read_all(&kafka, &flaky.dead).await;
    assert_eq!(dead.iter().filter_map(|letter| letter.value.as_deref()).collect::<Vec<_>>(), ["c"]);
    driver.worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_that_fails_a_task_is_queued_once_however_often_those_before_it_are_put() {
    let Some(kafka) = kafka() else { return };
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    let flaky = Flaky::sink(&kafka).await;
    flaky.script("d");
    *observed(&flaky.name).fail_puts.lock().unwrap() = 2;
    flaky.run(&mut driver, 1, &flaky.queue());
    let report = failed(&driver, &flaky.name).await;
    assert_eq!(report.error.unwrap().code(), ErrorCode::Data);
    assert_eq!(flaky.moved_so_far().await, ["a"]);
    // One attempt each at the two conversions that failed, and the two puts.
    assert_eq!(flaky.counted(&driver), [1.0, 1.0, 0.0, 2.0]);
    assert_eq!(read_all(&kafka, &flaky.dead).await.len(), 1);
    assert_eq!(flaky.position(&mut driver).await, 1);
    driver.worker.shutdown().await;
}

fn numbered(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("v{n:03}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_is_put_again_as_it_was_while_what_comes_later_waits() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("refused"), unique("t"));
    create_topic(&kafka, &topic, 3).await;
    produce(&kafka, &topic, numbered(0..20)).await;
    const REFUSED: usize = 6;
    let observed = observed(&name);
    *observed.fail_puts.lock().unwrap() = REFUSED as u32;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(&name, 0, &[("connector.class", COLLECTOR), ("topics", &topic)]);
    let batches = || observed.batches.lock().unwrap().clone();
    eventually("a second put", async || (batches().len() > 1).then_some(())).await;
    produce(&kafka, &topic, numbered(20..60)).await;
    let all = eventually("all records", async || {
        let put = observed.put.lock().unwrap().clone();
        (put.len() >= 60).then_some(put)
    })
    .await;
    assert_eq!(all, numbered(0..60), "in order, once");
    let batches = batches();
    let same = &batches[..=REFUSED];
    assert!(same.iter().all(|size| *size == same[0]), "{batches:?}");
    // The partitions were held, and go on.
    assert!(batches.len() > REFUSED + 1, "{batches:?}");
    let active = driver.metric("kafka_connect_sink_task_sink_record_active_count", &name);
    assert_eq!(active, 0.0);
    driver.worker.shutdown().await;
    assert_eq!(committed(&kafka, &format!("connect-{name}"), &topic, 3).await, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_moves_while_its_records_are_refused_loses_none() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("moves"), unique("t"));
    create_topic(&kafka, &topic, 2).await;
    let observed = observed(&name);
    *observed.fail_puts.lock().unwrap() = u32::MAX;
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    let task = [("connector.class", COLLECTOR), ("topics", topic.as_str())];
    driver.task(&name, 0, &task);
    produce_to_both(&kafka, &topic).await;
    eventually("a refused put", async || (observed.batches.lock().unwrap().len() > 1).then_some(())).await;
    driver.task(&name, 1, &task);
    eventually("a partition for each", async || {
        let events = observed.events.lock().unwrap().clone();
        (events.iter().filter(|event| *event == "open 1").count() == 2).then_some(())
    })
    .await;
    *observed.fail_puts.lock().unwrap() = 0;
    let mut all = eventually("all records", async || {
        let put = observed.put.lock().unwrap().clone();
        (put.len() >= 40).then_some(put)
    })
    .await;
    all.sort();
    assert_eq!(all, numbered(0..40), "once, because none was taken before");
    driver.worker.shutdown().await;
    assert_eq!(committed(&kafka, &format!("connect-{name}"), &topic, 2).await, 40);
}

/// 20 records to each of two partitions.
async fn produce_to_both(kafka: &str, topic: &str) {
    use rdkafka::producer::{FutureProducer, FutureRecord};
    let producer: FutureProducer = rdkafka::ClientConfig::new().set("bootstrap.servers", kafka).create().unwrap();
    for (index, value) in numbered(0..40).into_iter().enumerate() {
        let record = FutureRecord::<str, str>::to(topic).payload(&value).partition((index % 2) as i32);
        producer.send(record, common::PATIENCE).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_sink_confirms_is_committed() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("confirms"), unique("t"));
    create_topic(&kafka, &topic, 1).await;
    produce(&kafka, &topic, numbered(0..10)).await;
    let group = format!("connect-{name}");
    let observed = observed(&name);
    // Fewer than it has; more; nothing at all. The two latter commit nothing.
    let answers: [(Confirm, i64); 3] = [(|_| 4, 4), (|offset| offset + 5, 4), (|_| -1, 4)];
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    let mut given = 0;
    for (incarnation, (answer, position)) in answers.into_iter().enumerate() {
        *observed.confirm.lock().unwrap() = Some(answer);
        driver.unit(&name, Some(0), incarnation as u64 + 1, &[("connector.class", COLLECTOR), ("topics", &topic)]);
        // What was not confirmed is given again.
        given += if given == 0 { 10 } else { 6 };
        eventually("the records", async || (observed.put.lock().unwrap().len() >= given).then_some(())).await;
        if answer(0) == 4 {
            // While the task runs, too, and not only at its end.
            eventually("a commit", async || (committed(&kafka, &group, &topic, 1).await == 4).then_some(())).await;
        }
        driver.remove(&name);
        driver.until_gone(&name).await;
        assert_eq!(committed(&kafka, &group, &topic, 1).await, position);
    }
    *observed.confirm.lock().unwrap() = None;
    driver.unit(&name, Some(0), 9, &[("connector.class", COLLECTOR), ("topics", &topic)]);
    eventually("the rest", async || (observed.put.lock().unwrap().len() >= given + 6).then_some(())).await;
    driver.worker.shutdown().await;
    assert_eq!(committed(&kafka, &group, &topic, 1).await, 10);
    let again = [numbered(0..10), numbered(4..10), numbered(4..10), numbered(4..10)].concat();
    assert_eq!(*observed.put.lock().unwrap(), again);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_cannot_make_its_records_durable_gets_them_again() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("durable"), unique("t"));
    create_topic(&kafka, &topic, 1).await;
    produce(&kafka, &topic, numbered(0..5)).await;
    let group = format!("connect-{name}");
    let observed = observed(&name);
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    driver.task(&name, 0, &[("connector.class", COLLECTOR), ("topics", &topic)]);
    eventually("a commit", async || (committed(&kafka, &group, &topic, 1).await == 5).then_some(())).await;
    *observed.fail_flushes.lock().unwrap() = 1;
    produce(&kafka, &topic, numbered(5..10)).await;
    eventually("the next commit", async || (committed(&kafka, &group, &topic, 1).await == 10).then_some(())).await;
    let put = observed.put.lock().unwrap().clone();
    assert_eq!(put[..5], numbered(0..5), "what was committed before is not given again");
    let mut distinct = put[5..].to_vec();
    assert!(distinct.len() > 5, "given twice: {put:?}");
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct, numbered(5..10));
    assert_eq!(put[put.len() - 1], "v009", "{put:?}");
    driver.until_unit(&name, Some(0), "the error to heal", |unit| unit.error.is_none()).await;
    // When the task is about to end, what it cannot confirm is for whoever goes on.
    *observed.fail_flushes.lock().unwrap() = u32::MAX;
    produce(&kafka, &topic, numbered(10..12)).await;
    eventually("the last records", async || observed.put.lock().unwrap().contains(&"v011".to_owned()).then_some(()))
        .await;
    driver.worker.shutdown().await;
    assert_eq!(committed(&kafka, &group, &topic, 1).await, 10);
    assert_eq!(*observed.events.lock().unwrap(), ["open 1", "close 1", "stop"], "it never left its group");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_tasks_than_allowed_fail_the_connector_unless_that_is_not_enforced() {
    let Some(kafka) = kafka() else { return };
    let mut driver = Driver::start(config(&kafka, &unique("g")));
    // The driver's tasks.max is 2.
    for (enforce, planned, allowed) in [("true", "3", false), ("false", "3", true), ("true", "2", true)] {
        let name = unique("planned");
        let keys = [("connector.class", COUNTER), ("topic", "t"), ("plan", planned), ("tasks.max.enforce", enforce)];
        driver.unit(&name, None, 1, &keys);
        if allowed {
            let report = driver.until_unit(&name, None, "a plan", |unit| unit.plan.is_some()).await;
            assert_eq!(report.state(), UnitState::Running);
            assert_eq!(report.plan.unwrap().tasks.len().to_string(), planned);
        } else {
            let report = driver.until_unit(&name, None, "a failure", |unit| unit.state() == UnitState::Failed).await;
            let error = report.error.unwrap();
            assert_eq!((error.code(), error.reason.as_str()), (ErrorCode::Fatal, "TooManyTasks"));
            assert!(error.message.contains("planned 3 tasks") && error.message.contains("tasks.max of 2"), "{error:?}");
            assert!(report.plan.is_none());
        }
    }
    driver.worker.shutdown().await;
}
