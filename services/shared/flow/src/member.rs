//! The interface between the stage and a log: one member of a group.
//!
//! The log pushes [`MemberEvent`]s, the stage answers with [`Transaction`]s. The protocol:
//!
//! ```text
//!   join ─▶ Assigned ─▶ Record* ─▶ Revoking (the log waits, bounded, until the guard is dropped) ─▶ epochs raised
//!                          │  └──▶ Lost     (the log waits for nothing)                          ─▶ epochs raised
//!                          ▼
//!              commit(Transaction): parts whose epoch is over are left out, the rest is written whole or not at all
//! ```
//!
//! An **epoch** names one assignment of one partition and is never used twice by a member. The log
//! checks it under the same lock under which it raises it, so that nothing of a partition that was
//! given away can be committed, however late it comes: the broker would let it, since it checks the
//! member and not the partition.
//!
//! Neither side blocks the other: events travel through an unbounded channel that [`Intake`]
//! bounds, since the log stops reading a topic of which enough is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::error::FlowError;
use crate::values::{Output, PartitionId, Record, Subscription};

mod intake;
mod mark;

pub(crate) use intake::ALPHA;
pub use intake::{Intake, Load, Suspended};
pub use mark::OwnerMark;

/// One assignment of one partition.
pub type Epoch = i64;

/// What a member needs to join.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The group's name.
    pub group: String,
    /// What to read.
    pub subscription: Subscription,
    /// Bounds what is read ahead.
    pub intake: Arc<Intake>,
    /// How long a revocation may wait for work in flight.
    pub drain_budget: Duration,
    /// Beaten by the log's own thread each time it goes round: liveness.
    pub heartbeat: Arc<Heartbeat>,
}

/// When a thread last said that it is alive.
#[derive(Debug)]
pub struct Heartbeat {
    since: Instant,
    last_ms: AtomicU64,
}

impl Heartbeat {
    /// Alive now.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { since: Instant::now(), last_ms: AtomicU64::new(0) })
    }

    /// Alive now.
    pub fn beat(&self) {
        self.last_ms.store(self.since.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// How long ago the last beat was.
    pub fn age(&self) -> Duration {
        self.since.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)))
    }
}

/// A member of a group.
pub struct Membership {
    /// What happens to it, in order. Ends when the member is closed.
    pub events: mpsc::UnboundedReceiver<MemberEvent>,
    /// Writes its transactions.
    pub committer: Arc<dyn Committer>,
}

/// A partition that a member got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The partition.
    pub partition: PartitionId,
    /// Names this assignment.
    pub epoch: Epoch,
    /// Where reading starts.
    pub start: i64,
    /// Where the partition ended when it came: one past the last stable offset.
    pub end: i64,
    /// The mark that was committed beside the offset at which reading starts. `None`: the group has
    /// no offset there yet. One is to be committed at once, so that lag is known from the
    /// beginning.
    pub committed: Option<OwnerMark>,
}

/// What happens to a member.
#[derive(Debug)]
pub enum MemberEvent {
    /// Partitions came.
    Assigned(Vec<Assignment>),
    /// A record was read. The log has counted it in [`Intake`]; the stage releases it.
    Record {
        /// The record.
        record: Record,
        /// The assignment under which it was read.
        epoch: Epoch,
    },
    /// Partitions will go as soon as the guard is dropped, or when the drain budget is spent.
    Revoking {
        /// The partitions.
        partitions: Vec<PartitionId>,
        /// Dropping it says: drained and committed.
        guard: DrainGuard,
    },
    /// Partitions are gone: nothing of them can be committed any more.
    Lost(Vec<PartitionId>),
    /// The member cannot go on.
    Failed(FlowError),
}

/// Held while a revocation waits for the stage.
#[derive(Debug)]
pub struct DrainGuard {
    _released_on_drop: std::sync::mpsc::Sender<()>,
}

impl DrainGuard {
    /// The guard, and the receiver that disconnects once it is dropped.
    pub(crate) fn new() -> (Self, std::sync::mpsc::Receiver<()>) {
        let (sender, receiver) = std::sync::mpsc::channel();
        (Self { _released_on_drop: sender }, receiver)
    }
}

/// One partition's share of a transaction.
#[derive(Clone, Debug)]
pub struct PartitionCommit<O = Arc<[Output]>> {
    /// The partition that was read.
    pub partition: PartitionId,
    /// The assignment under which it was read.
    pub epoch: Epoch,
    /// The next offset to process: everything before it is done.
    pub next_offset: i64,
    /// The owner's mark: committed beside the offset.
    pub mark: OwnerMark,
    /// The outputs of each record, in order.
    pub outputs: Vec<O>,
}

/// Outputs and the input offsets that they account for: visible together or never.
#[derive(Clone, Debug, Default)]
pub struct Transaction<O = Arc<[Output]>> {
    /// At most one for each partition.
    pub parts: Vec<PartitionCommit<O>>,
}

/// Where a member starts to read a partition. Without a committed offset only a log that is whole
/// can be read from its start; when records are missing there, which of them were processed is
/// unknown.
pub(crate) fn start_offset(
    group: &str,
    partition: &PartitionId,
    committed: Option<i64>,
    low: i64,
) -> Result<i64, FlowError> {
    let detail = match committed {
        Some(committed) if committed >= low => return Ok(committed),
        Some(committed) => format!("it committed offset {committed}, and the log now starts at {low}"),
        None if low == 0 => return Ok(0),
        None => format!("it has committed no offset, and the log starts at {low}, not at 0"),
    };
    Err(FlowError::OffsetsLost { group: group.to_owned(), place: partition.to_string(), detail })
}

/// Writes a member's transactions, one at a time.
#[async_trait]
pub trait Committer: Send + Sync {
    /// Commits, or changes nothing and fails. Returns the partitions whose parts were left out
    /// because their epoch is over. The class of an error says more: `Retry`, aborted, and the same
    /// may be tried again; `Reject`, an output of some record in it can never be written; `Fatal`,
    /// the member is at its end.
    async fn commit(&self, transaction: Transaction) -> Result<Vec<PartitionId>, FlowError>;

    /// Leaves the group. Returns within about `deadline`, whatever the log does.
    async fn close(&self, deadline: Duration);
}

#[cfg(test)]
mod tests;
