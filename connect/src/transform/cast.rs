//! `Cast$Key` and `Cast$Value`: values of other types.

mod convert;

use std::sync::Arc;

use crate::config::{ConfigDef, ConfigError, ConfigKey, Importance, Parsed, RawConfig, Type, Validator, invalid_value};
use crate::converter::Configured;
use crate::error::Result;
use crate::java;
use crate::record::Record;
use crate::schema::{Schema, SchemaBuilder, SchemaKind, SchemaRef};
use crate::value::{Str, Value};

use super::fields::{SchemaCache, check_null, no_fields, replace_null_with_default, set_struct, take_map, take_struct};
use super::{Side, Transform};
use convert::cast;

const PURPOSE: &str = "cast types";

pub(super) fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            ConfigKey::new("spec", Type::List)
                .validator(Validator::Custom("list of colon-delimited pairs, e.g. foo:int32,abc:string, or one type", |_, value| {
                    parse_spec(value.and_then(Parsed::as_list).unwrap_or_default()).map(|_| ())
                }))
                .importance(Importance::High)
                .doc(
                    "Fields and their new types, `field1:type,field2:type`, or a single type for the whole key or value. The types are \
                     int8, int16, int32, int64, float32, float64, boolean and string. Bytes can become a string only, their base64.",
                ),
        )
        .define(replace_null_with_default())
}

/// What `spec` asks for.
enum Spec {
    Whole(SchemaKind),
    /// In the order in which Java's map iterates, where the new entries of a map show it.
    Fields(Vec<(Str, SchemaKind)>),
}

const OUTPUTS: [SchemaKind; 8] = [
    SchemaKind::Int8,
    SchemaKind::Int16,
    SchemaKind::Int32,
    SchemaKind::Int64,
    SchemaKind::Float32,
    SchemaKind::Float64,
    SchemaKind::Boolean,
    SchemaKind::String,
];

const OTHERS: [SchemaKind; 4] = [SchemaKind::Bytes, SchemaKind::Array, SchemaKind::Map, SchemaKind::Struct];

/// The error is Java's whole message.
fn parse_spec(spec: &[String]) -> std::result::Result<Spec, String> {
    if spec.is_empty() {
        return Err("Must specify at least one field to cast.".to_owned());
    }
    let mut fields: Vec<(Str, SchemaKind)> = Vec::new();
    let mut whole = None;
    for mapping in spec {
        // As `String.split(":")`, which drops empty parts at the end.
        let mut parts: Vec<&str> = mapping.split(':').collect();
        while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        match parts[..] {
            [kind] => whole = Some(output(kind)?),
            [field, kind] => {
                let field = java::trim(field);
                let kind = output(kind)?;
                fields.retain(|(known, _)| known != field);
                fields.push((Str::copy_from(field), kind));
            }
            _ => {
                let all = format!("[{}]", spec.join(", "));
                return Err(invalid_value("renames", &all, &format!("Invalid rename mapping: {mapping}")));
            }
        }
    }
    match whole {
        Some(_) if spec.len() > 1 => {
            Err("Cast transformations that specify a type to cast the entire value to may only specify a \
                                          single cast in their spec"
                .to_owned())
        }
        Some(kind) => Ok(Spec::Whole(kind)),
        None => {
            java::hash_order(&mut fields, java::HASH_MAP_DEFAULT, |(name, _)| Some(java::string_hash(name)));
            Ok(Spec::Fields(fields))
        }
    }
}

fn output(text: &str) -> std::result::Result<SchemaKind, String> {
    let text = java::trim(text);
    let named = |kind: &&SchemaKind| kind.java_name() == text.to_uppercase();
    match OUTPUTS.iter().find(named) {
        Some(kind) => Ok(*kind),
        None => Err(match OTHERS.iter().find(named) {
            Some(kind) => format!(
                "Cast transformation does not support casting to {kind}; supported types are {}",
                convert::list_of(&OUTPUTS)
            ),
            None => format!("Invalid type found in casting spec: {text}"),
        }),
    }
}

struct Cast {
    side: Side,
    spec: Spec,
    replace_null: bool,
    schemas: SchemaCache<Arc<Compiled>>,
}

