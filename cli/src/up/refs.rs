//! `${provider:path:key}` in connector configurations, resolved from the folder and from this machine.
//!
//! The providers, under their usual names and Strimzi's: `secrets` and `configmaps` (Secrets and ConfigMaps of the
//! folder, `namespace/name:key`), `env` (`${env:NAME}`), `file` (a key of a Java properties file) and `directory` (a
//! file in a folder). Anything else is left as it is, as Kafka's `ConfigTransformer` does: `${topic}` is no reference.

use std::{fs, path::Path as FilePath};

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

/// `text` with its references replaced. `namespace` is the connector's: a Secret without one is looked for there.
///
/// # Errors
/// The first reference that cannot be resolved.
pub fn resolve(text: &str, folder: &Folder, namespace: &str) -> Result<String, Unresolved> {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let inside = &rest[start + 2..start + length];
        resolved.push_str(&rest[..start]);
        match inside.split_once(':') {
            Some((provider, what)) => match value(provider, what, folder, namespace)? {
                Some(value) => resolved.push_str(&value),
                None => resolved.push_str(&rest[start..=start + length]),
            },
            None => resolved.push_str(&rest[start..=start + length]),
        }
        rest = &rest[start + length + 1..];
    }
    resolved.push_str(rest);
    Ok(resolved)
}

fn value(provider: &str, what: &str, folder: &Folder, namespace: &str) -> Result<Option<String>, Unresolved> {
    // The provider's name, as Strimzi's operator registers it, has a prefix.
    let provider = provider.strip_prefix("strimzi").unwrap_or(provider);
    let parts = || {
        what.rsplit_once(':').ok_or_else(|| Unresolved {
            reason: reasons::INVALID_CONFIGURATION,
            message: format!("${{{provider}:{what}}} needs a path and a key: ${{{provider}:path:key}}"),
        })
    };
    let found = match provider {
        "secrets" => {
            let (path, name) = parts()?;
            let key = object_key(path, namespace);
            let secret = folder.secrets.get(&key).ok_or_else(|| absent("Secret", &key))?;
            let bytes = secret.resource.0.get(name).ok_or_else(|| no_key("Secret", &key, name))?;
            String::from_utf8(bytes.clone())
                .map_err(|_| Unresolved::missing(format!("the key {name:?} of the Secret {key} is not text")))?
        }
        "configmaps" => {
            let (path, name) = parts()?;
            let key = object_key(path, namespace);
            let texts = folder.config_maps.get(&key).ok_or_else(|| absent("ConfigMap", &key))?;
            texts.resource.0.get(name).cloned().ok_or_else(|| no_key("ConfigMap", &key, name))?
        }
        // Kafka's EnvVarConfigProvider ignores the path: `${env:NAME}` and `${env::NAME}` are the same.
        "env" => {
            let name = what.rsplit(':').next().unwrap_or(what);
            std::env::var(name)
                .map_err(|_| Unresolved::missing(format!("the environment variable {name} is not set")))?
        }
        "file" => {
            let (path, name) = parts()?;
            let text = read(FilePath::new(path))?;
            property(&text, name)
                .ok_or_else(|| Unresolved::missing(format!("the file {path} has no property {name:?}")))?
        }
        "dir" | "directory" => {
            let (path, name) = parts()?;
            read(&FilePath::new(path).join(name))?
        }
        _ => return Ok(None),
    };
    Ok(Some(found))
}

fn object_key(path: &str, namespace: &str) -> Key {
    let (namespace, name) = path.split_once('/').unwrap_or((namespace, path));
    Key::new(namespace, name)
}

fn absent(kind: &str, key: &Key) -> Unresolved {
    Unresolved::missing(format!("the folder has no {kind} {:?} in namespace {:?}", key.name, key.namespace))
}

fn no_key(kind: &str, key: &Key, name: &str) -> Unresolved {
    Unresolved::missing(format!("the {kind} {key} has no key {name:?}"))
}

fn read(path: &FilePath) -> Result<String, Unresolved> {
    fs::read_to_string(path)
        .map_err(|error| Unresolved::missing(format!("the file {} cannot be read: {error}", path.display())))
}

/// A value of a Java properties file: `key=value`, `key: value` or `key value`; `#` and `!` begin comments.
fn property(text: &str, wanted: &str) -> Option<String> {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with(['#', '!']));
    let mut found = None;
    for line in lines {
        let end = line.find(['=', ':', ' ', '\t']).unwrap_or(line.len());
        if &line[..end] == wanted {
            let value = line[end..].trim_start();
            // The last one wins, as in java.util.Properties.
            found = Some(value.strip_prefix(['=', ':']).unwrap_or(value).trim_start().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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
        let resolve = |text: &str| resolve(text, &folder, "default");
        assert_eq!(resolve("a ${secrets:default/db:password} b").unwrap(), "a p$w}d b");
        assert_eq!(resolve("${secrets:db:user}:${configmaps:other/cm:topic}").unwrap(), "me:lines");
        assert_eq!(resolve("${strimzisecrets:default/db:user}").unwrap(), "me");
        assert_eq!(resolve("t-${topic}-${unknown:x:y} ${").unwrap(), "t-${topic}-${unknown:x:y} ${");
        assert_eq!(resolve("${env:PATH}").unwrap(), std::env::var("PATH").unwrap());
    }

    #[test]
    fn files_and_folders_are_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("p.properties"), "# c\nuser = me\npassword: a=b\n").unwrap();
        let (folder, at) = (folder(), dir.path().display());
        let resolve = |text: String| resolve(&text, &folder, "default").unwrap();
        assert_eq!(resolve(format!("${{file:{at}/p.properties:password}}")), "a=b");
        assert_eq!(resolve(format!("${{file:{at}/p.properties:user}}")), "me");
        assert!(resolve(format!("${{directory:{at}:p.properties}}")).starts_with("# c"));
    }

    #[test]
    fn what_is_missing_is_named_and_no_value_is() {
        let folder = folder();
        let error = |text: &str| resolve(text, &folder, "default").unwrap_err();
        let cases = [
            ("${secrets:default/nope:k}", "no Secret \"nope\" in namespace \"default\""),
            ("${secrets:default/db:nope}", "the Secret db has no key \"nope\""),
            ("${configmaps:cm:topic}", "no ConfigMap \"cm\" in namespace \"default\""),
            ("${env:BARNABAS_NOT_SET}", "BARNABAS_NOT_SET is not set"),
            ("${file:/nope.properties:k}", "/nope.properties cannot be read"),
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
