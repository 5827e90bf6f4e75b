//! Restarts: by annotation, and by themselves.

use super::rig::{Rig, spec};
use crate::plan::{Annotation, AutoRestart, ConnectorSpec, condition};

const MINUTE: i64 = 60_000;

fn asking(restart: &str) -> ConnectorSpec {
    ConnectorSpec { restart: Some(restart.to_owned()), ..spec(2) }
}

/// Units that the annotation restarts when c/1 has failed.
fn restarted_by(annotation: &str) -> Vec<String> {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(2));
    rig.fail("c/1", "");
    let before = rig.running();
    rig.apply("c", &asking(annotation));
    let after = rig.running();
    ["c", "c/0", "c/1"]
        .into_iter()
        .filter(|name| before[&super::rig::unit(name)] != after[&super::rig::unit(name)])
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_restart_annotation_restarts_what_it_names() {
    assert_eq!(restarted_by("true"), ["c"]);
    assert_eq!(restarted_by("includeTasks"), ["c", "c/0", "c/1"]);
    assert_eq!(restarted_by("onlyFailed"), Vec::<String>::new());
    assert_eq!(restarted_by("includeTasks,onlyFailed"), ["c/1"]);
}

#[test]
fn a_restart_is_done_once_and_again_when_asked_again() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(2));
    rig.apply("c", &asking("true"));
    let first = rig.incarnation("c");
    assert_eq!(rig.annotations_done(), [(Annotation::Restart, "true")]);
    rig.apply("c", &ConnectorSpec { generation: 2, ..asking("true") });
    assert_eq!(rig.incarnation("c"), first, "the annotation is merely not removed yet");
    rig.apply("c", &spec(2));
    rig.apply("c", &asking("true"));
    assert!(rig.incarnation("c") > first);
}

#[test]
fn an_invalid_restart_annotation_is_a_warning_and_stays() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(1));
    let before = rig.running();
    rig.apply("c", &asking("true,includeTasks"));
    let warning = rig.condition("c", condition::WARNING).unwrap();
    assert_eq!(warning.reason, "RestartConnector");
    assert!(warning.message.starts_with("Invalid annotation format"), "{}", warning.message);
    assert!(rig.annotations_done().is_empty());
    assert_eq!(rig.running().len(), before.len() + 1);
    rig.apply("c", &spec(2));
    assert!(rig.condition("c", condition::WARNING).is_none());
}

#[test]
fn one_task_is_restarted_by_annotation() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(3));
    let before = rig.running();
    let mut asked = spec(3);
    asked.restart_task = Some("1".to_owned());
    rig.apply("c", &asked);
    let after = rig.running();
    let changed: Vec<_> = before.keys().filter(|key| before[*key] != after[*key]).map(|key| key.1).collect();
    assert_eq!(changed, [Some(1)]);
    assert_eq!(rig.annotations_done(), [(Annotation::RestartTask, "1")]);
}

#[test]
fn a_task_that_does_not_exist_cannot_be_restarted() {
    let mut rig = Rig::new(1);
    for wrong in ["3", "x", "-1"] {
        let mut asked = spec(2);
        asked.restart_task = Some(wrong.to_owned());
        rig.apply("c", &asked);
        let warning = rig.condition("c", condition::WARNING).unwrap();
        assert_eq!(warning.reason, "RestartConnectorTask", "{wrong}");
        assert!(rig.annotations_done().is_empty());
    }
}

#[test]
fn failed_units_are_restarted_with_strimzis_backoff() {
    let mut rig = Rig::new(1);
    let auto = ConnectorSpec { auto_restart: Some(AutoRestart::default()), ..spec(2) };
    rig.apply("c", &auto);
    let other = rig.incarnation("c/1");
    let mut last = rig.incarnation("c/0");
    for (count, minutes) in [(1, 0), (2, 2), (3, 6), (4, 12), (5, 20)] {
        rig.fail("c/0", "");
        if minutes > 0 {
            assert_eq!(rig.incarnation("c/0"), last, "too early for restart {count}");
            rig.pass(minutes * MINUTE - 1000);
            assert_eq!(rig.incarnation("c/0"), last, "too early for restart {count}");
            rig.pass(1000);
        }
        assert!(rig.incarnation("c/0") > last, "restart {count}");
        last = rig.incarnation("c/0");
        let status = rig.statuses["c"].auto_restart.clone().unwrap();
        assert_eq!((status.count, status.connector_name.as_str(), status.last_restart), (count, "c", rig.now));
    }
    assert_eq!(rig.incarnation("c/1"), other, "what has not failed goes on");
    rig.pass(31 * MINUTE);
    assert_eq!(rig.statuses["c"].auto_restart, None, "the counter is reset after a time without failure");
}

#[test]
fn restarts_end_at_their_maximum() {
    let mut rig = Rig::new(1);
    rig.apply("c", &ConnectorSpec { auto_restart: Some(AutoRestart { max_restarts: Some(1) }), ..spec(1) });
    rig.fail("c/0", "");
    let once = rig.incarnation("c/0");
    rig.fail("c/0", "");
    rig.pass(600 * MINUTE);
    assert_eq!(rig.incarnation("c/0"), once);
    assert_eq!(rig.ready("c").1, "TaskFailed");
    assert!(rig.condition("c", condition::STALLED).is_some());
}

#[test]
fn a_new_leader_continues_the_backoff() {
    let mut old = Rig::new(1);
    let auto = ConnectorSpec { auto_restart: Some(AutoRestart::default()), ..spec(1) };
    old.apply("c", &auto);
    old.fail("c/0", "");
    old.fail("c/0", "");
    let status = old.statuses["c"].clone();
    let mut new = old.succeed(&[("c", auto)]);
    new.now = old.now + MINUTE;
    new.controller.adopt_status(
        "c",
        crate::plan::PreviousStatus {
            conditions: status.conditions,
            auto_restart: status.auto_restart,
            topics: Vec::new(),
            ..Default::default()
        },
    );
    let before = new.incarnation("c/0");
    new.connect_all();
    new.settle();
    new.pass(MINUTE / 2);
    assert_eq!(new.incarnation("c/0"), before);
    new.pass(MINUTE);
    assert!(new.incarnation("c/0") > before);
    assert_eq!(new.statuses["c"].auto_restart.as_ref().unwrap().count, 2);
}

#[test]
fn without_auto_restart_a_failed_task_stays_failed() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(1));
    let before = rig.incarnation("c/0");
    rig.fail("c/0", "");
    rig.pass(600 * MINUTE);
    assert_eq!(rig.incarnation("c/0"), before);
}
