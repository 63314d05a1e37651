//! What a router knows of one tier's topic: how much waited when it was measured, and what it let
//! in since. No I/O; the time is a value.

use std::collections::VecDeque;
use std::time::Duration;

use precis_flow::PartitionLag;
use tokio::time::Instant;

/// How long a document that was let in may take to be in the topic: it waits for others of its
/// transaction, and that takes its time.
const DELIVERY_GRACE: Duration = Duration::from_millis(500);
/// How long workers may get nowhere before as many documents again are let in.
const PATIENCE: Duration = Duration::from_secs(60);

/// What waits in a topic.
#[derive(Debug, Default)]
pub(super) struct Depth {
    /// Offsets that its workers were behind: a transaction's marker counts as one, so that the
    /// documents may be fewer, never more.
    lag: u64,
    /// Where they were: the sum of their offsets. `None`: never measured.
    committed: Option<i64>,
    /// When that was asked for last, with or without an answer.
    tried: Option<Instant>,
    /// Whether there was none the last time.
    failing: bool,
    /// When each document was let in that the measurement may have missed.
    let_in: VecDeque<Instant>,
    /// Since when the topic is full and nobody works it off.
    stuck_since: Option<Instant>,
}

impl Depth {
    /// Takes note of the lag of each partition, asked for at `asked`; `None`: nobody could say.
    /// Whether that is news.
    pub(super) fn measured(
        &mut self,
        lags: Option<&[PartitionLag]>,
        max_backlog: u64,
        asked: Instant,
        now: Instant,
    ) -> bool {
        let before = self.committed;
        let failed_before = std::mem::replace(&mut self.failing, lags.is_none());
        self.tried = Some(now);
        if let Some(lags) = lags {
            self.lag = lags.iter().map(|lag| u64::try_from(lag.lag).unwrap_or(0)).sum();
            self.committed = Some(lags.iter().map(|lag| lag.committed).sum());
            let missed = |let_in: &Instant| *let_in + DELIVERY_GRACE >= asked;
            let known = self.let_in.iter().take_while(|let_in| !missed(let_in)).count();
            self.let_in.drain(..known);
        }
        if self.waiting() < max_backlog || self.committed != before {
            self.stuck_since = None;
        } else {
            self.stuck_since.get_or_insert(now);
        }
        self.failing && !failed_before
    }

    /// Takes note of a document that goes there.
    pub(super) fn let_in(&mut self, now: Instant) {
        if self.committed.is_some() {
            self.let_in.push_back(now);
        }
    }

    /// How many more documents may go there. Without any measurement as many as want to.
    pub(super) fn room(&self, max_backlog: u64, now: Instant) -> u64 {
        if self.committed.is_none() {
            return u64::MAX;
        }
        let times = 1 + self.stuck_for(now).as_secs() / PATIENCE.as_secs();
        max_backlog.saturating_mul(times).saturating_sub(self.waiting())
    }

    /// How long nobody has worked off the full topic.
    pub(super) fn stuck_for(&self, now: Instant) -> Duration {
        self.stuck_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// The lag as it was measured.
    pub(super) fn lag(&self) -> u64 {
        self.lag
    }

    /// How long ago somebody tried to measure it.
    pub(super) fn age(&self) -> Option<Duration> {
        self.tried.map(|tried| tried.elapsed())
    }

    /// Whether more documents than these were let in since.
    pub(super) fn asked_more_than(&self, documents: u64) -> bool {
        self.let_in.len() as u64 > documents
    }

    fn waiting(&self) -> u64 {
        self.lag + self.let_in.len() as u64
    }
}

#[cfg(test)]
mod tests;
