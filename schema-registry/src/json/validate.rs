//! Messages checked against their JSON Schema (`json.fail.invalid.schema`).

use barnabas_connect::{Error, Result};
use jsonschema::{Draft, Retrieve, Uri, Validator};
use serde_json::Value as Json;

/// What the messages of one schema must satisfy.
pub struct Rules(Validator);

/// The schemas that one refers to, and no others: a schema must not make us read files or pages.
struct References(Vec<(String, Json)>);

impl Retrieve for References {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Json, Box<dyn std::error::Error + Send + Sync>> {
        let uri = uri.as_str();
        // The name is what the schema wrote; the library has put the schema's own address in front. Of names of which one ends in
        // the other, the longer is meant.
        let named = |name: &str| uri == name || uri.strip_suffix(name).is_some_and(|before| before.ends_with('/'));
        match self.0.iter().filter(|(name, _)| named(name)).max_by_key(|(name, _)| name.len()) {
            Some((_, schema)) => Ok(schema.clone()),
            None => Err(format!("{uri} is not among the references of the schema").into()),
        }
    }
}

impl Rules {
    /// The rules of a schema. As in the original they are those of draft 7 where the schema does not say.
    pub fn new(schema: &Json, references: &[(String, String)], only_old_drafts: bool) -> Result<Self> {
        let wrong = |error: String| Error::data(format!("Messages cannot be checked against the schema: {error}"));
        let parse = |(name, text): &(String, String)| match serde_json::from_str(text) {
            Ok(json) => Ok((name.clone(), json)),
            Err(error) => Err(wrong(format!("{name} is not JSON: {error}"))),
        };
        let references = references.iter().map(parse).collect::<Result<Vec<_>>>()?;
        let draft = match Draft::Draft7.detect(schema) {
            draft @ (Draft::Draft4 | Draft::Draft6) => draft,
            draft @ (Draft::Draft201909 | Draft::Draft202012) if !only_old_drafts => draft,
            _ => Draft::Draft7,
        };
        let options = jsonschema::options().with_draft(draft).with_retriever(References(references));
        Ok(Self(options.build(schema).map_err(|error| wrong(error.to_string()))?))
    }

    /// Checks a message. What the error says holds no data.
    pub fn check(&self, message: &[u8]) -> Result<()> {
        let json: Json = serde_json::from_slice(message)
            .map_err(|error| Error::data(format!("The message is not JSON: {error}")))?;
        self.0.validate(&json).map_err(|error| {
            let at = match error.instance_path().as_str() {
                "" => "its root",
                path => path,
            };
            Error::data(format!("The message does not match its schema: at {at}, {}", error.masked()))
                .with_reason("InvalidMessage")
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn check(schema: Json, references: &[(&str, &str)], only_old_drafts: bool, message: &str) -> Result<()> {
        let references: Vec<_> =
            references.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Rules::new(&schema, &references, only_old_drafts)?.check(message.as_bytes())
    }

    #[test]
    fn an_error_names_the_place_and_not_the_data() {
        let schema = json!({"properties": {"pin": {"type": "string", "maxLength": 4}}});
        check(schema.clone(), &[], false, r#"{"pin":"1234"}"#).unwrap();
        let error = check(schema, &[], false, r#"{"pin":"secret"}"#).unwrap_err();
        assert!(error.message().contains("/pin") && !error.message().contains("secret"), "{error}");
    }

    #[test]
    fn references_are_those_of_the_registry_alone() {
        let small = r#"{"type":"integer","maximum":3}"#;
        for schema in [json!({"$ref": "small.json"}), json!({"$id": "http://x/y/z.json", "$ref": "small.json"})] {
            check(schema.clone(), &[("small.json", small)], false, "3").unwrap();
            assert!(check(schema, &[("small.json", small)], false, "4").is_err());
        }
        let error = check(json!({"$ref": "file:///etc/hostname"}), &[], false, "1").unwrap_err();
        assert!(error.message().contains("not among the references"), "{error}");
    }

    #[test]
    fn the_draft_is_the_schemas_or_seven() {
        // Beside a reference, draft 7 sees nothing else.
        let siblings = |dialect: &str| json!({"$schema": dialect, "$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n", "maximum": 3});
        let modern = siblings("https://json-schema.org/draft/2020-12/schema");
        assert!(check(modern.clone(), &[], false, "4").is_err());
        check(modern, &[], true, "4").unwrap();
        check(siblings("http://json-schema.org/draft-07/schema#"), &[], false, "4").unwrap();
    }
}
