//! Leader election by a `coordination.k8s.io` Lease.
//!
//! The term of a leader is the Lease's `leaseTransitions` after it acquired the
//! Lease: it grows with every acquisition, so workers can tell an old leader
//! from a new one. Time is only ever measured on the local clock: a candidate
//! takes the Lease when it has seen it unchanged for the lease duration, and a
//! leader stops acting when its last successful renewal was *sent* that long
//! ago, so two leaders never act at once however the clocks of nodes differ.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Where the Lease is and how long it lasts.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Name of the Lease.
    pub name: String,
    /// Unique for every start of every operator process.
    pub identity: String,
    /// A Lease that was not renewed for this long is free.
    pub duration: Duration,
    /// Time between renewals.
    pub renew: Duration,
    /// Time between a candidate's attempts.
    pub retry: Duration,
}

/// What the elector knows about a Lease: pure, so that it can be tested without an API server.
#[derive(Debug, Default)]
struct Observed {
    version: Option<String>,
    holder: Option<String>,
    since: Option<Instant>,
}

impl Observed {
    /// Notes what was read at `now`.
    fn see(&mut self, lease: &Lease, now: Instant) {
        if self.since.is_none() || self.version != lease.metadata.resource_version {
            self.since = Some(now);
        }
        self.version.clone_from(&lease.metadata.resource_version);
        self.holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).filter(|h| !h.is_empty());
    }

    /// Whether nobody holds the Lease, or its holder has been silent for `duration`.
    fn free(&self, now: Instant, duration: Duration) -> bool {
        match (&self.holder, self.since) {
            (None, _) => true,
            (Some(_), Some(since)) => now.duration_since(since) >= duration,
            (Some(_), None) => false,
        }
    }
}

