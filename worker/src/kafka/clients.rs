//! Client settings: the worker's, overlaid by a connector's, over Connect's defaults.

use std::{collections::BTreeMap, fs, path::Path};

use barnabas_connect::{ConfigError, Error, RawConfig};
use rdkafka::ClientConfig;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::keys::{self, Client, KeyError, Translated};
use crate::config::{Security, WorkerConfig, WorkerConfigError};

/// Bytes of records that one source task may have handed to Kafka without an
/// acknowledgement: the Java producer's `buffer.memory`.
const BUFFER_KBYTES: &str = "32768";

/// Builds client settings for this worker.
#[derive(Clone, Debug)]
pub struct ClientFactory {
    bootstrap_servers: String,
    security: Security,
    /// Security and network keys of the worker itself: they apply to every client.
    common: BTreeMap<String, String>,
    producer: BTreeMap<String, String>,
    consumer: BTreeMap<String, String>,
    admin: BTreeMap<String, String>,
    client_id: String,
    policy: OverridePolicy,
    /// The embedded broker has neither transactions nor idempotence.
    pub embedded: bool,
    /// The worker's `exactly.once.source.support` is `enabled`.
    pub exactly_once_sources: bool,
    /// Calls of the worker's own clients, and clients that say goodbye to their broker.
    at_work: TaskTracker,
}

/// Which client keys a connector may override (`connector.client.config.override.policy`).
#[derive(Clone, Debug, PartialEq)]
enum OverridePolicy {
    All,
    None,
    /// KIP-458's Principal policy: credentials only.
    Principal,
    /// KIP-1188.
    Allowlist(Vec<String>),
}

impl OverridePolicy {
    fn parse(config: &WorkerConfig) -> Result<Self, WorkerConfigError> {
        const KEY: &str = "connector.client.config.override.policy";
        let class = config.get(KEY).unwrap_or("All");
        let simple = class.rsplit('.').next().unwrap_or(class);
        match simple.trim_end_matches("ConnectorClientConfigOverridePolicy") {
            "All" => Ok(Self::All),
            "None" => Ok(Self::None),
            "Principal" => Ok(Self::Principal),
            "Allowlist" => {
                let list = config.get("connector.client.config.override.allowlist").unwrap_or_default();
                Ok(Self::Allowlist(list.split(',').map(|s| s.trim().to_owned()).collect()))
            }
            _ => Err(WorkerConfigError::Value {
                key: KEY.into(),
                message: format!("is `{class}`; expected All, None, Principal or Allowlist"),
            }),
        }
    }

    fn allows(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Principal => ["sasl.jaas.config", "sasl.mechanism", "security.protocol"].contains(&key),
            Self::Allowlist(list) => list.iter().any(|k| k == key),
        }
    }
}

/// Settings for one client, and what the worker itself has to respect.
#[derive(Clone)]
pub struct Settings {
    /// What librdkafka gets. Holds secrets: never printed.
    pub rdkafka: ClientConfig,
    /// Java's `max.poll.records`.
    pub max_poll_records: usize,
}

impl ClientFactory {
    /// Checks the worker's own client keys and remembers them.
    pub fn new(config: &WorkerConfig) -> Result<Self, WorkerConfigError> {
        let prefixed = |prefix: &str| -> BTreeMap<String, String> {
            config.config.iter().filter_map(|(k, v)| Some((k.strip_prefix(prefix)?.to_owned(), v.clone()))).collect()
        };
        let common: BTreeMap<_, _> = config
            .config
            .iter()
            .filter(|(k, _)| {
                k.starts_with("ssl.") || k.starts_with("sasl.") || *k == "security.protocol" || *k == "client.rack"
            })
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let factory = Self {
            bootstrap_servers: config.bootstrap_servers.clone(),
            security: config.security.clone(),
            common,
            producer: prefixed("producer."),
            consumer: prefixed("consumer."),
            admin: prefixed("admin."),
            client_id: config.worker_name(),
            policy: OverridePolicy::parse(config)?,
            embedded: config.embedded_broker,
            exactly_once_sources: config.exactly_once_sources(),
            at_work: TaskTracker::new(),
        };
        for (client, prefix, keys) in [
            (Client::Admin, "", &factory.common),
            (Client::Producer, "producer.", &factory.producer),
            (Client::Consumer, "consumer.", &factory.consumer),
            (Client::Admin, "admin.", &factory.admin),
        ] {
            keys::translate(client, keys).map_err(|errors| {
                let KeyError { key, message, .. } = errors.into_iter().next().unwrap_or(KeyError {
                    key: String::new(),
                    message: String::new(),
                    forbidden: false,
                });
                WorkerConfigError::Value { key: format!("{prefix}{key}"), message }
            })?;
        }
        Ok(factory)
    }

