//! A source's old plan ends before its new one begins (KIP-618).

use barnabas_protocol::Fence;

use super::rig::{Rig, spec, unit};
use crate::plan::{ConnectorSpec, PreviousStatus, TargetState};

/// A source of three tasks whose configuration is another one when `own` is.
fn source(own: &str) -> ConnectorSpec {
    let mut spec = spec(3);
    spec.config.insert("path".to_owned(), own.to_owned());
    spec
}

/// What the instance is asked to have fenced.
fn asked(rig: &Rig) -> Option<Fence> {
    rig.workers.values().find_map(|worker| worker.units.get(&unit("c")))?.0.fence.clone()
}

fn tasks(rig: &Rig) -> Vec<u32> {
    let mut tasks: Vec<u32> = rig.running().keys().filter_map(|(_, task)| *task).collect();
    tasks.sort_unstable();
    tasks
}

#[test]
fn no_task_of_a_new_plan_starts_while_one_of_the_old_runs() {
    let mut rig = Rig::new(2);
    rig.apply("c", &source("a"));
    let before = rig.running();
    for worker in rig.workers.values_mut() {
        worker.slow = true;
    }
    rig.apply("c", &source("b"));
    for task in ["c/0", "c/1", "c/2"] {
        let key = unit(task);
        assert_eq!(rig.running()[&key], before[&key], "still stopping");
    }
    assert_eq!(asked(&rig), None, "they are within reach: first they stop");
    let (_, reason, message) = rig.ready("c");
    assert_eq!(reason, "Deploying");
    assert!(message.contains("no task of the previous plan runs") && message.contains("(0, 1, 2)"), "{message}");
    assert_eq!(rig.statuses["c"].retired, [0, 1, 2]);

    for worker in rig.workers.values_mut() {
        worker.slow = false;
        worker.no_fence = true;
        worker.units.retain(|(_, task), _| task.is_none());
    }
    rig.report_all();
    rig.settle();
    assert_eq!(tasks(&rig), [0; 0], "Kafka has not fenced them yet");
    let fence = asked(&rig).unwrap();
    assert_eq!(fence.tasks, [0, 1, 2]);

    rig.seen("c").fenced = fence.number;
    rig.report_all();
    rig.settle();
    assert_eq!(tasks(&rig), [0, 1, 2]);
    assert_eq!(asked(&rig), None, "it is not asked again");
    assert_eq!(rig.ready("c").1, "Running");
    assert_eq!(rig.statuses["c"].retired, [0; 0]);
    let after = rig.running();
    for task in ["c/0", "c/1", "c/2"] {
        assert_eq!(before[&unit(task)][0].0, after[&unit(task)][0].0, "{task} returns to its worker");
    }
}

#[test]
fn tasks_that_both_plans_have_run_on_while_the_others_are_fenced() {
    let mut rig = Rig::new(2);
    rig.apply("c", &ConnectorSpec { tasks_max: 3, ..spec(9) });
    let before = rig.running();
    for worker in rig.workers.values_mut() {
        worker.no_fence = true;
    }
    rig.apply("c", &ConnectorSpec { tasks_max: 2, ..spec(9) });
    assert_eq!(asked(&rig).unwrap().tasks, [2]);
    let after = rig.running();
    for task in ["c/0", "c/1"] {
        assert_eq!(before[&unit(task)], after[&unit(task)]);
    }
}

#[test]
fn what_is_out_of_reach_is_fenced_before_its_work_is_given_to_others() {
    let mut rig = Rig::new(2);
    rig.apply("c", &source("a"));
    let instance = rig.running()[&unit("c")][0].0.clone();
    let lost = if instance == "w0" { "w1" } else { "w0" };
    let zombies: Vec<u32> = rig.workers[lost].units.keys().filter_map(|(_, task)| *task).collect();
    assert!(!zombies.is_empty());
    rig.disconnect(lost);
    rig.apply("c", &source("b"));
    rig.pass(50_000);
    assert_eq!(asked(&rig), None, "the worker may come back");
    rig.workers.get_mut(&instance).unwrap().no_fence = true;
    rig.pass(20_000);
    let fence = asked(&rig).unwrap();
    assert!(zombies.iter().all(|zombie| fence.tasks.contains(zombie)), "{fence:?} {zombies:?}");
    let given = rig.workers[&instance].units.keys().filter(|(_, task)| task.is_some()).count();
    assert_eq!(given, 0, "not before Kafka has fenced them");
    rig.workers.get_mut(&instance).unwrap().units.get_mut(&unit("c")).unwrap().1.fenced = fence.number;
    rig.report_all();
    rig.settle();
    let given = rig.workers[&instance].units.keys().filter(|(_, task)| task.is_some()).count();
    assert_eq!(given, 3);
}

