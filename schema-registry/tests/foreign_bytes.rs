//! Bytes that nobody checked: no panic, no memory on a length's word alone. Round trips of generated data. The programs in
//! `fuzz/` do the same for as long as one likes.

#![allow(clippy::unwrap_used)]

use barnabas_connect::{Data, Decimal, Map, Schema, SchemaBuilder, SchemaRef, Struct, Value};
use barnabas_schema_registry::{avro, json, protobuf};
use bytes::Bytes;
use proptest::prelude::*;

const AVRO: &str = r#"{"type":"record","name":"R","fields":[
    {"name":"i","type":"int"},{"name":"s","type":"string"},{"name":"o","type":["null","bytes"]},
    {"name":"l","type":{"type":"array","items":["null","long"]}},{"name":"n","type":{"type":"array","items":{"type":"record","name":"Empty","fields":[]}}},
    {"name":"m","type":{"type":"map","values":"double"}},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
    {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
    {"name":"u","type":["null","int",{"type":"record","name":"In","fields":[{"name":"f","type":{"type":"fixed","name":"F","size":3}}]}]}]}"#;

const PROTO: &str = r#"syntax = "proto3"; import "google/type/date.proto"; import "google/protobuf/timestamp.proto"; import "confluent/type/decimal.proto";
    message M { int32 i = 1; string s = 2; optional bytes o = 3; repeated sint64 l = 4; map<string, double> m = 5; E e = 6;
    confluent.type.Decimal d = 7; google.type.Date day = 8; google.protobuf.Timestamp at = 9; In in = 10; oneof u { fixed32 a = 11; In b = 12; }
    repeated In list = 13; enum E { A = 0; B = 1; } message In { repeated string t = 1; } }"#;

fn avro_plans() -> Vec<avro::Decoder> {
    let settings = avro::Settings::new(&avro::Settings::config_def().parse(&Default::default()).unwrap());
    let anything = avro::from_connect(None, &settings).unwrap().render();
    let decoder =
        |text: &str| avro::Decoder::new(&avro::AvroSchema::parse(text, &[]).unwrap(), None, &settings).unwrap();
    [AVRO, &anything].map(decoder).into()
}

fn proto_settings() -> protobuf::Settings {
    protobuf::Settings::new(&protobuf::Settings::config_def().parse(&Default::default()).unwrap())
}

fn proto_plan() -> protobuf::Decoder {
    protobuf::Decoder::new(&protobuf::ProtoSchema::parse(PROTO, &[]).unwrap(), &[0], None, &proto_settings()).unwrap()
}

/// Multiplies and adds: the same numbers in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// A few bytes changed, left out, put in, or repeated.
    fn damage(&mut self, bytes: &[u8]) -> Bytes {
        let mut out = bytes.to_vec();
        for _ in 0..1 + self.below(4) {
            let at = self.below(out.len() + 1);
            let likely = [0, 1, 2, 0x7f, 0x80, 0xff, self.below(256) as u8];
            let byte = likely[self.below(likely.len())];
            match self.below(4) {
                0 if at < out.len() => out[at] = byte,
                1 if at < out.len() => drop(out.remove(at)),
                2 => out.truncate(at),
                _ => out.insert(at, byte),
            }
        }
        out.into()
    }
}

#[test]
fn damaged_messages_are_refused_or_read() {
    let avro_message =
        b"\x02\x04ab\x02\x02\x07\x04\x00\x02\x06\x00\x04\x00\x02\x02k\0\0\0\0\0\0\0\0\x00\x02\x04\x01\x02\x04abc";
    let proto_message = b"\x08\x01\x12\x02ab\x1a\x01\x07\x22\x02\x02\x04\x2a\x0c\x0a\x01k\x11\0\0\0\0\0\0\0\0\x30\x01\x3a\x05\x0a\x01\x05\x18\x02\x42\x07\x08\xe8\x0f\x10\x01\x18\x01\x4a\x02\x08\x05\x52\x03\x0a\x01x\x5d\x01\0\0\0\x6a\x03\x0a\x01y";
    let (avro, proto) = (avro_plans(), proto_plan());
    assert!(avro[0].decode(&Bytes::from_static(avro_message), 0).is_ok());
    assert!(
        proto.decode(&Bytes::from_static(proto_message), 0).is_ok(),
        "{:?}",
        proto.decode(&Bytes::from_static(proto_message), 0)
    );
    let mut random = Seeded(7);
    let mut read = 0;
    for _ in 0..30_000 {
        let damaged = random.damage(avro_message);
        read += avro.iter().filter(|plan| plan.decode(&damaged, 0).is_ok()).count();
        let damaged = random.damage(proto_message);
        read += usize::from(proto.decode(&damaged, 0).is_ok());
        let _ = protobuf::message_indexes(&damaged, 0);
    }
    assert!(read > 1000, "the damage must leave some messages readable: {read}");
}

#[test]
fn lengths_that_cannot_be_are_not_believed() {
    let plans = avro_plans();
    // 2^62 empty records, and as many longs.
    let many = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    for prefix in [&[2, 0, 0, 0][..], &[2, 0, 0]] {
        let message = [prefix, &many].concat();
        let error = plans[0].decode(&message.into(), 0).unwrap_err();
        assert!(error.message().contains("announced"), "{error}");
    }
    let proto = proto_plan().decode(&Bytes::from_static(b"\x12\xff\xff\xff\xff\x0fx"), 0).unwrap_err();
    assert!(proto.message().contains("announced"), "{proto}");
}

fn text() -> impl Strategy<Value = Value> {
    "[a-zäß\u{1F600}]{0,8}".prop_map(Value::from)
}

