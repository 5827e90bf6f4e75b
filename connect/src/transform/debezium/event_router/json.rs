//! The text of a JSON object as a struct, with a schema that is guessed from it (`JsonSchemaData`).

use serde_json::{Map as Object, Value as Json};

use crate::record::Data;
use crate::schema::{Schema, SchemaBuilder, SchemaKind, SchemaRef};
use crate::value::{Struct, Value};

/// The payload as data; `None` where it is not the text of an object that a schema can describe, which leaves it as it is.
pub(super) fn expand(text: &str, name: &str, null_as_bytes: bool) -> Option<Data> {
    if !text.starts_with('{') {
        return None;
    }
    let object: Object<String, Json> = serde_json::from_str(text).ok()?;
    let schema = object_schema(name, &object, null_as_bytes)?;
    let value = to_struct(&object, &schema)?;
    Some(Data::new(schema, value))
}

/// `Ok(None)` leaves a value out; the error is that the whole has no schema.
fn schema_of(name: &str, json: &Json, null_as_bytes: bool) -> Result<Option<SchemaRef>, Heterogeneous> {
    Ok(match json {
        Json::Null => null_as_bytes.then(Schema::optional_bytes),
        Json::Bool(_) => Some(Schema::optional_boolean()),
        Json::String(_) => Some(Schema::optional_string()),
        Json::Number(number) => Some(match number.as_i64() {
            Some(number) if i32::try_from(number).is_ok() => Schema::optional_int32(),
            Some(_) => Schema::optional_int64(),
            None => Schema::optional_float64(),
        }),
        Json::Array(items) if items.is_empty() => None,
        Json::Array(items) => {
            let element = element_schema(name, items, null_as_bytes)?;
            Some(SchemaBuilder::array(element).optional().build_unchecked())
        }
        Json::Object(object) => Some(object_schema(name, object, null_as_bytes).ok_or(Heterogeneous)?),
    })
}

/// An array whose items are of different types.
struct Heterogeneous;

fn object_schema(name: &str, object: &Object<String, Json>, null_as_bytes: bool) -> Option<SchemaRef> {
    let mut builder = SchemaBuilder::structure().name(name.to_owned()).optional();
    for (key, value) in object {
        let path = if name.trim().is_empty() { key.clone() } else { format!("{name}.{key}") };
        if let Some(schema) = schema_of(&path, value, null_as_bytes).ok()? {
            builder = builder.field(key.clone(), schema);
        }
    }
    builder.build().ok()
}

/// The one schema of all items. The fields of objects are put together.
fn element_schema(name: &str, items: &[Json], null_as_bytes: bool) -> Result<SchemaRef, Heterogeneous> {
    let mut present = items.iter().filter(|item| !item.is_null());
    let Some(first) = present.clone().next() else { return Err(Heterogeneous) };
    if !present.clone().all(|item| std::mem::discriminant(item) == std::mem::discriminant(first)) {
        return Err(Heterogeneous);
    }
    if !first.is_object() {
        let schema = schema_of("", first, null_as_bytes)?.ok_or(Heterogeneous)?;
        for item in present.filter(|item| item.is_number()) {
            if schema_of("", item, null_as_bytes)?.as_ref() != Some(&schema) {
                return Err(Heterogeneous);
            }
        }
        return Ok(schema);
    }
    let mut merged: Option<SchemaRef> = None;
    for item in present.by_ref() {
        let Some(schema) = schema_of(name, item, null_as_bytes)? else { continue };
        merged = Some(match merged {
            None => schema,
            Some(merged) => merge(&merged, &schema),
        });
    }
    merged.ok_or(Heterogeneous)
}

/// All fields of both; what was null at first, and is bytes, takes the other schema.
fn merge(left: &SchemaRef, right: &SchemaRef) -> SchemaRef {
    if left == right {
        return left.clone();
    }
    // What Debezium builds of two has the name, and is not optional.
    let mut builder = SchemaBuilder::structure().basics_of(left);
    for field in left.fields() {
        let other = right.field(field.name()).map(|field| field.schema());
        let other =
            other.filter(|other| field.schema().kind() == SchemaKind::Bytes && other.kind() != SchemaKind::Bytes);
        builder = builder.field(field.name_str().clone(), other.unwrap_or(field.schema()).clone());
    }
    for field in right.fields().iter().filter(|field| left.field(field.name()).is_none()) {
        builder = builder.field(field.name_str().clone(), field.schema().clone());
    }
    builder.build_unchecked()
}

/// `None` where a value does not fit the schema, as where numbers are too large.
fn to_struct(object: &Object<String, Json>, schema: &SchemaRef) -> Option<Struct> {
    let mut fields = Struct::new(schema.clone()).ok()?;
    for field in schema.fields() {
        if let Some(json) = object.get(field.name()) {
            fields.put(field.name(), to_value(json, field.schema())?).ok()?;
        }
    }
    Some(fields)
}

fn to_value(json: &Json, schema: &SchemaRef) -> Option<Value> {
    Some(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Boolean(*value),
        Json::String(text) => Value::from(text.as_str()),
        Json::Number(number) => match number.as_i64() {
            Some(number) => i32::try_from(number).map_or(Value::Int64(number), Value::Int32),
            None if number.is_f64() => Value::Float64(number.as_f64()?),
            None => return None,
        },
        Json::Array(items) => {
            let element = schema.value_schema()?;
            Value::array(items.iter().map(|item| to_value(item, element)).collect::<Option<Vec<_>>>()?)
        }
        Json::Object(object) => to_struct(object, schema)?.into(),
    })
}
