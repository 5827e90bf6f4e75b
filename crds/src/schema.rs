//! The schemas that the API server enforces: helpers for single fields, and the finished definitions.
//!
//! `kubectl apply` keeps a copy of what it applied in an annotation of at most 262,144 bytes, so the definitions have to
//! stay well below that. The types of Kubernetes itself therefore keep their shape here and lose their descriptions.

use crate::{ConnectCluster, KafkaConnector, rules};
use k8s_openapi::api::core::v1::{
    CSIVolumeSource, ConfigMapVolumeSource, EmptyDirVolumeSource, ImageVolumeSource, PersistentVolumeClaimVolumeSource,
    ProjectedVolumeSource, SecretVolumeSource,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResourceExt, Resource};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

/// Any object: what is in it is kept as it is.
pub(crate) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// Any list of objects.
pub(crate) fn free_form_list(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": free_form(generator) })
}

/// The schema of an enum without its own description, which would otherwise replace that of an optional field.
pub(crate) fn plain<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(generator);
    schema.remove("description");
    schema
}

/// A type of Kubernetes, with its shape and without its descriptions.
pub(crate) fn k8s<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(generator);
    if let Some(object) = schema.as_object_mut() {
        strip(object, &["description"]);
    }
    schema
}

/// A list of a type of Kubernetes.
pub(crate) fn k8s_list<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": k8s::<T>(generator) })
}

/// The kinds of volume that Strimzi takes, and projected ones; the deprecated kinds would double the definition.
pub(crate) fn volumes(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": { "type": "string", "minLength": 1 },
                "secret": k8s::<SecretVolumeSource>(generator),
                "configMap": k8s::<ConfigMapVolumeSource>(generator),
                "emptyDir": k8s::<EmptyDirVolumeSource>(generator),
                "persistentVolumeClaim": k8s::<PersistentVolumeClaimVolumeSource>(generator),
                "csi": k8s::<CSIVolumeSource>(generator),
                "image": k8s::<ImageVolumeSource>(generator),
                "projected": k8s::<ProjectedVolumeSource>(generator)
            }
        }
    })
}

/// Removes keywords from a schema and everything below it, leaving properties that happen to have such a name alone.
fn strip(schema: &mut Map<String, Value>, keywords: &[&str]) {
    for keyword in keywords {
        schema.shift_remove(*keyword);
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut().filter_map(Value::as_object_mut) {
            strip(property, keywords);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(Value::Object(inner)) = schema.get_mut(key) {
            strip(inner, keywords);
        }
    }
}

/// The definitions of both kinds, as they are installed.
///
/// They differ from the derive's in four ways. A cluster's name has a rule, which the derive has no place for. Nothing is nullable: the API server then drops a null instead of
/// keeping it, which is what happens to a null in a Strimzi manifest. The status has no defaults: only the operator
/// writes it. And descriptions are single paragraphs, not lines wrapped as in the source.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [ConnectCluster::crd(), KafkaConnector::crd()].into_iter().map(finish).collect()
}

fn finish(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let is_cluster = crd.spec.names.kind == ConnectCluster::kind(&());
    let mut value = serde_json::to_value(crd).expect("a definition is JSON");
    if let Some(schema) = value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema").and_then(Value::as_object_mut) {
        strip(schema, &["nullable"]);
        if is_cluster {
            schema.insert("x-kubernetes-validations".into(), rules::rules_of(rules::CLUSTER));
        }
        unwrap_descriptions(schema);
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        if let Some(status) = properties.and_then(|map| map.get_mut("status")).and_then(Value::as_object_mut) {
            strip(status, &["default"]);
        }
    }
    serde_json::from_value(value).expect("removing keywords leaves a definition")
}

fn unwrap_descriptions(schema: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().filter_map(Value::as_object_mut).for_each(unwrap_descriptions);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(Value::Object(inner)) = schema.get_mut(key) {
            unwrap_descriptions(inner);
        }
    }
}

/// File name and content of each definition, as kept in `crds/yaml/`.
pub fn files() -> Vec<(String, String)> {
    crds()
        .into_iter()
        .map(|crd| {
            let name = format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
            (name, serde_yaml::to_string(&crd).expect("a definition is YAML"))
        })
        .collect()
}

/// Both definitions as one YAML stream, for `kubectl apply -f -`.
pub fn yaml() -> String {
    files().into_iter().map(|(_, content)| format!("---\n{content}")).collect()
}
