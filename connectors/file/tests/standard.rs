//! The standard input and output, which need a process of their own: the test starts itself.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use barnabas_connect::config::RawConfig;
use barnabas_connect::{
    ConnectorPlugin, OffsetMap, OffsetReader, Offsets, Result, SinkContext, SourceContext, TaskFactory,
};
use barnabas_file::{FileStreamSink, FileStreamSource};

const CHILD: &str = "BARNABAS_FILE_TEST_CHILD";

struct NoOffsets;

#[async_trait]
impl OffsetReader for NoOffsets {
    async fn offsets(&self, partitions: &[Arc<OffsetMap>]) -> Result<Vec<Option<OffsetMap>>> {
        Ok(vec![None; partitions.len()])
    }
}

/// In the child: copies four lines from the standard input to the standard output, through both tasks.
#[tokio::test]
async fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let (TaskFactory::Source(source), TaskFactory::Sink(sink)) = (FileStreamSource.task(), FileStreamSink.task())
    else {
        panic!("not a source and a sink")
    };
    let (mut source, mut sink) = (source(), sink());
    let config = RawConfig::from([("topic".to_owned(), "t".to_owned())]);
    source.start(SourceContext::new("c", 0, Arc::new(NoOffsets)), config).await.unwrap();
    sink.start(SinkContext::new("c", 0), RawConfig::new()).await.unwrap();
    let mut seen = 0;
    while seen < 4 {
        let records = source.poll().await.unwrap();
        seen += records.len();
        for record in &records {
            let position = record.source.as_ref().unwrap();
            assert_eq!(position.partition.to_string(), r#"{"filename":null}"#);
            assert_eq!(position.offset.to_string(), r#"{"position":null}"#);
        }
        sink.put(records).await.unwrap();
        sink.flush(&Offsets::new()).await.unwrap();
    }
    sink.stop().await;
    // The thread that reads the standard input would keep nobody, but the test harness prints after this.
    std::process::exit(0);
}

#[test]
fn lines_pass_from_the_standard_input_to_the_standard_output() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--quiet"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| line.unwrap())
        .filter(|line| line.starts_with("> "));
    // Each line passes before the next one is written, and the input stays open.
    for (written, read) in [("> one\n> tw", "> one"), ("o\r\n", ""), ("> three\n", "> two"), ("> four\n", "> three")] {
        input.write_all(written.as_bytes()).unwrap();
        if !read.is_empty() {
            assert_eq!(output.next().unwrap(), read);
        }
    }
    assert_eq!(output.next().unwrap(), "> four");
    assert!(child.wait().unwrap().success());
}
