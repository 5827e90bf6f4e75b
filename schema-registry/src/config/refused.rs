//! Keys that the originals have and the converters here have not. They are refused by name, with the reason; a value that says
//! what happens here anyway is accepted.

use barnabas_connect::config::{Importance, Parsed, Type, Validator, invalid_value};
use barnabas_connect::{ConfigDef, ConfigKey};

/// A key that is refused.
pub struct Refused {
    /// Its name.
    pub key: &'static str,
    /// The values that change nothing.
    pub accepted: &'static [&'static str],
    /// Why it is, and what to do instead.
    pub reason: &'static str,
}

const fn refused(key: &'static str, accepted: &'static [&'static str], reason: &'static str) -> Refused {
    Refused { key, accepted, reason }
}

const RULES: &str = "the rules of data contracts are not run; a schema that has some is an error.";
const JAVA: &str = "it is about Java classes, and values here are Connect's.";
const JVM: &str = "it chooses a part of the JVM; here TLS is rustls, versions 1.2 and 1.3, with its own ciphers.";
const PEM: &str = "a PEM file has no password. Keep it in a Secret; an encrypted key is decrypted with `openssl pkcs8 -topk8 -nocrypt`.";
const HEADER_ID: &str = "the id of the schema is in front of the value, and not in a header.";
const ASKED_AGAIN: &str = "what the registry does not know is asked for again.";
const OWN_SCHEMA: &str = "schemas are made from Connect's, and there is one way to do it.";
const OWN_IMPORTS: &str = "schemas that are registered here import nothing but known types.";
const MANAGED_IDENTITY: &str =
    "managed identities of Azure are not supported; use OAUTHBEARER with a client of your own.";

/// Of all converters.
pub const COMMON: &[Refused] = &[
    refused("use.schema.guid", &[], "a schema is named by its number: set use.schema.id."),
    refused("schema.format", &[], "schemas are read as they were registered."),
    refused("schema.reflection", &["false"], JAVA),
    refused("schema.backup.enabled", &["false"], "schemas are not packed into the data."),
    refused(
        "context.name.strategy",
        &["io.confluent.kafka.serializers.context.NullContextNameStrategy"],
        "a context is a part of the URL: add /contexts/.NAME to schema.registry.url.",
    ),
    refused("execution.environment", &[], RULES),
    refused("rule.executors", &[""], RULES),
    refused("rule.actions", &[""], RULES),
    refused("rule.service.loader.enable", &["false"], RULES),
    refused("rule.metrics.enable", &["true", "false"], RULES),
    refused("validation.rules.execution", &["DISABLED"], RULES),
    refused("validation.rules.executor.class", &[], RULES),
    refused("validation.rules.fail.fast", &["false"], RULES),
    refused(
        "key.schema.id.serializer",
        &["io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer"],
        HEADER_ID,
    ),
    refused(
        "value.schema.id.serializer",
        &["io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer"],
        HEADER_ID,
    ),
    refused(
        "key.schema.id.deserializer",
        &["io.confluent.kafka.serializers.schema.id.PrefixSchemaIdDeserializer"],
        HEADER_ID,
    ),
    refused(
        "value.schema.id.deserializer",
        &["io.confluent.kafka.serializers.schema.id.PrefixSchemaIdDeserializer"],
        HEADER_ID,
    ),
    refused("missing.id.cache.ttl.sec", &["0"], ASKED_AGAIN),
    refused("missing.version.cache.ttl.sec", &["0"], ASKED_AGAIN),
    refused("missing.schema.cache.ttl.sec", &["0"], ASKED_AGAIN),
    refused("use.apache.http.client", &["false"], "the HTTP client is not Java's."),
    refused(
        "bearer.auth.custom.provider.class",
        &[],
        "a Java class cannot be run here; use OAUTHBEARER or STATIC_TOKEN.",
    ),
    refused("bearer.auth.uami.endpoint.url", &[], MANAGED_IDENTITY),
    refused("bearer.auth.uami.endpoint.query", &[], MANAGED_IDENTITY),
    refused("schema.registry.ssl.truststore.password", &[""], PEM),
    refused("schema.registry.ssl.keystore.password", &[""], PEM),
    refused("schema.registry.ssl.key.password", &[""], PEM),
    refused(
        "schema.registry.ssl.endpoint.identification.algorithm",
        &["https"],
        "the name of the server is always checked: give its certificate the name that is in the URL.",
    ),
    refused("schema.registry.ssl.protocol", &["TLS", "TLSv1.3", "TLSv1.2"], JVM),
    refused("schema.registry.ssl.enabled.protocols", &["TLSv1.2,TLSv1.3", "TLSv1.3,TLSv1.2"], JVM),
    refused("schema.registry.ssl.cipher.suites", &[""], JVM),
    refused("schema.registry.ssl.provider", &[""], JVM),
    refused("schema.registry.ssl.keymanager.algorithm", &["SunX509", "PKIX"], JVM),
    refused("schema.registry.ssl.trustmanager.algorithm", &["PKIX", "SunX509"], JVM),
    refused("schema.registry.ssl.secure.random.implementation", &[""], JVM),
    refused("schema.registry.ssl.engine.factory.class", &[], JVM),
];

/// Of the Avro converter.
pub const AVRO: &[Refused] = &[
    refused("specific.avro.reader", &["false"], JAVA),
    refused("specific.avro.key.type", &[], JAVA),
    refused("specific.avro.value.type", &[], JAVA),
    refused("avro.reflection.allow.null", &["false"], JAVA),
    refused("avro.use.logical.type.converters", &["false"], JAVA),
    refused("avro.remove.java.properties", &["true", "false"], JAVA),
];

/// Of the JSON Schema converter.
pub const JSON: &[Refused] = &[
    refused("preserve.additional.properties", &["false"], "properties that the schema does not name are left out."),
    refused("json.validate.before.domain.rules", &["true", "false"], RULES),
    refused("json.fail.unknown.properties", &["true", "false"], JAVA),
    refused("json.key.type", &["java.lang.Object", "com.fasterxml.jackson.databind.JsonNode"], JAVA),
    refused("json.value.type", &["java.lang.Object", "com.fasterxml.jackson.databind.JsonNode"], JAVA),
    refused("type.property", &["javaType"], JAVA),
    refused("json.type.allowed.packages", &["*"], JAVA),
    refused("json.write.dates.iso8601", &["true", "false"], JAVA),
    refused("json.schema.scan.packages", &[], JAVA),
    refused("json.schema.spec.version", &["draft_7"], OWN_SCHEMA),
    refused("json.oneof.for.nullables", &["true"], OWN_SCHEMA),
    refused("json.default.property.inclusion", &[], OWN_SCHEMA),
    refused("json.envelope.detection", &["true", "false"], JAVA),
    refused("json.indent.output", &["false"], "messages are written without space between their parts."),
];

/// Of the Protobuf converter.
pub const PROTOBUF: &[Refused] = &[
    refused("specific.protobuf.key.type", &[], JAVA),
    refused("specific.protobuf.value.type", &[], JAVA),
    refused("derive.type", &["false"], JAVA),
    refused("reference.lookup.only", &["true", "false"], OWN_IMPORTS),
    refused("skip.known.types", &["true"], OWN_IMPORTS),
    refused(
        "reference.subject.name.strategy",
        &["io.confluent.kafka.serializers.subject.DefaultReferenceSubjectNameStrategy"],
        OWN_IMPORTS,
    ),
];

/// Every key that is refused by some converter.
pub fn all() -> impl Iterator<Item = &'static Refused> {
    [COMMON, AVRO, JSON, PROTOBUF].into_iter().flatten()
}

