//! The keys that all three converters have: where the registry is, and how schemas are looked up and registered.

mod keys;

use std::time::Duration;

use barnabas_connect::config::Password;
use barnabas_connect::{Config, ConfigDef, ConfigError};

use crate::subject::Strategy;

pub use keys::{data_keys, flag, registry_keys};

/// Where the registry is and how to talk to it.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// In the order of preference.
    pub urls: Vec<Url>,
    /// Who we are.
    pub credentials: Credentials,
    /// Whom we trust.
    pub tls: TlsSettings,
    /// `http://host:port`
    pub proxy: Option<String>,
    /// To open a connection.
    pub connect_timeout: Duration,
    /// To wait for an answer.
    pub read_timeout: Duration,
    /// How often a failed request is tried again.
    pub retries: u32,
    /// Before the first retry; it doubles.
    pub retry_wait: Duration,
    /// Before a later retry, at most.
    pub retry_wait_max: Duration,
    /// `normalize.schemas`
    pub normalize: bool,
}

/// One of the URLs, with what must not be shown apart.
#[derive(Clone, Debug)]
pub struct Url {
    /// Without user and without a slash at its end.
    pub base: String,
    /// `user:password`, decoded.
    pub user_info: Option<Password>,
}

/// What a request carries in its `Authorization`.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Nothing.
    None,
    /// Basic, with what is in the URL.
    Url,
    /// Basic: `user:password`.
    Basic(Password),
    /// A bearer token.
    Bearer(Password),
}

/// Whom we trust, and who we are, in PEM.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// Certificates of authorities; by default those of Mozilla.
    pub trust: Option<PemSource>,
    /// A key and its certificates, for mutual TLS.
    pub identity: Option<PemSource>,
}

/// Where a PEM text is.
#[derive(Clone, Debug)]
pub enum PemSource {
    /// In a file.
    File {
        /// The configuration key that names it.
        key: &'static str,
        /// Its path.
        path: String,
    },
    /// In the configuration.
    Text {
        /// The configuration key that holds it.
        key: &'static str,
        /// The PEM.
        text: Password,
    },
}

impl PemSource {
    /// The key, with the file when it is one, for messages.
    pub fn key(&self) -> String {
        match self {
            Self::File { key, path } => format!("{path} ({key})"),
            Self::Text { key, .. } => (*key).to_owned(),
        }
    }
}

/// How a converter finds the number of a schema that it writes, and what it keeps.
#[derive(Clone, Debug)]
pub struct SerdeConfig {
    /// The registry.
    pub client: ClientConfig,
    /// `auto.register.schemas`
    pub auto_register: bool,
    /// `use.schema.id`; none when it is negative.
    pub use_schema_id: Option<u32>,
    /// `use.latest.version`
    pub use_latest: bool,
    /// `latest.compatibility.strict`, or `id.compatibility.strict` where an id is set.
    pub strict: bool,
    /// How the subject is named.
    pub strategy: Strategy,
    /// The largest number of schemas that are kept for a topic in each direction.
    pub cache_size: usize,
    /// How long the latest version is taken for the latest.
    pub latest_ttl: Option<Duration>,
}

