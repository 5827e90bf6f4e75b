//! The mapping of JSON Schema: its text has to be the original's, because the registry compares texts. The order of members was
//! taken from the library that the original writes with (`com.github.erosb:everit-json-schema` 1.14.3).

#![allow(clippy::unwrap_used)]

use barnabas_connect::schema::SchemaKind;
use barnabas_connect::{Schema, SchemaBuilder, SchemaRef, Str, Value};
use barnabas_schema_registry::json::{Settings, from_connect, read, to_connect};

fn settings(config: &[(&str, &str)]) -> Settings {
    let config = config.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    Settings::new(&Settings::config_def().parse(&config).unwrap())
}

fn connect(text: &str, config: &[(&str, &str)]) -> SchemaRef {
    to_connect(&serde_json::from_str(text).unwrap(), &[], None, &settings(config)).unwrap()
}

fn number() -> SchemaBuilder {
    let builder = SchemaBuilder::new(SchemaKind::Int32).name("T").doc("D").version(3).default_value(7);
    builder.parameter("zz", "1").parameter("a", "b")
}

#[test]
fn members_are_in_the_order_of_the_original() {
    let mut builder = SchemaBuilder::structure().name("Row").doc("doc").field("id", number().build().unwrap());
    for name in ["name", "price", "at", "quantity", "zip", "b", "a"] {
        builder = builder.field(name, Schema::string());
    }
    let schema = builder.field("opt", number().optional().build().unwrap()).build().unwrap();
    let text = from_connect(&schema, &settings(&[("object.additional.properties", "false")])).unwrap();
    let string = |name: &str, index: usize| format!(r#""{name}":{{"type":"string","connect.index":{index}}}"#);
    let number = |index: &str| {
        format!(
            r#"{{"type":"integer","title":"T","description":"D","default":7,{index}"connect.version":3,"connect.type":"int32","connect.parameters":{{"zz":"1","a":"b"}}}}"#
        )
    };
    let expected = format!(
        r#"{{"type":"object","additionalProperties":false,"title":"Row","description":"doc","properties":{{{},{},{},"opt":{{"connect.index":8,"oneOf":[{{"type":"null"}},{}]}},{},{},{},{},"id":{}}}}}"#,
        string("zip", 5),
        string("a", 7),
        string("b", 6),
        number(""),
        string("at", 3),
        string("quantity", 4),
        string("price", 2),
        string("name", 1),
        number(r#""connect.index":0,"#)
    );
    assert_eq!(text, expected);
    assert_eq!(connect(&text, &[]), schema);
}

#[test]
fn types_of_foreign_schemas() {
    let kind = |text: &str| connect(text, &[]).kind();
    assert_eq!(kind(r#"{"type":"integer"}"#), SchemaKind::Int64);
    assert_eq!(kind(r#"{"type":"number"}"#), SchemaKind::Float64);
    assert_eq!(kind(r#"{"minLength":1}"#), SchemaKind::String);
    assert!(connect(r#"{"type":["null","integer"]}"#, &[]).is_optional());
    let object = r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a"]}"#;
    let optional =
        |config| connect(object, config).fields().iter().map(|field| field.schema().is_optional()).collect::<Vec<_>>();
    assert_eq!(optional(&[]), [false, false]);
    assert_eq!(optional(&[("use.optional.for.nonrequired", "true")]), [false, true]);
    let all = connect(
        r#"{"allOf":[{"type":"object","properties":{"a":{"type":"string"}}},{"properties":{"b":{"type":"integer"}}}]}"#,
        &[],
    );
    assert_eq!(all.fields().len(), 2);
    let looped = serde_json::from_str(r##"{"type":"object","properties":{"next":{"$ref":"#"}}}"##).unwrap();
    assert!(to_connect(&looped, &[], None, &settings(&[])).unwrap_err().message().contains("contains itself"));
}

#[test]
fn a_union_takes_the_member_that_fits() {
    let text = r#"{"oneOf":[{"type":"integer"},{"type":"object","properties":{"a":{"type":"string"}}},{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}}}]}"#;
    let schema = connect(text, &[]);
    let set = |json: &'static str| match read(&schema, &Str::from(json)).unwrap() {
        Value::Struct(union) => union.values().iter().position(|value| !value.is_null()).unwrap(),
        other => panic!("{other}"),
    };
    assert_eq!((set("5"), set(r#"{"a":"x"}"#), set(r#"{"a":"x","b":"y"}"#)), (0, 1, 2));
    assert_eq!(schema.fields()[0].name(), "io.confluent.connect.json.OneOf.field.0");
    let general = connect(text, &[("generalized.sum.type.support", "true")]);
    assert_eq!((general.name(), general.fields()[0].name()), (Some("connect_union_0"), "connect_union_field_0"));
    assert!(read(&schema, &Str::from("true")).unwrap_err().message().contains("matching oneof"));
}
