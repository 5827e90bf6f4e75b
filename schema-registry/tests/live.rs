//! The converters against a real registry: Apicurio's, which has Confluent's API. `cargo xtask test` brings one.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use barnabas_connect::{
    Converter, Data, Error, ErrorCode, Schema, SchemaBuilder, SchemaKind, SchemaRef, Struct, Value,
};
use bytes::Bytes;
use serde_json::{Value as Json, json};
use support::converter;
use support::http::{Pki, Proxy};

const CLASSES: [&str; 3] = ["AvroConverter", "JsonSchemaConverter", "ProtobufConverter"];

/// The registry's URL. A run without one has to say so.
fn registry() -> Option<String> {
    match std::env::var("BARNABAS_TEST_SCHEMA_REGISTRY") {
        Ok(url) if !url.is_empty() => Some(url),
        _ if std::env::var("BARNABAS_SKIP_SCHEMA_REGISTRY").is_ok_and(|value| value == "1") => {
            eprintln!("skipped: BARNABAS_SKIP_SCHEMA_REGISTRY=1");
            None
        }
        _ => panic!(
            "this test needs a schema registry: set BARNABAS_TEST_SCHEMA_REGISTRY to its URL (`cargo xtask test` does), \
             or BARNABAS_SKIP_SCHEMA_REGISTRY=1 to leave it out"
        ),
    }
}

/// A name that no other test or run uses, and that any format allows.
fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    format!("{prefix}{run:x}x{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn with(class: &str, url: &str, extra: &[(&str, &str)]) -> Arc<dyn Converter> {
    // The registry is new and the machine busy: the first answer of a JVM may take its time.
    let mut config = vec![("schema.registry.url", url), ("max.retries", "0"), ("http.total.timeout.ms", "60000")];
    config.extend(extra);
    converter(class, &config)
}

fn write(converter: &Arc<dyn Converter>, topic: &str, data: &Data) -> Result<Bytes, Error> {
    converter.from_connect(topic, &mut Vec::new(), data).map(Option::unwrap)
}

fn written(class: &str, url: &str, extra: &[(&str, &str)], topic: &str, data: &Data) -> Bytes {
    write(&with(class, url, extra), topic, data).unwrap_or_else(|error| panic!("{class} {extra:?}: {error}"))
}

fn row_schema(name: &str) -> SchemaRef {
    SchemaBuilder::structure()
        .name(name.to_owned())
        .field("id", Schema::int64())
        .field("name", Schema::optional_string())
        .field("at", SchemaBuilder::timestamp().optional().build().unwrap())
        .build()
        .unwrap()
}

fn row(name: &str) -> Data {
    let schema = row_schema(name);
    Data::new(schema.clone(), Struct::from_values(schema, vec![Value::Int64(1), Value::from("x"), Value::Timestamp(5)]))
}

fn id(message: &[u8]) -> u32 {
    u32::from_be_bytes(message[1..5].try_into().unwrap())
}

/// What a test asks the registry by itself.
struct Rest(String, ureq::Agent);

impl Rest {
    fn new(url: &str) -> Self {
        Self(url.to_owned(), ureq::Agent::config_builder().http_status_as_error(false).build().into())
    }

    fn get(&self, path: &str) -> (u16, Json) {
        answer(self.1.get(format!("{}{path}", self.0)).call())
    }

    fn send(&self, method: &str, path: &str, body: &Json) -> Json {
        let address = format!("{}{path}", self.0);
        let request = if method == "PUT" { self.1.put(address) } else { self.1.post(address) };
        let request = request.content_type("application/vnd.schemaregistry.v1+json");
        let (status, json) = answer(request.send(body.to_string()));
        assert!((200..300).contains(&status), "{method} {path}: {status} {json}");
        json
    }

    /// Registers a schema; its id.
    fn register(&self, subject: &str, ty: &str, schema: &str, references: &[(&str, &str)]) -> u32 {
        let references =
            references.iter().map(|(name, subject)| json!({"name": name, "subject": subject, "version": 1}));
        let body = json!({"schemaType": ty, "schema": schema, "references": references.collect::<Vec<_>>()});
        let answer = self.send("POST", &format!("/subjects/{subject}/versions"), &body);
        u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
    }
}

fn answer(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Json) {
    let mut answer = result.unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Json::String(text)))
}

