//! Manifests in Strimzi's shape are read whole, and the examples are right.
#![allow(clippy::unwrap_used)]

use barnabas_crds::{ConnectCluster, ConnectorState, KafkaConnector, Lenient, labels, reasons};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

fn documents(path: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect()
}

fn one<T: DeserializeOwned + Clone>(path: &str) -> T {
    let [document] = <[Value; 1]>::try_from(documents(path)).unwrap();
    T::clone(Lenient::<T>::from_value(document).get().unwrap_or_else(|error| panic!("{path}: {error}")))
}

/// Leaves of the JSON that are in `all` and not in `some`, by path.
fn missing(path: &str, all: &Value, some: Option<&Value>, found: &mut BTreeSet<String>) {
    match all {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                missing(&format!("{path}.{key}"), value, some.and_then(|some| some.get(key)), found);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (index, value) in list.iter().enumerate() {
                missing(&format!("{path}[{index}]"), value, some.and_then(|some| some.get(index)), found);
            }
        }
        Value::Array(_) | Value::Object(_) => {}
        _ if some.is_none() => {
            found.insert(path.to_owned());
        }
        _ => {}
    }
}

/// Properties of the manifest that the definition does not know: the API server would drop them.
fn unknown(path: &str, value: &Value, schema: &Value, found: &mut BTreeSet<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let property = schema["properties"].get(key).or_else(|| schema.get("additionalProperties"));
                match property {
                    Some(property) => unknown(&format!("{path}.{key}"), value, property, found),
                    None => drop(found.insert(format!("{path}.{key}"))),
                }
            }
        }
        Value::Array(list) => {
            list.iter().for_each(|value| unknown(&format!("{path}[]"), value, &schema["items"], found))
        }
        _ => {}
    }
}

