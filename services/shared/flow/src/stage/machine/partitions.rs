//! The partitions that the stage owns at the moment, each with its tracker and its crash mark:
//! which records may start, what may be committed, and what is left of a partition that is given
//! away.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::partition_mark::{CommitSnapshot, PartitionMark, StartRule};
use super::payload::Payload;
use super::rules::{Rule, Rules};
use super::tracker::{Tracker, TransactionLimit};
use crate::member::{Assignment, Epoch, Load, PartitionCommit, Transaction};
use crate::values::PartitionId;

/// All owned partitions.
#[derive(Clone, Debug)]
pub(crate) struct Partitions<P: Payload> {
    owned: HashMap<PartitionId, Owned<P>>,
    rules: Rules,
    /// How many records an owner has in process at most.
    max_in_flight: usize,
    /// How many records are parked, over all partitions.
    parked: usize,
    /// How many suspects were given their turn.
    turns: u64,
    /// The suspect in process, also when its partition is gone.
    suspect: Option<Suspect>,
}

/// Names a record that runs alone.
#[cfg_attr(test, derive(Hash))]
#[derive(Clone, Debug, PartialEq, Eq)]
struct Suspect {
    partition: PartitionId,
    epoch: Epoch,
    offset: i64,
}

#[derive(Clone, Debug)]
struct Owned<P: Payload> {
    tracker: Tracker<P>,
    mark: PartitionMark,
    /// Records that may not start yet, in order.
    parked: VecDeque<P::Record>,
    /// The offset of the suspect that has its turn, until it is committed: one at a time over all
    /// partitions.
    alone: Option<i64>,
    /// The number of the last turn that one of its suspects had; 0 for none.
    last_turn: u64,
    /// Records in process.
    running: usize,
    leaving: Leaving,
}

/// Whether a partition is about to be given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Leaving {
    No,
    /// As soon as no record is in process.
    WhenIdle,
    /// Whatever is in process.
    Now,
}

/// What becomes of a record that was read.
#[derive(Debug)]
pub(crate) enum Read<R> {
    /// It may start.
    Start(R),
    /// It waits until [`Partitions::unpark`] gives it back.
    Parked,
    /// It is dropped: its partition is not ours any more, or it was read before.
    Dropped,
}

/// A record that was finished, and waits for its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The bytes of its outputs.
    pub(crate) output_bytes: usize,
    /// Whether it ran alone.
    pub(crate) alone: bool,
}

/// A record whose outputs the log refuses.
#[derive(Debug)]
pub(crate) struct TakenBack<R> {
    pub(crate) record: R,
    pub(crate) epoch: Epoch,
    /// The bytes of outputs that no longer wait.
    pub(crate) output_bytes: usize,
}

impl<P: Payload> Partitions<P> {
    /// None yet; an owner has at most `max_in_flight` records in process.
    pub(crate) fn new(max_in_flight: usize, rules: Rules) -> Self {
        Self { owned: HashMap::new(), rules, max_in_flight, parked: 0, turns: 0, suspect: None }
    }

    pub(crate) fn assign(&mut self, assignment: Assignment) {
        let owned = Owned {
            tracker: Tracker::new(assignment.epoch),
            mark: PartitionMark::new(&assignment, self.max_in_flight),
            parked: VecDeque::new(),
            alone: None,
            last_turn: 0,
            running: 0,
            leaving: Leaving::No,
        };
        self.owned.insert(assignment.partition, owned);
    }

    /// Tracks a record that was read, and parks it unless it may start at once.
    pub(crate) fn start_or_park(
        &mut self,
        partition: &PartitionId,
        record: P::Record,
        epoch: Epoch,
        now: Instant,
    ) -> Read<P::Record> {
        let may_start = self.rules.is_broken(Rule::OwnedBeforeStart);
        let Some(owned) = self.at(partition, epoch) else { return Read::Dropped };
        if !owned.tracker.track(record.clone(), now) {
            return Read::Dropped;
        }
        if may_start || (owned.parked.is_empty() && owned.mark.start_rule() == StartRule::All) {
            return Read::Start(record);
        }
        owned.parked.push_back(record);
        self.parked += 1;
        Read::Parked
    }

    /// The records that were parked and may start now: all of a partition without suspects, and one
    /// suspect, if none runs. No suspect of a paused topic starts, since those of other topics
    /// would wait for it.
    pub(crate) fn unpark(&mut self, is_paused: &dyn Fn(&str) -> bool) -> Vec<(P::Record, Epoch)> {
        let mut startable = Vec::new();
        if self.parked == 0 {
            return startable;
        }
        for owned in self.owned.values_mut().filter(|owned| owned.mark.start_rule() == StartRule::All) {
            let epoch = owned.tracker.epoch();
            startable.extend(owned.parked.drain(..).map(|record| (record, epoch)));
        }
        startable.extend(self.next_suspect(is_paused));
        self.parked -= startable.len();
        startable
    }

