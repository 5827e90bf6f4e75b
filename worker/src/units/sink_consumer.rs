//! A sink task's consumer: rebalances handed to the task, positions, lag.
//!
//! librdkafka reports a rebalance inside a poll and waits, without a time limit of
//! its own, until the application assigns or unassigns. That leaves the task time
//! to put, flush and commit before it lets go of a partition.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use barnabas_connect::{Error, Offsets, TopicPartition};
use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol, StreamConsumer},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use tokio::sync::Notify;

use crate::kafka::{context::ClientNotes, errors::classify};

/// What the group wants.
#[derive(Debug)]
pub(super) enum Rebalance {
    /// Take these partitions.
    Assign(Vec<TopicPartition>),
    /// Give these back.
    Revoke(Vec<TopicPartition>),
}

/// What statistics say about the end of a partition.
#[derive(Clone, Copy, Debug)]
struct End {
    /// Offset after the last record that can be read.
    offset: i64,
    /// librdkafka's own count from the committed offset; unknown when nothing was committed.
    behind: Option<u64>,
}

/// The consumer's callbacks. Runs on whatever thread polls.
pub(super) struct Events {
    pub(super) notes: ClientNotes,
    rebalances: Mutex<VecDeque<Rebalance>>,
    pub(super) rebalanced: Notify,
    /// Nobody looks at rebalances any more: librdkafka closes the consumer.
    closing: AtomicBool,
    ends: Mutex<HashMap<TopicPartition, End>>,
    commit_error: Mutex<Option<KafkaError>>,
}

impl Events {
    pub(super) fn new(notes: ClientNotes) -> Self {
        Self {
            notes,
            rebalances: Mutex::default(),
            rebalanced: Notify::new(),
            closing: AtomicBool::new(false),
            ends: Mutex::default(),
            commit_error: Mutex::default(),
        }
    }

    pub(super) fn next_rebalance(&self) -> Option<Rebalance> {
        self.rebalances.lock().pop_front()
    }

    pub(super) fn take_commit_error(&self) -> Option<KafkaError> {
        self.commit_error.lock().take()
    }

    /// Records between the positions of the assigned partitions and their ends. A partition without a
    /// position was not read yet: then the committed offset counts. Unknown until the first statistics.
    pub(super) fn lag<'a>(&self, assigned: impl Iterator<Item = (&'a TopicPartition, Option<i64>)>) -> Option<u64> {
        let ends = self.ends.lock();
        let of = |(tp, position): (&TopicPartition, Option<i64>)| {
            let end = ends.get(tp)?;
            match position {
                Some(next) => Some((end.offset - next).max(0) as u64),
                None if end.offset == 0 => Some(0),
                None => end.behind,
            }
        };
        assigned.map(of).sum()
    }
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.notes.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.notes.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let mut ends = self.ends.lock();
        for (name, topic) in &statistics.topics {
            for (id, partition) in &topic.partitions {
                // What a read-committed consumer cannot see yet is not behind.
                let end = if partition.ls_offset >= 0 { partition.ls_offset } else { partition.hi_offset };
                if *id >= 0 && end >= 0 {
                    let behind = u64::try_from(partition.consumer_lag).ok();
                    ends.insert(TopicPartition::new(name.clone(), *id), End { offset: end, behind });
                }
            }
        }
    }
}

impl ConsumerContext for Events {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let list = from_list(partitions);
        let event = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assign(list),
            _ => Rebalance::Revoke(list),
        };
        if self.closing.load(SeqCst) {
            let result = match (consumer.rebalance_protocol(), &event) {
                (RebalanceProtocol::Cooperative, Rebalance::Revoke(_)) => consumer.incremental_unassign(partitions),
                _ => consumer.unassign(),
            };
            if let Err(error) = result {
                tracing::debug!(%error, "Could not unassign while closing.");
            }
            return;
        }
        self.rebalances.lock().push_back(event);
        self.rebalanced.notify_one();
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            *self.commit_error.lock() = Some(error);
        }
    }
}

/// The consumer of one sink task.
pub(super) struct SinkConsumer(pub(super) StreamConsumer<Events>);

impl SinkConsumer {
    pub(super) fn events(&self) -> &Arc<Events> {
        self.0.context()
    }

    /// Tells librdkafka that the task is ready for a rebalance's outcome. Partitions in `positions` are read from there
    /// on, the others from where the group has committed.
    pub(super) fn acknowledge(&self, rebalance: &Rebalance, positions: &Offsets) -> Result<(), Error> {
        let cooperative = matches!(self.0.rebalance_protocol(), RebalanceProtocol::Cooperative);
        match rebalance {
            Rebalance::Assign(list) => starting_at(list, positions)
                .and_then(|list| if cooperative { self.0.incremental_assign(&list) } else { self.0.assign(&list) }),
            Rebalance::Revoke(list) if cooperative => self.0.incremental_unassign(&to_list(list)),
            Rebalance::Revoke(_) => self.0.unassign(),
        }
        .map_err(|error| classify("Following a rebalance", error, None))
    }

    pub(super) fn pause(&self, partitions: &[TopicPartition]) {
        if let Err(error) = self.0.pause(&to_list(partitions)) {
            tracing::debug!(%error, "Could not pause.");
        }
    }

    pub(super) fn resume(&self, partitions: &[TopicPartition]) {
        if let Err(error) = self.0.resume(&to_list(partitions)) {
            tracing::debug!(%error, "Could not resume.");
        }
    }
}

impl Drop for SinkConsumer {
    fn drop(&mut self) {
        self.events().closing.store(true, SeqCst);
        // A rebalance that nobody answered would hold up closing.
        drop(self.0.unassign());
    }
}

pub(super) fn to_list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for tp in partitions {
        list.add_partition(&tp.topic, tp.partition);
    }
    list
}

fn starting_at(partitions: &[TopicPartition], positions: &Offsets) -> KafkaResult<TopicPartitionList> {
    let mut list = to_list(partitions);
    for tp in partitions {
        if let Some(offset) = positions.get(tp) {
            list.set_partition_offset(&tp.topic, tp.partition, Offset::Offset(*offset))?;
        }
    }
    Ok(list)
}

fn from_list(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|e| TopicPartition::new(e.topic().to_owned(), e.partition())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_counts_every_assigned_partition_or_is_unknown() {
        let events = Events::new(ClientNotes::new("c", Some(0)));
        let tp = |n| TopicPartition::new("t", n);
        let end = |offset, behind| End { offset, behind };
        events.ends.lock().extend([
            (tp(0), end(10, None)),
            (tp(1), end(7, Some(3))),
            (tp(2), end(0, None)),
            (tp(3), end(5, None)),
        ]);
        let lag = |list: &[(i32, Option<i64>)]| {
            let list: Vec<_> = list.iter().map(|(n, position)| (tp(*n), *position)).collect();
            events.lag(list.iter().map(|(tp, position)| (tp, *position)))
        };
        assert_eq!(lag(&[(0, Some(4)), (1, None), (2, None)]), Some(9));
        assert_eq!(lag(&[(0, Some(12))]), Some(0), "statistics are older than the position");
        assert_eq!(lag(&[(0, Some(4)), (3, None)]), None, "nothing read, nothing committed");
        assert_eq!(lag(&[(9, Some(4))]), None);
        assert_eq!(lag(&[]), Some(0));
    }
}
