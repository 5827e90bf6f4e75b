//! What holds for all inputs.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use barnabas_connect::config::{RawConfig, Type};
use barnabas_connect::connector_config::{sink_config_def, source_config_def, topic_creation_errors};
use barnabas_connect::header_converter::parse_string;
use barnabas_connect::offsets::{decode_key, decode_value, encode_key, encode_value};
use barnabas_connect::schema::SchemaKind;
use barnabas_connect::transform::chain;
use barnabas_connect::{
    Data, Decimal, Map, OffsetMap, Record, Registry, Schema, SchemaBuilder, SchemaRef, Str, Struct, Value, json,
};
use proptest::prelude::*;

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";

fn config(entries: &[(&str, &str)]) -> RawConfig {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-c]{0,3}", Just("\u{0}\"\\\u{7f}\u{2028}😀".to_owned())]
}

/// A schema, and a strategy for values that are valid for it.
fn typed(depth: u32) -> BoxedStrategy<(SchemaRef, BoxedStrategy<Value>)> {
    fn leaf(
        schema: SchemaRef,
        values: impl Strategy<Value = Value> + 'static,
    ) -> BoxedStrategy<(SchemaRef, BoxedStrategy<Value>)> {
        let values = values.boxed();
        Just((schema, values)).boxed()
    }
    let finite = |value: f64| if value.is_finite() && value != 0.0 { value } else { 0.5 };
    let leaves = prop_oneof![
        leaf(Schema::int8(), any::<i8>().prop_map(Value::from)),
        leaf(Schema::int16(), any::<i16>().prop_map(Value::from)),
        leaf(Schema::int32(), any::<i32>().prop_map(Value::from)),
        leaf(Schema::int64(), any::<i64>().prop_map(Value::from)),
        leaf(Schema::float64(), any::<f64>().prop_map(move |value| Value::from(finite(value)))),
        leaf(Schema::boolean(), any::<bool>().prop_map(Value::from)),
        leaf(Schema::string(), text().prop_map(Value::from)),
        leaf(Schema::bytes(), any::<Vec<u8>>().prop_map(Value::from)),
        leaf(Schema::date(), any::<i32>().prop_map(Value::Date)),
        leaf(Schema::time(), (0..86_400_000).prop_map(Value::Time)),
        leaf(Schema::timestamp(), any::<i64>().prop_map(Value::Timestamp)),
        (-5..30).prop_flat_map(|scale| {
            let values = prop::collection::vec(any::<u8>(), 1..40)
                .prop_map(move |bytes| Value::Decimal(Decimal::new(bytes, scale)));
            leaf(SchemaBuilder::decimal(scale).build().unwrap(), values)
        }),
        leaf(Schema::optional_string(), prop_oneof![Just(Value::Null), text().prop_map(Value::from)]),
    ];
    if depth == 0 {
        return leaves.boxed();
    }
    prop_oneof![
        3 => leaves,
        1 => typed(depth - 1).prop_map(|(schema, values)| {
            let array = SchemaBuilder::array(schema).build().unwrap();
            (array, prop::collection::vec(values, 0..4).prop_map(Value::array).boxed())
        }),
        1 => typed(depth - 1).prop_map(|(schema, values)| {
            let map = SchemaBuilder::map(Schema::string(), schema).build().unwrap();
            let entries = prop::collection::vec((text(), values), 0..20);
            (map, entries.prop_map(|entries| {
                Value::from(entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect::<Map>())
            }).boxed())
        }),
        1 => prop::collection::vec(typed(depth - 1), 0..5).prop_map(|fields| {
            let mut builder = SchemaBuilder::structure();
            for (index, (schema, _)) in fields.iter().enumerate() {
                builder = builder.field(format!("f{index}"), schema.clone());
            }
            let schema = builder.build().unwrap();
            let values: Vec<BoxedStrategy<Value>> = fields.into_iter().map(|(_, values)| values).collect();
            (schema.clone(), values.prop_map(move |values| Value::from(Struct::from_values(schema.clone(), values))).boxed())
        }),
    ]
    .boxed()
}

