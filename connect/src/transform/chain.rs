//! The chain of a connector's transforms, from the keys `transforms`, `predicates` and what they name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{
    ConfigDef, ConfigError, ConfigKey, Importance, Parsed, RawConfig, Type, Validator, invalid_value, with_prefix,
};
use crate::converter::unknown_class;
use crate::error::Result;
use crate::predicate::{self, Predicate};
use crate::record::Record;

use super::{Transform, find};

/// The transforms of a task, in order.
#[derive(Default)]
pub struct TransformChain {
    stages: Vec<Stage>,
}

struct Stage {
    class: &'static str,
    transform: Box<dyn Transform>,
    condition: Option<(Arc<dyn Predicate>, bool)>,
}

impl TransformChain {
    /// Whether nothing is changed at all.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// How many transforms there are.
    pub fn len(&self) -> usize {
        self.stages.len()
    }

    /// Applies all transforms to one record; `None` when one of them dropped it.
    /// The error names the class that failed ([`crate::Error::origin`]).
    pub fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        for stage in &mut self.stages {
            let applies = match &stage.condition {
                Some((predicate, negate)) => {
                    predicate.test(&record).map_err(|error| error.at_class(stage.class))? != *negate
                }
                None => true,
            };
            if applies {
                match stage.transform.apply(record).map_err(|error| error.at_class(stage.class))? {
                    Some(changed) => record = changed,
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(record))
    }

    /// Applies all transforms to a batch. `on_error` gets the index in `records` and the error of a record that failed; when it
    /// returns `Ok` the record is left out, else the batch ends with its error.
    pub fn apply_batch(
        &mut self,
        records: Vec<Record>,
        mut on_error: impl FnMut(usize, crate::Error) -> Result<()>,
    ) -> Result<Vec<Record>> {
        if self.is_empty() {
            return Ok(records);
        }
        let mut changed = Vec::with_capacity(records.len());
        for (index, record) in records.into_iter().enumerate() {
            match self.apply(record) {
                Ok(record) => changed.extend(record),
                Err(error) => on_error(index, error)?,
            }
        }
        Ok(changed)
    }
}

/// Builds the chain of a connector configuration.
pub fn chain(config: &RawConfig) -> Result<TransformChain, Vec<ConfigError>> {
    let mut errors = errors(config);
    let mut predicates: BTreeMap<String, Arc<dyn Predicate>> = BTreeMap::new();
    let mut stages = Vec::new();
    if errors.is_empty() {
        for alias in aliases(config, "predicates") {
            let prefix = format!("predicates.{alias}.");
            let own = with_prefix(config, &prefix);
            let plugin = own.get("type").and_then(|class| predicate::find(class));
            match plugin.map(|plugin| (plugin.build)(&own)) {
                Some(Ok(predicate)) => {
                    predicates.insert(alias, predicate);
                }
                Some(Err(own)) => errors.extend(own.into_iter().map(|error| under(&prefix, error))),
                None => {}
            }
        }
        for alias in aliases(config, "transforms") {
            let prefix = format!("transforms.{alias}.");
            let own = with_prefix(config, &prefix);
            let Some(plugin) = own.get("type").and_then(|class| find(class)) else { continue };
            let negate = own.get("negate").is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
            let condition = own
                .get("predicate")
                .and_then(|predicate| predicates.get(predicate.trim()))
                .map(|predicate| (predicate.clone(), negate));
            match (plugin.build)(&own) {
                Ok(transform) => stages.push(Stage { class: plugin.class, transform, condition }),
                Err(own) => errors.extend(own.into_iter().map(|error| under(&prefix, error))),
            }
        }
    }
    if errors.is_empty() { Ok(TransformChain { stages }) } else { Err(errors) }
}

/// Everything wrong with the keys under `transforms.` and `predicates.`.
pub(crate) fn errors(config: &RawConfig) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let predicate_aliases = aliases(config, "predicates");
    let transform_aliases = aliases(config, "transforms");
    for alias in &predicate_aliases {
        let prefix = format!("predicates.{alias}.");
        let Some(class) = class_of(config, &prefix, &mut errors) else { continue };
        match predicate::find(class) {
            Some(plugin) => {
                check(config, &prefix, implicit_keys(false).merge(&(plugin.config_def)()), &mut errors, |own| {
                    (plugin.build)(own).err()
                })
            }
            None => errors.push(unknown_class(&format!("{prefix}type"), class, predicate::classes())),
        }
    }
    for alias in &transform_aliases {
        let prefix = format!("transforms.{alias}.");
        let Some(class) = class_of(config, &prefix, &mut errors) else { continue };
        match find(class) {
            Some(plugin) => {
                check(config, &prefix, implicit_keys(true).merge(&(plugin.config_def)()), &mut errors, |own| {
                    (plugin.build)(own).err()
                })
            }
            None => errors.push(unknown_class(&format!("{prefix}type"), class, super::classes())),
        }
        let (predicate_key, negate_key) = (format!("{prefix}predicate"), format!("{prefix}negate"));
        match config.get(&predicate_key) {
            Some(name) if !predicate_aliases.iter().any(|alias| alias == name.trim()) => {
                let known = predicate_aliases.join(", ");
                let what = format!("there is no such predicate. The predicates are: [{known}]");
                errors.push(ConfigError::new(&predicate_key, "InvalidValue", invalid_value(&predicate_key, name, &what)));
            }
            None if config.contains_key(&negate_key) => errors.push(ConfigError::new(
                &negate_key,
                "InvalidValue",
                format!(
                    "Config '{negate_key}' was provided but there is no config '{predicate_key}' defining a predicate to be negated."
                ),
            )),
            _ => {}
        }
    }
    for (group, known) in [("transforms", &transform_aliases), ("predicates", &predicate_aliases)] {
        let prefix = format!("{group}.");
        for key in config.range(prefix.clone()..).map(|(key, _)| key).take_while(|key| key.starts_with(&prefix)) {
            let alias = key[prefix.len()..].split('.').next().unwrap_or_default();
            if !known
                .iter()
                .any(|known| key[prefix.len()..].strip_prefix(known.as_str()).is_some_and(|rest| rest.starts_with('.')))
            {
                let message = format!("Unknown configuration {key}: {alias} is not one of the aliases in {group}.");
                errors.push(ConfigError::new(key, "UnknownKey", message));
            }
        }
    }
    errors
}

