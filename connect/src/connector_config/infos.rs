//! What Connect's REST API answers to `PUT /connector-plugins/{plugin}/config/validate`, derived from the definitions
//! (`AbstractHerder.validateConnectorConfig`).

use crate::config::{
    ConfigDef, ConfigError, ConfigInfo, ConfigInfos, ConfigKey, ConfigKeyInfo, ConfigValue, Default, Parsed,
    ParsedValues, Password, RawConfig, Recommender, Type, Validator, with_prefix,
};
use crate::header_converter::{self, SimpleHeaderConverter};
use crate::plugin::ConnectorPlugin;
use crate::registry::Registry;
use crate::transform;

use super::{
    CLIENT_OVERRIDES, CONNECTOR_CLASS, HEADER_CONVERTER, KEY_CONVERTER, VALUE_CONVERTER, all_errors,
    framework_config_def, is_password, unknown_connector,
};

/// The converters in the order in which Connect checks them, and what each is told that it converts.
const CONVERTERS: [(&str, &str); 3] =
    [(HEADER_CONVERTER, "header"), (KEY_CONVERTER, "key"), (VALUE_CONVERTER, "value")];

/// Every key of a connector, of its converters, transforms and predicates, with its definition, its value and what is wrong
/// with it. `worker` are the worker's own keys, whose converters are the defaults.
///
/// All errors of [`super::validate`] are in it, and those of `further`, which somebody else found: where Connect has no error
/// of the same words they follow its own, and keys that nobody defines are at the end, without a definition. Secrets must be
/// resolved before; the values of keys that are no passwords show what they stand for, as they do in Connect.
///
/// # Errors
/// The connector class is missing or not known: then there is nothing to show.
pub fn config_infos(
    registry: &Registry,
    worker: &RawConfig,
    config: &RawConfig,
    further: &[ConfigError],
) -> Result<ConfigInfos, ConfigError> {
    let class = config.get(CONNECTOR_CLASS).ok_or_else(|| ConfigError::missing(CONNECTOR_CLASS))?;
    let plugin = registry.find(class).ok_or_else(|| unknown_connector(registry, class))?;
    let named = full_class_names(registry, config);
    let framework = enriched(registry, worker, plugin, config);
    let own = plugin.config_def();
    let mut infos = Infos::default();
    infos.add(&framework, framework.validate(&named), false);
    infos.add(own, own.validate(&named), false);
    for (key, role) in CONVERTERS {
        let Some(def) = config.get(key).and_then(|class| converter_def(registry, key, class.trim())) else { continue };
        let prefix = format!("{key}.");
        let mut own = named.clone();
        own.entry(format!("{prefix}converter.type")).or_insert_with(|| role.to_owned());
        let def = def.embed(&prefix);
        infos.add(&def, def.validate(&own), true);
    }
    for prefix in CLIENT_OVERRIDES {
        for (key, value) in with_prefix(config, prefix) {
            // Their definitions are the Kafka client's.
            let shown = if is_password(None, &key) { Password::HIDDEN.to_owned() } else { value };
            let value = ConfigValue { value: Some(shown), ..ConfigValue::new(format!("{prefix}{key}")) };
            infos.entries.push(Entry { info: ConfigInfo { definition: None, value }, counts_once: true });
        }
    }
    let ours = all_errors(registry, plugin, config);
    ours.iter().chain(further).for_each(|error| infos.error(error));
    Ok(infos.finish(class))
}

#[derive(Default)]
struct Infos {
    groups: Vec<String>,
    entries: Vec<Entry>,
}

struct Entry {
    info: ConfigInfo,
    counts_once: bool,
}

impl Infos {
    /// Adds definitions with their values. A key that is there already is the connector's own from now on.
    fn add(&mut self, def: &ConfigDef, values: Vec<ConfigValue>, counts_once: bool) {
        for group in def.groups() {
            if !self.groups.iter().any(|known| known == group) {
                self.groups.push(group.to_owned());
            }
        }
        for value in values {
            let definition = def.get(&value.name).map(ConfigKeyInfo::from);
            let entry = Entry { info: ConfigInfo { definition, value }, counts_once };
            match self.entries.iter_mut().find(|known| known.info.value.name == entry.info.value.name) {
                Some(known) => *known = entry,
                None => self.entries.push(entry),
            }
        }
    }

    fn error(&mut self, error: &ConfigError) {
        let at = self.entries.iter().position(|entry| entry.info.value.name == error.key);
        let at = at.unwrap_or_else(|| {
            let info = ConfigInfo { definition: None, value: ConfigValue::new(&error.key) };
            self.entries.push(Entry { info, counts_once: false });
            self.entries.len() - 1
        });
        let value = &mut self.entries[at].info.value;
        if error.reason == "UnknownClass" {
            // Nothing that could be shown was found under that name.
            value.value = None;
        }
        let errors = &mut value.errors;
        if !errors.contains(&error.message) {
            errors.push(error.message.clone());
        }
    }

