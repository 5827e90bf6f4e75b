//! The keys of the transforms and predicates that a configuration names, among the connector's (`ConnectorConfig.enrich`).

use crate::config::{ConfigDef, ConfigKey, Importance, RawConfig, Type, Validator, Width};
use crate::predicate;

use super::chain::aliases;

/// One of the two kinds of plugins that a configuration names by aliases.
struct Kind {
    /// The key with the aliases.
    key: &'static str,
    /// What the group of an alias begins with.
    group: &'static str,
    /// What one is called.
    name: &'static str,
    /// The full class name and the keys of a class.
    find: fn(&str) -> Option<(&'static str, ConfigDef)>,
    /// The classes that there are.
    classes: fn() -> Vec<&'static str>,
}

const KINDS: [Kind; 2] = [
    Kind {
        key: "transforms",
        group: "Transforms",
        name: "Transformation",
        find: |class| super::find(class).map(|plugin| (plugin.class, (plugin.config_def)())),
        classes: || super::classes().collect(),
    },
    Kind {
        key: "predicates",
        group: "Predicates",
        name: "Predicate",
        find: |class| predicate::find(class).map(|plugin| (plugin.class, (plugin.config_def)())),
        classes: || predicate::classes().collect(),
    },
];

/// Adds to a definition the keys of all transforms and predicates of the configuration, each alias in a group of its own.
pub(crate) fn enriched(mut def: ConfigDef, config: &RawConfig) -> ConfigDef {
    for kind in &KINDS {
        for alias in aliases(config, kind.key) {
            let prefix = format!("{}.{alias}.", kind.key);
            let group = format!("{}: {alias}", kind.group);
            let mut classes = (kind.classes)();
            classes.sort_unstable();
            let ty = ConfigKey::new(format!("{prefix}type"), Type::Class)
                .importance(Importance::High)
                .display(group.clone(), 0, Width::Long, format!("{} type for {alias}", kind.name))
                .recommended(classes)
                .doc(format!("Class for the '{alias}' {}.", kind.name.to_lowercase()));
            let class = config.get(&format!("{prefix}type")).map(|class| class.trim());
            let version = ConfigKey::new(format!("{prefix}plugin.version"), Type::String)
                .default_null()
                .validator(Validator::NonEmptyString)
                .importance(Importance::High)
                .display(group.clone(), 1, Width::Long, format!("{} version for {alias}", kind.name))
                .doc(format!("Version of the '{alias}' {} (KIP-891).", kind.name.to_lowercase()));
            let (version, own) = match class.and_then(kind.find) {
                Some((_, own)) => {
                    let own = implicit(kind).merge(&own).embed_in(&prefix, &group, 2);
                    (version.default(crate::VERSION).recommended([crate::VERSION]), own)
                }
                None => (version, ConfigDef::new()),
            };
            for key in [&ty, &version].into_iter().chain(own.keys()) {
                // Keys of the aliases `a` and `a.static` can meet: then both mean the same text.
                if def.get(&key.name).is_none() {
                    def = def.define(key.clone());
                }
            }
        }
    }
    def
}

/// The keys that every one of the kind has besides its class and its version.
fn implicit(kind: &Kind) -> ConfigDef {
    if kind.key == "predicates" {
        return ConfigDef::new();
    }
    ConfigDef::new()
        .define(
            ConfigKey::new("predicate", Type::String)
                .default_null()
                .doc("The alias of the predicate on which the transform is applied."),
        )
        .define(
            ConfigKey::new("negate", Type::Boolean)
                .default(false)
                .doc("Whether to apply the transform where the predicate is false."),
        )
}

/// The full name of the class that a key `transforms.ALIAS.type` or `predicates.ALIAS.type` has, when it is known.
pub(crate) fn class_of_key(key: &str, class: &str) -> Option<&'static str> {
    let (kind, rest) = KINDS.iter().find_map(|kind| Some((kind, key.strip_prefix(kind.key)?)))?;
    let is_type = rest.starts_with('.') && rest.len() > ".type".len() && rest.ends_with(".type");
    is_type.then(|| (kind.find)(class.trim())).flatten().map(|(class, _)| class)
}