struct Compiled {
    old: SchemaRef,
    new: SchemaRef,
    /// For each field its new type.
    targets: Vec<Option<SchemaKind>>,
}

pub(super) fn build(config: &RawConfig, side: Side) -> Configured<Box<dyn Transform>> {
    let config = config_def().parse(config)?;
    let spec =
        parse_spec(config.list("spec")).map_err(|message| vec![ConfigError::new("spec", "InvalidValue", message)])?;
    Ok(Box::new(Cast {
        side,
        spec,
        replace_null: config.boolean("replace.null.with.default"),
        schemas: SchemaCache::new(),
    }))
}

impl Spec {
    fn target(&self, field: &str) -> Option<SchemaKind> {
        match self {
            Self::Whole(_) => None,
            Self::Fields(fields) => fields.iter().find(|(name, _)| name == field).map(|(_, kind)| *kind),
        }
    }

    fn compile(&self, old: &SchemaRef) -> Result<Arc<Compiled>> {
        let mut targets = Vec::new();
        let mut builder = match self {
            Self::Whole(kind) => SchemaBuilder::new(*kind),
            Self::Fields(_) => SchemaBuilder::structure(),
        }
        .basics_of(old)
        .set_optional(old.is_optional());
        if let Self::Fields(_) = self {
            for field in old.fields() {
                let target = self.target(field.name());
                targets.push(target);
                builder = builder.field(
                    field.name_str().clone(),
                    match target {
                        Some(kind) => updated_field(field.schema(), kind)?,
                        None => field.schema().clone(),
                    },
                );
            }
        }
        if let Some(default) = old.default() {
            let kind = match self {
                Self::Whole(kind) => *kind,
                Self::Fields(_) => SchemaKind::Struct,
            };
            builder = builder.default_value(cast(Some(old), default.clone(), kind)?);
        }
        Ok(Arc::new(Compiled { old: old.clone(), new: builder.build()?, targets }))
    }
}

/// The schema of a field of another type keeps only whether null is allowed, and the default.
fn updated_field(old: &Schema, kind: SchemaKind) -> Result<SchemaRef> {
    let mut builder = SchemaBuilder::new(kind).set_optional(old.is_optional());
    if let Some(default) = old.default() {
        builder = builder.default_value(cast(Some(old), default.clone(), kind)?);
    }
    builder.build()
}

impl Transform for Cast {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>> {
        let data = self.side.of(&mut record);
        if data.value.is_null() {
            return Ok(Some(record));
        }
        match (&self.spec, &data.schema) {
            (Spec::Whole(kind), None) => data.value = cast(None, std::mem::take(&mut data.value), *kind)?,
            (Spec::Whole(kind), Some(schema)) => {
                let compiled = self.schemas.get_or(schema, || self.spec.compile(schema))?;
                data.value = cast(Some(schema), std::mem::take(&mut data.value), *kind)?;
                data.schema = Some(compiled.new.clone());
            }
            (Spec::Fields(fields), None) => {
                let mut map = take_map(data, PURPOSE)?;
                let buckets = java::hash_map_copy(map.len());
                for (field, kind) in fields {
                    let value = cast(None, map.get(field).cloned().unwrap_or_default(), *kind)?;
                    map.insert(Value::String(field.clone()), value);
                }
                data.value = Value::from(map.into_hash_order(buckets));
            }
            (Spec::Fields(_), Some(schema)) if schema.kind() != SchemaKind::Struct => return Err(no_fields()),
            (Spec::Fields(_), Some(_)) => {
                let spec = &self.spec;
                let (compiled, mut values) =
                    take_struct(data, PURPOSE, self.replace_null, &mut self.schemas, |schema| spec.compile(schema))?;
                let fields = compiled.old.fields().iter().zip(compiled.new.fields());
                for (((old, new), target), value) in fields.zip(&compiled.targets).zip(&mut values) {
                    if let Some(kind) = target {
                        *value = cast(Some(old.schema()), std::mem::take(value), *kind)?;
                    }
                    check_null(new, value)?;
                }
                set_struct(data, compiled.new.clone(), values);
            }
        }
        Ok(Some(record))
    }
}
