//! Header converters: SimpleHeaderConverter understands any bytes as something that it can write, the others refuse or read them.

use std::sync::{Arc, LazyLock};

use barnabas_connect::{HeaderConverter, RawConfig, header_converter::header_converter};
use bytes::Bytes;

static CONVERTERS: LazyLock<[Arc<dyn HeaderConverter>; 6]> = LazyLock::new(|| {
    let names = ["Simple", "String", "ByteArray", "Json", "Integer", "Double"];
    names.map(|name| {
        let class = format!("{name}{}", if name == "Simple" { "HeaderConverter" } else { "Converter" });
        header_converter(&class, &RawConfig::new()).expect("the classes are there")
    })
});

pub fn run(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    for (index, converter) in CONVERTERS.iter().enumerate() {
        let read = converter.to_connect_header("t", "h", Some(&bytes));
        assert!(index > 0 || read.is_ok(), "what cannot be understood is a string");
        let Ok(data) = read else { continue };
        if let Ok(Some(written)) = converter.from_connect_header("t", "h", &data) {
            converter.to_connect_header("t", "h", Some(&written)).expect("what was written can be read");
        }
    }
}