fn spec_schema(kind: &str) -> Value {
    let crds = barnabas_crds::crds().into_iter().map(|crd| serde_json::to_value(crd).unwrap());
    let crd = crds.into_iter().find(|crd| crd["spec"]["names"]["kind"] == kind).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

#[test]
fn every_field_of_strimzi_is_kept() {
    for path in
        ["kafka-connect-everything", "kafka-connect", "connector-everything", "source-connector", "sink-connector"]
    {
        let path = format!("tests/fixtures/strimzi/{path}.yaml");
        let written = documents(&path).remove(0);
        let kind = written["kind"].as_str().unwrap();
        let read = match kind {
            "ConnectCluster" => serde_json::to_value(&one::<ConnectCluster>(&path).spec).unwrap(),
            _ => serde_json::to_value(&one::<KafkaConnector>(&path).spec).unwrap(),
        };
        let mut lost = BTreeSet::new();
        missing("spec", &written["spec"], Some(&read), &mut lost);
        unknown("spec", &written["spec"], &spec_schema(kind), &mut lost);
        assert_eq!(lost, BTreeSet::new(), "{path}");
    }
}

#[test]
fn strimzis_first_cluster_is_understood() {
    let cluster: ConnectCluster = one("tests/fixtures/strimzi/kafka-connect.yaml");
    assert_eq!(cluster.problems(), []);
    assert_eq!(
        (cluster.spec.group_id().as_str(), cluster.spec.offset_storage_topic().as_str()),
        ("connect-cluster", "connect-cluster-offsets")
    );
    assert_eq!(cluster.spec.replicas(), 1);
    let config = cluster.spec.config_strings().unwrap();
    assert_eq!(
        config.keys().collect::<Vec<_>>(),
        ["config.storage.replication.factor", "offset.storage.replication.factor", "status.storage.replication.factor"]
    );
    let warnings = cluster.warnings();
    // version, and four v1beta2 names of group and topics.
    assert_eq!(
        warnings.iter().filter(|warning| warning.reason == reasons::UNSUPPORTED_FIELD).count(),
        1,
        "{warnings:?}"
    );
    assert_eq!(
        warnings.iter().filter(|warning| warning.reason == reasons::DEPRECATED_FIELDS).count(),
        4,
        "{warnings:?}"
    );
    assert_eq!(warnings.len(), 5);
}

#[test]
fn strimzis_file_connectors_are_understood() {
    for (path, topics) in [("source", "topic"), ("sink", "topics")] {
        let connector: KafkaConnector = one(&format!("tests/fixtures/strimzi/{path}-connector.yaml"));
        assert_eq!(labels::cluster(&connector.metadata), Some("my-connect-cluster"));
        assert_eq!((connector.spec.problems(None), connector.spec.warnings()), (vec![], vec![]));
        let config = connector.connect_config().unwrap();
        assert_eq!((config[topics].as_str(), config["tasks.max"].as_str()), ("my-topic", "2"));
    }
}

#[test]
fn everything_at_once_is_answered_field_by_field() {
    let cluster: ConnectCluster = one("tests/fixtures/strimzi/kafka-connect-everything.yaml");
    assert_eq!(cluster.problems(), []);
    let messages = cluster.warnings().into_iter().map(|warning| warning.message).collect::<Vec<_>>();
    for field in [
        "jvmOptions",
        "jmxOptions",
        "build ",
        "plugins",
        "tracing",
        "version",
        "clientRackInitImage",
        "rack",
        "metricsConfig",
        "template.initContainer",
        "template.clusterRoleBinding",
        "template.buildPod",
        "template.buildContainer",
        "template.buildConfig",
        "template.buildServiceAccount",
        "template.jmxSecret",
        "template.pod.templatedVolumes",
        "template.deployment",
        "externalConfiguration",
    ] {
        assert!(messages.iter().any(|message| message.contains(&format!("spec.{field}"))), "{field} in {messages:#?}");
    }
    assert_eq!(messages.len(), 19, "{messages:#?}");
    let additions = cluster.spec.additions();
    assert_eq!((additions.env.len(), additions.volumes.len(), additions.volume_mounts.len()), (4, 8, 3));
    assert_eq!(additions.volume_mounts[1].mount_path, "/opt/kafka/external-configuration/connector-config");

    let connector: KafkaConnector = one("tests/fixtures/strimzi/connector-everything.yaml");
    assert_eq!(
        (connector.spec.state(), connector.spec.tasks_max(), connector.spec.max_restarts()),
        (ConnectorState::Stopped, 2, Some(10))
    );
    assert_eq!(
        connector.connect_config().unwrap()["connector.class"],
        "org.apache.kafka.connect.file.FileStreamSourceConnector"
    );
    assert!(labels::reconciliation_paused(&connector.metadata));
}

#[test]
fn the_examples_need_no_warning() {
    let cluster = documents("examples/kubernetes/cluster.yaml").remove(1);
    let cluster = Lenient::<ConnectCluster>::from_value(cluster);
    let cluster = cluster.get().unwrap();
    assert_eq!((cluster.problems(), cluster.warnings()), (vec![], vec![]));
    for path in ["file-source", "file-sink"] {
        let connector: KafkaConnector = one(&format!("examples/kubernetes/{path}.yaml"));
        assert_eq!((connector.spec.problems(None), connector.spec.warnings()), (vec![], vec![]));
        assert_eq!(labels::cluster(&connector.metadata), cluster.metadata.name.as_deref());
    }
}

/// The rules that the API server enforces as CEL, in Rust: `tests/tests/resources.rs` shows it the same manifests.
#[test]
fn broken_rules_are_named() {
    for document in documents("tests/fixtures/invalid/rules.yaml") {
        let expected = document["metadata"]["annotations"]["expected"].as_str().unwrap().to_owned();
        let problems = match document["kind"].as_str().unwrap() {
            "ConnectCluster" => Lenient::<ConnectCluster>::from_value(document).get().unwrap().problems(),
            _ => Lenient::<KafkaConnector>::from_value(document).get().unwrap().spec.problems(None),
        };
        assert_eq!(problems.len(), 1, "{expected}: {problems:?}");
        assert!(problems[0].to_string().contains(&expected), "{} does not contain {expected}", problems[0]);
    }
}

#[test]
fn the_name_towards_kafka_is_for_good() {
    let spec =
        |name: Option<&str>| barnabas_crds::KafkaConnectorSpec { name: name.map(Into::into), ..Default::default() };
    assert_eq!(spec(Some("a")).problems(Some(&spec(Some("a")))), []);
    for (old, new) in [(Some("a"), Some("b")), (Some("a"), None), (None, Some("a"))] {
        assert!(spec(new).problems(Some(&spec(old)))[0].message.contains("cannot be changed"));
    }
    assert_eq!(spec(Some("b")).problems(None), []);
}
