//! `io.debezium.transforms.Filter`: keeps the records for which an expression is true.

use crate::config::{ConfigDef, RawConfig};
use crate::converter::Configured;
use crate::error::Result;
use crate::record::Record;
use crate::transform::Transform;

use super::scripting::{self, Decision, Script};

pub(in crate::transform) fn config_def() -> ConfigDef {
    scripting::config_def("condition", "A CEL expression. Records for which it is false are left out.")
}

struct Filter {
    script: Script,
}

pub(in crate::transform) fn build(config: &RawConfig) -> Configured<Box<dyn Transform>> {
    Ok(Box::new(Filter { script: Script::new(&config_def().parse(config)?, "condition")? }))
}

impl Transform for Filter {
    fn apply(&mut self, record: Record) -> Result<Option<Record>> {
        match self.script.decide(&record)? {
            Decision::Keep => Ok(Some(record)),
            Decision::Drop => Ok(None),
            Decision::Evaluate => match self.script.evaluate(&record)? {
                cel::Value::Bool(keeps) => Ok(keeps.then_some(record)),
                other => Err(self.script.wrong_type(&other, "Boolean")),
            },
        }
    }
}
