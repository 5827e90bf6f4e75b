//! Checks a document against a CRD's OpenAPI schema, as the API server does.
//!
//! Unlike the API server, which prunes what it does not know, an unknown field
//! is an error here: in a folder it can only be a mistake.

use fancy_regex::Regex;
use serde_json::Value;

use super::yaml::Path;

/// Something wrong at a place of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub path: Path,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Everything wrong with `value` by the structural schema `schema` (an OpenAPI v3 schema of a CRD, as JSON).
///
/// CEL rules are not looked at: their Rust counterparts are checked on the typed resource.
pub fn check(schema: &Value, value: &Value, path: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(schema, value, path, &mut findings);
    findings
}

fn walk(schema: &Value, value: &Value, path: &Path, findings: &mut Vec<Finding>) {
    let mut say = |message: String| findings.push(Finding { path: path.clone(), message });
    if value.is_null() {
        return;
    }
    if schema["x-kubernetes-int-or-string"] == true {
        if !(value.is_string() || value.is_i64() || value.is_u64()) {
            say(format!("must be a whole number or a string, not {}", kind(value)));
        }
        return;
    }
    if let Some(wanted) = schema["type"].as_str()
        && !fits(wanted, value)
    {
        let article = if wanted.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
        let hint =
            if wanted == "string" && !value.is_object() && !value.is_array() { "; put it in quotes" } else { "" };
        let wanted = if wanted == "integer" { "integer (a whole number)" } else { wanted };
        say(format!("must be {article} {wanted}, not {}{hint}", kind(value)));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed: Vec<String> = allowed.iter().filter(|value| !value.is_null()).map(plain).collect();
        say(format!("must be one of {}, not {}", allowed.join(", "), kind(value)));
    }
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            if let Some(minimum) = schema["minimum"].as_f64().filter(|minimum| number < *minimum) {
                say(format!("must be at least {minimum}, not {value}"));
            }
            if let Some(maximum) = schema["maximum"].as_f64().filter(|maximum| number > *maximum) {
                say(format!("must be at most {maximum}, not {value}"));
            }
        }
        Value::String(text) => {
            let length = text.chars().count() as u64;
            if let Some(minimum) = schema["minLength"].as_u64().filter(|minimum| length < *minimum) {
                say(format!("must have at least {minimum} characters"));
            }
            if let Some(maximum) = schema["maxLength"].as_u64().filter(|maximum| length > *maximum) {
                say(format!("must have at most {maximum} characters, not {length}"));
            }
            if let Some(pattern) = schema["pattern"].as_str()
                && Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text).unwrap_or(true))
            {
                say(format!("must match {pattern}, which {text:?} does not"));
            }
        }
        Value::Array(items) => {
            if let Some(minimum) = schema["minItems"].as_u64().filter(|minimum| (items.len() as u64) < *minimum) {
                say(format!("must have at least {minimum} elements"));
            }
            if let Some(maximum) = schema["maxItems"].as_u64().filter(|maximum| (items.len() as u64) > *maximum) {
                say(format!("must have at most {maximum} elements, not {}", items.len()));
            }
            for (index, item) in items.iter().enumerate() {
                walk(&schema["items"], item, &path.index(index), findings);
            }
        }
        Value::Object(fields) => {
            let empty = serde_json::Map::new();
            let known = schema["properties"].as_object().unwrap_or(&empty);
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if fields.get(name).is_none_or(Value::is_null) {
                    findings.push(Finding { path: path.key(name), message: "is required".to_owned() });
                }
            }
            let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
            for (name, value) in fields {
                let path = path.key(name);
                if let Some(schema) = known.get(name) {
                    walk(schema, value, &path, findings);
                } else if schema["additionalProperties"].is_object() {
                    walk(&schema["additionalProperties"], value, &path, findings);
                } else if !(open || schema["additionalProperties"] == true || schema["type"].is_null()) {
                    findings.push(Finding { path, message: unknown(name, known.keys().map(String::as_str)) });
                }
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// Says that `name` is not known, and which name was probably meant.
pub fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(meant) => format!("unknown field; did you mean `{meant}`?"),
        None => "unknown field".to_owned(),
    }
}

/// The name among `known` that `name` is a likely misspelling of.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Two letters exchanged are two edits; but a name of two letters is not a misspelling of any other.
    let letters = name.chars().count();
    let far = (letters / 3).max(2).min(letters.saturating_sub(1));
    known
        .map(|other| (distance(&name.to_lowercase(), &other.to_lowercase()), other))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, other)| other)
}

/// Levenshtein's edit distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

fn fits(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(value) => format!("the number {value}"),
        Value::String(value) if value.len() <= 60 => format!("{value:?}"),
        Value::String(_) => "this string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn said(value: &Value) -> Vec<String> {
        let schema = json!({"type": "object", "required": ["class"], "properties": {
            "class": {"type": "string", "minLength": 1},
            "tasksMax": {"type": "integer", "minimum": 1},
            "state": {"type": "string", "enum": ["running", "paused"]},
            "name": {"type": "string", "pattern": "^[a-z]+$"},
            "config": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "cpu": {"x-kubernetes-int-or-string": true},
            "certs": {"type": "array", "items": {"type": "object", "properties": {"key": {"type": "string"}}}},
        }});
        check(&schema, value, &Path::of(["spec"])).iter().map(|f| format!("{}: {}", f.path, f.message)).collect()
    }

    #[test]
    fn a_right_document_is_right() {
        let value = json!({"class": "X", "tasksMax": 2, "state": "paused", "name": "abc", "config": {"a": {"b": 1}},
            "labels": {"x": "y"}, "cpu": "500m", "certs": [{"key": "k"}]});
        assert!(said(&value).is_empty());
    }

    #[test]
    fn everything_wrong_is_said_with_its_place() {
        let value = json!({"taskMax": 2, "tasksMax": 0, "state": "gone", "name": "A1", "labels": {"x": 1},
            "cpu": 1.5, "certs": [{"kye": "k"}]});
        let said = said(&value);
        for expected in [
            "spec.class: is required",
            "spec.taskMax: unknown field; did you mean `tasksMax`?",
            "spec.tasksMax: must be at least 1, not 0",
            "spec.state: must be one of running, paused, not \"gone\"",
            "spec.name: must match ^[a-z]+$, which \"A1\" does not",
            "spec.labels.x: must be a string, not the number 1; put it in quotes",
            "spec.cpu: must be a whole number or a string, not the number 1.5",
            "spec.certs[0].kye: unknown field; did you mean `key`?",
        ] {
            assert!(said.iter().any(|line| line == expected), "{expected} is not in {said:#?}");
        }
        assert_eq!(said.len(), 8);
    }

    #[test]
    fn a_wrong_type_is_named() {
        assert_eq!(
            said(&json!({"class": "X", "tasksMax": "2"})),
            ["spec.tasksMax: must be an integer (a whole number), not \"2\""]
        );
    }
}
