//! What a person does to connectors: pause, stop, restart, scale, wait.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use anyhow::bail;
use barnabas_tests::{LIMIT, Scene, Writer, condition, eventually};
use serde_json::json;

const SOURCE: &str = "kafkaconnector/source";

fn annotate(scene: &Scene, resource: &str, annotation: &str) {
    scene.cluster().kubectl(["annotate", "--namespace", scene.ns(), resource, annotation]).unwrap();
}

/// Waits until no annotation of this name is left, under either prefix.
fn until_taken(scene: &Scene, resource: &str, name: &str) {
    let what = format!("the annotation {name} is taken");
    scene
        .cluster()
        .until(scene.ns(), resource, &what, LIMIT, |value| {
            let annotations = value["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
            !annotations.keys().any(|key| key.ends_with(&format!("/{name}")))
        })
        .unwrap();
}

#[test]
fn connectors_pause_stop_and_restart() {
    let scene = Scene::new("life").unwrap();
    scene.connect(1).unwrap();
    scene.kafka().create_topic(&scene.topic("text"), 1).unwrap();
    let writer = Writer::start(&scene.file("in.txt"), 1_000).unwrap();
    scene.source("source", "in.txt", "text").unwrap();
    scene
        .cluster()
        .kubectl(["wait", "--namespace", scene.ns(), "--for=condition=Ready", SOURCE, "--timeout=120s"])
        .unwrap();
    scene.sink("sink", "text", "out.txt").unwrap();
    scene.until_grows("out.txt").unwrap();
    let state = |state: &str| {
        scene.cluster().patch(scene.ns(), SOURCE, &json!({"spec": {"state": state}})).unwrap();
    };
    // Nothing new comes for a while; what is under way may still arrive first.
    let quiet = || {
        eventually("nothing comes any more", LIMIT, || {
            let before = scene.lines("out.txt");
            std::thread::sleep(Duration::from_secs(3));
            let after = scene.lines("out.txt");
            if after == before { Ok(Some(())) } else { bail!("{} lines more", after - before) }
        })
        .unwrap();
    };

    // Paused: the same task, not moving.
    let started = scene.starts("source").unwrap();
    state("paused");
    scene.until_tasks("source", "PAUSED", 1).unwrap();
    let source = scene.until_ready(SOURCE).unwrap();
    assert_eq!(condition(&source, "Ready").unwrap()["reason"], "Paused");
    assert_eq!(source["status"]["connectorStatus"]["connector"]["state"], "PAUSED");
    quiet();
    assert_eq!(scene.starts("source").unwrap(), started);
    state("running");
    scene.until_tasks("source", "RUNNING", 1).unwrap();
    scene.until_grows("out.txt").unwrap();
    assert_eq!(scene.starts("source").unwrap(), started, "pausing restarts no task");

    // Stopped: no tasks at all.
    state("stopped");
    let stopped = scene.until_tasks("source", "STOPPED", 0).unwrap();
    assert_eq!(stopped["status"]["connectorStatus"]["connector"]["state"], "STOPPED");
    quiet();
    state("running");
    scene.until_tasks("source", "RUNNING", 1).unwrap();
    scene.until_grows("out.txt").unwrap();
    let resumed = scene.starts("source").unwrap();
    assert_ne!(resumed, started);

    // Restarts, under both prefixes.
    let mut last = resumed;
    let sink = scene.starts("sink").unwrap();
    for annotation in ["barnabas.dev/restart=includeTasks", "strimzi.io/restart-task=0", "barnabas.dev/restart-task=0"]
    {
        annotate(&scene, SOURCE, annotation);
        let name = annotation.split(['/', '=']).nth(1).unwrap();
        until_taken(&scene, SOURCE, name);
        last = eventually(annotation, LIMIT, || {
            let now = scene.starts("source")?;
            Ok((now != last).then_some(now))
        })
        .unwrap();
        scene.until_tasks("source", "RUNNING", 1).unwrap();
    }
    // The connector alone: its task stays.
    annotate(&scene, SOURCE, "strimzi.io/restart=true");
    until_taken(&scene, SOURCE, "restart");
    scene.until_tasks("source", "RUNNING", 1).unwrap();
    assert_eq!(scene.starts("source").unwrap(), last);
    // Nonsense is answered.
    annotate(&scene, SOURCE, "barnabas.dev/restart=twice");
    scene
        .cluster()
        .until(scene.ns(), SOURCE, "a Warning about the annotation", LIMIT, |value| {
            condition(value, "Warning").is_some_and(|it| it["reason"] == "RestartConnector")
        })
        .unwrap();
    annotate(&scene, SOURCE, "barnabas.dev/restart-");
    assert_eq!(scene.starts("sink").unwrap(), sink, "the sink was left alone");

    // Hands off.
    annotate(&scene, SOURCE, "strimzi.io/pause-reconciliation=true");
    scene.cluster().until_condition(scene.ns(), SOURCE, "ReconciliationPaused", "True", LIMIT).unwrap();
    let before = scene.starts("source").unwrap();
    let topic = scene.topic("elsewhere");
    scene.cluster().patch(scene.ns(), SOURCE, &json!({"spec": {"config": {"topic": topic}}})).unwrap();
    scene.until_grows("out.txt").unwrap();
    assert_eq!(scene.starts("source").unwrap(), before);
    annotate(&scene, SOURCE, "strimzi.io/pause-reconciliation-");
    eventually("the change is carried out", LIMIT, || Ok((scene.starts("source")? != before).then_some(()))).unwrap();
    scene.until_ready(SOURCE).unwrap();
    writer.finish().unwrap();

    // Scaling both kinds, and what HPA would read.
    let topic = scene.topic("wide");
    scene.kafka().create_topic(&topic, 4).unwrap();
    scene.sink("wide", "wide", "wide.txt").unwrap();
    scene.until_tasks("wide", "RUNNING", 1).unwrap();
    scene.cluster().kubectl(["scale", "--namespace", scene.ns(), "kafkaconnector/wide", "--replicas=3"]).unwrap();
    let wide = scene.until_tasks("wide", "RUNNING", 3).unwrap();
    assert_eq!(wide["spec"]["tasksMax"], 3);
    let path = |kind: &str, name: &str| format!("/apis/barnabas.dev/v1/namespaces/{}/{kind}/{name}/scale", scene.ns());
    let scale = |kind: &str, name: &str| -> serde_json::Value {
        let text = scene.cluster().kubectl(["get", "--raw", &path(kind, name)]).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let connector = scale("kafkaconnectors", "wide");
    assert_eq!(connector["status"]["replicas"], 3, "{connector}");
    let selector = connector["status"]["selector"].as_str().unwrap();
    assert!(!scene.cluster().pods(scene.ns(), selector).unwrap().is_empty(), "{selector}");
    scene.cluster().kubectl(["scale", "--namespace", scene.ns(), "connectcluster/connect", "--replicas=2"]).unwrap();
    eventually("two workers are ready", LIMIT, || {
        Ok((scene.workers()?.iter().filter(|pod| pod.ready).count() == 2).then_some(()))
    })
    .unwrap();
    scene.until_ready("connectcluster/connect").unwrap();
    let cluster = scale("connectclusters", "connect");
    assert_eq!(cluster["status"]["replicas"], 2, "{cluster}");
    let selector = cluster["status"]["selector"].as_str().unwrap();
    assert_eq!(scene.cluster().pods(scene.ns(), selector).unwrap().len(), 2, "{selector}");
}

/// A deleted connector is gone when its units have stopped, and not before.
#[test]
fn deletion_waits_until_everything_has_stopped() {
    let scene = Scene::new("delete").unwrap();
    scene.connect(1).unwrap();
    scene.testbed().corpus().copy_head(1_000, &scene.file("in.txt")).unwrap();
    scene.source("source", "in.txt", "text").unwrap();
    scene.until_ready(SOURCE).unwrap();
    let intervals = scene.intervals().unwrap();
    intervals.until_running(2, LIMIT).unwrap();
    // Nobody is there to let it go.
    scene.kill_operators().unwrap();
    scene.cluster().kubectl(["delete", "--namespace", scene.ns(), SOURCE, "--wait=false"]).unwrap();
    assert!(scene.connector("source").unwrap()["metadata"]["deletionTimestamp"].is_string());
    scene.return_operators().unwrap();
    scene.cluster().kubectl(["wait", "--namespace", scene.ns(), "--for=delete", SOURCE, "--timeout=120s"]).unwrap();
    intervals.until_running(0, LIMIT).unwrap();
}
