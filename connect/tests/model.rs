//! The parts of the data model and the registry that no fixture of Connect covers.

#![allow(clippy::unwrap_used)]

use barnabas_connect::config::{ConfigDef, nearest};
use barnabas_connect::regex::JavaRegex;
use barnabas_connect::schema::SchemaKind;
use barnabas_connect::{
    Connector, ConnectorPlugin, Decimal, Error, ErrorCode, Kind, Map, OffsetMap, Registry, Schema, SchemaBuilder, Str,
    Struct, TaskFactory, Value,
};
use bytes::Bytes;

#[test]
fn an_error_tells_what_may_be_done_and_why() {
    let cause = std::io::Error::other("disk on fire");
    let error = Error::retriable("Writing failed.")
        .with_source(Error::data("Line 7 is bad.").with_source(cause))
        .at_class("a.B");
    assert_eq!((error.code(), error.reason(), error.is_retriable()), (ErrorCode::Retriable, "TemporaryFailure", true));
    assert_eq!(error.origin(), Some("a.B"));
    assert_eq!(error.to_string(), "Writing failed.");
    assert_eq!(
        error.trace(),
        "org.apache.kafka.connect.errors.RetriableException: Writing failed.\nCaused by: Line 7 is bad.\nCaused by: disk on fire"
    );
    // The class that failed first stays named.
    assert_eq!(error.at_class("c.D").origin(), Some("a.B"));
}

#[test]
fn text_shares_its_bytes() {
    let bytes = Bytes::from_static(b"one two");
    let text = Str::try_from(bytes.clone()).unwrap();
    let part = text.slice_ref(&text[4..]);
    assert_eq!(part, "two");
    assert_eq!(part.into_bytes().as_ptr(), bytes[4..].as_ptr());
    assert!(Str::try_from(Bytes::from_static(b"\xff")).is_err());
}

#[test]
fn offsets_are_equal_in_any_order() {
    let one: OffsetMap = [("a", 1), ("b", 2)].into_iter().collect();
    let mut other: OffsetMap = [("b", 2)].into_iter().collect();
    assert_ne!(one, other);
    other.insert("a", 0);
    other.insert("a", 1);
    assert_eq!(one, other);
    let hash = |map: &OffsetMap| {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        BuildHasherDefault::<DefaultHasher>::default().hash_one(map)
    };
    assert_eq!(hash(&one), hash(&other));
    assert_eq!(OffsetMap::from_json(one.to_json()).unwrap(), one);
    assert_eq!(OffsetMap::from_json(serde_json::json!([1])), None);
    let text = serde_json::to_string(&one).unwrap();
    assert_eq!(serde_json::from_str::<OffsetMap>(&text).unwrap(), one);
}

#[test]
fn a_struct_checks_what_is_put_into_it() {
    let schema = SchemaBuilder::structure()
        .field("id", Schema::int32())
        .field("kind", SchemaBuilder::new(SchemaKind::String).default_value("none").build().unwrap())
        .build()
        .unwrap();
    let mut row = Struct::new(schema).unwrap();
    assert_eq!(
        row.validate().unwrap_err().message(),
        "Invalid value: null used for required field: \"id\", schema type: INT32"
    );
    assert_eq!(
        row.put("id", "x").unwrap_err().message(),
        "Invalid Java object for schema with type INT32: class java.lang.String for field: \"id\""
    );
    assert_eq!(row.put("nothing", 1).unwrap_err().message(), "nothing is not a valid field name");
    row.put("id", 7).unwrap();
    row.validate().unwrap();
    assert_eq!(row.get("kind").unwrap(), &Value::from("none"));
    assert_eq!(row.get_without_default("kind").unwrap(), &Value::Null);
    assert!(Struct::new(Schema::string()).is_err());
    let twice = SchemaBuilder::structure().field("a", Schema::int32()).field("a", Schema::int32());
    assert_eq!(twice.build().unwrap_err().message(), "Cannot create field because of field name duplication a");
    assert!(SchemaBuilder::new(SchemaKind::Int32).default_value("x").build().is_err());
}

#[test]
fn maps_are_equal_in_any_order_and_keep_one_value_for_a_key() {
    let mut map: Map = [(Value::from("a"), Value::Int32(1)), (Value::from("b"), Value::Int32(2))].into_iter().collect();
    assert_eq!(map.insert("a".into(), Value::Int32(3)), Some(Value::Int32(1)));
    let other: Map = [(Value::from("b"), Value::Int32(2)), (Value::from("a"), Value::Int32(3))].into_iter().collect();
    assert_eq!(map, other);
    assert_eq!(map.to_string(), "{a=3, b=2}");
    assert_eq!(map.remove("a"), Some(Value::Int32(3)));
    assert_eq!(map.len(), 1);
}

