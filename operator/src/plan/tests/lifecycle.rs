//! From a resource to running units, and back.

use barnabas_protocol::UnitState;

use super::rig::{Rig, spec};
use crate::plan::{Action, Problem, TargetState, ValidateFailed, condition};

#[test]
fn a_new_connector_is_validated_planned_and_spread() {
    let mut rig = Rig::new(3);
    rig.apply("c", &spec(2));
    assert_eq!(rig.loads(), [1, 1, 1]);
    assert_eq!(rig.ready("c"), ("True", "Running", "The connector and its 2 tasks are running."));
    let validations = rig.actions.iter().filter(|action| matches!(action, Action::Validate { .. })).count();
    assert_eq!(validations, 1);
}

#[test]
fn an_invalid_connector_does_not_run_and_heals_when_corrected() {
    let mut rig = Rig::new(1);
    rig.invalid.insert("fiel".to_owned(), false);
    let mut wrong = spec(1);
    wrong.config.insert("fiel".to_owned(), "x".to_owned());
    rig.apply("c", &wrong);
    assert_eq!(rig.ready("c"), ("False", "InvalidConfiguration", "fiel is not a key of Source."));
    assert!(rig.condition("c", condition::STALLED).is_some());
    assert!(rig.running().is_empty());
    rig.apply("c", &spec(1));
    assert_eq!(rig.ready("c").0, "True");
    assert!(rig.condition("c", condition::STALLED).is_none());
}

#[test]
fn a_change_that_does_not_pass_validation_leaves_what_runs_alone() {
    let mut rig = Rig::new(2);
    rig.apply("c", &spec(2));
    let before = rig.running();
    rig.invalid.insert("fiel".to_owned(), false);
    let mut wrong = spec(2);
    wrong.config.insert("fiel".to_owned(), "x".to_owned());
    rig.apply("c", &wrong);
    assert_eq!(rig.running(), before);
    assert_eq!(rig.ready("c").1, "InvalidConfiguration");
    assert!(rig.ready("c").2.contains("keeps running with its previous configuration"));
    rig.apply("c", &spec(2));
    assert_eq!(rig.running(), before, "going back to what runs restarts nothing");
}

#[test]
fn a_validation_that_may_heal_is_repeated() {
    let mut rig = Rig::new(1);
    rig.invalid.insert("url".to_owned(), true);
    let mut unreachable = spec(1);
    unreachable.config.insert("url".to_owned(), "x".to_owned());
    rig.apply("c", &unreachable);
    assert_eq!(rig.ready("c").0, "False");
    rig.invalid.clear();
    rig.pass(10_000);
    assert_eq!(rig.ready("c").0, "True");
}

#[test]
fn a_validation_without_an_answer_is_tried_on_another_worker() {
    let mut rig = Rig::new(2);
    rig.observe("c", &spec(1));
    let first = rig.controller.decide(rig.now);
    let asked = |actions: &[Action]| {
        actions.iter().find_map(|action| match action {
            Action::Validate { worker, config_hash, .. } => Some((worker.clone(), *config_hash)),
            _ => None,
        })
    };
    let (first, hash) = asked(&first).unwrap();
    rig.controller.validated("c", hash, Err(ValidateFailed("timed out".to_owned())), rig.now);
    let _ = rig.controller.decide(rig.now);
    let second = rig.controller.decide(rig.now + 5_000);
    assert_ne!(asked(&second).unwrap().0, first);
}

#[test]
fn a_changed_plan_restarts_only_the_tasks_that_changed() {
    let mut rig = Rig::new(2);
    rig.apply("c", &spec(3));
    let before = rig.running();
    // The instance finds something new outside and plans its second task anew.
    let report = rig.seen("c");
    report.plan.as_mut().unwrap().tasks[1].config.insert("own".to_owned(), "more".to_owned());
    rig.report_all();
    rig.settle();
    let after = rig.running();
    let changed: Vec<_> = before.keys().filter(|key| before[*key] != after[*key]).collect();
    assert_eq!(changed, [&("c".to_owned(), Some(1))]);
    assert_eq!(
        before[&("c".to_owned(), Some(1))][0].0,
        after[&("c".to_owned(), Some(1))][0].0,
        "it stays on its worker"
    );
}

