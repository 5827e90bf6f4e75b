//! JsonConverter: any bytes are refused or read, and what is read and can be written again is JSON that can be read.

use std::sync::{Arc, LazyLock};

use barnabas_connect::{Converter, Registry};
use bytes::Bytes;

static CONVERTERS: LazyLock<[Arc<dyn Converter>; 4]> = LazyLock::new(|| {
    [("true", "base64"), ("true", "numeric"), ("false", "base64"), ("false", "numeric")].map(|(schemas, decimals)| {
        let config = [("schemas.enable", schemas), ("decimal.format", decimals)];
        let config = config.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
        Registry::new().converter("JsonConverter", &config, false).expect("the keys are its own")
    })
});

pub fn run(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    for converter in CONVERTERS.iter() {
        let Ok(data) = converter.to_connect("t", &[], Some(&bytes)) else { continue };
        if let Ok(Some(written)) = converter.from_connect("t", &mut Vec::new(), &data) {
            converter.to_connect("t", &[], Some(&written)).expect("what was written can be read");
        }
    }
}
