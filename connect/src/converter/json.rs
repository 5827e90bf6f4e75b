//! Placeholder, filled next.
use super::Converter;
use crate::config::{ConfigDef, ConfigError, RawConfig};
use crate::error::{Error, Result};
use crate::record::{Data, Header};
use bytes::Bytes;
use std::sync::Arc;

/// JSON.
pub struct JsonConverter;
impl JsonConverter {
    /// The Java class.
    pub const CLASS: &'static str = "org.apache.kafka.connect.json.JsonConverter";
    /// The keys.
    pub fn config_def() -> ConfigDef {
        ConfigDef::new()
    }
    /// From its configuration, prefix removed.
    pub fn from_config(_config: &RawConfig) -> Result<Self, Vec<ConfigError>> {
        Ok(Self)
    }
    pub(super) fn build(_config: &RawConfig, _is_key: bool) -> Result<Arc<dyn Converter>, Vec<ConfigError>> {
        Ok(Arc::new(Self))
    }
}
impl Converter for JsonConverter {
    fn from_connect(&self, _t: &str, _h: &mut Vec<Header>, _data: &Data) -> Result<Option<Bytes>> {
        Err(Error::fatal("not yet"))
    }
    fn to_connect(&self, _t: &str, _h: &[Header], _b: Option<&Bytes>) -> Result<Data> {
        Err(Error::fatal("not yet"))
    }
    fn class(&self) -> &'static str {
        Self::CLASS
    }
}
