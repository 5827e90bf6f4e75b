//! What a Kafka error means for a unit.

use barnabas_connect::{Error, ErrorCode};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// Stable reason: Kafka cannot be reached, or does not let this client in.
pub const UNREACHABLE: &str = "KafkaUnreachable";
/// Stable reason: a newer incarnation of this task has taken over.
pub const FENCED: &str = "Fenced";
/// Stable reason: the principal lacks an ACL.
pub const DENIED: &str = "KafkaAuthorizationFailed";

/// The code behind an error, also where the transactional calls wrap it.
pub fn code(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::Transaction(inner) => Some(inner.code()),
        other => other.rdkafka_error_code(),
    }
}

/// Kafka has given the transactional id to a newer producer.
pub fn is_fenced(error: &KafkaError) -> bool {
    matches!(code(error), Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch))
}

/// Classifies an error of the Kafka client. `doing` completes "... failed".
pub fn classify(doing: &str, error: KafkaError, hint: Option<String>) -> Error {
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
            | Code::BrokerNotAvailable,
        ) => (ErrorCode::Retriable, UNREACHABLE),
        Some(
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed,
        ) => (ErrorCode::Fatal, DENIED),
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => (ErrorCode::Data, "RecordTooLarge"),
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
            (ErrorCode::Fatal, "UnknownTopic")
        }
        Some(Code::InvalidTopic) => (ErrorCode::Data, "InvalidTopic"),
        _ => match error {
            KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => (ErrorCode::Config, "InvalidConfiguration"),
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
        let error = classify("x", KafkaError::MessageProduction(Code::TopicAuthorizationFailed), None);
        assert_eq!((error.code(), error.reason()), (ErrorCode::Fatal, DENIED));
    }

    #[test]
    fn a_fenced_producer_has_its_own_reason() {
        let error = classify("Committing", KafkaError::MessageProduction(Code::ProducerFenced), None);
        assert_eq!((error.code(), error.reason()), (ErrorCode::Fatal, FENCED));
    }
}