impl SerdeConfig {
    /// From a configuration that [`registry_keys`] has parsed.
    pub fn new(config: &Config, is_key: bool) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut urls = Vec::new();
        for text in config.list("schema.registry.url") {
            match url(text) {
                Ok(url) => urls.push(url),
                Err(error) => errors.push(error),
            }
        }
        if urls.is_empty() && errors.is_empty() {
            errors.push(ConfigError::invalid("schema.registry.url", "", "at least one URL is needed."));
        }
        let credentials = credentials(config).map_err(|error| errors.push(error)).unwrap_or(Credentials::None);
        let tls = tls(config).map_err(|error| errors.push(error)).unwrap_or_default();
        if !errors.is_empty() {
            return Err(errors);
        }
        let millis = |key: &str| Duration::from_millis(u64::try_from(config.int(key)).unwrap_or(0));
        let proxy = config.opt_string("proxy.host").filter(|host| !host.is_empty());
        let size = |key: &str| usize::try_from(config.int(key)).unwrap_or(0);
        let use_schema_id = u32::try_from(config.int("use.schema.id")).ok();
        let strategy = if is_key { "key.subject.name.strategy" } else { "value.subject.name.strategy" };
        Ok(Self {
            client: ClientConfig {
                urls,
                credentials,
                tls,
                proxy: proxy.map(|host| format!("http://{host}:{}", config.int("proxy.port"))),
                connect_timeout: millis("http.connect.timeout.ms"),
                read_timeout: millis("http.read.timeout.ms"),
                retries: u32::try_from(config.int("max.retries")).unwrap_or(0),
                retry_wait: millis("retries.wait.ms"),
                retry_wait_max: millis("retries.max.wait.ms"),
                normalize: config.boolean("normalize.schemas"),
            },
            auto_register: config.boolean("auto.register.schemas"),
            use_schema_id,
            use_latest: config.boolean("use.latest.version"),
            strict: config.boolean(match use_schema_id {
                Some(_) => "id.compatibility.strict",
                None => "latest.compatibility.strict",
            }),
            strategy: Strategy::find(config.class(strategy)).unwrap_or_default(),
            cache_size: size("schemas.cache.config").min(size("max.schemas.per.subject")),
            latest_ttl: u64::try_from(config.long("latest.cache.ttl.sec")).ok().map(Duration::from_secs),
        })
    }
}

/// Splits a URL. What is in front of `@` may be a password, and is in no message.
fn url(text: &str) -> Result<Url, ConfigError> {
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https")) else {
        let shown = text.rsplit('@').next().unwrap_or(text);
        return Err(ConfigError::invalid("schema.registry.url", shown, "a URL begins with http:// or https://."));
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if host.is_empty() {
        let shown = format!("{scheme}://{host}{path}");
        return Err(ConfigError::invalid("schema.registry.url", &shown, "the URL names no host."));
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

fn secret<'a>(config: &'a Config, keys: &[&'static str]) -> Option<&'a Password> {
    keys.iter().find_map(|key| config.opt_password(key).filter(|secret| !secret.expose().is_empty()))
}

fn credentials(config: &Config) -> Result<Credentials, ConfigError> {
    let token = secret(config, &["bearer.auth.token"]);
    match (config.opt_string("bearer.auth.credentials.source"), token) {
        (Some("STATIC_TOKEN"), None) => return Err(ConfigError::missing("bearer.auth.token")),
        (_, Some(token)) => return Ok(Credentials::Bearer(token.clone())),
        _ => {}
    }
    match config.string("basic.auth.credentials.source") {
        "USER_INFO" => secret(config, &["schema.registry.basic.auth.user.info", "basic.auth.user.info"])
            .map(|user| Credentials::Basic(user.clone()))
            .ok_or_else(|| ConfigError::missing("basic.auth.user.info")),
        _ => Ok(Credentials::Url),
    }
}

fn tls(config: &Config) -> Result<TlsSettings, ConfigError> {
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
    let key = secret(config, &["schema.registry.ssl.keystore.key"]);
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

/// All keys of a converter.
pub fn with_registry(own: ConfigDef) -> ConfigDef {
    registry_keys().merge(&own)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use barnabas_connect::RawConfig;

    use super::*;

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
        let url = ("schema.registry.url", "http://a");
        assert!(message(&[]).contains("schema.registry.url"));
        assert!(!message(&[("schema.registry.url", "ftp://u:secret@a")]).contains("secret"));
        assert!(message(&[url, ("basic.auth.credentials.source", "SASL_INHERIT")]).contains("USER_INFO"));
        assert!(message(&[url, ("basic.auth.credentials.source", "USER_INFO")]).contains("basic.auth.user.info"));
        let jks = message(&[url, ("schema.registry.ssl.truststore.location", "/x.jks")]);
        assert!(jks.contains("keytool") && jks.contains("schema.registry.ssl.truststore.type"), "{jks}");
        assert!(message(&[url, ("value.subject.name.strategy", "com.example.Mine")]).contains("TopicNameStrategy"));
    }
}
