//! Keeps the Secrets of a cluster's certificates: makes what is missing, renews
//! what is due, moves a rotation on. The decisions are [`super::authority`]'s.

use barnabas_crds::labels;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use tracing::{info, warn};

use super::{
    apply::{FIELD_MANAGER, apply, is_conflict},
    authority::{Authority, Step, Validity},
    build::{
        Build,
        certificates::{self as secrets, Stored},
    },
    hash,
};
use crate::session::Credentials;

/// Annotation on the cluster, or on the authority's Secret: makes a new authority now.
const ROTATE: [&str; 3] = ["rotate-ca", "force-replace", "force-renew"];

/// Why the certificates are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused or did not answer.
    #[error("the certificates' Secrets cannot be kept: {0}")]
    Kube(#[from] kube::Error),
    /// A certificate could not be made.
    #[error(transparent)]
    Authority(#[from] super::authority::Error),
    /// Another operator changed the Secret meanwhile.
    #[error("the Secret {0} was changed by somebody else meanwhile")]
    Raced(String),
    /// The system has no randomness.
    #[error("no random numbers are to be had")]
    Random,
}

/// The certificates as they stand now.
#[derive(Debug)]
pub struct Kept {
    /// For sessions.
    pub credentials: Credentials,
    /// For finding out who accepts the next authority, while one is announced.
    pub probe: Option<Credentials>,
    /// Key for hashes of mounted Secrets.
    pub hash_key: Vec<u8>,
    /// When to look again at the latest, milliseconds since 1970.
    pub due_ms: i64,
    /// A rotation is under way.
    pub rotating: bool,
}

/// Brings the Secrets up to date. `accepted` says that every worker was seen to
/// accept the probe of an earlier call.
pub async fn keep(
    client: &Client,
    build: Build<'_>,
    validity: &Validity,
    now_ms: i64,
    accepted: bool,
) -> Result<Kept, Error> {
    let names = build.names();
    let api: Api<Secret> = Api::namespaced(client.clone(), build.namespace());
    let mut stored = load(&api, build, validity, now_ms).await?;
    let asked = asked_to_rotate(build, &stored.secret);
    let force = !asked.is_empty();
    let cluster = build.name();
    loop {
        let step = stored.content.authority.step(cluster, now_ms, validity, force, accepted)?;
        if step == Step::Unchanged {
            break;
        }
        info!(cluster, namespace = build.namespace(), ?step, "The cluster's certificate authority moves on.");
        let mut secret = secrets::authority(build, &stored.content);
        // Two operators may not both decide about the same key.
        secret.metadata.resource_version = stored.secret.resource_version();
        stored.secret = match apply(client, &secret).await {
            Ok(secret) => secret,
            Err(error) if is_conflict(&error) => return Err(Error::Raced(names.authority())),
            Err(error) => return Err(error.into()),
        };
        if step == Step::Announced {
            forget_request(client, build, &api, &asked).await;
            break;
        }
    }
    let authority = &stored.content.authority;
    let trust = authority.trust_bundle();

    let server_names = secrets::server_names(build);
    let worker = leaf(client, build, &api, names.worker_certs(), authority, &trust, &server_names, now_ms, |a| {
        a.sign_server(&server_names, now_ms, validity)
    })
    .await?;
    let operator = leaf(client, build, &api, names.operator_certs(), authority, &trust, &[], now_ms, |a| {
        a.sign_client(now_ms, validity)
    })
    .await?;

    let probe = authority.sign_probe(now_ms, validity)?.map(|pair| Credentials {
        trust: trust.clone(),
        cert: pair.cert,
        key: pair.key,
    });
    let due_ms = [
        authority.next_step_ms(validity)?,
        Authority::leaf_due_ms(&worker.cert)?,
        Authority::leaf_due_ms(&operator.cert)?,
    ];
    Ok(Kept {
        rotating: authority.next.is_some() || authority.previous.is_some(),
        credentials: Credentials { trust, cert: operator.cert, key: operator.key },
        probe,
        due_ms: due_ms.into_iter().min().unwrap_or(now_ms),
        hash_key: stored.content.hash_key,
    })
}

struct Loaded {
    secret: Secret,
    content: Stored,
}

/// Reads the authority, or makes one.
async fn load(api: &Api<Secret>, build: Build<'_>, validity: &Validity, now_ms: i64) -> Result<Loaded, Error> {
    let name = build.names().authority();
    let existing = api.get_opt(&name).await?;
    if let Some(secret) = &existing
        && let Some(content) = secrets::read_authority(secret)
    {
        return Ok(Loaded { secret: secret.clone(), content });
    }
    let content = Stored {
        authority: Authority::generate(build.name(), now_ms, validity)?,
        hash_key: hash::random_key().map_err(|_| Error::Random)?,
    };
    let mut secret = secrets::authority(build, &content);
    let made = match existing {
        None => {
            info!(secret = %name, namespace = build.namespace(), "The cluster gets a certificate authority.");
            let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
            api.create(&params, &secret).await
        }
        Some(damaged) => {
            warn!(secret = %name, namespace = build.namespace(), "The Secret of the certificate authority is damaged; a new authority is made.");
            secret.metadata.resource_version = damaged.resource_version();
            api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&secret)).await
        }
    };
    match made {
        Ok(secret) => Ok(Loaded { secret, content }),
        Err(error) if is_conflict(&error) => Err(Error::Raced(name)),
        Err(error) => Err(error.into()),
    }
}

