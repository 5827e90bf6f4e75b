//! Bad input is answered in status, by name, and heals by itself when it is corrected.

#![allow(clippy::unwrap_used)]

use barnabas_tests::{LIMIT, Scene, condition};
use serde_json::{Value, json};

/// Lets the workers' service account read a Secret.
fn allow_secret(scene: &Scene, name: &str) {
    let allow = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["get"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "connect-connect", "namespace": scene.ns()}]},
    ]});
    scene.apply(&allow).unwrap();
}

/// Applies a wrong configuration, looks at the answer, and mends it.
#[test]
fn bad_connectors_say_what_is_wrong_and_heal() {
    let scene = Scene::new("bad").unwrap();
    scene.connect(1).unwrap();
    scene.testbed().corpus().copy_head(1_000, &scene.file("in.txt")).unwrap();
    // One that is right, beside all the wrong ones.
    scene.source("right", "in.txt", "right").unwrap();
    scene.until_tasks("right", "RUNNING", 1).unwrap();
    let right = scene.starts("right").unwrap();

    let class = "org.apache.kafka.connect.file.FileStreamSourceConnector";
    let good = |name: &str| scene.connector_manifest(name, class, scene.source_config("in.txt", name));
    let with = |name: &str, path: &str, value: Value| {
        let mut manifest = good(name);
        *manifest.pointer_mut(path).unwrap() = value;
        manifest
    };
    let config = |name: &str, key: &str, value: Value| {
        let mut manifest = good(name);
        manifest["spec"]["config"][key] = value;
        manifest
    };
    let missing = |name: &str, key: &str| {
        let mut manifest = good(name);
        manifest["spec"]["config"].as_object_mut().unwrap().remove(key);
        manifest
    };
    let account = "connect-connect";
    allow_secret(&scene, "database");
    let secret = format!("${{secrets:{}/database:file}}", scene.ns());
    let secret_name = format!("{}/database", scene.ns());
    let other = format!("${{secrets:{}/other:file}}", scene.ns());
    let other_name = format!("{}/other", scene.ns());
    let cases: [(&str, Value, &str, Vec<&str>); 10] = [
        (
            "no-class",
            with("no-class", "/spec/class", json!("com.example.Nothing")),
            "UnknownConnectorClass",
            vec!["com.example.Nothing"],
        ),
        ("no-key", missing("no-key", "topic"), "InvalidConfiguration", vec!["topic"]),
        ("no-type", config("no-type", "batch.size", json!("many")), "InvalidConfiguration", vec!["batch.size", "many"]),
        ("no-such-key", config("no-such-key", "topci", json!("x")), "InvalidConfiguration", vec!["topci", "topic"]),
        (
            "no-transform",
            config("no-transform", "transforms", json!("gone")),
            "InvalidConfiguration",
            vec!["transforms.gone.type"],
        ),
        (
            "no-override",
            config("no-override", "producer.override.key.serializer", json!("x")),
            "ForbiddenKey",
            vec!["producer.override.key.serializer"],
        ),
        ("no-secret", config("no-secret", "file", json!(secret)), "SecretNotFound", vec![&secret_name, "file"]),
        // Whether it exists is nobody's business who may not read it.
        ("no-right", config("no-right", "file", json!(other)), "SecretForbidden", vec![&other_name, account, "file"]),
        (
            "no-cluster",
            with("no-cluster", "/metadata/labels", json!({"barnabas.dev/cluster": "nowhere"})),
            "ClusterNotFound",
            vec!["nowhere"],
        ),
        (
            "no-label",
            with("no-label", "/metadata/labels", json!({})),
            "ClusterLabelMissing",
            vec!["barnabas.dev/cluster"],
        ),
    ];
    for (_, manifest, ..) in &cases {
        scene.apply(manifest).unwrap();
    }
    for (name, _, reason, parts) in &cases {
        let resource = format!("kafkaconnector/{name}");
        let value = scene.until_not_ready(&resource, reason, parts).unwrap();
        assert_eq!(value["status"]["observedGeneration"], value["metadata"]["generation"], "{name}");
        assert!(condition(&value, "NotReady").is_none_or(|it| it["status"] == "True"), "{value}");
        let message = condition(&value, "Ready").unwrap()["message"].as_str().unwrap().to_owned();
        println!("{name}: {reason}: {message}");
    }
    let events = scene.cluster().kubectl(["get", "--namespace", scene.ns(), "events", "--field-selector=type=Warning"]);
    assert!(events.unwrap().contains("kafkaconnector/no-key"), "a configuration error is an Event too");

    // Mended: the resource for most, the world around it for one.
    for (name, ..) in cases.iter().filter(|case| case.0 != "no-secret") {
        // `apply` forgets what it did not write last time, so each wrong value goes.
        scene.apply(&good(name)).unwrap();
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database"},
        "stringData": {"file": "/mnt/files/in.txt"}});
    scene.apply(&secret).unwrap();
    for (name, ..) in &cases {
        scene.until_ready(&format!("kafkaconnector/{name}")).unwrap();
    }
    assert_eq!(scene.starts("right").unwrap(), right, "the right one was left alone");
}

