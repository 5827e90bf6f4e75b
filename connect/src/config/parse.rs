//! From text to typed values (`ConfigDef.parseType`).

use super::{
    ConfigError, ConfigKey, ConfigValue, Default, Parsed, Password, RawConfig, Type, invalid_value, missing_key,
};
use crate::java;

impl Type {
    /// Parses text as Java does; the error is what stands behind `Invalid value <v> for configuration <k>: `.
    pub fn parse(self, text: &str) -> Result<Parsed, String> {
        let trimmed = java::trim(text);
        let number = || format!("Not a number of type {}", self.name());
        Ok(match self {
            Self::Boolean if trimmed.eq_ignore_ascii_case("true") => Parsed::Boolean(true),
            Self::Boolean if trimmed.eq_ignore_ascii_case("false") => Parsed::Boolean(false),
            Self::Boolean => return Err("Expected value to be either true or false".to_owned()),
            Self::String => Parsed::String(trimmed.to_owned()),
            Self::Class => Parsed::Class(trimmed.to_owned()),
            Self::Password => Parsed::Password(Password::new(trimmed)),
            Self::Int => Parsed::Int(trimmed.parse().map_err(|_| number())?),
            Self::Short => Parsed::Short(trimmed.parse().map_err(|_| number())?),
            Self::Long => Parsed::Long(trimmed.parse().map_err(|_| number())?),
            Self::Double => {
                Parsed::Double(java::float_literal(trimmed).and_then(|text| text.parse().ok()).ok_or_else(number)?)
            }
            Self::List => Parsed::List(split_list(trimmed)),
        })
    }
}

/// `text.split("\\s*,\\s*", -1)`; the empty text is the empty list.
fn split_list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    const SPACE: [char; 6] = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];
    text.split(',').map(|item| item.trim_matches(SPACE).to_owned()).collect()
}

impl ConfigKey {
    /// The checked value, the default, or the first error.
    pub(super) fn resolve(&self, raw: &RawConfig) -> Result<Option<Parsed>, ConfigError> {
        let value = match (raw.get(&self.name), &self.default) {
            (Some(text), _) => {
                Some(self.ty.parse(text).map_err(|what| ConfigError::invalid(&self.name, &self.shown(text), &what))?)
            }
            (None, Default::Required) => return Err(ConfigError::missing(&self.name)),
            (None, Default::Null) => None,
            (None, Default::Value(value)) => Some(value.clone()),
        };
        if let Some(validator) = &self.validator {
            validator
                .check(&self.name, value.as_ref())
                .map_err(|message| ConfigError::new(&self.name, "InvalidValue", message))?;
        }
        Ok(value)
    }

    /// What is to be shown of the key, and its parsed value.
    pub(super) fn inspect(&self, raw: &RawConfig) -> (ConfigValue, Option<Parsed>) {
        let mut errors = Vec::new();
        let value = match (raw.get(&self.name), &self.default) {
            (Some(text), _) => self
                .ty
                .parse(text)
                .map_err(|what| errors.push(invalid_value(&self.name, &self.shown(text), &what)))
                .ok(),
            (None, Default::Required) => {
                errors.push(missing_key(&self.name));
                None
            }
            (None, Default::Null) => None,
            (None, Default::Value(value)) => Some(value.clone()),
        };
        if let Some(validator) = &self.validator
            && let Err(message) = validator.check(&self.name, value.as_ref())
        {
            errors.push(message);
        }
        let shown = value.as_ref().map(ToString::to_string);
        (ConfigValue { value: shown, errors, ..ConfigValue::new(&self.name) }, value)
    }

    /// A secret is never part of a message.
    fn shown<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        if self.ty == Type::Password { Password::HIDDEN.into() } else { text.into() }
    }
}
