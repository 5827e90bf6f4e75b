//! What is said, and how often.

use barnabas_protocol::Progress;
use serde_json::json;

use super::rig::{Rig, spec};
use crate::plan::{ConnectorSpec, EventKind, Options, PreviousStatus, Problem, condition};

#[test]
fn connector_status_has_exactly_connects_shape() {
    let mut rig = Rig::new(1);
    rig.apply("key", &spec(2));
    rig.fail("key/1", "");
    assert_eq!(
        rig.statuses["key"].connector_status,
        Some(json!({
            "name": "c",
            "connector": {"state": "RUNNING", "worker_id": "w0:8083"},
            "tasks": [
                {"id": 0, "state": "RUNNING", "worker_id": "w0:8083"},
                {"id": 1, "state": "FAILED", "worker_id": "w0:8083", "trace": "first\nsecond\nthird\nfourth\nfifth\nsixth"},
            ],
            "type": "source"
        }))
    );
    let stopped = ConnectorSpec { state: crate::plan::TargetState::Stopped, ..spec(2) };
    rig.apply("key", &stopped);
    assert_eq!(
        rig.statuses["key"].connector_status,
        Some(json!({"name": "c", "connector": {"state": "STOPPED", "worker_id": ""}, "tasks": [], "type": "source"}))
    );
}

#[test]
fn failed_tasks_are_named_and_their_first_lines_shown() {
    let mut rig = Rig::new(2);
    rig.apply("c", &spec(3));
    rig.fail("c/0", "");
    rig.fail("c/2", "");
    let (status, reason, message) = rig.ready("c");
    assert_eq!((status, reason), ("False", "TaskFailed"));
    assert!(
        message.starts_with("The following tasks have failed: 0, 2, see connectorStatus for more details."),
        "{message}"
    );
    assert_eq!(rig.statuses["c"].tasks[0].error.as_deref(), Some("first\nsecond\nthird\nfourth\nfifth"));
    assert_eq!(rig.statuses["c"].tasks_running, 1);
    assert_eq!(rig.statuses["c"].tasks_planned, 3);
    let warnings = rig.events.iter().filter(|event| event.kind == EventKind::Warning).count();
    assert_eq!(warnings, 2, "{:?}", rig.events);
}

#[test]
fn a_reason_that_says_what_to_mend_is_kept() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(1));
    rig.fail("c/0", "KafkaUnreachable");
    assert_eq!(rig.ready("c").1, "KafkaUnreachable");
    rig.fail("c", "SomethingElse");
    assert_eq!(rig.ready("c").1, "ConnectorFailed");
}

#[test]
fn a_worker_without_kafka_makes_its_connectors_not_ready() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(1));
    rig.workers.get_mut("w0").unwrap().kafka_error = "kafka:9092 does not answer.".to_owned();
    rig.report_all();
    rig.settle();
    assert_eq!(rig.ready("c"), ("False", "KafkaUnreachable", "Worker w0: kafka:9092 does not answer."));
    rig.workers.get_mut("w0").unwrap().kafka_error.clear();
    rig.report_all();
    rig.settle();
    assert_eq!(rig.ready("c").0, "True");
}

#[test]
fn progress_alone_is_published_now_and_then() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(1));
    rig.pass(60_000);
    let before = rig.published;
    for second in 1..=30 {
        rig.seen("c/0").progress = Some(Progress {
            records: second,
            lag: Some(7),
            positions: [("t-0".to_owned(), second.to_string())].into(),
            topics: vec!["t".to_owned()],
            ..Progress::default()
        });
        rig.report_all();
        rig.pass(1000);
    }
    let published = rig.published - before;
    assert!((3..=6).contains(&published), "{published} times in 30 s");
    let task = &rig.statuses["c"].tasks[0];
    assert_eq!(task.lag, Some(7));
    assert!(task.records > 20);
    assert_eq!(rig.statuses["c"].topics, ["t"]);
}

#[test]
fn nothing_is_published_while_nothing_changes() {
    let mut rig = Rig::new(2);
    rig.apply("c", &spec(3));
    rig.pass(60_000);
    let (published, actions) = (rig.published, rig.actions.len());
    for _ in 0..60 {
        rig.report_all();
        rig.pass(1000);
    }
    assert_eq!((rig.published, rig.actions.len()), (published, actions));
}

#[test]
fn a_transition_time_is_that_of_the_change_and_survives_the_leader() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(1));
    let at = rig.condition("c", condition::READY).unwrap().last_transition;
    rig.pass(60_000);
    rig.apply("c", &ConnectorSpec { generation: 2, ..spec(2) });
    let conditions = rig.statuses["c"].conditions.clone();
    assert_eq!(rig.statuses["c"].observed_generation, 2);
    let mut new = rig.succeed(&[("c", ConnectorSpec { generation: 2, ..spec(2) })]);
    new.controller.adopt_status("c", PreviousStatus { conditions: conditions.clone(), ..PreviousStatus::default() });
    new.connect_all();
    new.settle();
    assert_eq!(new.statuses["c"].conditions, conditions);
    assert!(at > 0);
    assert!(new.events.is_empty(), "what the earlier leader said is no news: {:?}", new.events);
}

#[test]
fn a_new_leader_says_nothing_about_what_it_has_not_found_yet() {
    let mut old = Rig::new(2);
    old.apply("c", &spec(3));
    let previous = PreviousStatus { conditions: old.statuses["c"].conditions.clone(), ..PreviousStatus::default() };
    let mut new = old.succeed(&[("c", spec(3))]);
    new.controller.adopt_status("c", previous);
    new.connect("w0");
    new.settle();
    assert!(new.statuses.is_empty());
    new.connect("w1");
    new.settle();
    assert_eq!(new.ready("c").0, "True");
}

#[test]
fn strimzis_not_ready_is_mirrored_when_asked_for() {
    let mut rig = Rig::new(1);
    let mut options = Options::new(1, "op", rig.now);
    options.mirror_not_ready = true;
    rig.controller = crate::plan::Controller::new(options);
    rig.controller.observe_cluster(crate::plan::ClusterSpec::new("cluster", 0));
    rig.controller.synced();
    rig.apply("c", &spec(1));
    let mirror = rig.condition("c", condition::NOT_READY).unwrap();
    assert_eq!((mirror.status.as_str(), mirror.reason.as_str()), ("True", "NoWorkers"));
}

#[test]
fn warnings_of_the_driver_are_shown_one_by_one() {
    let mut rig = Rig::new(1);
    let warning = |message: &str| Problem { reason: "DeprecatedFields".to_owned(), message: message.to_owned() };
    let warned = ConnectorSpec { warnings: vec![warning("pause is old."), warning("x is old.")], ..spec(1) };
    rig.apply("c", &warned);
    let shown = rig.statuses["c"].conditions.iter().filter(|one| one.kind == condition::WARNING).count();
    assert_eq!(shown, 2);
    assert_eq!(rig.ready("c").0, "True");
}

#[test]
fn the_status_names_a_selector_for_the_scale_subresource() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(1));
    assert_eq!(rig.statuses["c"].label_selector, "barnabas.dev/connector=c");
}
