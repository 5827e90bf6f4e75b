#![no_main]

#[path = "../src/offsets.rs"]
mod offsets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| offsets::run(data));
