//! Which partitions this member owns, under one lock that the transaction holds from its epoch
//! check to its end.
//!
//! The poll thread takes the same lock to give a partition away: so it waits for the transaction
//! that is open, and no transaction of that partition can begin after it. What is read is looked up
//! in a second map, which is never held long.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use precis_base::lock::locked;

use crate::member::Epoch;
use crate::values::PartitionId;

/// How often to look whether the open transaction is over.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

type Epochs = HashMap<PartitionId, Epoch>;

#[derive(Debug, Default)]
pub(crate) struct Ownership {
    /// Checked by transactions, and held by them.
    committable: Mutex<Epochs>,
    /// The same, for what is read.
    reading: Mutex<Epochs>,
    next_epoch: AtomicI64,
    /// Losses that wait for the open transaction: it had better abort.
    losing: AtomicUsize,
}

impl Ownership {
    /// Starts an epoch for each partition.
    pub(crate) fn gain(&self, partitions: &[PartitionId]) -> Vec<Epoch> {
        let (mut committable, mut reading) = (locked(&self.committable), locked(&self.reading));
        let mut epochs = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let epoch = self.next_epoch.fetch_add(1, Ordering::Relaxed);
            committable.insert(partition.clone(), epoch);
            reading.insert(partition.clone(), epoch);
            epochs.push(epoch);
        }
        epochs
    }

    /// Ends the epochs of these partitions, after the transaction that is open. `waiting` is called
    /// again and again until that is over.
    pub(crate) fn give_away(&self, partitions: &[PartitionId], waiting: &dyn Fn()) {
        let mut committable = loop {
            match self.committable.try_lock() {
                Ok(committable) => break committable,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    waiting();
                    std::thread::sleep(POLL_INTERVAL);
                }
            }
        };
        let mut reading = locked(&self.reading);
        for partition in partitions {
            committable.remove(partition);
            reading.remove(partition);
        }
    }

    /// The same for partitions that somebody else may own already: asks the open transaction to
    /// abort.
    pub(crate) fn lose(&self, partitions: &[PartitionId], waiting: &dyn Fn()) {
        self.losing.fetch_add(1, Ordering::AcqRel);
        self.give_away(partitions, waiting);
        self.losing.fetch_sub(1, Ordering::AcqRel);
    }

    /// Reads nothing more of a partition; what was read of it may still be committed.
    pub(crate) fn stop_reading(&self, partition: &PartitionId) {
        locked(&self.reading).remove(partition);
    }

    /// The epochs as they are, and stay as long as this is held.
    pub(crate) fn for_transaction(&self) -> MutexGuard<'_, Epochs> {
        locked(&self.committable)
    }

    /// Whether the transaction that is open should abort.
    pub(crate) fn should_abandon(&self) -> bool {
        self.losing.load(Ordering::Acquire) > 0
    }

    /// Under which epoch a partition is read; `None`: not ours.
    pub(crate) fn epoch(&self, partition: &PartitionId) -> Option<Epoch> {
        locked(&self.reading).get(partition).copied()
    }

    /// All partitions that are read.
    pub(crate) fn partitions(&self) -> Vec<PartitionId> {
        locked(&self.reading).keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
