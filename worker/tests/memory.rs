//! The memory of a worker process has a bound, whatever stands still outside of it.
//!
//! A connector that stands still shares its worker with one that moves: once that one has moved everything, the other had the time
//! to take as much into memory.
#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, process::Command, time::Duration};

use common::{
    committed, config, create_topic, eventually, kafka,
    process::{Process, prepare},
    unique,
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};

/// 600 MB in all, far more than the budgets.
const RECORDS: usize = 6_000;
const VALUE: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn sinks_that_take_nothing_do_not_fill_the_memory() {
    const BUDGET_MIB: u64 = 200;
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("still"), unique("t"));
    create_topic(&kafka, &topic, 1).await;
    fill(&kafka, &topic).await;
    let folder = tempfile::tempdir().unwrap();
    // A pipe whose reader never reads: a write into it does not return. The write end alone would fail.
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _reader = fs::File::options().read(true).write(true).open(&pipe).unwrap();
    let class = ("connector.class", "FileStreamSink");
    let sink = |file| [class, ("file", file), ("topics", topic.as_str())];
    let [refuses, blocks, moves] = ["refuses", "blocks", "moves"].map(|kind| format!("{name}-{kind}"));
    let tasks = [
        // A write to it fails in a retriable way.
        (refuses.as_str(), &sink("/dev/full")[..]),
        (&blocks, &sink(pipe.to_str().unwrap())),
        (&moves, &sink("/dev/null")),
    ];
    prepare(folder.path(), config(&kafka, &unique("g")), &tasks);
    let process = Process::start(folder.path());
    eventually("the sink that can to take everything", async || {
        let position = committed(&kafka, &format!("connect-{moves}"), &topic, 1).await;
        (position == RECORDS as i64).then_some(())
    })
    .await;
    // A second try, so that what is kept for it is counted as well.
    eventually("the other to have tried twice", async || {
        (process.log().matches("Putting a batch failed").count() >= 2).then_some(())
    })
    .await;
    let peak = process.peak_mib();
    println!("{peak} MiB at most");
    assert!(peak < BUDGET_MIB, "{peak} MiB");
    for still in [refuses, blocks] {
        assert_eq!(committed(&kafka, &format!("connect-{still}"), &topic, 1).await, 0, "nothing was taken");
    }
    drop(process);
    delete(&kafka, &topic).await;
}

async fn fill(kafka: &str, topic: &str) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", kafka).create().unwrap();
    let topic = topic.to_owned();
    let fill = move || {
        let value = "x".repeat(VALUE);
        let mut sent = 0;
        while sent < RECORDS {
            match producer.send(BaseRecord::<str, str>::to(&topic).payload(&value)) {
                Ok(()) => sent += 1,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    producer.poll(Duration::from_millis(20));
                }
                Err((error, _)) => panic!("{error}"),
            }
        }
        producer.flush(common::PATIENCE).unwrap();
    };
    tokio::task::spawn_blocking(fill).await.unwrap();
}

/// Gives the room on the disk back.
async fn delete(kafka: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka).create().unwrap();
    let results = admin.delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
    results.into_iter().for_each(|result| _ = result.unwrap());
}
