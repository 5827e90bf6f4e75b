//! Which worker gets which unit, when, and what is pushed.

use std::collections::BTreeMap;

use barnabas_protocol::{
    DesiredSet, Directive, Epoch, Hello, TargetState as WireTarget, Unit as WireUnit, UnitReport, directive,
};

use super::{
    Action, Controller, Event, EventKind, EventObject, Millis,
    assign::{Bin, Item, balance, fill},
    controller::Wakeup,
    model::{ConnectorId, INSTANCE, Unit, UnitId, Worker, WorkerId, task},
    reason,
};

/// How long the first units wait for the rest of the wanted workers, so that they need not move a moment later.
const GATHER_MS: Millis = 5_000;
/// How long moves for balance wait for the rest of the wanted workers after one has joined.
const SETTLE_MS: Millis = 30_000;
/// A push that was not acknowledged for this long is repeated.
const REPUSH_MS: Millis = 5_000;
/// A worker that is away for less is not worth a word in the status.
pub(super) const MISSED_MS: Millis = 10_000;

impl Controller {
    /// Lets time act on the workers: who is unreachable past the delay.
    pub(super) fn watch_workers(&mut self, now: Millis, wakeup: &mut Wakeup) {
        let delay = self.cluster.unreachable_delay_ms;
        let mut lost = Vec::new();
        let mut missed = Vec::new();
        for (id, worker) in &mut self.workers {
            if worker.heard || worker.pod.finished {
                if std::mem::take(&mut worker.missed) {
                    missed.push(*id);
                }
                continue;
            }
            let since = if worker.known { worker.down_since } else { worker.first_seen };
            if !worker.missed && worker.known {
                if now >= since + MISSED_MS {
                    worker.missed = true;
                    missed.push(*id);
                } else {
                    wakeup.at(since + MISSED_MS);
                }
            }
            if worker.fenced {
                continue;
            }
            if now >= since + delay {
                worker.fenced = true;
                lost.push(*id);
            } else {
                wakeup.at(since + delay);
            }
        }
        for id in missed {
            self.dirty_units_of(id);
        }
        for id in lost {
            self.unplaced = true;
            self.dirty_units_of(id);
            let Some(worker) = self.workers.get(&id) else { continue };
            if worker.desired.is_empty() {
                continue;
            }
            let message = format!(
                "Worker {} has been unreachable for {} s: its {} units are given to other workers, and Kafka fences it.",
                worker.name,
                delay / 1000,
                worker.desired.len()
            );
            for unit in worker.desired.clone() {
                self.take_back(unit);
            }
            let reason = reason::WORKER_UNREACHABLE.to_owned();
            self.actions.push(Action::Event(Event {
                object: EventObject::Cluster,
                kind: EventKind::Warning,
                reason,
                message,
            }));
        }
    }

    /// Some pod was not heard from yet and may run anything that an earlier leader gave it.
    fn learning(&self) -> bool {
        #[cfg(test)]
        if self.sabotage == super::Sabotage::ForgetUnheardPods {
            return false;
        }
        let until = self.options.started.saturating_add(self.options.predecessor_ms);
        self.options.predecessor_ms > 0
            && self
                .workers
                .values()
                .any(|worker| !worker.known && !worker.fenced && !worker.pod.finished && worker.first_seen < until)
    }

    /// Takes stock once per decision of what many connectors ask for.
    pub(super) fn take_stock(&mut self) {
        self.open_workers = self.workers.values().filter(|worker| worker.heard && !worker.closing()).count();
        let learning = self.learning();
        if self.is_learning != learning {
            self.is_learning = learning;
            self.dirty_all();
        }
    }

    /// Chooses homes, and gives units to them as soon as nobody else can be running them.
    pub(super) fn place(&mut self, now: Millis, wakeup: &mut Wakeup) {
        let learning = self.is_learning;
        let complete = self.open_workers >= self.cluster.replicas as usize;
        let gather_until = self.first_open.map_or(Millis::MAX, |first| first.saturating_add(GATHER_MS));
        let gathering = !complete && now < gather_until;
        let settle_until = self.last_join.saturating_add(SETTLE_MS);
        let rebalance = self.rebalance && !learning && (complete || now >= settle_until);
        #[cfg(test)]
        let rebalance = rebalance || self.sabotage == super::Sabotage::BalanceAlways;
        if gathering && self.first_open.is_some() {
            wakeup.at(gather_until);
        }
        if self.rebalance {
            wakeup.at(settle_until);
        }
        if self.unplaced || rebalance {
            self.fill_homes();
        }
        if rebalance {
            self.balance_homes();
        }
        self.unplaced = false;
        self.rebalance &= !rebalance;
        for id in self.ungiven.clone() {
            let Some(unit) = self.unit(id) else {
                self.ungiven.remove(&id);
                continue;
            };
            if self.barred(id) {
                continue;
            }
            if let Some(home) = unit.home.filter(|home| self.may_give(unit, *home, learning || gathering)) {
                self.give(home, id);
            }
        }
    }

