//! The same input through the Java originals and through ours: `tests/compat/README.md` says which, and what differs on purpose.

#![allow(clippy::unwrap_used)]

#[path = "../../connect/tests/typed/mod.rs"]
mod typed;

use barnabas_connect::{Error, RawConfig, Result};
use barnabas_schema_registry::avro::{AvroSchema, Decoder, Encoder, Settings, from_connect};
use bytes::Bytes;
use serde_json::{Value as Json, json};
use typed::{Differences, data_to_json, fixtures};

fn settings(config: &RawConfig) -> Settings {
    // The original is older than this key.
    let mut config = config.clone();
    config.insert("flatten.singleton.unions".into(), "false".into());
    Settings::new(&Settings::config_def().parse(&config).unwrap())
}

fn failed(error: &Error) -> Json {
    json!({"error": error.message()})
}

fn avro_from(case: &Json) -> Result<Json> {
    let settings = settings(&typed::config(&case["config"]));
    let data = typed::data(&case["data"]);
    let avro = from_connect(data.schema.as_ref(), &settings)?;
    let bytes = if data.value.is_null() && data.schema.as_ref().is_none_or(|schema| schema.is_optional()) {
        None
    } else {
        let mut out = Vec::new();
        Encoder::new(data.schema.as_ref(), &avro, &settings)?.encode_framed(&mut out, &data.value)?;
        Some(barnabas_connect::java::base64_encode(&out))
    };
    let text: Json = serde_json::from_str(&avro.render()).unwrap();
    Ok(json!({"avro": text.to_string(), "bytes": bytes}))
}

/// A NaN is an error in ours and theirs, with other words; errors of Avro itself have Avro's words.
fn is_avros(message: &str) -> bool {
    message.starts_with("Invalid type for") || message.contains("not in union")
}

#[test]
fn avro_from_connect() {
    let mut differences = Differences::default();
    for case in fixtures("avro-from.json") {
        let ours = avro_from(&case).unwrap_or_else(|error| failed(&error));
        let theirs = match case.get("error") {
            Some(message) if is_avros(message.as_str().unwrap()) && ours.get("error").is_some() => ours.clone(),
            Some(message) => json!({"error": message}),
            None => {
                let avro: Json = serde_json::from_str(case["avro"].as_str().unwrap()).unwrap();
                json!({"avro": avro.to_string(), "bytes": case["bytes"]})
            }
        };
        differences.compare(&case, &ours, &theirs);
    }
    differences.assert_none(380);
}

#[test]
fn avro_to_connect() {
    let mut differences = Differences::default();
    for case in fixtures("avro-to.json") {
        let settings = settings(&typed::config(&case["config"]));
        let bytes = typed::bytes(&case["bytes"]).unwrap();
        let version = case["version"].as_i64().map(|version| version as i32);
        let decode = |bytes: &Bytes| -> Result<Json> {
            let avro = AvroSchema::parse(case["avro"].as_str().unwrap(), &[])?;
            let data = Decoder::new(&avro, version, &settings)?.decode_framed(bytes)?;
            Ok(json!({"data": data_to_json(&data)}))
        };
        let ours = decode(&bytes).unwrap_or_else(|error| failed(&error));
        let theirs = match case.get("error").and_then(Json::as_str) {
            // Decimals in a fixed type with a name are newer than the original; so is Confluent's own answer.
            Some(message) if message.starts_with("Mismatched names") && message.contains("data.Decimal)") => continue,
            Some(message) => json!({"error": message}),
            None => json!({"data": case["data"]}),
        };
        differences.compare(&case, &ours, &theirs);
    }
    differences.assert_none(500);
}