fn class_of<'a>(config: &'a RawConfig, prefix: &str, errors: &mut Vec<ConfigError>) -> Option<&'a str> {
    let key = format!("{prefix}type");
    let class = config.get(&key).map(|class| class.trim());
    if class.is_none() {
        errors.push(ConfigError::missing(&key));
    }
    class
}

/// Checks the keys of one transform or predicate; what only shows when it is built is looked at last.
fn check(
    config: &RawConfig,
    prefix: &str,
    def: ConfigDef,
    errors: &mut Vec<ConfigError>,
    build: impl Fn(&RawConfig) -> Option<Vec<ConfigError>>,
) {
    let own = with_prefix(config, prefix);
    let before = errors.len();
    errors.extend(def.embed(prefix).errors(config));
    errors.extend(def.unknown(&own).into_iter().map(|error| under(prefix, error)));
    if errors.len() == before {
        errors.extend(build(&own).into_iter().flatten().map(|error| under(prefix, error)));
    }
}

/// Puts the prefix back in front of the key of an error, and of the key where the message says `for configuration`.
fn under(prefix: &str, mut error: ConfigError) -> ConfigError {
    let named = format!("for configuration {}:", error.key);
    if error.message.contains(&named) {
        error.message = error.message.replacen(&named, &format!("for configuration {prefix}{}:", error.key), 1);
    } else if error.reason == "UnknownKey" {
        error.message = error.message.replacen(&error.key, &format!("{prefix}{}", error.key), 1);
    }
    error.key = format!("{prefix}{}", error.key).trim_end_matches('.').to_owned();
    error
}

/// The keys that every transform has besides its own.
pub(crate) fn implicit_keys(transform: bool) -> ConfigDef {
    let mut def = ConfigDef::new()
        .define(ConfigKey::new("type", Type::Class).importance(Importance::High).doc("The class."))
        .define(
            ConfigKey::new("plugin.version", Type::String)
                .default_null()
                .validator(Validator::NonEmptyString)
                .importance(Importance::Low)
                .doc("The version of the class."),
        );
    if transform {
        def = def
            .define(
                ConfigKey::new("predicate", Type::String)
                    .default("")
                    .doc("The alias of the predicate on which the transform is applied."),
            )
            .define(
                ConfigKey::new("negate", Type::Boolean)
                    .default(false)
                    .doc("Whether to apply the transform where the predicate is false."),
            );
    }
    def
}

pub(super) fn aliases(config: &RawConfig, key: &str) -> Vec<String> {
    let parsed = config.get(key).and_then(|text| Type::List.parse(text).ok());
    let mut aliases: Vec<String> = Vec::new();
    for alias in parsed.as_ref().and_then(Parsed::as_list).unwrap_or_default() {
        if !aliases.contains(alias) {
            aliases.push(alias.clone());
        }
    }
    aliases
}
