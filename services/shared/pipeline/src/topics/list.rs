//! The one list of topics. `precis topics apply` creates them from it, `precis topics acls` says
//! from it who may read and write each.

use super::access::Role;
use super::{
    AUDIT, CONTROL, DEAD_LETTER_ACTIONS, DEAD_LETTERS, ESCALATIONS, EVALUATIONS, LEDGER, MAX_DOCUMENT_RECORD_BYTES,
    MAX_RECORD_BYTES, RETURNS, SUMMARIES,
};

/// How long `audit` is kept: a little more than seven years, the longest that usual rules ask of
/// such records.
const AUDIT_DAYS: i64 = 7 * 366;

/// How long `evaluations` is kept: long enough for the baseline of a quarter and the next one
/// beside it.
const EVALUATION_DAYS: i64 = 200;

/// How a topic is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// `documents.<tenant>`, one for each tenant.
    OfTenants,
    /// `work.<tier>`, one for each tier.
    OfTiers,
    /// One topic.
    Exact(&'static str),
}

/// How many partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Partitions {
    /// As the settings say: as many as the members that are to share the work.
    AsWorkers,
    /// One, so that records are read in the order in which they were written.
    One,
}

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retention {
    /// Every record for so many days.
    Days(i64),
    /// The newest record of a key, for ever.
    Newest,
}

/// A topic, or the topics of one kind.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Name,
    pub(super) partitions: Partitions,
    pub(super) retention: Retention,
    pub(super) max_record_bytes: i32,
    pub(super) readers: &'static [Role],
    pub(super) writers: &'static [Role],
}

/// All topics, first those that scale.
pub(super) const TOPICS: [Topic; 11] = [
    Topic {
        name: Name::OfTenants,
        partitions: Partitions::AsWorkers,
        retention: Retention::Days(7),
        max_record_bytes: MAX_DOCUMENT_RECORD_BYTES,
        readers: &[Role::Router, Role::Operator],
        // An operator asks for the next revision of a document.
        writers: &[Role::Publisher, Role::Operator],
    },
    Topic {
        name: Name::OfTiers,
        partitions: Partitions::AsWorkers,
        retention: Retention::Days(7),
        max_record_bytes: MAX_RECORD_BYTES,
        readers: &[Role::GpuWorker, Role::ApiWorker, Role::Operator],
        writers: &[Role::Router, Role::GpuWorker, Role::ApiWorker, Role::Operator],
    },
    Topic {
        name: Name::Exact(ESCALATIONS),
        partitions: Partitions::AsWorkers,
        retention: Retention::Days(7),
        max_record_bytes: MAX_RECORD_BYTES,
        readers: &[Role::Router, Role::Operator],
        writers: &[Role::Router, Role::GpuWorker, Role::ApiWorker, Role::Operator],
    },
    Topic {
        name: Name::Exact(RETURNS),
        partitions: Partitions::AsWorkers,
        retention: Retention::Days(7),
        max_record_bytes: MAX_RECORD_BYTES,
        readers: &[Role::Router, Role::Operator],
        // The router puts a copy here for another delivery, an operator replays.
        writers: &[Role::Router, Role::Operator],
    },
    Topic {
        name: Name::Exact(SUMMARIES),
        partitions: Partitions::AsWorkers,
        retention: Retention::Days(30),
        max_record_bytes: MAX_RECORD_BYTES,
        readers: &[Role::Reader, Role::Operator],
        writers: &[Role::Router, Role::GpuWorker, Role::ApiWorker],
    },
    Topic {
        name: Name::Exact(EVALUATIONS),
        partitions: Partitions::AsWorkers,
        retention: Retention::Days(EVALUATION_DAYS),
        max_record_bytes: MAX_RECORD_BYTES,
        readers: &[Role::Reader, Role::Operator],
        writers: &[Role::Router, Role::GpuWorker, Role::ApiWorker],
    },
    Topic {
        name: Name::Exact(DEAD_LETTERS),
        partitions: Partitions::One,
        retention: Retention::Days(30),
        max_record_bytes: MAX_RECORD_BYTES,
        readers: &[Role::Operator],
        writers: &[Role::Router, Role::GpuWorker, Role::ApiWorker],
    },
    Topic {
        name: Name::Exact(LEDGER),
        partitions: Partitions::One,
        retention: Retention::Days(400),
        max_record_bytes: MAX_RECORD_BYTES,
        readers: &[Role::Operator],
        writers: &[Role::ApiWorker],
    },
    Topic {
        name: Name::Exact(AUDIT),
        partitions: Partitions::One,
        retention: Retention::Days(AUDIT_DAYS),
        max_record_bytes: MAX_RECORD_BYTES,
        readers: &[Role::Operator],
        // An API worker without a key switches its tier off, which is recorded.
        writers: &[Role::ApiWorker, Role::Operator],
    },
    Topic {
        name: Name::Exact(CONTROL),
        partitions: Partitions::One,
        retention: Retention::Newest,
        max_record_bytes: MAX_RECORD_BYTES,
        readers: &[Role::Router, Role::GpuWorker, Role::ApiWorker, Role::Operator],
        writers: &[Role::ApiWorker, Role::Operator],
    },
    Topic {
        name: Name::Exact(DEAD_LETTER_ACTIONS),
        partitions: Partitions::One,
        retention: Retention::Newest,
        max_record_bytes: MAX_RECORD_BYTES,
        readers: &[Role::Operator],
        writers: &[Role::Operator],
    },
];
