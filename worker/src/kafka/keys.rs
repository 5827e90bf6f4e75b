//! Java client keys in librdkafka's words.
//!
//! Users write the Java client's configuration (`producer.override.linger.ms`,
//! `consumer.fetch.min.bytes`). Every key is either translated, or known to have
//! no effect here, or handled by the worker itself, or refused by name: none is
//! dropped in silence.

use std::collections::BTreeMap;

use barnabas_connect::jaas;

/// Which client a key is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Client {
    /// Java's KafkaProducer.
    Producer,
    /// Java's KafkaConsumer.
    Consumer,
    /// Java's Admin.
    Admin,
}

impl Client {
    /// `producer`, `consumer` or `admin`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
            Self::Admin => "admin",
        }
    }
}

/// librdkafka settings, and the few keys that the worker acts on itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Translated {
    /// librdkafka's keys and values.
    pub rdkafka: BTreeMap<String, String>,
    /// Java's `max.poll.records`: records in one `put`.
    pub max_poll_records: Option<usize>,
}

/// A client key that cannot be honoured.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyError {
    /// The key without its `producer.override.` or other prefix.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// The key may not be set at all, whatever its value.
    pub forbidden: bool,
}

/// Translates a whole set of Java client keys.
///
/// Keys depend on each other (`ssl.truststore.type` says what
/// `ssl.truststore.location` is), so a set is translated at once.
pub fn translate(client: Client, java: &BTreeMap<String, String>) -> Result<Translated, Vec<KeyError>> {
    let mut out = Translated::default();
    let mut errors = Vec::new();
    for (key, value) in java {
        if let Err(error) = one(client, key, value.trim(), java, &mut out) {
            errors.push(error);
        }
    }
    // The Java producer gives up idempotence, unless asked for, when `acks` makes it impossible.
    if client == Client::Producer
        && let Some(acks) = out.rdkafka.get("acks").filter(|a| *a != "-1" && *a != "all")
    {
        match java.get("enable.idempotence").map(|v| v.trim()) {
            Some("true") => errors.push(invalid("acks", acks, "`all`, because enable.idempotence=true")),
            _ => _ = out.rdkafka.insert("enable.idempotence".into(), "false".into()),
        }
    }
    if errors.is_empty() { Ok(out) } else { Err(errors) }
}

fn invalid(key: &str, value: &str, expected: &str) -> KeyError {
    KeyError { key: key.into(), message: format!("`{key}` is `{value}`; expected {expected}"), forbidden: false }
}

fn unsupported(key: &str, why: &str) -> KeyError {
    KeyError { key: key.into(), message: format!("`{key}` is not supported: {why}"), forbidden: false }
}

fn forbidden(key: &str, why: &str) -> KeyError {
    KeyError { key: key.into(), message: format!("`{key}` must not be set: {why}"), forbidden: true }
}

/// Keys that mean the same to librdkafka, for every client.
const SAME: &[&str] = &[
    "bootstrap.servers",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "connections.max.idle.ms",
    "enable.metrics.push",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.kerberos.service.name",
    "socket.connection.setup.timeout.ms",
    "ssl.key.password",
];

const SAME_PRODUCER: &[&str] = &[
    "delivery.timeout.ms",
    "enable.idempotence",
    "linger.ms",
    "max.in.flight.requests.per.connection",
    "request.timeout.ms",
    "retries",
    "transaction.timeout.ms",
];

const SAME_CONSUMER: &[&str] = &[
    "allow.auto.create.topics",
    "check.crcs",
    "fetch.max.bytes",
    "fetch.min.bytes",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "session.timeout.ms",
];

/// Keys that configure a part that exists in the Java client alone, or that the
/// worker does better without being told: accepted, without effect.
const NO_EFFECT: &[&str] = &[
    "auto.include.jmx.reporter",
    "default.api.timeout.ms",
    "max.block.ms",
    "metadata.max.idle.ms",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.availability.timeout.ms",
    "socket.connection.setup.timeout.max.ms",
];

/// Keys that are accepted at the Java default only, because nothing else can be honoured.
const DEFAULT_ONLY: &[(&str, &str)] = &[
    ("exclude.internal.topics", "true"),
    ("partitioner.ignore.keys", "false"),
    ("interceptor.classes", ""),
    ("metric.reporters", ""),
    ("ssl.keymanager.algorithm", "SunX509"),
    ("ssl.trustmanager.algorithm", "PKIX"),
    ("ssl.protocol", "TLSv1.3"),
    ("ssl.enabled.protocols", "TLSv1.2,TLSv1.3"),
    ("security.providers", ""),
];

