//! From a connector's resource to the units that are wanted, and their incarnations.

use std::{collections::BTreeMap, sync::Arc};

use barnabas_protocol::{UnitState, ValidateResponse};

use super::{
    Action, Annotation, AutoRestartStatus, ConnectorSpec, Controller, Event, EventKind, EventObject, Millis,
    TargetState, ValidateFailed, config_hash,
    model::{
        Accepted, Check, CheckStep, Complete, Config, Connector, ConnectorId, INSTANCE, Unit, UnitId, WorkerId, part,
        task, unit_state,
    },
    reason,
    restart::{RestartRequest, backoff},
    task_config_hash,
};

/// Pause before a failed validation that may heal is repeated; doubles up to [`MAX_CHECK_PAUSE_MS`].
const CHECK_PAUSE_MS: Millis = 5_000;
/// Also how often a configuration that needs correcting is tried again, in case the worker's view has changed.
const MAX_CHECK_PAUSE_MS: Millis = 300_000;
/// A validation without answer is given up after this long.
const CHECK_TIMEOUT_MS: Millis = 60_000;

impl Connector {
    /// Takes in the resource as it stands.
    pub(super) fn observe(&mut self, spec: ConnectorSpec) {
        // Of a resource that cannot be read nothing is known, its state and name included: it stays as it was.
        let unreadable = spec.problem.as_ref().is_some_and(|problem| problem.reason == reason::INVALID_RESOURCE);
        if spec.deleted || !(spec.reconciliation_paused || unreadable) {
            self.effective = Some(spec.clone());
        }
        let source = self.effective.as_ref().unwrap_or(&spec);
        self.complete = source.problem.is_none().then(|| {
            let mut config = source.config.clone();
            config.insert("name".to_owned(), source.name.clone());
            config.insert("connector.class".to_owned(), source.class.clone());
            config.insert("tasks.max".to_owned(), source.tasks_max.to_string());
            let secrets = Arc::new(source.secrets.clone());
            (config_hash(&config), Arc::new(Complete { values: config, secrets }))
        });
        self.spec = Some(spec);
    }

    /// Puts the resource's configuration in force.
    fn accept(&mut self) {
        let Some((hash, config)) = &self.complete else { return };
        let spec = self.effective.as_ref().or(self.spec.as_ref());
        self.accepted = Some(Accepted {
            hash: *hash,
            config: Some(config.clone()),
            name: spec.map_or("", |spec| &spec.name).into(),
            tasks_max: spec.map_or(1, |spec| spec.tasks_max),
        });
        self.check = None;
    }
}

impl Controller {
    /// Decides what of this connector is to run.
    pub(super) fn plan_connector(&mut self, id: ConnectorId, now: Millis) {
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        if connector.ending() {
            connector.check = None;
            connector.accepted = None;
            connector.plan = None;
            self.stop_units(id);
            return;
        }
        self.adopt(id);
        self.choose_config(id, now);
        self.want(id);
        self.restart_on_request(id);
        self.restart_failed(id, now);
    }

    /// Leaves units where they were found running.
    fn adopt(&mut self, id: ConnectorId) {
        let Some(connector) = self.connectors.get(&id) else { return };
        let mut found: Vec<(u32, WorkerId)> = Vec::new();
        let ended = |part: &u32| connector.retired.has(*part);
        for (part, unit) in connector.units.iter().filter(|(part, unit)| !unit.given && !ended(part)) {
            let unit_id = UnitId { connector: id, part: *part };
            let best = unit
                .holders
                .iter()
                .filter_map(|holder| {
                    let worker = self.workers.get(holder).filter(|worker| worker.heard && !worker.closing())?;
                    let held = worker.held.get(&unit_id).filter(|held| held.removed_at.is_none())?;
                    let report = held.report.as_ref()?;
                    // A unit that is on its way out is not worth keeping.
                    (unit_state(report) != UnitState::Stopping).then_some((
                        report.incarnation,
                        std::cmp::Reverse(&worker.name),
                        *holder,
                    ))
                })
                .max();
            if let Some((_, _, holder)) = best {
                found.push((*part, holder));
            }
        }
        for (part, holder) in found {
            let unit_id = UnitId { connector: id, part };
            let report = self.workers.get(&holder).and_then(|worker| worker.held.get(&unit_id)?.report.as_ref());
            let Some(report) = report else { continue };
            let (incarnation, hash) = (report.incarnation, report.config_hash);
            #[cfg(test)]
            let incarnation = incarnation | if self.sabotage == super::Sabotage::AdoptNothing { 1 << 63 } else { 0 };
            let paused = unit_state(report) == UnitState::Paused;
            let name: Arc<str> = report.name.as_str().into();
            let Some(unit) = self.unit_mut(unit_id) else { continue };
            // A restart that was decided while the worker was away is still to be done there.
            if unit.fresh || incarnation >= unit.incarnation {
                if unit.hash != hash {
                    unit.config = None;
                }
                unit.incarnation = incarnation;
                unit.hash = hash;
                unit.name = name;
            }
            unit.paused = paused;
            unit.wanted = true;
            self.give(holder, unit_id);
            self.unplaced = true;
        }
    }

