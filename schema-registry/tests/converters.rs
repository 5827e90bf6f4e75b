//! The converters against a registry: what is asked, what is kept, and what errors say.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use barnabas_connect::{
    Converter, Data, Decimal, Error, ErrorCode, Map, Schema, SchemaBuilder, SchemaRef, Struct, Value,
};
use bytes::Bytes;
use serde_json::json;
use support::{FakeRegistry, converter};

const AVRO: &str = "io.confluent.connect.avro.AvroConverter";
const JSON: &str = "JsonSchemaConverter";
const PROTOBUF: &str = "io.confluent.connect.protobuf.ProtobufConverter";

fn row_schema() -> SchemaRef {
    let inner = SchemaBuilder::structure().name("dev.example.Inner").field("b", Schema::optional_boolean()).optional();
    SchemaBuilder::structure()
        .name("dev.example.Row")
        .field("id", Schema::int64())
        .field("small", Schema::optional_int8())
        .field("name", Schema::optional_string())
        .field("price", SchemaBuilder::decimal(2).optional().build().unwrap())
        .field("day", SchemaBuilder::date().optional().build().unwrap())
        .field("time", SchemaBuilder::time().optional().build().unwrap())
        .field("at", SchemaBuilder::timestamp().optional().build().unwrap())
        .field("ratio", Schema::optional_float64())
        .field("raw", Schema::optional_bytes())
        .field("inner", inner.build().unwrap())
        .field("tags", SchemaBuilder::array(Schema::string()).optional().build().unwrap())
        .field(
            "counts",
            SchemaBuilder::map(Schema::string(), Schema::int32())
                .name("dev.example.Counts")
                .optional()
                .build()
                .unwrap(),
        )
        .build()
        .unwrap()
}

fn row() -> Data {
    let schema = row_schema();
    let mut row = Struct::new(schema.clone()).unwrap();
    let inner_schema = schema.field("inner").unwrap().schema().clone();
    let mut inner = Struct::new(inner_schema).unwrap();
    inner.put("b", true).unwrap();
    row.put("id", 7i64).unwrap();
    row.put("small", -3i8).unwrap();
    row.put("name", "ü").unwrap();
    row.put("price", Decimal::from_i128(-1250, 2)).unwrap();
    row.put("day", Value::Date(-1)).unwrap();
    row.put("time", Value::Time(3_723_004)).unwrap();
    row.put("at", Value::Timestamp(-1_500)).unwrap();
    row.put("ratio", -0.0).unwrap();
    row.put("raw", Bytes::from_static(&[0, 255])).unwrap();
    row.put("inner", inner).unwrap();
    row.put("tags", vec![Value::from("a"), Value::from("")]).unwrap();
    let counts: Map =
        [("one", 1), ("none", 0)].into_iter().map(|(key, n)| (Value::from(key), Value::Int32(n))).collect();
    row.put("counts", counts).unwrap();
    Data::new(schema, row)
}

fn write(converter: &Arc<dyn Converter>, data: &Data) -> Result<Bytes, Error> {
    converter.from_connect("t", &mut Vec::new(), data).map(Option::unwrap)
}

fn read(converter: &Arc<dyn Converter>, bytes: &Bytes) -> Result<Data, Error> {
    converter.to_connect("t", &[], Some(bytes))
}

/// Field by field, because each format adds its own to the schema.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Struct(one), Value::Struct(other)) => one
            .schema()
            .fields()
            .iter()
            .enumerate()
            .all(|(index, field)| other.get(field.name()).is_ok_and(|value| same(&one.values()[index], value))),
        (one, other) => one == other,
    }
}

#[test]
fn what_is_written_is_read_back_with_one_request_for_each_schema() {
    for (class, extra) in
        [(AVRO, &[][..]), (JSON, &[]), (PROTOBUF, &[]), (PROTOBUF, &[("optional.for.nullables", "true")])]
    {
        let registry = FakeRegistry::start();
        let converter = registry.converter(class, extra);
        let bytes = write(&converter, &row()).unwrap();
        assert_eq!(bytes[..5], [0, 0, 0, 0, 1], "{class}");
        for _ in 0..3 {
            assert_eq!(write(&converter, &row()).unwrap(), bytes);
        }
        assert_eq!(registry.requests(), ["POST /subjects/t-value/versions"]);
        for _ in 0..3 {
            let back = read(&converter, &bytes).unwrap();
            assert!(same(&row().value, &back.value), "{class}: {}\n{}", back.value, registry.latest("t-value"));
            assert_eq!(back.schema.unwrap().version(), Some(1));
        }
        assert_eq!(registry.requests(), ["GET /schemas/ids/1?subject=t-value", "POST /subjects/t-value"]);
        let none = Data { schema: Some(Schema::optional_string()), value: Value::Null };
        if class != JSON {
            assert_eq!(converter.from_connect("t", &mut Vec::new(), &none).unwrap(), None);
        }
        assert_eq!(converter.to_connect("t", &[], None).unwrap(), Data::NULL);
    }
}

