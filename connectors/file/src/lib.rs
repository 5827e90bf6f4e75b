//! FileStream: lines of a file to a topic, and values of topics to lines of a file.
//!
//! Stands in for `org.apache.kafka.connect.file.FileStreamSourceConnector` and `...FileStreamSinkConnector` with all their keys.
//! What differs, and why:
//!
//! - the source's position counts bytes, where Java counts UTF-16 units and then skips that many bytes, so that after a
//!   restart it reads again from the middle of a file that is not plain ASCII; for ASCII the positions are the same;
//! - the sink reports a write that fails, where Java loses the lines in silence, and syncs the file before offsets are committed;
//! - the sink can deliver exactly once (`exactly.once`);
//! - values that are bytes are written as they are, where Java prints the address of the array.

mod config;
mod exact;
mod lines;
mod sink;
mod source;
mod stdin;

use barnabas_connect::Registry;

pub use sink::FileStreamSink;
pub use source::FileStreamSource;

/// Adds both connectors to a registry.
pub fn register(registry: &mut Registry) {
    registry.register(&FileStreamSource);
    registry.register(&FileStreamSink);
}
