//! What tells one machine from another, for the model, and what the model asks a machine. Times are
//! left out: the model lets every time pass at any moment.

use std::hash::{Hash, Hasher};

use tokio::time::Instant;

use super::Machine;
use super::payload::Payload;
use crate::member::Epoch;
use crate::values::PartitionId;

impl<P: Payload<Outputs: Hash, Guard: Hash>> Machine<P> {
    pub(in crate::stage) fn state_key(&self, age: &dyn Fn(&PartitionId, Epoch) -> i64, into: &mut impl Hasher) {
        self.partitions.state_key(age, into);
        self.queues.state_key(age, P::offset, into);
        self.breakers.state_key(into);
        (self.schedule.state_key(), self.stopping, self.drains.len()).hash(into);
        self.drains.iter().for_each(|drain| drain.state_key(into));
        let open = self.transaction.as_ref();
        open.map(|open| open.records).hash(into);
        let parts = open.iter().flat_map(|open| &open.parts);
        let mut parts: Vec<_> = parts.map(|(id, epoch)| (id.partition, age(id, *epoch))).collect();
        parts.sort_unstable();
        parts.hash(into);
    }

    /// Whether this assignment is about to end.
    pub(in crate::stage) fn is_leaving(&self, partition: &PartitionId, epoch: Epoch) -> bool {
        self.partitions.is_leaving(partition, epoch)
    }

    /// Whether an earlier record of the same key is unfinished in this assignment, other than
    /// these.
    pub(in crate::stage) fn has_earlier_open(&self, record: &P::Record, epoch: Epoch, but_for: &[i64]) -> bool {
        self.partitions.has_earlier_open(record, epoch, but_for)
    }

    /// When the next transaction is due, if none is open.
    pub(in crate::stage) fn commit_due(&self) -> Option<Instant> {
        self.schedule.due().filter(|_| self.transaction.is_none())
    }

    /// When the pause of a topic is over.
    pub(in crate::stage) fn paused_until(&self) -> Option<Instant> {
        self.breakers.due()
    }

    /// The next deadline of a drain, and the revocation that waits for the drain.
    pub(in crate::stage) fn next_deadline(&self) -> Option<(Instant, Option<&P::Guard>)> {
        let drain = self.drains.iter().find(|drain| !drain.is_late())?;
        Some((drain.deadline(), drain.guard()))
    }

    /// Whether partitions are being drained.
    pub(in crate::stage) fn is_draining(&self) -> bool {
        !self.drains.is_empty()
    }
}
