//! Creating topics: the offsets topic, dead letter queues, and the topics that sources write to (KIP-158).

use std::{collections::BTreeMap, time::Duration};

use barnabas_connect::{ConfigError, Error, RawConfig, regex::JavaRegex};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    error::{KafkaError, RDKafkaErrorCode as Code},
};

use super::{clients::ClientFactory, context::ClientNotes, errors::classify};

const CALL: Duration = Duration::from_secs(15);

/// A topic to create.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSpec {
    /// `-1` for the broker's default.
    pub partitions: i32,
    /// `-1` for the broker's default.
    pub replication: i32,
    /// Topic configs.
    pub config: BTreeMap<String, String>,
}

/// Creates a topic unless it exists. `Ok(true)` when it was created now.
/// `key` is the configuration key of the replication factor, for the message when there are too few brokers.
pub async fn create_topic(
    clients: &ClientFactory,
    connector: Option<&RawConfig>,
    name: &str,
    spec: &TopicSpec,
    key: &str,
) -> Result<bool, Error> {
    let doing = format!("Creating the topic `{name}`");
    let notes = ClientNotes::new("", None);
    let admin: AdminClient<ClientNotes> = clients
        .admin(connector, "")?
        .rdkafka
        .create_with_context(notes.clone())
        .map_err(|error| classify(&doing, error, None))?;
    // The embedded broker takes -1 as it stands, and would make a topic without partitions.
    let number = |number: i32| if clients.embedded { number.max(1) } else { number };
    let mut topic = NewTopic::new(name, number(spec.partitions), TopicReplication::Fixed(number(spec.replication)));
    for (key, value) in &spec.config {
        topic = topic.set(key, value);
    }
    let options = AdminOptions::new().request_timeout(Some(CALL)).operation_timeout(Some(CALL));
    let result = admin.create_topics([&topic], &options).await;
    clients.close(admin);
    match result.map_err(|error| classify(&doing, error, notes.take_last_error()))?.into_iter().next() {
        None | Some(Ok(_)) => {
            tracing::info!(topic = name, ?spec, "Created a topic.");
            Ok(true)
        }
        Some(Err((_, Code::TopicAlreadyExists))) => Ok(false),
        Some(Err((_, Code::InvalidReplicationFactor))) => Err(Error::config(format!(
            "{doing} failed: Kafka has too few brokers for `{key}`, which is {}; lower it, or create the topic yourself",
            spec.replication
        ))),
        Some(Err((_, code))) => Err(classify(&doing, KafkaError::AdminOp(code), notes.take_last_error())),
    }
}

/// The topics that a source connector may create, and how: `topic.creation.*` (KIP-158).
#[derive(Debug, Default)]
pub struct TopicCreation {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    include: Vec<JavaRegex>,
    exclude: Vec<JavaRegex>,
    spec: TopicSpec,
}

impl TopicCreation {
    /// Reads the keys. Without `topic.creation.default.replication.factor` there is nothing to
    /// create: topics are left to the broker's auto-creation, as Connect does.
    pub fn parse(config: &RawConfig) -> Result<Option<Self>, Vec<ConfigError>> {
        const DEFAULT: &str = "topic.creation.default.";
        let mut errors = Vec::new();
        let groups: Vec<&str> = config
            .get("topic.creation.groups")
            .map(|list| list.split(',').map(str::trim).filter(|g| !g.is_empty() && *g != "default").collect())
            .unwrap_or_default();
        if !config.keys().any(|k| k.starts_with(DEFAULT)) && groups.is_empty() {
            return Ok(None);
        }
        for key in ["replication.factor", "partitions"] {
            if !config.contains_key(&format!("{DEFAULT}{key}")) {
                errors.push(ConfigError::missing(&format!("{DEFAULT}{key}")));
            }
        }
        let default = TopicSpec { partitions: -1, replication: -1, config: BTreeMap::new() };
        let default = spec(config, DEFAULT, &default, &mut errors);
        let mut parsed = Vec::new();
        for group in groups {
            let prefix = format!("topic.creation.{group}.");
            let mut regexes = |key: &str| -> Vec<JavaRegex> {
                let key = format!("{prefix}{key}");
                let list = config.get(&key).map(String::as_str).unwrap_or_default();
                list.split(',')
                    .map(str::trim)
                    .filter(|p| !p.is_empty())
                    .filter_map(|p| whole(&key, p, &mut errors))
                    .collect()
            };
            let (include, exclude) = (regexes("include"), regexes("exclude"));
            if include.is_empty() {
                errors.push(ConfigError::missing(&format!("{prefix}include")));
            }
            let spec = spec(config, &prefix, &default, &mut errors);
            parsed.push(Group { include, exclude, spec });
        }
        parsed.push(Group { include: Vec::new(), exclude: Vec::new(), spec: default });
        if errors.is_empty() { Ok(Some(Self { groups: parsed })) } else { Err(errors) }
    }

