//! Where reading a partition starts: decided from what the group committed, which topic that was,
//! and where the log begins and ends now.
//!
//! | committed | topic | log | reading starts |
//! | --- | --- | --- | --- |
//! | within the log | the same, or not known | | there |
//! | anything | another of the same name | whole | at its beginning: it is another log |
//! | beyond the end | the same, or not known | | at its beginning: what came after the loss is not told from what was read |
//! | before the beginning | the same, or not known | holds records | nowhere: records expired unread |
//! | nothing | | whole | at its beginning |
//! | nothing, or another topic | | begins later, holds records | nowhere: which records were processed is unknown |
//! | nothing, or before the beginning | | begins later, empty | at its end |
//!
//! An empty log leaves nothing to choose, and most such logs lost nothing. In a topic that is
//! written in transactions the last offset belongs to a marker, which no consumer sees and no group
//! commits. Once everything has expired, the log begins behind that marker.
//!
//! Reading again is safe, since documents have identities; passing over a record is not.

use super::topic_id::TopicId;
use crate::error::FlowError;
use crate::member::{OwnerMark, start_offset};
use crate::values::PartitionId;

/// What a group committed in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Committed {
    /// The next offset to process.
    pub(super) offset: i64,
    /// How the owner stood to the partition.
    pub(super) mark: OwnerMark,
    /// The topic in which it was committed; `None` when the brokers have no ids, or another tool
    /// committed it.
    pub(super) topic_id: Option<TopicId>,
}

/// A partition as it is now.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The topic's id, if the brokers have ids.
    pub(super) topic_id: Option<TopicId>,
    /// The first offset still there.
    pub(super) low: i64,
    /// One past the last stable offset.
    pub(super) end: i64,
    /// Another topic is known to have had the name when it was read last. The brokers forget what
    /// was committed in a topic that is deleted, so that nothing else may tell.
    pub(super) is_recreated: bool,
    /// The log is known to have lost its end below what was read.
    pub(super) is_truncated: bool,
    /// An offset up to which it was read before, beside what is committed.
    pub(super) position: Option<i64>,
}

/// Where reading starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Where the group stands, or at the beginning of a log that it never read.
    Known(i64),
    /// At the beginning of the log, although the group was further on.
    Again {
        /// The beginning.
        offset: i64,
        /// Why.
        why: Again,
    },
}

/// Why a partition is read from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The topic was deleted, and another of the same name made.
    Recreated,
    /// The log ends before what was read: Kafka lost records.
    Truncated,
    /// The log is empty and begins behind what is committed: all of its records expired.
    Expired,
}

impl Again {
    /// The label of metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Recreated => "recreated",
            Self::Truncated => "truncated",
            Self::Expired => "expired",
        }
    }
}

impl Start {
    /// The offset.
    pub(super) fn offset(&self) -> i64 {
        match self {
            Self::Known(offset) | Self::Again { offset, .. } => *offset,
        }
    }

    /// Decides. Whatever the group reads again it also commits again: what it committed before
    /// counts for nothing.
    ///
    /// # Errors
    /// `offsets_lost`: nobody can know.
    pub(super) fn decide(
        group: &str,
        partition: &PartitionId,
        committed: Option<&Committed>,
        found: &Found,
    ) -> Result<Self, FlowError> {
        let offset = committed.map(|committed| committed.offset);
        let was = committed.and_then(|committed| committed.topic_id.as_ref());
        let is = found.topic_id.as_ref();
        if was.zip(is).is_some_and(|(was, is)| was != is) || (found.is_recreated && was != is) {
            return start_offset(group, partition, None, found.low)
                .map(|offset| Self::Again { offset, why: Again::Recreated });
        }
        if found.is_truncated || offset.max(found.position).is_some_and(|reached| reached > found.end) {
            return Ok(Self::Again { offset: found.low, why: Again::Truncated });
        }
        match start_offset(group, partition, offset, found.low) {
            Err(_) if found.low == found.end => Ok(Self::Again { offset: found.low, why: Again::Expired }),
            start => start.map(Self::Known),
        }
    }
}

#[cfg(test)]
mod tests;
