//! Keys and values of the offsets topic: refused or read, and what is read can be written and read again as the same.

use barnabas_connect::offsets::{decode_key, decode_value, encode_key, encode_value};

pub fn run(data: &[u8]) {
    if let Ok((connector, partition)) = decode_key(data) {
        let again = decode_key(&encode_key(&connector, &partition)).expect("what was written can be read");
        assert_eq!(again, (connector, partition));
    }
    if let Ok(Some(offset)) = decode_value(data) {
        let again = decode_value(&encode_value(&offset)).expect("what was written can be read");
        assert_eq!(again, Some(offset));
    }
}
