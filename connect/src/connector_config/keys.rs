//! The definitions of the keys common to all connectors.

use std::sync::LazyLock;

use super::{
    CONNECTOR_CLASS, DLQ_TOPIC, HEADER_CONVERTER, KEY_CONVERTER, NAME, TASKS_MAX, TASKS_MAX_ENFORCE, TOPICS,
    TOPICS_REGEX, VALUE_CONVERTER,
};
use crate::config::{ConfigDef, ConfigKey, Importance, Parsed, Type, Validator, Width};

const COMMON: &str = "Common";
const ERRORS: &str = "Error Handling";

/// The keys of every source connector.
pub fn source_config_def() -> &'static ConfigDef {
    static DEF: LazyLock<ConfigDef> = LazyLock::new(|| dead_letter_keys(source_keys(common_keys())));
    &DEF
}

/// The keys of every sink connector.
pub fn sink_config_def() -> &'static ConfigDef {
    static DEF: LazyLock<ConfigDef> = LazyLock::new(|| dead_letter_keys(sink_keys(common_keys())));
    &DEF
}

fn unique(what: &'static str) -> Validator {
    Validator::All(vec![Validator::NonNull, Validator::Unique(what)])
}

fn version_key(name: String, what: &str) -> ConfigKey {
    ConfigKey::new(name, Type::String)
        .default_null()
        .validator(Validator::NonEmptyString)
        .importance(Importance::Low)
        .doc(format!("The version of the {what} (KIP-891)."))
}

/// The keys that every converter has besides its own.
pub(super) fn converter_keys() -> ConfigDef {
    ConfigDef::new()
        .define(
            ConfigKey::new("converter.type", Type::String)
                .default_null()
                .importance(Importance::Low)
                .doc("Set by the worker: `key`, `value` or `header`."),
        )
        .define(version_key("plugin.version".to_owned(), "converter"))
}

fn common_keys() -> ConfigDef {
    let empty = || Parsed::List(Vec::new());
    let mut def = ConfigDef::new()
        .define(
            ConfigKey::new(NAME, Type::String)
                .validator(Validator::NonEmptyStringWithoutControlChars)
                .importance(Importance::High)
                .display(COMMON, 1, Width::Medium, "Connector name")
                .doc("The name of the connector towards Kafka: it is part of its consumer group and of its offsets."),
        )
        .define(
            ConfigKey::new(CONNECTOR_CLASS, Type::String)
                .importance(Importance::High)
                .display(COMMON, 2, Width::Long, "Connector class")
                .doc("The class of the connector: the full Java name, the simple name, or that without `Connector`."),
        )
        .define(version_key("connector.plugin.version".to_owned(), "connector").importance(Importance::Medium).display(
            COMMON,
            3,
            Width::Medium,
            "Connector version",
        ))
        .define(
            ConfigKey::new(TASKS_MAX, Type::Int)
                .default(1)
                .validator(Validator::at_least(1))
                .importance(Importance::High)
                .display(COMMON, 4, Width::Short, "Tasks max")
                .doc("The largest number of tasks."),
        )
        .define(
            ConfigKey::new(TASKS_MAX_ENFORCE, Type::Boolean)
                .default(true)
                .importance(Importance::Low)
                .display(COMMON, 5, Width::Short, "Enforce tasks max")
                .doc("Whether a connector that plans more tasks than `tasks.max` fails (KIP-1004)."),
        );
    for (index, (name, what)) in
        [(KEY_CONVERTER, "keys"), (VALUE_CONVERTER, "values"), (HEADER_CONVERTER, "header values")]
            .into_iter()
            .enumerate()
    {
        let role = ["Key", "Value", "Header"][index];
        let order = 6 + 2 * index as i32;
        def = def.define(
            ConfigKey::new(name, Type::Class)
                .default_null()
                .importance(Importance::Low)
                .display(COMMON, order, Width::Short, format!("{role} converter class"))
                .doc(format!(
                    "The class that converts {what} between Connect's data and bytes. By default the cluster's."
                )),
        );
        let version = version_key(format!("{name}.plugin.version"), "converter");
        def = def.define(version.display(COMMON, order + 1, Width::Short, format!("{role} converter version")));
    }
    def.define(
        ConfigKey::new("transforms", Type::List)
            .default(empty())
            .validator(unique("transformation aliases"))
            .importance(Importance::Low)
            .display("Transforms", 12, Width::Long, "Transforms")
            .doc("The aliases of the transforms to apply, in order."),
    )
    .define(
        ConfigKey::new("predicates", Type::List)
            .default(empty())
            .validator(unique("predicate aliases"))
            .importance(Importance::Low)
            .display("Predicates", 13, Width::Long, "Predicates")
            .doc("The aliases of the predicates that transforms refer to."),
    )
    .define(
        ConfigKey::new("config.action.reload", Type::String)
            .default("restart")
            .validator(Validator::one_of(&["none", "restart"]))
            .importance(Importance::Low)
            .display(COMMON, 14, Width::Medium, "Reload Action")
            .doc("What to do when a value that the configuration refers to changes: `restart` or `none`."),
    )
    .define(
        ConfigKey::new("errors.retry.timeout", Type::Long)
            .default(0i64)
            .display(ERRORS, 1, Width::Medium, "Retry Timeout for Errors")
            .doc("For how long, in milliseconds, a failed operation is tried again. 0 does not retry, -1 retries for ever."),
    )
    .define(
        ConfigKey::new("errors.retry.delay.max.ms", Type::Long)
            .default(60_000i64)
            .display(ERRORS, 2, Width::Medium, "Maximum Delay Between Retries for Errors")
            .doc("The longest delay in milliseconds between two attempts. It is jittered once it has reached this."),
    )
    .define(
        ConfigKey::new("errors.tolerance", Type::String)
            .default("none")
            .validator(Validator::one_of(&["none", "all"]))
            .display(ERRORS, 3, Width::Short, "Error Tolerance")
            .doc("`none` fails the task on the first record that cannot be processed, `all` skips such records."),
    )
    .define(
        ConfigKey::new("errors.log.enable", Type::Boolean)
            .default(false)
            .display(ERRORS, 4, Width::Short, "Log Errors")
            .doc("Whether to log every error, those that are tolerated included."),
    )
    .define(
        ConfigKey::new("errors.log.include.messages", Type::Boolean)
            .default(false)
            .display(ERRORS, 5, Width::Short, "Log Error Details")
            .doc("Whether the log of an error shows the record."),
    )
}

