//! What a machine is told, and what it asks for.

use std::sync::Arc;

use super::breakers::Pause;
use super::key_queues::KeyQueue;
use super::payload::Payload;
use crate::member::{Assignment, Epoch, Load, Transaction};
use crate::stage::processor::Cause;
use crate::values::PartitionId;

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Event<P: Payload> {
    /// Partitions came.
    Assigned(Vec<Assignment>),
    /// A record was read under this epoch. Its load is counted in.
    Record { record: P::Record, epoch: Epoch },
    /// A record that was started is no longer in process.
    Processed { queue: KeyQueue, record: P::Record, ending: Ending<P> },
    /// The open transaction is committed, but for the partitions that were left out.
    Committed { left_out: Vec<PartitionId> },
    /// The open transaction is aborted. The jitter is between 0 and 1.
    Aborted { error: P::Error, jitter: f64 },
    /// Partitions will go as soon as the guard is given back, or when the log waits no longer.
    Revoking { partitions: Vec<PartitionId>, guard: P::Guard },
    /// Partitions are gone: nothing of them can be committed any more.
    Lost(Vec<PartitionId>),
    /// Time has passed.
    Timer,
    /// The stage is to drain and to stop.
    Stop,
}

/// How a record's processing ended.
#[derive(Clone, Debug)]
pub(crate) enum Ending<P: Payload> {
    /// With outputs.
    Done { outputs: P::Outputs, outcome: Outcome },
    /// With nothing: the record is left to the partition's next owner.
    Abandoned,
    /// With an error that stops the stage.
    Failed(P::Error),
}

/// What a record ended as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its outputs.
    Published,
    /// A copy at the tail of its topic.
    Requeued,
    /// A dead letter, for this reason.
    Rejected(Cause),
}

/// What is to be done, in this order.
#[derive(Clone, Debug)]
pub(crate) enum Command<P: Payload> {
    /// Process the record, and report [`Event::Processed`] with the same queue.
    Start { queue: KeyQueue, record: P::Record, mode: Mode<P::Error> },
    /// Give the transaction to the log, and report [`Event::Committed`] or [`Event::Aborted`].
    BeginCommit(Transaction<P::Outputs>),
    /// A record is finished: count it, and count its outputs in.
    Finished { topic: Arc<str>, bytes: usize, outcome: Outcome },
    /// Count out what need not be held any longer.
    Release(Vec<(PartitionId, Load)>),
    /// Share room among so many topics.
    ShareAmong(usize),
    /// Read nothing more.
    CloseIntake,
    /// Read nothing of this topic, of which nearly everything is rejected.
    PauseTopic { topic: Arc<str>, pause: Pause },
    /// Read this topic again: few of its records start, to see whether they are rejected too.
    ProbeTopic(Arc<str>),
    /// This topic is as any other again.
    ResumeTopic(Arc<str>),
    /// Records of the partition are wanted from now on.
    Want(PartitionId),
    /// The partition begins to leave: its records in process wait for nothing any more.
    StopWaiting(PartitionId),
    /// The partition is gone: no results of its records are wanted.
    Unwant(PartitionId),
    /// The result of this record came too late: its partition is gone.
    DropResult(P::Record),
    /// The revocation need not wait any longer.
    AcknowledgeRevoke(P::Guard),
    /// The stage cannot go on.
    Fail(P::Error),
}

/// How a record is processed.
#[derive(Clone, Debug)]
pub(crate) enum Mode<E> {
    /// Beside others.
    Together,
    /// As the only one of the records that may have killed a process.
    Alone,
    /// It is rejected, because the log refuses its outputs.
    Reject(E),
}
