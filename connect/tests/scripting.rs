//! Debezium's Filter and ContentBasedRouter, whose expressions are CEL here, so that there is nothing of Java's to compare with.

#![allow(clippy::unwrap_used)]

use barnabas_connect::config::{ConfigError, RawConfig};
use barnabas_connect::transform::{TransformChain, chain};
use barnabas_connect::{Data, Header, Record, Schema, SchemaBuilder, Struct, Value};

fn build(class: &str, config: &[(&str, &str)]) -> Result<TransformChain, Vec<ConfigError>> {
    let mut raw = RawConfig::from([
        ("transforms".to_owned(), "x".to_owned()),
        ("transforms.x.type".to_owned(), format!("io.debezium.transforms.{class}")),
    ]);
    for (key, value) in config {
        raw.insert(format!("transforms.x.{key}"), (*value).to_owned());
    }
    chain(&raw)
}

fn event(op: &'static str, before: Option<i32>) -> Record {
    let row = SchemaBuilder::structure().optional().field("id", Schema::int32()).build().unwrap();
    let schema = SchemaBuilder::structure().field("op", Schema::string()).field("before", row.clone()).build().unwrap();
    let before = before.map(|id| Struct::from_values(row, vec![Value::Int32(id)]));
    let value = Struct::from_values(schema.clone(), vec![Value::from_static(op), before.into()]);
    Record {
        topic: "orders".into(),
        value: Data::new(schema, value),
        headers: vec![Header { key: "tenant".into(), schema: Some(Schema::string()), value: "a".into() }],
        ..Record::default()
    }
}

fn keeps(condition: &str, record: Record) -> bool {
    build("Filter", &[("condition", condition)]).unwrap().apply(record).unwrap().is_some()
}

#[test]
fn a_simple_expression_of_groovy_is_one_of_cel() {
    let condition = "value.op == 'u' && value.before.id == 2";
    assert!(keeps(condition, event("u", Some(2))));
    assert!(!keeps(condition, event("u", Some(3))));
    assert!(!keeps(condition, event("c", None)));
}

#[test]
fn expressions_know_key_topic_and_headers() {
    assert!(keeps("topic == 'orders' && key == null", event("u", None)));
    assert!(keeps("header.tenant.value == 'a'", event("u", None)));
    assert!(keeps("topic.matches('or.*') && value.op in ['u', 'c']", event("c", None)));
    assert!(!keeps("value.before != null && value.before.id > 5", event("u", None)));
}

#[test]
fn the_router_takes_the_topic_from_the_expression() {
    let expression = "value.op == 'u' ? 'updates' : null";
    let mut chain = build("ContentBasedRouter", &[("topic.expression", expression)]).unwrap();
    assert_eq!(chain.apply(event("u", None)).unwrap().unwrap().topic, "updates");
    assert_eq!(chain.apply(event("c", None)).unwrap().unwrap().topic, "orders");
}

#[test]
fn records_without_a_value_are_kept_dropped_or_evaluated() {
    let tombstone = || Record { value: Data::NULL, ..event("u", None) };
    for (mode, kept) in [("keep", true), ("drop", false), ("Evaluate", true)] {
        let config = [("condition", "value == null"), ("null.handling.mode", mode)];
        assert_eq!(build("Filter", &config).unwrap().apply(tombstone()).unwrap().is_some(), kept, "{mode}");
    }
}

#[test]
fn other_topics_are_left_alone() {
    let config = [("condition", "false"), ("topic.regex", "users")];
    assert!(build("Filter", &config).unwrap().apply(event("u", None)).unwrap().is_some());
    let config = [("condition", "false"), ("topic.regex", "ord.*")];
    assert!(build("Filter", &config).unwrap().apply(event("u", None)).unwrap().is_none());
}

#[test]
fn mistakes_are_named() {
    let error = |class, config: &[(&str, &str)]| build(class, config).err().unwrap()[0].message.clone();
    let language = error("Filter", &[("condition", "true"), ("language", "jsr223.groovy")]);
    assert!(
        language.starts_with("Invalid value jsr223.groovy for configuration transforms.x.language: "),
        "{language}"
    );
    assert!(language.contains("Set it to cel"), "{language}");
    let syntax = error("Filter", &[("condition", "value.op ==")]);
    assert!(
        syntax.starts_with("Invalid value value.op == for configuration transforms.x.condition: not a CEL"),
        "{syntax}"
    );
    assert!(error("ContentBasedRouter", &[]).contains("topic.expression"));

    let failure =
        |condition| build("Filter", &[("condition", condition)]).unwrap().apply(event("u", None)).unwrap_err();
    assert!(failure("'text'").message().ends_with("is not a Boolean"), "{}", failure("'text'"));
    let missing = failure("value.before.id == 2");
    assert!(
        missing.message().contains("value.before.id == 2") && missing.message().contains("topic orders"),
        "{missing}"
    );
    assert_eq!(missing.origin(), Some("io.debezium.transforms.Filter"));
}
