//! How this owner stands to one partition: what it commits beside the offset, and whether its records may start.
//!
//! No record starts before the log holds that somebody works on the partition: otherwise a record that kills within the
//! first commit interval would leave no trace. That costs one transaction an assignment, at the first record; giving
//! the partition away takes one more only when nothing else is left to commit.

use crate::member::{Assignment, Mark};

/// The marks of one assigned partition.
#[cfg_attr(test, derive(Hash))]
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// The next offset to process, as committed.
    next: i64,
    /// What the log holds; `None`: the group has no committed offset here yet.
    written: Option<Mark>,
    /// What is written while this owner works.
    working: Mark,
    /// Whether the log holds that this owner works here.
    opened: bool,
    /// What the open transaction will have written.
    lent: Option<Lent>,
}

#[cfg_attr(test, derive(Hash))]
#[derive(Clone, Copy, Debug)]
struct Lent {
    next: i64,
    written: Mark,
    working: Mark,
    opens: bool,
}

/// Which records may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// None: the log does not hold yet that somebody works here.
    None,
    /// One at a time.
    Alone,
    /// All.
    All,
}

/// What there is in the partition when something is to be committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Whether records are held.
    pub(crate) holding: bool,
    /// Whether this is the last commit before the partition is given away.
    pub(crate) closing: bool,
    /// Whether a record that runs alone is in process.
    pub(crate) alone_in_process: bool,
}

impl Standing {
    pub(crate) fn new(assignment: &Assignment, window: usize) -> Self {
        let Assignment { start, end, committed, .. } = *assignment;
        let working = committed.unwrap_or_default().taken_over(start, end, window);
        Self { next: start, written: committed, working, opened: committed == Some(working), lent: None }
    }

    pub(crate) fn admission(&self) -> Admission {
        match self.working {
            _ if !self.opened => Admission::None,
            Mark::Careful { .. } => Admission::Alone,
            _ => Admission::All,
        }
    }

    /// Whether something is to be committed although no record is done.
    pub(crate) fn ready(&self, moment: Moment) -> bool {
        self.written.is_none() || self.mark(moment, self.working) != self.written
    }

    /// Lends the offset and the mark to a transaction that has so many records done, up to `next` if any.
    pub(crate) fn lend(&mut self, done: usize, next: Option<i64>, moment: Moment) -> (i64, Mark) {
        let next = next.unwrap_or(self.next);
        let working = self.working.after(done, next);
        let written = self.mark(moment, working).unwrap_or_default();
        let opens = self.opened || (moment.holding && !moment.closing);
        self.lent = Some(Lent { next, written, working, opens });
        (next, written)
    }

    /// Whether a transaction is under way.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// The transaction committed.
    pub(crate) fn confirm(&mut self) {
        let Some(lent) = self.lent.take() else { return };
        (self.next, self.written, self.working, self.opened) =
            (lent.next, Some(lent.written), lent.working, lent.opens);
    }

    /// The transaction aborted.
    pub(crate) fn abort(&mut self) {
        self.lent = None;
    }

    /// The next offset to process, as committed.
    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    /// What the log should hold at this moment. An owner that never had a record has nothing to say.
    fn mark(&self, moment: Moment, working: Mark) -> Option<Mark> {
        match (self.opened, moment.closing) {
            (true, true) => Some(working.given_away(moment.alone_in_process)),
            (true, false) => Some(working),
            (false, false) if moment.holding => Some(working),
            (false, _) => self.written,
        }
    }
}

#[cfg(test)]
mod tests;
