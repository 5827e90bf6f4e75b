//! Which pod may go, and the cluster's status.

use std::cmp::Reverse;

use super::{
    Action, ClusterStatusDraft, Condition, ConditionStatus, Controller, DrainReason, Millis, WorkerStatus, condition,
    controller::Wakeup,
    model::{Drain, Unit, UnitId, Worker},
    reason,
};

/// How long a replaced pod's successor may take to get its share before the next pod is rolled anyway.
const ROLL_PATIENCE_MS: Millis = 60_000;

impl Controller {
    /// Decides which pods are emptied: surplus ones at once, outdated ones one at a time.
    pub(super) fn drain_pods(&mut self, now: Millis, wakeup: &mut Wakeup) {
        if self.cluster.reconciliation_paused {
            return;
        }
        let mut changed = false;
        for worker in self.workers.values_mut() {
            let why = match worker.drain.map(|drain| drain.why) {
                _ if worker.pod.surplus => Some(DrainReason::Surplus),
                Some(DrainReason::Outdated) if worker.pod.outdated => Some(DrainReason::Outdated),
                _ => None,
            };
            if why != worker.drain.map(|drain| drain.why) {
                worker.drain = why.map(|why| Drain { why, since: now, announced: false });
                changed = true;
            }
        }
        if let Some(name) = self.next_to_roll(now, wakeup)
            && let Some(worker) = self.worker_ids.get(&name).and_then(|id| self.workers.get_mut(id))
        {
            worker.drain = Some(Drain { why: DrainReason::Outdated, since: now, announced: false });
            self.last_roll = now;
            changed = true;
        }
        if changed {
            self.unplaced = true;
        }
        for worker in self.workers.values() {
            if let Some(drain) = worker.drain.filter(|drain| !drain.announced) {
                wakeup.at(drain.since + self.cluster.drain_timeout_ms);
            }
        }
    }

    /// The outdated pod whose turn it is: a broken one first, otherwise the last by name, and only while every other
    /// wanted pod is up and has its units.
    fn next_to_roll(&self, now: Millis, wakeup: &mut Wakeup) -> Option<String> {
        let kept: Vec<&Worker> = self.workers.values().filter(|worker| !worker.pod.surplus).collect();
        let up = |worker: &Worker| worker.heard && worker.pod.ready && !worker.pod.terminating && !worker.pod.finished;
        if kept.iter().any(|worker| worker.drain.is_some() || (!worker.pod.outdated && !up(worker))) {
            return None;
        }
        let mut candidates: Vec<&Worker> =
            kept.iter().copied().filter(|worker| worker.pod.outdated && !worker.pod.terminating).collect();
        candidates.sort_by_key(|worker| (up(worker), Reverse((worker.name.len(), worker.name.clone()))));
        let first = candidates.first()?;
        if !up(first) {
            return Some(first.name.clone());
        }
        if kept.len() < self.cluster.replicas as usize {
            return None;
        }
        if !self.settled() {
            let since = self.last_roll.max(self.last_join);
            if now < since + ROLL_PATIENCE_MS {
                wakeup.at(since + ROLL_PATIENCE_MS);
                return None;
            }
        }
        Some(first.name.clone())
    }

    /// Every wanted unit that can be placed is where it belongs and was reported from there.
    fn settled(&self) -> bool {
        self.ungiven.iter().all(|id| self.barred(*id))
            && !self.rebalance
            && self.workers.values().all(|worker| {
                worker.desired.iter().all(|id| worker.held.get(id).is_some_and(|held| held.report.is_some()))
            })
    }

    /// Says which pods are empty by now.
    pub(super) fn announce_drained(&mut self, now: Millis) {
        let timeout = self.cluster.drain_timeout_ms;
        let mut drained = Vec::new();
        for worker in self.workers.values_mut() {
            let (heard, empty) = (worker.heard, worker.held.is_empty() && worker.desired.is_empty());
            let Some(drain) = worker.drain.as_mut().filter(|drain| !drain.announced) else { continue };
            // Nothing can be moved away gracefully from a pod that does not answer.
            if empty || !heard || now >= drain.since + timeout {
                drain.announced = true;
                drained.push((worker.name.clone(), worker.pod.uid.clone(), drain.why));
            }
        }
        drained.sort();
        self.actions.extend(drained.into_iter().map(|(pod, uid, why)| Action::PodDrained { pod, uid, why }));
    }

