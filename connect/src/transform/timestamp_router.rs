//! `TimestampRouter`: a topic name made of the topic and the time of the record.

use crate::config::{ConfigDef, ConfigError, ConfigKey, Importance, RawConfig, Type};
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::java::SimpleDateFormat;
use crate::record::Record;
use crate::value::Str;

use super::Transform;

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            ConfigKey::new("topic.format", Type::String)
                .default("${topic}-${timestamp}")
                .importance(Importance::High)
                .doc("The new name of the topic; `${topic}` stands for the old one, `${timestamp}` for the time of the record."),
        )
        .define(
            ConfigKey::new("timestamp.format", Type::String)
                .default("yyyyMMdd")
                .importance(Importance::High)
                .doc("The format of the time, in UTC: a pattern of java.text.SimpleDateFormat."),
        )
}

struct TimestampRouter {
    topic_format: String,
    timestamp_format: SimpleDateFormat,
    // The names of topics change rarely, so the one made last is kept.
    last: Option<Last>,
    text: String,
}

struct Last {
    topic: Str,
    timestamp: String,
    renamed: Str,
}

pub(super) fn build(config: &RawConfig) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    let pattern = config.string("timestamp.format");
    let timestamp_format = SimpleDateFormat::new(pattern).map_err(|error| {
        vec![ConfigError::invalid("timestamp.format", pattern, &format!("not a SimpleDateFormat pattern: {error}"))]
    })?;
    let topic_format = config.string("topic.format").to_owned();
    Ok(Box::new(TimestampRouter { topic_format, timestamp_format, last: None, text: String::new() }))
}

impl Transform for TimestampRouter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let Some(timestamp) = record.timestamp else {
            return Err(Error::data(format!("Timestamp missing on record of topic {}", record.topic)));
        };
        self.text.clear();
        self.timestamp_format.format_to(timestamp, &mut self.text);
        match &self.last {
            Some(last) if last.topic == record.topic && last.timestamp == self.text => {
                record.topic = last.renamed.clone();
            }
            _ => {
                let renamed = self.topic_format.replace("${topic}", &record.topic).replace("${timestamp}", &self.text);
                let renamed = Str::from(renamed);
                let topic = std::mem::replace(&mut record.topic, renamed.clone());
                self.last = Some(Last { topic, timestamp: self.text.clone(), renamed });
            }
        }
        Ok(Some(record))
    }
}