    /// Makes a blocking call with one of the worker's own clients.
    pub fn blocking<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.at_work.spawn_blocking(call)
    }

    /// Drops one of the worker's own clients, which blocks.
    pub fn close<T: Send + 'static>(&self, client: T) {
        drop(self.blocking(move || drop(client)));
    }

    /// Waits until none of the worker's own clients is at work: a broker that went before them would make them complain.
    pub async fn closed(&self) {
        self.at_work.close();
        self.at_work.wait().await;
    }

    /// Where the cluster's Kafka is, for messages.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Checks a connector's `*.override.*` keys without reaching Kafka.
    pub fn validate_overrides(&self, connector: &RawConfig) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        for client in [Client::Producer, Client::Consumer, Client::Admin] {
            let prefix = format!("{}.override.", client.name());
            let mut overrides = overrides(connector, client);
            let refused: Vec<_> = overrides.keys().filter(|k| !self.policy.allows(k)).cloned().collect();
            for key in refused {
                overrides.remove(&key);
                errors.push(ConfigError::new(
                    format!("{prefix}{key}"),
                    "ForbiddenKey",
                    format!("`{prefix}{key}` is not allowed by connector.client.config.override.policy of the cluster"),
                ));
            }
            // Stores and types come in pairs that the worker's and the connector's keys may share.
            let mut all = self.java(client);
            all.extend(overrides.clone());
            let bad = match keys::translate(client, &all) {
                Ok(translated) => check_with_librdkafka(&translated, &overrides),
                Err(bad) => bad,
            };
            for error in bad.into_iter().filter(|e| overrides.contains_key(&e.key)) {
                errors.push(ConfigError::new(
                    format!("{prefix}{}", error.key),
                    if error.forbidden { "ForbiddenKey" } else { "InvalidValue" },
                    error.message.replace(&format!("`{}`", error.key), &format!("`{prefix}{}`", error.key)),
                ));
            }
        }
        errors
    }

    /// Settings for a task's record producer, with the defaults that Connect gives it.
    pub fn producer(&self, connector: &RawConfig, client_id: &str) -> Result<Settings, Error> {
        let mut defaults = vec![
            ("acks", "-1"),
            ("partitioner", "murmur2_random"),
            // Connect waits for Kafka as long as it takes (delivery.timeout.ms = Integer.MAX_VALUE).
            ("message.timeout.ms", "0"),
            ("queue.buffering.max.kbytes", BUFFER_KBYTES),
            // Bounds what librdkafka spends per message on top of its bytes (about 200 bytes each).
            ("queue.buffering.max.messages", "250000"),
            // Java's linger.ms of 0 sends what is there; librdkafka needs a moment to see a batch at all.
            ("linger.ms", "5"),
        ];
        if !self.embedded {
            defaults.push(("enable.idempotence", "true"));
        }
        self.settings(Client::Producer, &defaults, Some(connector), client_id)
    }

    /// Settings for a task's record producer with exactly-once support (KIP-618).
    pub fn transactional_producer(
        &self,
        connector: &RawConfig,
        client_id: &str,
        transactional_id: &str,
    ) -> Result<Settings, Error> {
        let mut settings = self.producer(connector, client_id)?;
        let config = &mut settings.rdkafka;
        config.set("enable.idempotence", "true").set("acks", "-1").set("transactional.id", transactional_id);
        // Each transaction waits for its last batch.
        if connector.get("producer.override.linger.ms").is_none() && !self.producer.contains_key("linger.ms") {
            config.set("linger.ms", "1");
        }
        // librdkafka wants a record to expire before its transaction does.
        let timeout = config.get("transaction.timeout.ms").unwrap_or("60000").to_owned();
        config.remove("delivery.timeout.ms");
        config.set("message.timeout.ms", &timeout).set("transaction.timeout.ms", timeout);
        Ok(settings)
    }

    /// Settings for the producer that writes source offsets.
    pub fn offsets_producer(
        &self,
        connector: &RawConfig,
        client_id: &str,
        transactional_id: Option<&str>,
        timeout_ms: u128,
    ) -> Result<Settings, Error> {
        let mut settings = self.producer(connector, client_id)?;
        let config = &mut settings.rdkafka;
        config.set("linger.ms", "0").set("queue.buffering.max.kbytes", "8192");
        match transactional_id {
            Some(id) => {
                // Long enough to outlive a broker's restart, short enough for readers that wait for it.
                let timeout = "60000";
                config.set("enable.idempotence", "true").set("acks", "-1").set("transactional.id", id);
                config.remove("message.timeout.ms").remove("delivery.timeout.ms");
                config.set("transaction.timeout.ms", timeout).set("message.timeout.ms", timeout);
            }
            None => _ = config.set("message.timeout.ms", timeout_ms.max(1000).to_string()),
        }
        Ok(settings)
    }

    /// Settings for a sink task's consumer.
    pub fn consumer(&self, connector: &RawConfig, group: &str, client_id: &str) -> Result<Settings, Error> {
        // The embedded broker is in this process, where a question costs nothing: it is asked often, so that a sink finds
        // its topic, and its place in its group, within a second of their being there.
        let (heartbeat, refresh) = if self.embedded { ("500", "500") } else { ("3000", "10000") };
        let defaults = [
            ("group.id", group),
            ("auto.offset.reset", "earliest"),
            // librdkafka's own default is read_committed, Java's is not.
            ("isolation.level", "read_uncommitted"),
            // Java's 45 s are what a killed worker's partitions wait for; 10 s were its default before Kafka 3.0.
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", heartbeat),
            ("max.poll.interval.ms", "300000"),
            // What is fetched ahead of the task, for all partitions: librdkafka's default is 64 MiB.
            ("queued.max.messages.kbytes", "16384"),
            ("fetch.max.bytes", "16777216"),
            // A subscribed topic that appears later is found after this long; Java's consumer looks at every poll.
            ("topic.metadata.refresh.interval.ms", refresh),
            ("allow.auto.create.topics", "true"),
            ("statistics.interval.ms", "5000"),
        ];
        let mut settings = self.settings(Client::Consumer, &defaults, Some(connector), client_id)?;
        // In the new group protocol (KIP-848) the broker decides these.
        if settings.rdkafka.get("group.protocol").is_some_and(|protocol| protocol.eq_ignore_ascii_case("consumer")) {
            for key in ["session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"] {
                settings.rdkafka.remove(key);
            }
        }
        settings.rdkafka.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        Ok(settings)
    }

    /// Settings for a consumer that reads a whole internal topic, or looks up offsets and metadata.
    pub fn reader(&self, group: &str, client_id: &str, committed: bool) -> Result<Settings, Error> {
        let defaults = [
            ("group.id", group),
            ("isolation.level", if committed { "read_committed" } else { "read_uncommitted" }),
            ("auto.offset.reset", "earliest"),
            ("enable.partition.eof", "true"),
            ("queued.max.messages.kbytes", "8192"),
            ("fetch.max.bytes", "8388608"),
            ("fetch.wait.max.ms", "100"),
        ];
        let mut settings = self.settings(Client::Consumer, &defaults, None, client_id)?;
        settings.rdkafka.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        // A member name or an assignor of the tasks' consumers has no meaning here.
        settings.rdkafka.remove("group.instance.id").remove("partition.assignment.strategy").remove("group.protocol");
        Ok(settings)
    }

    /// Settings for an admin client.
    pub fn admin(&self, connector: Option<&RawConfig>, client_id: &str) -> Result<Settings, Error> {
        self.settings(Client::Admin, &[], connector, client_id)
    }

    /// The group that a sink connector's tasks consume in: `connect-<name>` unless overridden.
    pub fn consumer_group(&self, connector: &RawConfig, name: &str) -> String {
        connector
            .get("consumer.override.group.id")
            .or_else(|| self.consumer.get("group.id"))
            .map_or_else(|| format!("connect-{name}"), |g| g.trim().to_owned())
    }

    /// The worker's own keys for a client.
    fn java(&self, client: Client) -> BTreeMap<String, String> {
        let own = match client {
            Client::Producer => &self.producer,
            Client::Consumer => &self.consumer,
            Client::Admin => &self.admin,
        };
        self.common.iter().chain(own).map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Settings for a client of this kind: `defaults`, under the worker's keys, under the connector's.
    pub(super) fn settings(
        &self,
        client: Client,
        defaults: &[(&str, &str)],
        connector: Option<&RawConfig>,
        client_id: &str,
    ) -> Result<Settings, Error> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config.set("client.id", if client_id.is_empty() { &self.client_id } else { client_id });
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        self.authenticate(&mut config)?;
        let mut java = self.java(client);
        java.extend(connector.map(|c| overrides(c, client)).unwrap_or_default());
        let translated = keys::translate(client, &java)
            .map_err(|errors| Error::config(errors.into_iter().map(|e| e.message).collect::<Vec<_>>().join("; ")))?;
        for (key, value) in &translated.rdkafka {
            // A response has to fit; librdkafka allows 100 MB unless told.
            if let ("fetch.max.bytes", Ok(bytes)) = (key.as_str(), value.parse::<u64>()) {
                config.set("receive.message.max.bytes", (bytes + 1024).clamp(100_000_000, 2_147_483_647).to_string());
            }
            // Both names are one setting to librdkafka; the one set last wins, whatever the order here.
            if key == "delivery.timeout.ms" {
                config.remove("message.timeout.ms");
            }
            config.set(key, value);
        }
        Ok(Settings { rdkafka: config, max_poll_records: translated.max_poll_records.unwrap_or(500) })
    }

    /// The cluster's credentials, read from the mounted files.
    fn authenticate(&self, config: &mut ClientConfig) -> Result<(), Error> {
        let security = &self.security;
        if let Some(protocol) = &security.protocol {
            config.set("security.protocol", protocol.to_ascii_lowercase());
        }
        if let Some(mechanism) = &security.sasl_mechanism {
            config.set("sasl.mechanism", mechanism);
        }
        if let Some(username) = &security.username {
            config.set("sasl.username", username);
        }
        if let Some(path) = &security.password_file {
            config.set("sasl.password", read(path)?.trim_end_matches(['\r', '\n']));
        }
        if !security.ca_files.is_empty() {
            let mut pem = String::new();
            for path in &security.ca_files {
                pem.push_str(read(path)?.trim());
                pem.push('\n');
            }
            config.set("ssl.ca.pem", pem);
        }
        if let Some(path) = &security.cert_file {
            config.set("ssl.certificate.pem", read(path)?);
        }
        if let Some(path) = &security.key_file {
            config.set("ssl.key.pem", read(path)?);
        }
        if let Some(algorithm) = &security.endpoint_identification_algorithm {
            let value = if algorithm.is_empty() { "none" } else { algorithm };
            config.set("ssl.endpoint.identification.algorithm", value.to_ascii_lowercase());
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| {
        Error::retriable(format!("cannot read {} for Kafka: {error}", path.display())).with_reason("KafkaUnreachable")
    })
}

