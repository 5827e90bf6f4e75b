//! The converters against a real registry (Apicurio's, which has Confluent's API). `tests/compat/README.md` says how to start one.

#![allow(clippy::unwrap_used)]

mod support;

use barnabas_connect::{Data, ErrorCode, Schema, SchemaBuilder, Struct, Value};
use support::converter;

/// `BARNABAS_TEST_SCHEMA_REGISTRY` is its URL.
#[test]
#[ignore = "needs a schema registry; its URL is in BARNABAS_TEST_SCHEMA_REGISTRY"]
fn a_real_registry_takes_our_schemas_and_gives_them_back() {
    let url = std::env::var("BARNABAS_TEST_SCHEMA_REGISTRY").unwrap();
    let run = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    for class in ["AvroConverter", "JsonSchemaConverter", "ProtobufConverter"] {
        let topic = format!("{class}-{run}/x");
        let with = |extra: &[(&str, &str)]| {
            let mut config = vec![("schema.registry.url", url.as_str()), ("max.retries", "0")];
            config.extend(extra);
            converter(class, &config)
        };
        let schema = SchemaBuilder::structure()
            .name("dev.example.Row")
            .field("id", Schema::int64())
            .field("name", Schema::optional_string())
            .field("at", SchemaBuilder::timestamp().optional().build().unwrap())
            .build()
            .unwrap();
        let values = vec![Value::Int64(1), Value::from("x"), Value::Timestamp(5)];
        let data = Data::new(schema.clone(), Struct::from_values(schema, values.clone()));
        let write = |extra: &[(&str, &str)]| with(extra).from_connect(&topic, &mut Vec::new(), &data);
        let missing = write(&[("auto.register.schemas", "false")]).unwrap_err();
        assert_eq!(missing.code(), ErrorCode::Data, "{class}: {missing}");
        let bytes = write(&[]).unwrap_or_else(|error| panic!("{class}: {error}")).unwrap();
        // Registered now: the same id whoever asks, and however.
        for extra in [
            &[][..],
            &[("auto.register.schemas", "false")],
            &[("auto.register.schemas", "false"), ("use.latest.version", "true")],
        ] {
            assert_eq!(
                write(extra).unwrap_or_else(|error| panic!("{class}: {error}")).unwrap(),
                bytes,
                "{class} {extra:?}"
            );
        }
        let back = with(&[]).to_connect(&topic, &[], Some(&bytes)).unwrap_or_else(|error| panic!("{class}: {error}"));
        let back_schema = back.schema.unwrap();
        assert_eq!(back_schema.version(), Some(1), "{class}");
        let fields = back.value.as_struct().unwrap();
        for (name, value) in ["id", "name", "at"].into_iter().zip(values) {
            assert_eq!(*fields.get(name).unwrap(), value, "{class}");
        }
    }
}
