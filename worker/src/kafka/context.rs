//! What librdkafka's clients call back: logs, errors, in the unit's name.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

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
    last_said: Mutex<Option<(Option<RDKafkaErrorCode>, Instant)>>,
}

/// While a broker is away every client reports it several times a second: said once, then now and then.
const SAY_AGAIN: Duration = Duration::from_secs(60);

impl ClientNotes {
    /// For a unit's client; an empty name for the worker's own.
    pub fn new(connector: &str, task: Option<u32>) -> Self {
        Self(Arc::new(Notes {
            connector: connector.to_owned(),
            task,
            last_error: Mutex::new(None),
            last_said: Mutex::new(None),
        }))
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
        drop(consumer.poll(Duration::ZERO));
    }
    consumer.context().take_last_error()
}

/// What stays the same while the trouble does. librdkafka adds `(after 3ms in state CONNECT, 7 identical error(s)
/// suppressed)`, which would make the same trouble news each time.
fn lasting(reason: &str) -> &str {
    reason.split_once(" (after ").map_or(reason, |(lasting, _)| lasting)
}

impl ClientContext for ClientNotes {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let Notes { connector, task, .. } = &*self.0;
        match level {
            // A lost connection is reported as an error, too.
            _ if facility == "FAIL" => {
                tracing::debug!(target: "barnabas::kafka", connector, task, facility, message, "The Kafka client says.");
            }
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
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::PartitionEOF) {
            return; // Not an error: a reader asked to be told.
        }
        let mut said = self.0.last_said.lock();
        if said.is_some_and(|(before, at)| before == code && at.elapsed() < SAY_AGAIN) {
            tracing::debug!(target: "barnabas::kafka", connector, task, error = %error, reason, "The Kafka client lost a broker.");
        } else {
            tracing::warn!(target: "barnabas::kafka", connector, task, error = %error, reason, "The Kafka client lost a broker.");
            // That all are down follows from each being down; it does not make the next one news.
            if code != Some(RDKafkaErrorCode::AllBrokersDown) {
                *said = Some((code, Instant::now()));
            }
        }
        drop(said);
        let mut last = last_error.lock();
        // "All brokers are down" only repeats what the error before it explained.
        if last.is_none() || code != Some(RDKafkaErrorCode::AllBrokersDown) {
            *last = Some(lasting(reason).to_owned());
        }
    }
}

impl rdkafka::consumer::ConsumerContext for ClientNotes {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_has_the_same_words() {
        let notes = ClientNotes::new("", None);
        let said = |reason: &str| {
            notes.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), reason);
            notes.take_last_error()
        };
        let first =
            said("k:1/bootstrap: Connect to ipv4#10.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)");
        assert_eq!(first.as_deref(), Some("k:1/bootstrap: Connect to ipv4#10.0.0.1:1 failed: Connection refused"));
        let second = "k:1/bootstrap: Connect to ipv4#10.0.0.1:1 failed: Connection refused (after 2ms in state CONNECT, 30 \
                      identical error(s) suppressed)";
        assert_eq!(said(second), first);
    }
}
