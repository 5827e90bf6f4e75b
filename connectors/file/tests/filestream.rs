//! Both connectors as a worker drives them, on real files.

#![allow(clippy::unwrap_used)]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use barnabas_connect::config::RawConfig;
use barnabas_connect::{
    ConnectorContext, Data, ErrorCode, OffsetMap, OffsetReader, Offsets, Record, Registry, Result, Schema, SinkContext,
    SinkTask, SourceContext, SourceTask, TaskFactory, Value,
};

struct Committed(Option<OffsetMap>);

#[async_trait]
impl OffsetReader for Committed {
    async fn offsets(&self, partitions: &[Arc<OffsetMap>]) -> Result<Vec<Option<OffsetMap>>> {
        Ok(partitions.iter().map(|_| self.0.clone()).collect())
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    barnabas_file::register(&mut registry);
    registry
}

fn config(entries: &[(&str, &str)]) -> RawConfig {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn source(file: &Path, batch_size: &str, committed: Option<OffsetMap>) -> Box<dyn SourceTask> {
    let TaskFactory::Source(make) = registry().find("FileStreamSource").unwrap().task() else { panic!("not a source") };
    let mut task = make();
    let config = config(&[("file", file.to_str().unwrap()), ("topic", "lines"), ("batch.size", batch_size)]);
    task.start(SourceContext::new("c", 0, Arc::new(Committed(committed))), config).await.unwrap();
    task
}

async fn sink(file: &Path) -> Box<dyn SinkTask> {
    let TaskFactory::Sink(make) = registry().find("FileStreamSink").unwrap().task() else { panic!("not a sink") };
    let mut task = make();
    task.start(SinkContext::new("c", 0), config(&[("file", file.to_str().unwrap())])).await.unwrap();
    task
}

fn append(file: &Path, bytes: &[u8]) {
    OpenOptions::new().create(true).append(true).open(file).unwrap().write_all(bytes).unwrap();
}

/// Line and position of each record, until there are `count`.
async fn read(task: &mut Box<dyn SourceTask>, count: usize) -> Vec<(String, Option<i64>)> {
    let mut lines = Vec::new();
    while lines.len() < count {
        for record in task.poll().await.unwrap() {
            let position = record.source.unwrap().offset.get("position").unwrap().as_i64();
            lines.push((record.value.value.to_string(), position));
        }
    }
    lines
}

fn value(value: impl Into<Value>) -> Record {
    Record { topic: "t".into(), partition: Some(0), value: Data::schemaless(value), ..Record::default() }
}

#[tokio::test]
async fn a_source_reads_what_is_there_and_what_is_appended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.txt");
    let mut task = source(&file, "2000", None).await;
    // The file is missing at first.
    let waits = tokio::time::timeout(Duration::from_millis(50), task.poll()).await;
    assert!(waits.is_err());
    append(&file, b"one\r\ntwo\nthr");
    assert_eq!(read(&mut task, 2).await, [("one".to_owned(), Some(5)), ("two".to_owned(), Some(9))]);
    append(&file, "ee \u{e4}\n".as_bytes());
    assert_eq!(read(&mut task, 1).await, [("three \u{e4}".to_owned(), Some(18))]);
    append(&file, b"\xff!\n");
    assert_eq!(read(&mut task, 1).await, [("\u{fffd}!".to_owned(), Some(21))]);
    task.stop().await;
}

#[tokio::test]
async fn a_source_record_is_as_java_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.txt");
    append(&file, b"line\n");
    let mut task = source(&file, "2000", None).await;
    let record = task.poll().await.unwrap().remove(0);
    assert_eq!(record.topic, "lines");
    assert_eq!((record.partition, record.key.clone(), record.headers.len()), (None, Data::NULL, 0));
    assert_eq!(record.value, Data::new(Schema::string(), "line"));
    assert!(record.timestamp.is_some());
    let source = record.source.unwrap();
    assert_eq!(*source.partition, OffsetMap::single("filename", file.to_str().unwrap()));
    assert_eq!(source.offset, OffsetMap::single("position", 5));
}

#[tokio::test]
async fn a_source_goes_on_where_the_last_run_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.txt");
    append(&file, b"one\ntwo\nthree\n");
    let mut task = source(&file, "2000", Some(OffsetMap::single("position", 4))).await;
    assert_eq!(read(&mut task, 2).await, [("two".to_owned(), Some(8)), ("three".to_owned(), Some(14))]);

    let mut task = source(&file, "2000", Some(OffsetMap::single("position", "4"))).await;
    let error = task.poll().await.unwrap_err();
    assert_eq!((error.code(), error.message()), (ErrorCode::Fatal, "Offset position is the incorrect type"));
}

#[tokio::test]
async fn a_batch_is_no_larger_than_batch_size_and_records_of_a_poll_share_their_partition() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.txt");
    append(&file, "x\n".repeat(25).as_bytes());
    let mut task = source(&file, "10", None).await;
    let mut sizes = Vec::new();
    let mut partitions = Vec::new();
    while sizes.iter().sum::<usize>() < 25 {
        let records = task.poll().await.unwrap();
        sizes.push(records.len());
        partitions.extend(records.into_iter().map(|record| record.source.unwrap().partition));
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert!(partitions.iter().all(|partition| Arc::ptr_eq(partition, &partitions[0])));
}

