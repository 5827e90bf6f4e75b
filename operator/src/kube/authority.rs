//! The certificate authority of one `ConnectCluster`: pure decisions about which
//! certificates exist, who signs and who is trusted. Writing the Secrets is
//! [`super::certificates`]' work.
//!
//! A rotation never stops a task. It goes through three phases, and at every
//! moment both ends of a session trust what the other may show:
//!
//! ```text
//! steady      sign with `current`,  trust current
//! announced   sign with `current`,  trust current + next       (workers learn `next`)
//! settling    sign with the former `next`, trust it + previous (workers get new leaves)
//! ```
//!
//! Kubelets refresh mounted Secrets late, by about a minute. `announced` lasts
//! until every worker was seen to accept a client certificate of the next
//! authority, or the propagation delay has passed; `settling` lasts the delay.

use std::{fmt, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use x509_parser::prelude::{GeneralName, X509Certificate, parse_x509_pem};

/// The common name that workers demand of a client.
pub const OPERATOR_COMMON_NAME: &str = "barnabas-operator";

/// Clocks of nodes differ: a certificate is valid from a little before it was made.
const MAX_BACKDATE: Duration = Duration::from_secs(300);

/// How long certificates live, and how long a rotation waits for kubelets.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// Life of an authority.
    pub authority: Duration,
    /// Life of the workers' and the operator's certificates.
    pub leaf: Duration,
    /// How long a mounted Secret may take to reach every worker.
    pub propagation: Duration,
}

impl Default for Validity {
    fn default() -> Self {
        Self {
            authority: Duration::from_secs(3 * 365 * 86_400),
            leaf: Duration::from_secs(90 * 86_400),
            propagation: Duration::from_secs(150),
        }
    }
}

/// A certificate and its private key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub cert: String,
    /// The private key, PKCS#8.
    pub key: String,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("cert", &self.cert.len()).finish_non_exhaustive()
    }
}

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stored PEM is not a certificate.
    #[error("the stored certificate cannot be read: {0}")]
    Parse(String),
    /// Signing failed.
    #[error("a certificate could not be made: {0}")]
    Sign(#[from] rcgen::Error),
}

/// What a [`Authority::step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do.
    Unchanged,
    /// A next authority was made and is to be published as trusted.
    Announced,
    /// The next authority signs from now on; leaves have to be made anew.
    Promoted,
    /// The previous authority is no longer trusted.
    Settled,
}

/// The authority of a cluster with its neighbours in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Signs the leaves.
    pub current: Pair,
    /// Trusted already, signs soon.
    pub next: Option<Pair>,
    /// Certificate that is still trusted, because leaves of it may be in use.
    pub previous: Option<String>,
    /// When the present phase began, milliseconds since 1970.
    pub since_ms: i64,
}

impl Authority {
    /// A fresh authority for `cluster`.
    pub fn generate(cluster: &str, now_ms: i64, validity: &Validity) -> Result<Self, Error> {
        Ok(Self { current: make_authority(cluster, now_ms, validity)?, next: None, previous: None, since_ms: now_ms })
    }

    /// Everything that is to be trusted, PEM after PEM.
    pub fn trust_bundle(&self) -> String {
        let mut bundle = self.current.cert.clone();
        for cert in self.next.iter().map(|pair| &pair.cert).chain(&self.previous) {
            if !bundle.ends_with('\n') {
                bundle.push('\n');
            }
            bundle.push_str(cert);
        }
        bundle
    }

