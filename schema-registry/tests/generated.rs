//! The key tables of the user guide are those of the definitions. `BARNABAS_REGENERATE=1` rewrites them.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::Path;

use barnabas_connect::{ConfigDef, ConfigKey, Registry};
use barnabas_schema_registry::{common_config_def, converters, is_other_name, refusal};

/// The keys that do something.
fn table<'a>(keys: impl IntoIterator<Item = &'a ConfigKey>, prefixes: &[(String, String)]) -> String {
    let keys = keys.into_iter().filter(|key| refusal(&key.name).is_none() && !is_other_name(&key.name));
    let def = keys.cloned().fold(ConfigDef::new(), ConfigDef::define);
    prefixes.iter().fold(def, |def, (prefix, doc)| def.define_prefix(prefix, doc)).to_markdown()
}

/// The keys that are refused, with the reasons.
fn refusals<'a>(keys: impl IntoIterator<Item = &'a ConfigKey>) -> String {
    let rows = keys.into_iter().filter_map(|key| Some((&key.name, refusal(&key.name)?)));
    let rows: String = rows.map(|(key, reason)| format!("| `{key}` | {reason} |\n")).collect();
    format!("| Key | Why it is refused |\n| --- | --- |\n{rows}")
}

fn reference() -> String {
    let mut registry = Registry::new();
    barnabas_schema_registry::register(&mut registry);
    let common = common_config_def();
    let mut text = String::from(
        "# Converters with a schema registry\n\n\
         <!-- Generated from the definitions in schema-registry/src. To rewrite it: \
         BARNABAS_REGENERATE=1 cargo test -p barnabas-schema-registry --test generated -->\n\n\
         These converters write Confluent's wire format and keep their schemas in a registry that has Confluent's REST API. \
         Their keys have the prefix `key.converter.` or `value.converter.`. [How to use them](../schema-registry.md).\n\n\
         ## All of them\n\n\
         The keys that begin with `basic.auth`, `bearer.auth`, `http`, `proxy` and `retries`, `max.retries` and `sasl.jaas.config` may have \
         `schema.registry.` in front.\n\n",
    );
    text.push_str(&table(common.keys(), common.prefixes()));
    write!(text, "\nKeys of the originals that are refused, apart from values that say what happens anyway:\n\n")
        .unwrap();
    text.push_str(&refusals(common.keys()));
    for class in converters() {
        let def = registry.config_def(class).unwrap();
        let own: Vec<&ConfigKey> = def.keys().iter().filter(|key| common.get(&key.name).is_none()).collect();
        write!(text, "\n## `{class}`\n\n{}\n{}", table(own.clone(), &[]), refusals(own)).unwrap();
    }
    text
}

#[test]
fn the_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/schema-registry.md");
    let expected = reference();
    if std::env::var_os("BARNABAS_REGENERATE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == expected,
        "{} is stale. Rewrite it: BARNABAS_REGENERATE=1 cargo test -p barnabas-schema-registry --test generated",
        path.display()
    );
}
