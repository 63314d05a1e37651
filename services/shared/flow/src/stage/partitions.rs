//! The partitions that the stage owns at the moment, each with its tracker: what may start, what may be committed, and
//! what is left of a partition that goes. No I/O and no clock: the model test drives it through every interleaving it
//! can think of.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::processor::Delivery;
use super::standing::{Admission, Moment, Standing};
use super::tracker::{Tracker, TransactionLimit};
use crate::member::{Assignment, Epoch, Held, Part, Transaction};
use crate::record::{Output, PartitionId, Record};

/// All owned partitions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Partitions {
    owned: HashMap<PartitionId, Owned>,
    /// How many records an owner has in process at most.
    window: usize,
    /// How many records may not start yet.
    waiting: usize,
}

#[derive(Clone, Debug)]
struct Owned {
    tracker: Tracker,
    standing: Standing,
    /// Records that may not start yet, in order.
    waiting: VecDeque<Arc<Delivery>>,
    /// The offset of the record that runs alone, until it is committed: one at a time over all partitions.
    alone: Option<i64>,
    /// Cancelled when the partition goes: its deliveries are no longer wanted.
    wanted: CancellationToken,
    /// Cancelled when it begins to leave: its deliveries wait for nothing any more. A child of `wanted`.
    draining: CancellationToken,
    /// Records in process.
    running: usize,
    leaving: Leaving,
}

/// Whether a partition is about to be given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Leaving {
    No,
    /// As soon as nothing is in process.
    WhenIdle,
    /// Whatever is in process.
    Now,
}

impl Partitions {
    /// None yet; an owner has at most `window` records in process.
    pub(crate) fn new(window: usize) -> Self {
        Self { window, ..Self::default() }
    }

    pub(crate) fn assign(&mut self, assignment: Assignment) {
        let wanted = CancellationToken::new();
        let owned = Owned {
            tracker: Tracker::new(assignment.epoch),
            standing: Standing::new(&assignment, self.window),
            waiting: VecDeque::new(),
            alone: None,
            draining: wanted.child_token(),
            wanted,
            running: 0,
            leaving: Leaving::No,
        };
        self.owned.insert(assignment.partition, owned);
    }

    /// Notes a record that was read. `None`: not ours (any more), or seen before.
    pub(crate) fn see(&mut self, record: Record, epoch: Epoch, now: Instant) -> Option<Arc<Delivery>> {
        let owned = self.at(&record.partition_id(), epoch)?;
        let delivery = Arc::new(Delivery::with(record, owned.wanted.clone(), owned.draining.clone()));
        owned.tracker.see(Arc::clone(&delivery), now).then_some(delivery)
    }

    /// Gives the record back when it may start; otherwise it waits until [`admit`](Self::admit) gives it back.
    pub(crate) fn hold_back(&mut self, delivery: Arc<Delivery>, epoch: Epoch) -> Option<Arc<Delivery>> {
        let owned = self.at(&delivery.record.partition_id(), epoch)?;
        if owned.waiting.is_empty() && owned.standing.admission() == Admission::All {
            return Some(delivery);
        }
        owned.waiting.push_back(delivery);
        self.waiting += 1;
        None
    }

    /// The records that waited and may start now.
    pub(crate) fn admit(&mut self) -> Vec<(Arc<Delivery>, Epoch)> {
        let mut admitted = Vec::new();
        if self.waiting == 0 {
            return admitted;
        }
        let mut one_is_alone = self.owned.values().any(|owned| owned.alone.is_some());
        for owned in self.owned.values_mut() {
            let epoch = owned.tracker.epoch();
            match owned.standing.admission() {
                Admission::None => {}
                Admission::All => admitted.extend(owned.waiting.drain(..).map(|delivery| (delivery, epoch))),
                Admission::Alone if one_is_alone => {}
                Admission::Alone => {
                    let Some(delivery) = owned.waiting.pop_front() else { continue };
                    owned.alone = Some(delivery.record.offset);
                    one_is_alone = true;
                    admitted.push((delivery, epoch));
                }
            }
        }
        self.waiting -= admitted.len();
        admitted
    }

    /// Whether this record is one that runs alone.
    pub(crate) fn is_alone(&self, record: &Record, epoch: Epoch) -> bool {
        let owned = self.owned.get(&record.partition_id());
        owned.is_some_and(|owned| owned.tracker.epoch() == epoch && owned.alone == Some(record.offset))
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
        let parts: Vec<_> = self.owned.iter_mut().filter_map(|(id, owned)| owned.lend(id, &mut limit)).collect();
        (!parts.is_empty()).then_some(Transaction { parts })
    }

