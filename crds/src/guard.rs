//! Reading resources that may be malformed.
//!
//! A watch that deserialises straight into a typed resource fails as a whole when one object does not fit, which can
//! happen to objects stored under an older definition. [`Lenient`] always succeeds: it keeps the metadata and either
//! the typed resource or the reason why there is none, so the others go on and this one gets `Ready=False`.

use crate::conditions::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Why a resource cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidResource {
    /// Path of the field, for example `spec.tasksMax`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for InvalidResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for InvalidResource {}

/// A resource that has been read as far as possible. Use it in place of `T` in `Api`, `watcher` and `reflector`.
#[derive(Clone, Debug)]
pub struct Lenient<T> {
    metadata: ObjectMeta,
    raw: Arc<Value>,
    parsed: Result<Arc<T>, InvalidResource>,
}

impl<T: DeserializeOwned> Lenient<T> {
    /// Reads an object of the API server or a document of a manifest.
    pub fn from_value(raw: Value) -> Self {
        let metadata = raw.get("metadata").map(metadata).unwrap_or_default();
        let parsed = parse(&raw).map(Arc::new);
        Self { metadata, raw: Arc::new(raw), parsed }
    }
}

impl<T> Lenient<T> {
    /// The typed resource.
    ///
    /// # Errors
    /// The field that cannot be read, and why.
    pub fn get(&self) -> Result<&Arc<T>, &InvalidResource> {
        self.parsed.as_ref()
    }

    /// The object as it came.
    pub fn raw(&self) -> &Value {
        &self.raw
    }

    /// The conditions that are on the object, readable or not, to keep their transition times.
    pub fn conditions(&self) -> Vec<Condition> {
        let conditions = self.raw.pointer("/status/conditions").and_then(Value::as_array);
        conditions.into_iter().flatten().filter_map(|value| Condition::deserialize(value).ok()).collect()
    }
}

/// Metadata comes from the API server and is well formed; from a manifest it may not be, and then only what names the
/// object matters.
fn metadata(value: &Value) -> ObjectMeta {
    ObjectMeta::deserialize(value).unwrap_or_else(|_| ObjectMeta {
        name: value.get("name").and_then(Value::as_str).map(str::to_owned),
        namespace: value.get("namespace").and_then(Value::as_str).map(str::to_owned),
        uid: value.get("uid").and_then(Value::as_str).map(str::to_owned),
        resource_version: value.get("resourceVersion").and_then(Value::as_str).map(str::to_owned),
        ..Default::default()
    })
}

fn parse<T: DeserializeOwned>(raw: &Value) -> Result<T, InvalidResource> {
    let mut value = raw.clone();
    if let Some(spec) = value.get_mut("spec") {
        drop_nulls(spec);
    }
    match typed(&value) {
        // The status is the operator's own. One that cannot be read is written anew, it must not block the spec.
        Err(error) if error.path == "status" || error.path.starts_with("status.") => {
            if let Some(object) = value.as_object_mut() {
                object.shift_remove("status");
            }
            typed(&value)
        }
        other => other,
    }
}

fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, InvalidResource> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| InvalidResource { path: error.path().to_string(), message: error.inner().to_string() })
}

/// Drops nulls as the API server does for fields that are not nullable; inside `config` they stay, to be complained of.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.iter_mut().filter(|(key, _)| *key != "config").for_each(|(_, value)| drop_nulls(value));
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from_value)
    }
}

impl<T> Serialize for Lenient<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
    }
}

impl<T: Resource<DynamicType = ()>> Resource for Lenient<T> {
    type DynamicType = ();
    type Scope = T::Scope;

    fn kind(_: &()) -> Cow<'_, str> {
        T::kind(&())
    }

    fn group(_: &()) -> Cow<'_, str> {
        T::group(&())
    }

    fn version(_: &()) -> Cow<'_, str> {
        T::version(&())
    }

    fn plural(_: &()) -> Cow<'_, str> {
        T::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{ConnectCluster, KafkaConnector};
    use kube::ResourceExt;
    use serde_json::json;

    fn connector(spec: Value, status: Value) -> Lenient<KafkaConnector> {
        serde_json::from_value(json!({
            "apiVersion": "barnabas.dev/v1", "kind": "KafkaConnector",
            "metadata": { "name": "a", "namespace": "n", "uid": "u", "labels": { "strimzi.io/cluster": "c" } },
            "spec": spec, "status": status
        }))
        .unwrap()
    }

    #[test]
    fn a_malformed_resource_keeps_its_metadata_and_names_the_field() {
        let lenient =
            connector(json!({ "tasksMax": "many" }), json!({ "conditions": [{ "type": "Ready", "status": "True" }] }));
        assert_eq!((lenient.name_any().as_str(), crate::labels::cluster(lenient.meta())), ("a", Some("c")));
        let error = lenient.get().unwrap_err();
        assert_eq!(error.path, "spec.tasksMax");
        assert!(error.message.contains("many"), "{error}");
        assert_eq!(lenient.conditions().len(), 1);
        let missing: Lenient<ConnectCluster> = Lenient::from_value(json!({ "metadata": { "name": "x" }, "spec": {} }));
        assert!(missing.get().unwrap_err().to_string().contains("bootstrapServers"));
    }

    #[test]
    fn nothing_at_all_can_stop_the_reading() {
        for value in [json!(null), json!(5), json!("x"), json!([]), json!({}), json!({ "metadata": 5, "spec": [] })] {
            assert!(Lenient::<KafkaConnector>::from_value(value).get().is_err());
        }
    }

    #[test]
    fn an_unreadable_status_does_not_block_the_spec() {
        let lenient = connector(json!({ "class": "X" }), json!({ "conditions": 5 }));
        assert_eq!(lenient.get().unwrap().spec.class.as_deref(), Some("X"));
    }

    #[test]
    fn nulls_are_dropped_except_in_config() {
        let lenient = connector(json!({ "class": null, "tasksMax": null, "config": { "a": null } }), json!({}));
        let spec = &lenient.get().unwrap().spec;
        assert_eq!((spec.class.as_deref(), spec.tasks_max(), spec.config["a"].is_null()), (None, 1, true));
        assert!(connector(json!({ "config": null }), json!({})).get().unwrap().spec.config.is_empty());
    }
}
