//! Bytes that nobody checked: no panic, no overflow of the stack, and no memory on a number's word alone. The programs in `fuzz/` do
//! the same for as long as one likes.

#![allow(clippy::unwrap_used)]

mod typed;

use barnabas_connect::header_converter::header_converter;
use barnabas_connect::offsets::{decode_key, decode_value, encode_key, encode_value};
use barnabas_connect::{Converter, HeaderConverter, RawConfig, Registry, Value};
use bytes::Bytes;
use std::sync::Arc;
use typed::fixtures;

/// Multiplies and adds: the same numbers in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// A few bytes of one input changed, left out, put in, or followed by a part of another.
    fn damage(&mut self, inputs: &[Bytes]) -> Bytes {
        let mut out = inputs[self.below(inputs.len())].to_vec();
        for _ in 0..1 + self.below(4) {
            let at = self.below(out.len() + 1);
            let likely = b"[]{}\":,\\0123456789eE.-+TZ \xff\x00\xe2";
            let byte = if self.below(8) == 0 { self.below(256) as u8 } else { likely[self.below(likely.len())] };
            match self.below(6) {
                0 if at < out.len() => out[at] = byte,
                1 if at < out.len() => drop(out.remove(at)),
                2 => out.truncate(at),
                3 => {
                    let other = &inputs[self.below(inputs.len())];
                    out.splice(at..at, other[self.below(other.len() + 1)..].iter().copied().take(200));
                }
                // Many digits, or brackets.
                4 => out.splice(at..at, std::iter::repeat_n(byte, self.below(40))).for_each(drop),
                _ => out.insert(at, byte),
            }
        }
        out.into()
    }
}

/// Runs `read` over damaged inputs; at least `some` have to be readable still, or the damage shows nothing.
fn run(inputs: &[Bytes], some: usize, read: impl Fn(&Bytes) -> bool) {
    const RUNS: usize = 20_000;
    assert!(inputs.len() > 5);
    let mut random = Seeded(7);
    let before = peak_mib();
    let readable = (0..RUNS).filter(|_| read(&random.damage(inputs))).count();
    assert!((some..RUNS).contains(&readable), "{readable} of {RUNS}");
    // Inputs are some kilobytes. The other tests of this file are in it, too.
    let grown = peak_mib() - before;
    assert!(grown < 200, "{grown} MiB");
}

/// The most memory that this process ever had.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024
}

fn inputs(file: &str) -> Vec<Bytes> {
    fixtures(file).iter().filter_map(|case| typed::bytes(&case["bytes"])).collect()
}

fn json(config: &[(&str, &str)]) -> Arc<dyn Converter> {
    let config: RawConfig = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Registry::new().converter("JsonConverter", &config, false).unwrap()
}

fn simple() -> Arc<dyn HeaderConverter> {
    header_converter("SimpleHeaderConverter", &RawConfig::new()).unwrap()
}

#[test]
fn damaged_json_is_refused_or_read() {
    let inputs = inputs("json-to.json");
    for config in [&[][..], &[("schemas.enable", "false")], &[("decimal.format", "numeric")]] {
        let converter = json(config);
        run(&inputs, 300, |bytes| match converter.to_connect("t", &[], Some(bytes)) {
            // What was read can be written, or is refused by name; what was written can be read.
            Ok(data) => {
                if let Ok(Some(written)) = converter.from_connect("t", &mut Vec::new(), &data) {
                    converter.to_connect("t", &[], Some(&written)).unwrap();
                }
                true
            }
            Err(_) => false,
        });
    }
}

#[test]
fn damaged_headers_are_read_as_something() {
    let converters =
        ["StringConverter", "ByteArrayConverter", "IntegerConverter", "DoubleConverter", "BooleanConverter"];
    let others = converters.map(|class| header_converter(class, &RawConfig::new()).unwrap());
    let converter = simple();
    let text = |data: &_| converter.from_connect_header("t", "h", data).unwrap();
    run(&inputs("headers.json"), 1000, |bytes| {
        for other in &others {
            drop(other.to_connect_header("t", "h", Some(bytes)));
        }
        // Nothing is refused: what cannot be understood is a string.
        let data = converter.to_connect_header("t", "h", Some(bytes)).unwrap();
        if let Some(written) = text(&data) {
            converter.to_connect_header("t", "h", Some(&written)).unwrap();
        }
        !matches!(data.value, Value::String(_))
    });
}

#[test]
fn damaged_offsets_are_refused_or_read_and_written_the_same() {
    let keys: Vec<Bytes> = [
        r#"["files",{"filename":"/var/log/in put"}]"#,
        r#"["jdbc",{"protocol":"1","table":"db.schema.t"}]"#,
        r#"["inventory",{"server":"dbserver1","database":"inventory"}]"#,
        r#"["mirror",{"cluster":"a","partition":3,"topic":"t"}]"#,
        r#"["stdin",{"filename":null}]"#,
        r#"["deep",{"a":[1,{"b":[true,null,1.5e3]}]}]"#,
    ]
    .map(Bytes::from)
    .into();
    run(&keys, 200, |bytes| match decode_key(bytes) {
        Ok((name, partition)) => {
            assert_eq!(decode_key(&encode_key(&name, &partition)).unwrap(), (name, partition));
            true
        }
        Err(_) => false,
    });
    let values: Vec<Bytes> = [
        r#"{"position":1234567}"#,
        r#"{"timestamp_nanos":5000000,"incrementing":42,"timestamp":1700000000005}"#,
        r#"{"transaction_id":null,"ts_sec":1700000000,"file":"mysql-bin.000003","pos":154,"row":1,"snapshot":true}"#,
        r#"{"lsn_proc":24023128,"lsn_commit":24023128,"txId":-555,"messageType":"UPDATE"}"#,
        r#"{"a":1e300,"b":-0.0,"c":18446744073709551615,"d":"\ud83d\ude00\u0000"}"#,
        "null",
    ]
    .map(Bytes::from)
    .into();
    run(&values, 200, |bytes| match decode_value(bytes) {
        Ok(Some(offset)) => {
            assert_eq!(decode_value(&encode_value(&offset)).unwrap(), Some(offset));
            true
        }
        Ok(None) => true,
        Err(_) => false,
    });
}

