//! Metrics, under the names that Strimzi's JMX rules give to Kafka Connect's
//! (`ConnectMetricsRegistry`), so that existing dashboards keep working.
//!
//! Nothing is counted twice: a scrape reads the units' own counters. What a unit
//! counted is gone with it, as Connect's metrics are.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use barnabas_protocol::UnitState;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
    registry::{Registry, Unit},
};

use crate::{
    Worker,
    units::status::{Timer, UnitStatus},
};

/// A registry that reads the worker's units at each scrape.
pub fn registry(worker: Worker) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Units { worker }));
    registry
}

/// The exposition text.
pub fn text(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    prometheus_client::encoding::text::encode(&mut out, registry)?;
    Ok(out)
}

#[derive(Clone)]
struct Units {
    worker: Worker,
}

impl std::fmt::Debug for Units {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Units")
    }
}

type Labels = Vec<(String, String)>;
type Samples = Vec<(Labels, f64)>;
type Read = fn(&UnitStatus) -> f64;

/// Name, help and value of a metric of one kind of task. Counters' names get `_total` when written.
const SOURCE: &[(&str, &str, bool, Read)] = &[
    ("source_record_poll", "Records that the source task returned", true, |s| n(&s.counters.polled)),
    ("source_record_write", "Records that Kafka has acknowledged", true, |s| n(&s.counters.records)),
    ("source_record_active_count", "Records not yet acknowledged by Kafka", false, |s| n(&s.counters.active)),
    ("poll_batch_avg_time_ms", "Average time of a poll", false, |s| avg(&s.counters.batches)),
    ("poll_batch_max_time_ms", "Longest time of a poll", false, |s| max(&s.counters.batches)),
    ("transaction_size_avg", "Average number of records in a transaction", false, |s| {
        let count = n(&s.counters.transactions.count);
        if count == 0.0 { 0.0 } else { n(&s.counters.transactions.total) / count }
    }),
    ("transaction_size_max", "Most records in a transaction", false, |s| n(&s.counters.transactions.max)),
    ("transaction_size_min", "Fewest records in a transaction", false, |s| s.counters.transactions.min() as f64),
];

const SINK: &[(&str, &str, bool, Read)] = &[
    ("sink_record_read", "Records read from Kafka", true, |s| n(&s.counters.read)),
    ("sink_record_send", "Records that the sink task has taken", true, |s| n(&s.counters.records)),
    ("sink_record_active_count", "Records not yet taken by the sink task", false, |s| n(&s.counters.active)),
    ("sink_record_lag_max", "Records behind the end of the assigned partitions", false, |s| {
        s.lag().map_or(f64::NAN, |lag| lag as f64)
    }),
    ("partition_count", "Partitions assigned to the task", false, |s| n(&s.counters.partitions)),
    ("offset_commit_completion", "Offset commits that completed", true, |s| n(&s.counters.commits.count)),
    ("put_batch_avg_time_ms", "Average time of a put", false, |s| avg(&s.counters.batches)),
    ("put_batch_max_time_ms", "Longest time of a put", false, |s| max(&s.counters.batches)),
];

const TASK: &[(&str, &str, bool, Read)] = &[
    ("offset_commit_avg_time_ms", "Average time of an offset commit", false, |s| avg(&s.counters.commits)),
    ("offset_commit_max_time_ms", "Longest time of an offset commit", false, |s| max(&s.counters.commits)),
    ("offset_commit_failure_percentage", "Share of offset commits that failed", false, |s| {
        let (ok, failed) = (n(&s.counters.commits.count), n(&s.counters.commit_failures));
        if ok + failed == 0.0 { 0.0 } else { failed / (ok + failed) }
    }),
    ("offset_commit_success_percentage", "Share of offset commits that succeeded", false, |s| {
        let (ok, failed) = (n(&s.counters.commits.count), n(&s.counters.commit_failures));
        if ok + failed == 0.0 { 0.0 } else { ok / (ok + failed) }
    }),
];

const ERRORS: &[(&str, &str, bool, Read)] = &[
    ("total_record_failures", "Operations on records that failed", false, |s| n(&s.counters.failures)),
    ("total_record_errors", "Records that could not be processed", false, |s| n(&s.counters.errors)),
    ("total_records_skipped", "Records skipped because of errors", false, |s| n(&s.counters.skipped)),
    ("total_retries", "Operations tried again", false, |s| n(&s.counters.retries)),
    ("total_errors_logged", "Errors logged", false, |s| n(&s.counters.logged)),
    ("deadletterqueue_produce_requests", "Records sent to the dead letter queue", false, |s| {
        n(&s.counters.dlq_requests)
    }),
    ("deadletterqueue_produce_failures", "Records that did not reach the dead letter queue", false, |s| {
        n(&s.counters.dlq_failures)
    }),
    ("last_error_timestamp", "When a record failed last, milliseconds since 1970", false, |s| {
        s.counters.last_error_at_ms.load(Relaxed) as f64
    }),
];

fn n(counter: &std::sync::atomic::AtomicU64) -> f64 {
    counter.load(Relaxed) as f64
}

fn avg(timer: &Timer) -> f64 {
    let count = n(&timer.count);
    if count == 0.0 { 0.0 } else { n(&timer.total_us) / count / 1000.0 }
}

