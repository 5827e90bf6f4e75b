//! Between the planner's drafts and the resource types.

use std::collections::BTreeSet;

use barnabas_crds::{
    AutoRestartStatus, Condition, ConditionStatus, ConnectorState, KafkaConnector, KafkaConnectorStatus, Lenient,
    TaskError, TaskStatus, conditions::rfc3339, labels, reasons,
};
use k8s_openapi::jiff::Timestamp;

use super::build::selector_string;
use crate::plan::{self, ConnectorSpec, ConnectorStatusDraft, PreviousStatus, Problem, TargetState};

/// Our finalizer on connectors.
pub const FINALIZER: &str = "barnabas.dev/connector";

/// A condition of a draft.
pub fn condition(draft: &plan::Condition, generation: i64) -> Condition {
    Condition {
        type_: draft.kind.clone(),
        status: match draft.status {
            plan::ConditionStatus::True => ConditionStatus::True,
            plan::ConditionStatus::False => ConditionStatus::False,
            plan::ConditionStatus::Unknown => ConditionStatus::Unknown,
        },
        reason: draft.reason.clone(),
        message: draft.message.clone(),
        last_transition_time: rfc3339(draft.last_transition),
        observed_generation: Some(generation),
    }
}

/// The status of a connector on `cluster`.
pub fn connector_status(draft: ConnectorStatusDraft, cluster: &str) -> KafkaConnectorStatus {
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let long = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    KafkaConnectorStatus {
        conditions: draft.conditions.iter().map(|c| condition(c, draft.observed_generation)).collect(),
        observed_generation: Some(draft.observed_generation),
        connector_status: draft.connector_status,
        tasks: draft
            .tasks
            .into_iter()
            .map(|task| TaskStatus {
                id: count(task.id),
                worker: task.worker,
                state: task.state.to_owned(),
                incarnation: long(task.incarnation),
                started_at: task.started.map(rfc3339),
                error: task.error.map(|error| {
                    TaskError::new(reasons::TASK_FAILED, error.lines().next().unwrap_or_default(), &error)
                }),
                lag: task.lag.map(long),
                records: Some(long(task.records)),
                bytes: None,
                last_record_at: task.last_record.map(rfc3339),
                positions: task.positions,
            })
            .collect(),
        retired_tasks: draft.retired.into_iter().map(count).collect(),
        tasks_max: count(draft.tasks_max),
        tasks_running: count(draft.tasks_running),
        summary: Some(format!("{}/{}", draft.tasks_running, draft.tasks_planned)),
        auto_restart: draft.auto_restart.map(|auto| AutoRestartStatus {
            count: count(auto.count),
            connector_name: Some(auto.connector_name),
            last_restart_timestamp: Some(rfc3339(auto.last_restart)),
        }),
        topics: draft.topics,
        // Tasks of all connectors share the cluster's pods: an autoscaler measures these.
        label_selector: Some(selector_string(cluster)),
    }
}

/// What an earlier leader wrote, so that times and counters go on.
pub fn previous_status(status: &KafkaConnectorStatus) -> PreviousStatus {
    PreviousStatus {
        conditions: status.conditions.iter().filter_map(previous_condition).collect(),
        auto_restart: status.auto_restart.as_ref().map(|auto| plan::AutoRestartStatus {
            count: u32::try_from(auto.count).unwrap_or(0),
            connector_name: auto.connector_name.clone().unwrap_or_default(),
            last_restart: auto.last_restart_timestamp.as_deref().and_then(millis).unwrap_or_default(),
        }),
        topics: status.topics.clone(),
        tasks: status.tasks.iter().filter_map(|task| u32::try_from(task.id).ok()).collect(),
        retired: status.retired_tasks.iter().filter_map(|task| u32::try_from(*task).ok()).collect(),
    }
}

fn previous_condition(condition: &Condition) -> Option<plan::Condition> {
    Some(plan::Condition {
        kind: condition.type_.clone(),
        status: match condition.status {
            ConditionStatus::True => plan::ConditionStatus::True,
            ConditionStatus::False => plan::ConditionStatus::False,
            ConditionStatus::Unknown => plan::ConditionStatus::Unknown,
        },
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        last_transition: millis(&condition.last_transition_time)?,
    })
}

fn millis(rfc3339: &str) -> Option<i64> {
    rfc3339.parse::<Timestamp>().ok().map(|time| time.as_millisecond())
}