#[test]
fn decimals_beyond_128_bits() {
    let text = "-123456789012345678901234567890123456789012345678901234567890.12345";
    let decimal = Decimal::parse(text).unwrap();
    assert_eq!(decimal.to_string(), text);
    assert_eq!(decimal.unscaled_i128(), None);
    assert_eq!(Decimal::from_i128(-1, 2).unscaled().as_ref(), [0xff]);
    for wrong in ["", "-", ".", "1.2.3", "1e", "0x1", " 1", "1e99999999999"] {
        assert_eq!(Decimal::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn regular_expressions_are_javas() {
    for (pattern, text, expected) in [
        (r"\d+", "12", true),
        (r"\d+", "١٢", false),
        (r"\w+", "ä", false),
        (r"[\w.-]+", "a.b-c", true),
        (r"\Qa.b\E.*", "a.bc", true),
        (r"\Qa.b", "a.b", true),
        (r"\p{Upper}\p{Lower}*", "Topic", true),
        (r"\P{Digit}+", "abc", true),
        (r"(?!__).*", "__internal", false),
        (r"(a)\1", "aa", true),
        (r"a|ab", "ab", true),
        (r"\\d", r"\d", true),
    ] {
        assert_eq!(JavaRegex::new(pattern).unwrap().matches(text).unwrap(), expected, "{pattern} on {text}");
    }
    assert!(JavaRegex::new("(").is_err());
    assert!(JavaRegex::new("o").unwrap().finds("topic").unwrap());
}

#[test]
fn the_nearest_name_is_near() {
    assert_eq!(nearest("tasks.maks", ["tasks.max", "topics"]), Some("tasks.max"));
    assert_eq!(nearest("tpoics", ["tasks.max", "topics"]), Some("topics"));
    assert_eq!(nearest("something.else", ["tasks.max", "topics"]), None);
}

struct Plugin(&'static str);

impl ConnectorPlugin for Plugin {
    fn class(&self) -> &'static str {
        self.0
    }

    fn aliases(&self) -> &'static [&'static str] {
        if self.0 == "io.one.ThingSinkConnector" { &["io.other.ThingWriter"] } else { &[] }
    }

    fn kind(&self) -> Kind {
        Kind::Sink
    }

    fn config_def(&self) -> &ConfigDef {
        unreachable!("not asked for")
    }

    fn connector(&self) -> Box<dyn Connector> {
        unreachable!("not asked for")
    }

    fn task(&self) -> TaskFactory {
        unreachable!("not asked for")
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register(&Plugin("io.one.ThingSinkConnector"));
    registry.register(&Plugin("io.two.OtherSinkConnector"));
    registry
}

#[test]
fn a_connector_is_found_by_all_its_names() {
    for name in [
        "io.one.ThingSinkConnector",
        "ThingSinkConnector",
        "ThingSink",
        "io.other.ThingWriter",
        "ThingWriter",
        " ThingSink ",
    ] {
        assert_eq!(registry().find(name).map(|plugin| plugin.class()), Some("io.one.ThingSinkConnector"), "{name}");
    }
    for name in ["Thing", "io.three.ThingSinkConnector", "", "thingsink"] {
        assert!(registry().find(name).is_none(), "{name}");
    }
    assert_eq!(registry().suggest("io.one.ThingSnikConnector"), Some("io.one.ThingSinkConnector"));
    assert_eq!(registry().suggest("OtherSinc"), Some("io.two.OtherSinkConnector"));
    assert_eq!(registry().suggest("com.example.Database"), None);
}

#[test]
#[should_panic(expected = "registered twice")]
fn a_class_is_registered_once() {
    let mut registry = registry();
    registry.register(&Plugin("io.other.ThingWriter"));
}

#[test]
fn everything_that_can_be_named_is_listed() {
    let plugins = registry().plugins();
    let kinds: Vec<&str> = plugins.iter().map(|plugin| plugin.kind.as_str()).collect();
    for kind in ["sink", "converter", "header_converter", "transformation", "predicate"] {
        assert!(kinds.contains(&kind), "{kind}");
    }
    for plugin in plugins.iter().filter(|plugin| plugin.kind.as_str() != "sink") {
        assert!(registry().config_def(plugin.class).is_some(), "{}", plugin.class);
    }
}
