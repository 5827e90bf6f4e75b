//! Parsed values and the typed view on a configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::RawConfig;

/// A secret value. It never prints (`org.apache.kafka.common.config.types.Password`).
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Arc<str>);

impl Password {
    /// What stands in for every secret.
    pub const HIDDEN: &'static str = "[hidden]";

    /// Keeps a secret.
    pub fn new(secret: impl Into<Arc<str>>) -> Self {
        Self(secret.into())
    }

    /// The secret itself; never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::HIDDEN)
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::HIDDEN)
    }
}

/// The value of a key after parsing.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // One for each `Type`.
pub enum Parsed {
    Boolean(bool),
    String(String),
    Int(i32),
    Short(i16),
    Long(i64),
    Double(f64),
    List(Vec<String>),
    Class(String),
    Password(Password),
}

impl Parsed {
    /// The text of a string or class.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::Class(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[String]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value of any numeric type.
    pub fn as_number(&self) -> Option<f64> {
        match *self {
            Self::Int(value) => Some(value.into()),
            Self::Short(value) => Some(value.into()),
            Self::Long(value) => Some(value as f64),
            Self::Double(value) => Some(value),
            _ => None,
        }
    }

    /// As Java's `toString` of the parsed object, which error messages show: lists in brackets.
    pub(super) fn to_java_string(&self) -> String {
        match self {
            Self::List(items) => format!("[{}]", items.join(", ")),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Parsed {
    /// As `ConfigDef.convertToString`: what a person would write.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::String(text) | Self::Class(text) => f.write_str(text),
            Self::Int(value) => write!(f, "{value}"),
            Self::Short(value) => write!(f, "{value}"),
            Self::Long(value) => write!(f, "{value}"),
            Self::Double(value) => f.write_str(&crate::java::double_to_string(*value)),
            Self::List(items) => f.write_str(&items.join(",")),
            Self::Password(_) => f.write_str(Password::HIDDEN),
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Parsed {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! { bool => Boolean, &str => String, String => String, i32 => Int, i16 => Short, i64 => Long, f64 => Double, Vec<String> => List, Password => Password }

/// A checked configuration with a typed getter for each [`super::Type`].
///
/// A getter panics when the key was not defined with that type, which is a mistake in the program; those of keys that may be
/// null return an `Option`.
#[derive(Clone)]
pub struct Config {
    values: BTreeMap<String, Option<Parsed>>,
    raw: RawConfig,
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident, $optional:ident: $variant:ident($binding:ident) => $result:ty = $get:expr;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Panics
            /// When the key is null, or not defined with this type.
            pub fn $name(&self, key: &str) -> $result {
                self.$optional(key).unwrap_or_else(|| panic!("configuration {key} has no value"))
            }

            /// The same, where the key may have no value.
            ///
            /// # Panics
            /// When the key is not defined with this type.
            pub fn $optional(&self, key: &str) -> Option<$result> {
                match self.get(key)? {
                    Parsed::$variant($binding) => Some($get),
                    other => panic!("configuration {key} is not of the asked type but {other:?}"),
                }
            }
        )*
    };
}

impl Config {
    pub(super) fn new(values: BTreeMap<String, Option<Parsed>>, raw: RawConfig) -> Self {
        Self { values, raw }
    }

    /// The parsed value.
    ///
    /// # Panics
    /// When the key is not defined.
    pub fn get(&self, key: &str) -> Option<&Parsed> {
        self.values.get(key).unwrap_or_else(|| panic!("Unknown configuration '{key}'")).as_ref()
    }

    getters! {
        /// A boolean.
        boolean, opt_boolean: Boolean(value) => bool = *value;
        /// A string.
        string, opt_string: String(value) => &str = value.as_str();
        /// A 32-bit integer.
        int, opt_int: Int(value) => i32 = *value;
        /// A 16-bit integer.
        short, opt_short: Short(value) => i16 = *value;
        /// A 64-bit integer.
        long, opt_long: Long(value) => i64 = *value;
        /// A floating-point number.
        double, opt_double: Double(value) => f64 = *value;
        /// A list.
        list, opt_list: List(value) => &[String] = value.as_slice();
        /// A class name.
        class, opt_class: Class(value) => &str = value.as_str();
        /// A secret.
        password, opt_password: Password(value) => &Password = value;
    }

    /// The configuration as it was given, undefined keys included. It may hold secrets.
    pub fn originals(&self) -> &RawConfig {
        &self.raw
    }

    /// The originals under a prefix, with the prefix removed. They may hold secrets.
    pub fn with_prefix(&self, prefix: &str) -> RawConfig {
        super::with_prefix(&self.raw, prefix)
    }
}

impl fmt::Debug for Config {
    /// Parsed values only: the originals may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.values).finish()
    }
}