    /// The transaction committed, but for the partitions that were left out: what need not be held any longer, by
    /// partition.
    pub(crate) fn confirm<'a>(
        &mut self,
        lent: &'a [(PartitionId, Epoch)],
        left_out: &[PartitionId],
    ) -> Vec<(&'a PartitionId, Held)> {
        let mut held = Vec::with_capacity(lent.len());
        for (partition, epoch) in lent {
            let Some(owned) = self.at(partition, *epoch) else { continue };
            if left_out.contains(partition) {
                owned.tracker.abort();
                owned.standing.abort();
                continue;
            }
            held.push((partition, owned.tracker.confirm()));
            owned.standing.confirm();
            let next = owned.standing.next();
            owned.alone.take_if(|offset| *offset < next);
        }
        held
    }

    /// The transaction aborted: everything waits for the next one.
    pub(crate) fn abort(&mut self, lent: &[(PartitionId, Epoch)]) {
        for (partition, epoch) in lent {
            if let Some(owned) = self.at(partition, *epoch) {
                owned.tracker.abort();
                owned.standing.abort();
            }
        }
    }

    /// How many records are lent.
    pub(crate) fn lent(&self) -> usize {
        self.owned.values().map(|owned| owned.tracker.lent()).sum()
    }

    /// Opens the one record that is lent, because the log refuses its outputs: the record, its epoch, and the bytes
    /// that no longer wait. `None` when those outputs were its rejection's.
    pub(crate) fn reopen(&mut self) -> Option<(Arc<Delivery>, Epoch, usize)> {
        let owned = self.owned.values_mut().find(|owned| owned.tracker.lent() > 0)?;
        let (delivery, bytes) = owned.tracker.reopen()?;
        Some((delivery, owned.tracker.epoch(), bytes))
    }

    /// Breaks the rule of [`precis_chaos::Sabotage::CommitBeforeDrain`].
    pub(crate) fn call_finished(&mut self, partitions: &[PartitionId]) {
        for partition in partitions {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.tracker.call_finished();
            }
        }
    }

    /// These will be given away when nothing of them is in process: nothing more of them starts, and what is in process
    /// waits for nothing any more.
    pub(crate) fn leave<'a>(&mut self, partitions: impl IntoIterator<Item = &'a PartitionId>) {
        for partition in partitions {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.leaving = Leaving::WhenIdle;
                owned.draining.cancel();
                self.waiting -= owned.waiting.len();
                owned.waiting.clear();
            }
        }
    }

    /// These will be given away now, whatever is in process.
    pub(crate) fn leave_now<'a>(&mut self, partitions: impl IntoIterator<Item = &'a PartitionId>) {
        for partition in partitions {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.leaving = Leaving::Now;
            }
        }
    }

    /// Forgets a partition: what was held for it.
    pub(crate) fn remove(&mut self, partition: &PartitionId) -> Held {
        let Some(owned) = self.owned.remove(partition) else { return Held::default() };
        owned.wanted.cancel();
        self.waiting -= owned.waiting.len();
        owned.tracker.held()
    }

    /// All owned partitions.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &PartitionId> {
        self.owned.keys()
    }

    /// Of how many topics there are partitions here.
    pub(crate) fn topics(&self) -> usize {
        self.ids().map(|partition| &partition.topic).collect::<HashSet<_>>().len()
    }

    /// Whether any of these has something to commit.
    pub(crate) fn any_ready<'a>(&self, mut of: impl Iterator<Item = &'a PartitionId>) -> bool {
        of.any(|partition| self.owned.get(partition).is_some_and(Owned::ready))
    }

    /// Whether any of these has a record in process.
    pub(crate) fn any_running<'a>(&self, mut of: impl Iterator<Item = &'a PartitionId>) -> bool {
        of.any(|partition| self.owned.get(partition).is_some_and(|owned| owned.running > 0))
    }

    /// Since when the oldest unfinished record is here.
    pub(crate) fn oldest_open(&self) -> Option<Instant> {
        self.owned.values().filter_map(|owned| owned.tracker.oldest_open()).min()
    }

    fn at(&mut self, partition: &PartitionId, epoch: Epoch) -> Option<&mut Owned> {
        self.owned.get_mut(partition).filter(|owned| owned.tracker.epoch() == epoch)
    }
}

impl Owned {
    fn ready(&self) -> bool {
        !self.standing.is_lent() && (self.tracker.ready() || self.standing.ready(self.moment(self.closing(), None)))
    }

    fn lend(&mut self, id: &PartitionId, limit: &mut TransactionLimit) -> Option<Part> {
        if !self.ready() {
            return None;
        }
        let front = self.tracker.take(limit);
        let next = front.as_ref().map(|front| front.next_offset);
        let closing = self.closing() && front.as_ref().is_none_or(|front| !front.cut);
        let moment = self.moment(closing, next);
        if front.is_none() && !self.standing.ready(moment) {
            return None;
        }
        let outputs = front.map(|front| front.outputs).unwrap_or_default();
        let (next_offset, mark) = self.standing.lend(outputs.len(), next, moment);
        Some(Part { partition: id.clone(), epoch: self.tracker.epoch(), next_offset, mark, outputs })
    }

    /// What there is here, when all before `done` is.
    fn moment(&self, closing: bool, done: Option<i64>) -> Moment {
        let alone_in_process = self.alone.is_some_and(|offset| done.is_none_or(|done| offset >= done));
        Moment { holding: self.tracker.is_holding(), closing, alone_in_process }
    }

    /// Whether what is committed now is the last that this owner commits.
    fn closing(&self) -> bool {
        match self.leaving {
            Leaving::No => false,
            Leaving::WhenIdle => self.running == 0,
            Leaving::Now => true,
        }
    }
}

#[cfg(test)]
mod key;
#[cfg(test)]
mod tests;
