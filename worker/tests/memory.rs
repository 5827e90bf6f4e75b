//! The memory of a worker process has a bound, whatever stands still outside of it.
//!
//! A connector that stands still shares its worker with one that moves: once that one has moved everything, the other had the time
//! to take as much into memory.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    io::{BufWriter, Write},
    process::Command,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use common::{
    committed, config, create_topic, end, eventually, kafka,
    process::{Process, prepare},
    quota::limit_producer,
    unique,
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};

/// 1 GB in all, far more than the budget.
const RECORDS: usize = 10_000;
const VALUE: usize = 100_000;

/// What a worker may take that runs the connectors of one of these tests.
const BUDGET_MIB: u64 = 200;

/// A value or a line, with its number at the beginning: text that compresses as well as other people's.
fn numbered(number: usize) -> String {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut text = String::new();
        let mut random = 7_u64;
        while text.len() < VALUE {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (id, name, amount) = (random >> 40, random % 1000, random % 9999);
            text += &format!(r#"{{"id":{id},"name":"customer {name}","city":"Berlin","amount":{amount}.5}}"#);
        }
        text
    });
    format!("{number:08}{}", &TEXT[8..VALUE])
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_that_take_nothing_do_not_fill_the_memory() {
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
    delete(&kafka, &[&topic]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_kafka_holds_back_does_not_fill_the_memory_and_loses_nothing() {
    /// 300 MB, and what the source that can moves meanwhile: each is more than the budget.
    const LINES: usize = 3_000;
    const OTHERS: usize = 2_200;
    let Some(kafka) = kafka() else { return };
    let (name, topic, other) = (unique("fast"), unique("t"), unique("t"));
    create_topic(&kafka, &topic, 1).await;
    create_topic(&kafka, &other, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines");
    write_lines(fs::File::create(&file).unwrap(), OTHERS, &AtomicUsize::new(0)).unwrap();
    let moves = format!("{name}-moves");
    let tasks = [
        // Without a file it reads the standard input.
        (name.as_str(), &[("connector.class", "FileStreamSource"), ("topic", &topic)][..]),
        (&moves, &[("connector.class", "FileStreamSource"), ("file", file.to_str().unwrap()), ("topic", &other)]),
    ];
    prepare(folder.path(), config(&kafka, &unique("g")), &tasks);
    let client = format!("connector-producer-{name}-0");
    limit_producer(&kafka, &client, Some(1000.0)).await;
    let mut process = Process::start(folder.path());
    let (input, written) = (process.input(), Arc::new(AtomicUsize::new(0)));
    let writer = {
        let written = Arc::clone(&written);
        std::thread::spawn(move || write_lines(input, LINES, &written))
    };
    eventually("the other source to move everything", async || {
        (end(&kafka, &other).await >= OTHERS as i64).then_some(())
    })
    .await;
    let (held, peak) = ((written.load(Relaxed) * VALUE) >> 20, process.peak_mib());
    println!("{peak} MiB at most while Kafka had {} records, and {held} MiB were written", end(&kafka, &topic).await);
    assert!(held < 100, "whoever writes the lines feels it: {held} MiB");
    assert!(peak < BUDGET_MIB, "{peak} MiB");
    limit_producer(&kafka, &client, None).await;
    eventually("the rest", async || (end(&kafka, &topic).await >= LINES as i64).then_some(())).await;
    writer.join().unwrap().unwrap();
    let peak = process.peak_mib();
    println!("{peak} MiB at most in the end");
    assert!(peak < BUDGET_MIB, "{peak} MiB");
    drop(process);
    tokio::task::spawn_blocking({
        let (kafka, topic) = (kafka.clone(), topic.clone());
        move || check_numbers(&kafka, &topic, LINES)
    })
    .await
    .unwrap();
    delete(&kafka, &[&topic, &other]).await;
}

fn write_lines(to: impl Write, lines: usize, written: &AtomicUsize) -> std::io::Result<()> {
    let mut to = BufWriter::new(to);
    for number in 0..lines {
        writeln!(to, "{}", numbered(number))?;
        written.fetch_add(1, Relaxed);
    }
    to.flush()
}

/// Every record is there, in its order, and none twice.
fn check_numbers(kafka: &str, topic: &str, records: usize) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", unique("reader"))
        .set("enable.auto.commit", "false")
        .set("queued.max.messages.kbytes", "16384")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    for number in 0..records {
        let message = consumer.poll(common::PATIENCE).expect("a record in time").unwrap();
        let value = message.payload().unwrap();
        assert_eq!((value.len(), &value[..8]), (VALUE, format!("{number:08}").as_bytes()));
    }
}

async fn fill(kafka: &str, topic: &str) {
    // What is fetched at once grows several times in memory.
    let mut config = ClientConfig::new();
    let producer: BaseProducer =
        config.set("bootstrap.servers", kafka).set("compression.type", "lz4").create().unwrap();
    let topic = topic.to_owned();
    let fill = move || {
        let mut sent = 0;
        while sent < RECORDS {
            match producer.send(BaseRecord::<str, str>::to(&topic).payload(&numbered(sent))) {
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
async fn delete(kafka: &str, topics: &[&str]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", kafka).create().unwrap();
    let results = admin.delete_topics(topics, &AdminOptions::new()).await.unwrap();
    results.into_iter().for_each(|result| _ = result.unwrap());
}