fn source_keys(def: ConfigDef) -> ConfigDef {
    def.define(
        ConfigKey::new("topic.creation.groups", Type::List)
            .default(Parsed::List(Vec::new()))
            .validator(unique("topic creation groups"))
            .importance(Importance::Low)
            .display("Topic Creation", 1, Width::Long, "Topic Creation Groups")
            .doc("Groups of topics that are created with settings of their own (KIP-158)."),
    )
    .define(
        ConfigKey::new("exactly.once.support", Type::String)
            .default("requested")
            .validator(Validator::one_of_ignore_case(&["REQUIRED", "REQUESTED"]))
            .display("Exactly Once Support", 2, Width::Short, "Exactly once support")
            .doc("`required` refuses a connector that cannot resume from exactly the committed offsets (KIP-618)."),
    )
    .define(
        ConfigKey::new("transaction.boundary", Type::String)
            .default("poll")
            .validator(Validator::one_of_ignore_case(&["INTERVAL", "POLL", "CONNECTOR"]))
            .display("Exactly Once Support", 3, Width::Short, "Transaction Boundary")
            .doc("When a transaction is committed: after each `poll`, after an `interval`, or where the `connector` says."),
    )
    .define(
        ConfigKey::new("transaction.boundary.interval.ms", Type::Long)
            .default_null()
            .validator(Validator::Custom("[0,...]", |name, value| match value {
                Some(Parsed::Long(interval)) if *interval < 0 => {
                    Err(crate::config::invalid_value(name, &interval.to_string(), "Value must be at least 0"))
                }
                _ => Ok(()),
            }))
            .importance(Importance::Low)
            .display("Exactly Once Support", 4, Width::Short, "Transaction boundary interval")
            .doc("The time in milliseconds between commits when `transaction.boundary` is `interval`. By default the worker's `offset.flush.interval.ms`."),
    )
    .define(
        ConfigKey::new("offsets.storage.topic", Type::String)
            .default_null()
            .validator(Validator::NonEmptyString)
            .importance(Importance::Low)
            .display("offsets.topic", 1, Width::Long, "Offsets topic")
            .doc("A topic of its own for the offsets of this connector."),
    )
}

fn sink_keys(def: ConfigDef) -> ConfigDef {
    def.define(
        ConfigKey::new(TOPICS, Type::List)
            .default(Parsed::List(Vec::new()))
            .importance(Importance::High)
            .display(COMMON, 4, Width::Long, "Topics")
            .doc("The topics to read."),
    )
    .define(
        ConfigKey::new(TOPICS_REGEX, Type::String)
            .default("")
            .validator(Validator::Regex)
            .importance(Importance::High)
            .display(COMMON, 4, Width::Long, "Topics regex")
            .doc("A Java regular expression that the names of the topics to read match. Set this or `topics`."),
    )
}

/// Sources have a dead letter queue here, which they lack in Connect.
fn dead_letter_keys(def: ConfigDef) -> ConfigDef {
    def.define(
        ConfigKey::new(DLQ_TOPIC, Type::String)
            .default("")
            .display(ERRORS, 6, Width::Medium, "Dead Letter Queue Topic Name")
            .doc("The topic for records that cannot be processed. Empty means that there is none."),
    )
    .define(
        ConfigKey::new("errors.deadletterqueue.topic.replication.factor", Type::Short)
            .default(3i16)
            .display(ERRORS, 7, Width::Medium, "Dead Letter Queue Topic Replication Factor")
            .doc("The replication factor of the dead letter queue's topic when it is created."),
    )
    .define(
        ConfigKey::new("errors.deadletterqueue.context.headers.enable", Type::Boolean)
            .default(false)
            .display(ERRORS, 8, Width::Medium, "Enable Error Context Headers")
            .doc("Whether records in the dead letter queue carry headers that say what went wrong."),
    )
}
