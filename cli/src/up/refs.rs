//! `${secrets:namespace/name:key}` and `${configmaps:namespace/name:key}` in connector configurations, resolved from the
//! folder as the operator resolves them from the cluster, under Strimzi's names too. Other providers are the worker's.

use barnabas_connect::config::reference::{Part, Reference, parts};
use barnabas_crds::reasons;

use crate::manifests::{Folder, Key};

/// A reference that cannot be resolved. Contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// `SecretNotFound` or `InvalidConfiguration`.
    pub reason: &'static str,
    /// What is missing, and where it should be.
    pub message: String,
}

impl Unresolved {
    fn missing(message: String) -> Self {
        Self { reason: reasons::SECRET_NOT_FOUND, message }
    }
}

/// A configuration value with its references to the folder's objects replaced, and the values that came out of Secrets.
/// `namespace` is the connector's: a Secret without one is looked for there.
///
/// # Errors
/// The first reference that cannot be resolved.
pub fn resolve(text: &str, folder: &Folder, namespace: &str) -> Result<(String, Vec<String>), Unresolved> {
    let mut resolved = String::new();
    let mut secrets = Vec::new();
    for part in parts(text) {
        match part {
            Part::Text(text) => resolved.push_str(text),
            Part::Reference(reference) => match reference.provider {
                "secrets" | "strimzisecrets" => {
                    let value = secret(&reference, folder, namespace)?;
                    resolved.push_str(&value);
                    secrets.push(value);
                }
                "configmaps" | "strimziconfigmaps" => {
                    resolved.push_str(config_map(&reference, folder, namespace)?);
                }
                _ => resolved.push_str(reference.whole),
            },
        }
    }
    Ok((resolved, secrets))
}

fn secret(reference: &Reference<'_>, folder: &Folder, namespace: &str) -> Result<String, Unresolved> {
    let key = object_key(reference, namespace)?;
    let secret = folder.secrets.get(&key).ok_or_else(|| absent("Secret", &key))?;
    let name = reference.key;
    let bytes = secret.resource.0.get(name).ok_or_else(|| no_key("Secret", &key, name))?;
    String::from_utf8(bytes.clone())
        .map_err(|_| Unresolved::missing(format!("the key {name:?} of the Secret {key} is not text")))
}

fn config_map<'a>(reference: &Reference<'_>, folder: &'a Folder, namespace: &str) -> Result<&'a str, Unresolved> {
    let key = object_key(reference, namespace)?;
    let texts = folder.config_maps.get(&key).ok_or_else(|| absent("ConfigMap", &key))?;
    let text = texts.resource.0.get(reference.key).ok_or_else(|| no_key("ConfigMap", &key, reference.key))?;
    Ok(text)
}

fn object_key(reference: &Reference<'_>, namespace: &str) -> Result<Key, Unresolved> {
    let Reference { provider, path, whole, .. } = *reference;
    if path.is_empty() {
        return Err(Unresolved {
            reason: reasons::INVALID_CONFIGURATION,
            message: format!(
                "{whole} needs a name and a key: ${{{provider}:name:key}} or ${{{provider}:namespace/name:key}}"
            ),
        });
    }
    let (namespace, name) = path.split_once('/').unwrap_or((namespace, path));
    Ok(Key::new(namespace, name))
}

fn absent(kind: &str, key: &Key) -> Unresolved {
    Unresolved::missing(format!("the folder has no {kind} {:?} in namespace {:?}", key.name, key.namespace))
}

fn no_key(kind: &str, key: &Key, name: &str) -> Unresolved {
    Unresolved::missing(format!("the {kind} {key} has no key {name:?}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;
    use crate::manifests::Reader;

    fn folder() -> Folder {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("a.yaml"),
            "{apiVersion: v1, kind: Secret, metadata: {name: db}, stringData: {password: 'p$w}d'}, data: {user: bWU=}}\n---\n\
             {apiVersion: v1, kind: ConfigMap, metadata: {name: cm, namespace: other}, data: {topic: lines}}\n---\n\
             {apiVersion: barnabas.dev/v1, kind: ConnectCluster, metadata: {name: c}, spec: {bootstrapServers: embedded, \
             groupId: g, offsetStorageTopic: o}}\n",
        )
        .unwrap();
        let folder = Reader::new(dir.path()).unwrap().read().unwrap().unwrap();
        assert_eq!(folder.problems, []);
        folder
    }

    #[test]
    fn references_are_replaced_and_everything_else_is_left() {
        let folder = folder();
        let resolve = |text: &str| resolve(text, &folder, "default").unwrap();
        let secret = |text: &str, secret: &str| (text.to_owned(), vec![secret.to_owned()]);
        assert_eq!(resolve("a ${secrets:default/db:password} b"), secret("a p$w}d b", "p$w}d"));
        assert_eq!(resolve("${secrets:db:user}:${configmaps:other/cm:topic}"), secret("me:lines", "me"));
        assert_eq!(resolve("${strimzisecrets:default/db:user}"), secret("me", "me"));
        assert_eq!(resolve("t-${topic}-${env:X} ${"), ("t-${topic}-${env:X} ${".to_owned(), vec![]));
    }

    #[test]
    fn what_is_missing_is_named_and_no_value_is() {
        let folder = folder();
        let error = |text: &str| resolve(text, &folder, "default").unwrap_err();
        let cases = [
            ("${secrets:default/nope:k}", "no Secret \"nope\" in namespace \"default\""),
            ("${secrets:default/db:nope}", "the Secret db has no key \"nope\""),
            ("${configmaps:cm:topic}", "no ConfigMap \"cm\" in namespace \"default\""),
        ];
        for (text, expected) in cases {
            let error = error(text);
            assert!(error.message.contains(expected), "{error:?}");
            assert!(!error.message.contains("p$w"));
            assert_eq!(error.reason, reasons::SECRET_NOT_FOUND);
        }
        assert_eq!(error("${secrets:db}").reason, reasons::INVALID_CONFIGURATION);
    }
}
