//! What is said about a connector: its status, its end.

use barnabas_protocol::{UnitReport, UnitState};
use serde_json::{Map, Value, json};

use super::{
    Action, Condition, ConditionStatus, ConnectorStatusDraft, Controller, EventKind, Millis, TargetState, TaskStatus,
    condition,
    model::{Connector, ConnectorId, INSTANCE, Unit, UnitId, part, task, unit_state},
    pods::keep_time,
    reason,
    restart::RestartRequest,
};

/// Lines of a task's error that its status repeats; `connectorStatus` has the whole trace.
const ERROR_LINES: usize = 5;

/// The verdict on a connector, before it becomes conditions.
struct Verdict {
    ready: ConditionStatus,
    reason: String,
    message: String,
    progressing: bool,
    /// Nothing changes without somebody acting.
    stalled: bool,
}

impl Verdict {
    fn new(ready: ConditionStatus, reason: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { ready, reason: reason.to_owned(), message, progressing: false, stalled: false }
    }

    fn progressing(self) -> Self {
        Self { progressing: true, ..self }
    }

    fn stalled(self) -> Self {
        Self { stalled: true, ..self }
    }
}

impl Controller {
    /// Ends the decision about a connector: forgets stopped units, lets a deleted resource go, publishes the status.
    pub(super) fn conclude(&mut self, id: ConnectorId, now: Millis) {
        let learning = self.is_learning;
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        connector.units.retain(|_, unit| unit.wanted || !unit.holders.is_empty());
        let Some(connector) = self.connectors.get(&id) else { return };
        let Some(spec) = &connector.spec else {
            if connector.units.is_empty() {
                self.drop_connector(id);
            }
            return;
        };
        if spec.deleted && !connector.finalizer_sent && !learning {
            let stopped = connector.units.keys().all(|part| self.stopped(UnitId { connector: id, part: *part }));
            if stopped {
                let (key, uid) = (connector.key.clone(), spec.uid.clone());
                self.event(&key, EventKind::Normal, reason::STOPPED, "Every unit has stopped; deleting.".to_owned());
                self.actions.push(Action::FinalizerDone { key, uid });
                if let Some(connector) = self.connectors.get_mut(&id) {
                    connector.finalizer_sent = true;
                }
                return;
            }
        }
        self.publish(id, now);
    }

    fn publish(&mut self, id: ConnectorId, now: Millis) {
        let Some(connector) = self.connectors.get(&id) else { return };
        let Some(spec) = &connector.spec else { return };
        if connector.finalizer_sent {
            return;
        }
        // A new leader says nothing about what it has yet to find: the status of its predecessor stands.
        let found = connector.units.values().all(|unit| unit.given) && connector.accepted.is_some();
        if connector.inherited && connector.last_status.is_none() && !found && self.is_learning {
            return;
        }
        let conditions = if spec.reconciliation_paused && !spec.deleted {
            // Frozen as it was, but for the word that it is.
            let mut conditions: Vec<Condition> = connector
                .conditions
                .iter()
                .filter(|old| old.kind != condition::RECONCILIATION_PAUSED)
                .cloned()
                .collect();
            if conditions.iter().all(|old| old.kind != condition::READY) {
                conditions = self.conditions(id, connector, now);
            }
            conditions.push(keep_time(
                &connector.conditions,
                now,
                condition::RECONCILIATION_PAUSED,
                ConditionStatus::True,
                reason::RECONCILIATION_PAUSED,
                "Changes of this resource are not acted on while the annotation pause-reconciliation is \"true\"."
                    .to_owned(),
            ));
            conditions
        } else {
            self.conditions(id, connector, now)
        };
        let status = Box::new(self.draft(id, connector, conditions));
        if connector.last_status.as_ref() == Some(&status) {
            return;
        }
        // Positions and counters alone can wait.
        if let Some(last) = &connector.last_status {
            let due = connector.last_published.saturating_add(self.options.progress_interval_ms);
            if now < due && same_but_progress(last, &status) {
                self.look_again(id, due);
                return;
            }
        }
        self.announce(id, &status);
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        connector.conditions.clone_from(&status.conditions);
        connector.last_published = now;
        connector.last_status = Some(status.clone());
        let key = connector.key.clone();
        self.actions.push(Action::ConnectorStatus { key, status });
    }