    /// Moves the rotation on. `force` starts one; `accepted` says that every
    /// worker was seen to accept a client certificate of the next authority.
    pub fn step(
        &mut self,
        cluster: &str,
        now_ms: i64,
        validity: &Validity,
        force: bool,
        accepted: bool,
    ) -> Result<Step, Error> {
        let waited = now_ms.saturating_sub(self.since_ms) >= millis(validity.propagation);
        if let Some(next) = &self.next {
            // An authority that has expired is of no use to anyone: do not wait for its sake.
            let expired = Life::of(&self.current.cert)?.expired(now_ms);
            if !(waited || accepted || expired) {
                return Ok(Step::Unchanged);
            }
            let former = std::mem::replace(&mut self.current, next.clone());
            self.next = None;
            self.previous = Some(former.cert);
            self.since_ms = now_ms;
            return Ok(Step::Promoted);
        }
        if self.previous.is_some() {
            if !waited {
                return Ok(Step::Unchanged);
            }
            self.previous = None;
            self.since_ms = now_ms;
            return Ok(Step::Settled);
        }
        if force || Life::of(&self.current.cert)?.due(now_ms) {
            self.next = Some(make_authority(cluster, now_ms, validity)?);
            self.since_ms = now_ms;
            return Ok(Step::Announced);
        }
        Ok(Step::Unchanged)
    }

    /// Milliseconds since 1970 at which [`Authority::step`] has something to do at the latest.
    pub fn next_step_ms(&self, validity: &Validity) -> Result<i64, Error> {
        if self.next.is_some() || self.previous.is_some() {
            return Ok(self.since_ms.saturating_add(millis(validity.propagation)));
        }
        Ok(Life::of(&self.current.cert)?.due_ms())
    }

    /// A certificate for the workers' control port, valid for `names`.
    pub fn sign_server(&self, names: &[String], now_ms: i64, validity: &Validity) -> Result<Pair, Error> {
        sign(&self.current, "barnabas-worker", names, ExtendedKeyUsagePurpose::ServerAuth, now_ms, validity)
    }

    /// The operator's client certificate.
    pub fn sign_client(&self, now_ms: i64, validity: &Validity) -> Result<Pair, Error> {
        sign(&self.current, OPERATOR_COMMON_NAME, &[], ExtendedKeyUsagePurpose::ClientAuth, now_ms, validity)
    }

    /// A client certificate of the next authority, to find out who accepts it already.
    pub fn sign_probe(&self, now_ms: i64, validity: &Validity) -> Result<Option<Pair>, Error> {
        self.next
            .as_ref()
            .map(|next| sign(next, OPERATOR_COMMON_NAME, &[], ExtendedKeyUsagePurpose::ClientAuth, now_ms, validity))
            .transpose()
    }

    /// Why `leaf` has to be made anew, if it has to: it is close to its end, is
    /// of another authority, or lacks one of `names`.
    pub fn renewal_reason(&self, leaf: &str, names: &[String], now_ms: i64) -> Option<&'static str> {
        let (Ok(life), Ok((_, pem)), Ok((_, issuer))) =
            (Life::of(leaf), parse_x509_pem(leaf.as_bytes()), parse_x509_pem(self.current.cert.as_bytes()))
        else {
            return Some("it cannot be read");
        };
        let (Ok(cert), Ok(issuer)) = (pem.parse_x509(), issuer.parse_x509()) else {
            return Some("it cannot be read");
        };
        if cert.verify_signature(Some(issuer.public_key())).is_err() {
            return Some("another authority signed it");
        }
        if life.due(now_ms) {
            return Some("two thirds of its life are over");
        }
        if !names.iter().all(|name| has_name(&cert, name)) {
            return Some("it lacks a name");
        }
        None
    }

    /// Milliseconds since 1970 at which `leaf` is due for renewal.
    pub fn leaf_due_ms(leaf: &str) -> Result<i64, Error> {
        Ok(Life::of(leaf)?.due_ms())
    }
}

/// The validity of a certificate, milliseconds since 1970.
struct Life {
    from_ms: i64,
    to_ms: i64,
}

impl Life {
    fn of(pem: &str) -> Result<Self, Error> {
        let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(|error| Error::Parse(error.to_string()))?;
        let cert = pem.parse_x509().map_err(|error| Error::Parse(error.to_string()))?;
        let validity = cert.validity();
        Ok(Self { from_ms: validity.not_before.timestamp() * 1000, to_ms: validity.not_after.timestamp() * 1000 })
    }

    /// Two thirds of the life.
    fn due_ms(&self) -> i64 {
        self.from_ms + (self.to_ms - self.from_ms) / 3 * 2
    }

