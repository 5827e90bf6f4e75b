//! `io.debezium.transforms.ContentBasedRouter`: an expression gives the topic.

use crate::config::{ConfigDef, RawConfig};
use crate::converter::Configured;
use crate::error::Result;
use crate::record::Record;
use crate::transform::Transform;
use crate::value::Str;

use super::scripting::{self, Decision, Script};

pub(in crate::transform) fn config_def() -> ConfigDef {
    scripting::config_def("topic.expression", "A CEL expression for the new topic. Null leaves the topic as it is.")
}

struct ContentBasedRouter {
    script: Script,
}

pub(in crate::transform) fn build(config: &RawConfig) -> Configured<Box<dyn Transform>> {
    Ok(Box::new(ContentBasedRouter { script: Script::new(&config_def().parse(config)?, "topic.expression")? }))
}

impl Transform for ContentBasedRouter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        match self.script.decide(&record)? {
            Decision::Keep => Ok(Some(record)),
            Decision::Drop => Ok(None),
            Decision::Evaluate => {
                match self.script.evaluate(&record)? {
                    cel::Value::String(topic) => record.topic = Str::copy_from(&topic),
                    cel::Value::Null => {}
                    other => return Err(self.script.wrong_type(&other, "String")),
                }
                Ok(Some(record))
            }
        }
    }
}
