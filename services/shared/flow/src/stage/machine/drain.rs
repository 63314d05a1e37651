//! Emptying partitions before they are given away: for a revocation some of them, for a shutdown
//! all. Records that wait for another try end without a result (see
//! [`Delivery::draining`](crate::Delivery::draining)), so that only work under way takes time.
//!
//! ```text
//!   waiting for work ──none left──▶ committing ──nothing ready──▶ over
//!          │                            │ aborted: again, until the deadline
//!          └──────────deadline──────────┴──▶ one last commit of what is ready ──▶ over
//! ```

use std::collections::HashSet;

use tokio::time::Instant;

use super::partitions::Partitions;
use super::payload::Payload;
use crate::values::PartitionId;

/// Partitions that are being emptied.
#[derive(Clone, Debug)]
pub(crate) struct Drain<G> {
    partitions: HashSet<PartitionId>,
    deadline: Instant,
    /// Whether the deadline has passed.
    late: bool,
    last_commit: bool,
    /// The revocation that waits for this drain; none when the stage stops.
    guard: Option<G>,
}

/// What a drain asks for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing: work or a transaction has to end first.
    Wait,
    /// A commit, as soon as the pause after an abort is over.
    Commit,
    /// A commit at once: there is no time for another.
    LastCommit,
    /// Nothing any more.
    Over,
}

impl<G> Drain<G> {
    pub(crate) fn new(partitions: Vec<PartitionId>, deadline: Instant, guard: Option<G>) -> Self {
        Self { partitions: partitions.into_iter().collect(), deadline, late: false, last_commit: false, guard }
    }

    /// Notes what time it is.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.late |= now >= self.deadline;
    }

    /// Decides, while no transaction is open.
    pub(crate) fn next<P: Payload>(&mut self, partitions: &mut Partitions<P>) -> Next {
        if self.late {
            partitions.leave_now(&self.partitions);
        }
        let ready = partitions.any_ready(self.partitions.iter());
        if self.late {
            if ready && !self.last_commit {
                self.last_commit = true;
                return Next::LastCommit;
            }
            return Next::Over;
        }
        match (partitions.any_running(self.partitions.iter()), ready) {
            (_, true) => Next::Commit,
            (true, false) => Next::Wait,
            (false, false) => Next::Over,
        }
    }

    /// Leaves a partition out: it was assigned again in the meantime.
    pub(crate) fn exclude(&mut self, partition: &PartitionId) {
        self.partitions.remove(partition);
    }

    pub(crate) fn contains(&self, partition: &PartitionId) -> bool {
        self.partitions.contains(partition)
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Ends the drain: its partitions, and the revocation that waits for them.
    pub(crate) fn end(self) -> (HashSet<PartitionId>, Option<G>) {
        (self.partitions, self.guard)
    }
}

#[cfg(test)]
mod state_key;
