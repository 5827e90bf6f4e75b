//! The manifests reference, `docs/reference/manifests.md`, from the definitions themselves.

use crate::conditions::{reasons, types};
use crate::config::{CLUSTER_ALLOWED_KEYS, CLUSTER_FORBIDDEN_PREFIXES, CONNECTOR_FORBIDDEN_KEYS};
use serde_json::Value;
use std::fmt::Write;

/// Fields whose type is Kubernetes' own: they are named and not repeated. A field of such a type that is missing here
/// fails the generation, because its properties have no descriptions.
const KUBERNETES: &[(&str, &str)] = &[
    ("affinity", "Affinity"),
    ("configMap", "ConfigMapVolumeSource"),
    ("configMapKeyRef", "ConfigMapKeySelector"),
    ("dnsConfig", "PodDNSConfig"),
    ("env", "EnvVar"),
    ("hostAliases", "HostAlias"),
    ("imagePullSecrets", "LocalObjectReference"),
    ("resources", "ResourceRequirements"),
    ("secret", "SecretVolumeSource"),
    ("secretKeyRef", "SecretKeySelector"),
    ("securityContext", "SecurityContext"),
    ("tolerations", "Toleration"),
    ("topologySpreadConstraints", "TopologySpreadConstraint"),
    ("volumeMounts", "VolumeMount"),
    ("volumes", "Volume"),
];

/// The whole page.
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    for crd in crate::crds() {
        let crd = serde_json::to_value(crd).expect("a definition is JSON");
        kind(&mut page, &crd);
    }
    tables(&mut page);
    page
}

const HEAD: &str = "\
<!-- Generated from the types in crds/src. To rewrite it: BARNABAS_REGENERATE=1 cargo test -p barnabas-crds --test generated -->

# Manifests

Two kinds in the group `barnabas.dev`, version `v1`. The fields and their meaning are those of Strimzi's `KafkaConnect` and
`KafkaConnector`, so a manifest written for Strimzi runs after a change of `apiVersion` (and, for a cluster, of `kind`).
What cannot be followed is answered with a `Warning` condition that says what to do instead.

Types written in *italics* are Kubernetes' own: see the Kubernetes API reference.
";

fn kind(page: &mut String, crd: &Value) {
    let names = &crd["spec"]["names"];
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let words = |value: &Value| {
        let words = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    };
    let _ = writeln!(page, "\n## {}\n\n{}\n", text(&names["kind"]), text(&schema["description"]));
    let _ = writeln!(
        page,
        "Plural `{}`, short name {}, categories {}. `/scale` reads `{}` and selects pods by `{}`.\n",
        text(&names["plural"]),
        words(&names["shortNames"]),
        words(&names["categories"]),
        text(&version["subresources"]["scale"]["specReplicasPath"]),
        text(&version["subresources"]["scale"]["labelSelectorPath"]),
    );
    page.push_str("`kubectl get` shows: ");
    let columns = version["additionalPrinterColumns"].as_array().into_iter().flatten();
    let columns = columns.map(|column| {
        let wide = if column["priority"] == 1 { " (with `-o wide`)" } else { "" };
        format!("{}{wide}", text(&column["name"]))
    });
    let _ = writeln!(page, "{}.", columns.collect::<Vec<_>>().join(", "));
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let _ = writeln!(page, "\nRefused otherwise: {}", text(&rule["message"]));
    }
    for part in ["spec", "status"] {
        object(page, text(&names["kind"]), part, &schema["properties"][part]);
    }
}