/// Values of every type that all three formats have.
fn row() -> impl Strategy<Value = Data> {
    let scalars = (any::<i32>(), any::<i64>(), text(), any::<bool>(), -1e9..1e9f64, proptest::option::of(any::<i16>()));
    let others = (
        proptest::collection::vec(text(), 0..4),
        proptest::collection::btree_map("[a-z]{1,5}", any::<i64>(), 0..5),
        proptest::collection::vec(any::<u8>(), 0..6),
        any::<i128>(),
        -700_000..2_000_000i32,
        0..86_400_000i32,
        -1i64 << 45..1i64 << 45,
    );
    (scalars, others).prop_map(|((i, l, s, b, d, o), (list, map, bytes, decimal, day, time, at))| {
        let schema = schema();
        let map: Map = map.into_iter().map(|(key, value)| (Value::from(key), Value::Int64(value))).collect();
        let values = vec![
            i.into(),
            l.into(),
            s,
            b.into(),
            d.into(),
            o.into(),
            list.into(),
            map.into(),
            bytes.into(),
            Decimal::from_i128(decimal, 3).into(),
            Value::Date(day),
            Value::Time(time),
            Value::Timestamp(at),
        ];
        Data::new(schema.clone(), Struct::from_values(schema, values))
    })
}

fn schema() -> SchemaRef {
    SchemaBuilder::structure()
        .name("dev.example.Row")
        .field("i", Schema::int32())
        .field("l", Schema::int64())
        .field("s", Schema::string())
        .field("b", Schema::boolean())
        .field("d", Schema::float64())
        .field("o", Schema::optional_int16())
        .field("list", SchemaBuilder::array(Schema::string()).build().unwrap())
        .field("map", SchemaBuilder::map(Schema::string(), Schema::int64()).name("Counts").build().unwrap())
        .field("bytes", Schema::bytes())
        .field("decimal", SchemaBuilder::decimal(3).build().unwrap())
        .field("day", Schema::date())
        .field("time", Schema::time())
        .field("at", Schema::timestamp())
        .build()
        .unwrap()
}

fn values(data: &Data) -> &[Value] {
    data.value.as_struct().unwrap().values()
}

proptest! {
    #[test]
    fn avro_gives_back_what_it_got(data in row()) {
        let settings = avro::Settings::new(&avro::Settings::config_def().parse(&Default::default()).unwrap());
        let avro = avro::from_connect(data.schema.as_ref(), &settings).unwrap();
        let mut out = Vec::new();
        avro::Encoder::new(data.schema.as_ref(), &avro, &settings).unwrap().encode(&mut out, &data.value).unwrap();
        let again = avro::AvroSchema::parse(&avro.render(), &[]).unwrap();
        let back = avro::Decoder::new(&again, None, &settings).unwrap().decode(&out.into(), 0).unwrap();
        prop_assert_eq!(back, data);
    }

    #[test]
    fn json_gives_back_what_it_got(data in row(), numeric in any::<bool>()) {
        let config = [("decimal.format".to_owned(), if numeric { "NUMERIC" } else { "BASE64" }.to_owned())].into();
        let settings = json::Settings::new(&json::Settings::config_def().parse(&config).unwrap());
        let schema = data.schema.clone().unwrap();
        let text: serde_json::Value = serde_json::from_str(&json::from_connect(&schema, &settings).unwrap()).unwrap();
        let again = json::to_connect(&text, &[], None, &settings).unwrap();
        let mut out = Vec::new();
        json::write(&mut out, Some(&schema), &data.value, &settings).unwrap();
        let text = barnabas_connect::Str::from(String::from_utf8(out).unwrap());
        let back = Data::new(again.clone(), json::read(&again, &text).unwrap());
        prop_assert_eq!(values(&back), values(&data));
    }

    #[test]
    fn protobuf_gives_back_what_it_got(data in row(), optional in any::<bool>(), wrapper in any::<bool>()) {
        let settings = protobuf::Settings { optional_for_nullables: optional, wrapper_for_nullables: wrapper && !optional, ..proto_settings() };
        let schema = data.schema.clone().unwrap();
        let proto = protobuf::ProtoSchema::parse(&protobuf::from_connect(&schema, &settings).unwrap(), &[]).unwrap();
        let mut out = Vec::new();
        protobuf::Encoder::new(&schema, &proto, &settings).unwrap().encode(&mut out, &data.value).unwrap();
        let back = protobuf::Decoder::new(&proto, &[0], None, &settings).unwrap().decode(&out.into(), 1).unwrap();
        let (mut back, mut expected) = (values(&back).to_vec(), values(&data).to_vec());
        if expected[5].is_null() && !optional && !wrapper {
            // Without a label or a wrapper Protobuf has no null.
            expected[5] = Value::Int16(0);
        }
        if let (Value::Int16(value), true) = (&expected[5], wrapper && !optional) {
            // A wrapper does not say that its number is a small one.
            expected[5] = Value::Int32((*value).into());
        }
        // The order of a map's entries has no meaning.
        prop_assert_eq!(back.remove(7), expected.remove(7));
        prop_assert_eq!(back, expected);
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        for plan in avro_plans() {
            let _ = plan.decode(&bytes, 0);
        }
        let _ = proto_plan().decode(&bytes, 0);
    }

    #[test]
    fn any_text_is_a_schema_or_an_error(text in "[\\[\\]{}\":,a-z$#/0-9]{0,80}") {
        let _ = avro::AvroSchema::parse(&text, &[]);
        let settings = json::Settings::new(&json::Settings::config_def().parse(&Default::default()).unwrap());
        if let Ok(json) = serde_json::from_str(&text) {
            let _ = json::to_connect(&json, &[], None, &settings);
        }
    }
}
