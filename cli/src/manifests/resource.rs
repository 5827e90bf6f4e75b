//! From a document to a typed resource that knows where it was written.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path as FilePath, PathBuf},
    sync::{Arc, LazyLock},
};

use barnabas_crds::{ConnectCluster, KafkaConnector};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Problem, Severity,
    schema::{self, Finding, unknown},
    yaml::{Document, Path},
};

/// The namespace of a manifest that names none, as for kubectl.
pub const DEFAULT_NAMESPACE: &str = "default";
/// The one version of our resources.
const API_VERSION: &str = "barnabas.dev/v1";

/// Namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl Key {
    /// The key of `name` in `namespace`.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// `name`, with its namespace when that is not the default one.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace == DEFAULT_NAMESPACE {
            write!(f, "{}", self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// A document and the file it is in.
#[derive(Debug)]
pub struct Origin {
    file: PathBuf,
    document: Document,
}

/// A resource and where it was written.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The resource.
    pub resource: T,
    /// Namespace and name.
    pub key: Key,
    origin: Arc<Origin>,
}

impl<T> Located<T> {
    /// A problem with the field at `path` of this resource.
    pub fn problem(&self, severity: Severity, path: &Path, message: &str) -> Problem {
        self.origin.problem(severity, path, message)
    }

    /// A problem whose message names its field itself.
    pub fn unlocated(&self, severity: Severity, path: &Path, message: &str) -> Problem {
        let (file, line) = (self.origin.file.clone(), self.origin.document.line_of(path));
        Problem { file, line, severity, message: message.to_owned() }
    }

    /// `file:line` of the resource.
    pub fn place(&self) -> String {
        format!("{}:{}", self.origin.file.display(), self.origin.document.line)
    }

    /// What was written: changes when, and only when, the manifest's content does.
    pub fn written(&self) -> &Value {
        &self.origin.document.value
    }
}

impl Origin {
    fn problem(&self, severity: Severity, path: &Path, message: &str) -> Problem {
        let message = if path.is_root() { message.to_owned() } else { format!("{path}: {message}") };
        Problem { file: self.file.clone(), line: self.document.line_of(path), severity, message }
    }
}

/// On one machine a cluster that names no Kafka gets the embedded one. Says whether it was needed.
fn default_to_embedded(value: &mut Value) -> bool {
    let wanted = value["kind"] == "ConnectCluster"
        && (value["spec"].is_null() || (value["spec"].is_object() && value["spec"]["bootstrapServers"].is_null()));
    if wanted {
        value["spec"]["bootstrapServers"] = Value::from(barnabas_crds::cluster::EMBEDDED);
    }
    wanted
}

/// The values of a Secret. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub BTreeMap<String, Vec<u8>>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The values of a ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub BTreeMap<String, String>);

/// A resource of one of the kinds that matter here.
#[derive(Clone, Debug)]
pub enum Resource {
    /// A worker group and its Kafka.
    Cluster(Box<Located<ConnectCluster>>),
    /// A connector.
    Connector(Box<Located<KafkaConnector>>),
    /// Values for `${secrets:namespace/name:key}`.
    Secret(Located<Secret>),
    /// Values for `${configmaps:namespace/name:key}`.
    ConfigMap(Located<Texts>),
}

impl Resource {
    /// Kind, namespace and name: what must be unique in a folder.
    pub fn identity(&self) -> (&'static str, &Key) {
        match self {
            Self::Cluster(it) => ("ConnectCluster", &it.key),
            Self::Connector(it) => ("KafkaConnector", &it.key),
            Self::Secret(it) => ("Secret", &it.key),
            Self::ConfigMap(it) => ("ConfigMap", &it.key),
        }
    }

    /// `file:line`.
    pub fn place(&self) -> String {
        match self {
            Self::Cluster(it) => it.place(),
            Self::Connector(it) => it.place(),
            Self::Secret(it) => it.place(),
            Self::ConfigMap(it) => it.place(),
        }
    }

