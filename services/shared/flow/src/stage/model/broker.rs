//! The log and the group's coordinator, as far as exactly once depends on them.
#![allow(clippy::unwrap_used)]

use super::member::Part;
use crate::member::Mark;
use crate::record::{ATTEMPTS_HEADER, Headers, Output, PartitionId, Record};

pub(super) const INPUT: &str = "in";
pub(super) const OUTPUT: &str = "out";

/// How the processing of a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// It is published.
    Good,
    /// Its outputs are refused by the log, so that it must end as rejected.
    Refused,
    /// It fails once, is re-enqueued, and is published at its second delivery.
    Flaky,
}

const KINDS: [Kind; 3] = [Kind::Good, Kind::Refused, Kind::Flaky];

/// A record of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    /// The same for all copies.
    pub(super) name: u8,
    pub(super) key: Option<u8>,
    pub(super) kind: Kind,
    pub(super) attempts: u8,
}

/// How a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    Published,
    Requeued,
    Rejected,
}

/// One partition of the input, and what the group wrote for it.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) entries: Vec<Entry>,
    pub(super) committed: Option<i64>,
    /// What was committed beside it.
    pub(super) mark: Mark,
    /// Under which assignment that was.
    pub(super) marked: i64,
    /// The committed view of what the entries led to: which, and how it ended.
    pub(super) written: Vec<(usize, Ending)>,
    pub(super) owner: Option<usize>,
    /// How often it was assigned: the true name of an assignment, which no member knows.
    pub(super) assignments: i64,
}

pub(super) fn partition_id(partition: usize) -> PartitionId {
    PartitionId { topic: INPUT.into(), partition: partition as i32 }
}

/// Offsets have gaps, as markers leave them.
pub(super) fn offset_of(index: usize) -> i64 {
    2 * index as i64
}

pub(super) fn entry_of(record: &Record) -> Entry {
    let value = record.value.as_deref().unwrap();
    let key = record.key.as_ref().map(|key| key[0]);
    Entry { name: value[0], key, kind: KINDS[usize::from(value[1])], attempts: record.attempts() as u8 }
}

/// What a record leads to: where it lies, how it ended, and whether the log will take it.
pub(super) fn output_of(record: &Record, ending: Ending) -> Output {
    let refused = ending == Ending::Published && entry_of(record).kind == Kind::Refused;
    let rejected = ending == Ending::Rejected;
    let value = [record.partition as u8, (record.offset / 2) as u8, u8::from(rejected), u8::from(refused)];
    Output::to(OUTPUT).value(value)
}

pub(super) fn is_refused(output: &Output) -> bool {
    output.topic == OUTPUT && output.value.as_ref().unwrap()[3] == 1
}

impl Log {
    pub(super) fn new(entries: Vec<Entry>, committed: Option<i64>) -> Self {
        Self { entries, committed, mark: Mark::Closed, marked: 0, written: Vec::new(), owner: None, assignments: 0 }
    }

    pub(super) fn record(&self, partition: usize, index: usize) -> Record {
        let entry = self.entries[index];
        let kind = KINDS.iter().position(|kind| *kind == entry.kind).unwrap() as u8;
        let mut headers = Headers::new();
        if entry.attempts > 0 {
            headers.push(ATTEMPTS_HEADER, entry.attempts.to_string());
        }
        Record {
            topic: INPUT.into(),
            partition: partition as i32,
            offset: offset_of(index),
            timestamp_ms: 0,
            key: entry.key.map(|key| vec![key]),
            value: Some(vec![entry.name, kind]),
            headers,
        }
    }

    /// A transaction's part becomes visible: its outputs, and its offset. `assignment` is the one it was read under.
    pub(super) fn land(&mut self, part: &Part, assignment: i64) -> Result<(), String> {
        let at = &part.partition;
        if assignment != self.assignments {
            return Err(format!("what was read of {at} under an assignment that is over was published"));
        }
        if self.committed.is_some_and(|committed| part.next_offset < committed) {
            return Err(format!("the committed offset of {at} went back"));
        }
        for of_record in &part.outputs {
            for output in of_record.iter() {
                let (index, ending) = if output.topic == INPUT {
                    let copy = self.requeue(output);
                    (self.entries.iter().position(|entry| entry.name == copy.name).unwrap(), Ending::Requeued)
                } else {
                    let value = output.value.as_ref().unwrap();
                    let ending = if value[2] == 1 { Ending::Rejected } else { Ending::Published };
                    (usize::from(value[1]), ending)
                };
                self.written.push((index, ending));
            }
        }
        self.committed = Some(part.next_offset);
        (self.mark, self.marked) = (part.mark, assignment);
        Ok(())
    }

    fn requeue(&mut self, output: &Output) -> Entry {
        let record = Record {
            topic: INPUT.into(),
            partition: output.partition.unwrap(),
            offset: offset_of(self.entries.len()),
            timestamp_ms: 0,
            key: output.key.clone(),
            value: output.value.clone(),
            headers: output.headers.clone(),
        };
        let entry = entry_of(&record);
        self.entries.push(entry);
        entry
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
                Kind::Refused => Ending::Rejected,
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

    /// What must hold when its owner has drained it in time: whoever comes next must not take it for dead.
    pub(super) fn check_drained(&self) -> Result<(), String> {
        if self.marked == self.assignments && matches!(self.mark, Mark::Open | Mark::Suspicious) {
            return Err(format!("given away in order, and marked {}", self.mark));
        }
        Ok(())
    }

    pub(super) fn is_done(&self) -> bool {
        self.written.len() == self.entries.len()
    }
}
