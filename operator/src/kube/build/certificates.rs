//! The Secrets that hold the cluster's certificates, and back.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::Build;
use crate::kube::authority::{Authority, Pair};

/// When the present phase of a rotation began, milliseconds since 1970.
pub const SINCE: &str = "barnabas.dev/ca-phase-since";
/// Key of a random value that hashes of mounted Secrets are made with.
const HASH_KEY: &str = "hash.key";

/// What the Secret `<cluster>-connect-ca` holds.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The authority.
    pub authority: Authority,
    /// Makes the hashes of mounted Secrets worthless to who reads them on a pod.
    pub hash_key: Vec<u8>,
}

/// `<cluster>-connect-ca`.
pub fn authority(build: Build<'_>, stored: &Stored) -> Secret {
    let authority = &stored.authority;
    let mut data = BTreeMap::from([
        ("ca.crt".to_owned(), bytes(&authority.current.cert)),
        ("ca.key".to_owned(), bytes(&authority.current.key)),
        (HASH_KEY.to_owned(), ByteString(stored.hash_key.clone())),
    ]);
    if let Some(next) = &authority.next {
        data.insert("next.crt".to_owned(), bytes(&next.cert));
        data.insert("next.key".to_owned(), bytes(&next.key));
    }
    if let Some(previous) = &authority.previous {
        data.insert("previous.crt".to_owned(), bytes(previous));
    }
    let mut metadata = build.metadata(build.names().authority(), None);
    metadata.annotations = Some([(SINCE.to_owned(), authority.since_ms.to_string())].into());
    Secret { metadata, data: Some(data), type_: Some("Opaque".to_owned()), ..Secret::default() }
}

/// Reads [`authority`] back; `None` when the Secret is not what was written.
pub fn read_authority(secret: &Secret) -> Option<Stored> {
    let authority = Authority {
        current: Pair { cert: text(secret, "ca.crt")?, key: text(secret, "ca.key")? },
        next: text(secret, "next.crt").zip(text(secret, "next.key")).map(|(cert, key)| Pair { cert, key }),
        previous: text(secret, "previous.crt"),
        since_ms: secret.metadata.annotations.as_ref()?.get(SINCE)?.parse().ok()?,
    };
    let hash_key = secret.data.as_ref()?.get(HASH_KEY)?.0.clone();
    (!hash_key.is_empty()).then_some(Stored { authority, hash_key })
}

/// `<cluster>-connect-certs` or `<cluster>-connect-operator-certs`.
pub fn leaf(build: Build<'_>, name: String, pair: &Pair, trust: &str) -> Secret {
    Secret {
        metadata: build.metadata(name, None),
        data: Some(BTreeMap::from([
            ("ca.crt".to_owned(), bytes(trust)),
            ("tls.crt".to_owned(), bytes(&pair.cert)),
            ("tls.key".to_owned(), bytes(&pair.key)),
        ])),
        type_: Some("kubernetes.io/tls".to_owned()),
        ..Secret::default()
    }
}

/// Reads [`leaf`] back, with what it says is trusted.
pub fn read_leaf(secret: &Secret) -> Option<(Pair, String)> {
    let pair = Pair { cert: text(secret, "tls.crt")?, key: text(secret, "tls.key")? };
    Some((pair, text(secret, "ca.crt")?))
}

/// Names that the workers' certificate has to be valid for.
pub fn server_names(build: Build<'_>) -> Vec<String> {
    let (names, namespace) = (build.names(), build.namespace());
    [format!("*.{}", names.component()), names.api()]
        .into_iter()
        .flat_map(|name| [format!("{name}.{namespace}.svc"), format!("{name}.{namespace}.svc.cluster.local")])
        .collect()
}

fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{
        super::{Resolved, fixture},
        *,
    };
    use crate::kube::authority::Validity;

    #[test]
    fn what_is_written_reads_back_in_every_phase() {
        let cluster = fixture::minimal();
        let v = Validity::default();
        fixture::with(&cluster, &Resolved::default(), |build| {
            let mut stored =
                Stored { authority: Authority::generate("c", 1_800_000_000_000, &v).unwrap(), hash_key: vec![1, 2] };
            for at in [0, 1, 400_000] {
                let secret = authority(build, &stored);
                assert_eq!(secret.metadata.name.as_deref(), Some("c-connect-ca"));
                let read = read_authority(&secret).unwrap();
                assert_eq!((&read.authority, &read.hash_key), (&stored.authority, &stored.hash_key));
                stored.authority.step("c", 1_800_000_000_000 + at, &v, at == 1, false).unwrap();
            }
            let pair = stored.authority.sign_server(&server_names(build), 1_800_000_000_000, &v).unwrap();
            let secret = leaf(build, "x".into(), &pair, "trust");
            assert_eq!(read_leaf(&secret).unwrap(), (pair, "trust".into()));
        });
    }

    #[test]
    fn a_damaged_secret_is_not_taken_for_an_authority() {
        let cluster = fixture::minimal();
        fixture::with(&cluster, &Resolved::default(), |build| {
            let authority_of_c = Authority::generate("c", 1_800_000_000_000, &Validity::default()).unwrap();
            let mut secret = authority(build, &Stored { authority: authority_of_c, hash_key: vec![1] });
            secret.data.as_mut().unwrap().remove("ca.key");
            assert!(read_authority(&secret).is_none());
        });
    }

    #[test]
    fn the_certificate_covers_the_pods_and_the_service() {
        let names = fixture::with(&fixture::minimal(), &Resolved::default(), server_names);
        assert!(names.contains(&"*.c-connect.ns.svc".to_owned()), "{names:?}");
        assert!(names.contains(&"c-connect-api.ns.svc".to_owned()), "{names:?}");
    }
}
