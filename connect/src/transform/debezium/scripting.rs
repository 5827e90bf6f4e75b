//! Expressions on records. Debezium has them in Groovy or JavaScript, which need a JVM; here they are in CEL, the Common
//! Expression Language, whose comparisons and logic read the same.

use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::Key;
use cel::{Context, Env, Program};

use crate::config::{Config, ConfigDef, ConfigError, ConfigKey, Importance, Parsed, Type, Validator, invalid_value};
use crate::error::{Error, Result};
use crate::record::Record;
use crate::regex::JavaRegex;
use crate::value::Value;

use super::regex_key;

/// The keys of both transforms; `expression` is the name of the one that holds the expression.
pub(super) fn config_def(expression: &str, doc: &str) -> ConfigDef {
    ConfigDef::new()
        .define(regex_key("topic.regex", "A Java regular expression. The transform leaves topics alone whose whole name does not match."))
        .define(
            ConfigKey::new("language", Type::String)
                .default("cel")
                .importance(Importance::High)
                .validator(Validator::Custom("cel", |name, value| match value.and_then(Parsed::as_text) {
                    Some(text) if !text.eq_ignore_ascii_case("cel") => Err(invalid_value(
                        name,
                        text,
                        "expressions are written in CEL here, because other languages need a JVM. Set it to cel, or leave it out. \
                         Comparisons, &&, ||, ! and ?: stay as they are: value.op == 'u' && value.before.id == 2",
                    )),
                    _ => Ok(()),
                }))
                .doc("The language of the expression."),
        )
        .define(
            ConfigKey::new(expression, Type::String).importance(Importance::High).validator(Validator::NonEmptyString).doc(format!(
                "{doc} It knows `key`, `value`, `topic`, and `header` with the value of a header in `header.name.value`. Dates are \
                 numbers of days, times and timestamps numbers of milliseconds."
            )),
        )
        .define(
            ConfigKey::new("null.handling.mode", Type::String)
                .default("keep")
                .importance(Importance::Low)
                .validator(Validator::one_of_ignore_case(&["keep", "drop", "evaluate"]))
                .doc("Whether records without a value are left alone, left out, or looked at as all others."),
        )
}

/// A compiled expression, and the records that it is for.
pub(super) struct Script {
    topics: Option<JavaRegex>,
    /// What becomes of a record without a value.
    of_null: Decision,
    text: String,
    program: Program,
    env: Arc<Env>,
    uses: Uses,
}

/// The variables that the expression uses; others are not filled in.
struct Uses {
    key: bool,
    value: bool,
    topic: bool,
    header: bool,
}

/// What happens to a record.
#[derive(Clone, Copy)]
pub(super) enum Decision {
    Keep,
    Drop,
    Evaluate,
}

impl Script {
    /// Compiles the expression under the key `name`.
    pub fn new(config: &Config, name: &str) -> std::result::Result<Self, Vec<ConfigError>> {
        let text = config.string(name).to_owned();
        let env = Arc::new(Env::stdlib());
        let program = env
            .compile(&text)
            .map_err(|error| vec![ConfigError::invalid(name, &text, &format!("not a CEL expression: {error}"))])?;
        let references = program.references();
        let uses = Uses {
            key: references.has_variable("key"),
            value: references.has_variable("value"),
            topic: references.has_variable("topic"),
            header: references.has_variable("header"),
        };
        let pattern = config.opt_string("topic.regex").filter(|pattern| !pattern.is_empty());
        Ok(Self {
            topics: pattern.map(|pattern| super::compile("topic.regex", pattern)).transpose()?,
            of_null: match config.string("null.handling.mode").to_lowercase().as_str() {
                "drop" => Decision::Drop,
                "evaluate" => Decision::Evaluate,
                _ => Decision::Keep,
            },
            text,
            program,
            env,
            uses,
        })
    }

    /// Whether the expression is to be asked.
    pub fn decide(&self, record: &Record) -> Result<Decision> {
        if let Some(topics) = &self.topics
            && !topics.matches(&record.topic)?
        {
            return Ok(Decision::Keep);
        }
        Ok(if record.value.value.is_null() { self.of_null } else { Decision::Evaluate })
    }

    /// The value of the expression.
    pub fn evaluate(&self, record: &Record) -> Result<cel::Value> {
        let mut context = Context::with_env(self.env.clone());
        if self.uses.key {
            context.add_variable_from_value("key", to_cel(&record.key.value));
        }
        if self.uses.value {
            context.add_variable_from_value("value", to_cel(&record.value.value));
        }
        if self.uses.topic {
            context.add_variable_from_value("topic", record.topic.as_str());
        }
        if self.uses.header {
            let header = |header: &crate::record::Header| {
                let fields = HashMap::from([(Key::from("value"), to_cel(&header.value))]);
                (Key::from(header.key.as_str()), cel::Value::from(fields))
            };
            let headers: HashMap<Key, cel::Value> = record.headers.iter().map(header).collect();
            context.add_variable_from_value("header", headers);
        }
        self.program.execute(&context).map_err(|error| {
            let text = &self.text;
            Error::data(format!(
                "Error while evaluating expression '{text}' for a record of topic {}: {error}",
                record.topic
            ))
        })
    }

    /// The value of the expression is not of the type that the transform needs.
    pub fn wrong_type(&self, value: &cel::Value, expected: &str) -> Error {
        let text = &self.text;
        Error::data(format!("Value '{value:?}' returned by the expression '{text}' is not a {expected}"))
    }
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Boolean(value) => cel::Value::Bool(*value),
        Value::Float32(number) => cel::Value::Float(f64::from(*number)),
        Value::Float64(number) => cel::Value::Float(*number),
        Value::Decimal(number) => cel::Value::Float(number.to_f64()),
        Value::String(text) => cel::Value::from(text.as_str()),
        Value::Bytes(bytes) => cel::Value::Bytes(Arc::new(bytes.to_vec())),
        Value::Date(number) | Value::Time(number) => cel::Value::Int(i64::from(*number)),
        Value::Timestamp(number) => cel::Value::Int(*number),
        Value::Array(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Map(map) => {
            let entry = |(key, value): &(Value, Value)| (to_key(key), to_cel(value));
            cel::Value::from(map.iter().map(entry).collect::<HashMap<_, _>>())
        }
        Value::Struct(fields) => {
            let names = fields.schema().fields().iter().enumerate();
            let entries = names.map(|(index, field)| (Key::from(field.name()), to_cel(fields.get_at(index))));
            cel::Value::from(entries.collect::<HashMap<_, _>>())
        }
        integer => integer.as_i64().map_or(cel::Value::Null, cel::Value::Int),
    }
}

fn to_key(key: &Value) -> Key {
    match key {
        Value::Boolean(key) => Key::Bool(*key),
        Value::String(key) => Key::from(key.as_str()),
        other => other.as_i64().map_or_else(|| Key::from(other.to_string().as_str()), Key::Int),
    }
}