#[test]
fn one_that_comes_back_while_it_is_fenced_is_stopped_and_fenced_again() {
    let mut rig = Rig::new(2);
    rig.apply("c", &source("a"));
    let instance = rig.running()[&unit("c")][0].0.clone();
    let lost = if instance == "w0" { "w1" } else { "w0" };
    rig.disconnect(lost);
    for worker in rig.workers.values_mut() {
        worker.no_fence = true;
    }
    rig.apply("c", &source("b"));
    rig.pass(70_000);
    let first = asked(&rig).unwrap();
    rig.workers.get_mut(lost).unwrap().slow = true;
    rig.connect(lost);
    rig.settle();
    rig.seen("c").fenced = first.number;
    rig.report_all();
    rig.settle();
    assert_eq!(asked(&rig), None, "what came back runs: a fence from before would not hold");
    rig.workers.get_mut(lost).unwrap().units.clear();
    rig.report_all();
    rig.settle();
    let second = asked(&rig).unwrap();
    assert_ne!(second.number, first.number);
    assert_eq!(second.tasks, [0, 1, 2]);
}

#[test]
fn a_later_leader_learns_from_the_status_what_is_to_be_fenced() {
    let mut old = Rig::new(2);
    old.apply("c", &source("a"));
    for worker in old.workers.values_mut() {
        worker.no_fence = true;
    }
    old.apply("c", &source("b"));
    let status = &old.statuses["c"];
    assert_eq!(status.retired, [0, 1, 2]);
    let previous = PreviousStatus { retired: status.retired.clone(), ..PreviousStatus::default() };
    let mut new = old.succeed(&[("c", source("b"))]);
    new.controller.adopt_status("c", previous);
    new.connect_all();
    new.settle();
    assert_eq!(asked(&new).unwrap().tasks, [0, 1, 2]);
    assert_eq!(tasks(&new), [0; 0]);
}

#[test]
fn a_later_leader_fences_nothing_that_it_finds_at_work() {
    let mut old = Rig::new(2);
    old.apply("c", &source("a"));
    let before = old.running();
    // The status was written before the fence was known to have been carried out.
    let previous = PreviousStatus { retired: vec![0, 1, 2], tasks: vec![0, 1, 2], ..PreviousStatus::default() };
    let mut new = old.succeed(&[("c", source("a"))]);
    new.controller.adopt_status("c", previous);
    new.connect_all();
    for worker in new.workers.values_mut() {
        worker.no_fence = true;
    }
    new.settle();
    new.pass(60_000);
    assert_eq!(new.running(), before);
    assert_eq!(asked(&new), None);
}

#[test]
fn a_stopped_source_is_fenced_before_it_runs_again() {
    let mut rig = Rig::new(2);
    rig.apply("c", &source("a"));
    rig.apply("c", &ConnectorSpec { state: TargetState::Stopped, ..source("a") });
    assert_eq!(rig.ready("c").1, "Stopped");
    for worker in rig.workers.values_mut() {
        worker.no_fence = true;
    }
    rig.apply("c", &source("a"));
    assert_eq!(asked(&rig).unwrap().tasks, [0, 1, 2]);
    assert_eq!(tasks(&rig), [0; 0]);
}

#[test]
fn a_sinks_tasks_are_replaced_where_they_run() {
    let mut rig = Rig::new(2);
    let sink = |own: &str| {
        let mut spec = source(own);
        spec.config.insert("kind".to_owned(), "sink".to_owned());
        spec
    };
    rig.apply("c", &sink("a"));
    for worker in rig.workers.values_mut() {
        worker.no_fence = true;
    }
    rig.apply("c", &sink("b"));
    assert_eq!(tasks(&rig), [0, 1, 2], "their consumer group hands the partitions over");
    assert_eq!(rig.ready("c").1, "Running");
}
