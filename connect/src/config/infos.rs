//! Definitions and values as Connect's REST API shows them (`ConfigInfos`, `ConfigInfo`, `ConfigKeyInfo`, `ConfigValueInfo`).

use serde::Serialize;

use super::{ConfigKey, ConfigValue, Default};

/// What `PUT /connector-plugins/{plugin}/config/validate` answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfigInfos {
    /// The class of the connector, as the configuration names it.
    pub name: String,
    /// How many errors there are. As in Connect a key of a converter counts once, however many it has.
    pub error_count: usize,
    /// The groups of the keys.
    pub groups: Vec<String>,
    /// The keys.
    pub configs: Vec<ConfigInfo>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfigInfo {
    /// What it is; absent for a key that nobody defines.
    pub definition: Option<ConfigKeyInfo>,
    /// What it is set to, and what is wrong with that.
    pub value: ConfigValue,
}

/// The definition of a key. The names of the fields are those in JSON; that of the order is `order_in_group` in Kafka Connect
/// 4.3 and `order` before, and clients may look for either.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)] // They are described at `ConfigKey`.
pub struct ConfigKeyInfo {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: &'static str,
    pub required: bool,
    pub default_value: Option<String>,
    pub importance: &'static str,
    pub documentation: String,
    pub group: Option<String>,
    pub order_in_group: i32,
    pub width: &'static str,
    pub display_name: String,
    pub dependents: Vec<String>,
    pub order: i32,
}

impl From<&ConfigKey> for ConfigKeyInfo {
    fn from(key: &ConfigKey) -> Self {
        Self {
            name: key.name.clone(),
            ty: key.ty.name(),
            required: key.is_required(),
            default_value: match &key.default {
                Default::Value(value) => Some(value.to_string()),
                Default::Required | Default::Null => None,
            },
            importance: key.importance.name(),
            documentation: key.doc.clone(),
            group: key.group.as_deref().map(str::to_owned),
            order_in_group: key.order,
            width: key.width.name(),
            display_name: key.display_name.clone(),
            dependents: key.dependents.clone(),
            order: key.order,
        }
    }
}
