//! Who may run what: invariants 1, 3 and 6.

use barnabas_protocol::{Epoch, Refused, Report, directive::Body};

use super::rig::{Rig, spec, unit};
use crate::plan::{Action, ConnectorSpec};

#[test]
fn a_new_leader_adopts_what_runs_and_restarts_nothing() {
    let mut old = Rig::new(3);
    old.apply("c", &spec(5));
    let before = old.running();
    let mut new = old.succeed(&[("c", spec(5))]);
    new.connect_all();
    new.settle();
    new.pass(300_000);
    assert_eq!(new.running(), before);
    assert_eq!(new.ready("c").1, "Running");
    assert!(!new.actions.iter().any(|action| matches!(action, Action::Validate { .. })), "it passed before");
}

#[test]
fn a_new_leader_that_no_worker_answers_assigns_nothing_before_the_delay() {
    let mut old = Rig::new(2);
    old.apply("c", &spec(2));
    let before = old.running();
    let mut new = old.succeed(&[("c", spec(2))]);
    new.connect("w0");
    new.settle();
    let found = new.running();
    new.pass(59_000);
    assert_eq!(new.running(), found, "w1 may run the rest");
    assert_eq!(new.running(), before);
    new.workers.get_mut("w1").unwrap().units.clear();
    new.pass(2_000);
    assert_eq!(new.workers["w0"].units.len(), 3, "past the delay Kafka fences what w1 runs");
}

#[test]
fn a_new_leader_greets_before_it_pushes_and_pushes_everything_that_it_found() {
    let mut old = Rig::new(1);
    old.apply("c", &spec(2));
    let mut new = old.succeed(&[("c", spec(2))]);
    new.connect_all();
    new.settle();
    let pushes = &new.workers["w0"].pushes;
    assert!(matches!(pushes[0].body, Some(Body::Hello(_))));
    assert_eq!(pushes[0].epoch, Some(Epoch { term: 2, revision: 0 }));
    let Some(Body::Desired(set)) = &pushes[1].body else { panic!("a desired set follows") };
    assert_eq!(set.units.len(), 3);
    assert!(set.units.iter().all(|unit| !unit.config.is_empty()));
}

#[test]
fn a_leader_that_cannot_know_the_running_configuration_keeps_it() {
    let mut old = Rig::new(1);
    old.apply("c", &spec(2));
    let before = old.running();
    let mut wrong = spec(2);
    wrong.config.insert("fiel".to_owned(), "x".to_owned());
    let mut new = old.succeed(&[("c", wrong)]);
    new.invalid.insert("fiel".to_owned(), false);
    new.connect_all();
    new.settle();
    assert_eq!(new.running(), before);
    assert_eq!(new.ready("c").1, "InvalidConfiguration");
    let units = &new.workers["w0"].units;
    assert!(units.values().all(|(unit, _)| !unit.config.is_empty()), "the worker keeps the configurations it has");
    new.apply("c", &spec(2));
    assert_eq!(new.running(), before);
    assert_eq!(new.ready("c").1, "Running");
}

#[test]
fn a_configuration_changed_between_leaders_is_validated_and_deployed() {
    let mut old = Rig::new(2);
    old.apply("c", &spec(2));
    let before = old.running();
    let mut changed = spec(2);
    changed.config.insert("own.1".to_owned(), "x".to_owned());
    let mut new = old.succeed(&[("c", changed)]);
    new.connect_all();
    new.settle();
    let after = new.running();
    assert!(before.keys().all(|key| after[key][0].1 > before[key][0].1));
    assert_eq!(new.ready("c").1, "Running");
}

#[test]
fn a_unit_moves_in_two_steps() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(3));
    rig.workers.get_mut("w0").unwrap().slow = true;
    rig.controller.observe_cluster(crate::plan::ClusterSpec::new("cluster", 2));
    rig.add_pod("w1");
    rig.settle();
    assert_eq!(rig.loads(), [4, 0], "w0 has not let go yet");
    let leaving: Vec<_> = {
        let worker = rig.workers.get_mut("w0").unwrap();
        let leaving: Vec<_> = worker
            .units
            .iter()
            .filter(|(_, (_, report))| report.state() == barnabas_protocol::UnitState::Stopping)
            .map(|(key, _)| key.clone())
            .collect();
        worker.units.remove(&leaving[0]);
        leaving
    };
    rig.report_all();
    rig.settle();
    assert_eq!(rig.workers["w1"].units.keys().collect::<Vec<_>>(), [&leaving[0]], "only what has stopped is given");
}

#[test]
fn a_report_from_before_the_removal_proves_nothing() {
    let mut rig = Rig::new(2);
    rig.apply("c", &spec(1));
    let home = rig.running()[&unit("c/0")][0].0.clone();
    // The worker is about to leave; its next report is older than the push that takes the task away.
    let stale = rig.workers[&home].epoch;
    rig.workers.get_mut(&home).unwrap().draining = true;
    rig.workers.get_mut(&home).unwrap().slow = true;
    rig.report_all();
    rig.decide();
    let other = rig.workers.keys().find(|name| **name != home).unwrap().clone();
    let report = Report {
        worker: home.clone(),
        boot_id: "boot".to_owned(),
        epoch: Some(stale),
        draining: true,
        worker_id: "x".to_owned(),
        ..Report::default()
    };
    rig.controller.report(&home, report, rig.now);
    rig.decide();
    assert!(!rig.workers[&other].units.contains_key(&unit("c/0")));
}

