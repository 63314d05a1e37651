//! What tells one drain from another, for the model check.

use std::hash::{Hash, Hasher};

use super::Drain;

impl Drain {
    pub(in crate::stage) fn key(&self, into: &mut impl Hasher) {
        let mut partitions: Vec<i32> = self.partitions.iter().map(|partition| partition.partition).collect();
        partitions.sort_unstable();
        (partitions, self.last_commit).hash(into);
    }
}
