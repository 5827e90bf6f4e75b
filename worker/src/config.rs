//! The worker's configuration file, `worker.yaml`, typed once.
//!
//! The operator writes the file into the ConfigMap `<cluster>-connect-config`;
//! `barnabas up` builds the same structure in memory. It holds no secret: only
//! the paths of files that are mounted from Secrets.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, de};

/// Everything a worker has to know about itself and its Kafka cluster.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// The ConnectCluster's name.
    pub cluster: String,
    /// The ConnectCluster's namespace.
    pub namespace: String,
    /// Connect's `group.id`: the prefix of transactional ids.
    pub group_id: String,
    /// Kafka's addresses, `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// Connect's `offset.storage.topic`.
    pub offset_storage_topic: String,
    /// Connect's worker keys, for example `offset.flush.interval.ms`, `key.converter`, `producer.linger.ms`.
    #[serde(deserialize_with = "scalars")]
    pub config: BTreeMap<String, String>,
    /// How every client of this worker authenticates itself to Kafka.
    pub security: Security,
    /// The broker is the one embedded in `barnabas up`, which has no transactions.
    pub embedded_broker: bool,
    /// The control service.
    pub control: Control,
    /// Where health and metrics are served; `None` serves none (in-process use).
    pub http_listen: Option<SocketAddr>,
    /// A second address for metrics alone, by convention port 9404.
    pub metrics_listen: Option<SocketAddr>,
    /// A folder on tmpfs that keeps the last desired set over a restart of the
    /// process; `None` keeps nothing.
    pub state_dir: Option<PathBuf>,
    /// Log levels.
    pub logging: Logging,
    /// Milliseconds after which an unreachable worker's units may run elsewhere
    /// (Connect's `scheduled.rebalance.max.delay.ms`). 60000 when absent.
    pub unreachable_delay_ms: Option<u64>,
    /// The name to report. `POD_NAME` when absent.
    pub worker: Option<String>,
    /// `host:port` to report as Connect's `worker_id`. Derived from the pod's name when absent.
    pub worker_id: Option<String>,
}

/// How clients reach Kafka. Files are read when a client is built, so a rotated
/// Secret serves the next client without a restart.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// `PLAINTEXT` (default), `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub protocol: Option<String>,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl_mechanism: Option<String>,
    /// SASL user.
    pub username: Option<String>,
    /// File that holds the SASL password.
    pub password_file: Option<PathBuf>,
    /// PEM files of the authorities to trust; the system's when empty.
    pub ca_files: Vec<PathBuf>,
    /// PEM file of the client's certificate chain.
    pub cert_file: Option<PathBuf>,
    /// PEM file of the client's private key.
    pub key_file: Option<PathBuf>,
    /// `https` (default) checks the broker's name; an empty string does not.
    pub endpoint_identification_algorithm: Option<String>,
}

/// Where the operator connects to.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// Address to listen on, by convention port 9443; `None` for in-process use.
    pub listen: Option<SocketAddr>,
    /// mTLS files. Without them only a loopback address is accepted.
    pub tls: Option<ControlTls>,
}

/// PEM files, read again when they change.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ControlTls {
    /// The authority that signs the operator's certificate.
    pub ca: PathBuf,
    /// The worker's certificate chain.
    pub cert: PathBuf,
    /// The worker's private key.
    pub key: PathBuf,
}

/// Log levels by logger name; `root` or `rootLogger.level` is the default of all others.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logging {
    /// Logger name (ours or a Java one) to level.
    #[serde(deserialize_with = "scalars")]
    pub loggers: BTreeMap<String, String>,
}

/// A configuration that a worker cannot start with.
#[derive(Debug, thiserror::Error)]
pub enum WorkerConfigError {
    /// The file cannot be read.
    #[error("cannot read the worker configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what the worker expects.
    #[error("the worker configuration {path} is not valid: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_yaml::Error,
    },
    /// A field's value cannot work.
    #[error("`{key}` in the worker configuration: {message}")]
    Value {
        /// The field or the Connect worker key.
        key: String,
        /// What is wrong and what would be right.
        message: String,
    },
}

