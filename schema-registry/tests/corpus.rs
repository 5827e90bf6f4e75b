//! What is fuzzed (`fuzz/`), on the inputs that are kept: examples of every kind, and all that once went wrong.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

#[path = "../../fuzz/src/avro.rs"]
mod avro;
#[path = "../../fuzz/src/protobuf.rs"]
mod protobuf;

fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut inputs = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        println!("{}", path.display());
        run(&fs::read(path).unwrap());
        inputs += 1;
    }
    assert!(inputs > 5, "{inputs}");
}

#[test]
fn avro_messages() {
    replay("avro", avro::run);
}

#[test]
fn protobuf_messages() {
    replay("protobuf", protobuf::run);
}