    /// Invariant 1.
    fn may_give(&self, unit: &Unit, home: WorkerId, wait: bool) -> bool {
        #[cfg(test)]
        if self.sabotage == super::Sabotage::GiveWithoutWaiting {
            return self.workers.get(&home).is_some_and(|worker| worker.heard);
        }
        let held_elsewhere = unit
            .holders
            .iter()
            .any(|holder| *holder != home && self.workers.get(holder).is_some_and(|worker| !worker.fenced));
        let ready = self.workers.get(&home).is_some_and(|worker| worker.heard && !worker.closing());
        ready && !held_elsewhere && unit.config.is_some() && (unit.located || !wait)
    }

    /// Workers in the order of their names, and what they are to the assignment.
    fn bins(&self) -> (Vec<WorkerId>, Vec<Bin>) {
        let order: Vec<WorkerId> = self.worker_ids.values().copied().collect();
        let bins = order.iter().map(|id| self.workers.get(id).map_or(Bin::Closed, bin)).collect();
        (order, bins)
    }

    /// Gives every worker its share, with the fewest moves.
    fn balance_homes(&mut self) {
        let (order, bins) = self.bins();
        let position: BTreeMap<WorkerId, u32> = order.iter().copied().zip(0..).collect();
        let mut units = Vec::new();
        let mut items = Vec::new();
        for (group, connector_id) in (0_u32..).zip(self.connector_ids.values()) {
            let Some(connector) = self.connectors.get(connector_id) else { continue };
            for (part, unit) in connector.units.iter().filter(|(_, unit)| unit.wanted) {
                // What nobody can start is left out, unless it is somewhere already.
                if unit.config.is_none() && !unit.given {
                    continue;
                }
                let home = unit.home.and_then(|home| position.get(&home).copied());
                items.push(Item { group, home, movable: unit.config.is_some(), running: unit.given });
                units.push(UnitId { connector: *connector_id, part: *part });
            }
        }
        let homes = balance(&items, &bins);
        self.settle_in(units, homes, &order);
    }

    /// Gives every unit without a home one, and moves nothing that has one.
    fn fill_homes(&mut self) {
        let (order, bins) = self.bins();
        for (id, _) in order.iter().zip(&bins).filter(|(_, bin)| **bin == Bin::Closed) {
            let leaving = self.workers.get(id).map(|worker| worker.desired.clone()).unwrap_or_default();
            for unit in leaving {
                self.take_back(unit);
            }
        }
        let position: BTreeMap<WorkerId, u32> = order.iter().copied().zip(0..).collect();
        let mut loads: Vec<usize> =
            order.iter().map(|id| self.workers.get(id).map_or(0, |worker| worker.desired.len())).collect();
        for id in self.ungiven.clone() {
            let home = self.unit(id).and_then(|unit| unit.home).and_then(|home| position.get(&home).copied());
            match home.filter(|home| bins[*home as usize] == Bin::Open) {
                Some(home) => loads[home as usize] += 1,
                // Only what runs there already waits for a worker that is out of reach.
                None => self.take_back(id),
            }
        }
        if !bins.contains(&Bin::Open) {
            return;
        }
        let homeless = std::mem::take(&mut self.homeless);
        let needs = |unit: &&Unit| unit.wanted && unit.home.is_none() && unit.config.is_some();
        let concerned: BTreeMap<&str, ConnectorId> = homeless
            .iter()
            .filter(|id| self.unit(**id).as_ref().is_some_and(needs))
            .filter_map(|id| Some((self.connectors.get(&id.connector)?.key.as_str(), id.connector)))
            .collect();
        let mut units = Vec::new();
        let mut items = Vec::new();
        for (group, connector_id) in (0_u32..).zip(concerned.values()) {
            let Some(connector) = self.connectors.get(connector_id) else { continue };
            for (part, unit) in connector.units.iter().filter(|(_, unit)| unit.home.is_some() || needs(unit)) {
                let home = unit.home.and_then(|home| position.get(&home).copied());
                items.push(Item { group, home, movable: false, running: unit.given });
                units.push(UnitId { connector: *connector_id, part: *part });
            }
        }
        let homes = fill(&items, &bins, loads);
        self.settle_in(units, homes, &order);
    }

