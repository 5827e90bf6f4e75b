//! `Filter`: drops every record, so it is used with a predicate.

use crate::config::{ConfigDef, RawConfig};
use crate::converter::Configured;
use crate::error::Result;
use crate::record::Record;

use super::Transform;

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new()
}

struct Filter;

pub(super) fn build(_: &RawConfig) -> Configured<Box<dyn Transform>> {
    Ok(Box::new(Filter))
}

impl Transform for Filter {
    fn apply(&mut self, _: Record) -> Result<Option<Record>> {
        Ok(None)
    }
}