#[tokio::test]
async fn lines_longer_than_a_block_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.txt");
    let long = "l".repeat(3_000_000);
    append(&file, format!("{long}\nshort\n").as_bytes());
    let mut task = source(&file, "2000", None).await;
    let lines = read(&mut task, 2).await;
    assert!(lines[0].0 == long);
    assert_eq!(lines[1], ("short".to_owned(), Some(3_000_007)));
}

#[tokio::test]
async fn dropping_polls_loses_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.txt");
    let text: String = (0..50_000).map(|n| format!("line {n}\n")).collect();
    append(&file, text.as_bytes());
    let mut task = source(&file, "1000", None).await;
    let mut lines = Vec::new();
    while lines.len() < 50_000 {
        // Polled once and dropped: whatever had begun goes on.
        tokio::select! {
            biased;
            records = task.poll() => lines.extend(records.unwrap().into_iter().map(|record| record.value.value.to_string())),
            () = std::future::ready(()) => {}
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(lines.join("\n") + "\n", text);
}

#[tokio::test]
async fn a_source_plans_one_task_and_a_sink_as_many_as_allowed() {
    for (class, tasks) in [("FileStreamSourceConnector", 1), ("FileStreamSinkConnector", 3)] {
        let mut connector = registry().find(class).unwrap().connector();
        let config = config(&[("file", "f"), ("topic", "t")]);
        connector.start(ConnectorContext::new("c"), config.clone()).await.unwrap();
        assert_eq!(connector.task_configs(3).await.unwrap(), vec![config; tasks]);
    }
}

#[tokio::test]
async fn a_sink_appends_a_line_for_each_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.txt");
    append(&file, b"before\n");
    let mut task = sink(&file).await;
    let map = Value::from(
        [(Value::from("a"), Value::Int64(1)), (Value::from("b"), Value::Null)]
            .into_iter()
            .collect::<barnabas_connect::Map>(),
    );
    let records = vec![
        value("text"),
        value(Value::Null),
        value(1.5f64),
        value(map),
        value(vec![Value::Int32(1), Value::from("x")]),
        value(bytes::Bytes::from_static(b"\x01raw")),
    ];
    task.put(records).await.unwrap();
    task.flush(&Offsets::new()).await.unwrap();
    task.stop().await;
    let expected = b"before\ntext\nnull\n1.5\n{a=1, b=null}\n[1, x]\n\x01raw\n";
    assert_eq!(std::fs::read(&file).unwrap(), expected);
    // After a restart it goes on at the end.
    let mut task = sink(&file).await;
    task.put(vec![value("again")]).await.unwrap();
    task.stop().await;
    assert_eq!(std::fs::read(&file).unwrap(), [&expected[..], b"again\n"].concat());
}

#[tokio::test]
async fn a_sink_that_cannot_open_its_file_says_so() {
    let TaskFactory::Sink(make) = registry().find("FileStreamSink").unwrap().task() else { panic!("not a sink") };
    let error = make().start(SinkContext::new("c", 0), config(&[("file", "/no/such/folder/f")])).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Fatal);
    assert_eq!(error.message(), "Couldn't find or create file '/no/such/folder/f' for FileStreamSinkTask");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_full_disk_is_retriable() {
    let mut task = sink(Path::new("/dev/full")).await;
    let error = task.put(vec![value("text")]).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Retriable);
}

#[test]
fn a_whole_configuration_is_validated() {
    let registry = registry();
    let errors = |entries: &[(&str, &str)]| -> Vec<String> {
        barnabas_connect::connector_config::validate(&registry, "c", &config(entries))
            .into_iter()
            .map(|error| error.message)
            .collect()
    };
    let class = ("connector.class", "org.apache.kafka.connect.file.FileStreamSourceConnector");
    assert_eq!(errors(&[class, ("topic", "t"), ("file", "f")]), Vec::<String>::new());
    assert_eq!(errors(&[class]), ["Missing required configuration \"topic\" which has no default value."]);
    assert_eq!(errors(&[class, ("topic", "")]), ["Invalid value  for configuration topic: String must be non-empty"]);
    assert_eq!(
        errors(&[class, ("topic", "t"), ("tasks.max", "x"), ("batch.sizee", "1")]),
        [
            "Invalid value x for configuration tasks.max: Not a number of type INT",
            "Unknown configuration batch.sizee: did you mean batch.size?"
        ]
    );
    assert_eq!(
        errors(&[("connector.class", "FileStreamSinc"), ("topics", "t")]),
        ["Failed to find any class that implements Connector and which name matches FileStreamSinc. \
          Did you mean org.apache.kafka.connect.file.FileStreamSinkConnector?"]
    );
    assert_eq!(
        errors(&[("connector.class", "FileStreamSink"), ("file", "f")]),
        ["Must configure one of topics or topics.regex", "Must configure one of topics or topics.regex"]
    );
}
