//! The path of one field, possibly within nested structs or maps (`SingleFieldPath`, KIP-821).

use crate::config::{ConfigError, ConfigKey, Importance, Type, Validator};
use crate::error::{Error, Result};
use crate::schema::{Field, Schema, SchemaKind};
use crate::value::{Map, Struct, Value};

use super::fields::not_a_map;

const PURPOSE: &str = "nested field access";

/// `field.syntax.version`
pub(super) fn syntax_version() -> ConfigKey {
    ConfigKey::new("field.syntax.version", Type::String)
        .default("V1")
        .validator(Validator::one_of_ignore_case(&["V1", "V2"]))
        .importance(Importance::High)
        .doc(
            "How fields are named. With V1 a name is that of a field of the record itself. With V2 dots lead into nested \
             structs and maps: `a.b` is the field b of the field a; names that hold dots stand between backticks.",
        )
}

/// One field name for each level; never empty.
#[derive(Debug, PartialEq)]
pub(super) struct FieldPath {
    steps: Vec<String>,
}

impl FieldPath {
    /// The path in the syntax of `version`, V1 or V2. The error names the key `field`.
    pub fn parse(text: &str, version: &str) -> std::result::Result<Self, ConfigError> {
        if !version.eq_ignore_ascii_case("V2") {
            return Ok(Self { steps: vec![text.to_owned()] });
        }
        if text.is_empty() {
            return Err(ConfigError::invalid("field", text, "a path of version V2 has at least one field name"));
        }
        match steps(text) {
            Ok(steps) => Ok(Self { steps }),
            Err(backtick) => Err(ConfigError::new(
                "field",
                "InvalidValue",
                format!(
                    "Incomplete backtick pair in path: [{text}], consider adding a backslash before backtick at position \
                     {backtick} to escape it"
                ),
            )),
        }
    }

    /// The index of the field at each level, and the field itself; `None` where one does not exist.
    /// Fails where the path leads into something that is not a struct.
    pub fn resolve<'a>(&self, schema: &'a Schema) -> Result<Option<(Vec<usize>, &'a Field)>> {
        let mut indexes = Vec::with_capacity(self.steps.len());
        let mut schema = schema;
        let mut found = None;
        for step in &self.steps {
            if schema.kind() != SchemaKind::Struct {
                return Err(Error::data("Cannot look up fields on non-struct type"));
            }
            let Some(index) = schema.field_index(step) else { return Ok(None) };
            let field = &schema.fields()[index];
            indexes.push(index);
            schema = field.schema();
            found = Some(field);
        }
        Ok(found.map(|field| (indexes, field)))
    }

    /// The value in schemaless data; null where a part of the path does not exist.
    pub fn value_in(&self, map: &Map) -> Result<Value> {
        let mut map = map;
        let (last, outer) = self.steps.split_last().map_or(("", &[][..]), |(last, outer)| (last, outer));
        for step in outer {
            map = match map.get(step) {
                None | Some(Value::Null) => return Ok(Value::Null),
                Some(Value::Map(inner)) => inner,
                Some(other) => return Err(not_a_map(other, PURPOSE)),
            };
        }
        Ok(map.get(last).cloned().unwrap_or_default())
    }
}

/// The value at the indexes that [`FieldPath::resolve`] found. On the way null takes its default; of the last field only
/// when `with_default` says so.
pub(super) fn value_at(fields: &Struct, indexes: &[usize], with_default: bool) -> Value {
    let mut fields = fields;
    let Some((last, outer)) = indexes.split_last() else { return Value::Null };
    for index in outer {
        match fields.get_at(*index) {
            Value::Struct(inner) => fields = inner,
            _ => return Value::Null,
        }
    }
    if with_default { fields.get_at(*last).clone() } else { fields.values()[*last].clone() }
}

/// The steps of a path of version 2. A name may stand between backticks; there a backtick before a dot, or at the end, closes the
/// name unless a backslash stands before it. The error is the position of a backtick that is not closed, in UTF-16 units.
fn steps(path: &str) -> std::result::Result<Vec<String>, usize> {
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        if let Some(quoted) = rest.strip_prefix('`') {
            let opened = path.len() - rest.len();
            let mut name = String::new();
            let mut start = 0;
            let mut from = 0;
            let end = loop {
                let at = quoted[from..].find('`').map(|at| from + at).ok_or_else(|| units(path, opened))?;
                // The character before, which may be the opening backtick itself.
                let escaped = quoted[..at].ends_with('\\');
                match quoted[at + 1..].chars().next() {
                    None if escaped => return Err(units(path, opened)),
                    Some('.') if escaped => {
                        name.push_str(&quoted[start..at - 1]);
                        name.push('`');
                        start = at + 1;
                    }
                    None | Some('.') => break at,
                    // A backtick in the middle of a name is part of it.
                    Some(_) => {}
                }
                from = at + 1;
            };
            name.push_str(&quoted[start..end]);
            steps.push(name);
            match quoted[end + 1..].strip_prefix('.') {
                Some(more) => rest = more,
                None => return Ok(steps),
            }
        } else {
            match rest.split_once('.') {
                Some((name, more)) => {
                    steps.push(name.to_owned());
                    rest = more;
                }
                None => {
                    steps.push(rest.to_owned());
                    return Ok(steps);
                }
            }
        }
    }
}

fn units(path: &str, at: usize) -> usize {
    path[..at].encode_utf16().count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_version_1_is_one_name() {
        for text in ["", "a", "a.b", "`a`.b"] {
            assert_eq!(FieldPath::parse(text, "v1").unwrap().steps, [text]);
        }
    }

    #[test]
    fn dots_divide_a_path_of_version_2_and_backticks_keep_them() {
        for (path, expected) in [
            ("foo", &["foo"][..]),
            ("foo.bar.baz", &["foo", "bar", "baz"]),
            ("foo.", &["foo", ""]),
            (".", &["", ""]),
            (".foo", &["", "foo"]),
            ("`foo.bar`.baz", &["foo.bar", "baz"]),
            ("a.`b.c`", &["a", "b.c"]),
            ("a`b.c", &["a`b", "c"]),
            ("`a`b`.c", &["a`b", "c"]),
            (r"`a\`.b`", &["a`.b"]),
            (r"`a\`b`", &[r"a\`b"]),
            ("``", &[""]),
            ("``.x", &["", "x"]),
            ("`a.b`.", &["a.b", ""]),
            ("ü.`日.本`", &["ü", "日.本"]),
        ] {
            assert_eq!(FieldPath::parse(path, "V2").unwrap().steps, expected, "{path}");
        }
    }

    #[test]
    fn a_backtick_that_is_not_closed_is_named() {
        for (path, position) in [("`foo", 0), ("a.`foo", 2), (r"`a\`", 0), ("ü.`", 2), ("`a`b", 0)] {
            let error = FieldPath::parse(path, "V2").unwrap_err();
            assert!(error.message.contains(&format!("backtick at position {position} ")), "{path}: {error}");
        }
        assert!(FieldPath::parse("", "V2").is_err());
    }
}