fn one(
    client: Client,
    key: &str,
    value: &str,
    all: &BTreeMap<String, String>,
    out: &mut Translated,
) -> Result<(), KeyError> {
    let mut set = |k: &str, v: &str| {
        out.rdkafka.insert(k.to_owned(), v.to_owned());
        Ok(())
    };
    let same = SAME.contains(&key)
        || (client == Client::Producer && SAME_PRODUCER.contains(&key))
        || (client == Client::Consumer && SAME_CONSUMER.contains(&key));
    if same {
        return set(key, value);
    }
    if NO_EFFECT.contains(&key) {
        return Ok(());
    }
    if let Some((_, default)) = DEFAULT_ONLY.iter().find(|(k, _)| *k == key) {
        return if value.replace(' ', "") == *default {
            Ok(())
        } else {
            Err(invalid(key, value, &format!("`{default}`, the only value that can be honoured")))
        };
    }
    match (client, key) {
        (_, "security.protocol") => {
            let lower = value.to_ascii_lowercase();
            if !["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"].contains(&lower.as_str()) {
                return Err(invalid(key, value, "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"));
            }
            set(key, &lower)
        }
        (_, "sasl.mechanism") => match value {
            "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" => set(key, value),
            _ => Err(invalid(key, value, "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")),
        },
        (_, "sasl.jaas.config") => {
            let login = jaas::parse(value).map_err(|message| KeyError {
                key: key.into(),
                message: format!("`{key}` {message}"),
                forbidden: false,
            })?;
            set("sasl.username", &login.username)?;
            set("sasl.password", &login.password)
        }
        (_, "ssl.endpoint.identification.algorithm") => match value.to_ascii_lowercase().as_str() {
            "" => set(key, "none"),
            "https" => set(key, "https"),
            _ => Err(invalid(key, value, "`https`, or nothing to not check the broker's name")),
        },
        (_, "ssl.truststore.type") => pem_only(key, value),
        (_, "ssl.truststore.location") => {
            needs_pem(all, "ssl.truststore.type")?;
            set("ssl.ca.location", value)
        }
        (_, "ssl.truststore.certificates") => set("ssl.ca.pem", value),
        (_, "ssl.truststore.password") => Err(unsupported(key, "a PEM trust store has no password")),
        (_, "ssl.keystore.type") => match value {
            "PEM" | "PKCS12" => Ok(()),
            _ => Err(invalid(key, value, "PEM or PKCS12")),
        },
        (_, "ssl.keystore.location") => match all.get("ssl.keystore.type").map(|v| v.trim()) {
            Some("PKCS12") => set("ssl.keystore.location", value),
            Some("PEM") => {
                set("ssl.certificate.location", value)?;
                set("ssl.key.location", value)
            }
            _ => Err(unsupported(key, "JKS needs a JVM; set ssl.keystore.type to PEM or PKCS12")),
        },
        (_, "ssl.keystore.password") => match all.get("ssl.keystore.type").map(|v| v.trim()) {
            Some("PKCS12") => set(key, value),
            _ => Err(unsupported(key, "only a PKCS12 key store has a password; for a PEM key use ssl.key.password")),
        },
        (_, "ssl.keystore.key") => set("ssl.key.pem", value),
        (_, "ssl.keystore.certificate.chain") => set("ssl.certificate.pem", value),
        (_, "metadata.max.age.ms") => {
            set("topic.metadata.refresh.interval.ms", value)?;
            set("metadata.max.age.ms", value)
        }
        // Java's -1 means the system's default, librdkafka's 0 does.
        (_, "send.buffer.bytes") => set("socket.send.buffer.bytes", if value == "-1" { "0" } else { value }),
        (_, "receive.buffer.bytes") => set("socket.receive.buffer.bytes", if value == "-1" { "0" } else { value }),
        (Client::Consumer | Client::Admin, "request.timeout.ms") => set("socket.timeout.ms", value),
        (Client::Admin, "retries") => Ok(()),

        (Client::Producer, "acks") => match value {
            "all" | "-1" => set(key, "-1"),
            "0" | "1" => set(key, value),
            _ => Err(invalid(key, value, "all, -1, 0 or 1")),
        },
        // Java counts the bytes of one partition's batch, librdkafka those of one MessageSet: the same thing.
        (Client::Producer, "batch.size") => set(key, &number(key, value)?.max(1).to_string()),
        (Client::Producer, "buffer.memory") => {
            set("queue.buffering.max.kbytes", &number(key, value)?.div_ceil(1024).max(1).to_string())
        }
        (Client::Producer, "max.request.size") => set("message.max.bytes", &number(key, value)?.max(1000).to_string()),
        (Client::Producer, "compression.type") => match value {
            "none" | "gzip" | "snappy" | "lz4" | "zstd" => set(key, value),
            _ => Err(invalid(key, value, "none, gzip, snappy, lz4 or zstd")),
        },
        (Client::Producer, "compression.gzip.level" | "compression.lz4.level" | "compression.zstd.level") => {
            let codec = key.trim_start_matches("compression.").trim_end_matches(".level");
            // The level of another codec than the chosen one has no effect in Java either.
            if all.get("compression.type").map(|v| v.trim()) == Some(codec) {
                set("compression.level", value)
            } else {
                Ok(())
            }
        }
        (Client::Producer, "partitioner.class") => match value.rsplit('.').next().unwrap_or_default() {
            "" | "DefaultPartitioner" | "BuiltInPartitioner" => Ok(()),
            "RoundRobinPartitioner" => Err(unsupported(key, "there is no round robin partitioner; leave it out")),
            _ => Err(unsupported(key, "partitioner classes need a JVM; leave it out for Kafka's default")),
        },
        (Client::Producer, "transactional.id") => {
            Err(forbidden(key, "the worker derives it from group.id, connector and task"))
        }
        (Client::Producer, "key.serializer" | "value.serializer") => {
            Err(forbidden(key, "records are serialised by the connector's converters"))
        }
        (Client::Consumer, "key.deserializer" | "value.deserializer") => {
            Err(forbidden(key, "records are deserialised by the connector's converters"))
        }
        (Client::Consumer, "enable.auto.commit") => match value {
            "false" => Ok(()),
            _ => Err(forbidden(key, "offsets are committed when the connector has confirmed the records")),
        },
        (Client::Consumer, "auto.commit.interval.ms") => Ok(()),
        (Client::Consumer, "auto.offset.reset") => match value {
            "earliest" | "latest" => set(key, value),
            "none" => set(key, "error"),
            _ => Err(invalid(key, value, "earliest, latest or none")),
        },
        (Client::Consumer, "fetch.max.wait.ms") => set("fetch.wait.max.ms", value),
        (Client::Consumer, "max.poll.records") => {
            out.max_poll_records = Some(number(key, value)?.max(1) as usize);
            Ok(())
        }
        (Client::Consumer, "partition.assignment.strategy") => {
            let names = value
                .split(',')
                .map(|class| match class.trim().rsplit('.').next().unwrap_or_default() {
                    "RangeAssignor" => Ok("range"),
                    "RoundRobinAssignor" => Ok("roundrobin"),
                    "CooperativeStickyAssignor" => Ok("cooperative-sticky"),
                    _ => Err(invalid(key, value, "RangeAssignor, RoundRobinAssignor or CooperativeStickyAssignor")),
                })
                .collect::<Result<Vec<_>, _>>()?;
            // librdkafka cannot mix eager and cooperative assignors; Java's default list
            // (range, cooperative-sticky) behaves eagerly until every member has moved on.
            let eager: Vec<_> = names.iter().copied().filter(|n| *n != "cooperative-sticky").collect();
            set(key, &if eager.is_empty() { "cooperative-sticky".to_owned() } else { eager.join(",") })
        }
        _ => Err(KeyError {
            key: key.into(),
            message: format!("`{key}` is not a {} key that Barnabas knows", client.name()),
            forbidden: false,
        }),
    }
}