#[test]
fn subjects_follow_the_strategy() {
    for (strategy, subject) in [
        ("TopicNameStrategy", "t-value"),
        ("RecordNameStrategy", "dev.example.Row"),
        ("TopicRecordNameStrategy", "t-dev.example.Row"),
    ] {
        for class in [AVRO, JSON, PROTOBUF] {
            let registry = FakeRegistry::start();
            let converter = registry.converter(class, &[("value.subject.name.strategy", strategy)]);
            let bytes = write(&converter, &row()).unwrap();
            assert_eq!(registry.requests(), [format!("POST /subjects/{subject}/versions")]);
            assert_eq!(read(&converter, &bytes).unwrap().schema.unwrap().version(), Some(1));
        }
    }
    let converter = FakeRegistry::start().converter(AVRO, &[("value.subject.name.strategy", "RecordNameStrategy")]);
    let error = write(&converter, &Data::new(Schema::string(), "x")).unwrap_err();
    assert!(error.message().contains("must only be a record schema"), "{error}");
}

#[test]
fn without_registration_the_schema_has_to_be_there() {
    let registry = FakeRegistry::start();
    let converter = registry.converter(AVRO, &[("auto.register.schemas", "false")]);
    let error = write(&converter, &row()).unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::Data, "SchemaNotFound"));
    assert!(error.message().contains("Schema not found"), "{error}");
    write(&registry.converter(AVRO, &[]), &row()).unwrap();
    assert!(write(&converter, &row()).is_ok(), "a failure is not kept");
}

#[test]
fn the_latest_version_is_written_with_its_own_fields() {
    let registry = FakeRegistry::start();
    let latest = r#"{"type":"record","name":"Row","fields":[{"name":"added","type":"string","default":"new"},{"name":"a","type":["null","long"],"default":null}]}"#;
    registry.register("t-value", json!({"schema": latest}));
    let with = |extra: &[(&str, &str)]| {
        let mut config = vec![("auto.register.schemas", "false"), ("use.latest.version", "true")];
        config.extend(extra);
        registry.converter(AVRO, &config)
    };
    let schema = SchemaBuilder::structure().name("Row").field("a", Schema::int32()).build().unwrap();
    let mut value = Struct::new(schema.clone()).unwrap();
    value.put("a", 5).unwrap();
    let bytes = write(&with(&[]), &Data::new(schema, value)).unwrap();
    let back = read(&with(&[]), &bytes).unwrap().value;
    let back = back.as_struct().unwrap();
    assert_eq!((back.get("added").unwrap(), back.get("a").unwrap()), (&Value::from("new"), &Value::Int64(5)));

    let wider = SchemaBuilder::structure()
        .name("Row")
        .field("a", Schema::int32())
        .field("lost", Schema::int32())
        .build()
        .unwrap();
    let value = Struct::from_values(wider.clone(), vec![Value::Int32(1), Value::Int32(2)]);
    let error = write(&with(&[]), &Data::new(wider.clone(), value.clone())).unwrap_err();
    assert!(error.message().contains("has no field lost"), "{error}");
    assert_eq!(error.reason(), "IncompatibleSchema");
    assert!(
        write(&with(&[("latest.compatibility.strict", "false")]), &Data::new(wider.clone(), value.clone())).is_ok()
    );
    let by_id = registry.converter(
        AVRO,
        &[("auto.register.schemas", "false"), ("use.schema.id", "1"), ("id.compatibility.strict", "false")],
    );
    assert!(write(&by_id, &Data::new(wider, value)).is_ok());
}

#[test]
fn the_next_url_answers_when_one_does_not() {
    let registry = FakeRegistry::start();
    let urls = format!("http://127.0.0.1:1,{}", registry.url);
    let converter = converter(AVRO, &[("schema.registry.url", &urls), ("max.retries", "0")]);
    assert!(write(&converter, &row()).is_ok());
}

