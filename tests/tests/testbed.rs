//! The testbed itself: what every other scenario stands on.

#![allow(clippy::unwrap_used)]

use std::{fs, time::Duration};

use barnabas_tests::{HostFolder, Testbed, say};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn cluster_runs_pods() {
    let testbed = Testbed::get();
    let cluster = testbed.cluster();
    let namespace = cluster.namespace("pods").unwrap();
    let folder = HostFolder::create(&namespace, "files").unwrap();
    fs::write(folder.path().join("greeting"), "hello\n").unwrap();
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pause"},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "pause",
                "image": testbed.variable("BARNABAS_TEST_PAUSE_IMAGE"),
                "imagePullPolicy": "Never",
                "securityContext": {"runAsNonRoot": true, "readOnlyRootFilesystem": true},
                "volumeMounts": [{"name": "files", "mountPath": "/mnt/files"}],
            }],
            "volumes": [{"name": "files", "persistentVolumeClaim": {"claimName": folder.claim()}}],
        },
    });
    cluster.apply(namespace.name(), &pod.to_string()).unwrap();
    cluster.until_condition(namespace.name(), "pod/pause", "Ready", "True", LIMIT).unwrap();
    let before = cluster.pod(namespace.name(), "pause").unwrap();
    assert!(before.ip.starts_with("10.244.0."), "{before:?}");

    let process = cluster.container_process(namespace.name(), "pause", "pause").unwrap();
    let seen = fs::read_to_string(format!("/proc/{process}/root/mnt/files/greeting")).unwrap();
    assert_eq!(seen, "hello\n", "the container sees the shared folder");

    cluster.signal_container(namespace.name(), "pause", "pause", "KILL").unwrap();
    let restarted = |value: &serde_json::Value| value["status"]["containerStatuses"][0]["restartCount"] == 1;
    cluster.until(namespace.name(), "pod/pause", "its container was restarted", LIMIT, restarted).unwrap();
    let after = cluster.pod(namespace.name(), "pause").unwrap();
    assert_eq!(after.uid, before.uid, "a killed container is restarted in the same pod");
}

#[test]
fn kafka_answers_on_every_listener() {
    type Settings = Vec<(&'static str, String)>;
    let testbed = Testbed::get();
    let kafka = testbed.kafka();
    let topic = format!("testbed-{}", std::process::id());
    kafka.create_topic(&topic, 2).unwrap();
    let certificates = testbed.path("BARNABAS_TEST_KAFKA_CERTS");
    let file = |name: &str| certificates.join(name).display().to_string();
    let user = testbed.variable("BARNABAS_TEST_KAFKA_USER");
    let password = testbed.variable("BARNABAS_TEST_KAFKA_PASSWORD");
    let ca = ("ssl.ca.location", file("ca.crt"));
    let login = |mechanism: &str| {
        [("sasl.mechanism", mechanism.to_owned()), ("sasl.username", user.into()), ("sasl.password", password.into())]
    };
    let client = [("ssl.certificate.location", file("client.crt")), ("ssl.key.location", file("client.key"))];
    let listeners: [(&str, &str, Settings); 7] = [
        ("", "plaintext", vec![]),
        ("_PODS", "plaintext", vec![]),
        ("_TLS", "ssl", vec![ca.clone()]),
        ("_MTLS", "ssl", [vec![ca.clone()], client.to_vec()].concat()),
        ("_SASL_TLS", "sasl_ssl", [vec![ca], login("SCRAM-SHA-512").to_vec()].concat()),
        ("_SASL", "sasl_plaintext", login("PLAIN").to_vec()),
        ("_SASL", "sasl_plaintext", login("SCRAM-SHA-512").to_vec()),
    ];
    for (listener, protocol, settings) in listeners {
        let address = testbed.variable(&format!("BARNABAS_TEST_KAFKA{listener}"));
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", address).set("security.protocol", protocol);
        for (name, value) in &settings {
            config.set(*name, value);
        }
        let consumer: BaseConsumer = config.create().unwrap();
        let metadata = consumer.fetch_metadata(Some(&topic), LIMIT).unwrap();
        assert_eq!(metadata.topics()[0].partitions().len(), 2, "{address}");
        // A client goes on with the address that the broker tells: it must be the one it came by.
        let broker = &metadata.brokers()[0];
        assert_eq!(format!("{}:{}", broker.host(), broker.port()), address);
        say(format!("{address} ({protocol}) answers"));
    }
    kafka.delete_topic(&topic).unwrap();
}

#[test]
fn kafka_keeps_records_and_offsets() {
    let kafka = Testbed::get().kafka();
    let topic = format!("records-{}", std::process::id());
    kafka.create_topic(&topic, 1).unwrap();
    kafka.produce_lines(&topic, (0..10_000).map(|number| format!("line {number}"))).unwrap();
    let records = kafka.read(&topic).unwrap();
    assert_eq!(records.len(), 10_000);
    assert!((0..).zip(&records).all(|(number, record)| record.text() == format!("line {number}")));
    assert_eq!(kafka.end_offsets(&topic).unwrap(), [10_000]);
    assert_eq!(kafka.committed("nobody", &topic).unwrap(), [None]);
    assert_eq!(kafka.topics().unwrap()[&topic], 1);
    kafka.delete_topic(&topic).unwrap();
}

#[test]
fn corpus_is_a_large_text_of_distinct_lines() {
    let corpus = Testbed::get().corpus();
    let mut seen = std::collections::HashSet::new();
    for line in corpus.lines().unwrap() {
        assert!(!line.is_empty() && !line.contains('\r'));
        assert!(seen.insert(line.clone()), "{line:?} occurs twice");
    }
    assert_eq!(seen.len(), 1_000_000);
}
