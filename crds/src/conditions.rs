//! Conditions: the standard shape, the types and the stable reasons.
//!
//! The shape is that of `metav1.Condition`, so `kubectl wait`, Argo CD and Flux understand it. Strimzi publishes
//! failure as `NotReady=True` and has no `Ready=False`; [`not_ready_mirror`] adds that form for tools that know only it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Constants together with [`ALL`](types::ALL), the table that the manifests reference prints.
macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident = $value:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: &str = $value;)+
        /// Every one of them with what it means.
        pub const ALL: &[(&str, &str)] = &[$(($value, concat!($($doc),+))),+];
    };
}

/// Condition types.
pub mod types {
    words! {
        /// The resource does what it says: True, False, or Unknown while that cannot be told.
        READY = "Ready";
        /// Something is being changed towards the spec.
        PROGRESSING = "Progressing";
        /// Nothing will change until somebody acts. Absent otherwise.
        STALLED = "Stalled";
        /// The spec holds something that is ignored, deprecated or dangerous. There may be several.
        WARNING = "Warning";
        /// Strimzi's form of `Ready=False`.
        NOT_READY = "NotReady";
        /// The annotation `pause-reconciliation` is set.
        RECONCILIATION_PAUSED = "ReconciliationPaused";
    }
}

/// Reasons: stable, CamelCase, safe to alert on.
pub mod reasons {
    words! {
        /// Everything runs.
        RUNNING = "Running";
        /// The connector is paused, as asked.
        PAUSED = "Paused";
        /// The connector is stopped, as asked.
        STOPPED = "Stopped";
        /// Workers or units are being started, moved or stopped.
        DEPLOYING = "Deploying";
        /// A key or a field of the configuration is wrong; the message names it.
        INVALID_CONFIGURATION = "InvalidConfiguration";
        /// No worker knows `spec.class`, or it is missing.
        UNKNOWN_CONNECTOR_CLASS = "UnknownConnectorClass";
        /// A key that only the operator may set.
        FORBIDDEN_KEY = "ForbiddenKey";
        /// A Secret, a ConfigMap or a key in one that the configuration refers to does not exist.
        SECRET_NOT_FOUND = "SecretNotFound";
        /// The service account may not read a Secret or ConfigMap that the configuration refers to.
        SECRET_FORBIDDEN = "SecretForbidden";
        /// The label names a `ConnectCluster` that does not exist.
        CLUSTER_NOT_FOUND = "ClusterNotFound";
        /// The label `barnabas.dev/cluster` is missing.
        CLUSTER_LABEL_MISSING = "ClusterLabelMissing";
        /// Kafka does not answer.
        KAFKA_UNREACHABLE = "KafkaUnreachable";
        /// At least one task has failed.
        TASK_FAILED = "TaskFailed";
        /// The connector instance has failed.
        CONNECTOR_FAILED = "ConnectorFailed";
        /// No worker pod is up, or `spec.replicas` is 0.
        NO_WORKERS = "NoWorkers";
        /// The resource cannot be read at all; the message names the field.
        INVALID_RESOURCE = "InvalidResource";
        /// The annotation `pause-reconciliation` is set.
        RECONCILIATION_PAUSED = "ReconciliationPaused";
        /// The resource is being deleted.
        DELETING = "Deleting";
        /// A worker that runs units of this connector cannot be reached.
        WORKER_UNREACHABLE = "WorkerUnreachable";
        /// The configuration could not be validated yet.
        VALIDATION_PENDING = "ValidationPending";
        /// Event: a restart was done.
        RESTARTED = "Restarted";
        /// Fewer workers than wanted are ready.
        WORKERS_NOT_READY = "WorkersNotReady";
        /// Worker pods are being replaced one by one.
        ROLLING = "Rolling";
        /// Every wanted worker is ready.
        READY = "Ready";
        /// Warning: a field that means nothing without a JVM, or that is not implemented.
        UNSUPPORTED_FIELD = "UnsupportedField";
        /// Warning: a field of an older API version.
        DEPRECATED_FIELDS = "DeprecatedFields";
        /// Warning: a default that is dangerous when two clusters share it.
        SHARED_DEFAULT = "SharedDefault";
        /// Warning: the annotation `restart` cannot be followed.
        RESTART_CONNECTOR = "RestartConnector";
        /// Warning: the annotation `restart-task` cannot be followed.
        RESTART_CONNECTOR_TASK = "RestartConnectorTask";
        /// Warning: an offsets operation that cannot be carried out.
        MANAGE_OFFSETS = "ManageOffsets";
    }
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be told.
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// One condition of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is said, for example `Ready`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether it holds: `True`, `False` or `Unknown`.
    pub status: ConditionStatus,
    /// Why, as one stable CamelCase word.
    #[serde(default)]
    pub reason: String,
    /// Why, as a sentence: the resource, the key, the value and what would be right.
    #[serde(default)]
    pub message: String,
    /// When `status` last changed (RFC 3339, UTC).
    #[serde(default)]
    pub last_transition_time: String,
    /// The `metadata.generation` that this condition speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl Condition {
    /// A condition whose transition time is set when it is [merged](merge).
    pub fn new(
        type_: &str,
        status: impl Into<ConditionStatus>,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            type_: type_.to_owned(),
            status: status.into(),
            reason: reason.into(),
            message: message.into(),
            last_transition_time: String::new(),
            observed_generation: None,
        }
    }

    /// The same condition, said of this generation.
    #[must_use]
    pub fn observed(mut self, generation: Option<i64>) -> Self {
        self.observed_generation = generation;
        self
    }

    /// Whether `other` is this very condition at another time. Warnings are told apart by what they say, because a
    /// resource may have several.
    fn same_kind(&self, other: &Self) -> bool {
        self.type_ == other.type_
            && (self.type_ != types::WARNING || (self.reason == other.reason && self.message == other.message))
    }
}