fn max(timer: &Timer) -> f64 {
    n(&timer.max_us) / 1000.0
}

impl Collector for Units {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let statuses = self.worker.statuses();
        let tasks: Vec<_> = statuses.iter().filter(|s| s.identity().task.is_some()).collect();
        for (group, kind, metrics) in [
            ("kafka_connect_source_task", Some("source"), SOURCE),
            ("kafka_connect_sink_task", Some("sink"), SINK),
            ("kafka_connect_connector_task", None, TASK),
            ("kafka_connect_task_error", None, ERRORS),
        ] {
            for (name, help, counter, read) in metrics {
                let samples: Samples = tasks
                    .iter()
                    .filter(|s| kind.is_none_or(|kind| s.identity().kind == kind))
                    .map(|s| (task_labels(s), read(s)))
                    .collect();
                family(&mut encoder, &format!("{group}_{name}"), help, *counter, samples)?;
            }
        }
        states(&mut encoder, &statuses)?;
        worker(&mut encoder, &self.worker, &statuses)
    }
}

/// One line per state, 1 for the current one: what `kafka_connect_connector_task_status` is in the JMX rules.
fn states(encoder: &mut DescriptorEncoder<'_>, statuses: &[Arc<UnitStatus>]) -> Result<(), std::fmt::Error> {
    let (mut tasks, mut connectors) = (Vec::new(), Vec::new());
    for status in statuses {
        let state = state_name(status.state());
        let with_state = |mut labels: Labels| {
            labels.push(("status".to_owned(), state.to_owned()));
            (labels, 1.0)
        };
        match status.identity().task {
            Some(_) => tasks.push(with_state(task_labels(status))),
            None => connectors.push(with_state(connector_labels(status))),
        }
    }
    family(encoder, "kafka_connect_connector_task_status", "State of the task", false, tasks)?;
    family(encoder, "kafka_connect_connector_status", "State of the connector", false, connectors)
}

fn worker(
    encoder: &mut DescriptorEncoder<'_>,
    worker: &Worker,
    statuses: &[Arc<UnitStatus>],
) -> Result<(), std::fmt::Error> {
    let one = |value: f64| vec![(Labels::new(), value)];
    let connectors = statuses.iter().filter(|s| s.identity().task.is_none()).count();
    family(
        encoder,
        "kafka_connect_worker_connector_count",
        "Connectors on this worker",
        false,
        one(connectors as f64),
    )?;
    let tasks = statuses.len() - connectors;
    family(encoder, "kafka_connect_worker_task_count", "Tasks on this worker", false, one(tasks as f64))?;
    let mut by_state: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for status in statuses.iter().filter(|s| s.identity().task.is_some()) {
        let name = status.identity().name.as_str();
        *by_state.entry((name, "total")).or_default() += 1.0;
        *by_state.entry((name, state_name(status.state()))).or_default() += 1.0;
    }
    for state in ["total", "running", "paused", "failed", "unassigned", "restarting"] {
        let samples = by_state
            .iter()
            .filter(|((_, s), _)| *s == state)
            .map(|((name, _), count)| (vec![("connector".to_owned(), (*name).to_owned())], *count))
            .collect();
        let name = format!("kafka_connect_worker_connector_{state}_task_count");
        family(encoder, &name, "Tasks of the connector in this state on this worker", false, samples)?;
    }
    let report = worker.reports().borrow().clone();
    let reached = f64::from(u8::from(report.kafka_error.is_empty()));
    family(encoder, "barnabas_worker_kafka_reachable", "1 while the worker reaches Kafka", false, one(reached))?;
    let memory = one(report.memory_bytes as f64);
    family(encoder, "process_resident_memory_bytes", "Resident memory", false, memory)?;
    let term = report.epoch.map_or(0, |e| e.term) as f64;
    family(encoder, "barnabas_worker_epoch_term", "Term of the operator that this worker follows", false, one(term))
}

/// Connect's names in lower case, as the JMX rules have them.
fn state_name(state: UnitState) -> &'static str {
    match state {
        UnitState::Running => "running",
        UnitState::Paused => "paused",
        UnitState::Failed => "failed",
        UnitState::Starting | UnitState::Stopping => "restarting",
        UnitState::Unspecified => "unassigned",
    }
}

fn connector_labels(status: &UnitStatus) -> Labels {
    vec![("connector".to_owned(), status.identity().name.clone())]
}

fn task_labels(status: &UnitStatus) -> Labels {
    let mut labels = connector_labels(status);
    labels.push(("task".to_owned(), status.identity().task.unwrap_or_default().to_string()));
    labels
}

fn family(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    counter: bool,
    samples: Samples,
) -> Result<(), std::fmt::Error> {
    if samples.is_empty() {
        return Ok(());
    }
    let unit: Option<&Unit> = None;
    let kind = if counter { MetricType::Counter } else { MetricType::Gauge };
    let mut metric = encoder.encode_descriptor(name, help, unit, kind)?;
    for (labels, value) in samples {
        match (labels.is_empty(), counter) {
            (true, _) => metric.encode_gauge(&value)?,
            (false, false) => metric.encode_family(&labels)?.encode_gauge(&value)?,
            (false, true) => metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)?,
        }
    }
    Ok(())
}
