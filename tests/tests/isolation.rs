//! Connectors do not disturb each other, and workers come and go with the fewest moves.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use anyhow::bail;
use barnabas_tests::{Interval, Intervals, LIMIT, Scene, Unit, WORKERS, assert_no_overlap, eventually};
use serde_json::json;

#[test]
fn one_connector_does_not_disturb_another() {
    let scene = Scene::new("isolated").unwrap();
    scene.connect(2).unwrap();
    scene.testbed().corpus().copy_head(1_000, &scene.file("in.txt")).unwrap();
    scene.source("first", "in.txt", "first").unwrap();
    scene.until_tasks("first", "RUNNING", 1).unwrap();
    let before = scene.starts("first").unwrap();
    let unchanged = |what: &str| assert_eq!(scene.starts("first").unwrap(), before, "{what}");

    scene.source("second", "in.txt", "second").unwrap();
    scene.sink("third", "first", "third.txt").unwrap();
    scene.until_ready("kafkaconnector/second").unwrap();
    scene.until_ready("kafkaconnector/third").unwrap();
    unchanged("two connectors were added");

    let started = scene.starts("second").unwrap();
    scene.source("second", "in.txt", "elsewhere").unwrap();
    eventually("the second connector is changed", LIMIT, || Ok((scene.starts("second")? != started).then_some(())))
        .unwrap();
    scene.until_ready("kafkaconnector/second").unwrap();
    unchanged("the second was changed");

    // A configuration that does not pass: what runs keeps running.
    let started = scene.starts("second").unwrap();
    let config = json!({"config": {"topic": null}});
    scene.cluster().patch(scene.ns(), "kafkaconnector/second", &json!({"spec": config})).unwrap();
    scene.until_not_ready("kafkaconnector/second", "InvalidConfiguration", &["topic"]).unwrap();
    assert_eq!(scene.starts("second").unwrap(), started);
    unchanged("the second was misconfigured");

    // A task that fails: its file is a folder.
    std::fs::create_dir(scene.file("folder")).unwrap();
    scene.sink("third", "first", "folder").unwrap();
    scene.until_not_ready("kafkaconnector/third", "TaskFailed", &["/mnt/files/folder"]).unwrap();
    let third = scene.connector("third").unwrap();
    let task = &third["status"]["connectorStatus"]["tasks"][0];
    assert_eq!(task["state"], "FAILED");
    assert!(task["trace"].as_str().unwrap().contains("/mnt/files/folder"), "{task}");
    unchanged("the third failed");
    scene.sink("third", "first", "third.txt").unwrap();
    scene.until_ready("kafkaconnector/third").unwrap();
    unchanged("the third was mended");

    scene.cluster().delete(scene.ns(), "kafkaconnector/second").unwrap();
    scene.cluster().delete(scene.ns(), "kafkaconnector/third").unwrap();
    unchanged("both were deleted");
    let intervals = scene.intervals().unwrap();
    let seen = intervals.until_running(2, LIMIT).unwrap();
    assert_no_overlap(&seen).unwrap();
    assert!(seen.iter().all(|(unit, runs)| unit.connector != "first" || runs.len() == 1), "{seen:?}");
}

/// Where each unit runs now.
fn places(intervals: &BTreeMap<Unit, Vec<Interval>>) -> BTreeMap<Unit, String> {
    let running = |runs: &Vec<Interval>| runs.iter().find(|run| run.stopped.is_none()).map(|run| run.pod.clone());
    intervals.iter().filter_map(|(unit, runs)| Some((unit.clone(), running(runs)?))).collect()
}

fn moved(from: &BTreeMap<Unit, String>, to: &BTreeMap<Unit, String>) -> usize {
    from.iter().filter(|(unit, pod)| to.get(*unit) != Some(*pod)).count()
}

/// Waits until the twelve units run in equal shares.
fn spread(intervals: &Intervals, workers: usize) -> BTreeMap<Unit, String> {
    eventually(&format!("{workers} workers have their share"), LIMIT, || {
        let now = places(&intervals.read());
        let mut share = BTreeMap::<&str, usize>::new();
        now.values().for_each(|pod| *share.entry(pod).or_default() += 1);
        let fair = share.len() == workers && share.values().all(|units| *units == 12 / workers);
        if fair { Ok(Some(now)) } else { bail!("{share:?}") }
    })
    .unwrap()
}

#[test]
fn scaling_workers_moves_the_fewest_units() {
    let scene = Scene::new("scale").unwrap();
    scene.connect(1).unwrap();
    scene.testbed().corpus().copy_head(1_000, &scene.file("in.txt")).unwrap();
    // Six connectors of one task: twelve units.
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        scene.source(name, "in.txt", name).unwrap();
    }
    for name in names {
        scene.until_ready(&format!("kafkaconnector/{name}")).unwrap();
    }
    let mut intervals = scene.intervals().unwrap();
    let one = places(&intervals.until_running(12, LIMIT).unwrap());

    let connect = "connectcluster/connect";
    scene.cluster().kubectl(["scale", "--namespace", scene.ns(), connect, "--replicas=3"]).unwrap();
    eventually("three workers are ready", LIMIT, || {
        let ready = scene.workers()?.iter().filter(|pod| pod.ready).count();
        Ok((ready == 3).then_some(()))
    })
    .unwrap();
    intervals.follow(WORKERS).unwrap();
    let three = spread(&intervals, 3);
    assert_eq!(moved(&one, &three), 8, "from one worker to three: {one:?} -> {three:?}");

    scene.cluster().kubectl(["scale", "--namespace", scene.ns(), connect, "--replicas=2"]).unwrap();
    let two = spread(&intervals, 2);
    assert_eq!(moved(&three, &two), 4, "from three workers to two: {three:?} -> {two:?}");
    eventually("the third worker is gone", LIMIT, || Ok((scene.workers()?.len() == 2).then_some(()))).unwrap();

    let seen = intervals.read();
    assert_no_overlap(&seen).unwrap();
    // Nothing moved twice: 12 starts at first, 8 moves, 4 moves.
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 12 + 8 + 4, "{seen:?}");
    for name in names {
        scene.until_ready(&format!("kafkaconnector/{name}")).unwrap();
    }
    scene.until_ready(connect).unwrap();
}