    /// The rules between fields, and what is accepted without being followed.
    fn check(&self, problems: &mut Vec<Problem>) {
        let (origin, wrong, warnings) = match self {
            Self::Cluster(it) => (&it.origin, it.resource.problems(), it.resource.warnings()),
            Self::Connector(it) => (&it.origin, it.resource.spec.problems(None), it.resource.spec.warnings()),
            Self::Secret(_) | Self::ConfigMap(_) => return,
        };
        for problem in wrong {
            problems.push(origin.problem(Severity::Error, &Path::parse(&problem.field), &problem.message));
        }
        for warning in warnings {
            // A warning's sentence begins with the field that it is about.
            let line = origin.document.line_of(&Path::parse(&warning.message));
            let (file, message) = (origin.file.clone(), warning.message);
            problems.push(Problem { file, line, severity: Severity::Warning, message });
        }
    }

    /// A problem with the resource's name.
    pub fn name_problem(&self, message: &str) -> Problem {
        let path = Path::of(["metadata", "name"]);
        match self {
            Self::Cluster(it) => it.problem(Severity::Error, &path, message),
            Self::Connector(it) => it.problem(Severity::Error, &path, message),
            Self::Secret(it) => it.problem(Severity::Error, &path, message),
            Self::ConfigMap(it) => it.problem(Severity::Error, &path, message),
        }
    }
}

/// The schemas of our kinds, as the API server gets them.
static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let crds = barnabas_crds::crds().into_iter().map(|crd| {
        let kind = crd.spec.names.kind.clone();
        let mut crd = serde_json::to_value(crd).unwrap_or_default();
        (kind, crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take())
    });
    crds.collect()
});

