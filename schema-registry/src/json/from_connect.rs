//! Connect schemas to JSON Schemas (`JsonSchemaData.fromConnectSchema`).

use barnabas_connect::schema::{Logical, SchemaKind};
use barnabas_connect::{Error, Result, Schema, java};
use serde_json::{Map, Value as Json, json};

use super::{ENUM, GENERAL_ENUM, NAMESPACE, Settings, is_union, write};

/// The text of the JSON Schema of a Connect schema. Its members are in the order in which the library of the original writes
/// them, because the registry compares texts.
pub fn from_connect(schema: &Schema, settings: &Settings) -> Result<String> {
    Ok(make(schema, None, Use::default(), settings)?.to_string())
}

/// How a schema is used.
#[derive(Clone, Copy, Default)]
struct Use {
    /// As if it did not allow null.
    required: bool,
    /// The union with null is the caller's.
    bare: bool,
}

fn make(schema: &Schema, index: Option<usize>, usage: Use, settings: &Settings) -> Result<Json> {
    let optional = schema.is_optional() && !usage.required;
    let mut members = Map::new();
    let set = |members: &mut Map<String, Json>, name: &str, value: Json| _ = members.insert(name.to_owned(), value);
    let mut combined = false;
    match schema.kind() {
        SchemaKind::Int8 | SchemaKind::Int16 | SchemaKind::Int32 | SchemaKind::Int64 => {
            set(&mut members, "type", json!("integer"));
            set(&mut members, "connect.type", json!(schema.kind().name()));
        }
        SchemaKind::Float32 | SchemaKind::Float64 => {
            set(&mut members, "type", json!("number"));
            set(&mut members, "connect.type", json!(schema.kind().name()));
        }
        SchemaKind::Boolean => set(&mut members, "type", json!("boolean")),
        SchemaKind::String => match symbols(schema, settings) {
            Some(symbols) => set(&mut members, "enum", symbols),
            None => set(&mut members, "type", json!("string")),
        },
        SchemaKind::Bytes => {
            let number = schema.logical() == Some(Logical::Decimal) && settings.numeric_decimals;
            set(&mut members, "type", json!(if number { "number" } else { "string" }));
            set(&mut members, "connect.type", json!("bytes"));
        }
        SchemaKind::Array => {
            set(&mut members, "type", json!("array"));
            set(&mut members, "items", make(value_schema(schema)?, None, Use::default(), settings)?);
        }
        SchemaKind::Map => {
            let values = value_schema(schema)?;
            let keys = schema.key_schema().ok_or_else(|| Error::data("A MAP schema has no schema for its keys."))?;
            set(&mut members, "connect.type", json!("map"));
            if has_text_keys(schema) {
                set(&mut members, "type", json!("object"));
                set(&mut members, "additionalProperties", make(values, None, Use::default(), settings)?);
            } else {
                let key = make(keys, Some(0), Use::default(), settings)?;
                let value = make(values, Some(1), Use::default(), settings)?;
                set(&mut members, "type", json!("array"));
                let entry = in_hash_order(json!({"key": key, "value": value}), 1);
                set(&mut members, "items", json!({"type": "object", "properties": entry}));
            }
        }
        SchemaKind::Struct if is_union(schema) => {
            combined = true;
            let mut schemas = Vec::new();
            if optional {
                schemas.push(json!({"type": "null"}));
            }
            for (index, field) in schema.fields().iter().enumerate() {
                schemas.push(make(field.schema(), Some(index), Use { required: true, bare: true }, settings)?);
            }
            set(&mut members, "oneOf", schemas.into());
        }
        SchemaKind::Struct if optional => {
            combined = true;
            let inner = make(schema, None, Use { required: true, bare: false }, settings)?;
            set(&mut members, "oneOf", json!([{"type": "null"}, inner]));
        }
        SchemaKind::Struct => {
            set(&mut members, "type", json!("object"));
            let mut properties = Map::new();
            for (index, field) in schema.fields().iter().enumerate() {
                properties
                    .insert(field.name().to_owned(), make(field.schema(), Some(index), Use::default(), settings)?);
            }
            if !properties.is_empty() {
                set(&mut members, "properties", in_hash_order(properties.into(), 1));
            }
            if !settings.additional_properties {
                set(&mut members, "additionalProperties", json!(false));
            }
        }
    }
    let mut wrapped = None;
    if !combined {
        describe(schema, &mut members, settings)?;
        if optional && !usage.bare {
            wrapped = Some(members);
            members = Map::new();
        }
    }
    if let Some(inner) = wrapped {
        set(&mut members, "oneOf", json!([{"type": "null"}, in_order(inner)]));
    }
    if let Some(index) = index {
        set(&mut members, "connect.index", json!(index));
    }
    Ok(in_order(members))
}

