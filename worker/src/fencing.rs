//! Who may tell this worker what to run.
//!
//! Every directive carries an epoch (leader term, revision). The fence remembers
//! the newest one that was accepted and refuses anything older, so that a leader
//! that lost its Lease without noticing cannot undo its successor's decisions.

use barnabas_protocol::Epoch;

/// The newest epoch that this worker has accepted.
#[derive(Clone, Copy, Debug)]
pub struct Fence {
    newest: Epoch,
}

/// A directive is older than what the worker already follows.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the directive is older than the newest accepted epoch {newest}")]
pub struct Refused {
    /// The epoch that the worker follows.
    pub newest: Epoch,
}

impl Fence {
    /// Starts from a persisted epoch, or from the zero epoch that anything supersedes.
    pub fn new(newest: Epoch) -> Self {
        Self { newest }
    }

    /// The newest accepted epoch.
    pub fn newest(&self) -> Epoch {
        self.newest
    }

    /// A leader introduces itself: its term is adopted unless a newer one is known.
    /// A hello of the current term (the same leader reconnecting) changes nothing.
    pub fn hello(&mut self, epoch: Epoch) -> Result<(), Refused> {
        if epoch.term < self.newest.term {
            return Err(Refused { newest: self.newest });
        }
        self.newest = self.newest.max(Epoch::hello(epoch.term));
        Ok(())
    }

    /// A desired set: accepted unless older. The same epoch again is the same set again.
    pub fn desired(&mut self, epoch: Epoch) -> Result<(), Refused> {
        if epoch < self.newest {
            return Err(Refused { newest: self.newest });
        }
        self.newest = epoch;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn epoch(term: u64, revision: u64) -> Epoch {
        Epoch { term, revision }
    }

    #[test]
    fn a_stale_leader_is_refused_in_both_forms() {
        let mut fence = Fence::new(Epoch::default());
        fence.hello(epoch(2, 0)).unwrap();
        fence.desired(epoch(2, 7)).unwrap();
        assert_eq!(fence.hello(epoch(1, 0)), Err(Refused { newest: epoch(2, 7) }));
        assert_eq!(fence.desired(epoch(1, 99)), Err(Refused { newest: epoch(2, 7) }));
        assert_eq!(fence.newest(), epoch(2, 7));
    }

    #[test]
    fn the_same_leader_reconnecting_keeps_the_revision() {
        let mut fence = Fence::new(epoch(3, 4));
        fence.hello(epoch(3, 0)).unwrap();
        assert_eq!(fence.newest(), epoch(3, 4));
        assert_eq!(fence.desired(epoch(3, 3)), Err(Refused { newest: epoch(3, 4) }));
        fence.desired(epoch(3, 4)).unwrap();
        fence.desired(epoch(3, 5)).unwrap();
    }

    #[test]
    fn a_new_term_fences_the_old_one_before_its_first_push() {
        let mut fence = Fence::new(epoch(3, 4));
        fence.hello(epoch(4, 0)).unwrap();
        assert!(fence.desired(epoch(3, 5)).is_err());
        fence.desired(epoch(4, 1)).unwrap();
    }
}
