//! The definitions of the keys (`AbstractKafkaSchemaSerDeConfig`, `SchemaRegistryClientConfig`, `AbstractDataConfig`).

use barnabas_connect::config::{Importance, Parsed, Type, Validator, invalid_value};
use barnabas_connect::{Config, ConfigDef, ConfigKey};

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

/// The keys of the client may have this in front, as in the original, which takes it away.
pub const PREFIX: &str = "schema.registry.";
/// What stands behind this is the name of a header.
pub const HEADERS: &str = "request.header.";

/// The name under which a key of the client is set: that with the prefix has precedence.
pub fn effective(config: &Config, key: &str) -> String {
    let prefixed = format!("{PREFIX}{key}");
    if config.originals().contains_key(&prefixed) { prefixed } else { key.to_owned() }
}

/// `one of` with a reason for what Java takes and we do not.
fn bearer_source(name: &str, value: Option<&Parsed>) -> Result<(), String> {
    match value.and_then(Parsed::as_text) {
        None | Some("STATIC_TOKEN" | "OAUTHBEARER") => Ok(()),
        Some(other) => {
            let what = "the sources are STATIC_TOKEN, with bearer.auth.token, and OAUTHBEARER, with bearer.auth.issuer.endpoint.url. \
                        Others read the login of a Java client, or are Java classes.";
            Err(invalid_value(name, other, what))
        }
    }
}