#[test]
fn an_error_says_what_may_be_done() {
    let registry = FakeRegistry::start();
    let refused = |status: u16, message: &str| {
        registry.state.lock().unwrap().refuse = Some((status, message.to_owned()));
        let error = write(&registry.converter(AVRO, &[]), &row()).unwrap_err();
        assert!(error.message().contains(message), "{error}");
        (error.code(), error.reason())
    };
    assert_eq!(refused(409, "not compatible: field x"), (ErrorCode::Data, "IncompatibleSchema"));
    assert_eq!(refused(422, "Invalid schema").0, ErrorCode::Data);
    assert_eq!(refused(401, "Who are you?"), (ErrorCode::Config, "SchemaRegistryDenied"));
    assert_eq!(refused(503, "later").0, ErrorCode::Retriable);
    let down = converter(AVRO, &[("schema.registry.url", "http://ann:topsecret@127.0.0.1:1"), ("max.retries", "0")]);
    let error = write(&down, &row()).unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::Retriable, "SchemaRegistryUnreachable"));
    assert!(!format!("{error:?} {}", error.trace()).contains("topsecret"), "{error:?}");
}

#[test]
fn retries_are_counted() {
    let registry = FakeRegistry::start();
    registry.state.lock().unwrap().refuse = Some((500, "oops".into()));
    let converter = registry.converter(AVRO, &[("max.retries", "2"), ("retries.wait.ms", "1")]);
    assert!(write(&converter, &row()).is_err());
    assert_eq!(registry.requests().len(), 3);
}

#[test]
fn credentials_are_sent() {
    let registry = FakeRegistry::start();
    let with = |extra: &[(&str, &str)]| {
        write(&registry.converter(AVRO, extra), &row()).unwrap();
        registry.state.lock().unwrap().headers.remove("Authorization")
    };
    assert_eq!(with(&[]), None);
    let user = [("basic.auth.credentials.source", "USER_INFO"), ("basic.auth.user.info", "ann:secret")];
    assert_eq!(with(&user).unwrap(), "Basic YW5uOnNlY3JldA==");
    let token = [("bearer.auth.credentials.source", "STATIC_TOKEN"), ("bearer.auth.token", "abc")];
    assert_eq!(with(&token).unwrap(), "Bearer abc");
    let url = registry.url.replace("http://", "http://ann:secret@");
    assert_eq!(with(&[("schema.registry.url", &url)]).unwrap(), "Basic YW5uOnNlY3JldA==");
}

#[test]
fn headers_are_sent() {
    let registry = FakeRegistry::start();
    let extra = [
        ("request.header.X-Own", "1"),
        ("bearer.auth.logical.cluster", "lsrc-1"),
        ("bearer.auth.identity.pool.id", "p"),
    ];
    write(&registry.converter(AVRO, &extra), &row()).unwrap();
    let headers = registry.state.lock().unwrap().headers.clone();
    let value = |name| headers.get(name).map(String::as_str);
    assert_eq!(
        [value("X-Own"), value("target-sr-cluster"), value("Confluent-Identity-Pool-Id")],
        [Some("1"), Some("lsrc-1"), Some("p")]
    );
}

/// An issuer whose tokens are `t1`, `t2`, ...; what it was asked.
fn issuer(life: u64) -> (String, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let url = support::http::serve(None, move |request| {
        let mut seen = seen.lock().unwrap();
        let form = String::from_utf8(request.body.clone()).unwrap();
        seen.push(format!("{} {form}", request.header("Authorization").unwrap_or_default()));
        // me:secret
        if request.header("Authorization") != Some("Basic bWU6c2VjcmV0") {
            return (401, br#"{"error":"invalid_client","error_description":"no such client"}"#.to_vec());
        }
        (200, json!({"access_token": format!("t{}", seen.len()), "expires_in": life}).to_string().into_bytes())
    });
    (url, asked)
}

#[test]
fn a_token_of_an_issuer_is_used_until_it_is_refused() {
    let registry = FakeRegistry::start();
    let (url, asked) = issuer(3600);
    let oauth = |secret| {
        let extra = [
            ("bearer.auth.credentials.source", "OAUTHBEARER"),
            ("bearer.auth.issuer.endpoint.url", url.as_str()),
            ("bearer.auth.client.id", "me"),
            ("bearer.auth.client.secret", secret),
            ("bearer.auth.scope", "a b"),
        ];
        registry.converter(AVRO, &extra)
    };
    registry.state.lock().unwrap().admit = Some("Bearer t1".to_owned());
    let converter = oauth("secret");
    let bytes = write(&converter, &row()).unwrap();
    read(&converter, &bytes).unwrap();
    assert_eq!(*asked.lock().unwrap(), ["Basic bWU6c2VjcmV0 grant_type=client_credentials&scope=a%20b"]);

    registry.state.lock().unwrap().admit = Some("Bearer t2".to_owned());
    let other = |topic: &str| converter.from_connect(topic, &mut Vec::new(), &row());
    // A token that was revoked costs no record.
    other("u").unwrap();
    assert_eq!(asked.lock().unwrap().len(), 2);
    registry.state.lock().unwrap().admit = Some("Bearer nobody's".to_owned());
    assert_eq!(other("w").unwrap_err().reason(), "SchemaRegistryDenied");
    assert_eq!(asked.lock().unwrap().len(), 3, "asked once more, and not for ever");

    let error = write(&oauth("topsecret"), &row()).unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::Config, "SchemaRegistryDenied"));
    assert!(error.message().contains("no such client") && !error.trace().contains("topsecret"), "{error}");
}