/// One table for an object, then one for each object in it.
fn object(page: &mut String, kind: &str, path: &str, schema: &Value) {
    let _ = writeln!(page, "\n### {kind} `{path}`\n\n| Field | Type | Meaning |\n| --- | --- | --- |");
    let required = schema["required"].as_array();
    let mut inner = vec![];
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let (type_, nested) = type_of(name, path, field);
        let mut meaning = text(&field["description"]).to_owned();
        assert!(!meaning.is_empty(), "{kind} {path}.{name} has no description");
        if required.is_some_and(|list| list.iter().any(|item| item == name)) {
            meaning.insert_str(0, "**Required.** ");
        }
        if let Some(values) = field["enum"].as_array() {
            let values = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect::<Vec<_>>();
            let _ = write!(meaning, " One of {}.", values.join(", "));
        }
        if let Some(minimum) = field["minimum"].as_f64() {
            let _ = write!(meaning, " At least {minimum}.");
        }
        if !field["default"].is_null() {
            let _ = write!(meaning, " Default: `{}`.", field["default"]);
        }
        let _ = writeln!(page, "| `{name}` | {type_} | {} |", meaning.replace('|', "\\|"));
        if let Some((suffix, nested)) = nested {
            inner.push((format!("{path}.{name}{suffix}"), nested));
        }
    }
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let rules = rules.map(|rule| format!("\n- {}", text(&rule["message"]))).collect::<String>();
    if !rules.is_empty() {
        let _ = writeln!(page, "\nRefused otherwise:\n{rules}");
    }
    for (path, schema) in inner {
        object(page, kind, &path, schema);
    }
}

/// The name of a field's type, and the object in it that needs a table of its own.
fn type_of<'a>(name: &str, path: &str, field: &'a Value) -> (String, Option<(&'static str, &'a Value)>) {
    let (list, item) = if field["type"] == "array" { (" list", &field["items"]) } else { ("", field) };
    if let Some(properties) = item["properties"].as_object() {
        if properties.values().any(|property| property["description"].is_null()) {
            let found = KUBERNETES.iter().find(|(known, _)| *known == name);
            let (_, type_) =
                found.unwrap_or_else(|| panic!("{path}.{name} is missing in the table of Kubernetes' types"));
            let pod = if name == "securityContext" && path.ends_with(".pod") { "Pod" } else { "" };
            return (format!("*{pod}{type_}*{list}"), None);
        }
        return (format!("object{list}"), Some((if list.is_empty() { "" } else { "[]" }, item)));
    }
    let type_ = match (text(&item["type"]), &item["additionalProperties"]) {
        ("object", Value::Object(values)) => format!("map of {}", text(&values["type"])),
        ("object", _) => "free-form object".to_owned(),
        (type_, _) => type_.to_owned(),
    };
    (format!("{type_}{list}"), None)
}

/// The tables that are not part of a schema.
fn tables(page: &mut String) {
    page.push_str(
        "\n## Labels and annotations\n\nEach is read under `barnabas.dev/` and under `strimzi.io/`; ours wins when both are there.\n\n\
         | Key | On | Meaning |\n| --- | --- | --- |\n\
         | label `cluster` | KafkaConnector | The ConnectCluster in the same namespace that runs it. Required. |\n\
         | `restart` | KafkaConnector | `true`, `includeTasks`, `onlyFailed` or `includeTasks,onlyFailed`: restart it. Removed once the restart has begun. |\n\
         | `restart-task` | KafkaConnector | Number of the one task to restart. Removed once the restart has begun. |\n\
         | `pause-reconciliation` | both | `\"true\"`: leave the resource as it is; the condition `ReconciliationPaused` says so. |\n",
    );
    page.push_str("\n## Keys in `config` that are left out\n\nEach is answered with a `Warning` condition of reason `ForbiddenKey`.\n\n| On | Key | Use instead |\n| --- | --- | --- |\n");
    for (key, instead) in CONNECTOR_FORBIDDEN_KEYS {
        let _ = writeln!(page, "| KafkaConnector | `{key}` | {instead} |");
    }
    for (prefix, instead) in CLUSTER_FORBIDDEN_PREFIXES {
        let _ = writeln!(page, "| ConnectCluster | `{prefix}`... | {instead} |");
    }
    let allowed = CLUSTER_ALLOWED_KEYS.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(
        page,
        "\nAllowed all the same: {allowed}. `group.id` and `offset.storage.topic` are followed when the field is not set, as in v1beta2."
    );
    page.push_str("\n## Conditions\n\n| Type | Meaning |\n| --- | --- |\n");
    for (word, meaning) in types::ALL {
        let _ = writeln!(page, "| `{word}` | {} |", meaning.trim());
    }
    page.push_str("\n## Reasons\n\nStable words, safe to alert on. `status.tasks[].error.reason` may also be a word of the connector's own.\n\n| Reason | Meaning |\n| --- | --- |\n");
    for (word, meaning) in reasons::ALL {
        let _ = writeln!(page, "| `{word}` | {} |", meaning.trim());
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
