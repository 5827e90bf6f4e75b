//! Which source offsets may be committed.
//!
//! Kafka acknowledges records in any order between partitions. A source offset
//! may be written only when its record, and every earlier record of the same
//! source partition, is acknowledged (Connect's `SubmittedRecords`): otherwise a
//! crash would skip what was still in flight.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use barnabas_connect::{OffsetMap, SourcePosition};

/// Bits of a token that number a record within its source partition. Far more
/// than can be in flight at once, so the number may wrap around.
const SEQUENCE_BITS: u32 = 36;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;

/// Names one submitted record; travels through librdkafka as the opaque pointer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Token(u64);

impl Token {
    /// A record without a source position: nothing to track.
    pub const UNTRACKED: Self = Self(u64::MAX);

    /// For librdkafka.
    pub fn into_usize(self) -> usize {
        self.0 as usize
    }

    /// From librdkafka.
    pub fn from_usize(raw: usize) -> Self {
        Self(raw as u64)
    }
}

/// Follows submitted records until their offsets may be committed.
#[derive(Debug, Default)]
pub struct AckTracker {
    partitions: Vec<Partition>,
    by_content: HashMap<Arc<OffsetMap>, usize>,
    /// Sources hand out one `Arc` per partition: most records need no lookup.
    last: Option<(Arc<OffsetMap>, usize)>,
    pending: usize,
    /// Where the search for an idle place goes on.
    clock: usize,
}

/// How many partitions are remembered before idle ones are forgotten.
const MANY_PARTITIONS: usize = 4096;
/// How many places are looked at for one new partition.
const SEARCH: usize = 16;

#[derive(Debug)]
struct Partition {
    key: Arc<OffsetMap>,
    /// Sequence number of the front of `records`.
    base: u64,
    records: VecDeque<(OffsetMap, bool)>,
    committable: Option<OffsetMap>,
}

impl AckTracker {
    /// Notes a record that is about to be sent. Order of calls is the order of the source.
    pub fn submit(&mut self, position: &SourcePosition) -> Token {
        let index = self.index(&position.partition);
        let partition = &mut self.partitions[index];
        let sequence = (partition.base + partition.records.len() as u64) & SEQUENCE_MASK;
        partition.records.push_back((position.offset.clone(), false));
        self.pending += 1;
        Token((index as u64) << SEQUENCE_BITS | sequence)
    }

    /// Notes that Kafka has the record, or that it never needs it (skipped, filtered).
    /// Returns false for a token that is not pending, which would be a bug of the caller.
    pub fn acknowledge(&mut self, token: Token) -> bool {
        if token == Token::UNTRACKED {
            return true;
        }
        let Some(partition) = self.partitions.get_mut((token.0 >> SEQUENCE_BITS) as usize) else { return false };
        let at = (token.0 & SEQUENCE_MASK).wrapping_sub(partition.base) & SEQUENCE_MASK;
        match partition.records.get_mut(at as usize) {
            Some((_, acknowledged @ false)) => *acknowledged = true,
            _ => return false,
        }
        self.pending -= 1;
        while let Some((_, true)) = partition.records.front() {
            partition.committable = partition.records.pop_front().map(|(offset, _)| offset);
            partition.base = (partition.base + 1) & SEQUENCE_MASK;
        }
        true
    }

    /// Takes the newest committable position of every partition that has a new one.
    pub fn take_committable(&mut self) -> Vec<SourcePosition> {
        self.partitions
            .iter_mut()
            .filter_map(|p| Some(SourcePosition { offset: p.committable.take()?, partition: Arc::clone(&p.key) }))
            .collect()
    }

    /// Takes the newest position of every partition that has a new one, whether Kafka has its record or not: a transaction
    /// commits both or neither. Nothing is pending afterwards.
    pub fn take_all(&mut self) -> Vec<SourcePosition> {
        for partition in &mut self.partitions {
            let records = partition.records.len() as u64;
            if let Some((offset, _)) = partition.records.pop_back() {
                partition.committable = Some(offset);
                partition.records.clear();
                partition.base = (partition.base + records) & SEQUENCE_MASK;
            }
        }
        self.pending = 0;
        self.take_committable()
    }

