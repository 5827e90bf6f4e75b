//! What a parsed value must satisfy (`ConfigDef.Validator` and its implementations). Messages are Java's.

use super::{Parsed, invalid_value};

/// What a value must satisfy.
#[derive(Clone, Debug)]
pub enum Validator {
    /// A number in a range, either end open; null is an error (`ConfigDef.Range`).
    Range {
        /// The smallest that is allowed.
        min: Option<Number>,
        /// The largest that is allowed.
        max: Option<Number>,
    },
    /// One of a list of strings (`ConfigDef.ValidString`).
    OneOf(Vec<String>),
    /// One of a list of strings, in any case (`ConfigDef.CaseInsensitiveValidString`).
    OneOfIgnoreCase(Vec<String>),
    /// A list whose items come from a list of strings (`ConfigDef.ValidList`).
    EachOneOf(Vec<String>),
    /// Not null (`ConfigDef.NonNullValidator`).
    NonNull,
    /// Not the empty string; null is allowed (`ConfigDef.NonEmptyString`).
    NonEmptyString,
    /// Not empty and without control characters; null is allowed (`ConfigDef.NonEmptyStringWithoutControlChars`).
    NonEmptyStringWithoutControlChars,
    /// A list without duplicates of things named here (`ConnectorConfig.aliasValidator`).
    Unique(&'static str),
    /// A Java regular expression (`org.apache.kafka.connect.transforms.util.RegexValidator`).
    Regex,
    /// All of these, up to the first that fails (`ConfigDef.CompositeValidator`).
    All(Vec<Validator>),
    /// Any other rule. The first string describes it for people; the function returns the whole message.
    Custom(&'static str, fn(name: &str, value: Option<&Parsed>) -> Result<(), String>),
}

/// A bound of a range, printed as Java prints it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Whole(i64),
    /// A floating-point number.
    Float(f64),
}

impl Number {
    fn as_f64(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{value}"),
            Self::Float(value) => f.write_str(&crate::java::double_to_string(*value)),
        }
    }
}

impl From<i32> for Number {
    fn from(value: i32) -> Self {
        Self::Whole(value.into())
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl Validator {
    /// A number that is not smaller.
    pub fn at_least(min: impl Into<Number>) -> Self {
        Self::Range { min: Some(min.into()), max: None }
    }

    /// A number in a closed range.
    pub fn between(min: impl Into<Number>, max: impl Into<Number>) -> Self {
        Self::Range { min: Some(min.into()), max: Some(max.into()) }
    }

    /// One of these strings.
    pub fn one_of(values: &[&str]) -> Self {
        Self::OneOf(values.iter().map(|&value| value.to_owned()).collect())
    }

    /// One of these strings, in any case.
    pub fn one_of_ignore_case(values: &[&str]) -> Self {
        Self::OneOfIgnoreCase(values.iter().map(|&value| value.to_owned()).collect())
    }

    /// Checks a value; the error is the whole message.
    pub fn check(&self, name: &str, value: Option<&Parsed>) -> Result<(), String> {
        let shown = || value.map_or_else(|| "null".to_owned(), Parsed::to_java_string);
        let fail = |what: &str| Err(invalid_value(name, &shown(), what));
        match self {
            Self::Range { min, max } => {
                let Some(value) = value else { return fail("Value must be non-null") };
                let number = value.as_number().unwrap_or(f64::NAN);
                match (min, max) {
                    (Some(min), _) if number < min.as_f64() => fail(&format!("Value must be at least {min}")),
                    (_, Some(max)) if number > max.as_f64() => fail(&format!("Value must be no more than {max}")),
                    _ => Ok(()),
                }
            }
            Self::OneOf(choices) => match value.and_then(Parsed::as_text) {
                Some(text) if choices.iter().any(|choice| choice == text) => Ok(()),
                _ => fail(&format!("String must be one of: {}", choices.join(", "))),
            },
            Self::OneOfIgnoreCase(choices) => match value.and_then(Parsed::as_text) {
                Some(text) if choices.iter().any(|choice| choice.eq_ignore_ascii_case(text)) => Ok(()),
                _ => fail(&format!(
                    "String must be one of (case insensitive): {}",
                    choices.iter().map(|choice| choice.to_uppercase()).collect::<Vec<_>>().join(", ")
                )),
            },
            Self::EachOneOf(choices) => {
                let items = value.and_then(Parsed::as_list).unwrap_or_default();
                match items.iter().find(|item| !choices.contains(item)) {
                    None => Ok(()),
                    Some(item) => {
                        Err(invalid_value(name, item, &format!("String must be one of: {}", choices.join(", "))))
                    }
                }
            }
            Self::NonNull if value.is_none() => fail("entry must be non null"),
            Self::NonNull => Ok(()),
            Self::NonEmptyString => match value.and_then(Parsed::as_text) {
                Some("") => fail("String must be non-empty"),
                _ => Ok(()),
            },
            Self::NonEmptyStringWithoutControlChars => {
                let Some(text) = value.and_then(Parsed::as_text) else { return Ok(()) };
                if text.is_empty() {
                    return fail("String may not be empty");
                }
                let control: Vec<String> =
                    text.chars().filter(|c| c.is_control()).map(|c| u32::from(c).to_string()).collect();
                if control.is_empty() {
                    return Ok(());
                }
                fail(&format!(
                    "String may not contain control sequences but had the following ASCII chars: {}",
                    control.join(", ")
                ))
            }
            Self::Unique(_) => {
                let items = value.and_then(Parsed::as_list).unwrap_or_default();
                let duplicate = items.iter().enumerate().any(|(index, item)| items[..index].contains(item));
                if duplicate { fail("Duplicate alias provided.") } else { Ok(()) }
            }
            Self::Regex => match value.and_then(Parsed::as_text) {
                Some(text) => match crate::regex::JavaRegex::new(text) {
                    Ok(_) => Ok(()),
                    Err(error) => fail(&format!("Invalid regex: {error}")),
                },
                None => Ok(()),
            },
            Self::All(validators) => validators.iter().try_for_each(|validator| validator.check(name, value)),
            Self::Custom(_, check) => check(name, value),
        }
    }
}

impl std::fmt::Display for Validator {
    /// The text of the column "Valid Values" in Kafka's documentation.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Range { min: None, max: None } => f.write_str("[...]"),
            Self::Range { min: None, max: Some(max) } => write!(f, "[...,{max}]"),
            Self::Range { min: Some(min), max: None } => write!(f, "[{min},...]"),
            Self::Range { min: Some(min), max: Some(max) } => write!(f, "[{min},...,{max}]"),
            Self::OneOf(choices) | Self::EachOneOf(choices) => write!(f, "[{}]", choices.join(", ")),
            Self::OneOfIgnoreCase(choices) => write!(f, "(case insensitive) [{}]", choices.join(", ").to_uppercase()),
            Self::NonNull => f.write_str("non-null string"),
            Self::NonEmptyString => f.write_str("non-empty string"),
            Self::NonEmptyStringWithoutControlChars => f.write_str("non-empty string without ISO control characters"),
            Self::Unique(what) => write!(f, "unique {what}"),
            Self::Regex => f.write_str("valid regex"),
            Self::All(validators) => {
                let all: Vec<String> = validators.iter().map(ToString::to_string).collect();
                f.write_str(&all.join(", "))
            }
            Self::Custom(description, _) => f.write_str(description),
        }
    }
}
