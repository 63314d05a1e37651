//! Which record is next. Of the records of one key, one is in process and the others wait behind it
//! in the key's queue. Topics take turns, and no topic has so many records in process that others
//! find no room.
//!
//! A queue exists while a record of its key is in process or waits. Records without a key have no
//! queue: they never wait for each other. A queue belongs to one assignment of one partition, so
//! records that are still in process from an earlier assignment hold up nothing.
//!
//! Places in process are shared as [`Intake`](crate::member::Intake) shares room: where more than
//! one topic is assigned, a topic may start another record only while it has fewer in process than
//! [`ALPHA`] times the number of free places. So records that all wait for something leave room for
//! the records of other topics. A topic may also have a limit of its own.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::member::{ALPHA, Epoch};
use crate::values::PartitionId;

/// Names a queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyQueue {
    pub(crate) partition: PartitionId,
    pub(crate) epoch: Epoch,
    key: Option<Vec<u8>>,
}

impl KeyQueue {
    pub(crate) fn new(partition: PartitionId, epoch: Epoch, key: Option<&[u8]>) -> Self {
        Self { partition, epoch, key: key.map(<[u8]>::to_vec) }
    }

    /// No queue: for work that is done beside the order of its key, and whose end frees no record.
    pub(crate) fn beside(partition: PartitionId, epoch: Epoch) -> Self {
        Self { partition, epoch, key: None }
    }
}

/// Items that wait for their turn.
#[derive(Clone, Debug)]
pub(crate) struct KeyQueues<T> {
    /// Topics that have an item ready or in process.
    topics: HashMap<Arc<str>, Topic<T>>,
    /// Topics that have an item ready, in turn.
    turns: VecDeque<Arc<str>>,
    /// The items behind the head of each queue. A queue is present while its head is ready or in
    /// process.
    waiting: HashMap<KeyQueue, VecDeque<T>>,
    /// How many items are in process.
    running: usize,
    /// How many items may be in process.
    places: usize,
    /// How many items of these topics may be in process.
    limits: HashMap<Arc<str>, usize>,
    /// Whether more than one topic is assigned.
    shared: bool,
}

#[derive(Clone, Debug)]
struct Topic<T> {
    /// Items that may start, in order of arrival.
    ready: VecDeque<(KeyQueue, T)>,
    running: usize,
}

impl<T> KeyQueues<T> {
    /// No items yet; at most `places` may be in process.
    pub(crate) fn new(places: usize) -> Self {
        let (topics, turns, waiting) = (HashMap::new(), VecDeque::new(), HashMap::new());
        Self { topics, turns, waiting, running: 0, places, limits: HashMap::new(), shared: false }
    }

    /// Sets how many items of a topic may be in process, or that it has no limit of its own.
    pub(crate) fn limit(&mut self, topic: &Arc<str>, max_running: Option<usize>) {
        match max_running {
            Some(most) => self.limits.insert(Arc::clone(topic), most),
            None => self.limits.remove(topic),
        };
    }

    /// Sets of how many topics partitions are assigned.
    pub(crate) fn share_among(&mut self, topics: usize) {
        self.shared = topics > 1;
    }

    /// Adds an item at the end of its queue.
    pub(crate) fn push(&mut self, queue: KeyQueue, item: T) {
        if queue.key.is_none() {
            self.make_ready(queue, item);
        } else if let Some(behind) = self.waiting.get_mut(&queue) {
            behind.push_back(item);
        } else {
            self.waiting.insert(queue.clone(), VecDeque::new());
            self.make_ready(queue, item);
        }
    }

    /// The next item, when there is a place for it. Its queue is busy until [`done`](Self::done).
    pub(crate) fn next(&mut self) -> Option<(KeyQueue, T)> {
        let free = self.places.saturating_sub(self.running);
        if free == 0 {
            return None;
        }
        let limit = if self.shared { free.saturating_mul(ALPHA) } else { usize::MAX };
        for _ in 0..self.turns.len() {
            let name = self.turns.pop_front()?;
            let topic = self.topics.get_mut(&name)?;
            let limit = self.limits.get(&name).map_or(limit, |most| limit.min(*most));
            if topic.running >= limit {
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

    /// Work of this queue is in process that [`next`](Self::next) did not hand out. It ends with
    /// [`done`](Self::done) too.
    pub(crate) fn begin(&mut self, queue: &KeyQueue) {
        self.topic(queue).running += 1;
        self.running += 1;
    }

    /// The head of this queue is finished: the item behind it may start.
    pub(crate) fn done(&mut self, queue: KeyQueue) {
        self.running = self.running.saturating_sub(1);
        if let Entry::Occupied(mut topic) = self.topics.entry(Arc::clone(&queue.partition.topic)) {
            topic.get_mut().running = topic.get().running.saturating_sub(1);
            if topic.get().is_empty() {
                topic.remove();
            }
        }
        let Some(behind) = self.waiting.get_mut(&queue) else { return };
        match behind.pop_front() {
            Some(next) => self.make_ready(queue, next),
            None => {
                self.waiting.remove(&queue);
            }
        }
    }

    /// Forgets all items that were not handed out, of partitions for which `leaves` holds.
    pub(crate) fn forget(&mut self, leaves: impl Fn(&PartitionId) -> bool) {
        self.waiting.retain(|queue, _| !leaves(&queue.partition));
        self.topics.values_mut().for_each(|topic| topic.ready.retain(|(queue, _)| !leaves(&queue.partition)));
        self.turns.retain(|name| self.topics.get(name).is_some_and(|topic| !topic.ready.is_empty()));
        self.topics.retain(|_, topic| !topic.is_empty());
    }

    fn make_ready(&mut self, queue: KeyQueue, item: T) {
        let name = Arc::clone(&queue.partition.topic);
        let topic = self.topic(&queue);
        topic.ready.push_back((queue, item));
        if topic.ready.len() == 1 {
            self.turns.push_back(name);
        }
    }

    fn topic(&mut self, queue: &KeyQueue) -> &mut Topic<T> {
        let name = Arc::clone(&queue.partition.topic);
        self.topics.entry(name).or_insert_with(|| Topic { ready: VecDeque::new(), running: 0 })
    }
}

impl<T> Topic<T> {
    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.running == 0
    }
}

#[cfg(test)]
mod state_key;
#[cfg(test)]
mod tests;