    /// Gives back positions whose commit failed, unless newer ones are there by now.
    pub fn restore(&mut self, positions: Vec<SourcePosition>) {
        for position in positions {
            let index = self.index(&position.partition);
            self.partitions[index].committable.get_or_insert(position.offset);
        }
    }

    /// Records that are neither acknowledged nor skipped.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// A place whose partition has nothing left to tell, once there are many: a source that makes a
    /// partition of every file must not grow without end.
    fn idle(&mut self) -> Option<usize> {
        if self.partitions.len() < MANY_PARTITIONS {
            return None;
        }
        (0..SEARCH).find_map(|_| {
            self.clock = (self.clock + 1) % self.partitions.len();
            let partition = &self.partitions[self.clock];
            (partition.records.is_empty() && partition.committable.is_none()).then_some(self.clock)
        })
    }

    fn index(&mut self, partition: &Arc<OffsetMap>) -> usize {
        if let Some((key, index)) = &self.last
            && Arc::ptr_eq(key, partition)
        {
            return *index;
        }
        let index = match self.by_content.get(partition) {
            Some(index) => *index,
            None => {
                let key = Arc::clone(partition);
                let new = Partition { key, base: 0, records: VecDeque::new(), committable: None };
                let index = match self.idle() {
                    Some(index) => {
                        let old = std::mem::replace(&mut self.partitions[index], new);
                        self.by_content.remove(&old.key);
                        index
                    }
                    None => {
                        self.partitions.push(new);
                        self.partitions.len() - 1
                    }
                };
                self.by_content.insert(Arc::clone(partition), index);
                index
            }
        };
        self.last = Some((Arc::clone(partition), index));
        index
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn position(partition: u8, offset: u64) -> SourcePosition {
        SourcePosition {
            partition: Arc::new(OffsetMap::single("p", partition)),
            offset: OffsetMap::single("o", offset),
        }
    }

    #[test]
    fn a_hole_holds_back_its_own_partition_only() {
        let mut tracker = AckTracker::default();
        let a: Vec<_> = (0..3).map(|o| tracker.submit(&position(1, o))).collect();
        let b = tracker.submit(&position(2, 9));
        assert!(tracker.acknowledge(a[1]) && tracker.acknowledge(a[2]) && tracker.acknowledge(b));
        assert_eq!(tracker.take_committable(), [position(2, 9)]);
        assert!(tracker.acknowledge(a[0]));
        assert_eq!(tracker.take_committable(), [position(1, 2)]);
        assert_eq!((tracker.take_committable(), tracker.pending()), (vec![], 0));
    }

    #[test]
    fn a_transaction_takes_what_is_not_acknowledged_too() {
        let mut tracker = AckTracker::default();
        let a: Vec<_> = (0..3).map(|o| tracker.submit(&position(1, o))).collect();
        tracker.acknowledge(a[0]);
        tracker.submit(&position(2, 9));
        assert_eq!(tracker.take_all(), [position(1, 2), position(2, 9)]);
        assert!(!tracker.acknowledge(a[1]), "its acknowledgement comes too late to count");
        let next = tracker.submit(&position(1, 3));
        assert_eq!(tracker.pending(), 1);
        assert!(tracker.acknowledge(next));
        assert_eq!((tracker.take_all(), tracker.pending()), (vec![position(1, 3)], 0));
    }

    #[test]
    fn an_acknowledgement_counts_once() {
        let mut tracker = AckTracker::default();
        let token = tracker.submit(&position(1, 0));
        assert!(tracker.acknowledge(token));
        assert!(!tracker.acknowledge(token));
        assert!(!tracker.acknowledge(Token(5 << SEQUENCE_BITS)));
        assert!(tracker.acknowledge(Token::UNTRACKED));
    }

    #[test]
    fn a_failed_commit_is_tried_again_unless_overtaken() {
        let mut tracker = AckTracker::default();
        let token = tracker.submit(&position(1, 0));
        tracker.acknowledge(token);
        let taken = tracker.take_committable();
        tracker.restore(taken.clone());
        assert_eq!(tracker.take_committable(), taken);
        let token = tracker.submit(&position(1, 1));
        tracker.acknowledge(token);
        tracker.restore(taken);
        assert_eq!(tracker.take_committable(), [position(1, 1)]);
    }

    #[test]
    fn partitions_that_are_done_are_forgotten() {
        let mut tracker = AckTracker::default();
        let stuck = SourcePosition { partition: Arc::new(OffsetMap::single("p", "stuck")), offset: OffsetMap::new() };
        let waiting = tracker.submit(&stuck);
        for n in 0..3 * MANY_PARTITIONS {
            let position =
                SourcePosition { partition: Arc::new(OffsetMap::single("p", n)), offset: OffsetMap::single("o", n) };
            let token = tracker.submit(&position);
            assert!(tracker.acknowledge(token));
            assert_eq!(tracker.take_committable(), [position]);
        }
        assert!(tracker.partitions.len() <= MANY_PARTITIONS + 1, "{}", tracker.partitions.len());
        assert_eq!(tracker.by_content.len(), tracker.partitions.len());
        assert!(tracker.acknowledge(waiting));
        assert_eq!(tracker.take_committable(), [stuck]);
    }

    #[test]
    fn sequence_numbers_may_wrap_around() {
        let mut tracker = AckTracker::default();
        let first = tracker.submit(&position(1, 0));
        tracker.acknowledge(first);
        tracker.partitions[0].base = SEQUENCE_MASK;
        let tokens: Vec<_> = (1..4).map(|o| tracker.submit(&position(1, o))).collect();
        for token in tokens.into_iter().rev() {
            assert!(tracker.acknowledge(token));
        }
        assert_eq!(tracker.take_committable(), [position(1, 3)]);
    }

    proptest! {
        /// Against the definition: at any time exactly the last record of the longest
        /// acknowledged prefix of each partition is committable.
        #[test]
        fn only_acknowledged_prefixes_are_committable(
            partitions in prop::collection::vec(0u8..4, 1..60),
            order in prop::collection::vec(any::<prop::sample::Index>(), 60),
            take_every in 1usize..8,
        ) {
            let mut tracker = AckTracker::default();
            let mut records: Vec<(u8, u64, Token, bool)> = Vec::new();
            for (offset, p) in partitions.iter().enumerate() {
                let token = tracker.submit(&position(*p, offset as u64));
                records.push((*p, offset as u64, token, false));
            }
            let mut committed: HashMap<u8, u64> = HashMap::new();
            let mut left: Vec<usize> = (0..records.len()).collect();
            for (step, pick) in order.iter().enumerate().take(records.len()) {
                let at = left.remove(pick.index(left.len()));
                prop_assert!(tracker.acknowledge(records[at].2));
                records[at].3 = true;
                if step % take_every == 0 || left.is_empty() {
                    for taken in tracker.take_committable() {
                        let p = taken.partition.get("p").unwrap().as_u64().unwrap() as u8;
                        let o = taken.offset.get("o").unwrap().as_u64().unwrap();
                        prop_assert!(committed.insert(p, o).is_none_or(|before| before < o), "went back");
                    }
                    for p in 0u8..4 {
                        let expected = records.iter().filter(|r| r.0 == p).take_while(|r| r.3).last().map(|r| r.1);
                        prop_assert_eq!(committed.get(&p).copied(), expected);
                    }
                }
            }
            prop_assert_eq!(tracker.pending(), 0);
        }
    }
}
