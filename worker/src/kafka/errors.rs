//! What a Kafka error means for a unit.

use barnabas_connect::{Error, ErrorCode};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// Stable reason: Kafka cannot be reached, or does not let this client in.
pub const UNREACHABLE: &str = "KafkaUnreachable";
/// Stable reason: a newer incarnation of this task has taken over.
pub const FENCED: &str = "Fenced";
/// Stable reason: a record is larger than Kafka, or the client, takes.
pub const TOO_LARGE: &str = "RecordTooLarge";
/// Stable reason: the principal lacks an ACL.
pub const DENIED: &str = "KafkaAuthorizationFailed";

/// The code behind an error, also where the transactional calls wrap it.
pub fn code(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::Transaction(inner) => Some(inner.code()),
        // `rdkafka_error_code` leaves it out.
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// Kafka has given the transactional id to a newer producer.
pub fn is_fenced(error: &KafkaError) -> bool {
    matches!(code(error), Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch))
}

/// Whether waiting may help: Kafka does not answer, or does not let this client in yet.
pub fn may_heal(error: &Error) -> bool {
    error.is_retriable() && error.reason() == UNREACHABLE
}

/// Classifies an error of the Kafka client. `doing` completes "... failed".
pub fn classify(doing: &str, error: KafkaError, hint: Option<String>) -> Error {
    if let KafkaError::ClientConfig(_, description, key, _) = &error {
        // The error carries the value, which may be a password or a private key.
        let secret = ["password", "pem", "username", "secret"].iter().any(|word| key.contains(word));
        let why = if secret { "its value is not valid" } else { description.as_str() };
        return Error::config(format!("{doing} failed: `{key}`: {why}"));
    }
    let detail = match &error {
        KafkaError::Transaction(inner) => inner.string(),
        other => other.to_string(),
    };
    let hint = hint.map(|h| format!(" ({h})")).unwrap_or_default();
    let message = format!("{doing} failed: {detail}{hint}");
    let (kind, reason) = match code(&error) {
        _ if is_fenced(&error) => {
            return Error::fatal(format!("{doing} failed: a newer instance of this task has taken over"))
                .with_reason(FENCED)
                .with_source(error);
        }
        Some(
            Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::MessageTimedOut
            | Code::Resolve
            | Code::SSL
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::NetworkException
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::NotCoordinator
            | Code::NodeUpdate
            | Code::WaitingForCoordinator
            | Code::LeaderNotAvailable
            // A topic that was just made, or whose leader moves: the client asks for its metadata again.
            | Code::NotLeaderForPartition
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::KafkaStorageError
            | Code::BrokerNotAvailable,
        ) => (ErrorCode::Retriable, UNREACHABLE),
        Some(
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed,
        ) => (ErrorCode::Fatal, DENIED),
        // The queue is full although it is empty: callers wait for room otherwise.
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::QueueFull) => (ErrorCode::Data, TOO_LARGE),
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
            (ErrorCode::Fatal, "UnknownTopic")
        }
        Some(Code::InvalidTopic) => (ErrorCode::Data, "InvalidTopic"),
        _ => match error {
            KafkaError::ClientCreation(_) => (ErrorCode::Config, "InvalidConfiguration"),
            _ => (ErrorCode::Fatal, "KafkaError"),
        },
    };
    Error::new(kind, message).with_reason(reason).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_broker_is_retriable_and_a_missing_acl_is_not() {
        let error = classify("Reading metadata", KafkaError::MetadataFetch(Code::BrokerTransportFailure), None);
        assert_eq!((error.code(), error.reason()), (ErrorCode::Retriable, UNREACHABLE));
        for error in [KafkaError::MessageProduction, KafkaError::AdminOp] {
            let error = classify("x", error(Code::TopicAuthorizationFailed), None);
            assert_eq!((error.code(), error.reason()), (ErrorCode::Fatal, DENIED));
        }
    }

    #[test]
    fn a_wrong_secret_is_named_and_not_shown() {
        let mut config = rdkafka::ClientConfig::new();
        config.set("security.protocol", "ssl").set("ssl.key.pem", "hunter2");
        let result: Result<rdkafka::consumer::BaseConsumer, _> = config.create();
        let Err(error) = result else { panic!("a key that is none was accepted") };
        let error = classify("Creating a client", error, None);
        assert_eq!(error.code(), ErrorCode::Config);
        assert!(!error.trace().contains("hunter2"), "{}", error.trace());
        assert!(error.message().contains("ssl.key.pem"), "{error}");
    }

    #[test]
    fn a_fenced_producer_has_its_own_reason() {
        let error = classify("Committing", KafkaError::MessageProduction(Code::ProducerFenced), None);
        assert_eq!((error.code(), error.reason()), (ErrorCode::Fatal, FENCED));
    }
}
