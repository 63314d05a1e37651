//! Per-key order: of the records of one key, one is in process and the others wait behind it.
//!
//! A lane exists while a record of its key is in process or waits. Records without a key have no lane: they never wait
//! for each other. A lane belongs to one assignment of one partition, so what is left running of an earlier assignment
//! holds up nobody.

use std::collections::{HashMap, VecDeque};

use crate::member::Epoch;
use crate::record::{PartitionId, Record};

/// Names a lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    pub(crate) partition: PartitionId,
    pub(crate) epoch: Epoch,
    key: Option<Vec<u8>>,
}

impl Lane {
    pub(crate) fn of(record: &Record, epoch: Epoch) -> Self {
        Self { partition: record.partition_id(), epoch, key: record.key.clone() }
    }

    /// No lane: for work that is done beside the order of its key, and whose end frees nobody.
    pub(crate) fn beside(record: &Record, epoch: Epoch) -> Self {
        Self { partition: record.partition_id(), epoch, key: None }
    }
}

/// Items that wait for their turn.
#[derive(Clone, Debug)]
pub(crate) struct Lanes<T> {
    /// Whose turn it is, in order of arrival.
    ready: VecDeque<(Lane, T)>,
    /// Who waits behind the head of a lane. A key is present while its head is ready or in process.
    waiting: HashMap<Lane, VecDeque<T>>,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { ready: VecDeque::new(), waiting: HashMap::new() }
    }
}

impl<T> Lanes<T> {
    /// Adds an item at the end of its lane.
    pub(crate) fn push(&mut self, lane: Lane, item: T) {
        if lane.key.is_none() {
            self.ready.push_back((lane, item));
        } else if let Some(behind) = self.waiting.get_mut(&lane) {
            behind.push_back(item);
        } else {
            self.waiting.insert(lane.clone(), VecDeque::new());
            self.ready.push_back((lane, item));
        }
    }

    /// The next item whose turn it is. Its lane is busy until [`done`](Self::done).
    pub(crate) fn next(&mut self) -> Option<(Lane, T)> {
        self.ready.pop_front()
    }

    /// The head of this lane is finished: the one behind it has its turn.
    pub(crate) fn done(&mut self, lane: Lane) {
        let Some(behind) = self.waiting.get_mut(&lane) else { return };
        match behind.pop_front() {
            Some(next) => self.ready.push_back((lane, next)),
            None => {
                self.waiting.remove(&lane);
            }
        }
    }

    /// Forgets everything that has not been handed out, for partitions that `leaves` names.
    pub(crate) fn forget(&mut self, leaves: impl Fn(&PartitionId) -> bool) {
        self.ready.retain(|(lane, _)| !leaves(&lane.partition));
        self.waiting.retain(|lane, _| !leaves(&lane.partition));
    }
}

#[cfg(test)]
mod key;
#[cfg(test)]
mod tests;
