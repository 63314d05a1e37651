//! The partitions that the stage owns at the moment, each with its tracker: what may be committed, and what is left of
//! a partition that goes. No I/O and no clock: the model test drives it through every interleaving it can think of.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::processor::Delivery;
use super::tracker::{Held, Tracker, TransactionLimit};
use crate::member::{Assignment, Epoch, Transaction};
use crate::record::{Output, PartitionId, Record};

/// All owned partitions.
#[derive(Debug, Default)]
pub(crate) struct Partitions(HashMap<PartitionId, Owned>);

#[derive(Debug)]
struct Owned {
    tracker: Tracker,
    /// Cancelled when the partition goes: its deliveries are no longer wanted.
    wanted: CancellationToken,
    /// Records in process.
    running: usize,
}

impl Partitions {
    pub(crate) fn assign(&mut self, assignment: Assignment) {
        let Assignment { partition, epoch, uncommitted_start } = assignment;
        let tracker = Tracker::new(partition.clone(), epoch, uncommitted_start);
        self.0.insert(partition, Owned { tracker, wanted: CancellationToken::new(), running: 0 });
    }

    /// Notes a record that was read. `None`: not ours (any more), or seen before.
    pub(crate) fn see(&mut self, record: Record, epoch: Epoch, now: Instant) -> Option<Arc<Delivery>> {
        let owned = self.at(&record.partition_id(), epoch)?;
        let delivery = Arc::new(Delivery::new(record, owned.wanted.child_token()));
        owned.tracker.see(Arc::clone(&delivery), now).then_some(delivery)
    }

    /// A record's processing starts.
    pub(crate) fn start(&mut self, partition: &PartitionId, epoch: Epoch) {
        if let Some(owned) = self.at(partition, epoch) {
            owned.running += 1;
        }
    }

    /// A record's processing ended, whatever came of it. `false`: the partition went in the meantime, nobody wants it.
    pub(crate) fn end(&mut self, partition: &PartitionId, epoch: Epoch) -> bool {
        let Some(owned) = self.at(partition, epoch) else { return false };
        owned.running = owned.running.saturating_sub(1);
        true
    }

    /// Notes what a record led to, and returns the bytes that now wait. `None`: it is not open here.
    pub(crate) fn finish(
        &mut self,
        delivery: &Delivery,
        epoch: Epoch,
        outputs: Vec<Output>,
        rejected: bool,
    ) -> Option<usize> {
        let owned = self.at(&delivery.record.partition_id(), epoch)?;
        owned.tracker.finish(delivery.record.offset, outputs, rejected)
    }

    /// What can be committed now, within the limit; it is lent until one of the three that follow.
    pub(crate) fn lend(&mut self, mut limit: TransactionLimit) -> Option<Transaction> {
        let parts: Vec<_> = self.0.values_mut().filter_map(|owned| owned.tracker.take(&mut limit)).collect();
        (!parts.is_empty()).then_some(Transaction { parts })
    }

    /// The transaction committed, but for the partitions that were left out: what need not be held any longer.
    pub(crate) fn confirm(&mut self, lent: &[(PartitionId, Epoch)], left_out: &[PartitionId]) -> Held {
        let mut held = Held::default();
        for (partition, epoch) in lent {
            let Some(owned) = self.at(partition, *epoch) else { continue };
            if left_out.contains(partition) {
                owned.tracker.abort();
                continue;
            }
            held = held.and(owned.tracker.confirm());
        }
        held
    }

    /// The transaction aborted: everything waits for the next one.
    pub(crate) fn abort(&mut self, lent: &[(PartitionId, Epoch)]) {
        for (partition, epoch) in lent {
            if let Some(owned) = self.at(partition, *epoch) {
                owned.tracker.abort();
            }
        }
    }

    /// How many records are lent.
    pub(crate) fn lent(&self) -> usize {
        self.0.values().map(|owned| owned.tracker.lent()).sum()
    }

    /// Opens the one record that is lent, because the log refuses its outputs: the record, its epoch, and the bytes
    /// that no longer wait. `None` when those outputs were its rejection's.
    pub(crate) fn reopen(&mut self) -> Option<(Arc<Delivery>, Epoch, usize)> {
        let owned = self.0.values_mut().find(|owned| owned.tracker.lent() > 0)?;
        let (delivery, bytes) = owned.tracker.reopen()?;
        Some((delivery, owned.tracker.epoch(), bytes))
    }

    /// Breaks the rule of [`precis_chaos::Sabotage::CommitBeforeDrain`].
    pub(crate) fn call_finished(&mut self, partitions: &[PartitionId]) {
        for partition in partitions {
            if let Some(owned) = self.0.get_mut(partition) {
                owned.tracker.call_finished();
            }
        }
    }

    /// Forgets a partition: what was held for it.
    pub(crate) fn remove(&mut self, partition: &PartitionId) -> Held {
        let Some(owned) = self.0.remove(partition) else { return Held::default() };
        owned.wanted.cancel();
        owned.tracker.held()
    }

    /// All owned partitions.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &PartitionId> {
        self.0.keys()
    }

    /// Whether any of these has something to commit.
    pub(crate) fn any_ready<'a>(&self, mut of: impl Iterator<Item = &'a PartitionId>) -> bool {
        of.any(|partition| self.0.get(partition).is_some_and(|owned| owned.tracker.ready()))
    }

    /// Whether any of these has a record in process.
    pub(crate) fn any_running<'a>(&self, mut of: impl Iterator<Item = &'a PartitionId>) -> bool {
        of.any(|partition| self.0.get(partition).is_some_and(|owned| owned.running > 0))
    }

    /// Since when the oldest unfinished record is here.
    pub(crate) fn oldest_open(&self) -> Option<Instant> {
        self.0.values().filter_map(|owned| owned.tracker.oldest_open()).min()
    }

    fn at(&mut self, partition: &PartitionId, epoch: Epoch) -> Option<&mut Owned> {
        self.0.get_mut(partition).filter(|owned| owned.tracker.epoch() == epoch)
    }
}