fn typed_data() -> impl Strategy<Value = Data> {
    typed(2).prop_flat_map(|(schema, values)| values.prop_map(move |value| Data::new(schema.clone(), value)))
}

fn row() -> impl Strategy<Value = Data> {
    typed_data()
        .prop_filter("a struct", |data| data.schema.as_ref().is_some_and(|schema| schema.kind() == SchemaKind::Struct))
}

fn record(value: Data) -> Record {
    Record {
        topic: "topic".into(),
        partition: Some(1),
        value,
        timestamp: Some(5),
        offset: Some(7),
        ..Record::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn json_with_schemas_gives_back_what_it_got(data in typed_data(), numeric in any::<bool>()) {
        let format = if numeric { "NUMERIC" } else { "BASE64" };
        let converter = Registry::new().converter(JSON, &config(&[("decimal.format", format)]), false).unwrap();
        let bytes = converter.from_connect("t", &mut Vec::new(), &data).unwrap().unwrap();
        let back = converter.to_connect("t", &[], Some(&bytes)).unwrap();
        prop_assert_eq!(&back.schema, &data.schema);
        prop_assert_eq!(back.value, data.value);
    }

    #[test]
    fn what_is_written_is_json(data in typed_data()) {
        let converter = Registry::new().converter(JSON, &RawConfig::new(), false).unwrap();
        let bytes = converter.from_connect("t", &mut Vec::new(), &data).unwrap().unwrap();
        let parsed: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(parsed.as_object().unwrap().keys().collect::<Vec<_>>(), ["schema", "payload"]);
    }

    #[test]
    fn reading_json_never_panics_and_accepts_what_is_valid(text in prop_oneof![any::<String>(), "[\\[\\]{},:\"a0-9.eE+\\- \\\\u]{0,40}"]) {
        let ours = json::parse(&text);
        if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
            prop_assert!(ours.is_ok(), "{ours:?}");
        }
        let plain = Registry::new().converter(JSON, &config(&[("schemas.enable", "false")]), false).unwrap();
        let bytes = bytes::Bytes::from(text);
        let _ = plain.to_connect("t", &[], Some(&bytes));
        let _ = Registry::new().converter(JSON, &RawConfig::new(), false).unwrap().to_connect("t", &[], Some(&bytes));
    }

    #[test]
    fn schemaless_json_is_stable(text in text(), number in any::<i64>(), double in any::<f64>()) {
        let plain = Registry::new().converter(JSON, &config(&[("schemas.enable", "false")]), false).unwrap();
        let double = if double.is_finite() { double } else { 0.0 };
        let map: Map = (0..30).map(|n| (Value::from(format!("{text}{n}")), Value::Int64(n))).collect();
        let value = Value::array(vec![text.into(), number.into(), double.into(), map.into(), Value::Null]);
        let bytes = plain.from_connect("t", &mut Vec::new(), &Data::schemaless(value)).unwrap().unwrap();
        let once = plain.to_connect("t", &[], Some(&bytes)).unwrap();
        let again = plain.from_connect("t", &mut Vec::new(), &once).unwrap().unwrap();
        // The order of a HashMap does not depend on the order of insertion but for keys in one bucket, so it settles at once.
        let twice = plain.to_connect("t", &[], Some(&again)).unwrap();
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(plain.from_connect("t", &mut Vec::new(), &twice).unwrap().unwrap(), again);
    }

    #[test]
    fn decimals_print_and_parse(bytes in prop::collection::vec(any::<u8>(), 1..60), scale in -40i32..60) {
        let decimal = Decimal::new(bytes, scale);
        prop_assert_eq!(Decimal::parse(&decimal.to_string()).unwrap(), decimal);
    }

    #[test]
    fn guessing_types_never_panics(text in prop_oneof![any::<String>(), "[\\[\\]{},:\"\\\\a1.e+\\- 0TZtrunl]{0,24}"]) {
        let text = Str::from(text);
        let data = parse_string(&text);
        if let (Some(schema), Value::String(string)) = (&data.schema, &data.value) {
            prop_assert_eq!(schema.kind(), SchemaKind::String);
            prop_assert!(text.contains(string.as_str()) || text.contains('"'));
        }
    }

    #[test]
    fn parsing_a_configuration_never_panics(entries in prop::collection::btree_map(
        prop_oneof![
            any::<String>(),
            prop::sample::select(vec![
                "name", "tasks.max", "transforms", "transforms.a.type", "transforms.a.predicate", "transforms.a.regex", "predicates",
                "predicates.a.type", "topic.creation.groups", "topic.creation.default.partitions", "topics", "topics.regex",
                "errors.tolerance", "key.converter", "transforms.", "transforms..type", "predicates.",
            ]).prop_map(str::to_owned),
        ],
        prop_oneof![any::<String>(), "[a,. ($0-9]{0,6}", Just("RegexRouter".to_owned()), Just("a".to_owned())],
        0..8,
    )) {
        for def in [source_config_def(), sink_config_def()] {
            let errors = def.errors(&entries);
            prop_assert_eq!(def.parse(&entries).is_ok(), errors.is_empty());
            let _ = (def.validate(&entries), def.unknown(&entries));
        }
        let _ = topic_creation_errors(&entries);
        let _ = chain(&entries);
        for ty in [Type::Boolean, Type::Int, Type::Short, Type::Long, Type::Double, Type::List, Type::Class, Type::Password] {
            for value in entries.values() {
                let _ = ty.parse(value);
            }
        }
    }

    #[test]
    fn inserting_a_field_adds_just_that_field(data in row()) {
        let mut chain = chain(&config(&[
            ("transforms", "x"),
            ("transforms.x.type", "org.apache.kafka.connect.transforms.InsertField$Value"),
            ("transforms.x.topic.field", "added"),
        ])).unwrap();
        let changed = chain.apply(record(data.clone())).unwrap().unwrap();
        let (before, after) = (data.value.as_struct().unwrap(), changed.value.value.as_struct().unwrap());
        prop_assert_eq!(changed.value.schema.as_ref(), Some(after.schema()));
        prop_assert_eq!(&after.values()[..before.values().len()], before.values());
        prop_assert_eq!(after.get("added").unwrap(), &Value::from("topic"));
        after.validate().unwrap();
        // The same schema gives the same shared schema.
        let again = chain.apply(record(data)).unwrap().unwrap();
        prop_assert!(Arc::ptr_eq(again.value.schema.as_ref().unwrap(), changed.value.schema.as_ref().unwrap()));
    }

    #[test]
    fn renaming_there_and_back_changes_nothing(data in row()) {
        let mut chain = chain(&config(&[
            ("transforms", "there,back"),
            ("transforms.there.type", "org.apache.kafka.connect.transforms.ReplaceField$Value"),
            ("transforms.there.renames", "f0:x,f1:y"),
            ("transforms.back.type", "org.apache.kafka.connect.transforms.ReplaceField$Value"),
            ("transforms.back.renames", "x:f0,y:f1"),
        ])).unwrap();
        let changed = chain.apply(record(data.clone())).unwrap().unwrap();
        prop_assert_eq!(changed.value, data);
    }

    #[test]
    fn offsets_survive_the_topic(connector in text(), file in text(), position in any::<i64>()) {
        let partition = OffsetMap::single("filename", file);
        let offset: OffsetMap = [("position", position), ("line", 1)].into_iter().collect();
        let key = encode_key(&connector, &partition);
        prop_assert_eq!(decode_key(&key).unwrap(), (connector, partition));
        prop_assert_eq!(decode_value(&encode_value(&offset)).unwrap(), Some(offset));
    }
}

#[test]
fn offsets_have_the_form_of_connect() {
    let partition = OffsetMap::single("filename", "/tmp/in.txt");
    assert_eq!(encode_key("c", &partition), r#"["c",{"filename":"/tmp/in.txt"}]"#);
    assert_eq!(encode_value(&OffsetMap::single("position", 12)), r#"{"position":12}"#);
    assert_eq!(decode_value(b"null").unwrap(), None);
    assert!(decode_key(br#"["c"]"#).is_err());
}
