//! What of the configuration needs more than a type: URLs, credentials, headers, certificates.

use std::time::Duration;

use barnabas_connect::config::Password;
use barnabas_connect::{Config, ConfigError, jaas};

use super::keys::{HEADERS, effective};
use super::{Credentials, Issuer, PemSource, TlsSettings, Url};

const BASIC_SOURCE: &str = "basic.auth.credentials.source";
const BEARER_SOURCE: &str = "bearer.auth.credentials.source";

/// Splits a URL. What is in front of `@` may be a password, and is in no message.
pub fn url(key: &str, text: &str) -> Result<Url, ConfigError> {
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https")) else {
        let shown = text.rsplit('@').next().unwrap_or(text);
        return Err(ConfigError::invalid(key, shown, "a URL begins with http:// or https://."));
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if host.is_empty() {
        let shown = format!("{scheme}://{host}{path}");
        return Err(ConfigError::invalid(key, &shown, "the URL names no host."));
    }
    Ok(Url {
        base: format!("{scheme}://{host}{}", path.trim_end_matches('/')),
        user_info: user.map(|user| Password::new(decode(user))),
    })
}

fn decode(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match hex {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A secret that is set and not empty.
fn secret<'a>(config: &'a Config, key: &str) -> Option<&'a Password> {
    config.opt_password(&effective(config, key)).filter(|secret| !secret.expose().is_empty())
}

/// A text that is set and not empty.
fn text<'a>(config: &'a Config, key: &str) -> Option<&'a str> {
    config.opt_string(&effective(config, key)).filter(|text| !text.trim().is_empty())
}

pub fn credentials(config: &Config) -> Result<Credentials, ConfigError> {
    let token = secret(config, "bearer.auth.token");
    let bearer = text(config, BEARER_SOURCE);
    let basic = effective(config, BASIC_SOURCE);
    if bearer.is_some() && config.originals().contains_key(&basic) {
        return Err(ConfigError::invalid(
            &basic,
            config.string(&basic),
            &format!("a request has one Authorization: set this or {BEARER_SOURCE}, and not both."),
        ));
    }
    match (bearer, token) {
        (Some("OAUTHBEARER"), _) => return issuer(config).map(Credentials::OAuth),
        (Some(_), None) => return Err(ConfigError::missing("bearer.auth.token")),
        (_, Some(token)) => return Ok(Credentials::Bearer(token.clone())),
        (None, None) => {}
    }
    match config.string(&basic) {
        "USER_INFO" => secret(config, "basic.auth.user.info")
            .map(|user| Credentials::Basic(user.clone()))
            .ok_or_else(|| ConfigError::missing("basic.auth.user.info")),
        "SASL_INHERIT" => {
            const JAAS: &str = "sasl.jaas.config";
            let line = secret(config, JAAS).ok_or_else(|| ConfigError::missing(JAAS))?;
            let login = jaas::parse(line.expose())
                .map_err(|what| ConfigError::invalid(JAAS, Password::HIDDEN, &format!("it {what}.")))?;
            Ok(Credentials::Basic(Password::new(format!("{}:{}", login.username, login.password))))
        }
        _ => Ok(Credentials::Url),
    }
}

fn issuer(config: &Config) -> Result<Issuer, ConfigError> {
    const ENDPOINT: &str = "bearer.auth.issuer.endpoint.url";
    let needed = |key: &str| text(config, key).ok_or_else(|| ConfigError::missing(key));
    let buffer = config.short(&effective(config, "bearer.auth.cache.expiry.buffer.seconds"));
    Ok(Issuer {
        url: url(ENDPOINT, needed(ENDPOINT)?)?,
        client_id: needed("bearer.auth.client.id")?.to_owned(),
        client_secret: secret(config, "bearer.auth.client.secret")
            .ok_or_else(|| ConfigError::missing("bearer.auth.client.secret"))?
            .clone(),
        scope: text(config, "bearer.auth.scope").map(str::to_owned),
        expiry_buffer: Duration::from_secs(u64::try_from(buffer).unwrap_or(0)),
    })
}

