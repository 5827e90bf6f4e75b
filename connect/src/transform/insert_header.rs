//! `InsertHeader`: adds a constant header.

use crate::config::{ConfigDef, ConfigKey, Importance, RawConfig, Type, Validator};
use crate::converter::Configured;
use crate::error::Result;
use crate::header_converter::parse_string;
use crate::record::{Header, Record};
use crate::value::Str;

use super::Transform;

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            ConfigKey::new("header", Type::String)
                .validator(Validator::NonNull)
                .importance(Importance::High)
                .doc("The name of the header."),
        )
        .define(ConfigKey::new("value.literal", Type::String).validator(Validator::NonNull).importance(Importance::High).doc(
            "The value of the header. Its type is guessed from the text as SimpleHeaderConverter does: null, a boolean, a number, a \
             date or time, an array, a map, else a string.",
        ))
}

struct InsertHeader {
    header: Header,
}

pub(super) fn build(config: &RawConfig) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    let literal = parse_string(&Str::copy_from(config.string("value.literal")));
    let key = Str::copy_from(config.string("header"));
    Ok(Box::new(InsertHeader { header: Header { key, schema: literal.schema, value: literal.value } }))
}

impl Transform for InsertHeader {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        record.headers.push(self.header.clone());
        Ok(Some(record))
    }
}
