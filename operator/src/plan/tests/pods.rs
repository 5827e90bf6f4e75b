//! Which pod may go, and when.

use super::rig::{Rig, pod, spec};
use crate::plan::{ClusterSpec, PodState, condition};

fn outdated(name: &str) -> PodState {
    PodState { outdated: true, ..pod(name) }
}

#[test]
fn outdated_pods_go_one_at_a_time_and_empty() {
    let mut rig = Rig::new(3);
    rig.apply("c", &spec(5));
    for name in ["w0", "w1", "w2"] {
        rig.controller.observe_pod(name, outdated(name), rig.now);
    }
    rig.settle();
    assert_eq!(rig.drained(), ["w2"]);
    assert_eq!(rig.loads(), [3, 3, 0]);
    rig.pass(300_000);
    assert_eq!(rig.drained(), ["w2"], "the next waits for the successor");
    for (index, name) in ["w2", "w1", "w0"].into_iter().enumerate() {
        rig.remove_pod(name);
        rig.settle();
        assert_eq!(rig.drained().len(), index + 1);
        let fresh = PodState { uid: format!("new-{name}"), ready: false, ..pod(name) };
        rig.controller.observe_pod(name, fresh.clone(), rig.now);
        rig.settle();
        assert_eq!(rig.drained().len(), index + 1, "the successor is not ready");
        rig.workers.insert(name.to_owned(), Default::default());
        rig.connect(name);
        rig.controller.observe_pod(name, PodState { ready: true, ..fresh }, rig.now);
        rig.settle();
    }
    assert_eq!(rig.drained(), ["w2", "w1", "w0"]);
    assert_eq!(rig.loads(), [2, 2, 2]);
    assert_eq!(rig.ready("c").1, "Running");
}

#[test]
fn a_broken_outdated_pod_goes_first() {
    let mut rig = Rig::new(3);
    rig.apply("c", &spec(2));
    rig.disconnect("w0");
    for name in ["w0", "w1", "w2"] {
        rig.controller.observe_pod(name, PodState { ready: name != "w0", ..outdated(name) }, rig.now);
    }
    rig.settle();
    assert_eq!(rig.drained(), ["w0"]);
}

#[test]
fn a_roll_stops_at_a_successor_that_does_not_come_up() {
    let mut rig = Rig::new(2);
    rig.apply("c", &spec(1));
    rig.disconnect("w1");
    rig.controller.observe_pod("w1", PodState { ready: false, ..pod("w1") }, rig.now);
    rig.controller.observe_pod("w0", outdated("w0"), rig.now);
    rig.pass(600_000);
    assert!(rig.drained().is_empty());
}

#[test]
fn a_pod_that_does_not_get_empty_goes_after_its_time() {
    let mut rig = Rig::new(2);
    rig.apply("c", &spec(3));
    rig.workers.get_mut("w1").unwrap().slow = true;
    rig.controller.observe_cluster(ClusterSpec::new("cluster", 1));
    rig.controller.observe_pod("w1", PodState { surplus: true, ..pod("w1") }, rig.now);
    rig.pass(59_000);
    assert!(rig.drained().is_empty());
    assert!(!rig.controller.pod_plan("w1").unwrap().drained);
    rig.pass(2_000);
    assert_eq!(rig.drained(), ["w1"]);
    assert!(rig.controller.pod_plan("w1").unwrap().drained);
    assert_eq!(rig.loads(), [2, 2], "its units wait until it is gone");
    rig.remove_pod("w1");
    rig.settle();
    assert_eq!(rig.loads(), [4]);
}

#[test]
fn a_lone_pod_is_emptied_and_its_successor_gets_everything() {
    let mut rig = Rig::new(1);
    rig.apply("c", &spec(2));
    rig.controller.observe_pod("w0", outdated("w0"), rig.now);
    rig.settle();
    assert_eq!(rig.drained(), ["w0"]);
    assert!(rig.running().is_empty());
    rig.remove_pod("w0");
    rig.settle();
    assert_eq!(rig.ready("c").1, "NoWorkers");
    rig.add_pod("w0");
    rig.settle();
    assert_eq!(rig.running().len(), 3);
    assert_eq!(rig.ready("c").1, "Running");
}

#[test]
fn a_worker_that_asks_to_leave_loses_its_units() {
    let mut rig = Rig::new(2);
    rig.apply("c", &spec(3));
    rig.workers.get_mut("w0").unwrap().draining = true;
    rig.report_all();
    rig.settle();
    assert_eq!(rig.loads(), [0, 4]);
}

#[test]
fn no_pod_goes_while_the_clusters_reconciliation_is_paused() {
    let mut rig = Rig::new(2);
    rig.controller.observe_cluster(ClusterSpec { reconciliation_paused: true, ..ClusterSpec::new("cluster", 2) });
    rig.controller.observe_pod("w1", outdated("w1"), rig.now);
    rig.pass(100_000);
    assert!(rig.drained().is_empty());
}

#[test]
fn a_connector_of_a_cluster_without_replicas_says_so() {
    let mut rig = Rig::new(0);
    rig.apply("c", &spec(1));
    assert_eq!(rig.ready("c"), ("False", "NoWorkers", "ConnectCluster cluster has 0 replicas."));
    assert!(rig.condition("c", condition::STALLED).is_some());
}

#[test]
fn the_first_units_wait_a_moment_for_the_other_workers() {
    let mut rig = Rig::term(1, 2);
    rig.controller.synced();
    rig.observe("c", &spec(3));
    rig.add_pod("w0");
    rig.settle();
    assert!(rig.running().is_empty());
    rig.add_pod("w1");
    rig.settle();
    assert_eq!(rig.loads(), [2, 2]);
    let mut lone = Rig::term(1, 2);
    lone.controller.synced();
    lone.observe("c", &spec(3));
    lone.add_pod("w0");
    lone.settle();
    lone.pass(6_000);
    assert_eq!(lone.loads(), [4], "but not for long");
}
