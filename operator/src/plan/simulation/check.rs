//! What is asserted of every run: the invariants of the design at each start of a unit, and the right end.

use std::collections::BTreeMap;

use barnabas_protocol::UnitState;

use super::{
    worker::{Key, Pod, Started, base},
    world::{DELAY, World},
};
use crate::plan::{ConditionStatus, ConnectorStatusDraft, Millis, TargetState, condition};

/// How long a cause may take to have its effect: drains, settling and delays included.
const AFTERMATH: Millis = 60_000;

#[derive(Debug)]
struct Last {
    uid: String,
    hash: u64,
    at: Millis,
}

/// What happened so far, as far as the checks need it.
#[derive(Debug, Default)]
pub struct Ledger {
    /// When somebody last gave a connector a reason to restart.
    pub touched: BTreeMap<String, Millis>,
    /// When the set of workers, or the way to them, last changed.
    pub upheaval: Millis,
    /// No worker ever comes, goes or is cut off in this run.
    pub quiet_workers: bool,
    pub starts: u64,
    pub failures: Vec<String>,
    /// When Kafka last fenced each task because an operator had it done.
    pub fenced: BTreeMap<Key, Millis>,
    last: BTreeMap<Key, Last>,
    ready: BTreeMap<String, bool>,
}

impl Ledger {
    pub fn fail(&mut self, failure: String) {
        self.failures.push(failure);
    }

    /// A unit starts on the pod of this uid.
    pub fn started(&mut self, now: Millis, uid: &str, start: &Started, pods: &BTreeMap<String, Pod>) {
        self.starts += 1;
        let key = &start.key;
        // Invariant 1: nobody else runs it, unless it is fenced.
        for pod in pods.values().filter(|pod| pod.uid != uid) {
            let Some(other) = pod.process.as_ref().and_then(|process| process.units.get(key)) else { continue };
            if !start.give.fences(&pod.uid) && !other.give.fences(uid) {
                self.failures.push(format!(
                    "invariant 1: {key:?} starts on {uid} while {} runs it ({:?})",
                    pod.uid, other.state
                ));
            }
        }
        self.check_plans(uid, start, pods);
        // Invariants 2, 3 and 6: it starts again only for a reason of its own, or because workers came or went.
        let last = self.last.insert(key.clone(), Last { uid: uid.to_owned(), hash: start.hash, at: now });
        let (Some(last), false) = (last, start.resumed) else { return };
        let recent = |at: Millis| at > last.at || now - at <= AFTERMATH;
        let own = key.0 != "c0" && self.touched.get(&key.0).is_some_and(|at| recent(*at));
        let workers = !self.quiet_workers && recent(self.upheaval);
        if !own && !workers {
            self.failures.push(format!(
                "invariants 2, 3, 6: {key:?} starts on {uid} without a reason; it ran on {} since {} (hash {:x}, now {:x})",
                last.uid, last.at, last.hash, start.hash
            ));
        }
    }

    /// Invariant 7: a task starts when no task of another plan runs, or Kafka has fenced it since it was started. What a
    /// process resumed by itself after that is beyond this: nobody knew of it.
    fn check_plans(&mut self, uid: &str, start: &Started, pods: &BTreeMap<String, Pod>) {
        let (connector, Some(task)) = &start.key else { return };
        if start.resumed || start.base.is_empty() {
            return;
        }
        for pod in pods.values() {
            for (key, other) in pod.process.iter().flat_map(|process| &process.units) {
                if key.0 != *connector || key.1.is_none_or(|other| other == *task) || other.resumed {
                    continue;
                }
                let old = base(&other.unit);
                let fenced = self.fenced.get(key).is_some_and(|at| *at >= other.started);
                if !old.is_empty() && old != start.base && !fenced {
                    self.failures.push(format!(
                        "invariant 7: {:?} starts on {uid} while {} runs {key:?} of another plan ({:?})",
                        start.key, pod.uid, other.state
                    ));
                }
            }
        }
    }

    /// The leader let a deleted resource go.
    pub fn finalized(
        &mut self,
        key: &str,
        pods: &BTreeMap<String, Pod>,
        heard: &BTreeMap<String, Millis>,
        since: Millis,
        now: Millis,
    ) {
        for pod in pods.values() {
            let units =
                pod.process.iter().flat_map(|process| process.units.keys()).filter(|(connector, _)| connector == key);
            let away = now - heard.get(&pod.uid).copied().unwrap_or(since) >= DELAY;
            if units.count() > 0 && !away {
                self.failures.push(format!("deletion: {key} was let go while {} runs units of it", pod.uid));
            }
        }
    }

