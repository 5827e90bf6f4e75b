//! The first line is a schema, the rest a message: neither may panic.

use barnabas_schema_registry::protobuf::{Decoder, ProtoSchema, Settings, message_indexes};
use bytes::Bytes;

pub fn run(data: &[u8]) {
    let (schema, message) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let Ok(schema) = std::str::from_utf8(schema) else { return };
    let Ok(proto) = ProtoSchema::parse(schema, &[]) else { return };
    let settings = Settings::new(&Settings::config_def().parse(&Default::default()).expect("all keys have defaults"));
    let message = Bytes::copy_from_slice(message.get(1..).unwrap_or_default());
    let Ok((path, length)) = message_indexes(&message, 0) else { return };
    if let Ok(decoder) = Decoder::new(&proto, &path, None, &settings) {
        let _ = decoder.decode(&message, length);
    }
}