    /// Tells of a change of Ready in an Event.
    fn announce(&mut self, id: ConnectorId, status: &ConnectorStatusDraft) {
        let Some(connector) = self.connectors.get(&id) else { return };
        let ready = |conditions: &[Condition]| {
            conditions
                .iter()
                .find(|one| one.kind == condition::READY)
                .map(|one| (one.status, one.reason.clone(), one.message.clone()))
        };
        let (Some((now, reason, message)), before) = (ready(&status.conditions), ready(&connector.conditions)) else {
            return;
        };
        let same = before.as_ref().is_some_and(|(was, why, text)| {
            // The wording of progress changes often; that of a failure names what failed.
            *was == now && *why == reason && (*text == message || now != ConditionStatus::False)
        });
        let expected = [reason::DEPLOYING, reason::DELETING, reason::NO_WORKERS, reason::VALIDATION_PENDING];
        if same || expected.contains(&reason.as_str()) {
            return;
        }
        let kind = if now == ConditionStatus::True { EventKind::Normal } else { EventKind::Warning };
        let key = connector.key.clone();
        self.event(&key, kind, &reason, message);
    }

    fn conditions(&self, id: ConnectorId, connector: &Connector, now: Millis) -> Vec<Condition> {
        let verdict = self.verdict(id, connector);
        let old = &connector.conditions;
        let keep = |kind: &str, status, reason: &str, message: &str| {
            keep_time(old, now, kind, status, reason, message.to_owned())
        };
        let (reason, message) = (&verdict.reason, &verdict.message);
        let mut conditions = vec![keep(condition::READY, verdict.ready, reason, message)];
        let progress = if verdict.progressing { message.as_str() } else { "" };
        conditions.push(keep(condition::PROGRESSING, verdict.progressing.into(), reason, progress));
        if verdict.stalled {
            conditions.push(keep(condition::STALLED, ConditionStatus::True, reason, message));
        }
        if self.options.mirror_not_ready && verdict.ready == ConditionStatus::False {
            conditions.push(keep(condition::NOT_READY, ConditionStatus::True, reason, message));
        }
        for (reason, message) in self.warnings(connector) {
            conditions.push(keep(condition::WARNING, ConditionStatus::True, &reason, &message));
        }
        conditions
    }

    fn warnings(&self, connector: &Connector) -> Vec<(String, String)> {
        let Some(spec) = &connector.spec else { return Vec::new() };
        let mut warnings: Vec<(String, String)> =
            spec.warnings.iter().map(|warning| (warning.reason.clone(), warning.message.clone())).collect();
        if let Some(value) = spec.restart.as_ref().filter(|value| RestartRequest::parse(value).is_none()) {
            warnings.push((
                reason::RESTART_CONNECTOR.to_owned(),
                format!(
                    "Invalid annotation format: restart is {value:?} and should be \"true\", \"includeTasks\", \
                     \"onlyFailed\" or \"includeTasks,onlyFailed\"."
                ),
            ));
        }
        if let Some(value) = spec.restart_task.as_ref().filter(|_| connector.restart_task_done.is_none()) {
            let tasks = connector.units.iter().filter(|(part, unit)| **part != INSTANCE && unit.wanted).count();
            let wanted: Option<u32> = value.trim().parse().ok();
            let exists = wanted.is_some_and(|id| connector.units.get(&part(Some(id))).is_some_and(|unit| unit.wanted));
            if !exists && (wanted.is_none() || connector.plan.is_some()) {
                warnings.push((
                    reason::RESTART_CONNECTOR_TASK.to_owned(),
                    match wanted {
                        None => format!("Invalid annotation format: restart-task is {value:?} and should be the number of a task, like \"0\"."),
                        Some(_) => format!("Task {value} to be restarted by annotation does not exist; the connector has {tasks} tasks, numbered from 0."),
                    },
                ));
            }
        }
        warnings
    }