    /// A status was written. While nothing happens to a connector or the workers its readiness does not flicker.
    pub fn published(&mut self, now: Millis, key: &str, status: &ConnectorStatusDraft) {
        let ready = ready(status).0 == ConditionStatus::True;
        let before = self.ready.insert(key.to_owned(), ready);
        if key == "c0" && self.quiet_workers && before == Some(true) && !ready {
            self.failures.push(format!("status: c0 is not ready any more at {now}: {:?}", status.conditions.first()));
        }
    }
}

fn ready(status: &ConnectorStatusDraft) -> (ConditionStatus, &str) {
    status
        .conditions
        .iter()
        .find(|one| one.kind == condition::READY)
        .map_or((ConditionStatus::Unknown, "none"), |one| (one.status, one.reason.as_str()))
}

/// After the calm: every wanted unit runs exactly once as wanted, nothing else runs, and the statuses say so.
pub fn converged(world: &World) -> Result<(), String> {
    let mut running: BTreeMap<Key, Vec<(&str, UnitState, u64)>> = BTreeMap::new();
    let mut loads = Vec::new();
    for pod in world.pods.values() {
        let Some(process) = &pod.process else { return Err(format!("{} does not run", pod.name)) };
        loads.push(process.units.len());
        for (key, unit) in &process.units {
            running.entry(key.clone()).or_default().push((&pod.uid, unit.state, unit.unit.config_hash));
        }
    }
    if world.pods.len() != world.cluster.replicas as usize {
        return Err(format!("{} pods instead of {}", world.pods.len(), world.cluster.replicas));
    }
    if let Some(pod) = world.pods.values().find(|pod| pod.revision != world.revision || pod.terminating) {
        return Err(format!("{} is of revision {}", pod.name, pod.revision));
    }
    for (key, places) in &running {
        if places.len() != 1 {
            return Err(format!("{key:?} runs {} times: {places:?}", places.len()));
        }
        if !world.resources.contains_key(&key.0) {
            return Err(format!("{key:?} runs without a resource"));
        }
    }
    for (key, resource) in &world.resources {
        let spec = &resource.spec;
        let status = world.statuses.get(key).ok_or_else(|| format!("{key} has no status"))?;
        let (ready, reason) = ready(status);
        let says = |wanted: ConditionStatus, because: &str| {
            (ready == wanted && reason == because)
                .then_some(())
                .ok_or_else(|| format!("{key} should be Ready={wanted:?} {because}, and is {:?}", status.conditions))
        };
        if spec.deleted {
            return Err(format!("{key} is still there"));
        }
        let mine: BTreeMap<_, _> = running.iter().filter(|((connector, _), _)| connector == key).collect();
        if spec.state == TargetState::Stopped && !mine.is_empty() {
            return Err(format!("{key} is stopped and runs {mine:?}"));
        }
        if spec.problem.is_some() {
            says(ConditionStatus::False, "SecretNotFound")?;
            continue;
        }
        if spec.config.contains_key("invalid") {
            says(ConditionStatus::False, "InvalidConfiguration")?;
            continue;
        }
        if spec.state == TargetState::Stopped {
            says(ConditionStatus::True, "Stopped")?;
            continue;
        }
        let instance = mine.iter().find(|((_, task), _)| task.is_none()).map(|(_, places)| places[0].1);
        let Some(instance) = instance else { return Err(format!("{key} has no instance")) };
        if spec.config.contains_key("breaks") || instance == UnitState::Failed {
            says(ConditionStatus::False, "ConnectorFailed")?;
            continue;
        }
        let tasks = spec.config["tasks"].parse().unwrap_or(0_u32).min(spec.tasks_max);
        if mine.len() != tasks as usize + 1 {
            return Err(format!("{key} should have {tasks} tasks and runs {mine:?}"));
        }
        if mine.values().any(|places| places[0].1 == UnitState::Failed) {
            says(ConditionStatus::False, "TaskFailed")?;
            continue;
        }
        let (goal, word) = match spec.state {
            TargetState::Paused => (UnitState::Paused, "Paused"),
            _ => (UnitState::Running, "Running"),
        };
        if let Some(unit) = mine.iter().find(|(_, places)| places[0].1 != goal) {
            return Err(format!("{key} should be {word}: {unit:?}"));
        }
        says(ConditionStatus::True, word)?;
        if status.tasks_planned != tasks {
            return Err(format!("{key} shows {} tasks instead of {tasks}", status.tasks_planned));
        }
    }
    Ok(())
}