    /// The suspect whose turn it is, which runs alone from now on; nothing while another is in
    /// process or waits for its commit. One whose partition went is in process until it ends: if it
    /// kills the process, no other may be blamed.
    ///
    /// Topics take turns, and so do the partitions of one topic: with suspects of n topics, every
    /// nth is of a given one. Otherwise a sender with many suspects would hold up all that others
    /// send to a partition that has a single one.
    fn next_suspect(&mut self, is_paused: &dyn Fn(&str) -> bool) -> Option<(P::Record, Epoch)> {
        let runs_alone = self.suspect.is_some() || self.owned.values().any(|owned| owned.alone.is_some());
        if runs_alone && !self.rules.is_broken(Rule::OneSuspectAtATime) {
            return None;
        }
        let mut of_topics: HashMap<&str, u64> = HashMap::new();
        for (partition, owned) in &self.owned {
            let last = of_topics.entry(&partition.topic).or_default();
            *last = owned.last_turn.max(*last);
        }
        let may_start = |(partition, owned): &(&PartitionId, &Owned<P>)| {
            owned.has_suspect_waiting() && owned.alone.is_none() && !is_paused(&partition.topic)
        };
        let last_turns = |(partition, owned): &(&PartitionId, &Owned<P>)| {
            (of_topics.get(&*partition.topic).copied(), owned.last_turn, (*partition).clone())
        };
        let next = self.owned.iter().filter(may_start).min_by_key(last_turns)?.0.clone();
        let owned = self.owned.get_mut(&next)?;
        let record = owned.parked.pop_front()?;
        self.turns += 1;
        (owned.alone, owned.last_turn) = (Some(P::offset(&record)), self.turns);
        Some((record, owned.tracker.epoch()))
    }

    /// Whether a record of this topic runs alone, or is about to.
    pub(crate) fn any_alone_in(&self, topic: &str) -> bool {
        self.owned.iter().any(|(partition, owned)| owned.alone.is_some() && &*partition.topic == topic)
    }

    /// A record's processing starts. `true`: the record runs alone.
    pub(crate) fn start(&mut self, partition: &PartitionId, epoch: Epoch, record: &P::Record) -> bool {
        let offset = P::offset(record);
        let Some(owned) = self.at(partition, epoch) else { return false };
        owned.running += 1;
        let alone = owned.alone == Some(offset);
        if alone {
            self.suspect = Some(Suspect { partition: partition.clone(), epoch, offset });
        }
        alone
    }

    /// A record's processing ended, whatever came of it. `false`: the partition was given away in
    /// the meantime, so the result is not wanted.
    pub(crate) fn end(&mut self, partition: &PartitionId, epoch: Epoch, record: &P::Record) -> bool {
        let offset = P::offset(record);
        self.suspect.take_if(|one| one.offset == offset && one.epoch == epoch && one.partition == *partition);
        let Some(owned) = self.at(partition, epoch) else { return false };
        owned.running = owned.running.saturating_sub(1);
        true
    }

    /// Notes a record's outputs. `None`: the record is not open here.
    pub(crate) fn finish(
        &mut self,
        partition: &PartitionId,
        epoch: Epoch,
        record: &P::Record,
        outputs: P::Outputs,
        rejected: bool,
    ) -> Option<Waiting> {
        let offset = P::offset(record);
        let owned = self.at(partition, epoch)?;
        let output_bytes = owned.tracker.finish(offset, outputs, rejected)?;
        Some(Waiting { output_bytes, alone: owned.alone == Some(offset) })
    }

    /// What can be committed now, within the limit. It is in a transaction until `confirm`, `abort`
    /// or `take_back`.
    pub(crate) fn begin(&mut self, mut limit: TransactionLimit) -> Option<Transaction<P::Outputs>> {
        let rules = self.rules;
        let parts: Vec<_> =
            self.owned.iter_mut().filter_map(|(id, owned)| owned.begin(id, &mut limit, rules)).collect();
        (!parts.is_empty()).then_some(Transaction { parts })
    }

    /// The transaction committed, but for the partitions that were left out: what need not be held
    /// any longer, by partition.
    pub(crate) fn confirm(
        &mut self,
        begun: Vec<(PartitionId, Epoch)>,
        left_out: &[PartitionId],
    ) -> Vec<(PartitionId, Load)> {
        let mut settled = Vec::with_capacity(begun.len());
        for (partition, epoch) in begun {
            let Some(owned) = self.at(&partition, epoch) else { continue };
            if left_out.contains(&partition) {
                owned.abort();
            } else {
                settled.push((partition, owned.confirm()));
            }
        }
        settled
    }

    /// The transaction aborted: everything waits for the next one.
    pub(crate) fn abort(&mut self, begun: &[(PartitionId, Epoch)]) {
        for (partition, epoch) in begun {
            if let Some(owned) = self.at(partition, *epoch) {
                owned.abort();
            }
        }
    }

    /// How many records are in the open transaction.
    pub(crate) fn records_in_transaction(&self) -> usize {
        self.owned.values().map(|owned| owned.tracker.records_in_transaction()).sum()
    }