/// A connector's own keys for a client, without their prefix.
pub(super) fn overrides(connector: &RawConfig, client: Client) -> BTreeMap<String, String> {
    let prefix = format!("{}.override.", client.name());
    connector.iter().filter_map(|(k, v)| Some((k.strip_prefix(&prefix)?.to_owned(), v.clone()))).collect()
}

/// librdkafka knows the range of each of its values; asking it costs nothing.
fn check_with_librdkafka(translated: &Translated, overrides: &BTreeMap<String, String>) -> Vec<KeyError> {
    let mut errors = Vec::new();
    for (key, value) in &translated.rdkafka {
        if key.starts_with("ssl.") || key.starts_with("sasl.") {
            continue; // Files and secrets: checked when a client is built.
        }
        let mut config = ClientConfig::new();
        config.set(key, value);
        if let Err(rdkafka::error::KafkaError::ClientConfig(_, description, _, _)) = config.create_native_config() {
            // Where the name was translated, the user's own name is the one that has that value's meaning.
            let java = if overrides.contains_key(key) { key.clone() } else { java_name(key).to_owned() };
            let message = format!("`{java}` is `{value}`, which the Kafka client refuses: {description}");
            errors.push(KeyError { key: java, message, forbidden: false });
        }
    }
    errors
}

