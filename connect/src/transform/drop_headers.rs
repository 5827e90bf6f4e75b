//! `DropHeaders`: leaves headers out.

use crate::config::{ConfigDef, ConfigKey, Importance, RawConfig, Type};
use crate::converter::Configured;
use crate::error::Result;
use crate::record::Record;

use super::Transform;
use super::fields::names;

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new().define(
        ConfigKey::new("headers", Type::List)
            .validator(names())
            .importance(Importance::High)
            .doc("The names of the headers to leave out."),
    )
}

struct DropHeaders {
    names: Vec<String>,
}

pub(super) fn build(config: &RawConfig) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    Ok(Box::new(DropHeaders { names: config.list("headers").to_vec() }))
}

impl Transform for DropHeaders {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        record.headers.retain(|header| !self.names.iter().any(|name| header.key == **name));
        Ok(Some(record))
    }
}
