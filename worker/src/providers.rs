//! Config providers whose values are on the worker's own machine: `${env:NAME}`, `${file:PATH:KEY}`,
//! `${directory:PATH:FILE}` (`org.apache.kafka.common.config.provider`).
//!
//! They are there under those names and under Strimzi's; `config.providers` adds names and restricts them. Secrets and
//! ConfigMaps are resolved by the operator, which may read them; what is left of such a reference when it arrives here is
//! an error.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use barnabas_connect::{
    ConfigError, RawConfig, Secrets,
    config::reference::{Part, Reference, parts},
    regex::JavaRegex,
};

use crate::config::WorkerConfigError;

/// The providers by name.
#[derive(Debug)]
pub struct Providers(BTreeMap<String, Provider>);

#[derive(Debug)]
enum Provider {
    /// EnvVarConfigProvider, with its `allowlist.pattern`.
    Env(Option<Box<JavaRegex>>),
    /// FileConfigProvider, with its `allowed.paths`.
    File(Option<Vec<PathBuf>>),
    /// DirectoryConfigProvider, with its `allowed.paths`.
    Directory(Option<Vec<PathBuf>>),
    /// One of the operator's.
    Kubernetes(&'static str),
}

impl Default for Providers {
    fn default() -> Self {
        let providers = [
            ("env", Provider::Env(None)),
            ("strimzienv", Provider::Env(None)),
            ("file", Provider::File(None)),
            ("strimzifile", Provider::File(None)),
            ("dir", Provider::Directory(None)),
            ("directory", Provider::Directory(None)),
            ("strimzidir", Provider::Directory(None)),
            ("secrets", Provider::Kubernetes("Secret")),
            ("strimzisecrets", Provider::Kubernetes("Secret")),
            ("configmaps", Provider::Kubernetes("ConfigMap")),
            ("strimziconfigmaps", Provider::Kubernetes("ConfigMap")),
        ];
        Self(providers.into_iter().map(|(name, provider)| (name.to_owned(), provider)).collect())
    }
}

impl Providers {
    /// Those that are always there, and what the worker keys `config.providers*` say.
    ///
    /// # Errors
    /// A class that does not exist here, or a parameter that is wrong.
    pub fn new(worker: &BTreeMap<String, String>) -> Result<Self, WorkerConfigError> {
        let mut all = Self::default();
        let names = worker.get("config.providers").map(String::as_str).unwrap_or_default();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let key = format!("config.providers.{name}.class");
            let Some(class) = worker.get(&key) else {
                return Err(wrong(key, format!("is missing; `config.providers` names `{name}`")));
            };
            let param = |param: &str| {
                let key = format!("config.providers.{name}.param.{param}");
                worker.get(&key).map(|value| (key, value.as_str()))
            };
            let paths = || {
                let paths = param("allowed.paths").map(|(_, paths)| paths);
                paths.map(|paths| paths.split(',').map(|path| normal(Path::new(path.trim()))).collect())
            };
            let provider = match class.trim().rsplit('.').next().unwrap_or_default() {
                "EnvVarConfigProvider" => Provider::Env(
                    param("allowlist.pattern")
                        .map(|(key, pattern)| JavaRegex::new(pattern).map(Box::new).map_err(|error| wrong(key, error)))
                        .transpose()?,
                ),
                "FileConfigProvider" => Provider::File(paths()),
                "DirectoryConfigProvider" => Provider::Directory(paths()),
                "KubernetesSecretConfigProvider" => Provider::Kubernetes("Secret"),
                "KubernetesConfigMapConfigProvider" => Provider::Kubernetes("ConfigMap"),
                _ => {
                    return Err(wrong(
                        key,
                        format!(
                            "is `{class}`; expected EnvVarConfigProvider, FileConfigProvider, DirectoryConfigProvider, \
                             KubernetesSecretConfigProvider or KubernetesConfigMapConfigProvider"
                        ),
                    ));
                }
            };
            all.0.insert(name.to_owned(), provider);
        }
        Ok(all)
    }

    /// The configuration with every reference replaced, and the values that took their place. References to names that
    /// are no provider are left as they are, as Kafka leaves them: `${topic}` is none.
    ///
    /// # Errors
    /// One for each reference that cannot be resolved; where Kafka leaves such a reference in the value, this refuses it.
    pub fn resolve(&self, config: &RawConfig) -> Result<(RawConfig, Secrets), Vec<ConfigError>> {
        let mut resolved = config.clone();
        let mut values = Vec::new();
        let mut errors = Vec::new();
        for (key, value) in resolved.iter_mut().filter(|(_, value)| value.contains("${")) {
            let mut text = String::with_capacity(value.len());
            for part in parts(value) {
                match part {
                    Part::Text(part) => text.push_str(part),
                    Part::Reference(reference) => match self.look_up(&reference) {
                        Some(Ok(found)) => {
                            text.push_str(&found);
                            values.push(found);
                        }
                        Some(Err(why)) => {
                            let message = format!("{key} refers to {}, but {why}.", reference.whole);
                            errors.push(ConfigError::new(key, "InvalidValue", message));
                        }
                        None => text.push_str(reference.whole),
                    },
                }
            }
            *value = text;
        }
        if errors.is_empty() { Ok((resolved, Secrets::new(values))) } else { Err(errors) }
    }

