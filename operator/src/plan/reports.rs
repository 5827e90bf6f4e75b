//! What workers run or may run, as told by their reports.

use barnabas_protocol::{Report, UnitReport};

use super::{
    Controller, Millis,
    model::{Held, INSTANCE, Plan, Unit, UnitId, WorkerId, part},
};

impl Controller {
    /// Takes in a report. Nothing is decided here; connectors that it concerns become dirty.
    pub(super) fn ingest(&mut self, id: WorkerId, report: Report, now: Millis) {
        let term = self.options.term;
        let epoch = report.epoch.unwrap_or_default();
        let refused = report.refused.and_then(|refused| refused.newest).unwrap_or_default();
        let newest = epoch.max(refused);
        if newest.term > term || (newest.term == term && newest.revision > self.revision) {
            // A later leader, or another one under this very term: either way this one is not alone any more.
            self.deposed = self.deposed.max(Some(newest));
            return;
        }
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.session) else { return };
        if epoch.term != term {
            // Made before the worker accepted our hello: an earlier leader may still add to it.
            return;
        }
        let restarted = worker.boot_id != report.boot_id;
        if !worker.heard {
            worker.heard = true;
            worker.dirty = true;
            let returns = std::mem::take(&mut worker.fenced);
            let joins = std::mem::take(&mut worker.joining) && report.units.is_empty();
            self.unplaced = true;
            if returns || joins {
                self.rebalance = true;
            }
            if !worker.known {
                worker.known = true;
                self.last_join = now;
            }
            self.first_open.get_or_insert(now);
            let concerned: Vec<_> = worker.held.keys().chain(&worker.desired).map(|unit| unit.connector).collect();
            self.dirty.extend(concerned);
        } else if restarted {
            worker.dirty = true;
        }
        if worker.leaving != report.draining {
            worker.leaving = report.draining;
            self.unplaced = true;
        }
        let kafka_error_changed = worker.kafka_error != report.kafka_error;
        worker.boot_id = report.boot_id;
        worker.worker_id = report.worker_id;
        worker.kafka_error = report.kafka_error;
        worker.reported_revision = epoch.revision;
        worker.reports += 1;
        let seen = worker.reports;
        for unit in report.units {
            self.reported(id, unit, seen);
        }
        self.settle_absent(id, seen, epoch.revision);
        if kafka_error_changed {
            self.dirty_units_of(id);
        }
    }

    fn reported(&mut self, worker_id: WorkerId, report: UnitReport, seen: u64) {
        let connector_id = self.connector_id(&report.connector);
        let id = UnitId { connector: connector_id, part: part(report.task) };
        let Some(connector) = self.connectors.get_mut(&connector_id) else { return };
        let unit = connector.units.entry(id.part).or_insert_with(|| {
            let mut unit = Unit::new(report.name.as_str().into());
            unit.incarnation = report.incarnation;
            unit.hash = report.config_hash;
            unit
        });
        unit.located = true;
        if !unit.holders.contains(&worker_id) {
            unit.holders.push(worker_id);
            self.dirty.insert(connector_id);
        }
        let at_home = unit.given && unit.home == Some(worker_id);
        let current = at_home && unit.incarnation == report.incarnation;
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        if !worker.desired.contains(&id) {
            worker.dirty |= worker.held.get(&id).is_none_or(|held| held.removed_at.is_none());
        }
        let held = worker.held.entry(id).or_default();
        held.seen = seen;
        let changed = match &held.report {
            None => true,
            Some(old) => {
                old.state != report.state
                    || old.incarnation != report.incarnation
                    || old.config_hash != report.config_hash
                    || old.error != report.error
                    || old.started_at_ms != report.started_at_ms
                    || old.fenced != report.fenced
            }
        };
        let progressed = !changed && held.report.as_ref().is_some_and(|old| old.progress != report.progress);
        if changed {
            self.dirty.insert(connector_id);
        }
        if let Some(progress) = &report.progress {
            for topic in &progress.topics {
                if !connector.topics.contains(topic) {
                    connector.topics.insert(topic.clone());
                    self.dirty.insert(connector_id);
                }
            }
        }
        if connector.kind != report.kind && !report.kind.is_empty() {
            connector.kind.clone_from(&report.kind);
        }
        // A worker that restarts the instance may repeat the plan of the incarnation before; only the present one counts.
        // One found running counts too: it is about to be adopted.
        if let Some(plan) = report.plan.as_ref().filter(|_| id.part == INSTANCE && (current || !unit.given))
            && connector.plan.as_ref().is_none_or(|known| known.raw != *plan)
        {
            connector.plan = Some(Plan { raw: plan.clone(), tasks: None });
            self.dirty.insert(connector_id);
        }
        held.report = Some(report);
        if progressed {
            let due = connector.last_published.saturating_add(self.options.progress_interval_ms);
            self.look_again(connector_id, due);
        }
    }

    /// Units that a report made at `revision` lacks have stopped, when the worker knew by then that it should not run them.
    fn settle_absent(&mut self, worker_id: WorkerId, seen: u64, revision: u64) {
        #[cfg(test)]
        let revision = if self.sabotage == super::Sabotage::TrustAnyReport { u64::MAX } else { revision };
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        let mut stopped = Vec::new();
        let mut lost = Vec::new();
        for (id, held) in worker.held.iter_mut().filter(|(_, held)| held.seen != seen) {
            if !worker.desired.contains(id) && held.removed_at.is_some_and(|removed| revision >= removed) {
                stopped.push(*id);
            } else if held.report.take().is_some() {
                lost.push(id.connector);
            }
        }
        self.dirty.extend(lost);
        for id in stopped {
            self.release(worker_id, id);
        }
    }

    /// The worker cannot be running this unit any more.
    pub(super) fn release(&mut self, worker_id: WorkerId, id: UnitId) {
        if let Some(worker) = self.workers.get_mut(&worker_id) {
            worker.held.remove(&id);
        }
        if let Some(unit) = self.unit_mut(id) {
            unit.holders.retain(|holder| *holder != worker_id);
        }
        self.dirty.insert(id.connector);
    }

    /// The pod runs nothing any more.
    pub(super) fn release_all(&mut self, worker_id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&worker_id) else { return };
        let held: Vec<UnitId> = worker.held.keys().copied().collect();
        for id in std::mem::take(&mut worker.desired) {
            if let Some(unit) = self.unit_mut(id) {
                unit.given = false;
                unit.home = None;
            }
            self.homeless.insert(id);
            self.dirty.insert(id.connector);
        }
        for id in held {
            self.release(worker_id, id);
        }
        // Units that were only meant for it.
        let meant: Vec<UnitId> = self
            .ungiven
            .iter()
            .copied()
            .filter(|id| self.unit(*id).is_some_and(|u| u.home == Some(worker_id)))
            .collect();
        for id in meant {
            self.ungiven.remove(&id);
            self.homeless.insert(id);
            if let Some(unit) = self.unit_mut(id) {
                unit.home = None;
            }
        }
        self.unplaced = true;
    }

    /// The worker gets the unit with the next push. From here on it may be running it.
    pub(super) fn give(&mut self, worker_id: WorkerId, id: UnitId) {
        self.ungiven.remove(&id);
        if let Some(unit) = self.unit_mut(id) {
            unit.home = Some(worker_id);
            unit.given = true;
            unit.fresh = false;
            unit.located = true;
            if !unit.holders.contains(&worker_id) {
                unit.holders.push(worker_id);
            }
        }
        if let Some(worker) = self.workers.get_mut(&worker_id) {
            worker.desired.insert(id);
            worker.dirty = true;
            worker.held.entry(id).or_default().removed_at = None;
        }
        self.dirty.insert(id.connector);
    }

    /// The unit is no longer in its home's desired set from the next push on. The worker holds it until it reports that
    /// it has stopped.
    pub(super) fn take_back(&mut self, id: UnitId) {
        self.ungiven.remove(&id);
        self.homeless.insert(id);
        let Some(unit) = self.unit_mut(id) else { return };
        let home = unit.home.take();
        if std::mem::take(&mut unit.given)
            && let Some(worker) = home.and_then(|home| self.workers.get_mut(&home))
        {
            worker.desired.remove(&id);
            worker.dirty = true;
            worker.held.entry(id).or_insert_with(Held::default);
        }
        self.unplaced = true;
        self.dirty.insert(id.connector);
    }

    /// The unit is not to run.
    pub(super) fn unwant(&mut self, id: UnitId) {
        if let Some(unit) = self.unit_mut(id) {
            unit.wanted = false;
        }
        self.take_back(id);
    }
}