#[test]
fn the_number_of_tasks_grows_and_shrinks_without_restarting_the_others() {
    let mut rig = Rig::new(2);
    let mut three = spec(9);
    three.tasks_max = 3;
    rig.apply("c", &three);
    let before = rig.running();
    let mut five = three.clone();
    five.tasks_max = 5;
    rig.apply("c", &five);
    let grown = rig.running();
    assert_eq!(grown.len(), 6);
    for task in 0..3 {
        let key = ("c".to_owned(), Some(task));
        assert_eq!(before[&key], grown[&key]);
    }
    rig.apply("c", &three);
    let shrunk = rig.running();
    assert_eq!(shrunk.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    for task in 0..3 {
        let key = ("c".to_owned(), Some(task));
        assert_eq!(before[&key], shrunk[&key]);
    }
    assert_eq!(rig.statuses["c"].tasks_max, 3);
}

#[test]
fn pausing_and_resuming_restarts_nothing_and_stopping_leaves_nothing() {
    let mut rig = Rig::new(2);
    rig.apply("c", &spec(2));
    let before = rig.running();
    let paused = |state| crate::plan::ConnectorSpec { state, ..spec(2) };
    rig.apply("c", &paused(TargetState::Paused));
    assert_eq!(rig.ready("c").1, "Paused");
    assert_eq!(rig.seen("c/1").state(), UnitState::Paused);
    rig.apply("c", &paused(TargetState::Running));
    assert_eq!(rig.ready("c").1, "Running");
    assert_eq!(rig.running(), before);
    rig.apply("c", &paused(TargetState::Stopped));
    assert!(rig.running().is_empty());
    assert_eq!(rig.ready("c"), ("True", "Stopped", "The connector is stopped, as asked."));
    rig.apply("c", &paused(TargetState::Running));
    assert_eq!(rig.running().len(), 3);
    assert!(rig.incarnation("c/0") > before[&("c".to_owned(), Some(0))][0].1);
}

#[test]
fn a_deleted_connector_is_let_go_when_its_last_unit_has_stopped() {
    let mut rig = Rig::new(2);
    rig.apply("c", &spec(2));
    rig.workers.get_mut("w0").unwrap().slow = true;
    let deleted = crate::plan::ConnectorSpec { deleted: true, ..spec(2) };
    rig.apply("c", &deleted);
    assert!(!rig.finalized());
    assert_eq!(rig.ready("c").1, "Deleting");
    let slow = rig.workers.get_mut("w0").unwrap();
    assert!(!slow.units.is_empty());
    slow.units.clear();
    rig.settle();
    assert!(rig.finalized());
    rig.controller.forget_connector("c");
    rig.settle();
    rig.apply("c", &spec(1));
    assert_eq!(rig.ready("c").1, "Running", "a successor of the same name starts from nothing");
}

#[test]
fn a_problem_of_the_resource_is_shown_and_disturbs_nothing() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(1));
    let before = rig.running();
    let problem = Problem { reason: "SecretNotFound".to_owned(), message: "Secret s of key k is missing.".to_owned() };
    let broken = crate::plan::ConnectorSpec { problem: Some(problem), ..spec(1) };
    rig.apply("c", &broken);
    assert_eq!(rig.ready("c").1, "SecretNotFound");
    assert_eq!(rig.running(), before);
    rig.apply("c", &spec(1));
    assert_eq!(rig.ready("c").1, "Running");
    assert_eq!(rig.running(), before);
}

#[test]
fn a_resource_that_cannot_be_read_stays_as_it_was() {
    let mut rig = Rig::new(1);
    rig.apply("c", &crate::plan::ConnectorSpec { state: TargetState::Paused, ..spec(2) });
    rig.apply("d", &crate::plan::ConnectorSpec { state: TargetState::Stopped, name: "d".to_owned(), ..spec(2) });
    let before = rig.running();
    let problem = Problem { reason: "InvalidResource".to_owned(), message: "spec.tasksMax is a word.".to_owned() };
    let unreadable = crate::plan::ConnectorSpec { problem: Some(problem), ..crate::plan::ConnectorSpec::default() };
    rig.apply("c", &unreadable);
    rig.apply("d", &unreadable);
    assert_eq!(rig.running(), before);
    assert_eq!(rig.seen("c/0").state(), UnitState::Paused);
    assert_eq!(rig.ready("c").1, "InvalidResource");
    let mut new = rig.succeed(&[("c", unreadable.clone()), ("d", unreadable)]);
    new.connect_all();
    new.settle();
    assert_eq!(new.running(), before);
    assert_eq!(new.seen("c/0").state(), UnitState::Paused);
    assert_eq!(new.ready("d").1, "InvalidResource");
}

#[test]
fn while_reconciliation_is_paused_changes_are_not_acted_on() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(1));
    let before = rig.running();
    let mut changed = crate::plan::ConnectorSpec { reconciliation_paused: true, ..spec(3) };
    rig.apply("c", &changed);
    assert_eq!(rig.running(), before);
    assert_eq!(rig.condition("c", condition::RECONCILIATION_PAUSED).unwrap().status.as_str(), "True");
    assert_eq!(rig.ready("c").1, "Running");
    changed.reconciliation_paused = false;
    rig.apply("c", &changed);
    assert_eq!(rig.running().len(), 4);
    assert!(rig.condition("c", condition::RECONCILIATION_PAUSED).is_none());
}

#[test]
fn a_connector_created_while_reconciliation_is_paused_does_not_start() {
    let mut rig = Rig::new(1);
    rig.apply("c", &crate::plan::ConnectorSpec { reconciliation_paused: true, ..spec(1) });
    assert!(rig.running().is_empty());
}

#[test]
fn one_connector_that_comes_changes_fails_or_goes_restarts_nothing_of_another() {
    let mut rig = Rig::new(3);
    rig.apply("a", &crate::plan::ConnectorSpec { name: "a".to_owned(), ..spec(5) });
    let mut before = rig.running();
    rig.apply("b", &spec(4));
    rig.apply("b", &spec(2));
    rig.fail("b/0", "");
    rig.apply("c", &spec(7));
    rig.apply("b", &crate::plan::ConnectorSpec { deleted: true, ..spec(2) });
    rig.apply("c", &crate::plan::ConnectorSpec { deleted: true, ..spec(2) });
    rig.pass(300_000);
    assert_eq!(rig.running(), before);
    before.clear();
}

#[test]
fn a_new_secret_is_taken_over_at_once_or_with_the_next_change() {
    let resolved = |secret: &str, generation, reload: &str| crate::plan::ConnectorSpec {
        config: [("password", secret), ("config.action.reload", reload)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        secrets: [secret.to_owned()].into(),
        generation,
        ..spec(1)
    };
    let old = resolved("old", 1, "none");
    assert_eq!(resolved("new", 1, "none").reloaded(Some(&old)), old);
    for taken in [resolved("new", 2, "none"), resolved("new", 1, "restart")] {
        assert_eq!(taken.clone().reloaded(Some(&old)), taken);
    }
    assert_eq!(resolved("new", 1, "none").reloaded(None).config["password"], "new");
}
