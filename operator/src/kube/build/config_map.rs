//! The workers' configuration file, `worker.yaml`.
//!
//! The field names are those of the worker's own `WorkerConfig`; the file
//! `operator/tests/fixtures/worker.yaml` keeps both sides true to each other:
//! this module's test writes exactly it, and the worker's test reads it.

use std::collections::BTreeMap;

use barnabas_crds::{
    Problem,
    cluster::{AuthenticationType, RackType},
};
use k8s_openapi::{ByteString, api::core::v1::ConfigMap};
use serde::Serialize;

use super::{Build, CONTROL_PORT, HTTP_PORT, METRICS_PORT};

/// Key of the file in the ConfigMap.
pub const FILE: &str = "worker.yaml";
/// Where the ConfigMap is mounted.
pub const CONFIG_DIR: &str = "/etc/barnabas";
/// Where the control port's certificates are mounted.
pub const TLS_DIR: &str = "/etc/barnabas-tls";
/// Under which Secrets for Kafka are mounted.
pub const KAFKA_DIR: &str = "/etc/barnabas-kafka";
/// Where the worker keeps its last desired set, in memory.
pub const STATE_DIR: &str = "/var/lib/barnabas";

/// Connect's `scheduled.rebalance.max.delay.ms`.
const UNREACHABLE_DELAY: &str = "scheduled.rebalance.max.delay.ms";

/// `<cluster>-connect-config`.
pub fn build(build: Build<'_>) -> Result<ConfigMap, Error> {
    let file = Worker::of(build)?;
    let text = serde_yaml::to_string(&file).map_err(|error| Error(error.to_string()))?;
    Ok(ConfigMap {
        metadata: build.metadata(build.names().config(), None),
        data: Some([(FILE.to_owned(), text)].into()),
        ..ConfigMap::default()
    })
}

/// Why the workers' configuration cannot be written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Error(pub String);

/// Hash of everything in the file that a running worker does not follow by
/// itself: a change of it rolls the pods. Log levels are followed.
pub fn roll_hash(config_map: &ConfigMap) -> String {
    let text = config_map.data.as_ref().and_then(|data| data.get(FILE)).map(String::as_str).unwrap_or_default();
    let text: String = match serde_yaml::from_str::<serde_yaml::Value>(text) {
        Ok(serde_yaml::Value::Mapping(mut file)) => {
            file.remove("logging");
            serde_yaml::to_string(&file).unwrap_or_default()
        }
        _ => text.to_owned(),
    };
    crate::kube::hash::sha256_hex(text.as_bytes())
}

/// How long a worker may be unreachable before its units go elsewhere, milliseconds.
pub fn unreachable_delay_ms(build: Build<'_>) -> Result<i64, Error> {
    let Some(value) = build.cluster.spec.config.get(UNREACHABLE_DELAY) else {
        return Ok(crate::plan::DEFAULT_UNREACHABLE_DELAY_MS);
    };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.trim().parse::<u32>().map(i64::from).map_err(|_| {
        Error(format!(
            "{UNREACHABLE_DELAY} in spec.config is {text:?}; it has to be a number of milliseconds, 0 or more."
        ))
    })
}

/// Mirrors the worker's `WorkerConfig`.
#[derive(Serialize)]
struct Worker {
    cluster: String,
    namespace: String,
    group_id: String,
    bootstrap_servers: String,
    offset_storage_topic: String,
    config: BTreeMap<String, String>,
    security: Security,
    embedded_broker: bool,
    control: Control,
    http_listen: String,
    metrics_listen: String,
    state_dir: String,
    logging: Logging,
    unreachable_delay_ms: u64,
}

#[derive(Default, Serialize)]
struct Security {
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sasl_mechanism: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_file: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ca_files: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_identification_algorithm: Option<String>,
}

#[derive(Serialize)]
struct Control {
    listen: String,
    tls: ControlTls,
}

#[derive(Serialize)]
struct ControlTls {
    ca: String,
    cert: String,
    key: String,
}

#[derive(Serialize)]
struct Logging {
    loggers: BTreeMap<String, String>,
}