    fn due(&self, now_ms: i64) -> bool {
        now_ms >= self.due_ms()
    }

    fn expired(&self, now_ms: i64) -> bool {
        now_ms >= self.to_ms
    }
}

fn has_name(cert: &X509Certificate<'_>, wanted: &str) -> bool {
    let Ok(Some(names)) = cert.subject_alternative_name() else { return false };
    names.value.general_names.iter().any(|name| matches!(name, GeneralName::DNSName(dns) if *dns == wanted))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Sets the validity, never beyond `until_ms`.
fn set_life(params: &mut CertificateParams, now_ms: i64, life: Duration, until_ms: Option<i64>) {
    let epoch = date_time_ymd(1970, 1, 1);
    let backdate = MAX_BACKDATE.min(life / 10);
    let now = Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
    let mut until = now + life;
    if let Some(limit) = until_ms.and_then(|limit| u64::try_from(limit).ok()) {
        until = until.min(Duration::from_millis(limit));
    }
    params.not_before = epoch + now.saturating_sub(backdate);
    params.not_after = epoch + until;
}

fn make_authority(cluster: &str, now_ms: i64, validity: &Validity) -> Result<Pair, Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    // Two authorities live side by side during a rotation: their names have to differ,
    // because a verifier picks the issuer by name.
    let name: String = cluster.chars().take(32).collect();
    params.distinguished_name.push(DnType::CommonName, format!("{name} connect {now_ms}"));
    params.distinguished_name.push(DnType::OrganizationName, "barnabas.dev");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_life(&mut params, now_ms, validity.authority, None);
    let cert = params.self_signed(&key)?;
    Ok(Pair { cert: cert.pem(), key: key.serialize_pem() })
}