    fn finish(self, class: &str) -> ConfigInfos {
        let count = |entry: &Entry| match entry.info.value.errors.len() {
            errors if entry.counts_once => errors.min(1),
            errors => errors,
        };
        ConfigInfos {
            name: class.to_owned(),
            error_count: self.entries.iter().map(count).sum(),
            groups: self.groups,
            configs: self.entries.into_iter().map(|entry| entry.info).collect(),
        }
    }
}

/// The keys common to all connectors, with defaults and recommendations from what this worker has, and with the keys of the
/// transforms and predicates that the configuration names.
fn enriched(registry: &Registry, worker: &RawConfig, plugin: &dyn ConnectorPlugin, config: &RawConfig) -> ConfigDef {
    let mut def = ConfigDef::new();
    for key in framework_config_def(plugin.kind()).keys() {
        def = def.define(enriched_key(registry, worker, plugin, config, key.clone()));
    }
    transform::enriched(def, config)
}

fn enriched_key(
    registry: &Registry,
    worker: &RawConfig,
    plugin: &dyn ConnectorPlugin,
    config: &RawConfig,
    mut key: ConfigKey,
) -> ConfigKey {
    if key.name == "connector.plugin.version" {
        return key.default(plugin.version()).recommended([plugin.version()]);
    }
    for (converter, _) in CONVERTERS {
        let default = worker.get(converter).map(|class| class.trim());
        let default = default.or((converter == HEADER_CONVERTER).then_some(SimpleHeaderConverter::CLASS));
        let find = |class: &str| converter_class(registry, converter, class);
        if key.name == converter {
            if let Some((class, _)) = default.and_then(find) {
                key.default = Default::Value(Parsed::Class(class.to_owned()));
            }
            return match converter {
                HEADER_CONVERTER => key.recommended(sorted(header_converter::classes())),
                _ => key.recommended(sorted(registry.converter_classes())),
            };
        }
        if key.name == format!("{converter}.plugin.version") {
            let class = config.get(converter).map(|class| class.trim()).or(default);
            let version = class.and_then(find).map(|(_, version)| version);
            let key = match version {
                Some(version) => key.default(version),
                None => key,
            };
            return key.recommender(VersionOf(version));
        }
    }
    key
}

fn sorted<'a>(classes: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut classes: Vec<_> = classes.collect();
    classes.sort_unstable();
    classes
}

/// The one version that there is of a class; of a class that is not known there is none to show.
#[derive(Debug)]
struct VersionOf(Option<&'static str>);

impl Recommender for VersionOf {
    fn values(&self, _key: &str, _config: &ParsedValues) -> Vec<String> {
        self.0.map(str::to_owned).into_iter().collect()
    }

    fn visible(&self, _key: &str, _config: &ParsedValues) -> bool {
        self.0.is_some()
    }
}

/// The full name and the version of a converter class, for headers or not.
fn converter_class(registry: &Registry, key: &str, class: &str) -> Option<(&'static str, &'static str)> {
    if key == HEADER_CONVERTER {
        return header_converter::find(class).map(|(class, _)| (class, crate::VERSION));
    }
    registry.find_converter(class).map(|plugin| (plugin.class, plugin.version))
}

/// The keys of a converter, and the one that the worker sets.
fn converter_def(registry: &Registry, key: &str, class: &str) -> Option<ConfigDef> {
    let own = if key == HEADER_CONVERTER {
        let (class, def) = header_converter::find(class)?;
        if class == SimpleHeaderConverter::CLASS {
            return Some(def);
        }
        def
    } else {
        (registry.find_converter(class)?.config_def)()
    };
    let role = ConfigKey::new("converter.type", Type::String)
        .validator(Validator::one_of(&["key", "value", "header"]))
        .importance(crate::config::Importance::Low)
        .doc("What the converter converts. The worker sets it.");
    Some(ConfigDef::new().define(role).merge(&own))
}

/// The configuration with the full name of every class that it names in short, as Connect shows them.
fn full_class_names(registry: &Registry, config: &RawConfig) -> RawConfig {
    let mut named = config.clone();
    for (key, class) in &mut named {
        let full = match CONVERTERS.iter().find(|(converter, _)| key == converter) {
            Some((converter, _)) => converter_class(registry, converter, class.trim()).map(|(class, _)| class),
            None => transform::class_of_key(key, class),
        };
        if let Some(full) = full {
            full.clone_into(class);
        }
    }
    named
}
