//! `${secrets:namespace/name:key}` and `${configmaps:namespace/name:key}` in
//! connector configurations.
//!
//! The operator reads the values, but only those that the cluster's own service
//! account may read: it asks the API server by a review in the Secret's
//! namespace. Other providers (`env`, `file`, `directory`) are left for the worker, in whose
//! pod their values are. Compatible with Strimzi's
//! KubernetesSecretConfigProvider and KubernetesConfigMapConfigProvider.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use barnabas_connect::config::reference::{Part, Reference, parts};
use barnabas_crds::reasons;
use k8s_openapi::{
    api::{
        authorization::v1::{LocalSubjectAccessReview, ResourceAttributes, SubjectAccessReviewSpec},
        core::v1::{ConfigMap, Secret},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Client, api::PostParams};
use parking_lot::Mutex;

use super::{
    apply::is_forbidden,
    world::{Key, Kind, World},
};
use crate::plan::Problem;

/// How long a value that was read counts as fresh.
const FRESH: Duration = Duration::from_secs(30);
/// How long something that was missing or forbidden is believed to be so.
const FRESH_PROBLEM: Duration = Duration::from_secs(4);
/// How long a permission that was given is believed.
const FRESH_PERMISSION: Duration = Duration::from_secs(60);
/// The API server has to answer within this time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// In a Secret.
    Secret,
    /// In a ConfigMap.
    ConfigMap,
}

impl Source {
    fn kind(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
    fn plural(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::ConfigMap => "configmaps",
        }
    }
}

/// Provider names, with those that a cluster's `config.providers` adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Providers(BTreeMap<String, Source>);

impl Providers {
    /// The names that are always there, and those that `config` gives to Strimzi's two classes.
    pub fn of(config: &BTreeMap<String, String>) -> Self {
        let mut names = BTreeMap::from([
            ("secrets".to_owned(), Source::Secret),
            ("strimzisecrets".to_owned(), Source::Secret),
            ("configmaps".to_owned(), Source::ConfigMap),
            ("strimziconfigmaps".to_owned(), Source::ConfigMap),
        ]);
        for (key, class) in config {
            let Some(name) = key.strip_prefix("config.providers.").and_then(|key| key.strip_suffix(".class")) else {
                continue;
            };
            if class.ends_with("KubernetesSecretConfigProvider") {
                names.insert(name.to_owned(), Source::Secret);
            } else if class.ends_with("KubernetesConfigMapConfigProvider") {
                names.insert(name.to_owned(), Source::ConfigMap);
            }
        }
        Self(names)
    }
}

/// What resolving a configuration found in it.
#[derive(Debug, Default)]
pub struct Resolved {
    /// There were references.
    pub refers: bool,
    /// The values that came out of Secrets.
    pub secrets: BTreeSet<String>,
}

/// Why a configuration could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// Somebody has to act; looked at again now and then.
    Problem(Problem),
    /// The API server did not answer; what was resolved before stays good.
    Transient(String),
}

type Data = BTreeMap<String, Vec<u8>>;

struct Read {
    at: Instant,
    version: Option<String>,
    data: Option<Arc<Data>>,
}

/// May this service account read that?
type Permission = (Key, Source, Key);

/// Reads Secrets and ConfigMaps, and remembers for a while what it read and who may.
pub struct Resolver {
    client: Client,
    world: Arc<World>,
    read: Mutex<HashMap<(Source, Key), Read>>,
    allowed: Mutex<HashMap<Permission, (bool, Instant)>>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    /// A resolver.
    pub fn new(client: Client, world: Arc<World>) -> Self {
        Self { client, world, read: Mutex::default(), allowed: Mutex::default() }
    }