/// The condition of this type, if present.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Sets one condition in place. Its transition time moves only when its status does.
pub fn set(conditions: &mut Vec<Condition>, mut condition: Condition, now_ms: i64) {
    match conditions.iter_mut().find(|existing| existing.same_kind(&condition)) {
        Some(existing) => {
            condition.last_transition_time =
                if existing.status == condition.status && !existing.last_transition_time.is_empty() {
                    existing.last_transition_time.clone()
                } else {
                    rfc3339(now_ms)
                };
            *existing = condition;
        }
        None => {
            condition.last_transition_time = rfc3339(now_ms);
            conditions.push(condition);
        }
    }
}

/// The whole new list of conditions: `desired`, with the transition times of those in `previous` whose status is the
/// same. What is not desired any more is dropped. The order is that of `desired`.
pub fn merge(previous: &[Condition], desired: Vec<Condition>, now_ms: i64) -> Vec<Condition> {
    let mut merged: Vec<Condition> = Vec::with_capacity(desired.len());
    for mut condition in desired {
        if merged.iter().any(|earlier| earlier.same_kind(&condition)) {
            continue;
        }
        condition.last_transition_time = previous
            .iter()
            .find(|old| old.same_kind(&condition) && old.status == condition.status)
            .map(|old| old.last_transition_time.clone())
            .filter(|time| !time.is_empty())
            .unwrap_or_else(|| rfc3339(now_ms));
        merged.push(condition);
    }
    merged
}

/// `NotReady=True` with the reason and message of a `Ready=False`, for tools that were written for Strimzi.
pub fn not_ready_mirror(ready: &Condition) -> Option<Condition> {
    (ready.type_ == types::READY && ready.status == ConditionStatus::False).then(|| Condition {
        type_: types::NOT_READY.to_owned(),
        status: ConditionStatus::True,
        ..ready.clone()
    })
}

/// Milliseconds since 1970 as RFC 3339 in UTC, to the second, as Kubernetes writes times.
pub fn rfc3339(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant's civil_from_days: the year begins in March, so that the leap day is its last.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_written_as_kubernetes_writes_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399_999), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_790_000_000_000), "2026-09-21T14:13:20Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn a_transition_time_moves_only_with_the_status() {
        let first = merge(&[], vec![Condition::new(types::READY, false, reasons::DEPLOYING, "Starting.")], 1000);
        let second = merge(&first, vec![Condition::new(types::READY, false, reasons::TASK_FAILED, "Task 0.")], 9000);
        assert_eq!(second[0].last_transition_time, rfc3339(1000));
        assert_eq!(second[0].reason, reasons::TASK_FAILED);
        let third = merge(&second, vec![Condition::new(types::READY, true, reasons::RUNNING, "")], 20_000);
        assert_eq!(third[0].last_transition_time, rfc3339(20_000));
        let mut list = third;
        set(&mut list, Condition::new(types::READY, true, reasons::PAUSED, ""), 30_000);
        assert_eq!((list.len(), list[0].last_transition_time.as_str()), (1, rfc3339(20_000).as_str()));
    }

    #[test]
    fn several_warnings_live_side_by_side_and_go_when_not_desired() {
        let warning = |text: &str| Condition::new(types::WARNING, true, reasons::UNSUPPORTED_FIELD, text);
        let first = merge(&[], vec![warning("a"), warning("b"), warning("a")], 1000);
        assert_eq!(first.len(), 2);
        let second = merge(&first, vec![warning("b")], 5000);
        assert_eq!((second.len(), second[0].last_transition_time.as_str()), (1, rfc3339(1000).as_str()));
    }

    #[test]
    fn the_mirror_exists_only_when_ready_is_false() {
        assert!(not_ready_mirror(&Condition::new(types::READY, true, reasons::RUNNING, "")).is_none());
        assert!(not_ready_mirror(&Condition::new(types::READY, ConditionStatus::Unknown, "X", "")).is_none());
        let mirror = not_ready_mirror(&Condition::new(types::READY, false, reasons::NO_WORKERS, "None.")).unwrap();
        assert_eq!((mirror.type_.as_str(), mirror.status), (types::NOT_READY, ConditionStatus::True));
        assert_eq!(mirror.reason, reasons::NO_WORKERS);
    }
}
