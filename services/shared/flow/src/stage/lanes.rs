//! Whose turn it is. Per-key order: of the records of one key, one is in process and the others wait behind it. Between
//! topics: one after the other in turn, and none has so many in process that others find no room.
//!
//! A lane exists while a record of its key is in process or waits. Records without a key have no lane: they never wait
//! for each other. A lane belongs to one assignment of one partition, so what is left running of an earlier assignment
//! holds up nobody.
//!
//! Places in process are shared as [`Intake`](crate::member::Intake) shares what is held: where more than one topic is
//! assigned, one may start another record only while it has fewer in process than [`ALPHA`] times the places that are
//! free. So records that all wait for something leave room for those of other topics.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::member::{ALPHA, Epoch};
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
    /// Topics that have somebody whose turn it may be, or something in process.
    topics: HashMap<Arc<str>, Topic<T>>,
    /// Those that have somebody ready, in turn.
    turns: VecDeque<Arc<str>>,
    /// Who waits behind the head of a lane. A key is present while its head is ready or in process.
    waiting: HashMap<Lane, VecDeque<T>>,
    /// How many are in process, and how many may be.
    running: usize,
    places: usize,
    /// Whether more than one topic is assigned.
    shared: bool,
}

#[derive(Clone, Debug)]
struct Topic<T> {
    /// Who is next, in order of arrival.
    ready: VecDeque<(Lane, T)>,
    running: usize,
}

impl<T> Lanes<T> {
    /// None yet; at most `places` may be in process.
    pub(crate) fn new(places: usize) -> Self {
        let (topics, turns, waiting) = (HashMap::new(), VecDeque::new(), HashMap::new());
        Self { topics, turns, waiting, running: 0, places, shared: false }
    }

    /// Says of how many topics partitions are assigned.
    pub(crate) fn share_among(&mut self, topics: usize) {
        self.shared = topics > 1;
    }

    /// Adds an item at the end of its lane.
    pub(crate) fn push(&mut self, lane: Lane, item: T) {
        if lane.key.is_none() {
            self.make_ready(lane, item);
        } else if let Some(behind) = self.waiting.get_mut(&lane) {
            behind.push_back(item);
        } else {
            self.waiting.insert(lane.clone(), VecDeque::new());
            self.make_ready(lane, item);
        }
    }

    /// The next item whose turn it is, when there is a place for it. Its lane is busy until [`done`](Self::done).
    pub(crate) fn next(&mut self) -> Option<(Lane, T)> {
        let free = self.places.saturating_sub(self.running);
        if free == 0 {
            return None;
        }
        let most = if self.shared { free.saturating_mul(ALPHA) } else { usize::MAX };
        for _ in 0..self.turns.len() {
            let name = self.turns.pop_front()?;
            let topic = self.topics.get_mut(&name)?;
            if topic.running >= most {
                self.turns.push_back(name);
                continue;
            }
            let next = topic.ready.pop_front();
            topic.running += 1;
            self.running += 1;
            if !topic.ready.is_empty() {
                self.turns.push_back(name);
            }
            return next;
        }
        None
    }

    /// Something of this lane is in process that was not handed out here. It too ends with [`done`](Self::done).
    pub(crate) fn begin(&mut self, lane: &Lane) {
        self.topic(lane).running += 1;
        self.running += 1;
    }

    /// The head of this lane is finished: the one behind it has its turn.
    pub(crate) fn done(&mut self, lane: Lane) {
        self.running = self.running.saturating_sub(1);
        if let Entry::Occupied(mut topic) = self.topics.entry(Arc::clone(&lane.partition.topic)) {
            topic.get_mut().running = topic.get().running.saturating_sub(1);
            if topic.get().is_empty() {
                topic.remove();
            }
        }
        let Some(behind) = self.waiting.get_mut(&lane) else { return };
        match behind.pop_front() {
            Some(next) => self.make_ready(lane, next),
            None => {
                self.waiting.remove(&lane);
            }
        }
    }

    /// Forgets everything that has not been handed out, for partitions that `leaves` names.
    pub(crate) fn forget(&mut self, leaves: impl Fn(&PartitionId) -> bool) {
        self.waiting.retain(|lane, _| !leaves(&lane.partition));
        self.topics.values_mut().for_each(|topic| topic.ready.retain(|(lane, _)| !leaves(&lane.partition)));
        self.turns.retain(|name| self.topics.get(name).is_some_and(|topic| !topic.ready.is_empty()));
        self.topics.retain(|_, topic| !topic.is_empty());
    }

    fn make_ready(&mut self, lane: Lane, item: T) {
        let name = Arc::clone(&lane.partition.topic);
        let topic = self.topic(&lane);
        topic.ready.push_back((lane, item));
        if topic.ready.len() == 1 {
            self.turns.push_back(name);
        }
    }

    fn topic(&mut self, lane: &Lane) -> &mut Topic<T> {
        let name = Arc::clone(&lane.partition.topic);
        self.topics.entry(name).or_insert_with(|| Topic { ready: VecDeque::new(), running: 0 })
    }
}

impl<T> Topic<T> {
    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.running == 0
    }
}

#[cfg(test)]
mod key;
#[cfg(test)]
mod tests;
