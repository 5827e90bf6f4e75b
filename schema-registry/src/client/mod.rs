//! The client of a schema registry (Confluent's REST API).

mod authorization;
mod deadline;
mod http;
mod tls;

use barnabas_connect::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::ClientConfig;
use http::Http;

pub use deadline::Deadline;

/// The reason of errors that come from the registry, whatever their code.
pub const REASON: &str = "SchemaRegistryError";
/// Nobody answered.
const UNREACHABLE: &str = "SchemaRegistryUnreachable";
/// We may not.
const DENIED: &str = "SchemaRegistryDenied";

/// The language of a schema, as the registry names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaType {
    /// `AVRO`, which the registry leaves out.
    Avro,
    /// `JSON`
    Json,
    /// `PROTOBUF`
    Protobuf,
}

impl SchemaType {
    /// The registry's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }
}

/// A schema that another one uses, under the name by which it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// What the referring schema calls it: a full name, a file name or a URL.
    pub name: String,
    /// The subject that it is registered under.
    pub subject: String,
    /// The version in that subject.
    pub version: i32,
}

/// The text of a schema with the schemas it refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SchemaText {
    /// The schema.
    pub schema: String,
    /// What it refers to.
    #[serde(default)]
    pub references: Vec<Reference>,
    #[serde(default, rename = "schemaType")]
    schema_type: Option<String>,
    #[serde(default, rename = "ruleSet")]
    rules: Option<RuleSet>,
}

/// What a data contract wants done to each value, which nobody does here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleSet {
    /// On values.
    #[serde(default)]
    domain_rules: Option<Vec<Rule>>,
    /// On bytes.
    #[serde(default)]
    encoding_rules: Option<Vec<Rule>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Rule {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    disabled: bool,
    /// `READ`, `WRITE`, `WRITEREAD`, or a kind of migration.
    #[serde(default)]
    mode: Option<String>,
}

/// What is done with a schema, which decides which of its rules are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Messages are read with it.
    Read,
    /// Messages are written with it.
    Write,
}

impl Rule {
    fn is_for(&self, what: Use) -> bool {
        match self.mode.as_deref() {
            Some("READ") => what == Use::Read,
            Some("WRITE") => what == Use::Write,
            Some("UPGRADE" | "DOWNGRADE" | "UPDOWN") => false,
            _ => true,
        }
    }
}

impl RuleSet {
    /// The name of a rule that is in force.
    fn in_force(&self, what: Use) -> Option<&str> {
        let all = [&self.domain_rules, &self.encoding_rules].into_iter().flatten().flatten();
        let mut in_force = all.filter(|rule| !rule.disabled && rule.is_for(what));
        in_force.next().map(|rule| rule.name.as_deref().unwrap_or("without a name"))
    }

    /// Nobody may take encrypted data for plain, nor write plain data where a contract wants it encrypted.
    fn check(&self, use_: Use, what: &str) -> Result<()> {
        match self.in_force(use_) {
            None => Ok(()),
            Some(rule) => Err(Error::data(format!(
                "{what} is a data contract with the rule {rule}, and rules are not run here. Disable it, or use a schema without rules."
            ))
            .with_reason("UnsupportedSchema")),
        }
    }
}

impl SchemaText {
    /// A schema without references.
    pub fn new(schema: impl Into<String>) -> Self {
        Self { schema: schema.into(), ..Self::default() }
    }

    fn check(&self, expected: SchemaType, use_: Use, what: &str) -> Result<()> {
        let found = self.schema_type.as_deref().unwrap_or("AVRO");
        if found != expected.name() {
            let expected = expected.name();
            return Err(Error::data(format!(
                "{what} is a schema of type {found}, but the converter reads {expected}."
            )));
        }
        self.rules.as_ref().map_or(Ok(()), |rules| rules.check(use_, what))
    }
}

/// A schema under a subject.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Registered {
    /// Its number in the registry, which each message carries.
    pub id: u32,
    /// Its version in the subject.
    #[serde(default)]
    pub version: Option<i32>,
    /// The schema itself.
    #[serde(flatten)]
    pub text: SchemaText,
}

/// Asks the registry. Calls block; the caches are the converters'.
pub struct Client {
    http: Http,
    ty: SchemaType,
    normalize: bool,
    propagate_tags: bool,
}

/// References may nest; a registry that answers in circles must not hang us.
const MAX_REFERENCES: usize = 1000;

impl Client {
    /// A client that has not connected yet.
    pub fn new(config: &ClientConfig, ty: SchemaType) -> Self {
        Self { http: Http::new(config), ty, normalize: config.normalize, propagate_tags: config.propagate_tags }
    }

