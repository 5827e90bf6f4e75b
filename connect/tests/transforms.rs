//! Transforms and predicates, compared with what Java's own do: results, headers and errors.

#![allow(clippy::unwrap_used)]

mod typed;

use barnabas_connect::config::{RawConfig, combine};
use barnabas_connect::java::SimpleDateFormat;
use barnabas_connect::transform::{TransformChain, chain};
use barnabas_connect::{Header, OffsetMap, Record, SourcePosition, Str};
use serde_json::{Value as Json, json};
use typed::{Differences, data_to_json, failed, fixtures, theirs};

fn record(json: &Json) -> Record {
    let offset = json.get("offset").and_then(Json::as_i64);
    let source = SourcePosition { partition: OffsetMap::single("p", 1).into(), offset: OffsetMap::single("o", 2) };
    let header = |json: &Json| {
        let data = typed::data(&json[1]);
        Header { key: Str::copy_from(json[0].as_str().unwrap()), schema: data.schema, value: data.value }
    };
    Record {
        topic: Str::copy_from(json["topic"].as_str().unwrap()),
        partition: json["partition"].as_i64().map(|partition| partition as i32),
        key: typed::data(&json["key"]),
        value: typed::data(&json["value"]),
        headers: json["headers"].as_array().unwrap().iter().map(header).collect(),
        timestamp: json["timestamp"].as_i64(),
        offset,
        source: if offset.is_some() { None } else { Some(source) },
        ..Record::default()
    }
}

fn record_to_json(record: &Record) -> Json {
    let mut json =
        json!({"topic": record.topic.as_str(), "partition": record.partition, "timestamp": record.timestamp});
    if let Some(offset) = record.offset {
        json["offset"] = offset.into();
    }
    json["key"] = data_to_json(&record.key);
    json["value"] = data_to_json(&record.value);
    let header = |header: &Header| {
        let data = barnabas_connect::Data { schema: header.schema.clone(), value: header.value.clone() };
        json!([header.key.as_str(), data_to_json(&data)])
    };
    json["headers"] = record.headers.iter().map(header).collect::<Vec<_>>().into();
    json
}

fn under(prefix: &str, config: &Json) -> RawConfig {
    typed::config(config).into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)).collect()
}

/// Accidents of Java, whose messages say nothing about the data: ours has to fail as well, in clearer words.
fn is_accident(case: &Json) -> bool {
    // Where a cause was handed to a parameter that is meant for the value.
    if case["error"].as_str().is_some_and(|error| error.starts_with("Invalid value java.lang.IllegalArgumentException"))
    {
        return true;
    }
    // Debezium logs what is wrong with its keys, or says it in words of its own.
    if case["stage"] == "configure" && case["transform"].as_str().is_some_and(|class| class.starts_with("io.debezium"))
    {
        return true;
    }
    ["NullPointerException", "ClassCastException", "IndexOutOfBoundsException", "ArrayIndexOutOfBoundsException"]
        .iter()
        .any(|accident| case["class"].as_str().is_some_and(|class| class.ends_with(accident)))
}

/// Runs all transforms of one file; `skip` names the cases that differ on purpose.
fn compare(file: &str, at_least: usize, skip: impl Fn(&Json) -> bool) {
    let mut differences = Differences::default();
    let mut records: Vec<Record> = Vec::new();
    // Several records go through one instance, as they do in a task.
    let mut last: Option<(Json, Result<TransformChain, Json>)> = None;
    for case in fixtures(file) {
        if let Some(json) = case.get("define") {
            records.push(record(json));
            continue;
        }
        let Some(class) = case["transform"].as_str() else { continue };
        if skip(&case) {
            continue;
        }
        let setting = json!([class, case["config"]]);
        if last.as_ref().is_none_or(|(known, _)| *known != setting) {
            let mut config = under("transforms.x.", &case["config"]);
            config.insert("transforms".to_owned(), "x".to_owned());
            config.insert("transforms.x.type".to_owned(), class.to_owned());
            let built = chain(&config).map_err(|errors| {
                assert!(!combine(&errors).message().is_empty());
                json!({"error": errors[0].message.replace("transforms.x.", "")})
            });
            last = Some((setting, built));
        }
        let record = records[case["record"].as_u64().unwrap() as usize].clone();
        let source = record.source.clone();
        let ours = match &mut last.as_mut().unwrap().1 {
            Ok(chain) => match chain.apply(record) {
                Ok(Some(record)) => {
                    assert_eq!(record.source, source);
                    json!({"result": record_to_json(&record)})
                }
                Ok(None) => json!({"result": null}),
                Err(error) => {
                    assert_eq!(error.origin(), Some(class));
                    failed(&error)
                }
            },
            Err(error) => error.clone(),
        };
        if is_accident(&case) && ours.get("error").is_some() {
            continue;
        }
        let mut shown = case.clone();
        shown["record"] = record_to_json(&records[case["record"].as_u64().unwrap() as usize]);
        differences.compare(&shown, &ours, &theirs(&case, "result"));
    }
    differences.assert_none(at_least);
}