    /// Decides which configuration is in force, and whether a newer one has to be validated.
    fn choose_config(&mut self, id: ConnectorId, now: Millis) {
        let last_join = self.last_join;
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        let offered = connector.complete.as_ref().map(|(hash, _)| *hash);
        // Nothing was accepted under this leader: the instance that was found running says what is in force.
        if connector.accepted.as_ref().is_none_or(|accepted| accepted.config.is_none())
            && let Some(unit) = connector.units.get(&INSTANCE).filter(|unit| unit.given)
        {
            if offered == Some(unit.hash) {
                connector.accept();
            } else {
                let (hash, name) = (unit.hash, unit.name.clone());
                connector.accepted = Some(Accepted { hash, config: None, name, tasks_max: unit.tasks_max });
            }
        }
        let in_force = connector.accepted.as_ref().map(|accepted| accepted.hash);
        let Some(hash) = offered.filter(|hash| in_force != Some(*hash) && !connector.on_hold()) else {
            if offered.is_some() && offered == in_force {
                connector.accept();
            }
            connector.check = None;
            self.validating.remove(&id);
            return;
        };
        if connector.check.as_ref().is_none_or(|check| check.hash != hash) {
            self.validating.remove(&id);
            connector.check = Some(Check {
                hash,
                step: CheckStep::Waiting(now),
                attempts: 0,
                answered: now,
                errors: Vec::new(),
                trouble: None,
            });
        }
        let Some(check) = connector.check.as_mut() else { return };
        match &mut check.step {
            CheckStep::Waiting(at) => {
                // A worker that joined may be of a newer release and know more.
                if last_join > check.answered {
                    *at = (*at).min(now);
                }
                let at = *at;
                self.waiting_checks.insert(id);
                if at > now {
                    self.look_again(id, at);
                }
            }
            CheckStep::Sent(since) => {
                let until = *since + CHECK_TIMEOUT_MS;
                if now >= until {
                    self.judge(id, hash, Err(ValidateFailed("the worker did not answer".to_owned())), now);
                } else {
                    self.look_again(id, until);
                }
            }
        }
    }

    /// Sends what is to be validated to workers.
    pub(super) fn send_validations(&mut self, now: Millis) {
        if self.waiting_checks.is_empty() {
            return;
        }
        let workers: Vec<&String> = self
            .worker_ids
            .iter()
            .filter(|(_, id)| self.workers.get(id).is_some_and(|worker| worker.heard && !worker.closing()))
            .map(|(name, _)| name)
            .collect();
        if workers.is_empty() {
            return;
        }
        let limit = (workers.len() * 4).clamp(8, 64);
        for id in self.waiting_checks.clone() {
            if self.validating.len() >= limit {
                return;
            }
            let Some(connector) = self.connectors.get_mut(&id) else {
                self.waiting_checks.remove(&id);
                continue;
            };
            let (Some(check), Some((hash, config))) = (connector.check.as_mut(), connector.complete.as_ref()) else {
                self.waiting_checks.remove(&id);
                continue;
            };
            match check.step {
                CheckStep::Waiting(at) if at <= now && check.hash == *hash => {}
                CheckStep::Waiting(_) => continue,
                CheckStep::Sent(_) => {
                    self.waiting_checks.remove(&id);
                    continue;
                }
            }
            check.step = CheckStep::Sent(now);
            // Spread over the workers, and another one at each attempt.
            let turn = (hash % 1_000_003) as usize + check.attempts as usize;
            self.actions.push(Action::Validate {
                worker: workers[turn % workers.len()].clone(),
                key: connector.key.clone(),
                config_hash: *hash,
                name: connector.effective.as_ref().map_or_else(String::new, |spec| spec.name.clone()),
                config: config.values.clone(),
                secrets: config.secrets.iter().cloned().collect(),
            });
            self.waiting_checks.remove(&id);
            self.validating.insert(id);
            self.dirty.insert(id);
        }
    }

