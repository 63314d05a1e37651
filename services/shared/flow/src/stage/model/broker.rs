//! The log and the group's coordinator, as far as exactly once depends on them.

use std::sync::{Arc, LazyLock};

use super::payload::{Ending, Entry, Kind, Record};
use crate::member::OwnerMark;
use crate::values::PartitionId;

/// A part of a transaction.
pub(super) type PartitionCommit = crate::member::PartitionCommit<Option<super::payload::Output>>;

static INPUT: LazyLock<Arc<str>> = LazyLock::new(|| "in".into());

/// One partition of the input, and what the group wrote for it.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) entries: Vec<Entry>,
    pub(super) committed: Option<i64>,
    /// What was committed beside it.
    pub(super) mark: OwnerMark,
    /// Under which assignment that was.
    pub(super) marked: i64,
    /// The committed view of what the entries led to: which, and how it ended.
    pub(super) written: Vec<(usize, Ending)>,
    pub(super) owner: Option<usize>,
    /// How often it was assigned: the true name of an assignment, which no member knows.
    pub(super) assignments: i64,
}

pub(super) fn partition_id(partition: usize) -> PartitionId {
    PartitionId { topic: Arc::clone(&INPUT), partition: partition as i32 }
}

/// Offsets have gaps, as markers leave them.
pub(super) fn offset_of(index: usize) -> i64 {
    2 * index as i64
}

impl Log {
    pub(super) fn new(entries: Vec<Entry>, committed: Option<i64>, mark: OwnerMark) -> Self {
        Self { entries, committed, mark, marked: 0, written: Vec::new(), owner: None, assignments: 0 }
    }

    pub(super) fn record(&self, partition: usize, index: usize) -> Record {
        Record { partition, index, entry: self.entries[index] }
    }

    /// A transaction's part becomes visible: its outputs, and its offset. `assignment` is the one
    /// it was read under.
    pub(super) fn land(&mut self, part: &PartitionCommit, assignment: i64) -> Result<(), String> {
        let at = &part.partition;
        if assignment != self.assignments {
            return Err(format!("what was read of {at} under an assignment that is over was published"));
        }
        if self.committed.is_some_and(|committed| part.next_offset < committed) {
            return Err(format!("the committed offset of {at} went back"));
        }
        for output in part.outputs.iter().flatten() {
            if output.ending == Ending::Requeued {
                self.entries.push(Entry { attempts: output.entry.attempts + 1, ..output.entry });
            }
            self.written.push((output.index, output.ending));
        }
        self.committed = Some(part.next_offset);
        (self.mark, self.marked) = (part.mark, assignment);
        Ok(())
    }

    /// What must hold of the committed view at any moment.
    pub(super) fn check(&self) -> Result<(), String> {
        let committed = self.committed.unwrap_or(0);
        let done = self.entries.iter().enumerate().filter(|(index, _)| offset_of(*index) < committed).count();
        let expected: Vec<usize> = (0..done).collect();
        let written: Vec<usize> = self.written.iter().map(|(index, _)| *index).collect();
        if written != expected {
            return Err(format!("offset {committed} is committed, and written are the records {written:?}"));
        }
        for (index, ending) in &self.written {
            let entry = self.entries[*index];
            let right = match entry.kind {
                Kind::Refused | Kind::Broken => Ending::Rejected,
                Kind::Flaky if entry.attempts == 0 => Ending::Requeued,
                Kind::Good | Kind::Flaky => Ending::Published,
            };
            if *ending != right {
                return Err(format!("record {index} is {:?} and ended as {ending:?}", entry.kind));
            }
        }
        Ok(())
    }

    /// One past the last record.
    pub(super) fn end(&self) -> i64 {
        self.entries.len().checked_sub(1).map_or(0, |last| offset_of(last) + 1)
    }

    /// What must hold when its owner has drained it in time: whoever comes next must not take it
    /// for dead.
    pub(super) fn check_drained(&self) -> Result<(), String> {
        if self.marked == self.assignments && matches!(self.mark, OwnerMark::Owned | OwnerMark::AfterOneCrash) {
            return Err(format!("given away in order, and marked {}", self.mark));
        }
        Ok(())
    }

    pub(super) fn is_done(&self) -> bool {
        self.written.len() == self.entries.len()
    }
}