fn sign(
    authority: &Pair,
    common_name: &str,
    names: &[String],
    usage: ExtendedKeyUsagePurpose,
    now_ms: i64,
    validity: &Validity,
) -> Result<Pair, Error> {
    let issuer = Issuer::from_ca_cert_pem(&authority.cert, KeyPair::from_pem(&authority.key)?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.distinguished_name.push(DnType::OrganizationName, "barnabas.dev");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    set_life(&mut params, now_ms, validity.leaf, Some(Life::of(&authority.cert)?.to_ms));
    let cert = params.signed_by(&key, &issuer)?;
    Ok(Pair { cert: cert.pem(), key: key.serialize_pem() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const T0: i64 = 1_800_000_000_000;

    fn validity() -> Validity {
        Validity {
            authority: Duration::from_secs(3000),
            leaf: Duration::from_secs(600),
            propagation: Duration::from_secs(60),
        }
    }

    fn names() -> Vec<String> {
        vec!["*.c-connect.ns.svc".into()]
    }

    #[test]
    fn a_leaf_of_the_current_authority_needs_no_renewal() {
        let authority = Authority::generate("c", T0, &validity()).unwrap();
        let leaf = authority.sign_server(&names(), T0, &validity()).unwrap();
        assert_eq!(authority.renewal_reason(&leaf.cert, &names(), T0), None);
    }

    #[test]
    fn a_leaf_is_renewed_at_two_thirds_of_its_life_and_not_before() {
        let authority = Authority::generate("c", T0, &validity()).unwrap();
        let leaf = authority.sign_client(T0, &validity()).unwrap();
        let due = Authority::leaf_due_ms(&leaf.cert).unwrap();
        assert!(due > T0 + 300_000 && due < T0 + 450_000, "{}", due - T0);
        assert_eq!(authority.renewal_reason(&leaf.cert, &[], due - 1000), None);
        assert_eq!(authority.renewal_reason(&leaf.cert, &[], due), Some("two thirds of its life are over"));
    }

    #[test]
    fn a_leaf_without_a_wanted_name_or_of_a_stranger_is_renewed() {
        let authority = Authority::generate("c", T0, &validity()).unwrap();
        let leaf = authority.sign_server(&["other.svc".into()], T0, &validity()).unwrap();
        assert_eq!(authority.renewal_reason(&leaf.cert, &names(), T0), Some("it lacks a name"));
        let stranger = Authority::generate("c", T0, &validity()).unwrap();
        let leaf = stranger.sign_server(&names(), T0, &validity()).unwrap();
        assert_eq!(authority.renewal_reason(&leaf.cert, &names(), T0), Some("another authority signed it"));
        assert_eq!(authority.renewal_reason("nonsense", &names(), T0), Some("it cannot be read"));
    }

    #[test]
    fn a_rotation_always_trusts_what_may_be_shown() {
        let v = validity();
        let mut authority = Authority::generate("c", T0, &v).unwrap();
        let old = authority.current.clone();
        assert_eq!(authority.step("c", T0, &v, false, false).unwrap(), Step::Unchanged);
        assert_eq!(authority.step("c", T0, &v, true, false).unwrap(), Step::Announced);
        let next = authority.next.clone().unwrap();
        // Announced: the old one signs, both are trusted.
        assert_eq!(authority.current, old);
        assert!(authority.trust_bundle().contains(&old.cert) && authority.trust_bundle().contains(&next.cert));
        assert_eq!(authority.step("c", T0 + 59_000, &v, true, false).unwrap(), Step::Unchanged);
        assert_eq!(authority.step("c", T0 + 60_000, &v, false, false).unwrap(), Step::Promoted);
        // Settling: the new one signs, both are trusted.
        assert_eq!(authority.current, next);
        assert!(authority.trust_bundle().contains(&old.cert) && authority.trust_bundle().contains(&next.cert));
        assert_eq!(authority.step("c", T0 + 119_000, &v, false, true).unwrap(), Step::Unchanged);
        assert_eq!(authority.step("c", T0 + 120_000, &v, false, false).unwrap(), Step::Settled);
        assert!(!authority.trust_bundle().contains(&old.cert));
        assert_eq!(authority.step("c", T0 + 120_000, &v, false, false).unwrap(), Step::Unchanged);
    }

    #[test]
    fn acceptance_by_all_workers_shortens_the_wait() {
        let v = validity();
        let mut authority = Authority::generate("c", T0, &v).unwrap();
        authority.step("c", T0, &v, true, false).unwrap();
        assert!(authority.sign_probe(T0, &v).unwrap().is_some());
        assert_eq!(authority.step("c", T0 + 1000, &v, false, true).unwrap(), Step::Promoted);
        assert!(authority.sign_probe(T0, &v).unwrap().is_none());
    }

    #[test]
    fn an_authority_rotates_by_itself_before_it_expires() {
        let v = validity();
        let mut authority = Authority::generate("c", T0, &v).unwrap();
        let due = authority.next_step_ms(&v).unwrap();
        assert!(due < T0 + 3_000_000, "before the end");
        assert_eq!(authority.step("c", due - 1000, &v, false, false).unwrap(), Step::Unchanged);
        assert_eq!(authority.step("c", due, &v, false, false).unwrap(), Step::Announced);
    }

    #[test]
    fn an_expired_authority_is_replaced_without_waiting() {
        let v = validity();
        let mut authority = Authority::generate("c", T0, &v).unwrap();
        let late = T0 + 4_000_000;
        assert_eq!(authority.step("c", late, &v, false, false).unwrap(), Step::Announced);
        assert_eq!(authority.step("c", late, &v, false, false).unwrap(), Step::Promoted);
        let leaf = authority.sign_server(&names(), late, &v).unwrap();
        assert_eq!(authority.renewal_reason(&leaf.cert, &names(), late), None);
    }

    #[test]
    fn a_leaf_never_outlives_its_authority() {
        let v = Validity { leaf: Duration::from_secs(9000), ..validity() };
        let authority = Authority::generate("c", T0, &v).unwrap();
        let leaf = authority.sign_client(T0, &v).unwrap();
        assert_eq!(Life::of(&leaf.cert).unwrap().to_ms, Life::of(&authority.current.cert).unwrap().to_ms);
    }

    #[test]
    fn a_private_key_never_shows_in_debug_output() {
        let authority = Authority::generate("c", T0, &validity()).unwrap();
        assert!(!format!("{authority:?}").contains("PRIVATE"));
    }
}