    /// Whether the connector is as it should be, and if not, why; the first thing that has to be mended wins.
    fn verdict(&self, id: ConnectorId, connector: &Connector) -> Verdict {
        use ConditionStatus::{False, True};
        let Some(spec) = &connector.spec else {
            return Verdict::new(False, reason::DELETING, "The resource is gone.").progressing();
        };
        let holding =
            connector.units.keys().filter(|part| !self.stopped(UnitId { connector: id, part: **part })).count();
        if spec.deleted {
            let message = format!("Waiting until {holding} units have stopped.");
            return Verdict::new(False, reason::DELETING, message).progressing();
        }
        let runs = connector.units.values().any(|unit| unit.given);
        let kept = if runs { " What runs keeps running with its previous configuration." } else { "" };
        let considered = connector.effective.as_ref().unwrap_or(spec);
        let unreadable = spec.problem.as_ref().filter(|problem| problem.reason == reason::INVALID_RESOURCE);
        if let Some(problem) = unreadable.or(considered.problem.as_ref()) {
            return Verdict::new(False, &problem.reason, format!("{}{kept}", problem.message)).stalled();
        }
        if self.cluster.replicas == 0 && holding == 0 && connector.target() != TargetState::Stopped {
            let message = format!("ConnectCluster {} has 0 replicas.", self.cluster.name);
            return Verdict::new(False, reason::NO_WORKERS, message).stalled();
        }
        if let Some(check) = connector.check.as_ref().filter(|check| !check.errors.is_empty()) {
            let first = check.errors.iter().find(|error| !error.reason.is_empty());
            let reason = first.map_or(reason::INVALID_CONFIGURATION, |error| &error.reason);
            let errors: Vec<String> = check.errors.iter().map(error_text).collect();
            let verdict = Verdict::new(False, reason, format!("{}{kept}", errors.join(" ")));
            let heals = check.errors.iter().all(|error| error.retriable);
            return if heals { verdict.progressing() } else { verdict.stalled() };
        }
        if connector.target() == TargetState::Stopped {
            return if holding == 0 {
                Verdict::new(True, reason::STOPPED, "The connector is stopped, as asked.")
            } else {
                let message = format!("Waiting until {holding} units have stopped.");
                Verdict::new(False, reason::DEPLOYING, message).progressing()
            };
        }
        if self.open_workers == 0 && !runs {
            let message = format!("No worker of ConnectCluster {} can be reached yet.", self.cluster.name);
            return Verdict::new(False, reason::NO_WORKERS, message).progressing();
        }
        if let Some(check) = &connector.check
            && let Some(trouble) = &check.trouble
        {
            let message = format!("The configuration could not be validated yet: {trouble}.{kept}");
            return Verdict::new(False, reason::VALIDATION_PENDING, message).progressing();
        }
        self.verdict_on_units(id, connector)
    }

