//! What a member has read and not yet settled: how much in all, and how much of each topic.
//!
//! **Shares.** A topic whose records stay long (they wait for room somewhere, or somebody published
//! a million of them) must not keep the others out. So a topic is shut as soon as it holds
//! [`ALPHA`] times what is still free, the rule of dynamic thresholds (Choudhury and Hahne,
//! "Dynamic queue length thresholds for shared-memory packet switches", IEEE/ACM Transactions on
//! Networking 6(2), 1998). Topics that want more than their share come to hold the same, those that
//! want less have what they want, and something always stays free for one that comes: of a limit C,
//! n greedy topics hold `2C / (1 + 2n)` each. A topic that holds nothing is always let in, with one
//! record, however large. Where only one topic is assigned there is nobody to keep out, and it may
//! have all.
//!
//! **Hysteresis.** A topic that was shut opens again at half of what it held then: a log's pause
//! may be costly (Kafka's client throws away what it has fetched).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use precis_base::lock::locked;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::values::Record;

/// How many times what is free one topic may hold. More serves one greedy topic better, and leaves
/// less for the next.
pub(crate) const ALPHA: usize = 2;

/// An amount of records and of the bytes of records and outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Records.
    pub records: usize,
    /// Bytes of records and of outputs that wait.
    pub bytes: usize,
}

impl Load {
    /// One record.
    pub fn of(record: &Record) -> Self {
        Self { records: 1, bytes: record.size_bytes() }
    }

    /// Outputs of so many bytes.
    pub fn outputs(bytes: usize) -> Self {
        Self { records: 0, bytes }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { records: self.records + other.records, bytes: self.bytes + other.bytes }
    }

    /// What is left without the other, at least nothing.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self { records: self.records.saturating_sub(other.records), bytes: self.bytes.saturating_sub(other.bytes) }
    }
}

/// Bounds what a member has read and not yet settled. Shared by the log, which counts in what it
/// reads, and the stage, which counts it out.
#[derive(Debug)]
pub struct Intake {
    limit: Load,
    state: Mutex<State>,
    version: AtomicU64,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    held: Load,
    /// Topics of which something is held.
    topics: HashMap<Arc<str>, Share>,
    /// Topics of which nothing is read for now, whatever is held.
    paused: HashSet<Arc<str>>,
    /// Whether more than one topic is assigned.
    shared: bool,
    closed: bool,
    suspended: usize,
}

#[derive(Debug, Default)]
struct Share {
    held: Load,
    shut: bool,
}

