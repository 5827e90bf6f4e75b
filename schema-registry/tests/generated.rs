//! The key tables of the user guide are those of the definitions. `BARNABAS_REGENERATE=1` rewrites them.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::Path;

use barnabas_connect::{ConfigDef, Registry};
use barnabas_schema_registry::{common_config_def, converters};

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
         ## All of them\n\n",
    );
    text.push_str(&common.to_markdown());
    for class in converters() {
        let def = registry.config_def(class).unwrap();
        let own = def.keys().iter().filter(|key| common.get(&key.name).is_none()).cloned();
        write!(text, "\n## `{class}`\n\n{}", own.fold(ConfigDef::new(), ConfigDef::define).to_markdown()).unwrap();
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