    /// Takes in the answer to a validation.
    pub(super) fn judge(
        &mut self,
        id: ConnectorId,
        hash: u64,
        answer: Result<ValidateResponse, ValidateFailed>,
        now: Millis,
    ) {
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        let Some(check) = connector.check.as_mut().filter(|check| check.hash == hash) else { return };
        if !matches!(check.step, CheckStep::Sent(_)) {
            return;
        }
        self.validating.remove(&id);
        check.attempts = check.attempts.saturating_add(1);
        check.answered = now;
        let pause = CHECK_PAUSE_MS.saturating_mul(1 << check.attempts.min(8).saturating_sub(1)).min(MAX_CHECK_PAUSE_MS);
        match answer {
            Ok(response) if response.errors.is_empty() => {
                if !response.kind.is_empty() {
                    connector.kind = response.kind;
                }
                connector.accept();
            }
            Ok(response) => {
                let heals = response.errors.iter().all(|error| error.retriable);
                check.errors = response.errors;
                check.trouble = None;
                check.step = CheckStep::Waiting(now + if heals { pause } else { MAX_CHECK_PAUSE_MS });
            }
            Err(ValidateFailed(trouble)) => {
                check.trouble = Some(trouble);
                check.step = CheckStep::Waiting(now + pause);
            }
        }
    }

    /// Derives the wanted units from the configuration in force and the instance's plan.
    fn want(&mut self, id: ConnectorId) {
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        if connector.target() == TargetState::Stopped {
            connector.plan = None;
            self.stop_units(id);
            return;
        }
        let paused = connector.effective.as_ref().map(|spec| spec.state == TargetState::Paused);
        if let Some(accepted) = connector.accepted.clone() {
            self.want_unit(
                UnitId { connector: id, part: INSTANCE },
                &accepted,
                accepted.hash,
                accepted.config.as_ref(),
            );
            self.want_tasks(id, &accepted);
            self.fence_retired(id);
        }
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        let Some(paused) = paused else { return };
        for unit in connector.units.values_mut().filter(|unit| unit.wanted && unit.paused != paused) {
            unit.paused = paused;
            if let Some(worker) = unit.home.filter(|_| unit.given).and_then(|home| self.workers.get_mut(&home)) {
                worker.dirty = true;
            }
        }
    }

    fn want_tasks(&mut self, id: ConnectorId, accepted: &Accepted) {
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        // A plan made from another configuration says nothing; until there is one, the tasks stay as they are.
        let Some(plan) = connector.plan.as_mut().filter(|plan| plan.raw.config_hash == accepted.hash) else { return };
        if let (None, Some(base)) = (&plan.tasks, &accepted.config) {
            plan.tasks = Some(plan.raw.tasks.iter().map(|task| merge(base, &task.config)).collect());
        }
        let count = u32::try_from(plan.raw.tasks.len()).unwrap_or(u32::MAX);
        let tasks = plan.tasks.clone().unwrap_or_default();
        let surplus: Vec<u32> = connector.units.range(part(Some(count))..).map(|(part, _)| *part).collect();
        for part in surplus {
            let unit_id = UnitId { connector: id, part };
            self.retire(unit_id);
            if self.unit(unit_id).is_some_and(|unit| unit.wanted || unit.given) {
                self.unwant(unit_id);
            }
        }
        for (index, (hash, config)) in (0..count).zip(&tasks) {
            let unit_id = UnitId { connector: id, part: part(Some(index)) };
            if self.replaces(unit_id, *hash) {
                self.retire(unit_id);
                self.withdraw(unit_id);
            }
            self.want_unit(unit_id, accepted, *hash, Some(config));
        }
    }

