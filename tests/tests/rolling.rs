//! Images and certificates change while records flow.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use anyhow::bail;
use barnabas_tests::{LIMIT, Scene, WORKERS, assert_delivered, assert_no_overlap, eventually, say};
use serde_json::json;

#[test]
fn an_upgrade_rolls_pods_one_by_one_without_loss() {
    let (scene, writer) = Scene::flowing("upgrade", 2, 1_000).unwrap();
    let mut intervals = scene.intervals().unwrap();
    intervals.until_running(4, LIMIT).unwrap();
    let old = scene.workers().unwrap().into_iter().map(|pod| pod.uid).collect::<BTreeSet<_>>();
    // Records may flow before the kubelet has asked for the first time.
    eventually("both workers are ready", LIMIT, || {
        let ready = scene.workers()?.iter().filter(|pod| pod.ready).count();
        if ready == 2 { Ok(Some(())) } else { bail!("{ready} of 2") }
    })
    .unwrap();

    let image = scene.testbed().image_2();
    scene.cluster().patch(scene.ns(), "connectcluster/connect", &json!({"spec": {"image": image}})).unwrap();
    // Seen from outside: never fewer than one ready worker.
    eventually("both workers run the new image", LIMIT * 2, || {
        let workers = scene.workers()?;
        intervals.follow(WORKERS).ok();
        let ready = workers.iter().filter(|pod| pod.ready).count();
        assert!(ready >= 1, "no worker is ready: {workers:?}");
        let new = workers.iter().filter(|pod| pod.ready && pod.images.iter().any(|it| it == image)).count();
        if new == 2 { Ok(Some(())) } else { bail!("{new} of 2, {ready} ready") }
    })
    .unwrap();
    assert!(scene.workers().unwrap().iter().all(|pod| !old.contains(&pod.uid)));
    scene.until_ready("connectcluster/connect").unwrap();
    for connector in ["source", "sink"] {
        scene.until_ready(&format!("kafkaconnector/{connector}")).unwrap();
    }
    scene.until_grows("out.txt").unwrap();
    let written = writer.finish().unwrap();
    scene.until_lines("out.txt", written, LIMIT).unwrap();
    // Nobody was killed: a unit was stopped in good order before it was started elsewhere, so nothing came twice.
    let delivery = assert_delivered(&scene.file("in.txt"), &scene.file("out.txt"), 0).unwrap();
    assert_eq!(delivery.repeated, 0, "every unit moved in good order");
    assert_no_overlap(&intervals.read()).unwrap();
}

#[test]
fn the_ca_is_rotated_while_records_flow() {
    let (scene, writer) = Scene::flowing("rotate", 2, 1_000).unwrap();
    let intervals = scene.intervals().unwrap();
    intervals.until_running(4, LIMIT).unwrap();
    let starts = || intervals.read().values().map(Vec::len).sum::<usize>();
    let before = starts();
    let certificate = |secret: &str, key: &str| {
        let secret = scene.cluster().get(scene.ns(), &format!("secret/{secret}")).unwrap();
        secret["data"][key].as_str().unwrap().to_owned()
    };
    let all = || {
        [
            certificate("connect-connect-ca", "ca.crt"),
            certificate("connect-connect-certs", "tls.crt"),
            certificate("connect-connect-operator-certs", "tls.crt"),
        ]
    };
    let old = all();
    let uids = || scene.workers().unwrap().into_iter().map(|pod| (pod.uid, pod.restarts)).collect::<Vec<_>>();
    let pods = uids();
    let annotate = ["annotate", "--namespace", scene.ns(), "connectcluster/connect", "barnabas.dev/rotate-ca=true"];
    scene.cluster().kubectl(annotate).unwrap();
    eventually("all certificates are new", LIMIT * 3, || {
        let fresh = all().iter().zip(&old).filter(|(new, old)| new != old).count();
        if fresh == 3 { Ok(Some(())) } else { bail!("{fresh} of 3") }
    })
    .unwrap();
    say("the certificates are new");
    // The operator still steers, over connections that the new certificates secure.
    scene.source("another", "another.txt", "another").unwrap();
    scene.until_ready("kafkaconnector/another").unwrap();
    intervals.until_running(6, LIMIT).unwrap();
    assert_eq!(starts(), before + 2, "no task was started anew: {:?}", intervals.read());
    assert_eq!(uids(), pods, "no pod was restarted");
    let written = writer.finish().unwrap();
    scene.until_lines("out.txt", written, LIMIT).unwrap();
    let delivery = assert_delivered(&scene.file("in.txt"), &scene.file("out.txt"), 0).unwrap();
    assert_eq!(delivery.repeated, 0);
}
