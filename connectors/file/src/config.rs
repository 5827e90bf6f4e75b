//! The keys of both connectors.

use std::sync::LazyLock;

use barnabas_connect::config::{ConfigDef, ConfigKey, Importance, Type, Validator};

pub const FILE: &str = "file";
pub const TOPIC: &str = "topic";
pub const BATCH_SIZE: &str = "batch.size";
pub const EXACTLY_ONCE: &str = "exactly.once";

pub fn source_def() -> &'static ConfigDef {
    static DEF: LazyLock<ConfigDef> = LazyLock::new(|| {
        ConfigDef::new()
            .define(
                ConfigKey::new(FILE, Type::String)
                    .default_null()
                    .importance(Importance::High)
                    .doc("The file to read. Without it the standard input is read."),
            )
            .define(
                ConfigKey::new(TOPIC, Type::String)
                    .validator(Validator::NonEmptyString)
                    .importance(Importance::High)
                    .doc("The topic for the lines."),
            )
            .define(
                ConfigKey::new(BATCH_SIZE, Type::Int)
                    .default(2000)
                    .importance(Importance::Low)
                    .doc("The largest number of lines that the task hands on at once."),
            )
    });
    &DEF
}

pub fn sink_def() -> &'static ConfigDef {
    static DEF: LazyLock<ConfigDef> = LazyLock::new(|| {
        ConfigDef::new()
            .define(
                ConfigKey::new(FILE, Type::String)
                    .default_null()
                    .importance(Importance::High)
                    .doc("The file to append to. Without it the standard output is written."),
            )
            .define(
                ConfigKey::new(EXACTLY_ONCE, Type::Boolean)
                    .default(false)
                    .importance(Importance::Low)
                    .doc(
                        "Keeps the offsets of what is written in `<file>.positions`, and goes on from there: after a crash every record is \
                         in the file once. The file is written by one task then, and locked by it. Not a key of the original.",
                    ),
            )
    });
    &DEF
}