/// Keeps one leaf's Secret: a new leaf when the old one is no good, and always the present trust.
#[allow(clippy::too_many_arguments)]
async fn leaf(
    client: &Client,
    build: Build<'_>,
    api: &Api<Secret>,
    name: String,
    authority: &Authority,
    trust: &str,
    server_names: &[String],
    now_ms: i64,
    sign: impl FnOnce(&Authority) -> Result<super::authority::Pair, super::authority::Error>,
) -> Result<super::authority::Pair, Error> {
    let existing = api.get_opt(&name).await?;
    let read = existing.as_ref().and_then(secrets::read_leaf);
    let reason = match &read {
        None => Some("it is missing"),
        Some((pair, _)) => authority.renewal_reason(&pair.cert, server_names, now_ms),
    };
    let (pair, unchanged) = match (reason, read) {
        (None, Some((pair, old_trust))) => {
            let unchanged = old_trust == trust;
            (pair, unchanged)
        }
        (reason, _) => {
            info!(secret = %name, namespace = build.namespace(), reason, "A certificate is made.");
            (sign(authority)?, false)
        }
    };
    if !unchanged {
        apply(client, &secrets::leaf(build, name, &pair, trust)).await?;
    }
    Ok(pair)
}

/// Requests for a rotation, by the annotation's full key: on the cluster, on the Secret.
struct Asked {
    cluster: Option<String>,
    secret: Option<String>,
}

impl Asked {
    fn is_empty(&self) -> bool {
        self.cluster.is_none() && self.secret.is_none()
    }
}

fn asked_to_rotate(build: Build<'_>, secret: &Secret) -> Asked {
    let find = |metadata| {
        ROTATE
            .iter()
            .find_map(|name| labels::annotation(metadata, name).filter(|(_, value)| *value == "true"))
            .map(|(key, _)| key.to_owned())
    };
    Asked { cluster: find(&build.cluster.metadata), secret: find(&secret.metadata) }
}

/// The rotation has begun: the request is removed, so that it does not begin again.
async fn forget_request(client: &Client, build: Build<'_>, api: &Api<Secret>, asked: &Asked) {
    let patch = |key: &str| Patch::Merge(serde_json::json!({ "metadata": { "annotations": { key: null } } }));
    if let Some(key) = &asked.cluster {
        let clusters: Api<barnabas_crds::ConnectCluster> = Api::namespaced(client.clone(), build.namespace());
        if let Err(error) = clusters.patch_metadata(build.name(), &PatchParams::default(), &patch(key)).await {
            warn!(annotation = %key, %error, "The request for a new authority could not be removed.");
        }
    }
    if let Some(key) = &asked.secret
        && let Err(error) = api.patch_metadata(&build.names().authority(), &PatchParams::default(), &patch(key)).await
    {
        warn!(annotation = %key, %error, "The request for a new authority could not be removed.");
    }
}
