//! Everything that talks to Kafka: client settings, clients, topics, offsets.

pub mod admin;
pub mod clients;
pub mod context;
pub mod errors;
pub mod keys;
pub mod monitor;
pub mod offsets;
pub mod offsets_writer;
pub mod overrides;
