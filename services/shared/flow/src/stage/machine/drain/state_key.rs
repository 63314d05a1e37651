//! What tells one drain from another, for the model.

use std::hash::{Hash, Hasher};

use super::Drain;

impl<G: Hash> Drain<G> {
    pub(in crate::stage) fn state_key(&self, into: &mut impl Hasher) {
        let mut partitions: Vec<i32> = self.partitions.iter().map(|partition| partition.partition).collect();
        partitions.sort_unstable();
        (partitions, &self.guard, self.late, self.last_commit).hash(into);
    }
}

impl<G> Drain<G> {
    pub(in crate::stage) fn is_late(&self) -> bool {
        self.late
    }

    /// The revocation that waits for this drain.
    pub(in crate::stage) fn guard(&self) -> Option<&G> {
        self.guard.as_ref()
    }
}
