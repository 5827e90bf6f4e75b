//! `HoistField$Key` and `HoistField$Value`: the whole becomes the single field of a struct or map.

use crate::config::{ConfigDef, ConfigKey, RawConfig, Type};
use crate::converter::Configured;
use crate::error::Result;
use crate::record::Record;
use crate::schema::{SchemaBuilder, SchemaRef};
use crate::value::{Map, Str, Value};

use super::fields::{SchemaCache, set_struct};
use super::{Side, Transform};

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(ConfigKey::new("field", Type::String).doc("The name of the single field of the new struct or map."))
}

struct HoistField {
    side: Side,
    field: Str,
    schemas: SchemaCache<SchemaRef>,
}

pub(super) fn build(config: &RawConfig, side: Side) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    Ok(Box::new(HoistField { side, field: Str::copy_from(config.string("field")), schemas: SchemaCache::new() }))
}

impl Transform for HoistField {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let data = self.side.of(&mut record);
        let value = std::mem::take(&mut data.value);
        match &data.schema {
            None => {
                data.value = Value::from(Map::from_unique(vec![(Value::String(self.field.clone()), value)]));
            }
            Some(schema) => {
                let updated = self
                    .schemas
                    .get_or(schema, || SchemaBuilder::structure().field(self.field.clone(), schema.clone()).build())?;
                schema.validate(Some(&self.field), &value)?;
                set_struct(data, updated, vec![value]);
            }
        }
        Ok(Some(record))
    }
}