fn number(key: &str, value: &str) -> Result<u64, KeyError> {
    value.parse().map_err(|_| invalid(key, value, "a non-negative number"))
}

fn pem_only(key: &str, value: &str) -> Result<(), KeyError> {
    if value == "PEM" { Ok(()) } else { Err(invalid(key, value, "PEM; JKS and PKCS12 trust stores need a JVM")) }
}

fn needs_pem(all: &BTreeMap<String, String>, type_key: &str) -> Result<(), KeyError> {
    match all.get(type_key) {
        Some(_) => Ok(()), // checked under its own key
        None => Err(unsupported(type_key, "its default is JKS, which needs a JVM; set it to PEM")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn java(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    fn ok(client: Client, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        translate(client, &java(pairs)).unwrap().rdkafka.into_iter().collect()
    }

    fn err(client: Client, pairs: &[(&str, &str)]) -> Vec<KeyError> {
        translate(client, &java(pairs)).unwrap_err()
    }

    #[test]
    fn sizes_and_names_are_translated() {
        assert_eq!(
            ok(
                Client::Producer,
                &[("buffer.memory", "33554433"), ("max.request.size", "2000000"), ("linger.ms", "5"), ("acks", "all")]
            ),
            [
                ("acks".into(), "-1".into()),
                ("linger.ms".into(), "5".into()),
                ("message.max.bytes".into(), "2000000".into()),
                ("queue.buffering.max.kbytes".into(), "32769".into()),
            ]
        );
        assert_eq!(
            ok(Client::Consumer, &[("fetch.max.wait.ms", "7"), ("request.timeout.ms", "9")]),
            [("fetch.wait.max.ms".into(), "7".into()), ("socket.timeout.ms".into(), "9".into())]
        );
    }

    #[test]
    fn every_translated_key_exists_in_librdkafka() {
        // Asking librdkafka itself: a typo on the right-hand side would only show in production.
        for (client, key, value) in [
            (Client::Producer, "metadata.max.age.ms", "1000"),
            (Client::Producer, "send.buffer.bytes", "-1"),
            (Client::Producer, "receive.buffer.bytes", "1024"),
            (Client::Producer, "compression.type", "zstd"),
            (Client::Producer, "batch.size", "0"),
            (Client::Consumer, "auto.offset.reset", "none"),
            (Client::Consumer, "request.timeout.ms", "3000"),
            (Client::Consumer, "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor"),
            (Client::Admin, "ssl.endpoint.identification.algorithm", ""),
        ]
        .into_iter()
        .chain(SAME_PRODUCER.iter().map(|k| (Client::Producer, *k, sample(k))))
        .chain(SAME_CONSUMER.iter().map(|k| (Client::Consumer, *k, sample(k))))
        .chain(SAME.iter().map(|k| (Client::Admin, *k, sample(k))))
        {
            let mut config = rdkafka::ClientConfig::new();
            for (k, v) in ok(client, &[(key, value)]) {
                config.set(k, v);
            }
            config.create_native_config().unwrap_or_else(|e| panic!("{key}: {e}"));
        }
    }

    fn sample(key: &str) -> &'static str {
        match key {
            "client.dns.lookup" => "use_all_dns_ips",
            "metadata.recovery.strategy" => "none",
            "enable.metrics.push" | "enable.idempotence" | "allow.auto.create.topics" | "check.crcs" => "true",
            "isolation.level" => "read_committed",
            "group.protocol" => "classic",
            "max.in.flight.requests.per.connection" => "5",
            _ => "60000",
        }
    }

    #[test]
    fn acks_without_all_gives_up_idempotence_as_java_does() {
        let out = translate(Client::Producer, &java(&[("acks", "1")])).unwrap();
        assert_eq!(out.rdkafka["enable.idempotence"], "false");
        assert_eq!(err(Client::Producer, &[("acks", "1"), ("enable.idempotence", "true")])[0].key, "acks");
    }

    #[test]
    fn stores_are_pem() {
        assert_eq!(
            ok(Client::Admin, &[("ssl.truststore.type", "PEM"), ("ssl.truststore.location", "/ca.pem")]),
            [("ssl.ca.location".into(), "/ca.pem".into())]
        );
        assert!(err(Client::Admin, &[("ssl.truststore.location", "/ca.jks")])[0].message.contains("PEM"));
        assert!(
            err(Client::Admin, &[("ssl.keystore.type", "JKS"), ("ssl.keystore.location", "/k")])
                .iter()
                .any(|e| e.message.contains("PKCS12"))
        );
        assert_eq!(
            ok(Client::Admin, &[("ssl.keystore.type", "PEM"), ("ssl.keystore.location", "/k.pem")]),
            [("ssl.certificate.location".into(), "/k.pem".into()), ("ssl.key.location".into(), "/k.pem".into())]
        );
    }

    #[test]
    fn max_poll_records_is_the_workers_own() {
        let out = translate(Client::Consumer, &java(&[("max.poll.records", "5000")])).unwrap();
        assert_eq!((out.max_poll_records, out.rdkafka.len()), (Some(5000), 0));
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        for (client, key) in [
            (Client::Producer, "key.serializer"),
            (Client::Producer, "transactional.id"),
            (Client::Consumer, "value.deserializer"),
        ] {
            let errors = err(client, &[(key, "x")]);
            assert_eq!((errors[0].key.as_str(), errors[0].forbidden), (key, true));
        }
        let errors = err(Client::Producer, &[("lingerms", "5")]);
        assert!(errors[0].message.contains("lingerms"), "{errors:?}");
        assert!(!err(Client::Producer, &[("fetch.min.bytes", "5")]).is_empty());
        assert!(!err(Client::Producer, &[("interceptor.classes", "a.B")]).is_empty());
    }

    #[test]
    fn the_jaas_line_becomes_user_and_password() {
        let line = r#"org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="p";"#;
        assert_eq!(
            ok(Client::Admin, &[("sasl.jaas.config", line)]),
            [("sasl.password".into(), "p".into()), ("sasl.username".into(), "u".into())]
        );
    }
}