    fn settle_in(&mut self, units: Vec<UnitId>, homes: Vec<Option<u32>>, order: &[WorkerId]) {
        for (id, home) in units.into_iter().zip(homes) {
            let home = home.and_then(|home| order.get(home as usize).copied());
            let Some(unit) = self.unit(id) else { continue };
            if unit.home == home {
                continue;
            }
            self.take_back(id);
            if let Some(unit) = self.unit_mut(id) {
                unit.home = home;
            }
            if home.is_some() {
                self.homeless.remove(&id);
                self.ungiven.insert(id);
            }
        }
    }

    /// Greets new sessions, and sends every changed desired set.
    pub(super) fn push(&mut self, now: Millis, wakeup: &mut Wakeup) {
        let ids: Vec<WorkerId> = self.worker_ids.values().copied().collect();
        for id in ids {
            let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.session) else { continue };
            let patience = worker.hello_sent.map(|sent| sent + REPUSH_MS);
            if !worker.heard && patience.is_none_or(|until| now >= until) {
                worker.hello_sent = Some(now);
                let epoch = Some(Epoch::hello(self.options.term));
                let body = Some(directive::Body::Hello(Hello { operator: self.options.operator.clone() }));
                let push = Action::Push { worker: worker.name.clone(), directive: Directive { epoch, body } };
                self.actions.push(push);
            }
            if !worker.heard {
                if let Some(until) = worker.hello_sent.map(|sent| sent + REPUSH_MS) {
                    wakeup.at(until);
                }
                continue;
            }
            let unacknowledged = worker.reported_revision < worker.pushed_revision;
            if unacknowledged && !worker.dirty {
                if now >= worker.pushed_at + REPUSH_MS {
                    worker.dirty = true;
                } else {
                    wakeup.at(worker.pushed_at + REPUSH_MS);
                }
            }
            if !worker.dirty {
                continue;
            }
            self.revision += 1;
            worker.dirty = false;
            worker.pushed_revision = self.revision;
            worker.pushed_at = now;
            wakeup.at(now + REPUSH_MS);
            for (unit, held) in &mut worker.held {
                if !worker.desired.contains(unit) {
                    held.removed_at.get_or_insert(self.revision);
                }
            }
            let name = worker.name.clone();
            let Some(worker) = self.workers.get(&id) else { continue };
            let units = worker.desired.iter().filter_map(|unit| self.wire(*unit)).collect();
            let epoch = Some(Epoch { term: self.options.term, revision: self.revision });
            let body = Some(directive::Body::Desired(DesiredSet { units }));
            self.actions.push(Action::Push { worker: name, directive: Directive { epoch, body } });
        }
    }

    /// The unit as it is pushed. An empty configuration means: the one that the worker has for this incarnation.
    fn wire(&self, id: UnitId) -> Option<WireUnit> {
        let connector = self.connectors.get(&id.connector)?;
        let unit = connector.units.get(&id.part)?;
        Some(WireUnit {
            connector: connector.key.clone(),
            name: unit.name.to_string(),
            task: task(id.part),
            incarnation: unit.incarnation,
            config_hash: unit.hash,
            config: unit.config.as_ref().map(|config| config.values.clone()).unwrap_or_default(),
            secrets: unit.config.iter().flat_map(|config| config.secrets.iter().cloned()).collect(),
            target: if unit.paused { WireTarget::Paused } else { WireTarget::Running }.into(),
            tasks_max: unit.tasks_max,
            fence: connector.retired.request().filter(|_| id.part == INSTANCE),
        })
    }

    /// What its home says about the unit's present incarnation.
    pub(super) fn current_report(&self, id: UnitId, unit: &Unit) -> Option<&UnitReport> {
        let home = unit.home.filter(|_| unit.given)?;
        let report = self.workers.get(&home)?.held.get(&id)?.report.as_ref()?;
        (report.incarnation == unit.incarnation).then_some(report)
    }
}

fn bin(worker: &Worker) -> Bin {
    if worker.closing() || worker.fenced || !worker.known {
        Bin::Closed
    } else if worker.heard {
        Bin::Open
    } else {
        Bin::Frozen
    }
}