impl Intake {
    /// Open, with these limits.
    pub fn new(max_records: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: Load { records: max_records.max(1), bytes: max_bytes.max(1) },
            state: Mutex::default(),
            version: AtomicU64::new(0),
            changed: Notify::new(),
        })
    }

    /// Counts something of a topic in: a record read, or outputs that now wait.
    pub fn take(&self, topic: &Arc<str>, held: Load) {
        let state = &mut *self.lock();
        state.held = state.held.and(held);
        let (free, shared) = (self.limit.less(state.held), state.shared);
        if !state.topics.contains_key(topic) {
            state.topics.insert(Arc::clone(topic), Share::default());
        }
        let Some(share) = state.topics.get_mut(topic) else { return };
        share.held = share.held.and(held);
        if !share.shut && share.is_over(free, shared) {
            share.shut = true;
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Counts it out again.
    pub fn release<'a>(&self, held: impl IntoIterator<Item = (&'a str, Load)>) {
        let mut state = self.lock();
        for (topic, held) in held {
            state.held = state.held.less(held);
            let Some(share) = state.topics.get_mut(topic) else { continue };
            share.held = share.held.less(held);
            if share.held == Load::default() && state.topics.remove(topic).is_some_and(|share| share.shut) {
                self.version.fetch_add(1, Ordering::Release);
            }
        }
        self.judge(&mut state);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Says of how many topics partitions are assigned: whether the intake is shared.
    pub fn share_among(&self, topics: usize) {
        let mut state = self.lock();
        state.shared = topics > 1;
        self.judge(&mut state);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Whether there is more than one topic.
    pub fn is_shared(&self) -> bool {
        self.lock().shared
    }

    /// Closes or opens the intake whatever is held: the stage drains.
    pub fn hold(&self, closed: bool) {
        self.lock().closed = closed;
        self.tell();
    }

    /// Closes the intake for one topic.
    pub fn pause_topic(&self, topic: &Arc<str>) {
        self.lock().paused.insert(Arc::clone(topic));
        self.tell();
    }

    /// Opens the intake for a topic that was paused.
    pub fn resume_topic(&self, topic: &str) {
        self.lock().paused.remove(topic);
        self.tell();
    }

    /// Closes the intake as long as the guard lives: a dependency is away. Guards may overlap.
    pub fn suspend(self: &Arc<Self>) -> Suspended {
        self.lock().suspended += 1;
        self.tell();
        Suspended(Arc::clone(self))
    }

    /// Whether a dependency is away.
    pub fn is_suspended(&self) -> bool {
        self.lock().suspended > 0
    }

    /// Whether so much of this topic is held that no more of it is read.
    pub fn is_shut(&self, topic: &str) -> bool {
        self.lock().topics.get(topic).is_some_and(|share| share.shut)
    }

    /// Whether some topic is shut for no other reason than what is held of it.
    pub fn is_merely_full(&self) -> bool {
        let state = self.lock();
        !state.closed && state.suspended == 0 && state.topics.values().any(|share| share.shut)
    }

    /// Whether records of this topic may be read now.
    pub fn admits(&self, topic: &str) -> bool {
        let state = self.lock();
        let is_shut = || state.paused.contains(topic) || state.topics.get(topic).is_some_and(|share| share.shut);
        !state.closed && state.suspended == 0 && !is_shut()
    }

    /// Rises whenever [`admits`](Self::admits) may answer otherwise than before for some topic.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What is held now.
    pub fn holding(&self) -> Load {
        self.lock().held
    }

    /// Ends when the intake may have opened for some topic. Registers nothing before it is polled
    /// or enabled.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Waits until records of this topic may be read.
    pub async fn opened(&self, topic: &str) {
        loop {
            let changed = self.changed();
            tokio::pin!(changed);
            // Registered before the check, so that no change between the two is missed.
            changed.as_mut().enable();
            if self.admits(topic) {
                return;
            }
            changed.await;
        }
    }

    /// Opens and shuts what is to be, after something was counted out or the number of topics
    /// changed.
    fn judge(&self, state: &mut State) {
        let (free, shared) = (self.limit.less(state.held), state.shared);
        for share in state.topics.values_mut() {
            let shut = if share.shut { !share.is_under(free, shared) } else { share.is_over(free, shared) };
            if shut != share.shut {
                share.shut = shut;
                self.version.fetch_add(1, Ordering::Release);
            }
        }
    }

    fn tell(&self) {
        self.version.fetch_add(1, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// A thread that panicked while it held the lock leaves plain data behind.
    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

impl Share {
    /// Whether a topic that is open holds all that it may.
    fn is_over(&self, free: Load, shared: bool) -> bool {
        if shared {
            self.held.records >= free.records.saturating_mul(ALPHA)
                || self.held.bytes >= free.bytes.saturating_mul(ALPHA)
        } else {
            free.records == 0 || free.bytes == 0
        }
    }

    /// Whether a topic that was shut holds no more than half of what it held then: it held `ALPHA`
    /// times what was free, and what it let go is free now too.
    fn is_under(&self, free: Load, shared: bool) -> bool {
        let (share, of_free) = if shared { (ALPHA + 2, ALPHA) } else { (1, 1) };
        let under = |held: usize, free: usize| held.saturating_mul(share) <= free.saturating_mul(of_free);
        under(self.held.records, free.records) && under(self.held.bytes, free.bytes)
    }
}

/// Keeps an [`Intake`] closed while it lives.
#[derive(Debug)]
pub struct Suspended(Arc<Intake>);

impl Drop for Suspended {
    fn drop(&mut self) {
        self.0.lock().suspended -= 1;
        self.0.tell();
    }
}

#[cfg(test)]
mod tests;
