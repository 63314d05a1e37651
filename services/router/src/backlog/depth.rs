//! What a router knows of one tier's topic: the last measurement, and the documents admitted since.
//!
//! No I/O; the time is a value.

use std::collections::VecDeque;
use std::time::Duration;

use precis_flow::PartitionLag;
use tokio::time::Instant;

/// How long an admitted document may take to be in the topic: it waits for the others of its
/// transaction, and for the commit.
const DELIVERY_GRACE: Duration = Duration::from_millis(500);
/// How long workers may make no progress before as many documents again are admitted.
const STUCK_TIMEOUT: Duration = Duration::from_secs(60);

/// How many documents wait in a topic.
#[derive(Debug, Default)]
pub(super) struct TopicDepth {
    /// The workers' lag in offsets. A transaction's marker counts as one offset, so there may be
    /// fewer documents, never more.
    lag: u64,
    /// The workers' position: the sum of their committed offsets. `None`: never measured.
    committed: Option<i64>,
    /// When the last measurement ended, with or without an answer.
    measured_at: Option<Instant>,
    /// Whether the last measurement failed.
    failing: bool,
    /// When each document was admitted that the last measurement may have missed.
    admitted: VecDeque<Instant>,
    /// Since when the topic is full and no worker makes progress.
    stuck_since: Option<Instant>,
}

impl TopicDepth {
    /// Records a measurement that was begun at `started_at`: each partition's lag, or `None` where
    /// it failed. Returns whether the failure is news: the measurement before succeeded.
    pub(super) fn measured(
        &mut self,
        lags: Option<&[PartitionLag]>,
        max_backlog: u64,
        started_at: Instant,
        now: Instant,
    ) -> bool {
        let before = self.committed;
        let failed_before = std::mem::replace(&mut self.failing, lags.is_none());
        self.measured_at = Some(now);
        if let Some(lags) = lags {
            self.lag = lags.iter().map(|lag| u64::try_from(lag.lag).unwrap_or(0)).sum();
            self.committed = Some(lags.iter().map(|lag| lag.committed).sum());
            let missed = |admitted: &Instant| *admitted + DELIVERY_GRACE >= started_at;
            let known = self.admitted.iter().take_while(|admitted| !missed(admitted)).count();
            self.admitted.drain(..known);
        }
        if self.waiting() < max_backlog || self.committed != before {
            self.stuck_since = None;
        } else {
            self.stuck_since.get_or_insert(now);
        }
        self.failing && !failed_before
    }

    /// Counts a document that goes to the topic.
    pub(super) fn admit(&mut self, now: Instant) {
        if self.committed.is_some() {
            self.admitted.push_back(now);
        }
    }

    /// How many more documents may go to the topic: without any measurement, as many as want to.
    pub(super) fn room(&self, max_backlog: u64, now: Instant) -> u64 {
        if self.committed.is_none() {
            return u64::MAX;
        }
        let times = 1 + self.stuck_for(now).as_secs() / STUCK_TIMEOUT.as_secs();
        max_backlog.saturating_mul(times).saturating_sub(self.waiting())
    }

    /// For how long no worker has made progress in the full topic.
    pub(super) fn stuck_for(&self, now: Instant) -> Duration {
        self.stuck_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// The lag at the last measurement, offsets.
    pub(super) fn lag(&self) -> u64 {
        self.lag
    }

    /// How long ago the last measurement was tried.
    pub(super) fn age(&self) -> Option<Duration> {
        self.measured_at.map(|measured_at| measured_at.elapsed())
    }

    /// Whether more documents than these were admitted since the last measurement.
    pub(super) fn admitted_more_than(&self, documents: u64) -> bool {
        self.admitted.len() as u64 > documents
    }

    fn waiting(&self) -> u64 {
        self.lag + self.admitted.len() as u64
    }
}

#[cfg(test)]
mod tests;
