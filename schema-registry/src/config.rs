//! The keys that all three converters have: where the registry is, and how schemas are looked up and registered.

mod access;
mod keys;
pub mod refused;

use std::time::Duration;

use barnabas_connect::config::Password;
use barnabas_connect::{Config, ConfigDef, ConfigError};

use crate::subject::Strategy;
use keys::effective;

pub use keys::{PREFIX, client_keys, data_keys, flag};

/// Where the registry is and how to talk to it.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// In the order of preference.
    pub urls: Vec<Url>,
    /// `schema.registry.url.randomize`: begin with any of them.
    pub randomize: bool,
    /// Who we are.
    pub credentials: Credentials,
    /// What else each request carries.
    pub headers: Vec<(String, Password)>,
    /// Whom we trust.
    pub tls: TlsSettings,
    /// `http://host:port`
    pub proxy: Option<String>,
    /// To open a connection.
    pub connect_timeout: Duration,
    /// To wait for an answer.
    pub read_timeout: Duration,
    /// For all that one conversion asks, with retries and other URLs.
    pub total_timeout: Duration,
    /// How often a failed request is tried again.
    pub retries: u32,
    /// Before the first retry; it doubles.
    pub retry_wait: Duration,
    /// Before a later retry, at most.
    pub retry_wait_max: Duration,
    /// `normalize.schemas`
    pub normalize: bool,
    /// `propagate.schema.tags`
    pub propagate_tags: bool,
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
    /// Basic, with what is in the URL, if anything is.
    Url,
    /// Basic: `user:password`.
    Basic(Password),
    /// A bearer token.
    Bearer(Password),
    /// A bearer token that an issuer gives out.
    OAuth(Issuer),
}

/// An OAuth server that gives out tokens to a client that knows its own secret.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its token endpoint.
    pub url: Url,
    /// Who we are.
    pub client_id: String,
    /// How we prove it.
    pub client_secret: Password,
    /// What the token is for.
    pub scope: Option<String>,
    /// How long before its end a token is renewed.
    pub expiry_buffer: Duration,
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

/// Which schema of a subject values are written with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `auto.register.schemas`: their own, which is registered.
    Register,
    /// `use.schema.id`
    Id(u32),
    /// `use.latest.with.metadata`: the newest that has these properties.
    Metadata(Vec<(String, String)>),
    /// `use.latest.version`
    Latest,
    /// Their own, which has to be there.
    Lookup,
}

/// How a converter finds the number of a schema that it writes, and what it keeps.
#[derive(Clone, Debug)]
pub struct SerdeConfig {
    /// The registry.
    pub client: ClientConfig,
    /// Which schema values are written with.
    pub write_with: Choice,
    /// `latest.compatibility.strict`, or `id.compatibility.strict` where an id is set.
    pub strict: bool,
    /// How the subject is named.
    pub strategy: Strategy,
    /// The largest number of schemas that are kept for a topic in each direction.
    pub cache_size: usize,
    /// Of those, the largest number of newest ones.
    latest_cache_size: usize,
    /// How long the newest version is taken for the newest.
    latest_ttl: Option<Duration>,
}

/// The time for all that one conversion asks. The original has no such bound: what a configuration says of each request holds.
fn total_timeout(config: &Config) -> Duration {
    const TIMES: [&str; 5] =
        ["http.connect.timeout.ms", "http.read.timeout.ms", "max.retries", "retries.wait.ms", "retries.max.wait.ms"];
    let int = |key: &str| u64::try_from(config.int(&effective(config, key))).unwrap_or(0);
    let said = |key: &str| config.originals().contains_key(&effective(config, key));
    if said("http.total.timeout.ms") {
        return Duration::from_millis(int("http.total.timeout.ms"));
    }
    if !TIMES.into_iter().any(said) {
        return Duration::from_secs(10);
    }
    let [connect, read, retries, wait, longest] = TIMES.map(int);
    // After so many it has long been the longest.
    let doubling = (0..retries.min(32)).map(|retry| wait.saturating_mul(1 << retry).min(longest));
    let waits = doubling.chain([retries.saturating_sub(32).saturating_mul(longest)]);
    let requests = (connect + read).saturating_mul(retries + 1);
    Duration::from_millis(waits.fold(requests, u64::saturating_add)).max(Duration::from_secs(1))
}