    /// The unit is to run with this configuration: as it is when it already does, in a new incarnation otherwise.
    fn want_unit(&mut self, id: UnitId, accepted: &Accepted, hash: u64, config: Option<&Config>) {
        let same = self.unit(id).is_some_and(|unit| unit.hash == hash && unit.incarnation != 0);
        let incarnation = if same { 0 } else { self.next_incarnation() };
        let Some(connector) = self.connectors.get_mut(&id.connector) else { return };
        let unit = connector.units.entry(id.part).or_insert_with(|| Unit::new(accepted.name.clone()));
        let mut changed = false;
        if !unit.wanted {
            unit.wanted = true;
            self.unplaced = true;
        }
        if unit.home.is_none() {
            self.homeless.insert(id);
        }
        if !same {
            unit.restarting = unit.hash != 0;
            unit.hash = hash;
            unit.incarnation = incarnation;
            changed = true;
        }
        if let Some(config) = config {
            // A task's hash leaves some keys out; those alone are no reason to push.
            if unit.config.is_none() {
                changed = true;
                self.unplaced = true;
            }
            if changed || !unit.given {
                unit.config = Some(config.clone());
            }
        }
        if unit.name != accepted.name || unit.tasks_max != accepted.tasks_max {
            unit.name = accepted.name.clone();
            unit.tasks_max = accepted.tasks_max;
            changed |= id.part == INSTANCE;
        }
        if changed && let Some(worker) = unit.home.filter(|_| unit.given).and_then(|home| self.workers.get_mut(&home)) {
            worker.dirty = true;
        }
    }

    /// Nothing of the connector is to run.
    fn stop_units(&mut self, id: ConnectorId) {
        let Some(connector) = self.connectors.get(&id) else { return };
        for part in connector.units.keys().copied().collect::<Vec<_>>() {
            let unit_id = UnitId { connector: id, part };
            // The plan with which it is resumed may be another one.
            self.retire(unit_id);
            if self.unit(unit_id).is_some_and(|unit| unit.wanted || unit.given) {
                self.unwant(unit_id);
            }
        }
    }

    /// Follows the annotations.
    fn restart_on_request(&mut self, id: ConnectorId) {
        let Some(connector) = self.connectors.get(&id) else { return };
        let Some(spec) = connector.spec.as_ref().filter(|spec| !spec.reconciliation_paused) else { return };
        if let Some(value) = spec.restart.clone().filter(|_| connector.restart_done.is_none())
            && let Some(request) = RestartRequest::parse(&value)
        {
            let failed = self.failed_units(id);
            let chosen = |part: u32| {
                (part == INSTANCE || request.include_tasks) && (!request.only_failed || failed.contains(&part))
            };
            self.restart_chosen(id, Annotation::Restart, value, chosen);
        }
        let Some(connector) = self.connectors.get(&id) else { return };
        let Some(spec) = connector.spec.as_ref() else { return };
        if let Some(value) = spec.restart_task.clone().filter(|_| connector.restart_task_done.is_none()) {
            let wanted = value.trim().parse().ok().map(|task| part(Some(task)));
            if let Some(wanted) = wanted.filter(|part| connector.units.get(part).is_some_and(|unit| unit.wanted)) {
                self.restart_chosen(id, Annotation::RestartTask, value, |part| part == wanted);
            }
        }
    }

    fn restart_chosen(&mut self, id: ConnectorId, annotation: Annotation, value: String, chosen: impl Fn(u32) -> bool) {
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        let idle = connector.target() == TargetState::Stopped;
        let units: Vec<u32> =
            connector.units.iter().filter(|(part, u)| u.wanted && chosen(**part)).map(|(part, _)| *part).collect();
        // What was found running with an unknown configuration could not be started again; and where nothing runs yet,
        // it may only not have been found yet. The annotation waits.
        let known = |part: &u32| connector.units.get(part).is_some_and(|unit| unit.config.is_some() && unit.given);
        if !idle && (connector.units.is_empty() || !units.iter().all(known)) {
            return;
        }
        match annotation {
            Annotation::Restart => connector.restart_done = Some(value.clone()),
            Annotation::RestartTask => connector.restart_task_done = Some(value.clone()),
        }
        let key = connector.key.clone();
        let mut names = Vec::new();
        for part in &units {
            self.restart_unit(UnitId { connector: id, part: *part });
            names.push(task(*part).map_or_else(|| "connector instance".to_owned(), |task| format!("task {task}")));
        }
        if !names.is_empty() {
            self.event(
                &key,
                EventKind::Normal,
                reason::RESTARTED,
                format!("Restarted by annotation: {}.", names.join(", ")),
            );
        }
        self.actions.push(Action::AnnotationDone { key, annotation, value });
    }