    /// Opens the one record in the transaction again, because the log refuses its outputs. `None`:
    /// its rejection left these outputs.
    pub(crate) fn take_back(&mut self) -> Option<TakenBack<P::Record>> {
        let owned = self.owned.values_mut().find(|owned| owned.tracker.records_in_transaction() > 0)?;
        let (record, output_bytes) = owned.tracker.take_back()?;
        Some(TakenBack { record, epoch: owned.tracker.epoch(), output_bytes })
    }

    /// Breaks [`Rule::DrainBeforeCommit`].
    pub(crate) fn mark_finished(&mut self, partitions: &[PartitionId]) {
        for partition in partitions {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.tracker.mark_finished();
            }
        }
    }

    /// These will be given away when none of their records is in process: none starts any more.
    pub(crate) fn leave(&mut self, partitions: &[PartitionId]) {
        for partition in partitions {
            if let Some(owned) = self.owned.get_mut(partition) {
                owned.leaving = Leaving::WhenIdle;
                self.parked -= owned.parked.len();
                owned.parked.clear();
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

    /// Forgets a partition: its load. `None`: it is not owned.
    pub(crate) fn remove(&mut self, partition: &PartitionId) -> Option<Load> {
        let owned = self.owned.remove(partition)?;
        self.parked -= owned.parked.len();
        Some(owned.tracker.load())
    }

    /// All owned partitions.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &PartitionId> {
        self.owned.keys()
    }

    /// The topics of which partitions are owned.
    pub(crate) fn topics(&self) -> HashSet<Arc<str>> {
        self.ids().map(|partition| Arc::clone(&partition.topic)).collect()
    }

    /// Whether any of these partitions has something to commit.
    pub(crate) fn any_ready<'a>(&self, mut of: impl Iterator<Item = &'a PartitionId>) -> bool {
        of.any(|partition| self.owned.get(partition).is_some_and(Owned::ready))
    }

    /// The topics of all partitions that have something to commit.
    pub(crate) fn ready_topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.owned.iter().filter(|(_, owned)| owned.ready()).map(|(partition, _)| &partition.topic)
    }

    /// Whether any of these partitions has a record in process.
    pub(crate) fn any_running<'a>(&self, mut of: impl Iterator<Item = &'a PartitionId>) -> bool {
        of.any(|partition| self.owned.get(partition).is_some_and(|owned| owned.running > 0))
    }

    /// When the oldest unfinished record was read.
    pub(crate) fn oldest_open(&self) -> Option<Instant> {
        self.owned.values().filter_map(|owned| owned.tracker.oldest_open()).min()
    }

    fn at(&mut self, partition: &PartitionId, epoch: Epoch) -> Option<&mut Owned<P>> {
        self.owned.get_mut(partition).filter(|owned| owned.tracker.epoch() == epoch)
    }
}

impl<P: Payload> Owned<P> {
    fn has_suspect_waiting(&self) -> bool {
        self.mark.start_rule() == StartRule::OneAtATime && !self.parked.is_empty()
    }

    fn ready(&self) -> bool {
        let nothing_done = || self.snapshot(self.closing(), None);
        !self.mark.is_in_transaction() && (self.tracker.ready() || self.mark.ready(nothing_done()))
    }

    fn begin(
        &mut self,
        id: &PartitionId,
        limit: &mut TransactionLimit,
        rules: Rules,
    ) -> Option<PartitionCommit<P::Outputs>> {
        if !self.ready() {
            return None;
        }
        let front = self.tracker.begin(limit, rules);
        let next = front.as_ref().map(|front| front.next_offset);
        let closing = self.closing() && front.as_ref().is_none_or(|front| !front.cut);
        let snapshot = self.snapshot(closing, next);
        if front.is_none() && !self.mark.ready(snapshot) {
            return None;
        }
        let outputs = front.map(|front| front.outputs).unwrap_or_default();
        let (next_offset, mark) = self.mark.begin(outputs.len(), next, snapshot);
        Some(PartitionCommit { partition: id.clone(), epoch: self.tracker.epoch(), next_offset, mark, outputs })
    }

    fn confirm(&mut self) -> Load {
        let settled = self.tracker.confirm();
        self.mark.confirm();
        let next = self.mark.next();
        self.alone.take_if(|offset| *offset < next);
        settled
    }

    fn abort(&mut self) {
        self.tracker.abort();
        self.mark.abort();
    }

    /// What a commit sees here, when all records before `next` are finished.
    fn snapshot(&self, closing: bool, next: Option<i64>) -> CommitSnapshot {
        let alone_in_process = self.alone.is_some_and(|offset| next.is_none_or(|next| offset >= next));
        CommitSnapshot { holding: self.tracker.is_holding(), closing, alone_in_process }
    }

    /// Whether the next commit is the last one of this owner.
    fn closing(&self) -> bool {
        match self.leaving {
            Leaving::No => false,
            Leaving::WhenIdle => self.running == 0,
            Leaving::Now => true,
        }
    }
}

#[cfg(test)]
mod state_key;
#[cfg(test)]
mod tests;
