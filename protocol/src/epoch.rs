//! Order and display of epochs.

use std::{cmp::Ordering, fmt};

use crate::v1::{Epoch, Unit, UnitReport};

impl Epoch {
    /// The epoch of a hello: the first of a term.
    pub fn hello(term: u64) -> Self {
        Self { term, revision: 0 }
    }
}

impl PartialOrd for Epoch {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Epoch {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.term, self.revision).cmp(&(other.term, other.revision))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.revision)
    }
}

impl Unit {
    /// What names this unit within its cluster.
    pub fn key(&self) -> (&str, Option<u32>) {
        (&self.connector, self.task)
    }
}

impl UnitReport {
    /// What names this unit within its cluster.
    pub fn key(&self) -> (&str, Option<u32>) {
        (&self.connector, self.task)
    }
}

#[cfg(test)]
mod tests {
    use super::Epoch;

    #[test]
    fn a_later_term_wins_over_any_revision() {
        assert!(Epoch { term: 2, revision: 0 } > Epoch { term: 1, revision: 99 });
        assert!(Epoch { term: 2, revision: 3 } > Epoch { term: 2, revision: 2 });
        assert_eq!(Epoch::hello(2), Epoch { term: 2, revision: 0 });
    }
}