#[test]
fn a_schema_is_registered_once_and_found_by_all() {
    let Some(url) = registry() else { return };
    for class in CLASSES {
        // A subject that has to be encoded in a path.
        let topic = unique("t/x ");
        let data = row("dev.example.Row");
        let missing = write(&with(class, &url, &[("auto.register.schemas", "false")]), &topic, &data).unwrap_err();
        assert_eq!((missing.code(), missing.reason()), (ErrorCode::Data, "SchemaNotFound"), "{class}: {missing}");
        assert!(missing.message().contains(&format!("{topic}-value")), "{class}: {missing}");
        let missing = [("auto.register.schemas", "false"), ("use.latest.version", "true")];
        let missing = write(&with(class, &url, &missing), &topic, &data).unwrap_err();
        assert_eq!(missing.reason(), "SchemaNotFound", "{class}: {missing}");

        let bytes = written(class, &url, &[], &topic, &data);
        let number = id(&bytes).to_string();
        // The same id whoever asks, and however.
        for extra in [
            &[][..],
            &[("normalize.schemas", "true")],
            &[("auto.register.schemas", "false")],
            &[("auto.register.schemas", "false"), ("use.latest.version", "true")],
            &[("auto.register.schemas", "false"), ("use.schema.id", &number)],
        ] {
            assert_eq!(written(class, &url, extra, &topic, &data), bytes, "{class} {extra:?}");
        }
        let back = with(class, &url, &[]).to_connect(&topic, &[], Some(&bytes)).unwrap();
        assert_eq!(back.schema.unwrap().version(), Some(1), "{class}");
        let (back, data) = (back.value, data.value);
        for (field, value) in row_schema("x").fields().iter().zip(data.as_struct().unwrap().values()) {
            assert_eq!(back.as_struct().unwrap().get(field.name()).unwrap(), value, "{class}");
        }
    }
}

#[test]
fn the_subject_follows_the_strategy() {
    let Some(url) = registry() else { return };
    let rest = Rest::new(&url);
    for class in CLASSES {
        let (topic, name) = (unique("t"), format!("dev.example.{}", unique("R")));
        for (strategy, subject) in [
            ("TopicNameStrategy", format!("{topic}-value")),
            ("io.confluent.kafka.serializers.subject.RecordNameStrategy", name.clone()),
            ("TopicRecordNameStrategy", format!("{topic}-{name}")),
        ] {
            let strategy = [("value.subject.name.strategy", strategy)];
            let path = format!("/subjects/{subject}/versions/latest");
            assert_eq!(rest.get(&path).0, 404, "{class} {subject}");
            let bytes = written(class, &url, &strategy, &topic, &row(&name));
            let (status, latest) = rest.get(&path);
            assert_eq!((status, latest["id"].as_u64()), (200, Some(id(&bytes).into())), "{class} {subject}: {latest}");
            let back = with(class, &url, &strategy).to_connect(&topic, &[], Some(&bytes)).unwrap();
            assert_eq!(back.schema.unwrap().version(), Some(1), "{class} {subject}");
        }
    }
}

/// A struct in a struct, the inner one from a schema of its own.
fn nested(inner_name: &str, outer_name: &str) -> Data {
    let inner = SchemaBuilder::structure().name(inner_name.to_owned()).field("b", Schema::int32()).build().unwrap();
    let outer = SchemaBuilder::structure().name(outer_name.to_owned()).field("inner", inner.clone()).build().unwrap();
    let value = Struct::from_values(inner, vec![Value::Int32(3)]);
    Data::new(outer.clone(), Struct::from_values(outer, vec![Value::from(value)]))
}