/// Adds the keys to a definition.
pub fn define(def: ConfigDef, keys: &[Refused]) -> ConfigDef {
    keys.iter().fold(def, |def, Refused { key, reason, .. }| {
        // A password may be given, and is then not to be shown.
        let ty = if key.ends_with("password") { Type::Password } else { Type::String };
        def.define(
            ConfigKey::new(*key, ty)
                .default_null()
                .importance(Importance::Low)
                .validator(Validator::Custom("", check))
                .doc(format!("Refused: {reason}")),
        )
    })
}

fn check(name: &str, value: Option<&Parsed>) -> Result<(), String> {
    let Some(value) = value else { return Ok(()) };
    let Some(key) = all().find(|refused| refused.key == name) else { return Ok(()) };
    let given = match value {
        Parsed::Password(secret) => secret.expose(),
        other => other.as_text().unwrap_or_default(),
    };
    let given = given.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    if key.accepted.iter().any(|accepted| accepted.eq_ignore_ascii_case(&given)) {
        return Ok(());
    }
    let instead = match key.accepted {
        [] | [""] => "Remove it.".to_owned(),
        accepted => format!("Remove it, or set {}.", accepted.join(" or ")),
    };
    Err(invalid_value(name, &value.to_string(), &format!("{} {instead}", key.reason)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_refused_key_says_why_and_takes_what_changes_nothing() {
        let def = define(ConfigDef::new(), COMMON);
        let errors = |key: &str, value: &str| def.errors(&[(key.to_owned(), value.to_owned())].into());
        assert!(errors("schema.registry.ssl.enabled.protocols", "TLSv1.2, TLSv1.3").is_empty());
        assert!(errors("rule.executors", "").is_empty());
        let contract = &errors("rule.executors", "mine")[0].message;
        assert!(contract.contains("rule.executors") && contract.contains("not run"), "{contract}");
        let secret = &errors("schema.registry.ssl.key.password", "topsecret")[0].message;
        assert!(secret.contains("decrypted") && !secret.contains("topsecret"), "{secret}");
    }

    #[test]
    fn no_key_is_there_twice() {
        let mut keys: Vec<&str> = all().map(|refused| refused.key).collect();
        keys.sort_unstable();
        let count = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
