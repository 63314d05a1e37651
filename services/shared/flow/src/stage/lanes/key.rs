//! What tells one set of lanes from another, for the model check.

use std::hash::{Hash, Hasher};

use super::{Lane, Lanes};
use crate::member::Epoch;
use crate::record::PartitionId;

type Age<'a> = &'a dyn Fn(&PartitionId, Epoch) -> i64;

impl Lane {
    pub(in crate::stage) fn key(&self, age: Age<'_>) -> (i32, i64, Option<&[u8]>) {
        (self.partition.partition, age(&self.partition, self.epoch), self.key.as_deref())
    }
}

impl<T> Lanes<T> {
    pub(in crate::stage) fn key<K: Hash + Ord>(&self, age: Age<'_>, item: impl Fn(&T) -> K, into: &mut impl Hasher) {
        let ready = self.turns.iter().flat_map(|name| &self.topics[name].ready);
        let ready: Vec<_> = ready.map(|(lane, ready)| (lane.key(age), item(ready))).collect();
        (&self.turns, ready).hash(into);
        let mut waiting: Vec<_> = self
            .waiting
            .iter()
            .map(|(lane, behind)| (lane.key(age), behind.iter().map(&item).collect::<Vec<_>>()))
            .collect();
        waiting.sort_unstable();
        waiting.hash(into);
    }
}