    /// How a topic of that name is created: by the first group that includes it, else by the default.
    pub fn spec(&self, topic: &str) -> Option<&TopicSpec> {
        let hit = |list: &[JavaRegex]| list.iter().any(|r| r.matches(topic).unwrap_or(false));
        let (default, groups) = self.groups.split_last()?;
        let group = groups.iter().find(|g| hit(&g.include) && !hit(&g.exclude)).unwrap_or(default);
        Some(&group.spec)
    }
}

fn whole(key: &str, pattern: &str, errors: &mut Vec<ConfigError>) -> Option<JavaRegex> {
    JavaRegex::new(pattern).map_err(|error| errors.push(ConfigError::invalid(key, pattern, &error))).ok()
}

fn spec(config: &RawConfig, prefix: &str, default: &TopicSpec, errors: &mut Vec<ConfigError>) -> TopicSpec {
    let mut out = default.clone();
    for (key, value) in config {
        let Some(name) = key.strip_prefix(prefix) else { continue };
        let value = value.trim();
        match name {
            "include" | "exclude" => {}
            "partitions" | "replication.factor" => match value.parse::<i32>() {
                Ok(n) if n == -1 || n > 0 => {
                    *(if name == "partitions" { &mut out.partitions } else { &mut out.replication }) = n;
                }
                _ => errors.push(ConfigError::invalid(key, value, "a positive number, or -1 for the broker's default")),
            },
            _ => _ = out.config.insert(name.to_owned(), value.to_owned()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> RawConfig {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn groups_match_whole_names_in_order_and_inherit_the_default() {
        let creation = TopicCreation::parse(&config(&[
            ("topic.creation.default.replication.factor", "3"),
            ("topic.creation.default.partitions", "5"),
            ("topic.creation.groups", "compacted, big"),
            ("topic.creation.compacted.include", "key.*"),
            ("topic.creation.compacted.exclude", "keyless"),
            ("topic.creation.compacted.cleanup.policy", "compact"),
            ("topic.creation.big.include", "k.*"),
            ("topic.creation.big.partitions", "50"),
        ]))
        .unwrap()
        .unwrap();
        let spec = |t: &str| creation.spec(t).unwrap().clone();
        assert_eq!(spec("keys").config["cleanup.policy"], "compact");
        assert_eq!((spec("keys").partitions, spec("keys").replication), (5, 3));
        assert_eq!(spec("keyless").partitions, 50);
        assert_eq!((spec("a-key").partitions, spec("a-key").config.len()), (5, 0));
    }

    #[test]
    fn nothing_configured_leaves_topics_to_the_broker() {
        assert!(TopicCreation::parse(&config(&[("topic", "t")])).unwrap().is_none());
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let errors = TopicCreation::parse(&config(&[
            ("topic.creation.default.partitions", "none"),
            ("topic.creation.groups", "g"),
            ("topic.creation.g.include", "("),
        ]))
        .unwrap_err();
        let keys: Vec<_> = errors.iter().map(|e| e.key.as_str()).collect();
        for key in [
            "topic.creation.default.replication.factor",
            "topic.creation.default.partitions",
            "topic.creation.g.include",
        ] {
            assert!(keys.contains(&key), "{key} in {keys:?}");
        }
    }
}