    fn look_up(&self, reference: &Reference<'_>) -> Option<Result<String, String>> {
        let Reference { path, key, .. } = *reference;
        Some(match self.0.get(reference.provider)? {
            Provider::Env(allowed) => {
                if allowed.as_ref().is_some_and(|allowed| !allowed.matches(key).unwrap_or(false)) {
                    Err(format!("the provider's allowlist.pattern does not allow {key}"))
                } else {
                    std::env::var(key).map_err(|_| format!("the environment variable {key} is not set on the worker"))
                }
            }
            Provider::File(allowed) => read(Path::new(path), allowed.as_deref()).and_then(|text| {
                let properties = java_properties::read(text.as_bytes())
                    .map_err(|error| format!("the file {path} is no properties file: {error}"))?;
                properties.get(key).cloned().ok_or_else(|| format!("the file {path} has no property {key}"))
            }),
            Provider::Directory(allowed) => {
                if key.contains('/') || key.starts_with('.') {
                    Err(format!("{key} is not the name of a file in {path}"))
                } else {
                    read(&Path::new(path).join(key), allowed.as_deref())
                }
            }
            Provider::Kubernetes(kind) => {
                Err(format!("{kind}s are resolved by the operator, and this worker runs without one"))
            }
        })
    }
}

fn read(path: &Path, allowed: Option<&[PathBuf]>) -> Result<String, String> {
    let path = normal(path);
    if allowed.is_some_and(|allowed| !allowed.iter().any(|allowed| path.starts_with(allowed))) {
        return Err(format!("the provider's allowed.paths do not allow {}", path.display()));
    }
    fs::read_to_string(&path).map_err(|error| format!("the worker cannot read the file {}: {error}", path.display()))
}

/// The path without `.` and `..`, so that nothing outside an allowed folder is named through it.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => _ = normal.pop(),
            other => normal.push(other),
        }
    }
    normal
}

fn wrong(key: String, message: String) -> WorkerConfigError {
    WorkerConfigError::Value { key, message }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn providers(worker: &[(&str, &str)]) -> Providers {
        Providers::new(&map(worker)).unwrap()
    }

    fn one(providers: &Providers, value: &str) -> Result<String, String> {
        match providers.resolve(&map(&[("k", value)])) {
            Ok((resolved, _)) => Ok(resolved["k"].clone()),
            Err(errors) => Err(errors[0].message.clone()),
        }
    }

    #[test]
    fn each_provider_finds_its_values() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        fs::write(folder.path().join("db.properties"), "# c\nuser = me\npassword:a=b\\u0021\nlong one\\\n  two\n")
            .unwrap();
        let providers = providers(&[]);
        let path = std::env::var("PATH").unwrap();
        for (value, expected) in [
            ("a ${env:PATH} b".to_owned(), format!("a {path} b")),
            ("${strimzienv:PATH}".to_owned(), path),
            (format!("${{file:{at}/db.properties:password}}"), "a=b!".to_owned()),
            (
                format!("${{strimzifile:{at}/db.properties:user}}:${{file:{at}/db.properties:long}}"),
                "me:onetwo".to_owned(),
            ),
            (
                format!("${{directory:{at}/.:db.properties}}"),
                fs::read_to_string(folder.path().join("db.properties")).unwrap(),
            ),
            ("${topic}-${unknown:x:y}-${".to_owned(), "${topic}-${unknown:x:y}-${".to_owned()),
        ] {
            assert_eq!(one(&providers, &value), Ok(expected), "{value}");
        }
    }

    #[test]
    fn what_was_put_in_is_a_secret() {
        let (_, secrets) = providers(&[]).resolve(&map(&[("k", "${env:PATH}")])).unwrap();
        assert_eq!(secrets.hide(&format!("bad value {}", std::env::var("PATH").unwrap())), "bad value [hidden]");
    }

    #[test]
    fn what_cannot_be_resolved_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display().to_string();
        fs::write(folder.path().join("p"), "a=b").unwrap();
        let limited = providers(&[
            ("config.providers", "env, file"),
            ("config.providers.env.class", "org.apache.kafka.common.config.provider.EnvVarConfigProvider"),
            ("config.providers.env.param.allowlist.pattern", "DB_.*"),
            ("config.providers.file.class", "FileConfigProvider"),
            ("config.providers.file.param.allowed.paths", &at),
        ]);
        assert_eq!(one(&limited, &format!("${{file:{at}/p:a}}")), Ok("b".to_owned()));
        let open = providers(&[]);
        for (providers, value, expected) in [
            (&limited, "${env:PATH}".to_owned(), "allowlist.pattern does not allow PATH"),
            (&limited, format!("${{file:{at}/../x:a}}"), "allowed.paths do not allow"),
            (
                &open,
                "${env:BARNABAS_NOT_SET}".to_owned(),
                "k refers to ${env:BARNABAS_NOT_SET}, but the environment variable",
            ),
            (&open, "${file:/nope.properties:k}".to_owned(), "cannot read the file /nope.properties"),
            (&open, format!("${{file:{at}/p:z}}"), "has no property z"),
            (&open, format!("${{dir:{at}:../p}}"), "is not the name of a file"),
            (&open, "${secrets:ns/a:b}".to_owned(), "Secrets are resolved by the operator"),
        ] {
            let error = one(providers, &value).unwrap_err();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }

    #[test]
    fn a_provider_that_does_not_exist_is_named() {
        let error = Providers::new(&map(&[("config.providers", "vault"), ("config.providers.vault.class", "x.Vault")]));
        assert!(error.unwrap_err().to_string().contains("`config.providers.vault.class`"));
        let error = Providers::new(&map(&[("config.providers", "vault")]));
        assert!(error.unwrap_err().to_string().contains("is missing"));
    }
}