#[test]
fn the_first_transforms() {
    compare("transforms.json", 350, |_| false);
}

#[test]
fn transforms_of_fields() {
    compare("transforms-fields.json", 2000, |_| false);
}

#[test]
fn transforms_of_headers() {
    compare("transforms-headers.json", 200, |_| false);
}

#[test]
fn transforms_of_timestamps() {
    compare("transforms-timestamps.json", 1000, |_| false);
}

#[test]
fn transforms_of_debezium() {
    // A tombstone has no fields to leave out; Debezium's has no schema to ask, and fails.
    let fails_on_tombstone = |case: &Json| {
        case["config"]["delete.tombstone.handling.mode"] == "delete-to-tombstone"
            && case["class"] == "java.lang.NullPointerException"
    };
    compare("transforms-debezium.json", 1500, fails_on_tombstone);
}

#[test]
fn simple_date_format() {
    let mut differences = Differences::default();
    for case in fixtures("date-format.json") {
        let pattern = case["pattern"].as_str().unwrap();
        let format = match SimpleDateFormat::new(pattern) {
            // The fixtures' too, because without it the result depends on today.
            Ok(format) => format.with_two_digit_year_start(-757_382_400_000),
            Err(error) => {
                differences.compare(&case, &json!({"error": error}), &theirs(&case, "format"));
                continue;
            }
        };
        assert_eq!(format.pattern(), pattern);
        assert!(case.get("error").is_none(), "{case}");
        for pair in case["format"].as_array().unwrap() {
            let ours = format.format(pair[0].as_i64().unwrap());
            differences.compare(&json!([pattern, pair[0]]), &json!(ours), &pair[1]);
        }
        for pair in case["parse"].as_array().unwrap() {
            let ours = format.parse(pair[0].as_str().unwrap());
            differences.compare(&json!([pattern, pair[0]]), &json!(ours), &pair[1]);
        }
    }
    differences.assert_none(5000);
}

#[test]
fn predicates() {
    let mut differences = Differences::default();
    let mut records: Vec<Record> = Vec::new();
    for case in fixtures("transforms.json") {
        if let Some(json) = case.get("define") {
            records.push(record(json));
            continue;
        }
        let Some(class) = case["predicate"].as_str() else { continue };
        // A transform that shows whether its predicate was true.
        let mut config: RawConfig = typed::config(&case["config"])
            .into_iter()
            .map(|(key, value)| (format!("predicates.p.{key}"), value))
            .collect();
        for (key, value) in [
            ("predicates", "p"),
            ("predicates.p.type", class),
            ("transforms", "x"),
            ("transforms.x.type", "RegexRouter"),
            ("transforms.x.regex", ".*"),
            ("transforms.x.replacement", "applied"),
            ("transforms.x.predicate", "p"),
        ] {
            config.insert(key.to_owned(), value.to_owned());
        }
        let record = records[case["record"].as_u64().unwrap() as usize].clone();
        let run = |config: &RawConfig| match chain(config) {
            Ok(mut chain) => json!({"result": chain.apply(record.clone()).unwrap().unwrap().topic == "applied"}),
            Err(errors) => json!({"error": errors[0].message.replacen("predicates.p.", "", 1)}),
        };
        let ours = run(&config);
        differences.compare(&case, &ours, &theirs(&case, "result"));
        if let Some(result) = ours["result"].as_bool() {
            config.insert("transforms.x.negate".to_owned(), "true".to_owned());
            assert_eq!(run(&config), json!({"result": !result}));
        }
    }
    differences.assert_none(15);
}
