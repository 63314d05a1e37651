//! The crash mark of one assigned partition: what this owner commits beside the offset, and whether
//! the partition's records may start.
//!
//! No record starts before the log holds that its partition has an owner who works on it: otherwise
//! a record that kills its process within the first commit interval would leave no trace. That
//! costs one transaction an assignment, at the first record. Giving the partition away costs one
//! more transaction only when nothing else is left to commit.

use crate::member::{Assignment, OwnerMark};

/// The crash mark of one assigned partition.
#[cfg_attr(test, derive(Hash))]
#[derive(Clone, Debug)]
pub(crate) struct PartitionMark {
    /// The next offset to process, as committed.
    next: i64,
    /// The mark that the log holds; `None`: the group has no committed offset here yet.
    written: Option<OwnerMark>,
    /// The mark that is written while this owner works.
    working: OwnerMark,
    /// Whether the log holds that this owner works here.
    opened: bool,
    /// What holds once the open transaction is committed.
    in_transaction: Option<InTransaction>,
}

#[cfg_attr(test, derive(Hash))]
#[derive(Clone, Copy, Debug)]
struct InTransaction {
    next: i64,
    written: OwnerMark,
    working: OwnerMark,
    opens: bool,
}

/// Which records may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartRule {
    /// No record: the log does not hold yet that this owner works here.
    None,
    /// One record at a time.
    OneAtATime,
    /// All records.
    All,
}

/// What a commit sees of a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitSnapshot {
    /// Whether records are held.
    pub(crate) holding: bool,
    /// Whether this is the last commit before the partition is given away.
    pub(crate) closing: bool,
    /// Whether a record that runs alone is in process.
    pub(crate) alone_in_process: bool,
}

impl PartitionMark {
    pub(crate) fn new(assignment: &Assignment, window: usize) -> Self {
        let Assignment { start, end, committed, .. } = *assignment;
        let working = committed.unwrap_or_default().taken_over(start, end, window);
        Self { next: start, written: committed, working, opened: committed == Some(working), in_transaction: None }
    }

    pub(crate) fn start_rule(&self) -> StartRule {
        match self.working {
            _ if !self.opened => StartRule::None,
            OwnerMark::Quarantine { .. } => StartRule::OneAtATime,
            _ => StartRule::All,
        }
    }

    /// Whether a commit is due although no record is finished.
    pub(crate) fn ready(&self, snapshot: CommitSnapshot) -> bool {
        self.written.is_none() || self.mark(snapshot, self.working) != self.written
    }

    /// The offset and the mark for a transaction with so many finished records, which end before
    /// `next` if there are any.
    pub(crate) fn begin(&mut self, done: usize, next: Option<i64>, snapshot: CommitSnapshot) -> (i64, OwnerMark) {
        let next = next.unwrap_or(self.next);
        let working = self.working.after(done, next);
        let written = self.mark(snapshot, working).unwrap_or_default();
        let opens = self.opened || (snapshot.holding && !snapshot.closing);
        self.in_transaction = Some(InTransaction { next, written, working, opens });
        (next, written)
    }

    /// Whether a transaction is under way.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.in_transaction.is_some()
    }

    /// The transaction committed.
    pub(crate) fn confirm(&mut self) {
        let Some(begun) = self.in_transaction.take() else { return };
        (self.next, self.written, self.working, self.opened) =
            (begun.next, Some(begun.written), begun.working, begun.opens);
    }

    /// The transaction aborted.
    pub(crate) fn abort(&mut self) {
        self.in_transaction = None;
    }

    /// The next offset to process, as committed.
    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    /// The mark that the log should hold. An owner that never had a record leaves the mark as it
    /// is.
    fn mark(&self, snapshot: CommitSnapshot, working: OwnerMark) -> Option<OwnerMark> {
        match (self.opened, snapshot.closing) {
            (true, true) => Some(working.given_away(snapshot.alone_in_process)),
            (true, false) => Some(working),
            (false, false) if snapshot.holding => Some(working),
            (false, _) => self.written,
        }
    }
}

#[cfg(test)]
mod tests;