    fn verdict_on_units(&self, id: ConnectorId, connector: &Connector) -> Verdict {
        use ConditionStatus::{False, True, Unknown};
        let mut failed: Vec<(u32, &UnitReport)> = Vec::new();
        let mut missing: Vec<&str> = Vec::new();
        let mut kafka = None;
        let (mut wanted, mut settled, mut moving) = (0_usize, 0_usize, 0_usize);
        for (part, unit) in connector.units.iter().filter(|(_, unit)| unit.wanted) {
            wanted += usize::from(*part != INSTANCE);
            let unit_id = UnitId { connector: id, part: *part };
            let worker = unit.home.filter(|_| unit.given).and_then(|home| self.workers.get(&home));
            if let Some(worker) = worker.filter(|worker| worker.missed) {
                missing.push(&worker.name);
            }
            if let Some(worker) = worker.filter(|worker| !worker.kafka_error.is_empty()) {
                kafka.get_or_insert((&worker.name, &worker.kafka_error));
            }
            let state = self.current_report(unit_id, unit).map(|report| (unit_state(report), report));
            let goal = if unit.paused { UnitState::Paused } else { UnitState::Running };
            match state {
                Some((UnitState::Failed, report)) => failed.push((*part, report)),
                Some((state, _)) if state == goal => settled += usize::from(*part != INSTANCE),
                _ => moving += 1,
            }
        }
        if let Some((part, report)) = failed.first() {
            let verdict = failure(&failed, *part, report);
            let healing = connector.effective.as_ref().and_then(|spec| spec.auto_restart).is_some_and(|rule| {
                let count = connector.auto_restart.as_ref().map_or(0, |auto| auto.count);
                rule.max_restarts.is_none_or(|max| count < max)
            });
            return if healing { verdict.progressing() } else { verdict.stalled() };
        }
        if !missing.is_empty() {
            missing.sort_unstable();
            missing.dedup();
            let message = format!(
                "Worker {} cannot be reached; its units may be running. They are given to other workers after {} s.",
                missing.join(", "),
                self.cluster.unreachable_delay_ms / 1000
            );
            return Verdict::new(Unknown, reason::WORKER_UNREACHABLE, message).progressing();
        }
        if let Some((worker, error)) = kafka {
            return Verdict::new(False, reason::KAFKA_UNREACHABLE, format!("Worker {worker}: {error}")).progressing();
        }
        let planned = connector
            .accepted
            .as_ref()
            .is_some_and(|accepted| connector.plan.as_ref().is_some_and(|plan| plan.raw.config_hash == accepted.hash));
        if moving > 0 || !planned || connector.check.is_some() {
            let message = if connector.check.is_some() {
                "The configuration is being validated.".to_owned()
            } else if !planned {
                "The connector instance plans its tasks.".to_owned()
            } else if self.barred(UnitId { connector: id, part: part(Some(0)) }) {
                let old = connector.retired.tasks().iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
                format!(
                    "{settled} of {wanted} tasks are running. The others start when no task of the previous plan runs any \
                     more and Kafka has fenced them ({old})."
                )
            } else {
                format!("{settled} of {wanted} tasks are running.")
            };
            return Verdict::new(False, reason::DEPLOYING, message).progressing();
        }
        if connector.units.get(&INSTANCE).is_some_and(|unit| unit.paused) {
            return Verdict::new(
                True,
                reason::PAUSED,
                format!("The connector and its {wanted} tasks are paused, as asked."),
            );
        }
        Verdict::new(True, reason::RUNNING, format!("The connector and its {wanted} tasks are running."))
    }

    fn draft(&self, id: ConnectorId, connector: &Connector, conditions: Vec<Condition>) -> ConnectorStatusDraft {
        let mut tasks = Vec::new();
        let mut json_tasks = Vec::new();
        let mut instance = None;
        for (part, unit) in connector.units.iter().filter(|(_, unit)| unit.wanted) {
            let unit_id = UnitId { connector: id, part: *part };
            let (state, report) = self.connect_state(unit_id, unit);
            let worker = unit.home.filter(|_| unit.given).and_then(|home| self.workers.get(&home));
            let mut entry = Map::new();
            if let Some(task) = task(*part) {
                entry.insert("id".to_owned(), json!(task));
            }
            entry.insert("state".to_owned(), json!(state));
            entry.insert("worker_id".to_owned(), json!(worker.map_or("", |worker| worker.id())));
            let error = report.and_then(|report| report.error.as_ref());
            if let Some(error) = error {
                let trace = if error.trace.is_empty() { &error.message } else { &error.trace };
                entry.insert("trace".to_owned(), json!(trace));
            }
            let Some(task) = task(*part) else {
                instance = Some(entry);
                continue;
            };
            json_tasks.push(Value::Object(entry));
            let progress = report.and_then(|report| report.progress.as_ref());
            tasks.push(TaskStatus {
                id: task,
                worker: worker.map(|worker| worker.name.clone()),
                state,
                incarnation: unit.incarnation,
                started: report.map(|report| report.started_at_ms).filter(|at| *at > 0),
                error: error
                    .map(|error| first_lines(if error.trace.is_empty() { &error.message } else { &error.trace })),
                lag: progress.and_then(|progress| progress.lag),
                records: progress.map_or(0, |progress| progress.records),
                last_record: progress.map(|progress| progress.last_record_at_ms).filter(|at| *at > 0),
                positions: progress.map(|progress| progress.positions.clone()).unwrap_or_default(),
            });
        }
        let spec = connector.spec.as_ref();
        let considered = connector.effective.as_ref().or(spec);
        let stopped = connector.target() == TargetState::Stopped && connector.accepted.is_some();
        if stopped && instance.is_none() {
            let mut entry = Map::new();
            entry.insert("state".to_owned(), json!("STOPPED"));
            entry.insert("worker_id".to_owned(), json!(""));
            instance = Some(entry);
        }
        let name = connector.accepted.as_ref().map_or_else(
            || considered.map(|spec| spec.name.clone()).unwrap_or_default(),
            |accepted| accepted.name.to_string(),
        );
        let connector_status = instance
            .map(|instance| json!({"name": name, "connector": instance, "tasks": json_tasks, "type": connector.kind}));
        ConnectorStatusDraft {
            conditions,
            observed_generation: spec.map_or(0, |spec| spec.generation),
            connector_status,
            tasks_max: considered.map_or(0, |spec| spec.tasks_max),
            tasks_planned: tasks.len() as u32,
            tasks_running: tasks.iter().filter(|task| task.state == "RUNNING").count() as u32,
            topics: connector.topics.iter().cloned().collect(),
            auto_restart: connector.auto_restart.clone(),
            tasks,
            retired: connector.retired.tasks(),
            label_selector: format!("barnabas.dev/connector={}", connector.key),
        }
    }

