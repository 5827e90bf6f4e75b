//! Validation of a whole connector configuration.

#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use barnabas_connect::config::{ConfigDef, ConfigKey, RawConfig, Type};
use barnabas_connect::connector_config::validate;
use barnabas_connect::{Connector, ConnectorPlugin, Kind, Registry, TaskFactory};

struct Plugin(Kind);

impl ConnectorPlugin for Plugin {
    fn class(&self) -> &'static str {
        match self.0 {
            Kind::Source => "dev.example.TestSourceConnector",
            Kind::Sink => "dev.example.TestSinkConnector",
        }
    }

    fn kind(&self) -> Kind {
        self.0
    }

    fn config_def(&self) -> &ConfigDef {
        static DEF: LazyLock<ConfigDef> = LazyLock::new(|| {
            ConfigDef::new()
                .define(ConfigKey::new("url", Type::String))
                .define(ConfigKey::new("password", Type::Password).default_null())
                .define(ConfigKey::new("attempts", Type::Int).default(3))
                .define_prefix("driver.", "Properties of the driver.")
        });
        &DEF
    }

    fn connector(&self) -> Box<dyn Connector> {
        unreachable!("validation makes no connector")
    }

    fn task(&self) -> TaskFactory {
        unreachable!("validation makes no task")
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register(&Plugin(Kind::Source));
    registry.register(&Plugin(Kind::Sink));
    registry
}

/// Key, reason and message of each error.
fn errors(class: &str, entries: &[(&str, &str)]) -> Vec<(String, &'static str, String)> {
    let mut config: RawConfig = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    config.insert("connector.class".to_owned(), class.to_owned());
    config.entry("url".to_owned()).or_insert_with(|| "u".to_owned());
    let errors = validate(&registry(), "name", &config);
    errors.into_iter().map(|error| (error.key, error.reason, error.message)).collect()
}