/// Takes part in the election until `shutdown`, then releases the Lease.
///
/// `leader` holds the term while this process leads, `None` otherwise. `floor`
/// is the highest term that a worker was seen to know: a Lease that was deleted
/// starts counting anew, and a leader below the floor raises its term.
pub async fn elect(
    api: Api<Lease>,
    options: LeaseOptions,
    leader: watch::Sender<Option<u64>>,
    floor: watch::Receiver<u64>,
    shutdown: CancellationToken,
) {
    let mut observed = Observed::default();
    while !shutdown.is_cancelled() {
        let sent = Instant::now();
        let lowest = *floor.borrow();
        let attempt = tokio::time::timeout(options.renew, candidate(&api, &options, &mut observed, lowest));
        match attempt.await {
            Ok(Ok(Some(lease))) => {
                lead(&api, &options, lease, sent, &leader, &floor, &shutdown).await;
                leader.send_replace(None);
                observed = Observed::default();
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => warn!(lease = %options.name, %error, "The Lease could not be read or taken."),
            Err(_) => warn!(lease = %options.name, "The API server did not answer about the Lease in time."),
        }
        tokio::select! {
            () = tokio::time::sleep(options.retry) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// One attempt to take the Lease.
async fn candidate(
    api: &Api<Lease>,
    options: &LeaseOptions,
    observed: &mut Observed,
    floor: u64,
) -> Result<Option<Lease>, kube::Error> {
    let Some(current) = api.get_opt(&options.name).await? else {
        let lease = Lease {
            metadata: ObjectMeta { name: Some(options.name.clone()), ..ObjectMeta::default() },
            spec: Some(claim(options, floor.max(1), jiff::Timestamp::now())),
        };
        return created(api.create(&PostParams::default(), &lease).await);
    };
    observed.see(&current, Instant::now());
    if !observed.free(Instant::now(), options.duration) {
        return Ok(None);
    }
    let transitions = current.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(0);
    let term = u64::try_from(transitions).unwrap_or(0).saturating_add(1).max(floor);
    let mut lease = current;
    lease.spec = Some(claim(options, term, jiff::Timestamp::now()));
    created(api.replace(&options.name, &PostParams::default(), &lease).await)
}

/// A conflict is no error: another candidate was faster.
fn created(result: Result<Lease, kube::Error>) -> Result<Option<Lease>, kube::Error> {
    match result {
        Ok(lease) => Ok(Some(lease)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

fn claim(options: &LeaseOptions, term: u64, now: jiff::Timestamp) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(options.identity.clone()),
        acquire_time: Some(MicroTime(now)),
        renew_time: Some(MicroTime(now)),
        lease_duration_seconds: Some(i32::try_from(options.duration.as_secs().max(1)).unwrap_or(i32::MAX)),
        lease_transitions: Some(i32::try_from(term).unwrap_or(i32::MAX)),
        ..LeaseSpec::default()
    }
}

/// Renews until that fails for too long, somebody else took the Lease, or `shutdown`.
async fn lead(
    api: &Api<Lease>,
    options: &LeaseOptions,
    mut lease: Lease,
    mut renewed: Instant,
    leader: &watch::Sender<Option<u64>>,
    floor: &watch::Receiver<u64>,
    shutdown: &CancellationToken,
) {
    let mut term = term_of(&lease);
    info!(lease = %options.name, identity = %options.identity, term, "This operator leads.");
    leader.send_replace(Some(term));
    loop {
        let expires = renewed + options.duration;
        let mut floor_changes = floor.clone();
        tokio::select! {
            () = tokio::time::sleep_until((renewed + options.renew).min(expires)) => {}
            Ok(()) = async { floor_changes.wait_for(|floor| *floor > term).await.map(drop) } => {}
            () = shutdown.cancelled() => {
                // Nothing may be pushed any more once another operator can take over.
                leader.send_replace(None);
                release(api, options, lease).await;
                return;
            }
        }
        let wanted = (*floor.borrow()).max(term);
        if wanted > term {
            // Stop acting under the old term before the new one is claimed.
            leader.send_replace(None);
        }
        loop {
            let sent = Instant::now();
            let left = expires.saturating_duration_since(sent);
            if left.is_zero() {
                warn!(lease = %options.name, term, "The Lease could not be renewed in time; this operator leads no longer.");
                return;
            }
            let mut renewal = lease.clone();
            if let Some(spec) = &mut renewal.spec {
                spec.renew_time = Some(MicroTime(jiff::Timestamp::now()));
                spec.lease_transitions = Some(i32::try_from(wanted).unwrap_or(i32::MAX));
            }
            let params = PostParams::default();
            let request = api.replace(&options.name, &params, &renewal);
            match tokio::time::timeout(left.min(options.renew), request).await {
                Ok(Ok(fresh)) => {
                    lease = fresh;
                    renewed = sent;
                    break;
                }
                Ok(Err(kube::Error::Api(status))) if status.code == 409 || status.code == 404 => {
                    // A lost answer to our own renewal looks like a conflict: ask who holds it.
                    match tokio::time::timeout(left, api.get_opt(&options.name)).await {
                        Ok(Ok(Some(fresh))) if holder(&fresh) == Some(options.identity.as_str()) => lease = fresh,
                        Ok(Ok(_)) => {
                            warn!(lease = %options.name, term, "Another operator holds the Lease; this one leads no longer.");
                            return;
                        }
                        Ok(Err(error)) => warn!(lease = %options.name, %error, "The Lease could not be read."),
                        Err(_) => {}
                    }
                }
                Ok(Err(error)) => {
                    warn!(lease = %options.name, %error, "The Lease could not be renewed; trying again.");
                    tokio::time::sleep(options.retry.min(left)).await;
                }
                Err(_) => {
                    warn!(lease = %options.name, "The API server did not answer a renewal in time; trying again.")
                }
            }
        }
        if wanted > term {
            term = term_of(&lease);
            info!(lease = %options.name, term, "Workers knew a later term; this operator leads under a new one.");
            leader.send_replace(Some(term));
        }
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

fn term_of(lease: &Lease) -> u64 {
    let transitions = lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(1);
    u64::try_from(transitions).unwrap_or(1)
}

/// Gives the Lease up, so that the next leader need not wait for it to expire.
async fn release(api: &Api<Lease>, options: &LeaseOptions, lease: Lease) {
    let patch = Patch::Merge(serde_json::json!({
        "metadata": { "resourceVersion": lease.metadata.resource_version },
        "spec": { "holderIdentity": "", "leaseDurationSeconds": 1 },
    }));
    let params = PatchParams::default();
    let request = api.patch(&options.name, &params, &patch);
    match tokio::time::timeout(options.renew, request).await {
        Ok(Ok(_)) => info!(lease = %options.name, "The Lease was released."),
        Ok(Err(error)) => warn!(lease = %options.name, %error, "The Lease could not be released."),
        Err(_) => warn!(lease = %options.name, "The Lease could not be released in time."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(version: &str, holder: Option<&str>) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.into()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec { holder_identity: holder.map(Into::into), ..LeaseSpec::default() }),
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_held_lease_is_free_only_after_its_duration_of_silence_on_our_clock() {
        let start = Instant::now();
        let mut observed = Observed::default();
        observed.see(&lease("1", Some("other")), start);
        assert!(!observed.free(start + SECOND * 14, SECOND * 15));
        // A renewal changes the version: the wait starts anew.
        observed.see(&lease("2", Some("other")), start + SECOND * 14);
        assert!(!observed.free(start + SECOND * 28, SECOND * 15));
        observed.see(&lease("2", Some("other")), start + SECOND * 28);
        assert!(observed.free(start + SECOND * 29, SECOND * 15));
    }

    #[test]
    fn a_released_lease_is_free_at_once() {
        let start = Instant::now();
        let mut observed = Observed::default();
        observed.see(&lease("1", Some("")), start);
        assert!(observed.free(start, SECOND * 15));
        observed.see(&lease("1", None), start);
        assert!(observed.free(start, SECOND * 15));
    }

    #[test]
    fn the_term_is_the_number_of_transitions() {
        let options = LeaseOptions {
            name: "l".into(),
            identity: "me".into(),
            duration: SECOND * 15,
            renew: SECOND * 5,
            retry: SECOND,
        };
        let spec = claim(&options, 7, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(spec.lease_duration_seconds, Some(15));
        assert_eq!(term_of(&Lease { metadata: ObjectMeta::default(), spec: Some(spec) }), 7);
    }
}
