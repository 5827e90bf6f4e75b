//! `ExtractField$Key` and `ExtractField$Value`: one field takes the place of the whole.

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigKey, RawConfig, Type};
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::record::{Data, Record};
use crate::schema::SchemaRef;
use crate::value::Value;

use super::field_path::{FieldPath, syntax_version, value_at};
use super::fields::{SchemaCache, not_a_map, not_a_struct, replace_null_with_default};
use super::{Side, Transform};

const PURPOSE: &str = "field extraction";

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(ConfigKey::new("field", Type::String).doc("The name of the field to extract."))
        .define(replace_null_with_default())
        .define(syntax_version())
}

struct ExtractField {
    side: Side,
    text: String,
    path: FieldPath,
    replace_null: bool,
    schemas: SchemaCache<Arc<Found>>,
}

/// Where the field is in structs of one schema.
struct Found {
    indexes: Vec<usize>,
    schema: SchemaRef,
}

pub(super) fn build(config: &RawConfig, side: Side) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    let text = config.string("field").to_owned();
    let path = FieldPath::parse(&text, config.string("field.syntax.version")).map_err(|error| vec![error])?;
    let replace_null = config.boolean("replace.null.with.default");
    Ok(Box::new(ExtractField { side, text, path, replace_null, schemas: SchemaCache::new() }))
}

impl Transform for ExtractField {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let data = self.side.of(&mut record);
        *data = match (&data.schema, &data.value) {
            (None, Value::Null) => return Ok(Some(record)),
            (None, Value::Map(map)) => Data::schemaless(self.path.value_in(map)?),
            (None, other) => return Err(not_a_map(other, PURPOSE)),
            (Some(schema), value @ (Value::Null | Value::Struct(_))) => {
                let found = self.schemas.get_or(schema, || match self.path.resolve(schema)? {
                    Some((indexes, field)) => Ok(Arc::new(Found { indexes, schema: field.schema().clone() })),
                    None => Err(Error::data(format!("Unknown field: {}", self.text))),
                })?;
                let value = match value {
                    Value::Struct(fields) => value_at(fields, &found.indexes, self.replace_null),
                    _ => Value::Null,
                };
                Data::new(found.schema.clone(), value)
            }
            (Some(_), other) => return Err(not_a_struct(other, PURPOSE)),
        };
        Ok(Some(record))
    }
}
