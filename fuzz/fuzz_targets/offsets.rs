//! Keys and values of the offsets topic: refused or read, and what is read can be written and read again, with the same names.
#![no_main]

use barnabas_connect::{
    OffsetMap,
    offsets::{decode_key, decode_value, encode_key, encode_value},
};
use libfuzzer_sys::fuzz_target;

// The values are left out: the last bit of a fraction may change.
fn names(map: &OffsetMap) -> Vec<String> {
    map.iter().map(|(name, _)| name.to_owned()).collect()
}

fuzz_target!(|data: &[u8]| {
    if let Ok((connector, partition)) = decode_key(data) {
        let again = decode_key(&encode_key(&connector, &partition)).expect("what was written can be read");
        assert_eq!((again.0, names(&again.1)), (connector, names(&partition)));
    }
    if let Ok(Some(offset)) = decode_value(data) {
        let again = decode_value(&encode_value(&offset)).expect("what was written can be read");
        assert_eq!(again.map(|map| names(&map)), Some(names(&offset)));
    }
});