impl WorkerConfig {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, WorkerConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| WorkerConfigError::Read { path: path.to_owned(), source })?;
        let mut config: Self =
            serde_yaml::from_str(&text).map_err(|source| WorkerConfigError::Parse { path: path.to_owned(), source })?;
        config.resolve_environment()?;
        config.check()?;
        Ok(config)
    }

    /// Replaces `${env:NAME}` in the Connect worker keys (`client.rack` is set so from the node's zone).
    pub fn resolve_environment(&mut self) -> Result<(), WorkerConfigError> {
        self.resolve_variables(|name| std::env::var(name).ok())
    }

    fn resolve_variables(&mut self, get: impl Fn(&str) -> Option<String>) -> Result<(), WorkerConfigError> {
        for (key, value) in &mut self.config {
            while let Some(start) = value.find("${env:") {
                let Some(length) = value[start..].find('}') else {
                    return Err(value_error(key, "has a `${env:` without `}`".to_owned()));
                };
                let name = &value[start + 6..start + length];
                let Some(found) = get(name) else {
                    return Err(value_error(key, format!("names the environment variable `{name}`, which is not set")));
                };
                value.replace_range(start..=start + length, &found);
            }
        }
        Ok(())
    }

    /// Checks what no single field can.
    pub fn check(&self) -> Result<(), WorkerConfigError> {
        for (key, value) in [
            ("bootstrap_servers", &self.bootstrap_servers),
            ("group_id", &self.group_id),
            ("offset_storage_topic", &self.offset_storage_topic),
        ] {
            if value.trim().is_empty() {
                return Err(value_error(key, "is empty; it is required".to_owned()));
            }
        }
        if let (Some(listen), None) = (self.control.listen, &self.control.tls)
            && !listen.ip().is_loopback()
        {
            return Err(value_error(
                "control.tls",
                format!("is absent, and {listen} is not a loopback address; give ca, cert and key"),
            ));
        }
        for key in ["offset.flush.interval.ms", "offset.flush.timeout.ms", "task.shutdown.graceful.timeout.ms"] {
            self.millis(key, Duration::ZERO)?;
        }
        let key = "exactly.once.source.support";
        match self.get(key).map(str::to_ascii_lowercase).as_deref() {
            None | Some("disabled" | "preparing") => {}
            Some("enabled") if self.embedded_broker => {
                return Err(value_error(key, "is `enabled`, and the embedded broker has no transactions".to_owned()));
            }
            Some("enabled") => {}
            Some(other) => {
                return Err(value_error(key, format!("is `{other}`; expected disabled, preparing or enabled")));
            }
        }
        Ok(())
    }

    /// A Connect worker key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(|v| v.trim())
    }

    /// A Connect worker key in milliseconds.
    pub fn millis(&self, key: &str, default: Duration) -> Result<Duration, WorkerConfigError> {
        self.number(key)?.map_or(Ok(default), |n| Ok(Duration::from_millis(n)))
    }

    /// A Connect worker key that is a non-negative number.
    pub fn number(&self, key: &str) -> Result<Option<u64>, WorkerConfigError> {
        self.get(key)
            .map(|text| {
                text.parse().map_err(|_| value_error(key, format!("is `{text}`; a non-negative number is expected")))
            })
            .transpose()
    }

    /// Connect's `offset.flush.interval.ms`.
    pub fn offset_flush_interval(&self) -> Duration {
        self.millis("offset.flush.interval.ms", Duration::from_secs(60)).unwrap_or(Duration::from_secs(60))
    }

    /// Connect's `offset.flush.timeout.ms`.
    pub fn offset_flush_timeout(&self) -> Duration {
        self.millis("offset.flush.timeout.ms", Duration::from_secs(5)).unwrap_or(Duration::from_secs(5))
    }

    /// Connect's `task.shutdown.graceful.timeout.ms`.
    pub fn graceful_timeout(&self) -> Duration {
        self.millis("task.shutdown.graceful.timeout.ms", Duration::from_secs(5)).unwrap_or(Duration::from_secs(5))
    }

    /// Whether source tasks write records and offsets in transactions: Connect's `exactly.once.source.support` is
    /// `enabled`.
    pub fn exactly_once_sources(&self) -> bool {
        self.get("exactly.once.source.support").is_some_and(|v| v.eq_ignore_ascii_case("enabled"))
    }

    /// How long SIGTERM waits for the operator to move the units away.
    pub fn drain_timeout(&self) -> Duration {
        self.millis("shutdown.drain.timeout.ms", Duration::from_secs(20)).unwrap_or(Duration::from_secs(20))
    }

    /// After how long without this worker its units may run elsewhere.
    pub fn unreachable_delay(&self) -> Duration {
        Duration::from_millis(self.unreachable_delay_ms.unwrap_or(60_000))
    }

    /// Connect's `topic.creation.enable`, true when absent.
    pub fn topic_creation_enabled(&self) -> bool {
        self.get("topic.creation.enable").is_none_or(|v| !v.eq_ignore_ascii_case("false"))
    }

    /// The pod's name, or what stands for it.
    pub fn worker_name(&self) -> String {
        self.worker
            .clone()
            .or_else(|| std::env::var("POD_NAME").ok().filter(|v| !v.is_empty()))
            .unwrap_or_else(|| "worker".to_owned())
    }

    /// Connect's `worker_id`: where this worker's REST view answers.
    pub fn worker_id(&self) -> String {
        self.worker_id.clone().unwrap_or_else(|| {
            let port = self.http_listen.map_or(8083, |a| a.port());
            let name = self.worker_name();
            if self.cluster.is_empty() || self.namespace.is_empty() {
                format!("{name}:{port}")
            } else {
                format!("{name}.{}-connect.{}.svc:{port}", self.cluster, self.namespace)
            }
        })
    }
}