fn describe(schema: &Schema, members: &mut Map<String, Json>, settings: &Settings) -> Result<()> {
    if let Some(name) = schema.name() {
        members.insert("title".into(), name.into());
    }
    if let Some(version) = schema.version() {
        members.insert("connect.version".into(), version.into());
    }
    if let Some(doc) = schema.doc() {
        members.insert("description".into(), doc.into());
    }
    let own = schema.parameters().unwrap_or_default().iter().filter(|(name, _)| !name.starts_with(NAMESPACE));
    let parameters: Map<String, Json> = own.map(|(name, value)| (name.to_string(), value.as_str().into())).collect();
    if !parameters.is_empty() {
        members.insert("connect.parameters".into(), in_hash_order(parameters.into(), 1));
    }
    if let Some(default) = schema.default() {
        let mut out = Vec::new();
        write(&mut out, Some(schema), default, settings)?;
        let default =
            serde_json::from_slice(&out).map_err(|error| Error::data(format!("Invalid default value: {error}")))?;
        members.insert("default".into(), in_hash_order(default, usize::MAX));
    }
    Ok(())
}

fn symbols(schema: &Schema, settings: &Settings) -> Option<Json> {
    schema.parameter(GENERAL_ENUM).or_else(|| schema.parameter(ENUM))?;
    let marker = if settings.general { GENERAL_ENUM } else { ENUM };
    let symbol =
        |(name, _): &(barnabas_connect::Str, _)| Some(Json::from(name.strip_prefix(marker)?.strip_prefix('.')?));
    Some(schema.parameters()?.iter().filter_map(symbol).collect::<Vec<_>>().into())
}

pub fn has_text_keys(schema: &Schema) -> bool {
    schema.key_schema().is_some_and(|key| key.kind() == SchemaKind::String && !key.is_optional())
}

pub fn value_schema(schema: &Schema) -> Result<&barnabas_connect::SchemaRef> {
    schema
        .value_schema()
        .ok_or_else(|| Error::data(format!("A {} schema has no schema for its values.", schema.kind())))
}

/// The type, what describes it, what the library does not know in the order of a hash map, and then the schemas inside.
fn in_order(members: Map<String, Json>) -> Json {
    let rank = |name: &str, value: &Json| match name {
        "type" | "enum" => 0,
        "additionalProperties" if value.is_boolean() => 1,
        "title" => 2,
        "description" => 3,
        "default" => 4,
        name if name.starts_with("connect.") => 5,
        _ => 6,
    };
    let Json::Object(members) = in_hash_order(members.into(), 1) else { return Json::Null };
    let (mut own, mut members): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(name, _)| name.starts_with("connect."));
    // The library copies its map of these.
    let buckets = java::hash_map_copy(own.len());
    java::hash_order(&mut own, buckets, |(name, _)| Some(java::string_hash(name)));
    members.extend(own);
    members.sort_by_key(|(name, value)| rank(name, value));
    Json::Object(members.into_iter().collect())
}

/// The members of an object, and of those in it as far down, as a Java `HashMap` has them.
fn in_hash_order(json: Json, levels: usize) -> Json {
    match json {
        Json::Object(members) if levels > 0 => {
            let mut members: Vec<_> =
                members.into_iter().map(|(name, value)| (name, in_hash_order(value, levels - 1))).collect();
            java::hash_order(&mut members, java::HASH_MAP_DEFAULT, |(name, _)| Some(java::string_hash(name)));
            Json::Object(members.into_iter().collect())
        }
        Json::Array(items) if levels > 0 => {
            items.into_iter().map(|item| in_hash_order(item, levels - 1)).collect::<Vec<_>>().into()
        }
        other => other,
    }
}
