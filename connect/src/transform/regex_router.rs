//! `RegexRouter`: renames the topic.

use crate::config::{ConfigDef, ConfigError, ConfigKey, Importance, RawConfig, Type, Validator};
use crate::error::Result;
use crate::record::Record;
use crate::regex::JavaRegex;
use crate::value::Str;

use super::Transform;

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            ConfigKey::new("regex", Type::String)
                .validator(Validator::Regex)
                .importance(Importance::High)
                .doc("A Java regular expression. Only topics whose whole name matches are renamed."),
        )
        .define(
            ConfigKey::new("replacement", Type::String)
                .importance(Importance::High)
                .doc("The new name of the topic; `$1` stands for what the first group matched."),
        )
}

struct RegexRouter {
    regex: JavaRegex,
    replacement: String,
    // The topic seen last and its new name: a task's records come in runs of one topic.
    last: Option<(Str, Option<Str>)>,
}

pub(super) fn build(config: &RawConfig) -> std::result::Result<Box<dyn Transform>, Vec<ConfigError>> {
    let config = config_def().parse(config)?;
    let regex = config.string("regex");
    let compiled = JavaRegex::new(regex)
        .map_err(|error| vec![ConfigError::invalid("regex", regex, &format!("Invalid regex: {error}"))])?;
    Ok(Box::new(RegexRouter { regex: compiled, replacement: config.string("replacement").to_owned(), last: None }))
}

impl Transform for RegexRouter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        if self.last.as_ref().is_none_or(|(topic, _)| *topic != record.topic) {
            let renamed = if self.regex.matches(&record.topic)? {
                Some(Str::from(self.regex.replace_first(&record.topic, &self.replacement)?))
            } else {
                None
            };
            self.last = Some((record.topic.clone(), renamed));
        }
        if let Some((_, Some(renamed))) = &self.last {
            record.topic = renamed.clone();
        }
        Ok(Some(record))
    }
}
