//! What to do so that what runs becomes what is desired. Pure: no unit is touched here.

use std::collections::BTreeMap;

use barnabas_protocol::Unit;

/// Names a unit within its cluster: connector and task; the task is absent for the connector unit.
pub type Key = (String, Option<u32>);

/// A unit as far as reconciling is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Running {
    /// The incarnation that runs.
    pub incarnation: u64,
    /// It was asked to stop and has not finished.
    pub stopping: bool,
    /// It was pushed without a configuration, and none was known here: it can only say so.
    pub blank: bool,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Start this unit.
    Start(Key),
    /// Tell it what may change while it runs: whether it is paused, and what it is to fence.
    Keep(Key),
    /// Stop; when it is gone, reconcile again.
    Stop(Key),
}

/// Compares. Of one unit never two incarnations run: the old one is stopped first,
/// and the new one is started by a later call, when the old one is gone.
pub fn steps(desired: &BTreeMap<Key, Unit>, running: &BTreeMap<Key, Running>) -> Vec<Step> {
    let mut steps = Vec::new();
    for (key, now) in running {
        let wanted = desired.get(key).filter(|unit| {
            let arrived = now.blank && !unit.config.is_empty();
            unit.incarnation == now.incarnation && !now.stopping && !arrived
        });
        match wanted {
            Some(_) => steps.push(Step::Keep(key.clone())),
            None if now.stopping => {}
            None => steps.push(Step::Stop(key.clone())),
        }
    }
    steps.extend(desired.keys().filter(|key| !running.contains_key(*key)).cloned().map(Step::Start));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(task: Option<u32>) -> Key {
        ("c".into(), task)
    }

    fn desired(units: &[(Option<u32>, u64)]) -> BTreeMap<Key, Unit> {
        units
            .iter()
            .map(|(task, incarnation)| (key(*task), Unit { incarnation: *incarnation, task: *task, ..Unit::default() }))
            .collect()
    }

    fn running(units: &[(Option<u32>, u64, bool)]) -> BTreeMap<Key, Running> {
        units
            .iter()
            .map(|(task, incarnation, stopping)| {
                (key(*task), Running { incarnation: *incarnation, stopping: *stopping, blank: false })
            })
            .collect()
    }

    #[test]
    fn the_same_set_again_restarts_nothing() {
        let steps = steps(&desired(&[(None, 1), (Some(0), 2)]), &running(&[(None, 1, false), (Some(0), 2, false)]));
        assert!(steps.iter().all(|step| matches!(step, Step::Keep(_))), "{steps:?}");
    }

    #[test]
    fn a_new_incarnation_waits_until_the_old_one_is_gone() {
        let wanted = desired(&[(Some(0), 2)]);
        assert_eq!(steps(&wanted, &running(&[(Some(0), 1, false)])), [Step::Stop(key(Some(0)))]);
        assert_eq!(steps(&wanted, &running(&[(Some(0), 1, true)])), []);
        assert_eq!(steps(&wanted, &running(&[])), [Step::Start(key(Some(0)))]);
    }

    #[test]
    fn a_unit_that_is_wanted_again_while_it_stops_is_started_afterwards() {
        let wanted = desired(&[(Some(0), 1)]);
        assert_eq!(steps(&wanted, &running(&[(Some(0), 1, true)])), []);
        assert_eq!(steps(&wanted, &running(&[])), [Step::Start(key(Some(0)))]);
    }

    #[test]
    fn a_configuration_that_comes_later_starts_the_unit_that_had_none() {
        let mut wanted = desired(&[(None, 1)]);
        let mut now = running(&[(None, 1, false)]);
        now.values_mut().for_each(|unit| unit.blank = true);
        assert_eq!(steps(&wanted, &now), [Step::Keep(key(None))]);
        wanted.values_mut().for_each(|unit| drop(unit.config.insert("topic".into(), "t".into())));
        assert_eq!(steps(&wanted, &now), [Step::Stop(key(None))]);
    }

    #[test]
    fn what_is_not_desired_stops_and_others_are_left_alone() {
        let steps = steps(&desired(&[(Some(1), 1)]), &running(&[(Some(0), 1, false), (Some(1), 1, false)]));
        assert_eq!(steps, [Step::Stop(key(Some(0))), Step::Keep(key(Some(1)))]);
    }
}