impl Worker {
    fn of(build: Build<'_>) -> Result<Self, Error> {
        let spec = &build.cluster.spec;
        if spec.is_embedded() {
            return Err(Error(
                "spec.bootstrapServers is \"embedded\": that broker exists only inside `barnabas up`. Name the addresses of a Kafka."
                    .to_owned(),
            ));
        }
        let mut config = spec.config_strings().map_err(|problems| Error(sentences(&problems)))?;
        for key in ["key.converter", "value.converter"] {
            config.entry(key.to_owned()).or_insert_with(|| "org.apache.kafka.connect.json.JsonConverter".to_owned());
        }
        if let Some(variable) = spec
            .rack
            .as_ref()
            .filter(|rack| rack.type_ == Some(RackType::EnvironmentVariable))
            .and_then(|rack| rack.env_var_name.as_ref())
        {
            config.entry("consumer.client.rack".to_owned()).or_insert_with(|| format!("${{env:{variable}}}"));
        }
        let security = security(build, &mut config)?;
        Ok(Self {
            cluster: build.name().to_owned(),
            namespace: build.namespace().to_owned(),
            group_id: spec.group_id(),
            bootstrap_servers: spec.bootstrap_servers.clone(),
            offset_storage_topic: spec.offset_storage_topic(),
            config,
            security,
            embedded_broker: false,
            control: Control {
                listen: format!("0.0.0.0:{CONTROL_PORT}"),
                tls: ControlTls {
                    ca: format!("{TLS_DIR}/ca.crt"),
                    cert: format!("{TLS_DIR}/tls.crt"),
                    key: format!("{TLS_DIR}/tls.key"),
                },
            },
            http_listen: format!("0.0.0.0:{HTTP_PORT}"),
            metrics_listen: format!("0.0.0.0:{METRICS_PORT}"),
            state_dir: STATE_DIR.to_owned(),
            logging: Logging { loggers: build.resolved.loggers.clone() },
            unreachable_delay_ms: u64::try_from(unreachable_delay_ms(build)?).unwrap_or(0),
        })
    }
}

