//! Workers and operators die while records flow.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use barnabas_protocol::{DesiredSet, Directive, Epoch, Hello, Report, directive::Body, worker_client::WorkerClient};
use barnabas_tests::{Intervals, LIMIT, Scene, Writer, assert_delivered, eventually, say};
use tonic::{
    Status,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity},
};

/// Stops the writer, and checks that everything it wrote has come through; `kills` of sinks may have torn a line.
fn all_arrives(scene: &Scene, writer: Writer, kills: usize) {
    let written = writer.finish().unwrap();
    eventually("everything that was written has arrived", LIMIT, || {
        assert_delivered(&scene.file("in.txt"), &scene.file("out.txt"), kills).map(Some)
    })
    .map(|delivery| say(format!("{written} lines written, none lost; {delivery:?}")))
    .unwrap();
}

/// How often units were started, by the workers' logs.
fn starts(intervals: &Intervals) -> usize {
    intervals.read().values().map(Vec::len).sum()
}

#[test]
fn killed_workers_lose_nothing() {
    let (scene, writer) = Scene::flowing("kill", 2, 2_000).unwrap();
    let cluster = scene.cluster();

    // The process dies; the kubelet starts it again in the same pod.
    let worker = scene.worker_of("source", 0).unwrap();
    let before = scene.starts("source").unwrap();
    let start = Instant::now();
    cluster.signal_container(scene.ns(), &worker, "connect", "KILL").unwrap();
    eventually("the source runs again", LIMIT, || {
        let now = scene.starts("source")?;
        Ok((now != before).then_some(()))
    })
    .unwrap();
    scene.until_tasks("source", "RUNNING", 1).unwrap();
    say(format!("container killed: its tasks ran again after {:.1} s", start.elapsed().as_secs_f64()));
    scene.until_grows("out.txt").unwrap();

    // The pod is gone, as with its node.
    let worker = scene.worker_of("sink", 0).unwrap();
    let before = scene.starts("sink").unwrap();
    let start = Instant::now();
    cluster.kill_pod(scene.ns(), &worker).unwrap();
    eventually("the sink runs again", LIMIT, || {
        let now = scene.starts("sink")?;
        Ok((now != before).then_some(()))
    })
    .unwrap();
    scene.until_tasks("sink", "RUNNING", 1).unwrap();
    say(format!("pod killed: its tasks ran elsewhere after {:.1} s", start.elapsed().as_secs_f64()));
    scene.until_grows("out.txt").unwrap();
    all_arrives(&scene, writer, 2);
}

#[test]
fn records_flow_and_workers_resume_without_operators() {
    let (scene, writer) = Scene::flowing("alone", 2, 2_000).unwrap();
    scene.kill_operators().unwrap();
    scene.until_grows("out.txt").unwrap();

    let worker = scene.worker_of("source", 0).unwrap();
    let restarts = scene.cluster().pod(scene.ns(), &worker).unwrap().restarts;
    scene.cluster().signal_container(scene.ns(), &worker, "connect", "KILL").unwrap();
    eventually("the worker is up again", LIMIT, || {
        let pod = scene.cluster().pod(scene.ns(), &worker)?;
        Ok((pod.restarts > restarts && pod.ready).then_some(()))
    })
    .unwrap();
    // The kill is behind us, so lines that are written from now on need the resumed source.
    let written = writer.written();
    scene.until_lines("out.txt", written, LIMIT).unwrap();
    scene.until_lines("out.txt", written + 5_000, LIMIT).unwrap();
    say("the worker resumed alone");

    let intervals = scene.intervals().unwrap();
    let running = intervals.until_running(4, LIMIT).unwrap();
    let before = starts(&intervals);
    scene.return_operators().unwrap();
    // The new leader acts: it reports the tasks as they have been all along.
    let started = |connector: &str| {
        let unit = running.iter().find(|(unit, _)| unit.connector == connector && unit.task == Some(0)).unwrap();
        unit.1.last().unwrap().incarnation
    };
    for connector in ["source", "sink"] {
        eventually(&format!("the new leader reports {connector}"), LIMIT, || {
            let seen = scene.starts(connector)?;
            Ok((seen[0].0.cast_unsigned() == started(connector)).then_some(()))
        })
        .unwrap();
        scene.until_ready(&format!("kafkaconnector/{connector}")).unwrap();
    }
    scene.source("another", "another.txt", "another").unwrap();
    scene.until_ready("kafkaconnector/another").unwrap();
    let after = intervals.until_running(6, LIMIT).unwrap();
    assert_eq!(starts(&intervals), before + 2, "only the new connector and its task were started: {after:?}");
    all_arrives(&scene, writer, 1);
}

