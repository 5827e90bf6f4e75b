//! Records move, and the status says so.

#![allow(clippy::unwrap_used)]

use std::{fs, time::Instant};

use barnabas_tests::{LIMIT, Scene, assert_same_text, condition, say};

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
    let mut connect = scene.connect_manifest(1);
    // The name that the examples' label gives.
    connect["metadata"]["name"] = "my-connect-cluster".into();
    scene.apply(&connect).unwrap();
    scene.until_ready("connectcluster/my-connect-cluster").unwrap();
    fs::copy(scene.testbed().file("LICENSE"), scene.file("LICENSE")).unwrap();
    let folder = scene.testbed().file("tests/fixtures/strimzi");
    let mut manifests = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect::<Vec<_>>();
    manifests.sort();
    for manifest in &manifests {
        let text = fs::read_to_string(manifest).unwrap();
        scene.cluster().apply(scene.ns(), &text).unwrap();
    }
    let lines = fs::read_to_string(scene.file("LICENSE")).unwrap().lines().count();
    for connector in scene.cluster().list(scene.ns(), "kafkaconnectors", "").unwrap() {
        let name = connector["metadata"]["name"].as_str().unwrap();
        scene.until_ready(&format!("kafkaconnector/{name}")).unwrap();
    }
    scene.until_lines("my-topic.txt", lines, LIMIT).unwrap();
    let sink = fs::read_to_string(scene.file("my-topic.txt")).unwrap();
    assert_eq!(sink, fs::read_to_string(scene.file("LICENSE")).unwrap());
}