/// At least 1, or not there.
fn positive(name: &str, value: Option<&Parsed>) -> Result<(), String> {
    match value {
        Some(Parsed::Int(n)) if *n < 1 => Err(invalid_value(name, &n.to_string(), "Value must be at least 1")),
        _ => Ok(()),
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

/// Accepted, and not needed.
const MISSING: &str = "Accepted and not needed: what the registry does not know is asked for again, and not kept.";

/// Where the registry is, and how schemas are registered and found.
pub fn registry_keys() -> ConfigDef {
    let strategies = "TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy";
    let low = |name: &str, default: bool, doc: &str| flag(name, default, doc).importance(LOW);
    let def = ConfigDef::new()
        .define(
            ConfigKey::new("schema.registry.url", Type::List)
                .importance(Importance::High)
                .doc("The URLs of the schema registry. When one does not answer, the next is asked."),
        )
        .define(low(
            "schema.registry.url.randomize",
            false,
            "Whether any of the URLs is asked first, instead of the first, so that many converters share them.",
        ))
        .define(flag("auto.register.schemas", true, "Whether a schema that the registry does not know is registered."))
        .define(low(
            "normalize.schemas",
            false,
            "Whether the registry is asked to ignore differences without a meaning.",
        ))
        .define(low(
            "propagate.schema.tags",
            false,
            "Whether a schema that is registered takes over the tags of the version before.",
        ))
        .define(low(
            "use.latest.version",
            false,
            "Whether values are written with the newest schema of the subject. Needs `auto.register.schemas=false`.",
        ))
        .define(text(
            "use.latest.with.metadata",
            "`property=value`, several with commas: values are written with the newest schema of the subject that has this metadata. \
             Needs `auto.register.schemas=false`.",
        ))
        .define(low(
            "latest.compatibility.strict",
            true,
            "Whether every field of a value must be in the newest schema.",
        ))
        .define(int(
            "use.schema.id",
            -1,
            "The id of the schema that values are written with. Needs `auto.register.schemas=false`. Negative: none.",
        ))
        .define(low(
            "id.compatibility.strict",
            true,
            "Whether every field of a value must be in the schema of `use.schema.id`.",
        ))
        .define(
            int("max.schemas.per.subject", 1000, "The largest number of schemas of a topic to keep.")
                .validator(Validator::at_least(1)),
        )
        .define(
            int("latest.cache.size", 1000, "The largest number of newest schemas of a topic to keep.")
                .validator(Validator::at_least(1)),
        )
        .define(int("missing.cache.size", 10_000, MISSING))
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
    let client = client_keys();
    let prefixed = client.embed(PREFIX);
    tls_keys(def.merge(&client).merge(&prefixed))
        .define_prefix(HEADERS, "A header that each request carries: its name behind the prefix, and its value.")
}

/// How to talk to the registry. Each of these may have [`PREFIX`] in front.
pub fn client_keys() -> ConfigDef {
    let access = access_keys(ConfigDef::new());
    timing_keys(access).define(text("proxy.host", "The host of an HTTP proxy.")).define(int(
        "proxy.port",
        8080,
        "The port of the HTTP proxy.",
    ))
}

fn access_keys(def: ConfigDef) -> ConfigDef {
    def.define(
        ConfigKey::new("basic.auth.credentials.source", Type::String)
            .default("URL")
            .validator(Validator::one_of(&["URL", "USER_INFO", "SASL_INHERIT"]))
            .doc("Where user and password are: in the URL, in `basic.auth.user.info`, or in `sasl.jaas.config`."),
    )
    .define(password("basic.auth.user.info", "`user:password` for `USER_INFO`."))
    .define(password(
        "sasl.jaas.config",
        "For `SASL_INHERIT`: the login of a Kafka client whose `username` and `password` are those for the registry, too.",
    ))
    .define(
        ConfigKey::new("bearer.auth.credentials.source", Type::String)
            .default_null()
            .validator(Validator::Custom("[STATIC_TOKEN, OAUTHBEARER]", bearer_source))
            .doc(
                "`STATIC_TOKEN`: the token is in `bearer.auth.token`. `OAUTHBEARER`: an issuer gives it to a client that knows its \
                 secret (OAuth's client credentials).",
            ),
    )
    .define(password("bearer.auth.token", "A bearer token, used instead of user and password."))
    .define(
        ConfigKey::new("bearer.auth.issuer.endpoint.url", Type::String)
            .default_null()
            .doc("For `OAUTHBEARER`: the issuer's token endpoint."),
    )
    .define(
        ConfigKey::new("bearer.auth.client.id", Type::String)
            .default_null()
            .doc("For `OAUTHBEARER`: the client's name at the issuer."),
    )
    .define(password("bearer.auth.client.secret", "For `OAUTHBEARER`: the client's secret."))
    .define(text("bearer.auth.scope", "For `OAUTHBEARER`: what the token is to be good for."))
    .define(
        ConfigKey::new("bearer.auth.cache.expiry.buffer.seconds", Type::Short)
            .default(300i16)
            .importance(LOW)
            .validator(Validator::between(0, 3600))
            .doc("For `OAUTHBEARER`: how many seconds before its end a token is renewed."),
    )
    .define(text("bearer.auth.scope.claim.name", "Accepted and not needed: here nobody looks into the token."))
    .define(text("bearer.auth.sub.claim.name", "Accepted and not needed: here nobody looks into the token."))
    .define(text("bearer.auth.logical.cluster", "The header `target-sr-cluster`, which names the registry of a Confluent Cloud."))
    .define(text(
        "bearer.auth.identity.pool.id",
        "The header `Confluent-Identity-Pool-Id`, which names the identities of a Confluent Cloud.",
    ))
}

fn timing_keys(def: ConfigDef) -> ConfigDef {
    def.define(
        int("http.connect.timeout.ms", 60_000, "The time in milliseconds to connect.").validator(Validator::at_least(1)),
    )
    .define(
        int("http.read.timeout.ms", 60_000, "The time in milliseconds to answer.").validator(Validator::at_least(1)),
    )
    .define(
        ConfigKey::new("http.total.timeout.ms", Type::Int).default_null().importance(LOW).validator(Validator::Custom("[1,...]", positive)).doc(
            "The time in milliseconds for all that the conversion of one record asks, with its retries and the other URLs; then the \
             conversion fails with an error that may be retried. The task waits as long, also when it is to stop. Not a key of the original. \
             Without it ten seconds; where `http.connect.timeout.ms`, `http.read.timeout.ms`, `max.retries`, `retries.wait.ms` or \
             `retries.max.wait.ms` is set, as long as one request with all of its retries may take by those.",
        ),
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
