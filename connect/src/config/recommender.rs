//! What a user interface offers for a key (`ConfigDef.Recommender`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Parsed;

/// What each defined key was parsed to; `None` where there is neither a value nor a default, or it could not be parsed.
pub type ParsedValues = BTreeMap<String, Option<Parsed>>;

/// The values to offer for a key, and whether to show the key at all, as far as that depends on the other keys.
///
/// It recommends and does not check: a value that is not offered is no error.
pub trait Recommender: std::fmt::Debug + Send + Sync {
    /// The values to offer, as a person would write them (`validValues`).
    fn values(&self, key: &str, config: &ParsedValues) -> Vec<String>;

    /// Whether a user interface should show the key.
    fn visible(&self, _key: &str, _config: &ParsedValues) -> bool {
        true
    }
}

/// The same values always.
#[derive(Debug)]
pub(super) struct Fixed(pub(super) Vec<String>);

impl Recommender for Fixed {
    fn values(&self, _key: &str, _config: &ParsedValues) -> Vec<String> {
        self.0.clone()
    }
}

/// The recommender of a key that was put under a prefix: it does not know of the prefix.
#[derive(Debug)]
pub(super) struct Embedded {
    pub(super) prefix: String,
    pub(super) inner: Arc<dyn Recommender>,
}

impl Embedded {
    fn own<'a>(&self, key: &'a str) -> &'a str {
        key.strip_prefix(self.prefix.as_str()).unwrap_or(key)
    }

    fn own_values(&self, config: &ParsedValues) -> ParsedValues {
        let under = config.iter().filter_map(|(key, value)| Some((key.strip_prefix(self.prefix.as_str())?, value)));
        under.map(|(key, value)| (key.to_owned(), value.clone())).collect()
    }
}

impl Recommender for Embedded {
    fn values(&self, key: &str, config: &ParsedValues) -> Vec<String> {
        self.inner.values(self.own(key), &self.own_values(config))
    }

    fn visible(&self, key: &str, config: &ParsedValues) -> bool {
        self.inner.visible(self.own(key), &self.own_values(config))
    }
}
