//! Between the resource types and the planner's: what a connector asks for, and what is said about it.

use std::collections::{BTreeMap, BTreeSet};

use barnabas_crds::{
    AutoRestartStatus, Condition, ConditionStatus, ConnectClusterSpec, ConnectClusterStatus, ConnectorState,
    KafkaConnector, KafkaConnectorStatus, TaskError, TaskStatus,
    conditions::{reasons, rfc3339},
    labels,
};
use barnabas_operator::plan::{
    self, AutoRestart, ClusterStatusDraft, ConnectorSpec, ConnectorStatusDraft, Problem, TargetState,
};
use barnabas_worker::{
    WorkerConfig,
    config::Security,
    kafka::keys::{self, Client, KeyError},
};

use super::{Bootstrap, refs};
use crate::manifests::{Folder, Key};

/// The connector's configuration as Connect has it, every reference to an object of the folder resolved, and the values
/// in it that came out of Secrets.
///
/// # Errors
/// The first key whose value cannot be had.
pub fn config(
    connector: &KafkaConnector,
    folder: &Folder,
    key: &Key,
) -> Result<(BTreeMap<String, String>, BTreeSet<String>), Problem> {
    let written = connector.connect_config().map_err(|problems| {
        let message = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        Problem { reason: reasons::INVALID_CONFIGURATION.to_owned(), message }
    })?;
    let mut config = BTreeMap::new();
    let mut secrets = BTreeSet::new();
    for (name, value) in written {
        let (value, found) = refs::resolve(&value, folder, &key.namespace).map_err(|error| Problem {
            reason: error.reason.to_owned(),
            message: format!("spec.config[{name:?}]: {}", error.message),
        })?;
        secrets.extend(found);
        config.insert(name, value);
    }
    Ok((config, secrets))
}

/// What the workers of a cluster are started with.
///
/// # Errors
/// A sentence that names the key whose value is no scalar, cannot be followed by the workers' clients, or names an
/// environment variable that is not set.
pub fn worker_config(
    spec: &ConnectClusterSpec,
    key: &Key,
    bootstrap: &Bootstrap,
    security: Security,
) -> Result<WorkerConfig, String> {
    let sentences =
        |problems: Vec<barnabas_crds::Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut config = spec.config_strings().map_err(sentences)?;
    let mut authenticates = BTreeMap::new();
    if let Some(authentication) = &spec.authentication {
        authenticates = authentication.config_strings().map_err(sentences)?;
        config.extend(authenticates.clone());
    }
    // One machine: as many replicas as the broker itself thinks right (KIP-464), and on the embedded one a position that
    // is seen at once is worth more than a commit saved.
    let mut defaults = vec![("offset.storage.replication.factor", "-1")];
    if bootstrap.embedded {
        defaults = vec![
            ("offset.storage.replication.factor", "1"),
            ("offset.storage.partitions", "1"),
            ("offset.flush.interval.ms", "1000"),
        ];
    }
    for (name, value) in defaults {
        config.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    let mut worker = WorkerConfig {
        cluster: key.name.clone(),
        namespace: key.namespace.clone(),
        group_id: spec.group_id(),
        bootstrap_servers: bootstrap.servers.clone(),
        offset_storage_topic: spec.offset_storage_topic(),
        config,
        security,
        embedded_broker: bootstrap.embedded,
        ..WorkerConfig::default()
    };
    worker.resolve_environment().map_err(|error| error.to_string())?;
    // Said here, where the field can be named; the worker would say it of its own configuration.
    for (key, value) in &mut authenticates {
        if let Some(resolved) = worker.config.get(key) {
            value.clone_from(resolved);
        }
    }
    keys::translate(Client::Admin, &authenticates).map_err(|errors| {
        let named = |error: &KeyError| format!("spec.authentication.config[{:?}]: {}.", error.key, error.message);
        errors.iter().map(named).collect::<Vec<_>>().join(" ")
    })?;
    Ok(worker)
}

/// What the planner is told about a connector.
pub fn connector(connector: &KafkaConnector, folder: &Folder, key: &Key) -> ConnectorSpec {
    let spec = &connector.spec;
    let metadata = &connector.metadata;
    let ((config, secrets), problem) = match config(connector, folder, key) {
        Ok(resolved) => (resolved, None),
        Err(problem) => (Default::default(), Some(problem)),
    };
    let annotation = |name: &str| labels::annotation(metadata, name).map(|(_, value)| value.to_owned());
    ConnectorSpec {
        uid: metadata.uid.clone().unwrap_or_default(),
        namespace: key.namespace.clone(),
        name: connector.kafka_name().to_owned(),
        class: spec.class.clone().unwrap_or_default(),
        config,
        secrets,
        tasks_max: spec.tasks_max(),
        state: match spec.state() {
            ConnectorState::Running => TargetState::Running,
            ConnectorState::Paused => TargetState::Paused,
            ConnectorState::Stopped => TargetState::Stopped,
        },
        auto_restart: spec.auto_restarts().then(|| AutoRestart { max_restarts: spec.max_restarts() }),
        generation: metadata.generation.unwrap_or(1),
        deleted: metadata.deletion_timestamp.is_some(),
        reconciliation_paused: labels::reconciliation_paused(metadata),
        restart: annotation(labels::RESTART),
        restart_task: annotation(labels::RESTART_TASK),
        problem,
        warnings: spec
            .warnings()
            .into_iter()
            .map(|warning| Problem { reason: warning.reason.to_owned(), message: warning.message })
            .collect(),
    }
}

/// The name, without prefix, of the planner's annotation.
pub fn annotation_name(annotation: plan::Annotation) -> &'static str {
    match annotation {
        plan::Annotation::Restart => labels::RESTART,
        plan::Annotation::RestartTask => labels::RESTART_TASK,
    }
}