#[test]
fn leader_change_restarts_no_task() {
    let (scene, writer) = Scene::flowing("leader", 2, 2_000).unwrap();
    let intervals = scene.intervals().unwrap();
    intervals.until_running(4, LIMIT).unwrap();
    let before = starts(&intervals);
    let (leader, term) = scene.leader().unwrap();
    scene.cluster().kill_pod(scene.ns(), &leader).unwrap();
    let (successor, next) = eventually("another leads", LIMIT, || {
        let (pod, now) = scene.leader()?;
        Ok((now > term).then_some((pod, now)))
    })
    .unwrap();
    say(format!("{successor} leads, term {next} after {term}"));
    // It leads for real: it starts a new connector.
    scene.source("another", "another.txt", "another").unwrap();
    scene.until_ready("kafkaconnector/another").unwrap();
    let after = intervals.until_running(6, LIMIT).unwrap();
    assert_eq!(starts(&intervals), before + 2, "only the new connector and its task were started: {after:?}");
    all_arrives(&scene, writer, 0);
}

/// The old leader is frozen, loses its lease, and wakes up again.
#[test]
fn a_frozen_leader_steers_nothing_when_it_wakes() {
    let (scene, writer) = Scene::flowing("frozen", 2, 2_000).unwrap();
    let intervals = scene.intervals().unwrap();
    intervals.until_running(4, LIMIT).unwrap();
    let before = starts(&intervals);
    let (leader, term) = scene.leader().unwrap();
    let container = "operator";
    scene.cluster().signal_container(scene.ns(), &leader, container, "STOP").unwrap();
    eventually("another leads", LIMIT, || Ok((scene.leader()?.1 > term).then_some(()))).unwrap();
    scene.source("another", "another.txt", "another").unwrap();
    scene.until_ready("kafkaconnector/another").unwrap();
    scene.cluster().signal_container(scene.ns(), &leader, container, "CONT").unwrap();
    scene.until_grows("out.txt").unwrap();
    scene.source("third", "third.txt", "third").unwrap();
    scene.until_ready("kafkaconnector/third").unwrap();
    let after = intervals.until_running(8, LIMIT).unwrap();
    assert_eq!(starts(&intervals), before + 4, "only the new connectors and their tasks were started: {after:?}");
    all_arrives(&scene, writer, 0);
}

/// Somebody with a leader's certificate, and an epoch that is over.
#[test]
fn a_stale_leaders_push_is_refused() {
    let scene = Scene::new("stale").unwrap();
    scene.connect(1).unwrap();
    scene.testbed().corpus().copy_head(1_000, &scene.file("in.txt")).unwrap();
    scene.source("source", "in.txt", "text").unwrap();
    scene.until_tasks("source", "RUNNING", 1).unwrap();
    let before = scene.starts("source").unwrap();

    let secret = |name: &str, key: &str| {
        let template = format!(r#"go-template={{{{index .data "{key}" | base64decode}}}}"#);
        let get = ["get", "--namespace", scene.ns(), &format!("secret/{name}"), "--output", &template];
        scene.cluster().kubectl(get).unwrap()
    };
    let identity = Identity::from_pem(
        secret("connect-connect-operator-certs", "tls.crt"),
        secret("connect-connect-operator-certs", "tls.key"),
    );
    let pod = scene.workers().unwrap().remove(0);
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(secret("connect-connect-certs", "ca.crt")))
        .identity(identity)
        .domain_name(format!("{}.connect-connect.{}.svc", pod.name, scene.ns()));
    let endpoint = Endpoint::from_shared(format!("https://{}:9443", pod.ip)).unwrap();

    let answer = |directives: Vec<Directive>| -> Result<Vec<Report>, Status> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let channel = endpoint.clone().tls_config(tls.clone()).unwrap().connect().await.unwrap();
            let mut worker = WorkerClient::new(channel);
            let mut reports = worker.session(tokio_stream::iter(directives)).await?.into_inner();
            let mut seen = Vec::new();
            while let Ok(Ok(Some(report))) = tokio::time::timeout(LIMIT / 10, reports.message()).await {
                let refused = report.refused.is_some();
                seen.push(report);
                if refused {
                    break;
                }
            }
            Ok(seen)
        })
    };
    let (_, term) = scene.leader().unwrap();
    assert!(term >= 1);
    // Term 0 was never a leader's; nothing to run is what it wants.
    let old = |revision| Some(Epoch { term: 0, revision });
    let hello = Directive { epoch: old(0), body: Some(Body::Hello(Hello { operator: "stale".to_owned() })) };
    let empty = Directive { epoch: old(7), body: Some(Body::Desired(DesiredSet::default())) };
    for directives in [vec![hello.clone()], vec![hello, empty]] {
        let reports = answer(directives).unwrap();
        let refused = reports.iter().find_map(|report| report.refused).expect("it is refused");
        assert_eq!(refused.newest.unwrap().term, u64::try_from(term).unwrap());
    }
    scene.until_tasks("source", "RUNNING", 1).unwrap();
    assert_eq!(scene.starts("source").unwrap(), before, "nothing was stopped");
}
