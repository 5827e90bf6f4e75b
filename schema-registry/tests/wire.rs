//! Messages in Confluent's wire format: those of others through our converters, and ours through theirs. Who they are, and what
//! that can show, is in `tests/compat/README.md`. `BARNABAS_REGENERATE=1` writes our messages for them to read.

#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../connect/tests/typed/mod.rs"]
mod typed;

use std::path::PathBuf;

use barnabas_connect::java::{base64_decode, base64_encode};
use barnabas_connect::{Data, Value};
use barnabas_schema_registry::avro::{AvroSchema, Decoder, Settings};
use barnabas_schema_registry::protobuf::message_indexes;
use bytes::Bytes;
use serde_json::{Map as JsonMap, Value as Json, json};
use support::FakeRegistry;
use typed::{Differences, data_to_json, fixtures};

/// The converters, by the name of their format in the registry.
const FORMATS: [(&str, &str); 3] =
    [("AVRO", "AvroConverter"), ("JSON", "JsonSchemaConverter"), ("PROTOBUF", "ProtobufConverter")];

fn class(format: &str) -> &'static str {
    FORMATS.iter().find(|(name, _)| *name == format).unwrap().1
}

fn message(case: &Json) -> Bytes {
    base64_decode(case["message"].as_str().unwrap()).unwrap().into()
}

/// The original of Avro's mapping is older than this key of ours.
fn avro(case: &Json) -> Json {
    let config = [("flatten.singleton.unions".to_owned(), "false".to_owned())].into();
    let settings = Settings::new(&Settings::config_def().parse(&config).unwrap());
    let schema = AvroSchema::parse(case["schema"].as_str().unwrap(), &[]).unwrap();
    let data = Decoder::new(&schema, None, &settings).unwrap().decode(&message(case), 5);
    data_to_json(&data.unwrap())
}

/// A value as Google's `JsonFormat` has it, with the names of the fields and the values by default.
fn protobuf(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => return None,
        Value::Int64(number) => json!(number.to_string()),
        Value::Timestamp(millis) => json!(["millis", millis]),
        Value::Bytes(bytes) => json!(base64_encode(bytes)),
        Value::Array(items) => items.iter().map(|item| protobuf(item).unwrap()).collect(),
        Value::Map(entries) => {
            let text = |key: &Value| key.as_str().unwrap().to_owned();
            Json::Object(entries.iter().map(|(key, value)| (text(key), protobuf(value).unwrap())).collect())
        }
        Value::Struct(fields) => {
            let names = fields.schema().fields().iter().map(|field| field.name().to_owned());
            let members = names.zip(fields.values()).filter_map(|(name, value)| Some((name, protobuf(value)?)));
            Json::Object(members.collect::<JsonMap<_, _>>())
        }
        Value::Boolean(value) => json!(value),
        Value::Int32(value) => json!(value),
        Value::Float32(value) => json!(f64::from(*value)),
        Value::Float64(value) => json!(value),
        Value::String(text) => json!(text.as_str()),
        other => panic!("{other}"),
    })
}

/// Google's JSON with what Connect has another type for: `uint32` is a number there and a 64-bit integer here, a time is text
/// there.
fn google(mut json: Json) -> Json {
    if let Some(members) = json.as_object_mut() {
        for (name, value) in members {
            *value = match (name.as_str(), value.take()) {
                ("u32" | "f32", number) => json!(number.to_string()),
                ("at", Json::String(text)) => json!(["millis", millis(&text)]),
                (_, other) => google(other),
            };
        }
    }
    json
}

/// `1970-01-01T00:00:00.001Z`
fn millis(text: &str) -> i64 {
    let number = |part: &str| part.parse::<i64>().unwrap();
    let (date, time) = text.strip_suffix('Z').unwrap().split_once('T').unwrap();
    let [year, month, day] = date.splitn(3, '-').map(number).collect::<Vec<_>>()[..] else { panic!("{text}") };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hours, minutes, seconds] = clock.split(':').map(number).collect::<Vec<_>>()[..] else { panic!("{text}") };
    // Days since 1970 in the calendar whose year begins in March.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    ((days * 24 + hours) * 60 + minutes) * 60_000 + seconds * 1000 + number(&format!("{fraction:0<3}"))
}

