//! JSON as Jackson writes and reads it, because Connect's bytes are Jackson's.

mod read;
mod write;

pub use read::{Node, Number, ParseError, parse};
pub(crate) use read::{Reader, Token, read_node, unite};
pub use write::{write_double, write_float, write_json, write_string};
