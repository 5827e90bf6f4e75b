//! The same files and records through Java's FileStream tasks and ours. `tests/compat/README.md` says how the fixtures are made.

#![allow(clippy::unwrap_used)]

#[path = "../../../connect/tests/typed/mod.rs"]
mod typed;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use barnabas_connect::config::{Default, RawConfig};
use barnabas_connect::{
    ConnectorPlugin, OffsetMap, OffsetReader, Record, Result, SinkContext, SourceContext, TaskFactory, Value,
};
use barnabas_file::{FileStreamSink, FileStreamSource};
use serde_json::{Value as Json, json};
use typed::{Differences, fixtures};

struct Committed(Option<i64>);

#[async_trait]
impl OffsetReader for Committed {
    async fn offsets(&self, partitions: &[Arc<OffsetMap>]) -> Result<Vec<Option<OffsetMap>>> {
        Ok(partitions.iter().map(|_| self.0.map(|position| OffsetMap::single("position", position))).collect())
    }
}

#[tokio::test]
async fn source() {
    let mut differences = Differences::default();
    for case in fixtures("file.json").into_iter().filter(|case| case["task"] == "source") {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes = typed::bytes(&case["bytes"]).unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let TaskFactory::Source(make) = FileStreamSource.task() else { panic!("not a source") };
        let mut task = make();
        let config = RawConfig::from([
            ("file".to_owned(), file.path().to_str().unwrap().to_owned()),
            ("topic".to_owned(), "t".to_owned()),
        ]);
        task.start(SourceContext::new("c", 0, Arc::new(Committed(case["position"].as_i64()))), config).await.unwrap();
        let theirs = case["lines"].as_array().unwrap();
        let mut ours = Vec::new();
        while ours.len() < theirs.len() {
            for record in task.poll().await.unwrap() {
                let position = record.source.unwrap().offset.get("position").cloned().unwrap();
                ours.push(json!([record.value.value.as_str().unwrap(), position]));
            }
        }
        // There is no line more than Java found.
        assert!(tokio::time::timeout(Duration::from_millis(30), task.poll()).await.is_err());
        // Java's positions count UTF-16 units, ours bytes: they are the same for ASCII.
        let comparable = |lines: &[Json]| {
            if bytes.is_ascii() {
                json!(lines)
            } else {
                lines.iter().map(|line| line[0].clone()).collect::<Vec<_>>().into()
            }
        };
        differences.compare(&case, &comparable(&ours), &comparable(theirs));
    }
    differences.assert_none(20);
}

#[tokio::test]
async fn sink() {
    let case = fixtures("file.json").into_iter().find(|case| case["task"] == "sink").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let TaskFactory::Sink(make) = FileStreamSink.task() else { panic!("not a sink") };
    let mut task = make();
    let config = RawConfig::from([("file".to_owned(), file.path().to_str().unwrap().to_owned())]);
    task.start(SinkContext::new("c", 0), config).await.unwrap();
    let records: Vec<Record> = case["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| Record { topic: "t".into(), value: typed::data(value), ..Record::default() })
        .collect();
    assert!(records.iter().any(|record| matches!(record.value.value, Value::Struct(_))));
    task.put(records).await.unwrap();
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), case["output"].as_str().unwrap());
}

#[test]
fn definitions() {
    let mut differences = Differences::default();
    for case in fixtures("definitions.json") {
        let def = match case["def"].as_str().unwrap() {
            "file-source" => FileStreamSource.config_def(),
            "file-sink" => FileStreamSink.config_def(),
            _ => continue,
        };
        let ours = def.get(case["key"].as_str().unwrap()).map(|key| {
            let default = match &key.default {
                Default::Value(value) => Some(value.to_string()),
                _ => None,
            };
            json!({"type": key.ty.name(), "required": key.is_required(), "default": default, "importance": key.importance.name()})
        });
        let theirs = json!({
            "type": case["type"], "required": case["required"], "default": case["default"], "importance": case["importance"]
        });
        differences.compare(&case, &ours.unwrap_or_default(), &theirs);
    }
    differences.assert_none(4);
}

#[test]
fn configurations() {
    let mut differences = Differences::default();
    for case in fixtures("config.json").into_iter().filter(|case| case["def"] == "file-source") {
        let def = FileStreamSource.config_def();
        if case["missing"] == true {
            let ours: Vec<String> = def.errors(&RawConfig::new()).into_iter().map(|error| error.message).collect();
            differences.compare(&case, &json!(ours), &case["errors"]);
            continue;
        }
        let key = case["key"].as_str().unwrap();
        let config = RawConfig::from([(key.to_owned(), case["value"].as_str().unwrap().to_owned())]);
        let value = def.validate(&config).into_iter().find(|value| value.name == key).unwrap();
        let ours = json!({"errors": value.errors, "parsed": value.value});
        differences.compare(&case, &ours, &json!({"errors": case["errors"], "parsed": case["parsed"]}));
    }
    differences.assert_none(5);
}