/// What opens brackets only, what closes them again, and what is in between.
fn nested(levels: usize) -> Vec<Bytes> {
    let closed =
        |open: &str, middle: &str, close: &str| Bytes::from(open.repeat(levels) + middle + &close.repeat(levels));
    vec![
        closed("[", "", ""),
        closed("[", "1", "]"),
        closed("{\"a\":", "1", "}"),
        closed("[{\"a\":", "null", "}]"),
        closed("{", "", ""),
        closed("{[", "1", "]:1}"),
        closed(" [ ", "\"x\"", " ] "),
        closed("\\[", "", "\\]"),
        closed("{\"type\":\"array\",\"items\":", "{\"type\":\"int8\"}", "}"),
        closed("{\"schema\":{\"type\":\"array\",\"items\":", "{\"type\":\"int8\"}", "},\"payload\":[]}"),
        Bytes::from(format!(
            "{{\"schema\":{}{{\"type\":\"int8\"}}{},\"payload\":{}{}}}",
            "{\"type\":\"array\",\"items\":".repeat(levels),
            "}".repeat(levels),
            "[".repeat(levels),
            "]".repeat(levels)
        )),
    ]
}

#[test]
fn nesting_has_a_limit() {
    // Without optimisation the frames of the thousand levels that Jackson allows are more than a test's thread has room for;
    // the worker's threads have twice this.
    std::thread::Builder::new().stack_size(8 << 20).spawn(nest).unwrap().join().unwrap();
}

fn nest() {
    for levels in [10, 90, 450, 990, 1100, 200_000] {
        for bytes in nested(levels) {
            for config in [&[][..], &[("schemas.enable", "false")]] {
                let read = json(config).to_connect("t", &[], Some(&bytes));
                assert!(read.is_err() || levels <= 1000, "{levels} levels were read");
            }
            let data = simple().to_connect_header("t", "h", Some(&bytes)).unwrap();
            simple().from_connect_header("t", "h", &data).unwrap();
            assert!(decode_key(&[b"[\"c\",{\"a\":", &bytes[..], b"}]"].concat()).is_err() || levels < 130);
            assert!(decode_value(&[b"{\"a\":", &bytes[..], b"}"].concat()).is_err() || levels < 130);
        }
    }
}

#[test]
fn huge_numbers_take_no_room() {
    let many = "9".repeat(2000);
    let numbers = [
        "1e1000000000",
        "-1E+2147483647",
        "1e2147483648",
        "1e-2147483648",
        "1e99999999999999999999",
        "123456789.5e-1000000000",
        "0e1000000000",
        "9223372036854775808",
        "-9223372036854775809",
        "1.7976931348623159e308",
        "99999999999-1-1T1:1:1.1Z",
        "99999999999-9-9T9:9:9.9Z",
        "9999999-9-",
        "9999999:9:9.9Z",
        "999999999:1.1Z",
        &many,
    ];
    let before = peak_mib();
    let types = ["int8", "int16", "int32", "int64", "float", "double", "string", "bytes", "boolean"];
    let decimal =
        r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"}}"#;
    let logical = ["Date", "Time", "Timestamp"].into_iter().zip(["int32", "int32", "int64"]).map(|(name, kind)| {
        format!(r#"{{"type":"{kind}","name":"org.apache.kafka.connect.data.{name}","version":1}}"#)
    });
    let schemas: Vec<String> = types
        .map(|kind| format!(r#"{{"type":"{kind}"}}"#))
        .into_iter()
        .chain(logical)
        .chain([decimal.to_owned(), "null".to_owned()])
        .collect();
    for number in numbers {
        let header = simple().to_connect_header("t", "h", Some(&Bytes::from(number.to_owned()))).unwrap();
        simple().from_connect_header("t", "h", &header).unwrap();
        let listed = Bytes::from(format!("[{number},{number}]"));
        simple().to_connect_header("t", "h", Some(&listed)).unwrap();
        drop(decode_value(format!(r#"{{"a":{number}}}"#).as_bytes()));
        for schema in &schemas {
            let text = Bytes::from(format!(r#"{{"schema":{schema},"payload":{number}}}"#));
            for config in [&[][..], &[("schemas.enable", "false")], &[("decimal.format", "numeric")]] {
                let converter = json(config);
                if let Ok(data) = converter.to_connect("t", &[], Some(&text)) {
                    drop(converter.from_connect("t", &mut Vec::new(), &data));
                }
            }
        }
    }
    let grown = peak_mib() - before;
    assert!(grown < 200, "{grown} MiB");
}
