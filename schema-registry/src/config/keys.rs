//! The definitions of the keys (`AbstractKafkaSchemaSerDeConfig`, `SchemaRegistryClientConfig`, `AbstractDataConfig`).

use barnabas_connect::config::{Importance, Parsed, Type, Validator, invalid_value};
use barnabas_connect::{ConfigDef, ConfigKey};

use crate::subject::Strategy;

const LOW: Importance = Importance::Low;

fn int(name: &str, default: i32, doc: &str) -> ConfigKey {
    ConfigKey::new(name, Type::Int).default(default).importance(LOW).doc(doc)
}

pub fn flag(name: &str, default: bool, doc: &str) -> ConfigKey {
    ConfigKey::new(name, Type::Boolean).default(default).doc(doc)
}

fn password(name: &str, doc: &str) -> ConfigKey {
    ConfigKey::new(name, Type::Password).default_null().doc(doc)
}

fn text(name: &str, doc: &str) -> ConfigKey {
    ConfigKey::new(name, Type::String).default_null().importance(LOW).doc(doc)
}

/// `one of` with a reason for what Java takes and we do not.
fn credentials_source(name: &str, value: Option<&Parsed>) -> Result<(), String> {
    match value.and_then(Parsed::as_text) {
        None | Some("URL" | "USER_INFO") => Ok(()),
        Some(other) => {
            let what = "the sources are URL and USER_INFO. A connector has no SASL login to inherit: set USER_INFO and basic.auth.user.info.";
            Err(invalid_value(name, other, what))
        }
    }
}

fn token_source(name: &str, value: Option<&Parsed>) -> Result<(), String> {
    match value.and_then(Parsed::as_text) {
        None | Some("STATIC_TOKEN") => Ok(()),
        Some(other) => Err(invalid_value(name, other, "the only source is STATIC_TOKEN, with bearer.auth.token.")),
    }
}

fn strategy(name: &str, value: Option<&Parsed>) -> Result<(), String> {
    let given = value.and_then(Parsed::as_text).unwrap_or_default();
    match Strategy::find(given) {
        Some(_) => Ok(()),
        None => Err(invalid_value(
            name,
            given,
            &format!("the strategies are {}.", Strategy::ALL.map(Strategy::class).join(", ")),
        )),
    }
}

/// Where the registry is, and how schemas are registered and found.
pub fn registry_keys() -> ConfigDef {
    let strategies = "TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy";
    let def = ConfigDef::new()
        .define(
            ConfigKey::new("schema.registry.url", Type::List)
                .importance(Importance::High)
                .doc("The URLs of the schema registry. When one does not answer, the next is asked."),
        )
        .define(flag("auto.register.schemas", true, "Whether a schema that the registry does not know is registered."))
        .define(
            flag("normalize.schemas", false, "Whether the registry is asked to ignore differences without a meaning.")
                .importance(LOW),
        )
        .define(
            flag(
                "use.latest.version",
                false,
                "Whether values are written with the newest schema of the subject. Needs `auto.register.schemas=false`.",
            )
            .importance(LOW),
        )
        .define(
            flag("latest.compatibility.strict", true, "Whether every field of a value must be in the newest schema.")
                .importance(LOW),
        )
        .define(int(
            "use.schema.id",
            -1,
            "The id of the schema that values are written with. Needs `auto.register.schemas=false`. Negative: none.",
        ))
        .define(
            flag("id.compatibility.strict", true, "Whether every field of a value must be in the schema of `use.schema.id`.")
                .importance(LOW),
        )
        .define(
            int("max.schemas.per.subject", 1000, "The largest number of schemas of a topic to keep.")
                .validator(Validator::at_least(1)),
        )
        .define(
            ConfigKey::new("latest.cache.ttl.sec", Type::Long)
                .default(-1i64)
                .importance(LOW)
                .doc("For how many seconds the newest schema is taken for the newest. Negative: for ever."),
        );
    let def = ["key", "value"].into_iter().fold(def, |def, role| {
        def.define(
            ConfigKey::new(format!("{role}.subject.name.strategy"), Type::Class)
                .default(Parsed::Class(Strategy::default().class().to_owned()))
                .validator(Validator::Custom(strategies, strategy))
                .doc(format!("How the subject of {role}s is named.")),
        )
    });
    tls_keys(access_keys(def))
}

fn access_keys(def: ConfigDef) -> ConfigDef {
    def.define(
        ConfigKey::new("basic.auth.credentials.source", Type::String)
            .default("URL")
            .validator(Validator::Custom("[URL, USER_INFO]", credentials_source))
            .doc("Where user and password are: in the URL, or in `basic.auth.user.info`."),
    )
    .define(password("basic.auth.user.info", "`user:password` for `USER_INFO`."))
    .define(password("schema.registry.basic.auth.user.info", "The same; it has precedence."))
    .define(
        ConfigKey::new("bearer.auth.credentials.source", Type::String)
            .default_null()
            .validator(Validator::Custom("[STATIC_TOKEN]", token_source))
            .doc("`STATIC_TOKEN`: the token is in `bearer.auth.token`."),
    )
    .define(password("bearer.auth.token", "A bearer token, used instead of user and password."))
    .define(text("proxy.host", "The host of an HTTP proxy."))
    .define(int("proxy.port", 8080, "The port of the HTTP proxy."))
    .define(
        int("http.connect.timeout.ms", 60_000, "The time in milliseconds to connect.")
            .validator(Validator::at_least(1)),
    )
    .define(
        int("http.read.timeout.ms", 60_000, "The time in milliseconds to answer.").validator(Validator::at_least(1)),
    )
    .define(int("max.retries", 3, "How often a request that failed is sent again.").validator(Validator::at_least(0)))
    .define(
        int("retries.wait.ms", 1000, "The delay in milliseconds before the first retry; it doubles.")
            .validator(Validator::at_least(0)),
    )
    .define(
        int("retries.max.wait.ms", 20_000, "The longest delay in milliseconds between retries.")
            .validator(Validator::at_least(0)),
    )
}

fn tls_keys(def: ConfigDef) -> ConfigDef {
    let store = |name: &str, what: &str| {
        ConfigKey::new(name, Type::String)
            .default("JKS")
            .importance(LOW)
            .doc(format!("The form of the {what}. Only `PEM` is supported, so set it with the others."))
    };
    def.define(store("schema.registry.ssl.truststore.type", "certificates of the authorities"))
        .define(text(
            "schema.registry.ssl.truststore.location",
            "A file with the certificates of the authorities, in PEM.",
        ))
        .define(text(
            "schema.registry.ssl.truststore.certificates",
            "The certificates of the authorities themselves, in PEM.",
        ))
        .define(store("schema.registry.ssl.keystore.type", "client's key"))
        .define(text("schema.registry.ssl.keystore.location", "A file with the client's key and certificates, in PEM."))
        .define(password("schema.registry.ssl.keystore.key", "The client's key itself, in PEM."))
        .define(text("schema.registry.ssl.keystore.certificate.chain", "The client's certificates themselves, in PEM."))
}

/// The keys of the mapping that all three converters have.
pub fn data_keys() -> ConfigDef {
    ConfigDef::new()
        .define(int("schemas.cache.config", 1000, "The largest number of schemas to keep.").validator(Validator::at_least(1)))
        .define(
            flag(
                "generalized.sum.type.support",
                false,
                "Whether unions and enums map to and from Connect's data in a way that is the same for Avro, JSON Schema and Protobuf.",
            ),
        )
        .define(flag(
            "ignore.default.for.nullables",
            false,
            "Whether a field that is null stays null instead of taking the default value of its schema.",
        ))
}
