//! The connector API of Barnabas: what a connector, a converter or a transform is written against.
//!
//! The data model, the configuration definitions and the built-in converters and transforms keep the behaviour of Apache
//! Kafka Connect 4.3 (`connect-api`, `connect-json`, `connect-transforms`), byte for byte where bytes leave the process;
//! `tests/compat` compares them with the original classes. Nothing here knows a Kafka client or Kubernetes.
//!
//! # Writing a connector
//!
//! Implement [`ConnectorPlugin`] for a unit struct, with a [`Connector`] that plans task configurations and a
//! [`SourceTask`] or [`SinkTask`] that moves records, and register it in a [`Registry`].
//! `examples/counter.rs` is a whole one.
//!
//! # Map of the crate
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`value`], [`schema`] | Connect's data model (`org.apache.kafka.connect.data`) |
//! | [`record`], [`offsets`] | records on both paths, source positions and their form in the offsets topic |
//! | [`config`] | configuration definitions (`org.apache.kafka.common.config.ConfigDef`) |
//! | [`connector_config`] | the keys common to all connectors, validation of a whole connector configuration |
//! | [`transaction`] | how a source says what belongs together |
//! | [`plugin`], [`registry`] | the traits to implement, and where they are found by class name |
//! | [`converter`], [`header_converter`], [`json`] | between Connect data and bytes |
//! | [`transform`], [`predicate`] | single message transforms |
//! | [`regex`], [`java`], [`jaas`] | what Java does, where Connect's behaviour depends on it |
//! | [`error`] | errors that say whether they are retriable |
//! | [`secrets`] | hides secret values in text that is about to be shown |

pub mod config;
pub mod connector_config;
pub mod converter;
pub mod error;
pub mod header_converter;
pub mod jaas;
pub mod java;
pub mod json;
pub mod offsets;
pub mod plugin;
pub mod predicate;
pub mod record;
pub mod regex;
pub mod registry;
pub mod schema;
pub mod secrets;
pub mod transaction;
pub mod transform;
pub mod value;

pub use config::{Config, ConfigDef, ConfigError, ConfigKey, ConfigValue, RawConfig};
pub use converter::Converter;
pub use error::{Error, ErrorCode, Result};
pub use header_converter::HeaderConverter;
pub use offsets::{OffsetMap, SourcePosition};
pub use plugin::{
    Connector, ConnectorContext, ConnectorPlugin, ErrantRecordReporter, ExactlyOnceSupport, Kind, OffsetReader,
    Offsets, SinkContext, SinkTask, SourceContext, SourceTask, TaskFactory, TopicPartition,
};
pub use record::{Data, Header, Record, TimestampType};
pub use registry::{PluginInfo, PluginType, Registry};
pub use schema::{Field, Schema, SchemaBuilder, SchemaKind, SchemaRef};
pub use secrets::Secrets;
pub use transaction::{Transaction, TransactionContext};
pub use transform::{Transform, TransformChain};
pub use value::{Decimal, Map, Str, Struct, Value};

/// The version that the built-in plugins report; the release of Barnabas itself.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
