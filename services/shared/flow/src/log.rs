//! The log behind one small trait: [`Log`], with an embedded and a Kafka implementation.
//!
//! What every implementation guarantees, and the contract suite holds it to:
//! - what [`Log::publish`] returned a position for survives a kill -9;
//! - records of one topic with one key are read in the order in which they were written;
//! - what a member or an exclusive writer commits becomes visible all at once or never, outputs and
//!   input offsets together;
//! - readers and members see committed records only;
//! - offsets rise and have gaps: nobody may count with them.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::error::FlowError;
use crate::member::{JoinRequest, Membership};
use crate::values::{Output, PartitionId, Position, Record};

/// How long one read waits where a record is looked for by its position.
const RECORD_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Topic name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// Whether only the newest record of a key is kept.
    pub compacted: bool,
    /// How long records are kept; `None` for ever.
    pub retention_ms: Option<i64>,
    /// The largest record, in bytes.
    pub max_message_bytes: i32,
    /// Copies on a cluster; `None` for the cluster's default. The embedded log has one.
    pub replication: Option<i16>,
}

impl TopicSpec {
    /// How this topic, which exists, compares with what it should be. `replication` is compared
    /// only when both say it.
    pub(crate) fn compare(&self, wanted: &Self) -> Change {
        let mut differences = Vec::new();
        let mut differs = |what: &str, is: String, should_be: String| {
            if is != should_be {
                differences.push(format!("{what}: is {is}, should be {should_be}"));
            }
        };
        let retention = |retention_ms: Option<i64>| {
            retention_ms.map_or_else(|| "for ever".to_owned(), |retention_ms| format!("{retention_ms} ms"))
        };
        differs("partitions", self.partitions.to_string(), wanted.partitions.to_string());
        differs("compacted", self.compacted.to_string(), wanted.compacted.to_string());
        differs("retention", retention(self.retention_ms), retention(wanted.retention_ms));
        differs("largest record", self.max_message_bytes.to_string(), wanted.max_message_bytes.to_string());
        if let (Some(is), Some(should_be)) = (self.replication, wanted.replication) {
            differs("replication", is.to_string(), should_be.to_string());
        }
        if differences.is_empty() { Change::Unchanged } else { Change::Differs(differences) }
    }
}

/// What [`Log::ensure_topics`] found or did for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicChange {
    /// Topic name.
    pub topic: String,
    /// What was found or done.
    pub change: Change,
}

/// The kinds of [`TopicChange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It did not exist and does now.
    Created,
    /// It existed as specified.
    Unchanged,
    /// It exists and differs: each difference as `what: is x, should be y`. It is left alone, since
    /// changing a topic that holds records may lose or reorder them.
    Differs(Vec<String>),
}

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicStatus {
    /// Topic name.
    pub name: String,
    /// Its partitions, ascending.
    pub partitions: Vec<PartitionStatus>,
}

/// One partition's ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Partition number.
    pub partition: i32,
    /// The first offset still there.
    pub low: i64,
    /// One past the last stable offset: what a reader of committed records can reach.
    pub high: i64,
}

/// How far a group is behind in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLag {
    /// The partition.
    pub partition: PartitionId,
    /// The next offset that the group will process.
    pub committed: i64,
    /// One past the last stable offset.
    pub end: i64,
    /// Offsets still to process; 0 exactly when no record is waiting, although gaps lie between
    /// `committed` and `end`.
    pub lag: i64,
}

/// Where a [`Reader`] starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadStart {
    /// At the first record there is.
    Beginning,
    /// At the first record written after the reader was made.
    End,
}

/// A log of topics, partitions and groups.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Creates the topics that do not exist and reports how the others differ. Safe to call from
    /// several processes at once.
    async fn ensure_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicChange>, FlowError>;

    /// All topics that are not the log's own, by name.
    async fn topics(&self) -> Result<Vec<TopicStatus>, FlowError>;

    /// How far a group is behind, for every partition in which it has a committed offset, by topic
    /// and partition.
    async fn group_lag(&self, group: &str) -> Result<Vec<PartitionLag>, FlowError>;

    /// Where a transaction is open in these topics, or in the log's own, that nobody ends: the
    /// first offset that nobody can read. Takes as long as a transaction may last when one is open.
    /// A log whose transactions end with the process that began them has none.
    async fn hanging(&self, topics: &[String]) -> Result<Vec<Position>, FlowError> {
        let _ = topics;
        Ok(Vec::new())
    }

    /// Writes records outside of any transaction and returns once each is acknowledged and durable:
    /// positions in the order of the outputs. On an error some of them may have been written:
    /// publishing again may repeat, never lose.
    async fn publish(&self, outputs: Vec<Output>) -> Result<Vec<Position>, FlowError>;

    /// Reads committed records of all partitions of a topic, without a group.
    async fn reader(&self, topic: &str, start: ReadStart) -> Result<Box<dyn Reader>, FlowError>;

    /// The committed record at a position; `None` where there is none: it expired, was never there,
    /// or the topic is gone.
    async fn record_at(&self, position: &Position) -> Result<Option<Record>, FlowError> {
        let mut reader = match self.reader(&position.topic, ReadStart::Beginning).await {
            Err(FlowError::UnknownTopic { .. }) => return Ok(None),
            reader => reader?,
        };
        while !reader.caught_up() {
            let record = reader.next(RECORD_POLL_INTERVAL).await?;
            if let Some(record) = record.filter(|record| record.position() == *position) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Takes over a name: an older holder's later commits fail with `fenced`. Its finished
    /// transactions are visible, its open one is aborted, when this returns: so read what was done
    /// before only after it.
    async fn exclusive(&self, name: &str) -> Result<Box<dyn ExclusiveWriter>, FlowError>;

    /// Joins a group as one of its members: the stage's door, not for services.
    async fn join(&self, request: JoinRequest) -> Result<Membership, FlowError>;

    /// What this log is, for people: no secrets.
    fn describe(&self) -> String;
}

/// Reads one topic from a start on, and follows it.
#[async_trait]
pub trait Reader: Send {
    /// The next record, in order within its partition. `None`: none came within `timeout`, or the
    /// end was reached for the first time or after [`recheck_end`](Self::recheck_end), which is
    /// told at once. Dropping the future loses nothing.
    async fn next(&mut self, timeout: Duration) -> Result<Option<Record>, FlowError>;

    /// The latest moment at which it is known that every record committed by then had been
    /// returned; `None` before the end was first reached. Only [`next`](Self::next) moves it, and
    /// only a log that answers does.
    fn end_reached(&self) -> Option<Instant>;

    /// Asks the log at once where the end is, so that with the coming calls of [`next`](Self::next)
    /// the moment moves beyond now. Without it that happens every few seconds.
    fn recheck_end(&mut self) {}

    /// Whether the end was reached since this reader was made: what was committed before that has
    /// all been returned.
    fn caught_up(&self) -> bool {
        self.end_reached().is_some()
    }
}

/// The one writer of a name.
#[async_trait]
pub trait ExclusiveWriter: Send {
    /// Writes all outputs or none. `fenced` when a newer holder has taken the name over.
    async fn commit(&mut self, outputs: Vec<Output>) -> Result<(), FlowError>;
}
