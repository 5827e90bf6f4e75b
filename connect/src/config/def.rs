//! The definitions themselves.

use std::collections::BTreeMap;

use super::{Config, ConfigError, ConfigValue, Parsed, RawConfig, Validator};

/// The type of a key (`ConfigDef.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it all.
pub enum Type {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl Type {
    /// The name of the Java constant.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// How likely a person has to set a key (`ConfigDef.Importance`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // The names say it all.
pub enum Importance {
    High,
    #[default]
    Medium,
    Low,
}

impl Importance {
    /// The name of the Java constant.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

/// The width of an input field for the key (`ConfigDef.Width`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it all.
pub enum Width {
    #[default]
    None,
    Short,
    Medium,
    Long,
}

/// What holds when a key is not set.
#[derive(Clone, Debug, PartialEq)]
pub enum Default {
    /// An error (`ConfigDef.NO_DEFAULT_VALUE`).
    Required,
    /// Nothing: Java's `null`.
    Null,
    /// This value.
    Value(Parsed),
}

/// The definition of one key (`ConfigDef.ConfigKey`).
#[derive(Clone, Debug)]
pub struct ConfigKey {
    /// The key.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// What holds when it is not set.
    pub default: Default,
    /// What a parsed value must satisfy.
    pub validator: Option<Validator>,
    /// How likely a person has to set it.
    pub importance: Importance,
    /// The group in a user interface.
    pub group: Option<&'static str>,
    /// The place in the group.
    pub order: i32,
    /// The width of an input field.
    pub width: Width,
    /// The name for people.
    pub display_name: String,
    /// The keys whose meaning depends on this one.
    pub dependents: Vec<&'static str>,
    /// The values to offer.
    pub recommended: Vec<String>,
    /// What it does, for people.
    pub doc: String,
}

impl ConfigKey {
    /// A required key; set a default to make it optional.
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        let name = name.into();
        Self {
            display_name: name.clone(),
            name,
            ty,
            default: Default::Required,
            validator: None,
            importance: Importance::Medium,
            group: None,
            order: -1,
            width: Width::None,
            dependents: Vec::new(),
            recommended: Vec::new(),
            doc: String::new(),
        }
    }

    /// Optional; the value when it is not set.
    #[must_use]
    pub fn default(mut self, value: impl Into<Parsed>) -> Self {
        self.default = Default::Value(value.into());
        self
    }

    /// Optional, without a value when it is not set.
    #[must_use]
    pub fn default_null(mut self) -> Self {
        self.default = Default::Null;
        self
    }

    /// What a parsed value must satisfy.
    #[must_use]
    pub fn validator(mut self, validator: Validator) -> Self {
        self.validator = Some(validator);
        self
    }

    /// How likely a person has to set it.
    #[must_use]
    pub fn importance(mut self, importance: Importance) -> Self {
        self.importance = importance;
        self
    }

    /// Group, place in the group, width and name for a user interface.
    #[must_use]
    pub fn display(mut self, group: &'static str, order: i32, width: Width, name: impl Into<String>) -> Self {
        self.group = Some(group);
        self.order = order;
        self.width = width;
        self.display_name = name.into();
        self
    }

    /// The keys whose meaning depends on this one.
    #[must_use]
    pub fn dependents(mut self, names: &[&'static str]) -> Self {
        self.dependents = names.to_vec();
        self
    }

    /// The values to offer.
    #[must_use]
    pub fn recommended(mut self, values: &[&str]) -> Self {
        self.recommended = values.iter().map(|&value| value.to_owned()).collect();
        self
    }

    /// What it does, for people.
    #[must_use]
    pub fn doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }

    /// Whether it must be set.
    pub fn is_required(&self) -> bool {
        self.default == Default::Required
    }
}

/// The definitions of a plugin's keys.
///
/// ```
/// use barnabas_connect::config::{ConfigDef, ConfigKey, Importance, Type, Validator};
///
/// let def = ConfigDef::new()
///     .define(ConfigKey::new("topic", Type::String).importance(Importance::High).validator(Validator::NonEmptyString))
///     .define(ConfigKey::new("batch.size", Type::Int).default(2000).validator(Validator::at_least(1)));
/// let config = def.parse(&[("topic".to_owned(), " lines ".to_owned())].into()).unwrap();
/// assert_eq!(config.string("topic"), "lines");
/// assert_eq!(config.int("batch.size"), 2000);
/// let errors = def.parse(&[("batch.size".to_owned(), "x".to_owned())].into()).unwrap_err();
/// assert_eq!(errors[0].message, "Missing required configuration \"topic\" which has no default value.");
/// assert_eq!(errors[1].message, "Invalid value x for configuration batch.size: Not a number of type INT");
/// ```
#[derive(Clone, Debug, Default)]
pub struct ConfigDef {
    keys: Vec<ConfigKey>,
    prefixes: Vec<(String, String)>,
}

impl ConfigDef {
    /// No keys.
    pub fn new() -> Self {
        std::default::Default::default()
    }

    /// Adds a key.
    ///
    /// # Panics
    /// When it is defined already, or its default does not satisfy its validator: both are mistakes in the program.
    #[must_use]
    pub fn define(mut self, key: ConfigKey) -> Self {
        assert!(self.get(&key.name).is_none(), "Configuration {} is defined twice.", key.name);
        if let (Some(validator), Default::Value(value)) = (&key.validator, &key.default)
            && let Err(message) = validator.check(&key.name, Some(value))
        {
            panic!("{message}");
        }
        self.keys.push(key);
        self
    }

    /// Accepts every key with a prefix, such as the driver properties `connection.*`; `doc` says what they mean.
    #[must_use]
    pub fn define_prefix(mut self, prefix: impl Into<String>, doc: impl Into<String>) -> Self {
        self.prefixes.push((prefix.into(), doc.into()));
        self
    }

    /// Adds all keys of another definition.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        for key in &other.keys {
            self = self.define(key.clone());
        }
        self.prefixes.extend(other.prefixes.iter().cloned());
        self
    }

    /// The same keys under a prefix (`ConfigDef.embed`).
    #[must_use]
    pub fn embed(&self, prefix: &str) -> Self {
        let keys =
            self.keys.iter().map(|key| ConfigKey { name: format!("{prefix}{}", key.name), ..key.clone() }).collect();
        let prefixes = self.prefixes.iter().map(|(name, doc)| (format!("{prefix}{name}"), doc.clone())).collect();
        Self { keys, prefixes }
    }

    /// The keys in the order of their definition.
    pub fn keys(&self) -> &[ConfigKey] {
        &self.keys
    }

    /// The prefixes under which every key is accepted, with what they mean.
    pub fn prefixes(&self) -> &[(String, String)] {
        &self.prefixes
    }

    /// The definition of a key.
    pub fn get(&self, name: &str) -> Option<&ConfigKey> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Whether the key is defined, by name or by prefix.
    pub fn accepts(&self, name: &str) -> bool {
        self.get(name).is_some() || self.prefixes.iter().any(|(prefix, _)| name.starts_with(prefix.as_str()))
    }

    /// Parses all defined keys; keys that are not defined are left alone (see [`ConfigDef::unknown`]).
    /// Where Java stops at the first error, this collects them all.
    pub fn parse(&self, raw: &RawConfig) -> Result<Config, Vec<ConfigError>> {
        let mut values = BTreeMap::new();
        let mut errors = Vec::new();
        for key in &self.keys {
            match key.resolve(raw) {
                Ok(value) => {
                    values.insert(key.name.clone(), value);
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Config::new(values, raw.clone())) } else { Err(errors) }
    }

    /// Everything that is wrong with the defined keys.
    pub fn errors(&self, raw: &RawConfig) -> Vec<ConfigError> {
        self.keys.iter().filter_map(|key| key.resolve(raw).err()).collect()
    }

    /// An error for each key that is not defined, with the nearest defined key.
    pub fn unknown(&self, raw: &RawConfig) -> Vec<ConfigError> {
        raw.keys()
            .filter(|name| !self.accepts(name))
            .map(|name| super::suggest::unknown_key(name, self.keys.iter().map(|key| key.name.as_str())))
            .collect()
    }

    /// What `PUT /connector-plugins/{plugin}/config/validate` answers for the defined keys (`ConfigDef.validate`),
    /// Java's second error for a value that could not be parsed included.
    pub fn validate(&self, raw: &RawConfig) -> Vec<ConfigValue> {
        self.keys.iter().map(|key| key.inspect(raw)).collect()
    }
}