/// The planner's view of a resource before its references are resolved: everything but `config`.
pub fn connector_spec(connector: &KafkaConnector) -> ConnectorSpec {
    let metadata = &connector.metadata;
    let spec = &connector.spec;
    let annotation = |name| labels::annotation(metadata, name).map(|(_, value)| value.to_owned());
    ConnectorSpec {
        uid: metadata.uid.clone().unwrap_or_default(),
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: connector.kafka_name().to_owned(),
        class: spec.class.clone().unwrap_or_default(),
        tasks_max: spec.tasks_max(),
        state: match spec.state() {
            ConnectorState::Running => TargetState::Running,
            ConnectorState::Paused => TargetState::Paused,
            ConnectorState::Stopped => TargetState::Stopped,
        },
        auto_restart: spec.auto_restarts().then(|| plan::AutoRestart { max_restarts: spec.max_restarts() }),
        generation: metadata.generation.unwrap_or_default(),
        deleted: metadata.deletion_timestamp.is_some(),
        reconciliation_paused: labels::reconciliation_paused(metadata),
        restart: annotation(labels::RESTART),
        restart_task: annotation(labels::RESTART_TASK),
        warnings: spec
            .warnings()
            .into_iter()
            .map(|warning| Problem { reason: warning.reason.to_owned(), message: warning.message })
            .collect(),
        ..ConnectorSpec::default()
    }
}

/// The planner's view of a resource that cannot be read.
pub fn unreadable_connector(connector: &Lenient<KafkaConnector>) -> ConnectorSpec {
    use kube::Resource;
    let metadata = connector.meta();
    let reason = connector.get().err().map(ToString::to_string).unwrap_or_default();
    let name = connector.raw().pointer("/spec/name").and_then(|name| name.as_str());
    ConnectorSpec {
        uid: metadata.uid.clone().unwrap_or_default(),
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: name.or(metadata.name.as_deref()).unwrap_or_default().to_owned(),
        tasks_max: 1,
        generation: metadata.generation.unwrap_or_default(),
        deleted: metadata.deletion_timestamp.is_some(),
        reconciliation_paused: labels::reconciliation_paused(metadata),
        problem: Some(Problem {
            reason: reasons::INVALID_RESOURCE.to_owned(),
            message: format!("The resource cannot be read: {reason}"),
        }),
        ..ConnectorSpec::default()
    }
}

/// Of connectors that share a name towards Kafka, all but the oldest: two of
/// them would share offsets and consumer groups.
pub fn doubles<'a>(
    connectors: impl Iterator<Item = (&'a str, &'a ConnectorSpec, i64)>,
) -> std::collections::BTreeMap<String, String> {
    let mut oldest: std::collections::BTreeMap<&str, (i64, &str)> = std::collections::BTreeMap::new();
    let mut all: BTreeSet<(&str, i64, &str)> = BTreeSet::new();
    for (key, spec, created) in connectors {
        let first = oldest.entry(&spec.name).or_insert((created, key));
        *first = (*first).min((created, key));
        all.insert((&spec.name, created, key));
    }
    all.into_iter()
        .filter(|(name, _, key)| oldest[name].1 != *key)
        .map(|(name, _, key)| (key.to_owned(), oldest[name].1.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_status_survives_a_change_of_leader() {
        let draft = ConnectorStatusDraft {
            conditions: vec![plan::Condition {
                kind: "Ready".into(),
                status: plan::ConditionStatus::False,
                reason: "TaskFailed".into(),
                message: "Task 1.".into(),
                last_transition: 1_790_000_000_000,
            }],
            observed_generation: 3,
            connector_status: None,
            tasks_max: 2,
            tasks_planned: 2,
            tasks_running: 1,
            topics: vec!["t".into()],
            auto_restart: Some(plan::AutoRestartStatus {
                count: 4,
                connector_name: "k".into(),
                last_restart: 1_790_000_001_000,
            }),
            tasks: vec![plan::TaskStatus {
                id: 1,
                worker: Some("w".into()),
                state: "FAILED",
                incarnation: 9,
                started: Some(1_790_000_000_000),
                error: Some("first\nsecond".into()),
                lag: None,
                records: 5,
                last_record: None,
                positions: Default::default(),
            }],
            retired: vec![2, 3],
            label_selector: String::new(),
        };
        let conditions = draft.conditions.clone();
        let auto_restart = draft.auto_restart.clone();
        let status = connector_status(draft, "c");
        assert_eq!(status.summary.as_deref(), Some("1/2"));
        assert_eq!(status.tasks[0].error.as_ref().unwrap().message, "first");
        assert!(status.label_selector.as_ref().unwrap().contains("barnabas.dev/cluster=c"));
        let previous = previous_status(&status);
        assert_eq!(previous.conditions, conditions);
        assert_eq!(previous.auto_restart, auto_restart);
        assert_eq!((previous.tasks, previous.retired), (vec![1], vec![2, 3]));
    }

    #[test]
    fn of_two_connectors_with_one_name_the_older_keeps_it() {
        let named = |name: &str| ConnectorSpec { name: name.into(), ..ConnectorSpec::default() };
        let (a, b, c) = (named("x"), named("x"), named("y"));
        let found = doubles([("new", &a, 20), ("old", &b, 10), ("other", &c, 5)].into_iter());
        assert_eq!(found, [("new".to_owned(), "old".to_owned())].into());
    }
}
