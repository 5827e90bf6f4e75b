//! `SetSchemaMetadata$Key` and `SetSchemaMetadata$Value`: name and version of the schema.

use crate::config::{ConfigDef, ConfigError, ConfigKey, Importance, RawConfig, Type};
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::record::Record;
use crate::schema::{Schema, SchemaBuilder, SchemaKind, SchemaRef};
use crate::value::{Str, Value};

use super::fields::{SchemaCache, check_null, no_fields, replace_null_with_default, set_struct, take_struct};
use super::{Side, Transform};

const PURPOSE: &str = "updating schema metadata";

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            ConfigKey::new("schema.name", Type::String)
                .default_null()
                .importance(Importance::High)
                .doc("The name to set."),
        )
        .define(
            ConfigKey::new("schema.version", Type::Int)
                .default_null()
                .importance(Importance::High)
                .doc("The version to set."),
        )
        .define(replace_null_with_default())
}

struct SetSchemaMetadata {
    side: Side,
    replace_null: bool,
    metadata: Metadata,
    schemas: SchemaCache<SchemaRef>,
}

struct Metadata {
    name: Option<Str>,
    version: Option<i32>,
}

pub(super) fn build(config: &RawConfig, side: Side) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    let metadata = Metadata {
        name: config.opt_string("schema.name").map(Str::copy_from),
        version: config.opt_int("schema.version"),
    };
    if metadata.name.is_none() && metadata.version.is_none() {
        return Err(vec![ConfigError::new("", "MissingKey", "Neither schema name nor version configured")]);
    }
    let replace_null = config.boolean("replace.null.with.default");
    Ok(Box::new(SetSchemaMetadata { side, replace_null, metadata, schemas: SchemaCache::new() }))
}

impl Metadata {
    fn updated(&self, schema: &Schema) -> Result<SchemaRef> {
        if schema.kind() != SchemaKind::Struct {
            // What Java says, whose transform asks any schema for its fields.
            return Err(no_fields());
        }
        let mut builder = SchemaBuilder::copy_of(schema);
        if let Some(name) = &self.name {
            builder = builder.name(name.clone());
        }
        if let Some(version) = self.version {
            builder = builder.version(version);
        }
        Ok(builder.build_unchecked())
    }
}

impl Transform for SetSchemaMetadata {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let data = self.side.of(&mut record);
        let Some(schema) = &data.schema else {
            return match data.value {
                Value::Null => Ok(Some(record)),
                _ => Err(Error::data(format!("Schema required for [{PURPOSE}]"))),
            };
        };
        if let Value::Struct(_) = data.value {
            let metadata = &self.metadata;
            let (schema, values) =
                take_struct(data, PURPOSE, self.replace_null, &mut self.schemas, |schema| metadata.updated(schema))?;
            for (field, value) in schema.fields().iter().zip(&values) {
                check_null(field, value)?;
            }
            set_struct(data, schema, values);
        } else {
            data.schema = Some(self.schemas.get_or(schema, || self.metadata.updated(schema))?);
        }
        Ok(Some(record))
    }
}
