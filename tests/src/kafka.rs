//! The broker as the tests see it: topics, records, offsets.

use std::{
    collections::HashMap,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use futures::executor::block_on;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::Headers,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
    types::RDKafkaErrorCode,
};

use crate::Testbed;

const LIMIT: Duration = Duration::from_secs(30);

/// The broker of the testbed.
#[derive(Clone, Copy)]
pub struct Kafka {
    testbed: &'static Testbed,
}

/// A record as it lies in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
}

impl Record {
    /// The value as text; empty when there is none.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }
}

impl Kafka {
    pub(crate) fn new(testbed: &'static Testbed) -> Self {
        Self { testbed }
    }

    /// Address for this machine.
    pub fn host(&self) -> &'static str {
        self.testbed.variable("BARNABAS_TEST_KAFKA")
    }

    /// Address for pods: no encryption, no user.
    pub fn pods(&self) -> &'static str {
        self.testbed.variable("BARNABAS_TEST_KAFKA_PODS")
    }

    /// Client configuration for this machine.
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.host());
        config
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(self.config().create()?)
    }

    fn options() -> AdminOptions {
        AdminOptions::new().operation_timeout(Some(LIMIT)).request_timeout(Some(LIMIT))
    }

    /// Creates a topic; one that exists is an error.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let results = block_on(self.admin()?.create_topics([&topic], &Self::options()))?;
        results.into_iter().try_for_each(|result| result.map(drop).map_err(|(name, code)| anyhow!("{name}: {code}")))
    }

    /// Deletes a topic; one that does not exist is no error.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let results = block_on(self.admin()?.delete_topics(&[name], &Self::options()))?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((name, code)) => bail!("{name}: {code}"),
            }
        }
        Ok(())
    }

    /// The topics with their numbers of partitions, Kafka's own left out.
    pub fn topics(&self) -> Result<HashMap<String, usize>> {
        let consumer: BaseConsumer = self.config().create()?;
        let metadata = consumer.fetch_metadata(None, LIMIT)?;
        let topics = metadata.topics().iter().filter(|topic| !topic.name().starts_with("__"));
        Ok(topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect())
    }

    /// Appends records with the given keys and values; returns when the broker has them all.
    pub fn produce<K, V>(&self, topic: &str, records: impl IntoIterator<Item = (Option<K>, V)>) -> Result<()>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut config = self.config();
        config.set("linger.ms", "5").set("compression.type", "lz4").set("enable.idempotence", "true");
        let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
        for (key, value) in records {
            let key = key.as_ref().map(AsRef::as_ref);
            let mut record = BaseRecord::<[u8], [u8]>::to(topic).payload(value.as_ref());
            record.key = key;
            let start = Instant::now();
            while let Err((error, unsent)) = producer.send(record) {
                if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) || start.elapsed() > LIMIT {
                    return Err(error.into());
                }
                std::thread::sleep(Duration::from_millis(5));
                record = unsent;
            }
        }
        Ok(producer.flush(LIMIT)?)
    }

    /// Appends lines as values without keys.
    pub fn produce_lines<V: AsRef<str>>(&self, topic: &str, lines: impl IntoIterator<Item = V>) -> Result<()> {
        self.produce::<&[u8], _>(topic, lines.into_iter().map(|line| (None, line.as_ref().as_bytes().to_vec())))
    }

    /// The offset after the last record of each partition (transaction markers count).
    pub fn end_offsets(&self, topic: &str) -> Result<Vec<i64>> {
        let consumer: BaseConsumer = self.config().create()?;
        ends(&consumer, topic)
    }

    /// All records of a topic up to its present end, partition after partition; those of aborted transactions are
    /// left out.
    pub fn read(&self, topic: &str) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        self.for_each(topic, |record| records.push(record))?;
        Ok(records)
    }

    /// Like [`Kafka::read`], one record at a time.
    pub fn for_each(&self, topic: &str, mut on_record: impl FnMut(Record)) -> Result<()> {
        let mut config = self.config();
        config.set("group.id", "barnabas-tests").set("enable.auto.commit", "false");
        config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create()?;
        let ends = ends(&consumer, topic)?;
        for (partition, end) in (0..).zip(ends) {
            let mut assignment = TopicPartitionList::new();
            assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
            consumer.assign(&assignment)?;
            loop {
                match consumer.poll(LIMIT) {
                    // All of the partition that is committed: markers make the last record's offset a poor sign.
                    Some(Err(KafkaError::PartitionEOF(_))) => break,
                    Some(Ok(message)) => {
                        let offset = message.offset();
                        if offset < end {
                            on_record(record(&message));
                        }
                        if offset + 1 >= end {
                            break;
                        }
                    }
                    Some(Err(error)) => return Err(error.into()),
                    None => bail!("{topic}-{partition}: nothing within {} s, before offset {end}", LIMIT.as_secs()),
                }
            }
        }
        Ok(())
    }

    /// The offsets that a consumer group has committed on a topic, by partition; `None` where it has none.
    pub fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<i64>>> {
        let mut config = self.config();
        let consumer: BaseConsumer = config.set("group.id", group).create()?;
        let partitions = ends(&consumer, topic)?.len();
        let mut list = TopicPartitionList::new();
        for partition in 0..i32::try_from(partitions)? {
            list.add_partition(topic, partition);
        }
        let committed = consumer.committed_offsets(list, LIMIT)?;
        let mut elements = committed.elements();
        elements.sort_by_key(|element| element.partition());
        Ok(elements.iter().map(|element| element.offset().to_raw().filter(|offset| *offset >= 0)).collect())
    }

    /// Stops the broker's process (SIGSTOP): it neither answers nor closes a connection until [`Kafka::resume`].
    pub fn suspend(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Lets a suspended broker go on.
    pub fn resume(&self) -> Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let record = self.testbed.path("BARNABAS_TEST_STATE").join("pids/kafka");
        let text = std::fs::read_to_string(&record).context("the broker's process is not recorded")?;
        let pid: u32 = text.split(' ').next().unwrap_or_default().parse()?;
        let status = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status()?;
        if !status.success() {
            bail!("cannot send {signal} to the broker (process {pid})");
        }
        Ok(())
    }
}

fn ends(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i64>> {
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT)?;
    let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    if partitions == 0 {
        bail!("there is no topic {topic}");
    }
    let partitions = 0..i32::try_from(partitions)?;
    partitions.map(|partition| Ok(consumer.fetch_watermarks(topic, partition, LIMIT)?.1)).collect()
}

fn record(message: &impl Message) -> Record {
    let headers = message.headers().into_iter().flat_map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect::<Vec<_>>()
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.collect(),
        timestamp: message.timestamp().to_millis(),
    }
}