#[test]
fn a_token_at_its_end_is_renewed() {
    let registry = FakeRegistry::start();
    let (url, asked) = issuer(0);
    let extra = [
        ("schema.registry.bearer.auth.credentials.source", "OAUTHBEARER"),
        ("bearer.auth.issuer.endpoint.url", url.as_str()),
        ("bearer.auth.client.id", "me"),
        ("bearer.auth.client.secret", "secret"),
    ];
    let converter = registry.converter(AVRO, &extra);
    let bytes = write(&converter, &row()).unwrap();
    read(&converter, &bytes).unwrap();
    // One for each request.
    assert_eq!(asked.lock().unwrap().len(), registry.requests().len());
    assert_eq!(registry.state.lock().unwrap().headers["Authorization"], "Bearer t3");
}

/// What a conversion says that the registry must not hold up for ever; far from the minutes of the other timeouts.
fn ends(converter: Arc<dyn Converter>) -> Result<Bytes, Error> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(write(&converter, &row())));
    receiver.recv_timeout(Duration::from_secs(50)).expect("the conversion ends")
}

#[test]
fn a_registry_that_never_answers_holds_nobody_up() {
    // All other timeouts and retries are those by default: four times a minute, and for each of the URLs.
    let urls = format!("{},{}", support::http::silent(), support::http::silent());
    let error = ends(converter(AVRO, &[("schema.registry.url", &urls), ("http.total.timeout.ms", "500")])).unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::Retriable, "SchemaRegistryUnreachable"));
    assert!(error.message().contains("http.total.timeout.ms is 500"), "{error}");

    let issuer = support::http::silent();
    let oauth = [
        ("bearer.auth.credentials.source", "OAUTHBEARER"),
        ("bearer.auth.issuer.endpoint.url", issuer.as_str()),
        ("bearer.auth.client.id", "me"),
        ("bearer.auth.client.secret", "secret"),
        ("http.total.timeout.ms", "500"),
    ];
    let registry = FakeRegistry::start();
    assert_eq!(ends(registry.converter(AVRO, &oauth)).unwrap_err().code(), ErrorCode::Retriable);
    assert!(registry.requests().is_empty());
}

#[test]
fn a_url_that_never_answers_leaves_time_for_the_next() {
    let registry = FakeRegistry::start();
    let urls = format!("{},{}", support::http::silent(), registry.url);
    let converter = converter(AVRO, &[("schema.registry.url", &urls), ("http.total.timeout.ms", "1000")]);
    ends(Arc::clone(&converter)).unwrap();
    // From now on the one that answered comes first.
    let other = converter.from_connect("u", &mut Vec::new(), &row());
    assert!(other.is_ok(), "{other:?}");
}

