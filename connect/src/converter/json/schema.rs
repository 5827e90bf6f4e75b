//! Schemas to JSON and back (`JsonConverter.asJsonSchema`, `asConnectSchema`).

use crate::error::{Error, Result};
use crate::json::{Node, Number, write_string};
use crate::schema::{Schema, SchemaBuilder, SchemaKind, SchemaRef};
use crate::value::{Str, Value};

use super::Settings;
use super::from_json::FromJson;
use super::to_json;

/// The names of types in JSON differ from those of Connect for floating-point numbers.
fn type_name(kind: SchemaKind) -> &'static str {
    match kind {
        SchemaKind::Float32 => "float",
        SchemaKind::Float64 => "double",
        other => other.name(),
    }
}

/// Writes a schema; a schema in a struct also says the `field` that it is of.
pub(super) fn to_json(out: &mut Vec<u8>, schema: &Schema, field: Option<&str>, settings: Settings) -> Result<()> {
    out.extend_from_slice(b"{\"type\":");
    write_string(out, type_name(schema.kind()));
    let nested = |out: &mut Vec<u8>, name: &str, nested: Option<&SchemaRef>| -> Result<()> {
        member(out, name);
        match nested {
            Some(nested) => to_json(out, nested, None, settings),
            None => {
                out.extend_from_slice(b"null");
                Ok(())
            }
        }
    };
    match schema.kind() {
        SchemaKind::Array => nested(out, "items", schema.value_schema())?,
        SchemaKind::Map => {
            nested(out, "keys", schema.key_schema())?;
            nested(out, "values", schema.value_schema())?;
        }
        SchemaKind::Struct => {
            member(out, "fields");
            out.push(b'[');
            for (index, field) in schema.fields().iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                to_json(out, field.schema(), Some(field.name()), settings)?;
            }
            out.push(b']');
        }
        _ => {}
    }
    member(out, "optional");
    out.extend_from_slice(if schema.is_optional() { b"true" } else { b"false" });
    if let Some(name) = schema.name() {
        member(out, "name");
        write_string(out, name);
    }
    if let Some(version) = schema.version() {
        member(out, "version");
        out.extend_from_slice(version.to_string().as_bytes());
    }
    if let Some(doc) = schema.doc() {
        member(out, "doc");
        write_string(out, doc);
    }
    if let Some(parameters) = schema.parameters() {
        member(out, "parameters");
        out.push(b'{');
        for (index, (name, value)) in parameters.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_string(out, name);
            out.push(b':');
            write_string(out, value);
        }
        out.push(b'}');
    }
    if let Some(default) = schema.default() {
        member(out, "default");
        to_json::write(out, Some(schema), default, settings)?;
    }
    if let Some(field) = field {
        member(out, "field");
        write_string(out, field);
    }
    out.push(b'}');
    Ok(())
}

fn member(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    write_string(out, name);
    out.push(b':');
}

/// Reads a schema; `null` is no schema.
pub(super) fn from_json(json: &Node<'_>, settings: Settings) -> Result<Option<SchemaRef>> {
    if *json == Node::Null {
        return Ok(None);
    }
    let Some(ty) = json.get("type").and_then(Node::as_str) else {
        return Err(Error::data("Schema must contain 'type' field"));
    };
    let mut builder = match ty {
        "boolean" => SchemaBuilder::new(SchemaKind::Boolean),
        "int8" => SchemaBuilder::new(SchemaKind::Int8),
        "int16" => SchemaBuilder::new(SchemaKind::Int16),
        "int32" => SchemaBuilder::new(SchemaKind::Int32),
        "int64" => SchemaBuilder::new(SchemaKind::Int64),
        "float" => SchemaBuilder::new(SchemaKind::Float32),
        "double" => SchemaBuilder::new(SchemaKind::Float64),
        "bytes" => SchemaBuilder::new(SchemaKind::Bytes),
        "string" => SchemaBuilder::new(SchemaKind::String),
        "array" => {
            let items = json.get("items").map(|items| from_json(items, settings)).transpose()?.flatten();
            let items = items.ok_or_else(|| Error::data("Array schema did not specify the element type"))?;
            SchemaBuilder::array(items)
        }
        "map" => {
            let nested = |name: &str, what: &str| match json.get(name) {
                Some(schema) => from_json(schema, settings),
                None => Err(Error::data(format!("Map schema did not specify the {what} type"))),
            };
            match (nested("keys", "key")?, nested("values", "value")?) {
                (Some(keys), Some(values)) => SchemaBuilder::map(keys, values),
                (None, _) => return Err(Error::data("keySchema cannot be null.")),
                (_, None) => return Err(Error::data("valueSchema cannot be null.")),
            }
        }
        "struct" => {
            let mut builder = SchemaBuilder::structure();
            let Some(Node::Array(fields)) = json.get("fields") else {
                return Err(Error::data("Struct schema's \"fields\" argument is not an array."));
            };
            for field in fields {
                let Some(name) = field.get("field").and_then(Node::as_str) else {
                    return Err(Error::data("Struct schema's field name not specified properly"));
                };
                let Some(schema) = from_json(field, settings)? else {
                    return Err(Error::data(format!("fieldSchema for field {name} cannot be null.")));
                };
                builder = builder.field(Str::copy_from(name), schema);
            }
            builder
        }
        other => return Err(Error::data(format!("Unknown schema type: {other}"))),
    };
    if json.get("optional") == Some(&Node::Bool(true)) {
        builder = builder.optional();
    }
    if let Some(name) = json.get("name").and_then(Node::as_str) {
        builder = builder.name(Str::copy_from(name));
    }
    match json.get("version") {
        Some(Node::Number(Number::Integer(version))) => builder = builder.version(*version as i32),
        Some(Node::Number(Number::BigInteger(digits))) => {
            builder = builder.version(super::from_json::low_bits(digits) as i32);
        }
        _ => {}
    }
    if let Some(doc) = json.get("doc").and_then(Node::as_str) {
        builder = builder.doc(Str::copy_from(doc));
    }
    if let Some(Node::Object(parameters)) = json.get("parameters") {
        for (name, value) in parameters {
            let Some(value) = value.as_str() else {
                return Err(Error::data("Schema parameters must have string values."));
            };
            builder = builder.parameter(Str::copy_from(name), Str::copy_from(value));
        }
    }
    if let Some(default) = json.get("default") {
        let plain = builder.clone().build()?;
        let value = FromJson::new(&Str::new(), settings).with_schema(&plain, Some(default))?;
        match value {
            Value::Null if plain.is_optional() => {}
            // A default of a wrong type has become null.
            Value::Null => return Err(Error::data("Invalid default value")),
            value => builder = builder.default_value(value),
        }
    }
    builder.build().map(Some)
}
