//! The definitions themselves.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::recommender::{Embedded, Fixed};
use super::{Config, ConfigError, ConfigValue, Parsed, RawConfig, Recommender, Validator};

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

impl Width {
    /// The name of the Java constant.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Short => "SHORT",
            Self::Medium => "MEDIUM",
            Self::Long => "LONG",
        }
    }
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
    pub group: Option<Cow<'static, str>>,
    /// The place in the group.
    pub order: i32,
    /// The width of an input field.
    pub width: Width,
    /// The name for people.
    pub display_name: String,
    /// The keys whose meaning depends on this one.
    pub dependents: Vec<String>,
    /// What to offer, and whether to show the key.
    pub recommender: Option<Arc<dyn Recommender>>,
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
            recommender: None,
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

    /// Group (or an empty text for none), place in the group, width and name for a user interface.
    #[must_use]
    pub fn display(
        mut self,
        group: impl Into<Cow<'static, str>>,
        order: i32,
        width: Width,
        name: impl Into<String>,
    ) -> Self {
        self.group = Some(group.into()).filter(|group| !group.is_empty());
        self.order = order;
        self.width = width;
        self.display_name = name.into();
        self
    }

    /// The keys whose meaning depends on this one.
    #[must_use]
    pub fn dependents(mut self, names: &[&str]) -> Self {
        self.dependents = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// The values to offer, whatever the other keys are.
    #[must_use]
    pub fn recommended(self, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.recommender(Fixed(values.into_iter().map(Into::into).collect()))
    }

    /// What to offer, and whether to show the key.
    #[must_use]
    pub fn recommender(mut self, recommender: impl Recommender + 'static) -> Self {
        self.recommender = Some(Arc::new(recommender));
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
        let keys = self.keys.iter().cloned().map(|mut key| {
            key.name.insert_str(0, prefix);
            key.dependents.iter_mut().for_each(|name| name.insert_str(0, prefix));
            key.recommender = key.recommender.map(|inner| Arc::new(Embedded { prefix: prefix.to_owned(), inner }) as _);
            key
        });
        let keys = keys.collect();
        let prefixes = self.prefixes.iter().map(|(name, doc)| (format!("{prefix}{name}"), doc.clone())).collect();
        Self { keys, prefixes }
    }

    /// The same keys under a prefix, in one part of a user interface, after `order` others (`ConfigDef.embed` with a group).
    /// Where they do not say their order, required keys come first, then important ones.
    #[must_use]
    pub fn embed_in(&self, prefix: &str, part: &str, order: i32) -> Self {
        let mut embedded = self.embed(prefix);
        let groups = self.groups();
        let group = |key: &ConfigKey| groups.iter().position(|group| key.group.as_deref() == Some(*group));
        embedded.keys.sort_by_key(|key| (group(key), key.order, !key.is_required(), key.importance, key.name.clone()));
        for (key, order) in embedded.keys.iter_mut().zip(order..) {
            key.group = Some(match &key.group {
                Some(group) => format!("{part}: {group}").into(),
                None => part.to_owned().into(),
            });
            key.order = order;
        }
        embedded
    }

    /// The groups of the keys, in the order of their definition.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        for group in self.keys.iter().filter_map(|key| key.group.as_deref()) {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
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
        let mut parsed = BTreeMap::new();
        let mut values: Vec<ConfigValue> = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let (value, checked) = key.inspect(raw);
            parsed.insert(key.name.clone(), checked);
            values.push(value);
        }
        for (key, value) in self.keys.iter().zip(&mut values) {
            if let Some(recommender) = &key.recommender {
                value.recommended = recommender.values(&key.name, &parsed);
                value.visible = recommender.visible(&key.name, &parsed);
            }
        }
        for name in self.keys.iter().flat_map(|key| &key.dependents) {
            if values.iter().all(|value| value.name != *name) {
                let error = format!("{name} is referred in the dependents, but not defined.");
                values.push(ConfigValue { errors: vec![error], visible: false, ..ConfigValue::new(name) });
            }
        }
        values
    }
}