    /// Publishes the cluster's status when it has changed.
    pub(super) fn publish_cluster(&mut self, now: Millis) {
        let previous = self.cluster_status.as_deref();
        let workers: Vec<&Worker> = self.worker_ids.values().filter_map(|id| self.workers.get(id)).collect();
        let ready = workers.iter().filter(|worker| worker.heard && !worker.closing()).count();
        let wanted = self.cluster.replicas as usize;
        let rolling = workers.iter().filter(|worker| worker.pod.outdated).count();
        let surplus = workers.iter().filter(|worker| worker.pod.surplus).count();
        let (is_ready, why, message) = if wanted == 0 {
            (true, reason::STOPPED, "The cluster is scaled to 0 workers.".to_owned())
        } else if let Some(worker) = workers.iter().find(|worker| worker.heard && !worker.kafka_error.is_empty()) {
            (false, reason::KAFKA_UNREACHABLE, format!("Worker {}: {}", worker.name, worker.kafka_error))
        } else if ready < wanted {
            (false, reason::WORKERS_NOT_READY, format!("{ready} of {wanted} workers are ready."))
        } else {
            (true, reason::READY, format!("{ready} of {wanted} workers are ready."))
        };
        let (progressing, because, doing) = if rolling > 0 {
            (true, reason::ROLLING, format!("{rolling} pods are yet to be replaced."))
        } else if surplus > 0 || ready < wanted {
            (true, reason::DEPLOYING, format!("{ready} of {wanted} workers are ready; {surplus} are leaving."))
        } else {
            (false, reason::READY, String::new())
        };
        let old = previous.map_or(&[][..], |status| &status.conditions);
        let mut conditions = vec![
            keep_time(old, now, condition::READY, is_ready.into(), why, message.clone()),
            keep_time(old, now, condition::PROGRESSING, progressing.into(), because, doing),
        ];
        if self.options.mirror_not_ready && !is_ready {
            conditions.push(keep_time(old, now, condition::NOT_READY, ConditionStatus::True, why, message));
        }
        let status = ClusterStatusDraft {
            conditions,
            observed_generation: self.cluster.generation,
            replicas: workers.iter().filter(|worker| worker.heard).count() as u32,
            workers: workers.iter().map(|worker| worker_status(worker)).collect(),
            connectors: self.connectors.values().filter(|connector| connector.spec.is_some()).count() as u32,
            units: workers.iter().map(|worker| worker.desired.len()).sum::<usize>() as u32 + self.ungiven.len() as u32,
        };
        if previous != Some(&status) {
            self.cluster_status = Some(Box::new(status.clone()));
            self.actions.push(Action::ClusterStatus { status: Box::new(status) });
        }
    }

    /// Workers that hold the unit and count: not those that Kafka fences.
    pub(super) fn effective_holders<'a>(&'a self, unit: &'a Unit) -> impl Iterator<Item = &'a Worker> {
        unit.holders.iter().filter_map(|holder| self.workers.get(holder)).filter(|worker| !worker.fenced)
    }

    /// Whether no worker can be running the unit.
    pub(super) fn stopped(&self, id: UnitId) -> bool {
        self.unit(id).is_none_or(|unit| self.effective_holders(unit).next().is_none())
    }
}

fn worker_status(worker: &Worker) -> WorkerStatus {
    let drained = worker.drain.is_some_and(|drain| drain.announced);
    WorkerStatus {
        name: worker.name.clone(),
        worker_id: (!worker.worker_id.is_empty()).then(|| worker.worker_id.clone()),
        state: match () {
            () if drained || worker.pod.finished => "Drained",
            () if worker.closing() => "Draining",
            () if worker.heard => "Running",
            () if worker.known => "Unreachable",
            () => "Pending",
        },
        units: worker.desired.len() as u32,
        kafka_error: (!worker.kafka_error.is_empty()).then(|| worker.kafka_error.clone()),
    }
}

/// A condition whose transition time is that of the old one of its type while the status stays the same.
pub(super) fn keep_time(
    old: &[Condition],
    now: Millis,
    kind: &str,
    status: ConditionStatus,
    reason: &str,
    message: String,
) -> Condition {
    let same = |old: &&Condition| {
        old.kind == kind && old.status == status && (kind != condition::WARNING || old.reason == reason)
    };
    let last_transition = old.iter().find(same).map_or(now, |old| old.last_transition);
    Condition { kind: kind.to_owned(), status, reason: reason.to_owned(), message, last_transition }
}
