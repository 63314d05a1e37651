//! What tells one set of key queues from another, for the model.

use std::hash::{Hash, Hasher};

use super::{KeyQueue, KeyQueues};
use crate::member::Epoch;
use crate::values::PartitionId;

type Age<'a> = &'a dyn Fn(&PartitionId, Epoch) -> i64;

impl KeyQueue {
    pub(in crate::stage) fn state_key(&self, age: Age<'_>) -> (i32, i64, Option<&[u8]>) {
        (self.partition.partition, age(&self.partition, self.epoch), self.key.as_deref())
    }
}

impl<T> KeyQueues<T> {
    pub(in crate::stage) fn state_key<K: Hash + Ord>(
        &self,
        age: Age<'_>,
        item: impl Fn(&T) -> K,
        into: &mut impl Hasher,
    ) {
        let ready = self.turns.iter().flat_map(|name| &self.topics[name].ready);
        let ready: Vec<_> = ready.map(|(queue, ready)| (queue.state_key(age), item(ready))).collect();
        (&self.turns, ready).hash(into);
        let mut waiting: Vec<_> = self
            .waiting
            .iter()
            .map(|(queue, behind)| (queue.state_key(age), behind.iter().map(&item).collect::<Vec<_>>()))
            .collect();
        waiting.sort_unstable();
        waiting.hash(into);
    }
}
