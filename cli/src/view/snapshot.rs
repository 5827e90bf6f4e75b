//! What `up` tells another terminal: its resources as they are at this moment.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer on the socket, one JSON document.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Snapshot {
    /// The folder that `up` was given, absolute.
    pub dir: String,
    /// Its process.
    pub pid: u32,
    /// The Kafka that the clusters use, for a look with other tools.
    pub bootstrap_servers: Vec<String>,
    /// `ConnectCluster` objects by namespace and name.
    pub clusters: Vec<Value>,
    /// `KafkaConnector` objects by namespace and name.
    pub connectors: Vec<Value>,
    /// The newest events, oldest first.
    pub events: Vec<Event>,
}

/// Something that has happened to a resource.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Event {
    /// `KafkaConnector` or `ConnectCluster`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub type_: String,
    /// CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}
