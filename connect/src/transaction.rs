//! How a source task says which records belong together (`org.apache.kafka.connect.source.TransactionContext`, KIP-618).

use std::sync::{Mutex, PoisonError};

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// Its records are there for everybody.
    Commit,
    /// Its records are dropped; their offsets are committed all the same, so that they are not read again.
    Abort,
}

/// Takes a task's wishes about its transactions. They are for the batch that the task returns from the `poll` in which it
/// makes them; without a wish the transaction goes on into the next batch.
#[derive(Debug, Default)]
pub struct TransactionContext {
    wishes: Mutex<Vec<(usize, Transaction)>>,
}

impl TransactionContext {
    /// Commits after the first `records` of the batch (`commitTransaction(SourceRecord)`).
    pub fn commit_after(&self, records: usize) {
        self.wish(records, Transaction::Commit);
    }

    /// Commits after the whole batch (`commitTransaction()`).
    pub fn commit(&self) {
        self.wish(usize::MAX, Transaction::Commit);
    }

    /// Aborts after the first `records` of the batch, which drops all of the transaction up to there
    /// (`abortTransaction(SourceRecord)`).
    pub fn abort_after(&self, records: usize) {
        self.wish(records, Transaction::Abort);
    }

    /// Aborts after the whole batch (`abortTransaction()`).
    pub fn abort(&self) {
        self.wish(usize::MAX, Transaction::Abort);
    }

    /// For the worker: what was wished since it asked last, for a batch of `records`, in order. Where both were wished for
    /// the same place the transaction is aborted, as in Connect.
    pub fn take(&self, records: usize) -> Vec<(usize, Transaction)> {
        let mut wishes = std::mem::take(&mut *self.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        for (at, _) in &mut wishes {
            *at = (*at).min(records);
        }
        wishes.sort_by_key(|(at, what)| (*at, *what == Transaction::Commit));
        wishes.dedup_by_key(|(at, _)| *at);
        wishes
    }

    fn wish(&self, at: usize, what: Transaction) {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).push((at, what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_come_in_order_once_and_an_abort_wins() {
        let context = TransactionContext::default();
        context.commit();
        context.commit_after(2);
        context.abort_after(2);
        context.abort_after(9);
        assert_eq!(context.take(3), [(2, Transaction::Abort), (3, Transaction::Abort)]);
        assert_eq!(context.take(3), []);
    }
}
