//! What the operator counts, in the exposition format that Prometheus scrapes.

use std::sync::{Arc, atomic::AtomicU64};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// Result of something that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// It worked.
    #[allow(non_camel_case_types)]
    ok,
    /// It failed, and will be tried again.
    #[allow(non_camel_case_types)]
    error,
}

/// Label set of counters by outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByOutcome {
    /// See [`Outcome`].
    pub outcome: Outcome,
}

/// Label set of gauges by cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByCluster {
    /// Namespace of the `ConnectCluster`.
    pub namespace: String,
    /// Name of the `ConnectCluster`.
    pub cluster: String,
}

/// Label set of counters of actions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByKind {
    /// What was done, a short lower-case word.
    pub kind: &'static str,
}

/// All metrics of the operator; cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    /// 1 while this process leads.
    pub leader: Gauge,
    /// The term under which this process leads, or led last.
    pub term: Gauge<u64, AtomicU64>,
    /// Reconciliations of clusters' children.
    pub reconciles: Family<ByOutcome, Counter>,
    /// How long a reconciliation of a cluster's children took, seconds.
    pub reconcile_seconds: Histogram,
    /// Status writes.
    pub status_writes: Family<ByOutcome, Counter>,
    /// Events that were dropped because too many were waiting.
    pub events_dropped: Counter,
    /// Worker sessions that are open.
    pub sessions: Family<ByCluster, Gauge>,
    /// Resources that are watched and valid.
    pub connectors: Family<ByCluster, Gauge>,
    /// Actions that the planner asked for.
    pub actions: Family<ByKind, Counter>,
    /// Failures of watches, which start again by themselves.
    pub watch_errors: Family<ByKind, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("barnabas_operator");
        let metrics = Self {
            registry: Arc::default(),
            leader: Gauge::default(),
            term: Gauge::default(),
            reconciles: Family::default(),
            reconcile_seconds: Histogram::new(exponential_buckets(0.01, 2.0, 12)),
            status_writes: Family::default(),
            events_dropped: Counter::default(),
            sessions: Family::default(),
            connectors: Family::default(),
            actions: Family::default(),
            watch_errors: Family::default(),
        };
        registry.register("leader", "1 while this process leads", metrics.leader.clone());
        registry.register("term", "Term under which this process leads, or led last", metrics.term.clone());
        registry.register("reconciles", "Reconciliations of clusters' children", metrics.reconciles.clone());
        registry.register_with_unit(
            "reconcile_duration",
            "How long a reconciliation of a cluster's children took",
            Unit::Seconds,
            metrics.reconcile_seconds.clone(),
        );
        registry.register("status_writes", "Writes of resources' status", metrics.status_writes.clone());
        registry.register(
            "events_dropped",
            "Events dropped because too many were waiting",
            metrics.events_dropped.clone(),
        );
        registry.register("sessions", "Open worker sessions", metrics.sessions.clone());
        registry.register("connectors", "KafkaConnectors that name the cluster", metrics.connectors.clone());
        registry.register("actions", "Actions that the planner asked for", metrics.actions.clone());
        registry.register("watch_errors", "Failures of watches", metrics.watch_errors.clone());
        *metrics.registry.lock() = registry;
        metrics
    }
}

impl Metrics {
    /// Counts something by outcome.
    pub fn count<T, E>(family: &Family<ByOutcome, Counter>, result: &Result<T, E>) {
        let outcome = if result.is_ok() { Outcome::ok } else { Outcome::error };
        family.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// The page that Prometheus scrapes.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.registry.lock())?;
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_page_names_every_metric_with_the_prefix() {
        let metrics = Metrics::default();
        metrics.leader.set(1);
        Metrics::count(&metrics.reconciles, &Ok::<(), ()>(()));
        let page = metrics.render().unwrap();
        assert!(page.contains("barnabas_operator_leader 1"), "{page}");
        assert!(page.contains("barnabas_operator_reconciles_total{outcome=\"ok\"} 1"), "{page}");
        assert!(page.contains("barnabas_operator_reconcile_duration_seconds_bucket"), "{page}");
    }
}