#[test]
fn references_are_followed_both_ways() {
    let Some(url) = registry() else { return };
    let rest = Rest::new(&url);
    let (topic, inner) = (unique("t"), unique("inner"));
    let subject = |class: &str| (format!("{class}{inner}"), format!("{class}{topic}"));

    // Avro refers to a type by its name, Protobuf to a file, JSON Schema to an address.
    let schemas = [
        (
            "AvroConverter",
            "AVRO",
            r#"{"type":"record","name":"Inner","namespace":"x","fields":[{"name":"b","type":"int"}]}"#,
            "x.Inner",
            r#"{"type":"record","name":"Outer","namespace":"x","fields":[{"name":"inner","type":"x.Inner"}]}"#,
            &[6][..],
        ),
        (
            "ProtobufConverter",
            "PROTOBUF",
            "syntax = \"proto3\"; package x; message Inner { int32 b = 1; }",
            "inner.proto",
            "syntax = \"proto3\"; package x; import \"inner.proto\"; message Outer { x.Inner inner = 1; }",
            &[0, 10, 2, 8, 3],
        ),
        (
            "JsonSchemaConverter",
            "JSON",
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","title":"x.Inner","type":"object","properties":{"b":{"type":"integer","connect.type":"int32"}}}"#,
            "inner.json",
            r#"{"$schema":"http://json-schema.org/draft-07/schema#","title":"x.Outer","type":"object","properties":{"inner":{"$ref":"inner.json"}}}"#,
            br#"{"inner":{"b":3}}"#,
        ),
    ];
    for (class, ty, inner_schema, name, outer_schema, payload) in schemas {
        let (inner, topic) = subject(class);
        rest.register(&inner, ty, inner_schema, &[]);
        let number = rest.register(&format!("{topic}-value"), ty, outer_schema, &[(name, &inner)]);
        let message = Bytes::from([&[0][..], &number.to_be_bytes(), payload].concat());
        let back = with(class, &url, &[]).to_connect(&topic, &[], Some(&message));
        let back = back.unwrap_or_else(|error| panic!("{class}: {error}"));
        let read = back.value.as_struct().unwrap().get("inner").unwrap().as_struct().unwrap();
        assert_eq!(read.get("b").unwrap(), &Value::Int32(3), "{class}");

        let latest = [("auto.register.schemas", "false"), ("use.latest.version", "true")];
        assert_eq!(written(class, &url, &latest, &topic, &nested("x.Inner", "x.Outer")), message, "{class}");
    }
}

#[test]
fn an_incompatible_schema_is_refused_with_subject_and_reason() {
    let Some(url) = registry() else { return };
    let rest = Rest::new(&url);
    for class in CLASSES {
        let topic = unique("t");
        let data = |kind: SchemaKind, value: Value| {
            let field = SchemaBuilder::new(kind).build().unwrap();
            let schema = SchemaBuilder::structure().name("dev.example.Row").field("amount", field).build().unwrap();
            Data::new(schema.clone(), Struct::from_values(schema, vec![value]))
        };
        written(class, &url, &[], &topic, &data(SchemaKind::Int32, Value::Int32(1)));
        rest.send("PUT", &format!("/config/{topic}-value"), &json!({"compatibility": "BACKWARD"}));
        let error = write(&with(class, &url, &[]), &topic, &data(SchemaKind::String, Value::from("1"))).unwrap_err();
        assert_eq!((error.code(), error.reason()), (ErrorCode::Data, "IncompatibleSchema"), "{class}: {error}");
        let message = error.message();
        assert!(message.contains(&format!("Subject {topic}-value")), "{class}: {message}");
        assert!(message.contains("409") && message.to_lowercase().contains("incompatible"), "{class}: {message}");
        // What is compatible still is taken.
        written(class, &url, &[], &topic, &data(SchemaKind::Int32, Value::Int32(2)));
    }
}

#[test]
fn an_unknown_id_is_bad_data() {
    let Some(url) = registry() else { return };
    for class in CLASSES {
        let message = Bytes::from_static(&[0, 0x7f, 0xff, 0xff, 0xf0, 0, 0]);
        let error = with(class, &url, &[]).to_connect(&unique("t"), &[], Some(&message)).unwrap_err();
        assert_eq!((error.code(), error.reason()), (ErrorCode::Data, "SchemaNotFound"), "{class}: {error}");
        assert!(error.message().contains("2147483632"), "{class}: {error}");
    }
}

