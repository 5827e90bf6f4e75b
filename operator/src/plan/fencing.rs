//! What stands between a source's old plan and its new one (KIP-618's fencing of zombies).
//!
//! Each task of a source fences its own previous instance when it starts. That is not enough when a plan changes: what
//! task 3 read may be read by task 0 from now on, and a task 3 that still runs somewhere would write the same records,
//! and turn back the same offsets, under a transactional id that task 0 never touches. So a task whose configuration
//! changed, or that the plan no longer has, is *retired*; and no task is given to a worker before every retired one
//! has stopped, or is out of reach, and Kafka has fenced them all. The connector instance does that when it is told to.
//! Tasks that are the same in both plans run on.

use std::collections::BTreeSet;

use barnabas_protocol::Fence;

use super::{
    Controller, PreviousStatus,
    model::{Connector, ConnectorId, INSTANCE, UnitId, WorkerId, part, task},
};

/// The kind of connector that this is about. Partitions of sinks are handed over by their consumer group.
const SOURCE: &str = "source";

/// What of earlier plans is not over yet.
#[derive(Debug, Default)]
pub(super) struct Retired {
    /// Tasks of earlier plans that Kafka has not fenced since.
    tasks: BTreeSet<u32>,
    /// Tasks that an earlier leader knew of or had retired. Which of them are is seen when every worker was heard.
    inherited: BTreeSet<u32>,
    /// The number under which the instance was told to have them fenced.
    asked: Option<u64>,
}

impl Retired {
    /// Takes in what an earlier leader wrote.
    pub fn inherit(&mut self, previous: &PreviousStatus) {
        self.inherited.extend(previous.tasks.iter().chain(&previous.retired));
    }

    /// The tasks, for the status: a later leader has to know them.
    pub fn tasks(&self) -> Vec<u32> {
        self.tasks.iter().copied().collect()
    }

    /// What the instance is to be told.
    pub fn request(&self) -> Option<Fence> {
        Some(Fence { number: self.asked?, tasks: self.tasks() })
    }

    fn add(&mut self, task: u32) {
        if self.tasks.insert(task) {
            // What was asked for does not cover it.
            self.asked = None;
        }
    }

    /// Whether this task waits with its new configuration for its old one to be fenced.
    pub fn has(&self, unit: u32) -> bool {
        task(unit).is_some_and(|task| self.tasks.contains(&task))
    }
}

impl Connector {
    fn is_source(&self) -> bool {
        self.kind == SOURCE
    }
}

impl Controller {
    /// Whether this unit may not be given to anybody yet.
    pub(super) fn barred(&self, id: UnitId) -> bool {
        let Some(connector) = self.connectors.get(&id.connector).filter(|_| id.part != INSTANCE) else { return false };
        // A pod that was not heard from may run a task of another plan, unless each task was seen somewhere else.
        let unseen = |part: u32| connector.units.get(&part).is_none_or(|unit| !unit.located);
        let tasks = || connector.units.keys().copied().filter(|part| *part != INSTANCE);
        let inherited = || connector.retired.inherited.iter().map(|task| part(Some(*task)));
        !connector.retired.tasks.is_empty()
            || (self.is_learning && connector.is_source() && tasks().chain(inherited()).any(unseen))
    }

    /// A task gets another configuration, or none: what runs of it has to end.
    pub(super) fn retire(&mut self, id: UnitId) {
        let Some(connector) = self.connectors.get_mut(&id.connector).filter(|connector| connector.is_source()) else {
            return;
        };
        let Some(unit) = connector.units.get(&id.part) else { return };
        if let Some(task) = task(id.part).filter(|_| unit.given || !unit.holders.is_empty()) {
            connector.retired.add(task);
        }
    }

    /// Whether the task has to stop before it is given its new configuration.
    pub(super) fn replaces(&self, id: UnitId, hash: u64) -> bool {
        #[cfg(test)]
        if self.sabotage == super::Sabotage::ReplaceInPlace {
            return false;
        }
        let Some(connector) = self.connectors.get(&id.connector).filter(|connector| connector.is_source()) else {
            return false;
        };
        let Some(unit) = connector.units.get(&id.part).filter(|unit| unit.incarnation != 0) else { return false };
        // Found with an earlier configuration after its present one was decided.
        let old = |holder: &WorkerId| {
            let report = self.workers.get(holder).and_then(|worker| worker.held.get(&id)?.report.as_ref());
            report.is_some_and(|report| report.config_hash != hash)
        };
        let decided = unit.hash == hash;
        if decided { !unit.given && unit.holders.iter().any(old) } else { unit.given || !unit.holders.is_empty() }
    }