fn sentences(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// How the workers reach Kafka, with paths of mounted files for everything secret.
fn security(build: Build<'_>, config: &mut BTreeMap<String, String>) -> Result<Security, Error> {
    let spec = &build.cluster.spec;
    let mut security = Security::default();
    let mut sasl = false;
    if let Some(authentication) = &spec.authentication {
        let missing = |field: &str| {
            let kind = authentication.type_.sasl_mechanism().unwrap_or("tls");
            Error(format!("spec.authentication.{field} is missing; type {kind} needs it."))
        };
        match authentication.type_ {
            AuthenticationType::ScramSha256 | AuthenticationType::ScramSha512 | AuthenticationType::Plain => {
                sasl = true;
                let password = authentication.password_secret.as_ref().ok_or_else(|| missing("passwordSecret"))?;
                security.sasl_mechanism = authentication.type_.sasl_mechanism().map(str::to_owned);
                security.username = Some(authentication.username.clone().ok_or_else(|| missing("username"))?);
                security.password_file = Some(format!("{KAFKA_DIR}/password/{}", password.password));
            }
            AuthenticationType::Tls => {
                let pair = authentication.certificate_and_key.as_ref().ok_or_else(|| missing("certificateAndKey"))?;
                security.cert_file = Some(format!("{KAFKA_DIR}/client/{}", pair.certificate));
                security.key_file = Some(format!("{KAFKA_DIR}/client/{}", pair.key));
            }
            AuthenticationType::Custom => {
                sasl = authentication.sasl.unwrap_or(false);
                let client = authentication.config_strings();
                config.extend(client.map_err(|problems| Error(sentences(&problems)))?);
            }
            AuthenticationType::Oauth => {
                return Err(Error(
                    "spec.authentication.type oauth is not supported, nor is SASL's OAUTHBEARER; use tls, plain, scram-sha-256 or scram-sha-512."
                        .to_owned(),
                ));
            }
        }
    }
    // A client certificate can be shown over TLS only.
    let tls = spec.tls.is_some() || security.cert_file.is_some();
    security.protocol = match (tls, sasl) {
        (false, false) => "PLAINTEXT",
        (true, false) => "SSL",
        (false, true) => "SASL_PLAINTEXT",
        (true, true) => "SASL_SSL",
    }
    .to_owned();
    for (index, (_, keys)) in build.resolved.trusted_certificates.iter().enumerate() {
        security.ca_files.extend(keys.iter().map(|key| format!("{KAFKA_DIR}/trusted-{index}/{key}")));
    }
    security.endpoint_identification_algorithm = config.remove("ssl.endpoint.identification.algorithm");
    Ok(security)
}

/// The Secret's keys that `pattern` means, in order.
pub fn matching_keys(data: &BTreeMap<String, ByteString>, pattern: &str) -> Vec<String> {
    data.keys().filter(|key| glob(pattern.as_bytes(), key.as_bytes())).cloned().collect()
}

/// Shell patterns with `*` and `?`, as Strimzi's `trustedCertificates.pattern` has them.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => glob(rest, text) || text.split_first().is_some_and(|(_, text)| glob(pattern, text)),
        (Some((b'?', rest)), Some((_, text))) => glob(rest, text),
        (Some((a, rest)), Some((b, text))) => a == b && glob(rest, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{
        super::{Resolved, fixture},
        *,
    };

    fn file(cluster: &barnabas_crds::ConnectCluster, resolved: &Resolved) -> serde_yaml::Value {
        let map = fixture::with(cluster, resolved, build).unwrap();
        serde_yaml::from_str(&map.data.unwrap()[FILE]).unwrap()
    }

    /// Uses every field that the file can have.
    fn full() -> (barnabas_crds::ConnectCluster, Resolved) {
        let cluster = fixture::cluster(serde_json::json!({
            "bootstrapServers": "a:9093,b:9093", "groupId": "g", "offsetStorageTopic": "o",
            "tls": { "trustedCertificates": [{ "secretName": "ca", "pattern": "*.crt" }] },
            "authentication": { "type": "scram-sha-512", "username": "u",
                "passwordSecret": { "secretName": "user", "password": "password" } },
            "config": {
                "offset.flush.interval.ms": 5000, "producer.linger.ms": "5", "scheduled.rebalance.max.delay.ms": 20000,
                "ssl.endpoint.identification.algorithm": "",
            },
        }));
        let resolved = Resolved {
            trusted_certificates: vec![("ca".into(), vec!["ca.crt".into(), "old.crt".into()])],
            loggers: [("rootLogger.level".to_owned(), "INFO".to_owned())].into(),
            secrets_hash: String::new(),
        };
        (cluster, resolved)
    }

    #[test]
    fn the_file_is_the_fixture_that_the_worker_reads() {
        let (cluster, resolved) = full();
        let map = fixture::with(&cluster, &resolved, build).unwrap();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/worker.yaml");
        let written = &map.data.unwrap()[FILE];
        if std::env::var_os("BARNABAS_REGENERATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, written).unwrap();
        }
        assert_eq!(written, &std::fs::read_to_string(path).unwrap(), "BARNABAS_REGENERATE=1 writes it anew");
    }

    #[test]
    fn log_levels_do_not_roll_pods_and_everything_else_does() {
        let (cluster, mut resolved) = full();
        let hash = |resolved: &Resolved| roll_hash(&fixture::with(&cluster, resolved, build).unwrap());
        let first = hash(&resolved);
        resolved.loggers.insert("logger.x.level".into(), "DEBUG".into());
        assert_eq!(hash(&resolved), first);
        resolved.trusted_certificates[0].1.pop();
        assert_ne!(hash(&resolved), first);
    }

    #[test]
    fn a_client_certificate_means_tls() {
        let cluster = fixture::cluster(serde_json::json!({
            "bootstrapServers": "k:9093",
            "authentication": { "type": "tls", "certificateAndKey": { "secretName": "s", "certificate": "c.crt", "key": "c.key" } },
        }));
        let file = file(&cluster, &Resolved::default());
        assert_eq!(file["security"]["protocol"], "SSL");
        assert_eq!(file["security"]["key_file"], "/etc/barnabas-kafka/client/c.key");
    }

    #[test]
    fn a_custom_authentication_gives_the_clients_its_keys_and_no_others() {
        let with = |key: &str| {
            fixture::cluster(serde_json::json!({
                "bootstrapServers": "k:9093",
                "authentication": { "type": "custom", "sasl": true, "config": { "sasl.mechanism": "PLAIN", key: 1 } },
            }))
        };
        let file = file(&with("sasl.jaas.config"), &Resolved::default());
        assert_eq!(file["security"]["protocol"], "SASL_PLAINTEXT");
        assert_eq!(file["config"]["sasl.mechanism"], "PLAIN");
        assert_eq!(file["config"]["sasl.jaas.config"], "1");
        let other = with("security.protocol");
        assert!(fixture::with(&other, &Resolved::default(), build).is_ok());
        assert!(other.warnings().iter().any(|warning| warning.message.contains("security.protocol")));
    }

    #[test]
    fn what_the_operator_owns_is_left_out_of_the_workers_keys() {
        let cluster = fixture::cluster(serde_json::json!({
            "bootstrapServers": "k:9092",
            "config": { "group.id": "mine", "listeners": "x", "key.converter": "StringConverter" },
            "rack": { "type": "environment-variable", "envVarName": "RACK" },
        }));
        let file = file(&cluster, &Resolved::default());
        assert_eq!(file["group_id"], "mine");
        assert!(file["config"].get("group.id").is_none() && file["config"].get("listeners").is_none());
        assert_eq!(file["config"]["key.converter"], "StringConverter");
        assert_eq!(file["config"]["value.converter"], "org.apache.kafka.connect.json.JsonConverter");
        assert_eq!(file["config"]["consumer.client.rack"], "${env:RACK}");
    }

    #[test]
    fn a_wrong_delay_and_an_embedded_broker_are_named() {
        let cluster = fixture::cluster(serde_json::json!({
            "bootstrapServers": "k:9092", "config": { "scheduled.rebalance.max.delay.ms": "soon" },
        }));
        let error = fixture::with(&cluster, &Resolved::default(), build).unwrap_err();
        assert!(error.0.contains("scheduled.rebalance.max.delay.ms") && error.0.contains("soon"), "{error}");
        let cluster = fixture::cluster(serde_json::json!({ "bootstrapServers": "embedded" }));
        let error = fixture::with(&cluster, &Resolved::default(), build).unwrap_err();
        assert!(error.0.contains("barnabas up"), "{error}");
    }

    #[test]
    fn patterns_pick_keys() {
        let data = ["ca.crt", "ca.key", "x.crt"].map(|key| (key.to_owned(), ByteString(vec![]))).into();
        assert_eq!(matching_keys(&data, "*.crt"), ["ca.crt", "x.crt"]);
        assert_eq!(matching_keys(&data, "ca.???"), ["ca.crt", "ca.key"]);
        assert!(matching_keys(&data, "*.pem").is_empty());
    }
}