/// What each request carries besides: `request.header.*`, and where a token is for one of several registries, which.
pub fn headers(config: &Config) -> Result<Vec<(String, Password)>, ConfigError> {
    let mut headers = Vec::new();
    let mut add = |key: &str, name: &str, value: &str| {
        let valid = ureq::http::HeaderName::try_from(name).is_ok() && ureq::http::HeaderValue::try_from(value).is_ok();
        if !valid {
            return Err(ConfigError::invalid(key, Password::HIDDEN, "name and value must be those of an HTTP header."));
        }
        headers.push((name.to_owned(), Password::new(value)));
        Ok(())
    };
    for (name, value) in config.with_prefix(HEADERS) {
        add(&format!("{HEADERS}{name}"), &name, value.trim())?;
    }
    for (key, name) in [
        ("bearer.auth.logical.cluster", "target-sr-cluster"),
        ("bearer.auth.identity.pool.id", "Confluent-Identity-Pool-Id"),
    ] {
        if let Some(value) = text(config, key) {
            add(key, name, value)?;
        }
    }
    Ok(headers)
}

pub fn tls(config: &Config) -> Result<TlsSettings, ConfigError> {
    let text = |key: &'static str| config.opt_string(key).filter(|text| !text.trim().is_empty());
    let source = |kind: &'static str, location: &'static str, inline: Option<PemSource>| {
        let file = text(location).map(|path| PemSource::File { key: location, path: path.to_owned() });
        let found = file.or(inline);
        let store = text(kind).unwrap_or("JKS");
        match found {
            Some(_) if !store.eq_ignore_ascii_case("PEM") => Err(ConfigError::invalid(
                kind,
                store,
                "only PEM is supported, and has to be said. A JKS store becomes PEM with `keytool -importkeystore -srckeystore STORE.jks \
                 -destkeystore STORE.p12 -deststoretype PKCS12` and `openssl pkcs12 -in STORE.p12 -nodes -out STORE.pem`.",
            )),
            found => Ok(found),
        }
    };
    let certificates = text("schema.registry.ssl.truststore.certificates")
        .map(|pem| PemSource::Text { key: "schema.registry.ssl.truststore.certificates", text: Password::new(pem) });
    let key = config.opt_password("schema.registry.ssl.keystore.key").filter(|key| !key.expose().is_empty());
    let identity = key.map(|key| PemSource::Text {
        key: "schema.registry.ssl.keystore.key",
        text: Password::new(format!(
            "{}\n{}",
            key.expose(),
            text("schema.registry.ssl.keystore.certificate.chain").unwrap_or_default()
        )),
    });
    Ok(TlsSettings {
        trust: source("schema.registry.ssl.truststore.type", "schema.registry.ssl.truststore.location", certificates)?,
        identity: source("schema.registry.ssl.keystore.type", "schema.registry.ssl.keystore.location", identity)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use barnabas_connect::RawConfig;

    use super::super::{Choice, SerdeConfig, data_keys, with_registry};
    use super::*;

    const URL: (&str, &str) = ("schema.registry.url", "http://a");

    fn parse(entries: &[(&str, &str)]) -> Result<SerdeConfig, Vec<ConfigError>> {
        let raw: RawConfig = entries.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        SerdeConfig::new(&with_registry(data_keys()).parse(&raw)?, false)
    }

    fn message(entries: &[(&str, &str)]) -> String {
        parse(entries).unwrap_err()[0].message.clone()
    }

    #[test]
    fn user_and_password_leave_the_url() {
        let config = parse(&[("schema.registry.url", "https://ann:s%40cret@a:81/x/, http://b")]).unwrap();
        let [one, two] = &config.client.urls[..] else { panic!("{config:?}") };
        assert_eq!((one.base.as_str(), two.base.as_str()), ("https://a:81/x", "http://b"));
        assert_eq!(one.user_info.as_ref().unwrap().expose(), "ann:s@cret");
        assert!(!format!("{config:?}").contains("cret"));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_way_out() {
        assert!(message(&[]).contains("schema.registry.url"));
        assert!(!message(&[("schema.registry.url", "ftp://u:secret@a")]).contains("secret"));
        assert!(message(&[URL, ("basic.auth.credentials.source", "KEYCHAIN")]).contains("USER_INFO"));
        assert!(message(&[URL, ("basic.auth.credentials.source", "USER_INFO")]).contains("basic.auth.user.info"));
        let jks = message(&[URL, ("schema.registry.ssl.truststore.location", "/x.jks")]);
        assert!(jks.contains("keytool") && jks.contains("schema.registry.ssl.truststore.type"), "{jks}");
        assert!(message(&[URL, ("value.subject.name.strategy", "com.example.Mine")]).contains("TopicNameStrategy"));
        assert!(message(&[URL, ("auto.register.schemas", "false"), ("use.latest.with.metadata", "v1")]).contains("="));
        let both = [URL, ("basic.auth.credentials.source", "URL"), ("bearer.auth.credentials.source", "STATIC_TOKEN")];
        assert!(message(&both).contains("bearer.auth.credentials.source"));
        let header = message(&[URL, ("request.header.a b", "secret")]);
        assert!(header.contains("request.header.a b") && !header.contains("secret"), "{header}");
    }

    #[test]
    fn credentials_come_from_where_their_source_says() {
        let with = |extra: &[(&str, &str)]| parse(&[&[URL], extra].concat()).map(|config| config.client.credentials);
        let basic = |extra: &[(&str, &str)]| match with(extra).unwrap() {
            Credentials::Basic(user) => user.expose().to_owned(),
            other => panic!("{other:?}"),
        };
        let source = ("basic.auth.credentials.source", "USER_INFO");
        assert_eq!(basic(&[source, ("basic.auth.user.info", "a:b")]), "a:b");
        let prefixed = ("schema.registry.basic.auth.user.info", "c:d");
        assert_eq!(basic(&[source, ("basic.auth.user.info", "a:b"), prefixed]), "c:d");
        let jaas = r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p";"#;
        let inherit = ("schema.registry.basic.auth.credentials.source", "SASL_INHERIT");
        assert_eq!(basic(&[inherit, ("sasl.jaas.config", jaas)]), "u:p");
        let error = with(&[inherit, ("sasl.jaas.config", r#"PlainLoginModule required password="secret";"#)]);
        let error = error.unwrap_err()[0].message.clone();
        assert!(error.contains("no username") && !error.contains("secret"), "{error}");

        let oauth = ("bearer.auth.credentials.source", "OAUTHBEARER");
        let endpoint = ("bearer.auth.issuer.endpoint.url", "https://issuer/token");
        let id = ("bearer.auth.client.id", "me");
        assert!(with(&[oauth, endpoint, id]).unwrap_err()[0].message.contains("bearer.auth.client.secret"));
        match with(&[oauth, endpoint, id, ("bearer.auth.client.secret", "x")]).unwrap() {
            Credentials::OAuth(issuer) => assert_eq!(issuer.expiry_buffer, Duration::from_secs(300)),
            other => panic!("{other:?}"),
        }
        let custom = with(&[("bearer.auth.credentials.source", "CUSTOM")]).unwrap_err()[0].message.clone();
        assert!(custom.contains("OAUTHBEARER"), "{custom}");
    }

    #[test]
    fn the_schema_to_write_with_is_chosen_in_the_original_order() {
        let all = [
            URL,
            ("auto.register.schemas", "false"),
            ("use.latest.version", "true"),
            ("use.latest.with.metadata", "a=b, c = d=e"),
            ("use.schema.id", "7"),
        ];
        let choice = |entries: &[(&str, &str)]| parse(entries).unwrap().write_with;
        let pairs = [("a", "b"), ("c", "d=e")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(choice(&all), Choice::Id(7));
        assert_eq!(choice(&all[..4]), Choice::Metadata(pairs.into()));
        assert_eq!(choice(&all[..3]), Choice::Latest);
        assert_eq!(choice(&all[..2]), Choice::Lookup);
        assert_eq!(choice(&[&all[..1], &all[2..]].concat()), Choice::Register);
    }
}
