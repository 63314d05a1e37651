//! Records and outputs of a few bytes, which a state of the exploration copies at no cost.

use crate::error::Class;
use crate::stage::machine::Payload;
use crate::values::PartitionId;

use super::broker::{offset_of, partition_id};

/// How the processing of a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// It is published.
    Good,
    /// Its outputs are refused by the log, so that it must end as rejected.
    Refused,
    /// It is rejected, for a reason that may be ours.
    Broken,
    /// It fails once, is re-enqueued, and is published at its second delivery.
    Flaky,
}

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

/// A record that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) partition: usize,
    pub(super) index: usize,
    pub(super) entry: Entry,
}

/// What a record led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Output {
    /// Which record of the partition it was.
    pub(super) index: usize,
    pub(super) ending: Ending,
    pub(super) entry: Entry,
}

impl Record {
    /// What it leads to.
    pub(super) fn output(&self, ending: Ending) -> Output {
        Output { index: self.index, ending, entry: self.entry }
    }
}

impl Output {
    /// Whether the log refuses it.
    pub(super) fn is_refused(&self) -> bool {
        self.ending == Ending::Published && self.entry.kind == Kind::Refused
    }
}

/// The payload of the model's machines. A revocation is known by its partition.
#[derive(Clone, Debug)]
pub(super) struct Tiny;

impl Payload for Tiny {
    type Record = Record;
    type Outputs = Option<Output>;
    type Error = Class;
    type Guard = usize;

    fn partition(record: &Record) -> PartitionId {
        partition_id(record.partition)
    }

    fn offset(record: &Record) -> i64 {
        offset_of(record.index)
    }

    fn key(record: &Record) -> Option<&[u8]> {
        record.entry.key.as_ref().map(std::slice::from_ref)
    }

    fn record_bytes(record: &Record) -> usize {
        10 + usize::from(record.entry.attempts)
    }

    fn output_bytes(output: &Option<Output>) -> usize {
        output.map_or(0, |output| 1 + output.ending as usize)
    }

    fn class(error: &Class) -> Class {
        *error
    }
}