fn value_error(key: &str, message: String) -> WorkerConfigError {
    WorkerConfigError::Value { key: key.to_owned(), message }
}

/// Connect's values are strings, YAML's are typed: `5000` and `"5000"` mean the same here.
fn scalars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let raw = BTreeMap::<String, serde_yaml::Value>::deserialize(deserializer)?;
    raw.into_iter()
        .map(|(key, value)| {
            let text = match value {
                serde_yaml::Value::String(s) => s,
                serde_yaml::Value::Bool(b) => b.to_string(),
                serde_yaml::Value::Number(n) => n.to_string(),
                serde_yaml::Value::Null => String::new(),
                _ => return Err(de::Error::custom(format!("`{key}` has to be a string, a number or a boolean"))),
            };
            Ok((key, text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MINIMAL: &str = "{group_id: g, bootstrap_servers: 'k:9092', offset_storage_topic: o";

    fn parse(more: &str) -> Result<WorkerConfig, serde_yaml::Error> {
        serde_yaml::from_str(&format!("{MINIMAL}{more}}}"))
    }

    #[test]
    fn scalars_of_any_type_become_strings() {
        let config = parse(", config: {offset.flush.interval.ms: 500, topic.creation.enable: false}").unwrap();
        config.check().unwrap();
        assert_eq!(config.offset_flush_interval(), Duration::from_millis(500));
        assert!(!config.topic_creation_enabled());
        assert_eq!(config.graceful_timeout(), Duration::from_secs(5));
    }

    #[test]
    fn an_unknown_field_is_named() {
        let error = parse(", bootstrapServers: k").unwrap_err().to_string();
        assert!(error.contains("bootstrapServers"), "{error}");
    }

    #[test]
    fn plain_control_is_for_loopback_only() {
        assert!(parse(", control: {listen: '127.0.0.1:9443'}").unwrap().check().is_ok());
        let error = parse(", control: {listen: '0.0.0.0:9443'}").unwrap().check().unwrap_err().to_string();
        assert!(error.contains("control.tls"), "{error}");
    }

    #[test]
    fn a_bad_number_names_its_key() {
        let error = parse(", config: {offset.flush.timeout.ms: soon}").unwrap().check().unwrap_err().to_string();
        assert!(error.contains("offset.flush.timeout.ms") && error.contains("soon"), "{error}");
    }

    #[test]
    fn environment_variables_are_resolved_and_missing_ones_named() {
        let mut config = parse(", config: {consumer.client.rack: 'zone-${env:ZONE}'}").unwrap();
        let mut missing = config.clone();
        config.resolve_variables(|name| Some(name.to_lowercase())).unwrap();
        assert_eq!(config.get("consumer.client.rack"), Some("zone-zone"));
        let error = missing.resolve_variables(|_| None).unwrap_err().to_string();
        assert!(error.contains("consumer.client.rack") && error.contains("ZONE"), "{error}");
    }

    #[test]
    fn the_written_form_reads_back() {
        let mut config = parse(", config: {a: 1}").unwrap();
        config.control.listen = Some("127.0.0.1:1".parse().unwrap());
        let text = serde_yaml::to_string(&config).unwrap();
        assert_eq!(serde_yaml::from_str::<WorkerConfig>(&text).unwrap(), config);
    }
}
