//! What is fuzzed (`fuzz/`), on the inputs that are kept: examples of every kind, and all that once went wrong.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

#[path = "../../fuzz/src/config.rs"]
mod config;
#[path = "../../fuzz/src/headers.rs"]
mod headers;
#[path = "../../fuzz/src/json.rs"]
mod json;
#[path = "../../fuzz/src/offsets.rs"]
mod offsets;

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
fn configurations() {
    replay("config", config::run);
}

#[test]
fn header_values() {
    replay("headers", headers::run);
}

#[test]
fn json_values() {
    replay("json", json::run);
}

#[test]
fn offset_records() {
    replay("offsets", offsets::run);
}