    /// Resolves every reference in `config`, which belongs to the connector
    /// `connector` and is read with the permission of `account` in the same
    /// namespace. Adds to `references` the ConfigMaps that were looked at.
    pub async fn config(
        &self,
        config: &mut BTreeMap<String, String>,
        namespace: &str,
        account: &str,
        providers: &Providers,
        references: &mut BTreeSet<Key>,
    ) -> Result<Resolved, Unresolved> {
        let mut all = Resolved::default();
        for (name, value) in config.iter_mut() {
            let mut resolved = String::new();
            let mut found = false;
            for part in parts(value) {
                match part {
                    Part::Text(text) => resolved.push_str(text),
                    Part::Reference(Reference { provider, path, key, whole }) => {
                        let Some(source) = providers.0.get(provider).copied() else {
                            resolved.push_str(whole);
                            continue;
                        };
                        found = true;
                        let target = match path.split_once('/') {
                            Some((namespace, object)) => Key::new(namespace, object),
                            None => Key::new(namespace, path),
                        };
                        if target.name.is_empty() || key.is_empty() {
                            return Err(problem(
                                reasons::INVALID_CONFIGURATION,
                                format!(
                                    "{name} in spec.config refers to {whole}; it has to be of the form ${{{}:namespace/name:key}}.",
                                    whole.trim_start_matches("${").split(':').next().unwrap_or_default(),
                                ),
                            ));
                        }
                        if source == Source::ConfigMap {
                            references.insert(target.clone());
                        }
                        let value = self.value(name, source, &target, key, namespace, account).await?;
                        resolved.push_str(&value);
                        if source == Source::Secret {
                            all.secrets.insert(value);
                        }
                    }
                }
            }
            if found {
                all.refers = true;
                *value = resolved;
            }
        }
        Ok(all)
    }

    async fn value(
        &self,
        name: &str,
        source: Source,
        target: &Key,
        key: &str,
        namespace: &str,
        account: &str,
    ) -> Result<String, Unresolved> {
        let kind = source.kind();
        // Permission first: nobody learns by a connector whether something exists that it may not read.
        if !self.may(source, target, &Key::new(namespace, account)).await? {
            return Err(problem(
                reasons::SECRET_FORBIDDEN,
                format!(
                    "{name} in spec.config refers to the {kind} {target}, which the ServiceAccount {namespace}/{account} may not \
                     read. Grant it `get` on {} {} by a Role and a RoleBinding in namespace {}.",
                    source.plural(),
                    target.name,
                    target.namespace
                ),
            ));
        }
        let Some(data) = self.data(source, target).await? else {
            return Err(problem(
                reasons::SECRET_NOT_FOUND,
                format!(
                    "{name} in spec.config refers to the key {key:?} of the {kind} {target}; there is no such {kind}."
                ),
            ));
        };
        let Some(value) = data.get(key) else {
            let keys: Vec<&str> = data.keys().map(String::as_str).collect();
            return Err(problem(
                reasons::SECRET_NOT_FOUND,
                format!(
                    "{name} in spec.config refers to the key {key:?} of the {kind} {target}; that {kind} has the keys {}.",
                    if keys.is_empty() { "(none)".to_owned() } else { keys.join(", ") }
                ),
            ));
        };
        String::from_utf8(value.clone()).map_err(|_| {
            problem(
                reasons::INVALID_CONFIGURATION,
                format!("{name} in spec.config refers to the key {key:?} of the {kind} {target}; its value is not text (UTF-8)."),
            )
        })
    }

