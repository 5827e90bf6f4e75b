//! Reads and writes the typed values of `tests/compat/fixtures`: a tag and the value, so that a wrong width or order shows.

#![allow(dead_code, clippy::unwrap_used)]

use std::path::Path;

use barnabas_connect::schema::SchemaKind;
use barnabas_connect::{Data, Decimal, Map, RawConfig, Schema, SchemaBuilder, SchemaRef, Str, Struct, Value, java};
use bytes::Bytes;
use serde_json::{Value as Json, json};

/// All cases of one file.
pub fn fixtures(name: &str) -> Vec<Json> {
    let mut folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    while !folder.join("tests/compat/fixtures").is_dir() {
        folder = folder.parent().expect("the fixtures are in the repository");
    }
    let text = std::fs::read_to_string(folder.join("tests/compat/fixtures").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

pub fn config(json: &Json) -> RawConfig {
    let entries = json.as_object().unwrap();
    entries.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect()
}

pub fn bytes(json: &Json) -> Option<Bytes> {
    json.as_str().map(|text| java::base64_decode(text).unwrap().into())
}

pub fn data(json: &Json) -> Data {
    Data { schema: schema(&json["schema"]), value: value(&json["value"]) }
}

pub fn data_to_json(data: &Data) -> Json {
    json!({"schema": schema_to_json(data.schema.as_ref()), "value": value_to_json(&data.value)})
}

pub fn schema(json: &Json) -> Option<SchemaRef> {
    let name = json["type"].as_str()?;
    let mut builder = match name {
        "INT8" => SchemaBuilder::new(SchemaKind::Int8),
        "INT16" => SchemaBuilder::new(SchemaKind::Int16),
        "INT32" => SchemaBuilder::new(SchemaKind::Int32),
        "INT64" => SchemaBuilder::new(SchemaKind::Int64),
        "FLOAT32" => SchemaBuilder::new(SchemaKind::Float32),
        "FLOAT64" => SchemaBuilder::new(SchemaKind::Float64),
        "BOOLEAN" => SchemaBuilder::new(SchemaKind::Boolean),
        "STRING" => SchemaBuilder::new(SchemaKind::String),
        "BYTES" => SchemaBuilder::new(SchemaKind::Bytes),
        "ARRAY" => SchemaBuilder::array(schema(&json["values"]).unwrap()),
        "MAP" => SchemaBuilder::map(schema(&json["keys"]).unwrap(), schema(&json["values"]).unwrap()),
        "STRUCT" => SchemaBuilder::structure(),
        other => panic!("unknown type {other}"),
    };
    if json["optional"] == true {
        builder = builder.optional();
    }
    if let Some(name) = json["name"].as_str() {
        builder = builder.name(Str::copy_from(name));
    }
    if let Some(version) = json["version"].as_i64() {
        builder = builder.version(i32::try_from(version).unwrap());
    }
    if let Some(doc) = json["doc"].as_str() {
        builder = builder.doc(Str::copy_from(doc));
    }
    for parameter in json["parameters"].as_array().into_iter().flatten() {
        builder = builder
            .parameter(Str::copy_from(parameter[0].as_str().unwrap()), Str::copy_from(parameter[1].as_str().unwrap()));
    }
    for field in json["fields"].as_array().into_iter().flatten() {
        builder = builder.field(Str::copy_from(field[0].as_str().unwrap()), schema(&field[1]).unwrap());
    }
    if !json["default"].is_null() {
        builder = builder.default_value(value(&json["default"]));
    }
    Some(builder.build().unwrap())
}

pub fn schema_to_json(schema: Option<&SchemaRef>) -> Json {
    let Some(schema) = schema else { return Json::Null };
    let mut json = json!({"type": schema.kind().java_name()});
    let schema: &Schema = schema;
    if schema.is_optional() {
        json["optional"] = true.into();
    }
    if let Some(name) = schema.name() {
        json["name"] = name.into();
    }
    if let Some(version) = schema.version() {
        json["version"] = version.into();
    }
    if let Some(doc) = schema.doc() {
        json["doc"] = doc.into();
    }
    if let Some(parameters) = schema.parameters() {
        json["parameters"] =
            parameters.iter().map(|(key, value)| json!([key.as_str(), value.as_str()])).collect::<Vec<_>>().into();
    }
    if let Some(default) = schema.default() {
        json["default"] = value_to_json(default);
    }
    match schema.kind() {
        SchemaKind::Struct => {
            let field = |field: &barnabas_connect::Field| json!([field.name(), schema_to_json(Some(field.schema()))]);
            json["fields"] = schema.fields().iter().map(field).collect::<Vec<_>>().into();
        }
        SchemaKind::Map => {
            json["keys"] = schema_to_json(schema.key_schema());
            json["values"] = schema_to_json(schema.value_schema());
        }
        SchemaKind::Array => json["values"] = schema_to_json(schema.value_schema()),
        _ => {}
    }
    json
}

pub fn value(json: &Json) -> Value {
    let tag = json[0].as_str().unwrap();
    let data = &json[1];
    let integer = || data.as_i64().unwrap();
    match tag {
        "null" => Value::Null,
        "bool" => Value::Boolean(data.as_bool().unwrap()),
        "i8" => Value::Int8(integer() as i8),
        "i16" => Value::Int16(integer() as i16),
        "i32" => Value::Int32(integer() as i32),
        "i64" => Value::Int64(integer()),
        "f32" => Value::Float32(f32::from_bits(data.as_str().unwrap().parse().unwrap())),
        "f64" => Value::Float64(f64::from_bits(data.as_str().unwrap().parse().unwrap())),
        "string" => Value::from(data.as_str().unwrap()),
        "bytes" => Value::Bytes(bytes(data).unwrap()),
        "decimal" => Value::Decimal(Decimal::new(bytes(data).unwrap(), json[2].as_i64().unwrap() as i32)),
        "date" => Value::Date(integer() as i32),
        "time" => Value::Time(integer() as i32),
        "timestamp" => Value::Timestamp(integer()),
        "array" => Value::array(data.as_array().unwrap().iter().map(value).collect::<Vec<_>>()),
        "map" => {
            let entry = |entry: &Json| (value(&entry[0]), value(&entry[1]));
            Value::from(Map::from_unique(data.as_array().unwrap().iter().map(entry).collect()))
        }
        "struct" => {
            let values = json[2].as_array().unwrap().iter().map(value).collect();
            Value::from(Struct::from_values(schema(data).unwrap(), values))
        }
        other => panic!("unknown tag {other}"),
    }
}

pub fn value_to_json(value: &Value) -> Json {
    match value {
        Value::Null => json!(["null"]),
        Value::Boolean(value) => json!(["bool", value]),
        Value::Int8(value) => json!(["i8", value]),
        Value::Int16(value) => json!(["i16", value]),
        Value::Int32(value) => json!(["i32", value]),
        Value::Int64(value) => json!(["i64", value]),
        Value::Float32(value) => json!(["f32", value.to_bits().to_string()]),
        Value::Float64(value) => json!(["f64", value.to_bits().to_string()]),
        Value::String(value) => json!(["string", value.as_str()]),
        Value::Bytes(value) => json!(["bytes", java::base64_encode(value)]),
        Value::Decimal(value) => json!(["decimal", java::base64_encode(value.unscaled()), value.scale()]),
        Value::Date(value) => json!(["date", value]),
        Value::Time(value) => json!(["time", value]),
        Value::Timestamp(value) => json!(["timestamp", value]),
        Value::Array(values) => json!(["array", values.iter().map(value_to_json).collect::<Vec<_>>()]),
        Value::Map(map) => {
            let entry = |(key, value): &(Value, Value)| json!([value_to_json(key), value_to_json(value)]);
            json!(["map", map.iter().map(entry).collect::<Vec<_>>()])
        }
        Value::Struct(fields) => json!([
            "struct",
            schema_to_json(Some(fields.schema())),
            fields.values().iter().map(value_to_json).collect::<Vec<_>>()
        ]),
    }
}

/// Collects what differs, so that one run shows all of it.
#[derive(Default)]
pub struct Differences {
    cases: usize,
    found: Vec<String>,
}

impl Differences {
    pub fn compare(&mut self, case: &Json, ours: &Json, theirs: &Json) {
        self.cases += 1;
        if ours != theirs {
            let shown = |json: &Json| json.to_string().chars().take(600).collect::<String>();
            self.found.push(format!("{}\n  ours:   {}\n  theirs: {}", shown(case), shown(ours), shown(theirs)));
        }
    }

    pub fn assert_none(self, at_least: usize) {
        assert!(self.cases >= at_least, "only {} cases were compared", self.cases);
        let shown = self.found.iter().take(12).cloned().collect::<Vec<_>>().join("\n");
        assert!(self.found.is_empty(), "{} of {} cases differ:\n{shown}", self.found.len(), self.cases);
    }
}