fn java_name(rdkafka: &str) -> &str {
    match rdkafka {
        "queue.buffering.max.kbytes" => "buffer.memory",
        "message.max.bytes" => "max.request.size",
        "fetch.wait.max.ms" => "fetch.max.wait.ms",
        "socket.timeout.ms" => "request.timeout.ms",
        "topic.metadata.refresh.interval.ms" => "metadata.max.age.ms",
        "socket.send.buffer.bytes" => "send.buffer.bytes",
        "socket.receive.buffer.bytes" => "receive.buffer.bytes",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn worker(config: &[(&str, &str)]) -> WorkerConfig {
        WorkerConfig {
            bootstrap_servers: "k:9092".into(),
            config: config.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            ..WorkerConfig::default()
        }
    }

    fn connector(pairs: &[(&str, &str)]) -> RawConfig {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn a_connector_overrides_the_worker_which_overrides_the_default() {
        let factory = ClientFactory::new(&worker(&[("producer.linger.ms", "7"), ("producer.acks", "all")])).unwrap();
        let get = |c: &RawConfig| factory.producer(c, "t").unwrap().rdkafka.get("linger.ms").unwrap().to_owned();
        assert_eq!(get(&connector(&[])), "7");
        assert_eq!(get(&connector(&[("producer.override.linger.ms", "9")])), "9");
    }

    #[test]
    fn a_bad_worker_key_is_named_with_its_prefix() {
        let error = ClientFactory::new(&worker(&[("consumer.fetch.min.byte", "1")])).unwrap_err().to_string();
        assert!(error.contains("consumer.fetch.min.byte"), "{error}");
    }

    #[test]
    fn bad_overrides_are_named_as_the_user_wrote_them() {
        let factory = ClientFactory::new(&worker(&[])).unwrap();
        let errors = factory.validate_overrides(&connector(&[
            ("producer.override.key.serializer", "x"),
            ("producer.override.linger.ms", "soon"),
            ("producer.override.max.request.size", "99999999999"),
            ("consumer.override.nonsense", "1"),
            ("consumer.override.max.poll.records", "5000"),
        ]));
        let keys: Vec<_> = errors.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, ["producer.override.key.serializer", "consumer.override.nonsense"]);
        assert_eq!(errors[0].reason, "ForbiddenKey");
        let errors = factory.validate_overrides(&connector(&[
            ("producer.override.linger.ms", "soon"),
            ("producer.override.max.request.size", "99999999999"),
        ]));
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors.iter().any(|e| e.message.contains("`producer.override.max.request.size`")), "{errors:?}");
    }

    #[test]
    fn the_policy_limits_what_may_be_overridden() {
        let overrides = connector(&[("producer.override.linger.ms", "5")]);
        for (policy, allowed) in [("All", true), ("None", false), ("Principal", false), ("Allowlist", true)] {
            let factory = ClientFactory::new(&worker(&[
                ("connector.client.config.override.policy", policy),
                ("connector.client.config.override.allowlist", "acks, linger.ms"),
            ]))
            .unwrap();
            assert_eq!(factory.validate_overrides(&overrides).is_empty(), allowed, "{policy}");
        }
    }

    #[test]
    fn the_group_is_connects_own_unless_overridden() {
        let factory = ClientFactory::new(&worker(&[])).unwrap();
        assert_eq!(factory.consumer_group(&connector(&[]), "sink"), "connect-sink");
        assert_eq!(factory.consumer_group(&connector(&[("consumer.override.group.id", "g")]), "sink"), "g");
    }

    #[test]
    fn a_consumer_of_the_embedded_broker_looks_often_unless_it_is_told_otherwise() {
        let of = |embedded: bool, pairs: &[(&str, &str)]| {
            let config = WorkerConfig { embedded_broker: embedded, ..worker(&[]) };
            let settings = ClientFactory::new(&config).unwrap().consumer(&connector(pairs), "g", "c").unwrap().rdkafka;
            ["heartbeat.interval.ms", "topic.metadata.refresh.interval.ms"]
                .map(|key| settings.get(key).unwrap().parse::<u32>().unwrap())
        };
        assert_eq!(of(false, &[]), [3000, 10_000]);
        assert!(of(true, &[]).iter().all(|ms| *ms <= 1000), "{:?}", of(true, &[]));
        assert_eq!(of(true, &[("consumer.override.metadata.max.age.ms", "7000")])[1], 7000);
    }

    #[test]
    fn the_password_comes_from_its_file_without_the_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, "secret\n").unwrap();
        let mut config = worker(&[]);
        config.security.password_file = Some(path.clone());
        let factory = ClientFactory::new(&config).unwrap();
        assert_eq!(factory.admin(None, "").unwrap().rdkafka.get("sasl.password"), Some("secret"));
        fs::write(&path, "rotated").unwrap();
        assert_eq!(factory.admin(None, "").unwrap().rdkafka.get("sasl.password"), Some("rotated"));
    }
}