#[test]
fn units_of_a_pod_that_is_gone_are_free_at_once() {
    let mut rig = Rig::new(3);
    rig.apply("c", &spec(5));
    let before = rig.running();
    rig.remove_pod("w1");
    rig.settle();
    let after = rig.running();
    assert_eq!(after.len(), 6);
    for (key, places) in &before {
        assert!(places[0].0 == "w1" || after[key] == *places, "{key:?} moved without need");
    }
}

#[test]
fn an_unreachable_worker_keeps_its_units_until_the_delay_has_passed() {
    let mut rig = Rig::new(2);
    rig.apply("c", &spec(3));
    rig.disconnect("w1");
    rig.pass(59_000);
    assert_eq!(rig.loads(), [2, 2]);
    assert_eq!(rig.ready("c").0, "Unknown");
    assert_eq!(rig.ready("c").1, "WorkerUnreachable");
    rig.pass(2_000);
    assert_eq!(rig.loads(), [4, 2], "w1 may still run its two");
    assert_eq!(rig.ready("c").1, "Running");
    // When it returns it is told to stop them, and then gets its share of what runs.
    rig.connect("w1");
    rig.settle();
    assert_eq!(rig.running().values().filter(|places| places.len() > 1).count(), 0);
    rig.pass(60_000);
    assert_eq!(rig.loads(), [2, 2]);
}

#[test]
fn a_worker_that_is_away_for_a_moment_loses_nothing() {
    let mut rig = Rig::new(2);
    rig.apply("c", &spec(3));
    let before = rig.running();
    rig.disconnect("w1");
    rig.pass(5_000);
    rig.connect("w1");
    rig.settle();
    rig.pass(300_000);
    assert_eq!(rig.running(), before);
}

#[test]
fn scaling_from_one_to_three_to_two_moves_as_few_units_as_possible() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(8));
    let one = rig.running();
    rig.controller.observe_cluster(crate::plan::ClusterSpec::new("cluster", 3));
    rig.add_pod("w1");
    rig.settle();
    assert_eq!(rig.running(), one, "it waits for the third, so that nothing moves twice");
    rig.pass(3_000);
    rig.add_pod("w2");
    rig.settle();
    assert_eq!(rig.loads(), [3, 3, 3]);
    let three = rig.running();
    assert_eq!(one.iter().filter(|(key, places)| three[*key] != **places).count(), 6);
    rig.controller.observe_cluster(crate::plan::ClusterSpec::new("cluster", 2));
    let surplus = crate::plan::PodState { surplus: true, ..super::rig::pod("w2") };
    rig.controller.observe_pod("w2", surplus, rig.now);
    rig.settle();
    assert_eq!(rig.drained(), ["w2"]);
    let two = rig.running();
    assert_eq!(rig.loads(), [5, 4, 0]);
    assert_eq!(three.iter().filter(|(key, places)| two[*key] != **places).count(), 3);
}

#[test]
fn a_worker_that_never_comes_holds_up_the_balance_for_half_a_minute_only() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(3));
    rig.controller.observe_cluster(crate::plan::ClusterSpec::new("cluster", 3));
    rig.add_pod("w1");
    rig.settle();
    assert_eq!(rig.loads(), [4, 0]);
    rig.pass(31_000);
    assert_eq!(rig.loads(), [2, 2]);
}

#[test]
fn the_same_resources_are_placed_the_same_whatever_their_order() {
    let keys = ["a", "b", "c", "d", "e"];
    let place = |order: Vec<&str>| {
        let mut rig = Rig::new(3);
        for key in order {
            rig.observe(key, &ConnectorSpec { name: key.to_owned(), ..spec(3) });
        }
        rig.settle();
        rig.running().into_iter().map(|(key, places)| (key, places[0].0.clone())).collect::<Vec<_>>()
    };
    assert_eq!(place(keys.to_vec()), place(keys.iter().rev().copied().collect()));
}

#[test]
fn units_of_an_unknown_connector_are_stopped() {
    let mut old = Rig::new(1);
    old.apply("c", &spec(2));
    let mut new = old.succeed(&[]);
    new.connect_all();
    new.settle();
    assert!(new.running().is_empty());
}

#[test]
fn a_leader_that_learns_of_a_later_one_says_so_once_and_falls_silent() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(1));
    let report = Report {
        worker: "w0".to_owned(),
        epoch: Some(Epoch { term: 1, revision: 1 }),
        refused: Some(Refused { newest: Some(Epoch { term: 5, revision: 3 }) }),
        ..Report::default()
    };
    rig.controller.report("w0", report, rig.now);
    rig.observe("d", &spec(1));
    assert_eq!(rig.controller.decide(rig.now), [Action::Deposed { newest: Epoch { term: 5, revision: 3 } }]);
    assert_eq!(rig.controller.decide(rig.now + 100_000), []);
    assert_eq!(rig.controller.next_wakeup(), None);
}

#[test]
fn a_push_that_was_lost_is_repeated() {
    let mut rig = Rig::new(1);
    rig.observe("c", &spec(1));
    let mut lost = Vec::new();
    // Everything but the push reaches its goal.
    for _ in 0..3 {
        for action in rig.controller.decide(rig.now) {
            match action {
                Action::Validate { key, config_hash, .. } => {
                    rig.controller.validated(&key, config_hash, Ok(Default::default()), rig.now);
                }
                Action::Push { directive, .. } => lost.push(directive),
                _ => {}
            }
        }
    }
    assert_eq!(lost.len(), 1);
    rig.pass(6_000);
    assert!(rig.runs("c/0"));
}