/// Messages quote wrong values, and traces name files; a value that came out of a Secret is in neither, nor anywhere else.
#[test]
fn no_secret_value_is_shown() {
    const SECRETS: [&str; 2] = ["hunter2-is-no-number", "/mnt/files/hunter3-is-no-folder/out.txt"];
    let scene = Scene::new("hidden").unwrap();
    scene.connect(1).unwrap();
    scene.testbed().corpus().copy_head(10, &scene.file("in.txt")).unwrap();
    scene.source("right", "in.txt", "text").unwrap();
    allow_secret(&scene, "values");
    let [number, file] = SECRETS;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "values"},
        "stringData": {"number": number, "file": file}});
    scene.apply(&secret).unwrap();
    let reference = |key: &str| format!("${{secrets:{}/values:{key}}}", scene.ns());

    let mut config = scene.source_config("in.txt", "text");
    config["batch.size"] = json!(reference("number"));
    scene.apply(&scene.connector_manifest("number", "FileStreamSource", config)).unwrap();
    let parts = ["Invalid value [hidden] for configuration batch.size"];
    scene.until_not_ready("kafkaconnector/number", "InvalidConfiguration", &parts).unwrap();

    let config = json!({"topics": scene.topic("text"), "file": reference("file"),
        "value.converter": "org.apache.kafka.connect.storage.StringConverter"});
    scene.apply(&scene.connector_manifest("file", "FileStreamSink", config)).unwrap();
    let failed = scene.until_tasks("file", "FAILED", 1).unwrap();
    let trace = failed["status"]["connectorStatus"]["tasks"][0]["trace"].as_str().unwrap();
    assert!(trace.contains("[hidden]"), "{trace}");

    let cluster = scene.cluster();
    let kinds = "kafkaconnectors,connectclusters,events,configmaps,pods,statefulsets";
    let mut shown = cluster.kubectl(["get", "--namespace", scene.ns(), kinds, "--output", "json"]).unwrap();
    for pod in scene.workers().unwrap().into_iter().chain(scene.operators().unwrap()) {
        shown.push_str(&cluster.logs(scene.ns(), &pod.name, false).unwrap());
    }
    assert!(shown.contains("Invalid value [hidden]") && shown.contains("The unit failed"), "{shown}");
    for secret in SECRETS {
        let at = shown.find(secret).map(|at| shown[..at].chars().rev().take(300).collect::<String>());
        assert!(at.is_none(), "{secret} is shown after {}", at.unwrap().chars().rev().collect::<String>());
    }
}

/// What the API server itself refuses, with a message that a person understands.
#[test]
fn the_api_server_refuses_what_can_never_be_right() {
    let scene = Scene::new("refused").unwrap();
    let refused = |manifest: &Value, parts: &[&str]| {
        let error = scene.apply(manifest).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    let good = scene.connector_manifest("refused", "FileStreamSource", json!({}));
    let mut zero = good.clone();
    zero["spec"]["tasksMax"] = json!(0);
    refused(&zero, &["spec.tasksMax"]);
    let mut state = good;
    state["spec"]["state"] = json!("sleeping");
    refused(&state, &["spec.state", "paused"]);
    let mut connect = scene.connect_manifest(1);
    connect["spec"]["authentication"] = json!({"type": "scram-sha-512"});
    refused(&connect, &["username", "passwordSecret"]);
    connect["spec"]["authentication"] = json!({"type": "tls"});
    refused(&connect, &["certificateAndKey"]);
}

#[test]
fn an_unreachable_kafka_is_named_and_comes_back() {
    let scene = Scene::new("nokafka").unwrap();
    let mut connect = scene.connect_manifest(1);
    connect["spec"]["bootstrapServers"] = json!("10.244.0.1:1");
    scene.apply(&connect).unwrap();
    scene.testbed().corpus().copy_head(1_000, &scene.file("in.txt")).unwrap();
    scene.source("source", "in.txt", "text").unwrap();
    scene.until_not_ready("kafkaconnector/source", "KafkaUnreachable", &["10.244.0.1:1"]).unwrap();
    scene.until_not_ready("connectcluster/connect", "KafkaUnreachable", &["10.244.0.1:1"]).unwrap();
    scene.apply(&scene.connect_manifest(1)).unwrap();
    scene.until_ready("connectcluster/connect").unwrap();
    scene.until_ready("kafkaconnector/source").unwrap();
    scene.sink("sink", "text", "out.txt").unwrap();
    scene.until_lines("out.txt", 1_000, LIMIT).unwrap();
}
