//! The key tables of the user guide are those of the definitions. `BARNABAS_REGENERATE=1` rewrites them.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::Path;

use barnabas_connect::connector_config::{sink_config_def, source_config_def};
use barnabas_connect::{ConfigDef, ConfigKey, PluginType, Registry};

fn reference() -> String {
    let mut text = String::from(
        "# Configuration of connectors\n\n\
         <!-- Generated from the definitions in connect/src. To rewrite it: \
         BARNABAS_REGENERATE=1 cargo test -p barnabas-connect --test generated -->\n\n\
         These are the keys of `spec.config` that every connector has, and those of the built-in converters, transforms and \
         predicates. Names, defaults and meanings are those of Apache Kafka Connect 4.3. The connectors' own keys are on pages of \
         their own. A key that nobody knows is an error, which names the nearest known key.\n",
    );
    let (source, sink) = (source_config_def(), sink_config_def());
    let both = |key: &ConfigKey| source.get(&key.name).is_some() && sink.get(&key.name).is_some();
    let pick = |def: &ConfigDef, keep: &dyn Fn(&ConfigKey) -> bool| {
        def.keys().iter().filter(|key| keep(key)).cloned().fold(ConfigDef::new(), ConfigDef::define)
    };
    let mut section = |title: &str, text_before: &str, def: &ConfigDef| {
        write!(text, "\n{title}\n\n{text_before}").unwrap();
        if def.keys().is_empty() {
            text.push_str("It has no keys.\n");
        } else {
            text.push_str(&def.to_markdown());
        }
    };
    section("## All connectors", "", &pick(source, &both));
    section(
        "## Source connectors",
        "Besides, `topic.creation.<group>.{include,exclude,replication.factor,partitions}` and any configuration of a topic, for \
         `default` and each group in `topic.creation.groups`; `producer.override.*` and `admin.override.*`.\n\n",
        &pick(source, &|key| !both(key)),
    );
    section(
        "## Sink connectors",
        "Besides, `consumer.override.*`, and `producer.override.*` for the dead letter queue.\n\n",
        &pick(sink, &|key| !both(key)),
    );
    let registry = Registry::new();
    for (kind, title, before) in [
        (
            PluginType::Converter,
            "# Converters",
            "Their keys have the prefix `key.converter.` or `value.converter.`. Those of the converters for Avro, JSON Schema and Protobuf are on [a page of their own](schema-registry.md).",
        ),
        (PluginType::HeaderConverter, "# Header converters", "Their keys have the prefix `header.converter.`."),
        (
            PluginType::Transformation,
            "# Transforms",
            "Their keys have the prefix `transforms.<alias>.`; all take `predicate` and `negate`.",
        ),
        (PluginType::Predicate, "# Predicates", "Their keys have the prefix `predicates.<alias>.`."),
    ] {
        let classes: Vec<&str> =
            registry.plugins().into_iter().filter(|plugin| plugin.kind == kind).map(|plugin| plugin.class).collect();
        for (index, class) in classes.iter().enumerate() {
            let title =
                if index == 0 { format!("#{title}\n\n{before}\n\n### `{class}`") } else { format!("### `{class}`") };
            section(&title, "", &registry.config_def(class).unwrap());
        }
    }
    text
}

#[test]
fn the_configuration_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/configuration.md");
    let expected = reference();
    if std::env::var_os("BARNABAS_REGENERATE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == expected,
        "{} is stale. Rewrite it: BARNABAS_REGENERATE=1 cargo test -p barnabas-connect --test generated",
        path.display()
    );
}