    /// The unit's state in Connect's words (`AbstractStatus.State`), and the report it comes from.
    fn connect_state(&self, id: UnitId, unit: &Unit) -> (&'static str, Option<&UnitReport>) {
        let Some(report) = self.current_report(id, unit) else {
            return (if unit.restarting { "RESTARTING" } else { "UNASSIGNED" }, None);
        };
        let state = match unit_state(report) {
            UnitState::Running => "RUNNING",
            UnitState::Paused => "PAUSED",
            UnitState::Failed => "FAILED",
            _ if unit.restarting => "RESTARTING",
            _ => "UNASSIGNED",
        };
        (state, Some(report))
    }
}

fn failure(failed: &[(u32, &UnitReport)], first: u32, report: &UnitReport) -> Verdict {
    let error = report.error.clone().unwrap_or_default();
    // Reasons that say what to mend are worth more than that something failed.
    let telling = [
        reason::KAFKA_UNREACHABLE,
        reason::INVALID_CONFIGURATION,
        reason::UNKNOWN_CONNECTOR_CLASS,
        reason::FORBIDDEN_KEY,
        reason::SECRET_NOT_FOUND,
        reason::SECRET_FORBIDDEN,
    ];
    let general = if first == INSTANCE { reason::CONNECTOR_FAILED } else { reason::TASK_FAILED };
    let reason = telling.into_iter().find(|telling| *telling == error.reason).unwrap_or(general);
    let what = if first == INSTANCE {
        "The connector has failed".to_owned()
    } else {
        let ids: Vec<String> = failed.iter().filter_map(|(part, _)| Some(task(*part)?.to_string())).collect();
        format!("The following tasks have failed: {}", ids.join(", "))
    };
    Verdict::new(
        ConditionStatus::False,
        reason,
        format!("{what}, see connectorStatus for more details. {}", error.message),
    )
}

fn error_text(error: &barnabas_protocol::ConfigError) -> String {
    if error.key.is_empty() || error.message.contains(&error.key) {
        error.message.clone()
    } else {
        format!("{}: {}", error.key, error.message)
    }
}

fn first_lines(text: &str) -> String {
    text.lines().take(ERROR_LINES).collect::<Vec<_>>().join("\n")
}

/// Whether two statuses differ in nothing but what changes while records flow.
fn same_but_progress(a: &ConnectorStatusDraft, b: &ConnectorStatusDraft) -> bool {
    let task = |(a, b): (&TaskStatus, &TaskStatus)| {
        (a.id, &a.worker, a.state, a.incarnation, a.started, &a.error)
            == (b.id, &b.worker, b.state, b.incarnation, b.started, &b.error)
    };
    a.tasks.len() == b.tasks.len()
        && a.tasks.iter().zip(&b.tasks).all(task)
        && a.conditions == b.conditions
        && a.observed_generation == b.observed_generation
        && a.tasks_max == b.tasks_max
        && a.topics == b.topics
        && a.retired == b.retired
        && a.auto_restart == b.auto_restart
        && a.connector_status == b.connector_status
}