#[test]
fn a_schema_that_is_known_is_not_asked_for_again() {
    let Some(url) = registry() else { return };
    for class in CLASSES {
        let proxy = Proxy::start(&url, None, None);
        let topic = unique("t");
        let converter = with(class, &proxy.url, &[]);
        let bytes = write(&converter, &topic, &row("dev.example.Row")).unwrap();
        assert_eq!(proxy.requests(), [format!("POST /subjects/{topic}-value/versions")], "{class}");
        for _ in 0..3 {
            assert_eq!(write(&converter, &topic, &row("dev.example.Row")).unwrap(), bytes, "{class}");
        }
        assert_eq!(proxy.requests(), [""; 0], "{class}");
        converter.to_connect(&topic, &[], Some(&bytes)).unwrap();
        let asked =
            [format!("GET /schemas/ids/{}?subject={topic}-value", id(&bytes)), format!("POST /subjects/{topic}-value")];
        assert_eq!(proxy.requests(), asked, "{class}");
        for _ in 0..3 {
            converter.to_connect(&topic, &[], Some(&bytes)).unwrap();
        }
        assert_eq!(proxy.requests(), [""; 0], "{class}");
    }
}

#[test]
fn who_is_not_admitted_is_told_so() {
    let Some(url) = registry() else { return };
    const BASIC: &str = "Basic YW5uOnNlY3JldA==";
    let basic = |user: &'static str| [("basic.auth.credentials.source", "USER_INFO"), ("basic.auth.user.info", user)];
    let bearer = |token| [("bearer.auth.credentials.source", "STATIC_TOKEN"), ("bearer.auth.token", token)];
    for class in CLASSES {
        for (door, good, bad) in
            [(BASIC, basic("ann:secret"), basic("ann:topsecret")), ("Bearer abc", bearer("abc"), bearer("topsecret"))]
        {
            let proxy = Proxy::start(&url, None, Some(door));
            written(class, &proxy.url, &good, &unique("t"), &row("dev.example.Row"));
            let error = write(&with(class, &proxy.url, &bad), &unique("t"), &row("dev.example.Row")).unwrap_err();
            assert_eq!((error.code(), error.reason()), (ErrorCode::Config, "SchemaRegistryDenied"), "{class}: {error}");
            assert!(
                error.message().contains("Who are you?") && !error.trace().contains("topsecret"),
                "{class}: {error}"
            );
        }
        let proxy = Proxy::start(&url, None, Some(BASIC));
        let address = proxy.url.replace("http://", "http://ann:secret@");
        written(class, &address, &[], &unique("t"), &row("dev.example.Row"));
    }
}

#[test]
fn tls_trusts_whom_it_is_told_and_shows_its_certificate() {
    let Some(url) = registry() else { return };
    let pki = Pki::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &pki.ca).unwrap();
    let pem = ("schema.registry.ssl.truststore.type", "PEM");
    let inline = [pem, ("schema.registry.ssl.truststore.certificates", pki.ca.as_str())];
    let in_file = [pem, ("schema.registry.ssl.truststore.location", file.path().to_str().unwrap())];
    let identity = [
        ("schema.registry.ssl.keystore.type", "PEM"),
        ("schema.registry.ssl.keystore.key", pki.identity.0.as_str()),
        ("schema.registry.ssl.keystore.certificate.chain", pki.identity.1.as_str()),
    ];
    let (open, mutual) =
        (Proxy::start(&url, Some(pki.server(false)), None), Proxy::start(&url, Some(pki.server(true)), None));
    for class in CLASSES {
        let data = row("dev.example.Row");
        written(class, &open.url, &inline, &unique("t"), &data);
        written(class, &open.url, &in_file, &unique("t"), &data);
        written(class, &mutual.url, &[&inline[..], &identity].concat(), &unique("t"), &data);
        open.requests();
        let strange = write(&with(class, &open.url, &[]), &unique("t"), &data).unwrap_err();
        assert!(strange.message().contains("certificate"), "{class}: {strange}");
        assert!(open.requests().is_empty(), "{class}");
        mutual.requests();
        let nobody = write(&with(class, &mutual.url, &inline), &unique("t"), &data).unwrap_err();
        assert_eq!(nobody.reason(), "SchemaRegistryUnreachable", "{class}: {nobody}");
        assert!(mutual.requests().is_empty(), "{class}");
    }
}

#[test]
fn of_two_urls_the_one_that_is_up_serves() {
    let Some(url) = registry() else { return };
    let urls = format!("http://127.0.0.1:1,{url}");
    for class in CLASSES {
        let topic = unique("t");
        let bytes = written(class, &urls, &[], &topic, &row("dev.example.Row"));
        with(class, &urls, &[]).to_connect(&topic, &[], Some(&bytes)).unwrap();
    }
}
