//! What is said, and how often.

use barnabas_protocol::{ErrorCode, Progress, UnitError, UnitState};
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
    let error = rig.statuses["c"].tasks[0].error.clone().unwrap();
    assert_eq!(error.trace, "first\nsecond\nthird\nfourth\nfifth");
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
fn a_tasks_error_keeps_the_code_and_the_reason_that_its_worker_gave() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(2));
    rig.fail("c/0", "RecordTooLarge");
    rig.seen("c/0").error.as_mut().unwrap().set_code(ErrorCode::Data);
    rig.report_all();
    rig.settle();
    let error = rig.statuses["c"].tasks[0].error.clone().unwrap();
    assert_eq!((error.code, error.reason.as_str()), ("Data", "RecordTooLarge"));
    assert_eq!(error.message, "c/0 has failed.");
    // Only a reason that says what to mend becomes that of the connector.
    assert_eq!(rig.ready("c").1, "TaskFailed");
    rig.fail("c/1", "");
    assert_eq!(rig.statuses["c"].tasks[1].error.clone().unwrap().reason, "TaskFailed");
}

#[test]
fn a_task_that_cannot_start_yet_says_what_it_waits_for() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(2));
    let message = "Reaching Kafka at dead:9092 (`producer.override.bootstrap.servers`) failed.";
    let report = rig.seen("c/1");
    report.set_state(UnitState::Starting);
    report.error = Some(UnitError {
        code: ErrorCode::Retriable.into(),
        reason: "KafkaUnreachable".to_owned(),
        message: message.to_owned(),
        ..UnitError::default()
    });
    rig.report_all();
    rig.settle();
    let said = format!("Task 1 is not started yet. {message}");
    assert_eq!(rig.ready("c"), ("False", "KafkaUnreachable", said.as_str()));
    assert_eq!(rig.condition("c", condition::PROGRESSING).unwrap().status.as_str(), "True");
    assert!(rig.condition("c", condition::STALLED).is_none());
    assert_eq!(rig.statuses["c"].tasks[1].error.clone().unwrap().code, "Retriable");
    let report = rig.seen("c/1");
    report.set_state(UnitState::Running);
    report.error = None;
    rig.report_all();
    rig.settle();
    assert_eq!(rig.ready("c").0, "True");
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
