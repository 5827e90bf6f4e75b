//! The first line is a schema, the rest a message: neither may panic. What is read is written again to the same value.

use barnabas_schema_registry::avro::{AvroSchema, Decoder, Encoder, Settings};
use bytes::Bytes;

pub fn run(data: &[u8]) {
    let (schema, message) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let Ok(schema) = std::str::from_utf8(schema) else { return };
    let Ok(avro) = AvroSchema::parse(schema, &[]) else { return };
    let settings = Settings::new(&Settings::config_def().parse(&Default::default()).expect("all keys have defaults"));
    let Ok(decoder) = Decoder::new(&avro, None, &settings) else { return };
    let message = Bytes::copy_from_slice(message.get(1..).unwrap_or_default());
    let Ok(value) = decoder.decode(&message, 0) else { return };
    if let Ok(encoder) = Encoder::new(value.schema.as_ref(), &avro, &settings) {
        let mut out = Vec::new();
        if encoder.encode(&mut out, &value.value).is_ok() {
            decoder.decode(&out.into(), 0).expect("what was written can be read");
        }
    }
}
