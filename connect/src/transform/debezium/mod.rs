//! Debezium's transforms (`io.debezium.transforms`), which work on its change events.

pub(super) mod by_logical_table_router;
pub(super) mod content_based_router;
pub(super) mod event_router;
pub(super) mod extract_new_record_state;
pub(super) mod filter;
pub(super) mod header_to_value;
mod scripting;
pub(super) mod timezone_converter;

use crate::config::{ConfigError, ConfigKey, Importance, Type, Validator};
use crate::error::{Error, Result};
use crate::record::Data;
use crate::regex::JavaRegex;
use crate::schema::{Field, SchemaBuilder, SchemaKind};
use crate::value::{Struct, Value};

use super::fields::not_a_struct;

/// Whether this is a change event: a struct of a schema whose name ends with `.Envelope` (`SmtManager.isValidEnvelope`).
fn is_envelope(data: &Data) -> bool {
    data.schema.as_ref().and_then(|schema| schema.name()).is_some_and(|name| name.ends_with(".Envelope"))
}

/// `Requirements.requireStruct`
fn require_struct<'a>(value: &'a Value, purpose: &str) -> Result<&'a Struct> {
    value.as_struct().ok_or_else(|| not_a_struct(value, purpose))
}

/// The index of a field of a type (`Struct.getCheckType`).
fn typed_field(fields: &Struct, name: &str, kind: SchemaKind) -> Result<usize> {
    let schema = fields.schema();
    let index = schema.field_index(name).ok_or_else(|| Error::data(format!("{name} is not a valid field name")))?;
    if schema.fields()[index].schema().kind() != kind {
        return Err(Error::data(format!("Field '{name}' is not of type {kind}")));
    }
    Ok(index)
}

/// `Struct.getString`; `None` is null.
fn string<'a>(fields: &'a Struct, name: &str) -> Result<Option<&'a str>> {
    Ok(fields.values()[typed_field(fields, name, SchemaKind::String)?].as_str())
}

/// The schema of a field with all but its fields or entries, and optional: what Debezium gives to a copy of it.
fn optional_basics(field: &Field) -> Result<crate::SchemaRef> {
    let schema = field.schema();
    let builder = match (schema.kind(), schema.value_schema()) {
        (SchemaKind::Array, Some(element)) => SchemaBuilder::array(element.clone()),
        (kind, _) => SchemaBuilder::new(kind),
    };
    builder.basics_of(schema).optional().build()
}

/// An optional key that holds a Java regular expression.
fn regex_key(name: &str, doc: &str) -> ConfigKey {
    ConfigKey::new(name, Type::String).default_null().validator(Validator::Regex).importance(Importance::Low).doc(doc)
}

fn compile(key: &str, pattern: &str) -> std::result::Result<JavaRegex, Vec<ConfigError>> {
    JavaRegex::new(pattern)
        .map_err(|error| vec![ConfigError::invalid(key, pattern, &format!("Invalid regex: {error}"))])
}
