//! When the next transaction begins, and how many records it may hold.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::tracker::TransactionLimit;
use crate::member::Load;
use crate::stage::retry::Backoff;

/// The longest pause after an aborted transaction.
const MAX_ABORT_PAUSE: Duration = Duration::from_secs(2);

/// When to commit.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// How long finished work waits for more.
    interval: Duration,
    /// The pauses after transactions that were aborted in a row.
    backoff: Backoff,
    /// The bounds of one transaction.
    limit: TransactionLimit,
    /// When the next transaction is due. None: nothing waits for a transaction.
    due: Option<Instant>,
    /// How many transactions in a row were aborted and may be tried again.
    aborts: u32,
    /// How many of the next transactions hold one record each, to find the record whose outputs the
    /// log refuses.
    single_records: usize,
    /// The approximate load of finished records and their outputs. Counted from zero again whenever
    /// a partition goes.
    finished: Load,
    /// Topics with finished records, for which nobody has asked yet whether their intake is full.
    finished_topics: Vec<Arc<str>>,
}

impl Schedule {
    pub(crate) fn new(interval: Duration, backoff: Backoff, limit: TransactionLimit) -> Self {
        Self {
            interval,
            backoff,
            limit,
            due: None,
            aborts: 0,
            single_records: 0,
            finished: Load::default(),
            finished_topics: Vec::new(),
        }
    }

    /// When the next transaction is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// A commit is due at once, but not within the pause after an abort.
    pub(crate) fn commit_now(&mut self, now: Instant) {
        if self.aborts == 0 {
            self.due = Some(now);
        }
    }

    /// A commit is due at once, even within the pause after an abort.
    pub(crate) fn commit_without_pause(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// A commit is due after the interval, or at once when there is enough for a transaction.
    pub(crate) fn commit_soon(&mut self, now: Instant) {
        let due = *self.due.get_or_insert(now + self.interval);
        if self.is_full() && self.aborts == 0 {
            self.due = Some(due.min(now));
        }
    }

    /// A record of this topic is finished. A record that runs alone is committed at once.
    pub(crate) fn on_finished(&mut self, now: Instant, topic: &Arc<str>, load: Load, alone: bool) {
        self.finished = self.finished.and(load);
        self.commit_soon(now);
        if alone {
            self.hurry(now);
        }
        self.ask_about(topic);
    }

    /// Commits at once when a topic with finished records holds so much that no more of the topic
    /// is read: there is no point in waiting for more.
    pub(crate) fn hurry_full_topics(&mut self, now: Instant, is_full: &dyn Fn(&str) -> bool) {
        if self.finished_topics.drain(..).any(|topic| is_full(&topic)) {
            self.hurry(now);
        }
    }

    /// The bounds of a transaction that is due now; it counts as begun.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<TransactionLimit> {
        self.due.take_if(|due| now >= *due)?;
        let records = if self.single_records > 0 { 1 } else { self.limit.records };
        Some(TransactionLimit { records, ..self.limit })
    }

    /// A transaction was due, and nothing was there for it: what was aborted has gone with its
    /// partitions, so nothing waits for the pause any more.
    pub(crate) fn on_nothing_to_commit(&mut self) {
        self.aborts = 0;
    }

    /// A transaction was committed, and this is settled with it.
    pub(crate) fn on_committed(&mut self, settled: Load) {
        self.aborts = 0;
        self.single_records = self.single_records.saturating_sub(1);
        self.finished = self.finished.less(settled);
    }

    /// Something of these topics is ready, after the commit of a transaction that began then.
    pub(crate) fn commit_next<'a>(
        &mut self,
        now: Instant,
        began: Instant,
        ready_topics: impl Iterator<Item = &'a Arc<str>>,
    ) {
        let at_once = self.single_records > 0 || self.is_full();
        let next = if at_once { now } else { began + self.interval };
        self.due = Some(self.due.map_or(next, |due| due.min(next)));
        ready_topics.for_each(|topic| self.ask_about(topic));
    }

    /// A transaction was aborted, and may be tried again.
    pub(crate) fn on_aborted(&mut self) {
        self.aborts += 1;
    }

    /// The next transactions hold one record each.
    pub(crate) fn commit_single_records(&mut self, transactions: usize) {
        self.single_records = transactions;
    }

    /// The next transaction is due after the pause that the aborts so far ask for.
    pub(crate) fn pause(&mut self, now: Instant, jitter: f64) {
        let pause = match self.aborts {
            0 => Duration::ZERO,
            aborts => self.backoff.wait(aborts, jitter).min(MAX_ABORT_PAUSE),
        };
        self.due = Some(now + pause);
    }

    /// A partition goes, and with it some of what is finished.
    pub(crate) fn forget_finished(&mut self) {
        self.finished = Load::default();
    }

    fn hurry(&mut self, now: Instant) {
        if self.aborts == 0 {
            self.due = Some(self.due.map_or(now, |due| due.min(now)));
        }
    }

    fn ask_about(&mut self, topic: &Arc<str>) {
        if !self.finished_topics.contains(topic) {
            self.finished_topics.push(Arc::clone(topic));
        }
    }

    /// Whether there is enough for a transaction. Outputs are about as large as their records.
    fn is_full(&self) -> bool {
        self.finished.records >= self.limit.records || self.finished.bytes >= self.limit.bytes.saturating_mul(2)
    }
}

#[cfg(test)]
mod state_key;