    /// Restarts what failed, when `autoRestart` allows it and its time has come.
    fn restart_failed(&mut self, id: ConnectorId, now: Millis) {
        let Some(connector) = self.connectors.get(&id) else { return };
        let Some(spec) = connector.effective.as_ref() else { return };
        if spec.state != TargetState::Running || connector.spec.as_ref().is_some_and(|spec| spec.reconciliation_paused)
        {
            return;
        }
        let rule = spec.auto_restart;
        let previous = connector.auto_restart.clone();
        let (Some(rule), failed) = (rule, self.failed_units(id)) else {
            if let Some(connector) = self.connectors.get_mut(&id) {
                connector.auto_restart = None;
            }
            return;
        };
        let count = previous.as_ref().map_or(0, |previous| previous.count);
        let due = previous.as_ref().map_or(now, |previous| previous.last_restart.saturating_add(backoff(count)));
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        if failed.is_empty() {
            if previous.is_some() {
                if now >= due {
                    connector.auto_restart = None;
                } else {
                    self.look_again(id, due);
                }
            }
            return;
        }
        if rule.max_restarts.is_some_and(|max| count >= max) {
            return;
        }
        if now < due {
            self.look_again(id, due);
            return;
        }
        let key = connector.key.clone();
        connector.auto_restart =
            Some(AutoRestartStatus { count: count.saturating_add(1), connector_name: key.clone(), last_restart: now });
        let mut names = Vec::new();
        for part in failed {
            self.restart_unit(UnitId { connector: id, part });
            names.push(task(part).map_or_else(|| "connector instance".to_owned(), |task| format!("task {task}")));
        }
        let message = format!("Restarted after failure (restart {}): {}.", count + 1, names.join(", "));
        self.event(&key, EventKind::Normal, reason::RESTARTED, message);
        // When the counter can be reset.
        self.look_again(id, now + backoff(count + 1));
    }

    /// Parts whose present incarnation has failed and could be started again.
    pub(super) fn failed_units(&self, id: ConnectorId) -> Vec<u32> {
        let Some(connector) = self.connectors.get(&id) else { return Vec::new() };
        let failed = |part: &u32, unit: &Unit| {
            let unit_id = UnitId { connector: id, part: *part };
            unit.wanted
                && unit.config.is_some()
                && self.current_report(unit_id, unit).is_some_and(|report| unit_state(report) == UnitState::Failed)
        };
        connector.units.iter().filter(|(part, unit)| failed(part, unit)).map(|(part, _)| *part).collect()
    }

    fn restart_unit(&mut self, id: UnitId) {
        let incarnation = self.next_incarnation();
        let Some(unit) = self.unit_mut(id) else { return };
        unit.incarnation = incarnation;
        unit.fresh = false;
        unit.restarting = true;
        let home = unit.home.filter(|_| unit.given);
        if let Some(worker) = home.and_then(|home| self.workers.get_mut(&home)) {
            worker.dirty = true;
        }
        self.dirty.insert(id.connector);
    }

    pub(super) fn event(&mut self, key: &str, kind: EventKind, reason: &str, message: String) {
        let object = EventObject::Connector(key.to_owned());
        self.actions.push(Action::Event(Event { object, kind, reason: reason.to_owned(), message }));
    }
}

/// A task's complete configuration: the connector's with the task's own keys over it.
fn merge(base: &Config, own: &BTreeMap<String, String>) -> (u64, Config) {
    let mut config = base.values.clone();
    config.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
    (task_config_hash(&config), Arc::new(Complete { values: config, secrets: base.secrets.clone() }))
}