    /// The content of a Secret or ConfigMap, `None` when there is none.
    pub async fn data(&self, source: Source, target: &Key) -> Result<Option<Arc<Data>>, Unresolved> {
        let version = match source {
            Source::ConfigMap => self.world.read(|state| state.version(Kind::ConfigMap, target).map(str::to_owned)),
            Source::Secret => None,
        };
        if let Some(read) = self.read.lock().get(&(source, target.clone())) {
            let fresh = if read.data.is_some() { FRESH } else { FRESH_PROBLEM };
            if read.at.elapsed() < fresh && read.version == version {
                return Ok(read.data.clone());
            }
        }
        let read = async {
            match source {
                Source::Secret => {
                    let api: Api<Secret> = Api::namespaced(self.client.clone(), &target.namespace);
                    let secret = api.get_opt(&target.name).await?;
                    Ok(secret.map(|secret| {
                        secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
                    }))
                }
                Source::ConfigMap => {
                    let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &target.namespace);
                    let map = api.get_opt(&target.name).await?;
                    Ok(map.map(|map| {
                        let text =
                            map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
                        let binary = map.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
                        text.chain(binary).collect::<Data>()
                    }))
                }
            }
        };
        let data = match tokio::time::timeout(TIMEOUT, read).await {
            Ok(Ok(data)) => data.map(Arc::new),
            Ok(Err(error)) if is_forbidden(&error) => {
                return Err(problem(
                    reasons::SECRET_FORBIDDEN,
                    format!(
                        "The operator may not read the {} {target}: it watches other namespaces only.",
                        source.kind()
                    ),
                ));
            }
            Ok(Err(error)) => return Err(Unresolved::Transient(error.to_string())),
            Err(_) => return Err(Unresolved::Transient("the API server did not answer in time".to_owned())),
        };
        let read = Read { at: Instant::now(), version, data: data.clone() };
        let mut all = self.read.lock();
        all.retain(|_, read| read.at.elapsed() < FRESH * 4);
        all.insert((source, target.clone()), read);
        Ok(data)
    }

    /// Whether the service account may read the object.
    async fn may(&self, source: Source, target: &Key, account: &Key) -> Result<bool, Unresolved> {
        let asked = (account.clone(), source, target.clone());
        if let Some((allowed, at)) = self.allowed.lock().get(&asked) {
            let fresh = if *allowed { FRESH_PERMISSION } else { FRESH_PROBLEM };
            if at.elapsed() < fresh {
                return Ok(*allowed);
            }
        }
        // Local, so that a Role can allow the operator to ask.
        let api: Api<LocalSubjectAccessReview> = Api::namespaced(self.client.clone(), &target.namespace);
        let review = LocalSubjectAccessReview {
            metadata: ObjectMeta { namespace: Some(target.namespace.clone()), ..ObjectMeta::default() },
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{}:{}", account.namespace, account.name)),
                groups: Some(vec![
                    "system:serviceaccounts".to_owned(),
                    format!("system:serviceaccounts:{}", account.namespace),
                    "system:authenticated".to_owned(),
                ]),
                resource_attributes: Some(ResourceAttributes {
                    namespace: Some(target.namespace.clone()),
                    verb: Some("get".to_owned()),
                    resource: Some(source.plural().to_owned()),
                    name: Some(target.name.clone()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            status: None,
        };
        let params = PostParams::default();
        let answer = tokio::time::timeout(TIMEOUT, api.create(&params, &review)).await;
        let allowed = match answer {
            Ok(Ok(review)) => review.status.is_some_and(|status| status.allowed),
            // Not our namespace: nobody can vouch for the account there.
            Ok(Err(error)) if is_forbidden(&error) => false,
            Ok(Err(error)) => return Err(Unresolved::Transient(error.to_string())),
            Err(_) => return Err(Unresolved::Transient("the API server did not answer in time".to_owned())),
        };
        let mut all = self.allowed.lock();
        all.retain(|_, (_, at)| at.elapsed() < FRESH_PERMISSION);
        all.insert(asked, (allowed, Instant::now()));
        Ok(allowed)
    }
}

fn problem(reason: &str, message: String) -> Unresolved {
    Unresolved::Problem(Problem { reason: reason.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn providers() -> Providers {
        Providers::of(&BTreeMap::from([
            ("config.providers".to_owned(), "mine".to_owned()),
            ("config.providers.mine.class".to_owned(), "io.strimzi.kafka.KubernetesSecretConfigProvider".to_owned()),
        ]))
    }

    #[test]
    fn a_clusters_own_names_stand_beside_the_usual_ones() {
        let known = providers().0;
        let of = |source| -> Vec<&str> {
            known.iter().filter(|(_, known)| **known == source).map(|(name, _)| name.as_str()).collect()
        };
        assert_eq!(of(Source::Secret), ["mine", "secrets", "strimzisecrets"]);
        assert_eq!(of(Source::ConfigMap), ["configmaps", "strimziconfigmaps"]);
    }
}