/// Reads one document. `None` when its kind does not matter here; then, too, `problems` says so.
pub fn read(file: &FilePath, mut document: Document, problems: &mut Vec<Problem>) -> Option<Resource> {
    let defaulted = default_to_embedded(&mut document.value);
    let origin = Arc::new(Origin { file: file.to_owned(), document });
    let value = &origin.document.value;
    let mut errors: Vec<Problem> = Vec::new();
    let mut error = |path: &Path, message: &str| errors.push(origin.problem(Severity::Error, path, message));

    if !value.is_object() {
        error(&Path::default(), "a manifest is a mapping with apiVersion, kind and metadata");
        problems.append(&mut errors);
        return None;
    }
    let (kind, api) = (value["kind"].as_str(), value["apiVersion"].as_str());
    let (Some(kind), Some(api)) = (kind, api) else {
        for (field, given) in [("apiVersion", api), ("kind", kind)] {
            if given.is_none() {
                error(&Path::of([field]), "is required");
            }
        }
        problems.append(&mut errors);
        return None;
    };
    let wanted = match kind {
        "ConnectCluster" | "KafkaConnector" => API_VERSION,
        "Secret" | "ConfigMap" => "v1",
        "KafkaConnect" if api.starts_with("kafka.strimzi.io/") => {
            error(&Path::of(["kind"]), "write `kind: ConnectCluster` and `apiVersion: barnabas.dev/v1` in its place");
            problems.append(&mut errors);
            return None;
        }
        _ => {
            let message = if api.starts_with("barnabas.dev/") {
                let meant = schema::nearest(kind, ["ConnectCluster", "KafkaConnector"].into_iter());
                let meant = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
                (Severity::Error, format!("barnabas.dev has no kind {kind:?}{meant}"))
            } else {
                (Severity::Warning, format!("a {kind} means nothing here and is left out"))
            };
            problems.push(origin.problem(message.0, &Path::of(["kind"]), &message.1));
            return None;
        }
    };
    if api != wanted {
        error(&Path::of(["apiVersion"]), &format!("must be `{wanted}` for a {kind}, not {api:?}"));
    }
    let key = metadata(&value["metadata"], &mut error);
    let findings = match kind {
        "ConnectCluster" | "KafkaConnector" => structure(&SCHEMAS[kind], value),
        "Secret" => flat(value, &["data", "stringData", "type", "immutable"]),
        _ => flat(value, &["data", "binaryData", "immutable"]),
    };
    for finding in findings {
        error(&finding.path, &finding.message);
    }
    if !errors.is_empty() {
        problems.append(&mut errors);
        return None;
    }
    let resource = match kind {
        "ConnectCluster" => typed(&origin, key).map(|cluster| Resource::Cluster(Box::new(cluster))),
        "KafkaConnector" => typed(&origin, key).map(|connector| Resource::Connector(Box::new(connector))),
        "Secret" => typed::<k8s_openapi::api::core::v1::Secret>(&origin, key).map(|secret| {
            let mut values: BTreeMap<String, Vec<u8>> =
                secret.resource.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
            let texts = secret.resource.string_data.unwrap_or_default();
            values.extend(texts.into_iter().map(|(key, value)| (key, value.into_bytes())));
            Resource::Secret(Located { resource: Secret(values), key: secret.key, origin: secret.origin })
        }),
        _ => typed::<k8s_openapi::api::core::v1::ConfigMap>(&origin, key).map(|map| {
            let texts = Texts(map.resource.data.unwrap_or_default());
            Resource::ConfigMap(Located { resource: texts, key: map.key, origin: map.origin })
        }),
    };
    match resource {
        Ok(resource) => {
            if defaulted {
                let message = "names no Kafka, so the embedded one is taken; Kubernetes wants the field, \
                    so write `bootstrapServers: embedded`";
                problems.push(origin.problem(Severity::Warning, &Path::of(["spec"]), message));
            }
            let before = problems.len();
            resource.check(problems);
            problems[before..].iter().all(|problem| problem.severity == Severity::Warning).then_some(resource)
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

fn typed<T: DeserializeOwned>(origin: &Arc<Origin>, key: Key) -> Result<Located<T>, Problem> {
    let mut value = origin.document.value.clone();
    // What kubectl would fill in.
    value["metadata"]["namespace"] = Value::from(key.namespace.as_str());
    match serde_json::from_value(value) {
        Ok(resource) => Ok(Located { resource, key, origin: origin.clone() }),
        // A Secret's value must not be repeated in the message.
        Err(_) if origin.document.value["kind"] == "Secret" => Err(origin.problem(
            Severity::Error,
            &Path::of(["data"]),
            "every value must be base64; write plain text under `stringData`",
        )),
        Err(error) => Err(origin.problem(Severity::Error, &Path::default(), &error.to_string())),
    }
}

fn structure(schema: &Value, value: &Value) -> Vec<Finding> {
    let mut findings = schema::check(schema, value, &Path::default());
    // The schema of a custom resource says nothing about metadata, and status is the system's to write.
    findings.retain(|finding| {
        let path = finding.path.to_string();
        !["metadata", "apiVersion", "kind", "status"]
            .iter()
            .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
    });
    findings
}

/// A Secret's or a ConfigMap's own fields.
fn flat(value: &Value, fields: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let known = || fields.iter().copied().chain(["apiVersion", "kind", "metadata"]);
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = Path::of([name.as_str()]);
        if !known().any(|field| field == name) {
            findings.push(Finding { path, message: unknown(name, known()) });
        } else if matches!(name.as_str(), "data" | "stringData" | "binaryData") {
            for (key, value) in value.as_object().into_iter().flatten() {
                if !value.is_string() {
                    findings.push(Finding {
                        path: path.key(key),
                        message: "must be a string; put it in quotes".to_owned(),
                    });
                }
            }
        }
    }
    findings
}

/// What a person, or a tool that exported the manifest, writes under `metadata`.
const METADATA: [&str; 14] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "finalizers",
    "ownerReferences",
    "managedFields",
];

fn metadata(metadata: &Value, error: &mut impl FnMut(&Path, &str)) -> Key {
    let at = |field: &str| Path::of(["metadata", field]);
    for name in metadata.as_object().into_iter().flatten().map(|(name, _)| name) {
        if !METADATA.contains(&name.as_str()) {
            error(&at(name), &unknown(name, METADATA.into_iter()));
        }
    }
    for field in ["labels", "annotations"] {
        match &metadata[field] {
            Value::Null => {}
            Value::Object(entries) => {
                for (name, value) in entries {
                    if !value.is_string() {
                        error(&at(field).key(name), "must be a string; put it in quotes");
                    }
                }
            }
            _ => error(&at(field), "must be a mapping of strings"),
        }
    }
    let mut text = |field: &str, label: &str| match &metadata[field] {
        Value::String(name) if is_dns_name(name) => name.clone(),
        Value::Null => String::new(),
        other => {
            error(
                &at(field),
                &format!("{other} is no {label}: use lower case letters, digits, `-` and `.`, at most 253 of them"),
            );
            "?".to_owned()
        }
    };
    let namespace = text("namespace", "namespace");
    let name = text("name", "name");
    if name.is_empty() {
        error(&at("name"), "is required");
    }
    Key::new(if namespace.is_empty() { DEFAULT_NAMESPACE } else { &namespace }, &name)
}

/// RFC 1123: what Kubernetes takes as a resource's name.
fn is_dns_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        })
}
