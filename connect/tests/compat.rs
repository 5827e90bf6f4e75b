//! The same input through Apache Kafka Connect's own classes and through ours: results and errors are the same.
//!
//! `tests/compat/README.md` says how the fixtures are made, and lists what differs on purpose.

#![allow(clippy::unwrap_used)]

mod typed;

use barnabas_connect::config::{ConfigDef, RawConfig};
use barnabas_connect::connector_config::{sink_config_def, source_config_def};
use barnabas_connect::header_converter::header_converter;
use barnabas_connect::{Data, Registry, Result};
use bytes::Bytes;
use serde_json::{Value as Json, json};
use typed::{Differences, data_to_json, failed, fixtures, theirs};

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";

fn from_connect(class: &str, config: &RawConfig, data: &Data) -> Result<Option<Bytes>> {
    let converter =
        Registry::new().converter(class, config, false).map_err(|errors| barnabas_connect::config::combine(&errors))?;
    converter.from_connect("topic", &mut Vec::new(), data)
}

fn to_connect(class: &str, config: &RawConfig, bytes: Option<&Bytes>) -> Result<Data> {
    let converter =
        Registry::new().converter(class, config, false).map_err(|errors| barnabas_connect::config::combine(&errors))?;
    converter.to_connect("topic", &[], bytes)
}

fn encoded(bytes: Option<Bytes>) -> Json {
    bytes.map(|bytes| barnabas_connect::java::base64_encode(&bytes)).into()
}

#[test]
fn json_from_connect() {
    let mut differences = Differences::default();
    for case in fixtures("json-from.json") {
        let ours = match from_connect(JSON, &typed::config(&case["config"]), &typed::data(&case["data"])) {
            Ok(bytes) => json!({"json": bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())}),
            Err(error) => failed(&error),
        };
        differences.compare(&case, &ours, &theirs(&case, "json"));
    }
    differences.assert_none(400);
}

#[test]
fn json_to_connect() {
    let mut differences = Differences::default();
    for case in fixtures("json-to.json") {
        let config = typed::config(&case["config"]);
        let ours = match to_connect(JSON, &config, typed::bytes(&case["bytes"]).as_ref()) {
            Ok(data) => json!({"data": data_to_json(&data)}),
            Err(error) => failed(&error),
        };
        let mut text = case.clone();
        text["text"] = String::from_utf8_lossy(&typed::bytes(&case["bytes"]).unwrap_or_default()).into_owned().into();
        differences.compare(&text, &ours, &theirs(&case, "data"));
    }
    differences.assert_none(700);
}

#[test]
fn converters() {
    let mut differences = Differences::default();
    for case in fixtures("converters.json") {
        let class = case["converter"].as_str().unwrap();
        let config = typed::config(&case["config"]);
        if case["direction"] == "from" {
            let ours = match from_connect(class, &config, &typed::data(&case["data"])) {
                Ok(bytes) => json!({"bytes": encoded(bytes)}),
                Err(error) => failed(&error),
            };
            differences.compare(&case, &ours, &theirs(&case, "bytes"));
        } else {
            let ours = match to_connect(class, &config, typed::bytes(&case["bytes"]).as_ref()) {
                Ok(data) => json!({"data": data_to_json(&data)}),
                Err(error) => failed(&error),
            };
            differences.compare(&case, &ours, &theirs(&case, "data"));
        }
    }
    differences.assert_none(400);
}

#[test]
fn simple_header_converter() {
    let converter = header_converter("SimpleHeaderConverter", &RawConfig::new()).unwrap();
    let mut differences = Differences::default();
    for case in fixtures("headers.json") {
        if case["direction"] == "to" {
            let ours = match converter.to_connect_header("t", "h", typed::bytes(&case["bytes"]).as_ref()) {
                Ok(data) => json!({"data": data_to_json(&data)}),
                Err(error) => failed(&error),
            };
            differences.compare(&case, &ours, &theirs(&case, "data"));
        } else {
            let ours = match converter.from_connect_header("t", "h", &typed::data(&case["data"])) {
                Ok(bytes) => json!({"bytes": encoded(bytes)}),
                Err(error) => failed(&error),
            };
            differences.compare(&case, &ours, &theirs(&case, "bytes"));
        }
    }
    differences.assert_none(150);
}

fn def(name: &str) -> Option<ConfigDef> {
    Some(match name {
        "source" => source_config_def().clone(),
        "sink" => sink_config_def().clone(),
        "json" => Registry::new().config_def("JsonConverter")?,
        "string" => Registry::new().config_def("StringConverter")?,
        "InsertField" | "ReplaceField" => Registry::new().config_def(&format!("{name}$Value"))?,
        // Those of the file connectors are compared in their own crate.
        "file-source" | "file-sink" => return None,
        transform => Registry::new().config_def(transform)?,
    })
}

#[test]
fn configurations() {
    let mut differences = Differences::default();
    for case in fixtures("config.json") {
        let Some(def) = def(case["def"].as_str().unwrap()) else { continue };
        if case["missing"] == true {
            let mut errors = def.errors(&RawConfig::new());
            errors.sort_by(|one, other| one.key.cmp(&other.key));
            let ours = errors.into_iter().map(|error| error.message).collect::<Vec<_>>().into();
            differences.compare(&case, &ours, &case["errors"]);
            continue;
        }
        let key = case["key"].as_str().unwrap();
        let config = RawConfig::from([(key.to_owned(), case["value"].as_str().unwrap().to_owned())]);
        let value = def.validate(&config).into_iter().find(|value| value.name == key).unwrap();
        let mut theirs: Vec<String> = serde_json::from_value(case["errors"].clone()).unwrap();
        let mut ours = value.errors;
        // What is wrong with a regular expression, every engine says in its own words.
        for error in ours.iter_mut().chain(&mut theirs) {
            if let Some(at) = error.find("Invalid regex: ") {
                error.truncate(at);
            }
        }
        let ours = json!({"errors": ours, "parsed": value.value});
        differences.compare(&case, &ours, &json!({"errors": theirs, "parsed": case["parsed"]}));
    }
    differences.assert_none(60);
}

#[test]
fn definitions() {
    let mut differences = Differences::default();
    for case in fixtures("definitions.json") {
        let Some(def) = def(case["def"].as_str().unwrap()) else { continue };
        // Connect's workers set it; it is no key that a person sets.
        if case["key"] == "converter.type" {
            continue;
        }
        let ours = def.get(case["key"].as_str().unwrap()).map(|key| {
            use barnabas_connect::config::Default;
            let default = match &key.default {
                Default::Value(value) => Some(value.to_string()),
                _ => None,
            };
            let validator = case["validator"].as_str().filter(|validator| {
                // Java checks classes by reflection, and prints HTML.
                !validator.is_empty() && !validator.starts_with("A concrete subclass") && !validator.contains('<')
            });
            let ours = validator.and(key.validator.as_ref()).map(ToString::to_string);
            assert_eq!(ours.as_deref(), validator, "{case}");
            json!({"type": key.ty.name(), "required": key.is_required(), "default": default, "importance": key.importance.name()})
        });
        let theirs = json!({
            "type": case["type"], "required": case["required"], "default": case["default"], "importance": case["importance"]
        });
        differences.compare(&case, &ours.unwrap_or_default(), &theirs);
    }
    differences.assert_none(90);
}