#[test]
fn the_latest_version_may_be_chosen_by_its_metadata() {
    let registry = FakeRegistry::start();
    let version = |app: &str, extra: &str| {
        let fields = format!(r#"[{{"name":"a","type":"int"}}{extra}]"#);
        json!({"schema": format!(r#"{{"type":"record","name":"Row","fields":{fields}}}"#), "metadata": {"properties": {"app": app}}})
    };
    let first = registry.register("t-value", version("v1", ""));
    registry.register("t-value", version("v2", r#",{"name":"b","type":"int","default":9}"#));
    let with = |app: &str| {
        let extra =
            [("auto.register.schemas", "false"), ("use.latest.with.metadata", app), ("use.latest.version", "true")];
        registry.converter(AVRO, &extra)
    };
    let schema = SchemaBuilder::structure().name("Row").field("a", Schema::int32()).build().unwrap();
    let data = Data::new(schema.clone(), Struct::from_values(schema, vec![Value::Int32(1)]));
    assert_eq!(write(&with("app=v1"), &data).unwrap()[..5], [0, 0, 0, 0, first as u8]);
    assert_eq!(registry.requests(), ["GET /subjects/t-value/metadata?key=app&value=v1&deleted=true"]);
    let error = write(&with("app=v3"), &data).unwrap_err();
    assert_eq!(error.reason(), "SchemaNotFound");
    assert!(error.message().contains("Subject t-value"), "{error}");
}

#[test]
fn a_schema_with_rules_is_refused() {
    let registry = FakeRegistry::start();
    let contract = |mode: &str, disabled: bool| {
        let rule = json!({"name": "encryptPin", "kind": "TRANSFORM", "mode": mode, "disabled": disabled});
        let rules = json!({"domainRules": [rule], "migrationRules": null});
        registry.register("t-value", json!({"schema": r#"{"type":"int"}"#, "ruleSet": rules}))
    };
    let message = |id: u32| Bytes::from([&[0][..], &id.to_be_bytes(), &[2]].concat());
    for (mode, disabled, refused) in
        [("WRITEREAD", false, true), ("READ", false, true), ("WRITE", false, false), ("WRITEREAD", true, false)]
    {
        let outcome = read(&registry.converter(AVRO, &[]), &message(contract(mode, disabled)));
        match outcome {
            Ok(back) => assert_eq!((refused, back.value), (false, Value::Int32(1)), "{mode}"),
            Err(error) => {
                assert!(refused, "{mode}: {error}");
                assert_eq!((error.code(), error.reason()), (ErrorCode::Data, "UnsupportedSchema"));
                assert!(error.message().contains("encryptPin"), "{error}");
            }
        }
    }
}

#[test]
fn nothing_plain_is_written_where_a_contract_wants_it_encrypted() {
    for (mode, refused) in [("WRITE", true), ("WRITEREAD", true), ("READ", false)] {
        let registry = FakeRegistry::start();
        let rules = json!({"domainRules": [{"name": "encryptPin", "kind": "TRANSFORM", "mode": mode}]});
        registry.register("t-value", json!({"schema": r#"{"type":"int"}"#, "ruleSet": rules}));
        // A schema of ours is a new version, which takes over the rules.
        let outcome = write(&registry.converter(AVRO, &[]), &row());
        assert_eq!(outcome.is_err(), refused, "{mode}: {outcome:?}");
        let Err(error) = outcome else { continue };
        assert_eq!((error.code(), error.reason()), (ErrorCode::Data, "UnsupportedSchema"));
        assert!(error.message().contains("encryptPin") && error.message().contains("t-value"), "{error}");
    }
}

#[test]
fn what_follows_an_avro_value_may_be_an_error() {
    let registry = FakeRegistry::start();
    registry.register("t-value", json!({"schema": r#"{"type":"int"}"#}));
    let message = Bytes::from_static(&[0, 0, 0, 0, 1, 2, 7, 7]);
    assert_eq!(read(&registry.converter(AVRO, &[]), &message).unwrap().value, Value::Int32(1));
    let strict = registry.converter(AVRO, &[("avro.fail.on.trailing.data", "true")]);
    assert!(read(&strict, &message).unwrap_err().message().contains("2 bytes behind"));
    assert!(read(&strict, &message.slice(..6)).is_ok());
}

#[test]
fn json_may_be_checked_against_its_schema() {
    let registry = FakeRegistry::start();
    let small = json!({"type": "object", "properties": {"n": {"$ref": "n.json"}}}).to_string();
    registry.register("n", json!({"schemaType": "JSON", "schema": r#"{"type":"integer","maximum":3}"#}));
    let references = json!([{"name": "n.json", "subject": "n", "version": 1}]);
    registry.register("t-value", json!({"schemaType": "JSON", "schema": small, "references": references}));
    let checked = registry.converter(JSON, &[("json.fail.invalid.schema", "true")]);
    let message = |n: u8| Bytes::from(format!("\0\0\0\0\x02{{\"n\":{n}}}"));
    assert!(read(&checked, &message(3)).is_ok());
    let error = read(&checked, &message(4)).unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::Data, "InvalidMessage"));
    assert!(error.message().contains("/n"), "{error}");
    assert!(read(&registry.converter(JSON, &[]), &message(4)).is_ok());

    let latest =
        [("json.fail.invalid.schema", "true"), ("auto.register.schemas", "false"), ("use.latest.version", "true")];
    let writer = registry.converter(JSON, &latest);
    let schema = SchemaBuilder::structure().field("n", Schema::int64()).build().unwrap();
    let data = |n: i64| Data::new(schema.clone(), Struct::from_values(schema.clone(), vec![Value::Int64(n)]));
    assert!(write(&writer, &data(3)).is_ok());
    assert_eq!(write(&writer, &data(4)).unwrap_err().reason(), "InvalidMessage");
}

#[test]
fn references_are_fetched_by_name() {
    let registry = FakeRegistry::start();
    registry.register(
        "inner",
        json!({"schema": r#"{"type":"record","name":"Inner","namespace":"x","fields":[{"name":"b","type":"int"}]}"#}),
    );
    let outer = r#"{"type":"record","name":"Outer","namespace":"x","fields":[{"name":"inner","type":"x.Inner"}]}"#;
    registry.register(
        "t-value",
        json!({"schema": outer, "references": [{"name": "x.Inner", "subject": "inner", "version": 1}]}),
    );
    let back = read(&registry.converter(AVRO, &[]), &Bytes::from_static(&[0, 0, 0, 0, 2, 6])).unwrap();
    assert_eq!(back.value.to_string(), "Struct{inner=Struct{b=3}}");

    registry.register(
        "p",
        json!({"schemaType": "PROTOBUF", "schema": "syntax = \"proto3\"; package x; message P { int32 b = 1; }"}),
    );
    let outer = "syntax = \"proto3\"; import \"p.proto\"; message First { } message Q { message R { x.P p = 1; } }";
    registry.register("t-value", json!({"schemaType": "PROTOBUF", "schema": outer, "references": [{"name": "p.proto", "subject": "p", "version": 1}]}));
    // The first message in the second of the file.
    let back =
        read(&registry.converter(PROTOBUF, &[]), &Bytes::from_static(&[0, 0, 0, 0, 4, 4, 2, 0, 10, 2, 8, 5])).unwrap();
    assert_eq!(back.value.to_string(), "Struct{p=Struct{b=5}}");

    registry.register("n", json!({"schemaType": "JSON", "schema": r#"{"type":"integer"}"#}));
    let outer = r##"{"type":"object","properties":{"n":{"$ref":"n.json"},"m":{"$ref":"#/$defs/m"}},"$defs":{"m":{"type":["null","string"]}}}"##;
    registry.register("t-value", json!({"schemaType": "JSON", "schema": outer, "references": [{"name": "n.json", "subject": "n", "version": 1}]}));
    let back =
        read(&registry.converter(JSON, &[]), &Bytes::from_static(b"\x00\x00\x00\x00\x06{\"n\":3,\"m\":null}")).unwrap();
    assert_eq!(back.value.as_struct().unwrap().get("n").unwrap(), &Value::Int64(3));
}

#[test]
fn a_message_of_another_kind_is_bad_data() {
    let registry = FakeRegistry::start();
    let error = |class: &str, bytes: &'static [u8]| {
        let error = read(&registry.converter(class, &[]), &Bytes::from_static(bytes)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Data);
        error.message().to_owned()
    };
    assert!(error(AVRO, b"{}").contains("Unknown magic byte!"));
    assert!(error(AVRO, &[0, 0, 0]).contains("shorter than an id"));
    assert!(error(JSON, &[0, 0, 0, 0, 99]).contains("Schema 99 not found"));
    registry.register("t-value", json!({"schema": "\"string\""}));
    assert!(error(PROTOBUF, &[0, 0, 0, 0, 1, 0]).contains("type AVRO"));
    assert!(error(AVRO, &[0, 0, 0, 0, 1, 100, b'x']).contains("only 1 follow"));
}

#[test]
fn a_runtime_is_told_of_a_blocking_call() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let registry = FakeRegistry::start();
    let converter = registry.converter(AVRO, &[]);
    runtime.block_on(async move { tokio::spawn(async move { write(&converter, &row()).unwrap() }).await.unwrap() });
}
