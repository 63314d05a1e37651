//! Emptying partitions before they go: for a revocation some of them, for a shutdown all. Work that waits for another
//! try ends without a result (see [`Delivery::draining`](super::Delivery::draining)), so that only what is under way
//! takes time.
//!
//! ```text
//!   waiting for work ──none left──▶ committing ──nothing ready──▶ over
//!          │                            │ aborted: again, until the deadline
//!          └──────────deadline──────────┴──▶ one last commit of what is ready ──▶ over
//! ```

use std::collections::HashSet;

use tokio::time::Instant;

use super::partitions::Partitions;
use crate::member::DrainGuard;
use crate::record::PartitionId;

/// Partitions that are being emptied.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug)]
pub(crate) struct Drain {
    partitions: HashSet<PartitionId>,
    deadline: Instant,
    /// Tells the log, by being dropped, that its partitions are empty.
    _guard: Option<DrainGuard>,
    last_commit: bool,
}

/// What a drain asks for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing: something has to end first.
    Wait,
    /// A commit, as soon as the last one is long enough ago.
    Commit,
    /// A commit at once: there is no time for another.
    LastCommit,
    /// Nothing any more.
    Over,
}

impl Drain {
    pub(crate) fn new(
        partitions: impl IntoIterator<Item = PartitionId>,
        deadline: Instant,
        guard: Option<DrainGuard>,
    ) -> Self {
        Self { partitions: partitions.into_iter().collect(), deadline, _guard: guard, last_commit: false }
    }

    /// Decides, for a moment at which no commit is under way.
    pub(crate) fn next(&mut self, partitions: &mut Partitions, now: Instant) -> Next {
        if now >= self.deadline {
            partitions.leave_now(&self.partitions);
        }
        let ready = partitions.any_ready(self.partitions.iter());
        if now >= self.deadline {
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

    /// Leaves a partition alone: it came back in the meantime.
    pub(crate) fn spare(&mut self, partition: &PartitionId) {
        self.partitions.remove(partition);
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = &PartitionId> {
        self.partitions.iter()
    }

    pub(crate) fn contains(&self, partition: &PartitionId) -> bool {
        self.partitions.contains(partition)
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }
}

#[cfg(test)]
mod key;