/// The planner's draft as the resource's status.
pub fn connector_status(draft: ConnectorStatusDraft) -> KafkaConnectorStatus {
    let task = |task: plan::TaskStatus| TaskStatus {
        id: int(task.id),
        worker: task.worker,
        state: task.state.to_owned(),
        incarnation: i64::try_from(task.incarnation).unwrap_or(i64::MAX),
        started_at: task.started.map(rfc3339),
        error: task.error.map(|error| TaskError::new(error.code, error.reason, error.message, &error.trace)),
        lag: task.lag.map(long),
        records: Some(long(task.records)),
        bytes: None,
        last_record_at: task.last_record.map(rfc3339),
        positions: task.positions,
    };
    KafkaConnectorStatus {
        conditions: conditions(draft.conditions, draft.observed_generation),
        observed_generation: Some(draft.observed_generation),
        connector_status: draft.connector_status,
        tasks: draft.tasks.into_iter().map(task).collect(),
        retired_tasks: draft.retired.into_iter().map(int).collect(),
        tasks_max: int(draft.tasks_max),
        tasks_running: int(draft.tasks_running),
        summary: Some(format!("{}/{}", draft.tasks_running, draft.tasks_planned)),
        auto_restart: draft.auto_restart.map(|restart| AutoRestartStatus {
            count: int(restart.count),
            connector_name: Some(restart.connector_name),
            last_restart_timestamp: Some(rfc3339(restart.last_restart)),
        }),
        topics: draft.topics,
        label_selector: Some(draft.label_selector),
    }
}

/// The planner's draft over what else the cluster's status has.
pub fn cluster_status(status: &mut ConnectClusterStatus, draft: ClusterStatusDraft) {
    status.conditions = conditions(draft.conditions, draft.observed_generation);
    status.observed_generation = Some(draft.observed_generation);
    status.replicas = i32::try_from(draft.workers.len()).unwrap_or(i32::MAX);
    status.ready_replicas = int(draft.replicas);
    status.connectors = int(draft.connectors);
}

fn conditions(drafts: Vec<plan::Condition>, generation: i64) -> Vec<Condition> {
    let condition = |draft: plan::Condition| Condition {
        type_: draft.kind,
        status: match draft.status {
            plan::ConditionStatus::True => ConditionStatus::True,
            plan::ConditionStatus::False => ConditionStatus::False,
            plan::ConditionStatus::Unknown => ConditionStatus::Unknown,
        },
        reason: draft.reason,
        message: draft.message,
        last_transition_time: rfc3339(draft.last_transition),
        observed_generation: Some(generation),
    };
    drafts.into_iter().map(condition).collect()
}

fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