fn one(class: &str, entries: &[(&str, &str)]) -> (String, &'static str, String) {
    let mut errors = errors(class, entries);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

fn owned(key: &str, reason: &'static str, message: &str) -> (String, &'static str, String) {
    (key.to_owned(), reason, message.to_owned())
}

#[test]
fn a_configuration_with_everything_is_right() {
    let all = [
        ("name", "n"),
        ("tasks.max", "2"),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
        ("value.converter", "JsonConverter"),
        ("value.converter.schemas.enable", "false"),
        ("header.converter", "SimpleHeaderConverter"),
        ("transforms", "route, add"),
        ("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter"),
        ("transforms.route.regex", "(.*)"),
        ("transforms.route.replacement", "$1"),
        ("transforms.route.predicate", "tombstone"),
        ("transforms.route.negate", "true"),
        ("transforms.add.type", "org.apache.kafka.connect.transforms.InsertField$Value"),
        ("transforms.add.static.field", "f"),
        ("transforms.add.static.value", "v"),
        ("predicates", "tombstone"),
        ("predicates.tombstone.type", "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone"),
        ("producer.override.linger.ms", "5"),
        ("driver.ssl", "true"),
        ("topic.creation.default.partitions", "3"),
        ("topic.creation.default.replication.factor", "-1"),
        ("topic.creation.groups", "compacted"),
        ("topic.creation.compacted.include", "a.*"),
        ("topic.creation.compacted.cleanup.policy", "compact"),
    ];
    assert_eq!(errors("TestSource", &all), []);
    assert_eq!(errors("dev.example.TestSinkConnector", &[("topics", "a")]), []);
}

#[test]
fn unknown_keys_are_errors_with_the_nearest_known_key() {
    assert_eq!(
        one("TestSource", &[("atempts", "1")]),
        owned("atempts", "UnknownKey", "Unknown configuration atempts: did you mean attempts?")
    );
    assert_eq!(one("TestSource", &[("task.max", "1")]).2, "Unknown configuration task.max: did you mean tasks.max?");
    assert_eq!(
        one("TestSource", &[("topics", "a")]).2,
        "Unknown configuration topics: it is not a key of source connectors."
    );
    assert_eq!(
        one("TestSource", &[("value.converter.schemas.enable", "false")]).2,
        "Unknown configuration value.converter.schemas.enable: it belongs to a converter, but value.converter is not set on this connector. Set that as well, or remove this key."
    );
    assert_eq!(
        one("TestSource", &[("value.converter", "JsonConverter"), ("value.converter.schemas.enabled", "false")]),
        owned(
            "value.converter.schemas.enabled",
            "UnknownKey",
            "Unknown configuration value.converter.schemas.enabled: did you mean schemas.enable?"
        )
    );
    assert_eq!(
        one("TestSource", &[("transforms.x.type", "RegexRouter")]).2,
        "Unknown configuration transforms.x.type: x is not one of the aliases in transforms."
    );
}

#[test]
fn transforms_are_checked_with_their_whole_key() {
    let base = [("transforms", "x"), ("transforms.x.type", "RegexRouter"), ("transforms.x.replacement", "r")];
    let with = |more: &[(&'static str, &'static str)]| one("TestSource", &[&base[..], more].concat());
    assert_eq!(
        with(&[]),
        owned(
            "transforms.x.regex",
            "MissingKey",
            "Missing required configuration \"transforms.x.regex\" which has no default value."
        )
    );
    let (key, _, message) = with(&[("transforms.x.regex", "(")]);
    assert_eq!(key, "transforms.x.regex");
    assert!(message.starts_with("Invalid value ( for configuration transforms.x.regex: Invalid regex: "), "{message}");
    assert_eq!(with(&[("transforms.x.regex", "a"), ("transforms.x.predicate", "p")]).0, "transforms.x.predicate");
    assert_eq!(
        with(&[("transforms.x.regex", "a"), ("transforms.x.negate", "true")]).2,
        "Config 'transforms.x.negate' was provided but there is no config 'transforms.x.predicate' defining a predicate to be negated."
    );
    assert_eq!(
        one("TestSource", &[("transforms", "x")]).2,
        "Missing required configuration \"transforms.x.type\" which has no default value."
    );
    let (key, reason, message) = one("TestSource", &[("transforms", "x"), ("transforms.x.type", "RegexRooter")]);
    assert_eq!((key.as_str(), reason), ("transforms.x.type", "UnknownClass"));
    assert!(message.contains("Class RegexRooter could not be found."), "{message}");
    assert_eq!(
        one(
            "TestSource",
            &[("transforms", "x"), ("transforms.x.type", "org.apache.kafka.connect.transforms.InsertField$Value")]
        ),
        owned("transforms.x", "MissingKey", "No field insertion configured")
    );
}

#[test]
fn converters_are_checked() {
    let (key, reason, message) = one("TestSource", &[("value.converter", "io.confluent.connect.avro.AvroConverter")]);
    assert_eq!((key.as_str(), reason), ("value.converter", "UnknownClass"));
    assert!(
        message.starts_with(
            "Invalid value io.confluent.connect.avro.AvroConverter for configuration value.converter: Class "
        ),
        "{message}"
    );
    assert_eq!(
        one("TestSource", &[("key.converter", "JsonConverter"), ("key.converter.schemas.enable", "maybe")]).2,
        "Invalid value maybe for configuration key.converter.schemas.enable: Expected value to be either true or false"
    );
}

#[test]
fn a_version_that_is_not_there_is_an_error() {
    let version = barnabas_connect::VERSION;
    assert_eq!(
        errors(
            "TestSource",
            &[
                ("connector.plugin.version", version),
                ("key.converter", "JsonConverter"),
                ("key.converter.plugin.version", version)
            ]
        ),
        []
    );
    for (key, more) in [
        ("connector.plugin.version", &[][..]),
        ("value.converter.plugin.version", &[("value.converter", "JsonConverter")]),
        ("header.converter.plugin.version", &[("header.converter", "SimpleHeaderConverter")]),
        (
            "transforms.x.plugin.version",
            &[
                ("transforms", "x"),
                ("transforms.x.type", "RegexRouter"),
                ("transforms.x.regex", "a"),
                ("transforms.x.replacement", "b"),
            ],
        ),
    ] {
        let (found, _, message) = one("TestSource", &[more, &[(key, "[99,)")]].concat());
        assert_eq!(found, key);
        assert!(
            message.starts_with(&format!("Invalid value [99,) for configuration {key}: the version of ")),
            "{message}"
        );
    }
}

#[test]
fn topics_of_a_sink() {
    assert_eq!(errors("TestSink", &[]).len(), 2);
    assert_eq!(
        errors("TestSink", &[("topics", "a"), ("topics.regex", "b")])[0].2,
        "topics and topics.regex are mutually exclusive options, but both are set."
    );
    assert_eq!(
        one("TestSink", &[("topics", "a, dlq"), ("errors.deadletterqueue.topic.name", "dlq")]).2,
        "The DLQ topic 'dlq' may not be included in the list of topics ('topics=[a, dlq]') consumed by the connector"
    );
    assert_eq!(
        one("TestSink", &[("topics.regex", "d.*"), ("errors.deadletterqueue.topic.name", "dlq")]).0,
        "topics.regex"
    );
}

#[test]
fn exactly_once_must_be_supported_when_required() {
    let (key, _, message) = one("TestSource", &[("exactly.once.support", "required")]);
    assert_eq!(key, "exactly.once.support");
    assert_eq!(message, "The connector does not support exactly-once semantics with the provided configuration.");
    assert_eq!(one("TestSource", &[("transaction.boundary", "connector")]).0, "transaction.boundary");
}

#[test]
fn topic_creation_groups_are_checked() {
    assert_eq!(
        one("TestSource", &[("topic.creation.default.partitions", "3")]).2,
        "Missing required configuration \"topic.creation.default.replication.factor\" which has no default value."
    );
    let base = [("topic.creation.default.partitions", "3"), ("topic.creation.default.replication.factor", "1")];
    let with = |more: &[(&'static str, &'static str)]| one("TestSource", &[&base[..], more].concat());
    assert_eq!(
        with(&[("topic.creation.x.partitions", "1")]).2,
        "Unknown configuration topic.creation.x.partitions: x is not one of the groups in topic.creation.groups."
    );
    assert_eq!(
        with(&[("topic.creation.groups", "x"), ("topic.creation.x.partitions", "0")]).2,
        "Invalid value 0 for configuration topic.creation.x.partitions: Number of partitions must be positive, or -1 to use the broker's default"
    );
}

#[test]
fn a_secret_is_never_part_of_a_message() {
    let found = errors("TestSource", &[("password", "hunter2"), ("passwrd", "hunter2"), ("tasks.max", "0")]);
    assert_eq!(found.len(), 2);
    assert!(!format!("{found:?}").contains("hunter2"));
    let config = Plugin(Kind::Source)
        .config_def()
        .parse(&[("password".to_owned(), "hunter2".to_owned()), ("url".to_owned(), "u".to_owned())].into())
        .unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.password("password").expose(), "hunter2");
}

#[test]
fn the_key_table_lists_every_key() {
    let table = Plugin(Kind::Source).config_def().to_markdown();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 2 + 4);
    assert_eq!(rows[2], "| `url` | string | required |  | medium |  |");
    assert_eq!(rows[3], "| `attempts` | int | `3` |  | medium |  |");
    assert_eq!(rows[5], "| `driver.*` | string | | | low | Properties of the driver. |");
}