impl SerdeConfig {
    /// From a configuration that [`with_registry`] has defined.
    pub fn new(config: &Config, is_key: bool) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut urls = Vec::new();
        for text in config.list("schema.registry.url") {
            match access::url("schema.registry.url", text) {
                Ok(url) => urls.push(url),
                Err(error) => errors.push(error),
            }
        }
        if urls.is_empty() && errors.is_empty() {
            errors.push(ConfigError::invalid("schema.registry.url", "", "at least one URL is needed."));
        }
        let credentials = access::credentials(config).map_err(|error| errors.push(error)).unwrap_or(Credentials::Url);
        let headers = access::headers(config).map_err(|error| errors.push(error)).unwrap_or_default();
        let tls = access::tls(config).map_err(|error| errors.push(error)).unwrap_or_default();
        let write_with = choice(config).map_err(|error| errors.push(error)).unwrap_or(Choice::Register);
        if !errors.is_empty() {
            return Err(errors);
        }
        let int = |key: &str| config.int(&effective(config, key));
        let millis = |key: &str| Duration::from_millis(u64::try_from(int(key)).unwrap_or(0));
        let size = |key: &str| usize::try_from(config.int(key)).unwrap_or(0);
        let proxy = config.opt_string(&effective(config, "proxy.host")).filter(|host| !host.is_empty());
        let strategy = if is_key { "key.subject.name.strategy" } else { "value.subject.name.strategy" };
        Ok(Self {
            client: ClientConfig {
                urls,
                randomize: config.boolean("schema.registry.url.randomize"),
                credentials,
                headers,
                tls,
                proxy: proxy.map(|host| format!("http://{host}:{}", int("proxy.port"))),
                connect_timeout: millis("http.connect.timeout.ms"),
                read_timeout: millis("http.read.timeout.ms"),
                total_timeout: total_timeout(config),
                retries: u32::try_from(int("max.retries")).unwrap_or(0),
                retry_wait: millis("retries.wait.ms"),
                retry_wait_max: millis("retries.max.wait.ms"),
                normalize: config.boolean("normalize.schemas"),
                propagate_tags: config.boolean("propagate.schema.tags"),
            },
            strict: config.boolean(match write_with {
                Choice::Id(_) => "id.compatibility.strict",
                _ => "latest.compatibility.strict",
            }),
            write_with,
            strategy: Strategy::find(config.class(strategy)).unwrap_or_default(),
            cache_size: size("schemas.cache.config").min(size("max.schemas.per.subject")),
            latest_cache_size: size("latest.cache.size"),
            latest_ttl: u64::try_from(config.long("latest.cache.ttl.sec")).ok().map(Duration::from_secs),
        })
    }

    /// Whether values are written with a schema that another may take the place of.
    fn follows_latest(&self) -> bool {
        matches!(self.write_with, Choice::Latest | Choice::Metadata(_))
    }

    /// How many schemas that values are written with are kept for a topic.
    pub fn write_cache_size(&self) -> usize {
        if self.follows_latest() { self.cache_size.min(self.latest_cache_size) } else { self.cache_size }
    }

    /// How long a schema serves that values are written with; for ever by default.
    pub fn write_ttl(&self) -> Option<Duration> {
        self.latest_ttl.filter(|_| self.follows_latest())
    }
}

/// In the original's order of precedence.
fn choice(config: &Config) -> Result<Choice, ConfigError> {
    if config.boolean("auto.register.schemas") {
        return Ok(Choice::Register);
    }
    if let Ok(id) = u32::try_from(config.int("use.schema.id")) {
        return Ok(Choice::Id(id));
    }
    const METADATA: &str = "use.latest.with.metadata";
    if let Some(text) = config.opt_string(METADATA).filter(|text| !text.is_empty()) {
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').filter(|(key, _)| !key.trim().is_empty())?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        };
        let pairs = text.split(',').map(pair).collect::<Option<_>>();
        return pairs
            .map(Choice::Metadata)
            .ok_or_else(|| ConfigError::invalid(METADATA, text, "write property=value, with commas between several."));
    }
    Ok(if config.boolean("use.latest.version") { Choice::Latest } else { Choice::Lookup })
}

/// All keys of a converter.
pub fn with_registry(own: ConfigDef) -> ConfigDef {
    refused::define(keys::registry_keys(), refused::COMMON).merge(&own)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn total(extra: &[(&str, &str)]) -> u128 {
        let url = [("schema.registry.url", "http://r:8081")];
        let config = url.iter().chain(extra).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = with_registry(data_keys()).parse(&config).unwrap();
        SerdeConfig::new(&config, false).unwrap().client.total_timeout.as_millis()
    }

    #[test]
    fn what_is_said_of_single_requests_is_not_cut_short() {
        assert_eq!(total(&[]), 10_000);
        assert_eq!(total(&[("schema.registry.http.read.timeout.ms", "2000"), ("max.retries", "0")]), 62_000);
        let each = [
            ("http.connect.timeout.ms", "50"),
            ("http.read.timeout.ms", "500"),
            ("max.retries", "9"),
            ("retries.wait.ms", "100"),
            ("retries.max.wait.ms", "150"),
        ];
        assert_eq!(total(&each), 550 * 10 + 100 + 8 * 150);
        assert_eq!(total(&[&each[..], &[("http.total.timeout.ms", "700")]].concat()), 700);
        assert!(total(&[("max.retries", "2147483647"), ("retries.wait.ms", "2147483647")]) > 10_000);
    }
}
