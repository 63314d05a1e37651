//! What tells one set of owned partitions from another, for the model check. Epochs go by their `age`: their numbers
//! say nothing but whether two are the same.

use std::hash::{Hash, Hasher};

use super::{Leaving, Partitions};
use crate::member::Epoch;
use crate::record::{PartitionId, Record};

impl Partitions {
    pub(in crate::stage) fn key(&self, age: &dyn Fn(&PartitionId, Epoch) -> i64, into: &mut impl Hasher) {
        let mut owned: Vec<_> = self.owned.iter().collect();
        owned.sort_by_key(|(partition, _)| *partition);
        for (partition, owned) in owned {
            (partition.partition, age(partition, owned.tracker.epoch()), owned.running).hash(into);
            owned.tracker.key(into);
            let waiting: Vec<i64> = owned.waiting.iter().map(|delivery| delivery.record.offset).collect();
            (&owned.standing, waiting, owned.alone, owned.leaving).hash(into);
        }
    }

    /// Whether this assignment is about to end. Not asked of its token, which the states of an exploration share.
    pub(in crate::stage) fn is_leaving(&self, partition: &PartitionId, epoch: Epoch) -> bool {
        let owned = self.owned.get(partition).filter(|owned| owned.tracker.epoch() == epoch);
        owned.is_some_and(|owned| owned.leaving != Leaving::No)
    }

    /// Whether an earlier record of the same key is unfinished in this assignment.
    pub(in crate::stage) fn holds_up(&self, record: &Record, epoch: Epoch, but_for: &[i64]) -> bool {
        let owned = self.owned.get(&record.partition_id()).filter(|owned| owned.tracker.epoch() == epoch);
        owned.is_some_and(|owned| owned.tracker.holds_up(record, but_for))
    }
}
