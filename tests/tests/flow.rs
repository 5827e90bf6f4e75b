//! Records move, and the status says so.

#![allow(clippy::unwrap_used)]

use std::{fs, time::Instant};

use barnabas_tests::{LIMIT, Scene, assert_same_text, condition, eventually, say};
use serde_json::json;

/// One million lines of a real text, through two workers: byte for byte, in order, once.
#[test]
fn a_million_lines_arrive_byte_for_byte() {
    let scene = Scene::new("million").unwrap();
    scene.connect(2).unwrap();
    let text = scene.testbed().corpus();
    let lines = 1_000_000;
    text.copy_head(lines, &scene.file("in.txt")).unwrap();
    scene.kafka().create_topic(&scene.topic("text"), 1).unwrap();

    let start = Instant::now();
    scene.source("source", "in.txt", "text").unwrap();
    scene.sink("sink", "text", "out.txt").unwrap();
    scene.until_lines("out.txt", lines, LIMIT * 3).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    say(format!("{lines} lines from file to file in {seconds:.1} s, from kubectl apply on"));

    // The sink's position shows when it has committed, so it waits for that; nothing more may come meanwhile.
    let committed = lines.to_string();
    let sink = scene
        .cluster()
        .until(scene.ns(), "kafkaconnector/sink", "it has committed everything", LIMIT, |sink| {
            let positions = sink["status"]["tasks"][0]["positions"].as_object().cloned().unwrap_or_default();
            positions.values().any(|position| *position == *committed)
        })
        .unwrap();
    assert_same_text(&scene.file("in.txt"), &scene.file("out.txt")).unwrap();
    assert_eq!(scene.kafka().end_offsets(&scene.topic("text")).unwrap(), [lines as i64], "each line once in the topic");
    assert_eq!(scene.kafka().committed("connect-sink", &scene.topic("text")).unwrap(), [Some(lines as i64)]);

    // The source's offset, in Kafka Connect's own form.
    let position = fs::metadata(scene.file("in.txt")).unwrap().len();
    let offsets = scene.kafka().read(&scene.topic("offsets")).unwrap();
    let last = offsets.last().unwrap();
    assert_eq!(String::from_utf8_lossy(last.key.as_deref().unwrap()), r#"["source",{"filename":"/mnt/files/in.txt"}]"#);
    assert_eq!(last.text(), format!(r#"{{"position":{position}}}"#));

    let source = scene.until_ready("kafkaconnector/source").unwrap();
    for (connector, kind) in [(&source, "source"), (&sink, "sink")] {
        let status = &connector["status"];
        assert_eq!(status["summary"], "1/1", "{status}");
        assert_eq!(status["tasksMax"], 1);
        let worker = status["tasks"][0]["worker"].as_str().unwrap();
        assert!(worker.starts_with("connect-connect-"), "{worker}");
        assert_eq!(status["tasks"][0]["records"], lines);
        assert_eq!(status["topics"][0], scene.topic("text"));
        let connect = &status["connectorStatus"];
        assert_eq!(connect["name"], kind);
        assert_eq!(connect["type"], kind);
        assert_eq!(connect["connector"]["state"], "RUNNING");
        assert!(connect["connector"]["worker_id"].as_str().unwrap().contains(":8083"), "{connect}");
        assert_eq!(connect["tasks"][0]["id"], 0);
        assert_eq!(connect["tasks"][0]["state"], "RUNNING");
        assert_eq!(condition(connector, "Ready").unwrap()["reason"], "Running");
        assert!(status["labelSelector"].as_str().unwrap().contains('='), "HPA can use /scale");
    }
    assert_eq!(sink["status"]["tasks"][0]["lag"], 0);

    // What a person sees.
    let table = scene.cluster().kubectl(["get", "--namespace", scene.ns(), "connectcluster,kafkaconnector"]).unwrap();
    println!("{table}");
    let row = table.lines().find(|line| line.starts_with("kafkaconnector.barnabas.dev/source")).unwrap();
    assert!(row.contains("1/1") && row.contains("True"), "{row}");
    let cluster = scene.until_ready("connectcluster/connect").unwrap();
    assert_eq!(cluster["status"]["replicas"], 2);
    assert_eq!(
        cluster["status"]["url"],
        format!("http://connect-connect-api.{}.svc:8083", scene.ns()),
        "{}",
        cluster["status"]
    );
    let plugins = cluster["status"]["connectorPlugins"].as_array().unwrap();
    assert!(plugins.iter().any(|it| it["class"] == "org.apache.kafka.connect.file.FileStreamSourceConnector"));
    let events = scene.cluster().kubectl(["get", "--namespace", scene.ns(), "events"]).unwrap();
    assert!(events.contains("kafkaconnector/source"), "{events}");
}

/// The manifests of Strimzi's own examples, with the apiVersion changed.
#[test]
fn strimzi_manifests_run_as_they_are() {
    let scene = Scene::new("strimzi").unwrap();
    let testbed = scene.testbed();
    let cluster = scene.cluster();
    let (ns, name) = (scene.ns(), "my-connect-cluster");
    let manifest = |file: &str| testbed.file(&format!("tests/fixtures/strimzi/{file}")).display().to_string();

    // The Kafka that the example names, as Strimzi's own operator would provide it.
    let (host, port) = testbed.variable("BARNABAS_TEST_KAFKA_TLS").rsplit_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    let ca = fs::read_to_string(testbed.path("BARNABAS_TEST_KAFKA_CERTS").join("ca.crt")).unwrap();
    let service = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "my-cluster-cluster-ca-cert"},
            "stringData": {"ca.crt": ca}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "my-cluster-kafka-bootstrap"},
            "spec": {"ports": [{"name": "tls", "port": 9093, "targetPort": port}]}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "kafka", "labels": {"kubernetes.io/service-name": "my-cluster-kafka-bootstrap"}},
            "endpoints": [{"addresses": [host]}], "ports": [{"name": "tls", "port": port}]},
    ]});
    scene.apply(&service).unwrap();
    scene.kafka().delete_topic("my-topic").unwrap();
    scene.kafka().create_topic("my-topic", 1).unwrap();

    // Strimzi's image brings a licence to read; here a volume does.
    fs::copy(testbed.file("LICENSE"), scene.file("LICENSE")).unwrap();
    let licence = json!({"spec": {"template": {
        "pod": {"volumes": [{"name": "kafka", "persistentVolumeClaim": {"claimName": scene.files.claim()}}]},
        "connectContainer": {"volumeMounts": [{"name": "kafka", "mountPath": "/opt/kafka"}]},
    }}});
    let patch = ["patch", "--local", "--type=merge", "--output=json", "--filename", &manifest("kafka-connect.yaml")];
    let licence = licence.to_string();
    let connect = cluster.kubectl(patch.into_iter().chain(["--patch", &licence])).unwrap();
    cluster.apply(ns, &connect).unwrap();
    scene.until_ready(&format!("connectcluster/{name}")).unwrap();

    for connector in ["source", "sink"] {
        cluster.apply(ns, &fs::read_to_string(manifest(&format!("{connector}-connector.yaml"))).unwrap()).unwrap();
        scene.until_ready(&format!("kafkaconnector/my-{connector}-connector")).unwrap();
    }
    let pod = cluster.pods(ns, &format!("barnabas.dev/cluster={name}")).unwrap().remove(0);
    let process = cluster.container_process(ns, &pod.name, "connect").unwrap();
    let licence = fs::read_to_string(testbed.file("LICENSE")).unwrap();
    eventually("the sink has written the licence", LIMIT, || {
        let written = fs::read_to_string(format!("/proc/{process}/root/tmp/my-file"))?;
        Ok((written == licence).then_some(()))
    })
    .unwrap();
}