/// Reads a message, compares what is in it, and writes it again with the same schema.
#[test]
fn their_messages_are_read_and_written_again() {
    let mut differences = Differences::default();
    for case in fixtures("wire-theirs.json") {
        let format = case["format"].as_str().unwrap();
        let registry = FakeRegistry::start();
        registry.register("t-value", json!({"schemaType": format, "schema": case["schema"]}));
        let latest = [("auto.register.schemas", "false"), ("use.latest.version", "true")];
        let converter = registry.converter(class(format), &latest);
        let data = converter.to_connect("t", &[], Some(&message(&case)));
        let data = data.unwrap_or_else(|error| panic!("{case}: {error}"));
        let again = converter.from_connect("t", &mut Vec::new(), &data);
        let again = again.map(Option::unwrap);
        let written = || again.as_ref().map_or_else(ToString::to_string, |bytes| base64_encode(bytes));
        let document = |message: &[u8]| serde_json::from_slice::<Json>(&message[5..]).unwrap();
        let (ours, theirs) = match format {
            "AVRO" => (json!([avro(&case), written()]), json!([case["data"], case["again"]])),
            // The members may be in another order.
            "JSON" => (document(again.as_ref().unwrap()), document(&message(&case))),
            _ => {
                let (own, google) = (protobuf(&data.value).unwrap(), google(case["json"].clone()));
                // A message in another is read by its indexes, and written as one of its own.
                let nested = message_indexes(&message(&case), 5).unwrap().0.len() > 1;
                let again = if nested { case["message"].clone() } else { written().into() };
                (json!([own, again]), json!([google, case["message"]]))
            }
        };
        differences.compare(&case, &ours, &theirs);
    }
    differences.assert_none(130);
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/compat/fixtures")).join(name)
}

/// What theirs cannot read, for good reasons.
fn has_its_own_way(format: &str, schema: &str, value: &Value) -> bool {
    let schema: Json = serde_json::from_str(schema).unwrap_or_default();
    match format {
        // Bytes that are the whole value have no length in Confluent's format, and have one in Apicurio's.
        "AVRO" => schema == "bytes" || schema["type"] == "bytes",
        // JSON has no such number: Confluent's writes a text, as ours does, and no validator takes that for a number.
        "JSON" => matches!(value, Value::Float32(number) if !number.is_finite()),
        _ => false,
    }
}

/// What ours write: the data of the Avro fixtures, in each format that can hold it.
fn our_messages() -> Vec<Json> {
    let mut cases = Vec::new();
    for (format, class) in FORMATS {
        let registry = FakeRegistry::start();
        let converter = registry.converter(class, &[]);
        for (index, case) in fixtures("avro-from.json").iter().enumerate() {
            let plain = case["config"].as_object().unwrap().is_empty();
            let data: Data = typed::data(&case["data"]);
            if !plain || data.schema.is_none() {
                continue;
            }
            // A topic of its own, and so a subject of its own.
            let topic = format!("t{index}");
            let Ok(Some(message)) = converter.from_connect(&topic, &mut Vec::new(), &data) else { continue };
            let schema = registry.latest(&format!("{topic}-value"));
            if has_its_own_way(format, &schema, &data.value) {
                continue;
            }
            // The id is the one thing that depends on the order.
            let message = base64_encode(&[&[0, 0, 0, 0, 1], &message[5..]].concat());
            cases.push(json!({"format": format, "schema": schema, "message": message, "data": case["data"]}));
        }
    }
    cases
}

#[test]
fn ours_are_read_by_theirs() {
    let ours = our_messages();
    if std::env::var_os("BARNABAS_WRITE_MESSAGES").is_some() {
        let lines: Vec<String> = ours.iter().map(Json::to_string).collect();
        std::fs::write(fixture("wire-ours.json"), format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    }
    let stale = "wire-ours.json is stale: BARNABAS_WRITE_MESSAGES=1 cargo test -p barnabas-schema-registry --test wire, then tests/compat/regenerate.sh";
    assert!(fixtures("wire-ours.json") == ours, "{stale}");
    let read = fixtures("wire-ours-read.json");
    assert_eq!(read.len(), ours.len(), "{stale}");
    let mut differences = Differences::default();
    for (ours, theirs) in ours.iter().zip(&read) {
        match ours["format"].as_str().unwrap() {
            "AVRO" => differences.compare(ours, &json!({"data": avro(ours)}), &typed::theirs(theirs, "data")),
            "JSON" => {
                let text: Json = serde_json::from_slice(&message(ours)[5..]).unwrap();
                differences.compare(ours, &json!({"json": text}), &typed::theirs(theirs, "json"));
            }
            // Google's library has read and written it.
            _ => differences.compare(ours, &json!({"again": ours["message"]}), &typed::theirs(theirs, "again")),
        }
    }
    differences.assert_none(215);
}
