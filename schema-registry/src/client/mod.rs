//! The client of a schema registry (Confluent's REST API).

mod http;
mod tls;

use barnabas_connect::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::ClientConfig;
use http::Http;

/// The reason of errors that come from the registry, whatever their code.
pub const REASON: &str = "SchemaRegistryError";

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
}

impl SchemaText {
    /// A schema without references.
    pub fn new(schema: impl Into<String>) -> Self {
        Self { schema: schema.into(), ..Self::default() }
    }

    fn check(&self, expected: SchemaType, what: &str) -> Result<()> {
        let found = self.schema_type.as_deref().unwrap_or("AVRO");
        if found == expected.name() {
            return Ok(());
        }
        Err(Error::data(format!("{what} is a schema of type {found}, but the converter reads {}.", expected.name())))
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
}

/// References may nest; a registry that answers in circles must not hang us.
const MAX_REFERENCES: usize = 1000;

impl Client {
    /// A client that has not connected yet.
    pub fn new(config: &ClientConfig, ty: SchemaType) -> Self {
        Self { http: Http::new(config), ty, normalize: config.normalize }
    }

    /// The schema with a number (`GET /schemas/ids/{id}`).
    pub fn by_id(&self, id: u32, subject: Option<&str>) -> Result<SchemaText> {
        let query = subject.map(|subject| format!("?subject={}", http::encode(subject))).unwrap_or_default();
        let text: SchemaText = self.http.get(&format!("/schemas/ids/{id}{query}"))?;
        text.check(self.ty, &format!("Id {id}"))?;
        Ok(text)
    }

    /// Registers, or finds out the number when it is registered already (`POST /subjects/{subject}/versions`).
    pub fn register(&self, subject: &str, text: &SchemaText) -> Result<u32> {
        #[derive(Deserialize)]
        struct Answer {
            id: u32,
        }
        let path = format!("/subjects/{}/versions{}", http::encode(subject), self.normalize());
        self.http.post::<Answer>(&path, &self.body(text)).map(|answer| answer.id)
    }

    /// Finds a registered schema (`POST /subjects/{subject}`).
    pub fn lookup(&self, subject: &str, text: &SchemaText) -> Result<Registered> {
        self.http.post(&format!("/subjects/{}{}", http::encode(subject), self.normalize()), &self.body(text))
    }

    /// A version of a subject (`GET /subjects/{subject}/versions/{version}`); `latest` is one.
    pub fn version(&self, subject: &str, version: &str) -> Result<Registered> {
        self.http.get(&format!("/subjects/{}/versions/{version}", http::encode(subject)))
    }

    /// The newest version of a subject, which must be of the converter's language.
    pub fn latest(&self, subject: &str) -> Result<Registered> {
        let latest = self.version(subject, "latest")?;
        latest.text.check(self.ty, &format!("The latest version of subject {subject}"))?;
        Ok(latest)
    }

    /// The schemas that a schema refers to, directly or not, each after those it needs itself.
    pub fn references(&self, text: &SchemaText) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        self.collect(text, &mut found, 0)?;
        Ok(found)
    }

    fn collect(&self, text: &SchemaText, found: &mut Vec<(String, String)>, depth: usize) -> Result<()> {
        for reference in &text.references {
            if found.iter().any(|(name, _)| *name == reference.name) {
                continue;
            }
            if depth > 64 || found.len() >= MAX_REFERENCES {
                return Err(Error::data(format!("The references of the schema {} never end.", reference.subject)));
            }
            let registered = self.version(&reference.subject, &reference.version.to_string())?;
            self.collect(&registered.text, found, depth + 1)?;
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