    /// The schema with a number (`GET /schemas/ids/{id}`).
    pub fn by_id(&self, deadline: Deadline, id: u32, subject: Option<&str>, use_: Use) -> Result<SchemaText> {
        let query = subject.map(|subject| format!("?subject={}", encode(subject))).unwrap_or_default();
        let text: SchemaText = self.http.get(deadline, &format!("/schemas/ids/{id}{query}"))?;
        text.check(self.ty, use_, &format!("Id {id}"))?;
        Ok(text)
    }

    /// Registers, or finds out the number when it is registered already (`POST /subjects/{subject}/versions`).
    pub fn register(&self, deadline: Deadline, subject: &str, text: &SchemaText) -> Result<u32> {
        #[derive(Deserialize)]
        struct Answer {
            id: u32,
            /// A new version takes over the rules of the one before. Older registries leave them out.
            #[serde(default, rename = "ruleSet")]
            rules: Option<RuleSet>,
        }
        let path = format!("/subjects/{}/versions{}", encode(subject), self.normalize());
        let mut body = self.body(text);
        if self.propagate_tags {
            body["propagateSchemaTags"] = true.into();
        }
        let Answer { id, rules } = self.http.post(deadline, &path, &body).map_err(of_subject(subject))?;
        rules.map_or(Ok(()), |rules| rules.check(Use::Write, &format!("The schema of subject {subject}")))?;
        Ok(id)
    }

    /// Finds a registered schema (`POST /subjects/{subject}`).
    pub fn lookup(&self, deadline: Deadline, subject: &str, text: &SchemaText) -> Result<Registered> {
        let path = format!("/subjects/{}{}", encode(subject), self.normalize());
        self.http.post(deadline, &path, &self.body(text)).map_err(of_subject(subject))
    }

    /// A version of a subject (`GET /subjects/{subject}/versions/{version}`); `latest` is one.
    pub fn version(&self, deadline: Deadline, subject: &str, version: &str) -> Result<Registered> {
        let path = format!("/subjects/{}/versions/{version}", encode(subject));
        self.http.get(deadline, &path).map_err(of_subject(subject))
    }

    /// The newest version of a subject, which must be of the converter's language.
    pub fn latest(&self, deadline: Deadline, subject: &str) -> Result<Registered> {
        let latest = self.version(deadline, subject, "latest")?;
        latest.text.check(self.ty, Use::Write, &format!("The latest version of subject {subject}"))?;
        Ok(latest)
    }

    /// The newest version of a subject that has this metadata (`GET /subjects/{subject}/metadata`).
    pub fn latest_with(&self, deadline: Deadline, subject: &str, metadata: &[(String, String)]) -> Result<Registered> {
        let wanted: String =
            metadata.iter().map(|(key, value)| format!("key={}&value={}&", encode(key), encode(value))).collect();
        let path = format!("/subjects/{}/metadata?{wanted}deleted=true", encode(subject));
        let latest: Registered = self.http.get(deadline, &path).map_err(of_subject(subject))?;
        latest.text.check(
            self.ty,
            Use::Write,
            &format!("The latest version of subject {subject} with that metadata"),
        )?;
        Ok(latest)
    }

    /// The schemas that a schema refers to, directly or not, each after those it needs itself.
    pub fn references(&self, deadline: Deadline, text: &SchemaText) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        self.collect(deadline, text, &mut found, 0)?;
        Ok(found)
    }

    fn collect(
        &self,
        deadline: Deadline,
        text: &SchemaText,
        found: &mut Vec<(String, String)>,
        depth: usize,
    ) -> Result<()> {
        for reference in &text.references {
            if found.iter().any(|(name, _)| *name == reference.name) {
                continue;
            }
            if depth > 64 || found.len() >= MAX_REFERENCES {
                return Err(Error::data(format!("The references of the schema {} never end.", reference.subject)));
            }
            let registered = self.version(deadline, &reference.subject, &reference.version.to_string())?;
            self.collect(deadline, &registered.text, found, depth + 1)?;
            found.push((reference.name.clone(), registered.text.schema));
        }
        Ok(())
    }

    fn normalize(&self) -> &'static str {
        if self.normalize { "?normalize=true" } else { "" }
    }

    fn body(&self, text: &SchemaText) -> serde_json::Value {
        let mut body = json!({"schema": text.schema});
        if self.ty != SchemaType::Avro {
            body["schemaType"] = self.ty.name().into();
        }
        if !text.references.is_empty() {
            body["references"] = json!(text.references);
        }
        body
    }
}

/// Says whose schema it was about; in the address the subject is encoded.
fn of_subject(subject: &str) -> impl FnOnce(Error) -> Error {
    let subject = subject.to_owned();
    move |error| Error::new(error.code(), format!("Subject {subject}: {}", error.message())).with_reason(error.reason())
}

/// Percent-encodes a path segment, a query value or a value of a form.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
