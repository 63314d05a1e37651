//! What tells one set of owned partitions from another, for the model. Epochs go by their `age`:
//! their numbers say nothing but whether two are the same.

use std::hash::{Hash, Hasher};

use super::{Leaving, Partitions};
use crate::member::Epoch;
use crate::stage::machine::payload::Payload;
use crate::values::PartitionId;

impl<P: Payload<Outputs: Hash>> Partitions<P> {
    pub(in crate::stage) fn state_key(&self, age: &dyn Fn(&PartitionId, Epoch) -> i64, into: &mut impl Hasher) {
        let mut owned: Vec<_> = self.owned.iter().collect();
        owned.sort_by_key(|(partition, _)| *partition);
        // Of turns only their order counts.
        let mut turns: Vec<_> = owned.iter().map(|(partition, owned)| (owned.last_turn, partition.partition)).collect();
        turns.retain(|(last, _)| *last > 0);
        turns.sort_unstable();
        for (_, partition) in turns {
            partition.hash(into);
        }
        let suspect = self.suspect.as_ref();
        suspect.map(|one| (one.partition.partition, age(&one.partition, one.epoch), one.offset)).hash(into);
        for (partition, owned) in owned {
            (partition.partition, age(partition, owned.tracker.epoch()), owned.running).hash(into);
            owned.tracker.state_key(into);
            let parked: Vec<i64> = owned.parked.iter().map(P::offset).collect();
            (&owned.mark, parked, owned.alone, owned.leaving).hash(into);
        }
    }

    /// Whether this assignment is about to end.
    pub(in crate::stage) fn is_leaving(&self, partition: &PartitionId, epoch: Epoch) -> bool {
        let owned = self.owned.get(partition).filter(|owned| owned.tracker.epoch() == epoch);
        owned.is_some_and(|owned| owned.leaving != Leaving::No)
    }

    /// Whether an earlier record of the same key is unfinished in this assignment, other than
    /// these.
    pub(in crate::stage) fn has_earlier_open(&self, record: &P::Record, epoch: Epoch, but_for: &[i64]) -> bool {
        let owned = self.owned.get(&P::partition(record)).filter(|owned| owned.tracker.epoch() == epoch);
        owned.is_some_and(|owned| owned.tracker.has_earlier_open(record, but_for))
    }
}
