//! What librdkafka's clients call back: logs, errors, in the unit's name.

use std::sync::Arc;

use parking_lot::Mutex;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};

/// Whom a client works for, and the last thing that went wrong with it.
#[derive(Clone, Debug)]
pub struct ClientNotes(Arc<Notes>);

#[derive(Debug)]
struct Notes {
    connector: String,
    task: Option<u32>,
    last_error: Mutex<Option<String>>,
}

impl ClientNotes {
    /// For a unit's client; an empty name for the worker's own.
    pub fn new(connector: &str, task: Option<u32>) -> Self {
        Self(Arc::new(Notes { connector: connector.to_owned(), task, last_error: Mutex::new(None) }))
    }

    /// Takes the last connection-level error: it says why ("authentication failed")
    /// where the failed call only says that it timed out.
    pub fn take_last_error(&self) -> Option<String> {
        self.0.last_error.lock().take()
    }
}

/// Serves what librdkafka has queued for a consumer without messages, and takes the last error.
pub fn last_error(consumer: &BaseConsumer<ClientNotes>) -> Option<String> {
    // One event a call, log lines among them.
    for _ in 0..200 {
        drop(consumer.poll(std::time::Duration::ZERO));
    }
    consumer.context().take_last_error()
}

impl ClientContext for ClientNotes {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let Notes { connector, task, .. } = &*self.0;
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "barnabas::kafka", connector, task, facility, message, "The Kafka client reports an error.");
            }
            RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "barnabas::kafka", connector, task, facility, message, "The Kafka client warns.");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "barnabas::kafka", connector, task, facility, message, "The Kafka client says.");
            }
            RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "barnabas::kafka", connector, task, facility, message, "The Kafka client says.");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Notes { connector, task, last_error, .. } = &*self.0;
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return; // Not an error: a reader asked to be told.
        }
        tracing::warn!(target: "barnabas::kafka", connector, task, error = %error, reason, "The Kafka client lost a broker.");
        let mut last = last_error.lock();
        // "All brokers are down" only repeats what the error before it explained.
        if last.is_none() || error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *last = Some(reason.to_owned());
        }
    }
}

impl rdkafka::consumer::ConsumerContext for ClientNotes {}