    /// The unit leaves its worker, and is to return there.
    pub(super) fn withdraw(&mut self, id: UnitId) {
        let Some(unit) = self.unit_mut(id) else { return };
        if !std::mem::take(&mut unit.given) {
            return;
        }
        if let Some(worker) = unit.home.and_then(|home| self.workers.get_mut(&home)) {
            worker.desired.remove(&id);
            worker.dirty = true;
            worker.held.entry(id).or_default();
        }
        self.ungiven.insert(id);
        self.dirty.insert(id.connector);
    }

    /// Has the retired tasks fenced as soon as none of them runs within reach, and ends the wait when that is done.
    pub(super) fn fence_retired(&mut self, id: ConnectorId) {
        if self.is_learning {
            // A pod that was not heard from may run any of them.
            return;
        }
        self.judge_inherited(id);
        let Some(connector) = self.connectors.get(&id).filter(|connector| !connector.retired.tasks.is_empty()) else {
            return;
        };
        let at_large = connector.retired.tasks.iter().any(|task| {
            let unit = connector.units.get(&part(Some(*task)));
            unit.is_some_and(|unit| {
                unit.holders.iter().any(|holder| self.workers.get(holder).is_some_and(|worker| !worker.fenced))
            })
        });
        let asked = connector.retired.asked;
        let instance = UnitId { connector: id, part: INSTANCE };
        let done = || {
            let unit = connector.units.get(&INSTANCE)?;
            Some(self.current_report(instance, unit)?.fenced)
        };
        match asked {
            _ if at_large => {
                // One came back from where it was out of reach: it has to be fenced after it has stopped.
                if asked.is_some() {
                    self.ask(id, None);
                }
            }
            Some(number) if done() == Some(number) => self.fenced(id),
            #[cfg(test)]
            None if self.sabotage == super::Sabotage::FenceNothing => self.fenced(id),
            Some(_) => {}
            None => {
                let number = self.next_incarnation();
                self.ask(id, Some(number));
            }
        }
    }

    /// The new plan may begin.
    fn fenced(&mut self, id: ConnectorId) {
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        let mut over = Vec::new();
        for task in std::mem::take(&mut connector.retired.tasks) {
            let unit = UnitId { connector: id, part: part(Some(task)) };
            let holders = connector.units.get(&unit.part).map(|unit| unit.holders.clone()).unwrap_or_default();
            over.extend(holders.into_iter().map(|holder| (holder, unit)));
        }
        // Who is out of reach may still run them, and that counts no more.
        for (holder, unit) in over {
            self.release(holder, unit);
        }
        self.ask(id, None);
    }

    fn ask(&mut self, id: ConnectorId, number: Option<u64>) {
        if let Some(connector) = self.connectors.get_mut(&id) {
            connector.retired.asked = number;
        }
        let unit = self.unit(UnitId { connector: id, part: INSTANCE });
        let home = unit.filter(|unit| unit.given).and_then(|unit| unit.home);
        if let Some(worker) = home.and_then(|home| self.workers.get_mut(&home)) {
            worker.dirty = true;
        }
    }

    /// Of the tasks that an earlier leader knew, those are retired that nobody was found to run.
    fn judge_inherited(&mut self, id: ConnectorId) {
        let Some(connector) = self.connectors.get_mut(&id).filter(|connector| connector.plan.is_some()) else { return };
        let inherited = std::mem::take(&mut connector.retired.inherited);
        if !connector.is_source() {
            connector.retired = Retired::default();
            return;
        }
        for task in inherited {
            let unit = connector.units.get(&part(Some(task)));
            if unit.is_none_or(|unit| !unit.given && unit.holders.is_empty()) {
                connector.retired.add(task);
            }
        }
    }
}
