//! The definitions on a real API server: what it refuses and with what words, what it shows, and how it scales.

#![allow(clippy::unwrap_used)]

use std::fs;

use barnabas_tests::{Cluster, Testbed};
use serde::Deserialize;
use serde_json::{Value, json};

/// Applies the definitions on the client side, as a reader of the documentation does: their size allows it.
fn cluster() -> Cluster {
    let testbed = Testbed::get();
    let cluster = testbed.cluster();
    let folder = testbed.file("crds/yaml").display().to_string();
    cluster.kubectl(["apply", "--filename", &folder]).unwrap();
    for name in ["connectclusters.barnabas.dev", "kafkaconnectors.barnabas.dev"] {
        let name = format!("customresourcedefinition/{name}");
        cluster.kubectl(["wait", "--for=condition=Established", &name, "--timeout=60s"]).unwrap();
    }
    cluster
}

fn documents(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(Testbed::get().file(path)).unwrap();
    serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect()
}

fn connector(name: &str, spec: Value) -> String {
    json!({
        "apiVersion": "barnabas.dev/v1", "kind": "KafkaConnector",
        "metadata": { "name": name, "labels": { "strimzi.io/cluster": "the-cluster" } }, "spec": spec
    })
    .to_string()
}

#[test]
fn resources_that_break_a_rule_are_refused_in_plain_words() {
    let cluster = cluster();
    let arguments = ["apply", "--dry-run=server", "--namespace=default", "--filename=-"];
    for path in ["tests/fixtures/invalid/rules.yaml", "tests/fixtures/invalid/schema.yaml"] {
        for document in documents(path) {
            let expected = document["metadata"]["annotations"]["expected"].as_str().unwrap();
            let error = cluster.kubectl_with_input(arguments, &document.to_string());
            let error = format!("{:#}", error.expect_err(expected));
            assert!(error.contains(expected), "{error}\ndoes not contain\n{expected}");
        }
    }
}

#[test]
fn resources_of_strimzi_are_accepted_whole() {
    let cluster = cluster();
    let namespace = cluster.namespace("strimzi").unwrap();
    for file in
        ["kafka-connect", "kafka-connect-everything", "source-connector", "sink-connector", "connector-everything"]
    {
        let mut document = documents(&format!("tests/fixtures/strimzi/{file}.yaml")).remove(0);
        // Strict: a field that the definition does not know is an error.
        let arguments =
            ["create", "--validate=strict", "--namespace", namespace.name(), "--filename=-", "--output=json"];
        let created = cluster.kubectl_with_input(arguments, &document.to_string()).unwrap();
        let created: Value = serde_json::from_str(&created).unwrap();
        assert_eq!(created["spec"], document["spec"].take(), "{file} is stored as it was written");
    }
}

#[test]
fn resources_show_what_matters_in_columns() {
    let cluster = cluster();
    let namespace = cluster.namespace("columns").unwrap();
    let name = namespace.name();
    cluster.apply(name, &connector("a", json!({ "class": "FileStreamSink", "tasksMax": 3 }))).unwrap();
    let ready = |status: &str, reason: &str, message: &str| {
        let condition = json!({ "type": "Ready", "status": status, "reason": reason, "message": message });
        let status = json!({ "conditions": [condition], "summary": "1/2", "tasksMax": 3, "labelSelector": "a=b" });
        let patch = json!({ "status": status }).to_string();
        let patch = ["patch", "--namespace", name, "kctr/a", "--subresource=status", "--type=merge", "--patch", &patch];
        cluster.kubectl(patch).unwrap();
    };
    let show = |arguments: &[&str]| {
        let text = cluster.kubectl(["get", "--namespace", name].iter().chain(arguments)).unwrap();
        text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect::<Vec<Vec<String>>>()
    };
    ready("False", "TaskFailed", "Task-1-failed.");
    let table = show(&["kctr"]);
    assert_eq!(table[0], ["NAME", "CLUSTER", "CLASS", "TASKS", "READY", "REASON", "AGE"]);
    assert_eq!(table[1][..6], ["a", "the-cluster", "FileStreamSink", "1/2", "False", "TaskFailed"]);
    let wide = show(&["kafkaconnectors", "--output=wide"]);
    assert_eq!(wide[1][7..], ["3", "Task-1-failed."]);
    // Our label wins over Strimzi's.
    cluster.kubectl(["label", "--namespace", name, "kctr/a", "barnabas.dev/cluster=ours"]).unwrap();
    assert_eq!(show(&["kctr"])[1][1], "ours");
    // By category, with the other kind.
    assert!(show(&["barnabas"]).iter().any(|row| row.first().is_some_and(|name| name.ends_with("a"))));
    ready("True", "Running", "All-run.");
    cluster.kubectl(["wait", "--namespace", name, "--for=condition=Ready", "kctr/a", "--timeout=10s"]).unwrap();
}

#[test]
fn resources_scale_by_the_standard_subresource() {
    let cluster = cluster();
    let namespace = cluster.namespace("scale").unwrap();
    let name = namespace.name();
    cluster.apply(name, &connector("a", json!({}))).unwrap();
    let spec = json!({ "bootstrapServers": "kafka:9092" });
    let metadata = json!({ "name": "b" });
    let object =
        json!({ "apiVersion": "barnabas.dev/v1", "kind": "ConnectCluster", "metadata": metadata, "spec": spec });
    cluster.apply(name, &object.to_string()).unwrap();
    for (resource, path, before, status) in [
        ("kafkaconnectors/a", "tasksMax", 1, json!({ "tasksMax": 1, "labelSelector": "a=b" })),
        ("connectclusters/b", "replicas", 3, json!({ "replicas": 1, "labelSelector": "a=b" })),
    ] {
        let patch = json!({ "status": status }).to_string();
        let patch = ["patch", "--namespace", name, resource, "--subresource=status", "--type=merge", "--patch", &patch];
        cluster.kubectl(patch).unwrap();
        let raw = format!("/apis/barnabas.dev/v1/namespaces/{name}/{resource}/scale");
        let scale: Value = serde_json::from_str(&cluster.kubectl(["get", "--raw", &raw]).unwrap()).unwrap();
        assert_eq!(scale["spec"]["replicas"], before, "{resource} has a default to scale from");
        assert_eq!(scale["status"], json!({ "replicas": 1, "selector": "a=b" }), "{resource}: autoscalers need both");
        cluster.kubectl(["scale", "--namespace", name, resource, "--replicas=4"]).unwrap();
        assert_eq!(cluster.get(name, resource).unwrap()["spec"][path], 4);
    }
}

#[test]
fn resources_keep_their_name_towards_kafka() {
    let cluster = cluster();
    let namespace = cluster.namespace("name").unwrap();
    let name = namespace.name();
    cluster.apply(name, &connector("a", json!({ "name": "An Old Name", "class": "X" }))).unwrap();
    let patch = |spec: Value| {
        let patch = json!({ "spec": spec }).to_string();
        cluster.kubectl(["patch", "--namespace", name, "kctr/a", "--type=merge", "--patch", &patch])
    };
    for other in [json!("Another"), Value::Null] {
        let error = format!("{:#}", patch(json!({ "name": other })).unwrap_err());
        assert!(error.contains("name cannot be changed"), "{error}");
    }
    patch(json!({ "class": "Y", "state": null, "tasksMax": null })).unwrap();
    let spec = &cluster.get(name, "kctr/a").unwrap()["spec"];
    assert_eq!(*spec, json!({ "name": "An Old Name", "class": "Y", "tasksMax": 1 }), "nulls are dropped");
}
