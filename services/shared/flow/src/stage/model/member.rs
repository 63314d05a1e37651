//! One process: the poll thread, the commit thread, and the stage between them. The stage's part is [`super::super::run`]
//! without tasks and time; the threads' parts are `kafka/member.rs` and `kafka/rebalance.rs`.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::broker::{Ending, Kind, Log, entry_of, is_refused, output_of, partition_id};
use crate::error::Class;
use crate::kafka::ownership::Ownership;
use crate::member::{Assignment, Epoch, Held, Transaction};
use crate::record::{PartitionId, Record};
use crate::stage::dead_letter;
use crate::stage::drain::{Drain, Next};
use crate::stage::lanes::{Lane, Lanes};
use crate::stage::partitions::Partitions;
use crate::stage::processor::Delivery;
use crate::stage::tracker::TransactionLimit;

pub(super) use crate::member::Part;

/// A rule of the protocol that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Nothing,
    /// The commit thread commits parts whatever their epoch.
    EpochCheck,
    /// The committed offset is one record too far.
    Watermark,
    /// A partition that is revoked is committed up to where it was read.
    CommitBeforeDrain,
    /// What an aborted transaction held counts as committed.
    AbortIsDone,
    /// A new owner is told an offset while another is pending.
    StableOffsets,
    /// The end of a refused record's rejection counts as the end of its lane's head.
    RefusedKeepsLane,
    /// Of a transaction that lost a partition on the way, what is left is blamed.
    BlameWhatIsLeft,
    /// Records start before the log holds that somebody works on their partition.
    StartUnopened,
    /// What is left of a drained partition is not marked as closed.
    NoClosing,
    /// A drain goes on for a partition that came back.
    DrainKeepsPartition,
    /// A record that a drain abandons counts as finished.
    AbandonedIsDone,
}

/// How many records a member holds at most: so many are suspect when two died.
const WINDOW: usize = 2;

/// What the poll thread tells the stage.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Assigned(Assignment),
    Record(Record, Epoch),
    Revoking(usize),
    Lost(Vec<usize>),
}

/// Why the poll thread does not poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Waiting {
    /// For the stage to drain this partition; or it has, in time or late.
    Drain { partition: usize, drained: bool, late: bool },
    /// For the open transaction to end, to lose all.
    Loss,
}

/// A record in process.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) lane: Lane,
    pub(super) delivery: Arc<Delivery>,
    /// It is being rejected, since the log refuses its outputs.
    pub(super) refused: bool,
}

/// A drain, and whether its deadline passed.
#[derive(Clone, Debug)]
pub(super) struct Draining {
    pub(super) drain: Drain,
    pub(super) of: Option<usize>,
    pub(super) late: bool,
}

/// What the commit thread has in hand.
#[derive(Clone, Debug)]
pub(super) enum Committing {
    /// It passed the epoch check, holds the lock, and its offsets are pending.
    Open { parts: Vec<Part>, left_out: Vec<PartitionId> },
    /// The answer, which the stage has not heard.
    Ended(Result<Vec<PartitionId>, Class>),
}

#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one of the process's own")]
pub(super) struct Member {
    pub(super) broken: Broken,
    /// What a transaction holds at most.
    pub(super) limit: usize,
    /// How the records that the last step started were read.
    pub(super) started: Vec<(PartitionId, Epoch)>,
    /// Whether the coordinator counts it in.
    pub(super) in_group: bool,
    // The poll thread.
    pub(super) ownership: Ownership,
    /// The index at which each partition is read on.
    pub(super) reading: Vec<Option<usize>>,
    pub(super) events: VecDeque<Event>,
    pub(super) waiting: Option<Waiting>,
    /// The true name of each assignment.
    pub(super) assigned_as: Vec<(usize, Epoch, i64)>,
    // The stage.
    pub(super) partitions: Partitions,
    pub(super) lanes: Lanes<Arc<Delivery>>,
    pub(super) running: Vec<Running>,
    pub(super) lent: Vec<(PartitionId, Epoch)>,
    pub(super) records_lent: usize,
    pub(super) committing: Option<Committing>,
    pub(super) aborts: bool,
    pub(super) one_by_one: usize,
    pub(super) drains: Vec<Draining>,
    pub(super) stopping: bool,
    pub(super) stopped: bool,
    /// What the intake counts.
    pub(super) held: i64,
    pub(super) held_bytes: i64,
    began: Instant,
}

type Step = Result<(), String>;

impl Member {
    pub(super) fn new(broken: Broken, limit: usize, partitions: usize, began: Instant) -> Self {
        Self {
            broken,
            limit,
            started: Vec::new(),
            in_group: true,
            ownership: Ownership::default(),
            reading: vec![None; partitions],
            events: VecDeque::new(),
            waiting: None,
            assigned_as: Vec::new(),
            partitions: Partitions::new(WINDOW),
            lanes: Lanes::new(usize::MAX),
            running: Vec::new(),
            lent: Vec::new(),
            records_lent: 0,
            committing: None,
            aborts: false,
            one_by_one: 0,
            drains: Vec::new(),
            stopping: false,
            stopped: false,
            held: 0,
            held_bytes: 0,
            began,
        }
    }

    // The poll thread.

    pub(super) fn on_assign(&mut self, partition: usize, log: &Log) -> Step {
        let id = partition_id(partition);
        let epoch = self.ownership.gain(std::slice::from_ref(&id))[0];
        self.assigned_as.push((partition, epoch, log.assignments));
        let start = log.committed.unwrap_or(0);
        self.reading[partition] = Some((start as usize).div_ceil(2));
        let (end, committed) = (log.end(), log.committed.map(|_| log.mark));
        self.events.push_back(Event::Assigned(Assignment { partition: id, epoch, start, end, committed }));
        if self.drains.is_empty() && self.committing.is_none() { self.hear_at_once() } else { Ok(()) }
    }

    /// What only lets more happen the stage hears at once, when nothing else waits to be heard.
    fn hear_at_once(&mut self) -> Step {
        if self.events.len() == 1 { self.hear() } else { Ok(()) }
    }

    /// A record is read.
    pub(super) fn on_record_read(&mut self, record: Record) -> Step {
        let epoch = self.ownership.epoch(&record.partition_id()).ok_or("read what is not owned")?;
        self.take(1, record.size_bytes());
        self.events.push_back(Event::Record(record, epoch));
        self.hear_at_once()
    }

    /// Ends epochs, as `give_away` does once no transaction is open.
    pub(super) fn give_away(&mut self, partitions: &[usize]) {
        let ids: Vec<_> = partitions.iter().map(|partition| partition_id(*partition)).collect();
        self.ownership.give_away(&ids, &|| panic!("nobody holds the lock"));
        for partition in partitions {
            self.reading[*partition] = None;
        }
        self.waiting = None;
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.committing, Some(Committing::Open { .. }))
    }

    // The commit thread.

    /// The epoch check, under the lock that is held until the transaction ends; then the broker's answer to outputs
    /// and offsets.
    fn begin(&mut self, parts: Vec<Part>) {
        let owned = self.ownership.for_transaction();
        let unchecked = self.broken == Broken::EpochCheck;
        let (parts, stale): (Vec<Part>, Vec<Part>) =
            parts.into_iter().partition(|part| owned.get(&part.partition) == Some(&part.epoch) || unchecked);
        drop(owned);
        let left_out: Vec<_> = stale.into_iter().map(|part| part.partition).collect();
        let refused = parts.iter().flat_map(|part| &part.outputs).any(|outputs| outputs.iter().any(is_refused));
        self.committing = Some(if parts.is_empty() {
            Committing::Ended(Ok(left_out))
        } else if refused {
            Committing::Ended(Err(Class::Reject))
        } else if !self.in_group {
            Committing::Ended(Err(Class::Retry))
        } else {
            Committing::Open { parts, left_out }
        });
    }

    // The stage.

    /// Hears the next event.
    pub(super) fn hear(&mut self) -> Step {
        match self.events.pop_front() {
            None => {}
            Some(Event::Record(record, epoch)) => self.on_record(record, epoch),
            Some(Event::Assigned(assignment)) => {
                if self.broken != Broken::DrainKeepsPartition {
                    self.drains.iter_mut().for_each(|draining| draining.drain.spare(&assignment.partition));
                }
                self.forget(&assignment.partition);
                self.partitions.assign(assignment);
            }
            Some(Event::Revoking(partition)) => {
                let id = partition_id(partition);
                self.lanes.forget(|other| *other == id);
                if self.broken != Broken::NoClosing {
                    self.partitions.leave([&id]);
                }
                let drain = Drain::new([id], self.deadline(), None);
                self.drains.push(Draining { drain, of: Some(partition), late: false });
            }
            Some(Event::Lost(partitions)) => {
                let ids: Vec<_> = partitions.iter().map(|partition| partition_id(*partition)).collect();
                self.lanes.forget(|partition| ids.contains(partition));
                for partition in &ids {
                    self.forget(partition);
                }
            }
        }
        self.turn()
    }

    fn on_record(&mut self, record: Record, epoch: Epoch) {
        let bytes = record.size_bytes();
        let partition = record.partition_id();
        let leaving = self.stopping || self.drains.iter().any(|draining| draining.drain.contains(&partition));
        let seen = if leaving { None } else { self.partitions.see(record, epoch, self.began) };
        let Some(delivery) = seen else { return self.release(1, bytes) };
        let unopened = self.broken == Broken::StartUnopened;
        let held_back = if unopened { Some(delivery) } else { self.partitions.hold_back(delivery, epoch) };
        if let Some(delivery) = held_back {
            self.lanes.push(Lane::of(&delivery.record, epoch), delivery);
        }
    }

    fn start_work(&mut self) -> Step {
        for (delivery, epoch) in self.partitions.admit() {
            self.lanes.push(Lane::of(&delivery.record, epoch), delivery);
        }
        while let Some((lane, delivery)) = self.lanes.next() {
            let being_rejected: Vec<i64> =
                self.running.iter().filter(|work| work.refused).map(|work| work.delivery.record.offset).collect();
            if self.partitions.holds_up(&delivery.record, lane.epoch, &being_rejected) {
                return Err(format!(
                    "{} was started before an earlier record of its key ended",
                    delivery.record.position()
                ));
            }
            self.partitions.start(&lane.partition, lane.epoch);
            self.started.push((lane.partition.clone(), lane.epoch));
            self.running.push(Running { lane, delivery, refused: false });
        }
        Ok(())
    }

    /// Work number `index` ends.
    pub(super) fn on_worked(&mut self, index: usize) -> Step {
        let Running { lane, delivery, refused } = self.running.swap_remove(index);
        let (partition, epoch) = (lane.partition.clone(), lane.epoch);
        let wanted = self.partitions.end(&partition, epoch);
        self.lanes.done(lane);
        if wanted {
            let entry = entry_of(&delivery.record);
            let output = if refused {
                output_of(&delivery.record, Ending::Rejected)
            } else if entry.kind == Kind::Flaky && delivery.attempts == 0 {
                dead_letter::requeued(&delivery)
            } else {
                output_of(&delivery.record, Ending::Published)
            };
            if let Some(bytes) = self.partitions.finish(&delivery, epoch, vec![output], refused) {
                self.take(0, bytes);
            }
        }
        self.turn()
    }

    /// Work number `index` waited for its next try when its partition began to leave, and ends without a result.
    pub(super) fn on_abandoned(&mut self, index: usize) -> Step {
        let Running { lane, delivery, .. } = self.running.swap_remove(index);
        let wanted = self.partitions.end(&lane.partition, lane.epoch);
        if wanted && self.broken == Broken::AbandonedIsDone {
            self.partitions.finish(&delivery, lane.epoch, Vec::new(), false);
        }
        self.lanes.done(lane);
        self.turn()
    }

    /// Whether the partition of work number `index` is about to leave.
    pub(super) fn is_draining(&self, index: usize) -> bool {
        let Lane { partition, epoch, .. } = &self.running[index].lane;
        self.partitions.is_leaving(partition, *epoch)
    }

    pub(super) fn can_commit(&self) -> bool {
        self.committing.is_none() && self.partitions.any_ready(self.partitions.ids())
    }

    pub(super) fn commit(&mut self) {
        let records = if self.one_by_one > 0 { 1 } else { self.limit };
        let limit = TransactionLimit { records, bytes: usize::MAX };
        let Some(Transaction { mut parts }) = self.partitions.lend(limit) else { return };
        parts.sort_by(|one, other| one.partition.cmp(&other.partition));
        self.lent = parts.iter().map(|part| (part.partition.clone(), part.epoch)).collect();
        self.records_lent = parts.iter().map(|part| part.outputs.len()).sum();
        for part in &mut parts {
            let draining = self.drains.iter().any(|draining| draining.drain.contains(&part.partition));
            match self.broken {
                Broken::Watermark if !part.outputs.is_empty() => part.next_offset += 2,
                Broken::CommitBeforeDrain if draining => {
                    let read = self.reading[part.partition.partition as usize];
                    part.next_offset = read.map_or(part.next_offset, super::broker::offset_of);
                }
                _ => {}
            }
        }
        // Whatever may come between the two is told to the stage later still.
        self.begin(parts);
    }

    /// The stage hears how its transaction ended.
    pub(super) fn on_committed(&mut self) -> Step {
        let Some(Committing::Ended(result)) = self.committing.take() else { return Ok(()) };
        let lent = std::mem::take(&mut self.lent);
        let records = std::mem::take(&mut self.records_lent);
        match result {
            Ok(left_out) => {
                self.aborts = false;
                self.one_by_one = self.one_by_one.saturating_sub(1);
                self.confirm(&lent, &left_out);
            }
            Err(class) => self.on_aborted(&lent, records, class)?,
        }
        self.turn()
    }

    fn confirm(&mut self, lent: &[(PartitionId, Epoch)], left_out: &[PartitionId]) {
        for (_, Held { records, bytes }) in self.partitions.confirm(lent, left_out) {
            self.release(records, bytes);
        }
    }

    fn on_aborted(&mut self, lent: &[(PartitionId, Epoch)], records: usize, class: Class) -> Step {
        let left = self.partitions.lent();
        let blamed = if self.broken == Broken::BlameWhatIsLeft { left == 1 } else { records == 1 };
        match class {
            Class::Fatal => return Err("the stage failed".to_owned()),
            Class::Retry => self.aborts = true,
            Class::Reject if !blamed => self.one_by_one = left,
            Class::Reject => {
                self.one_by_one = 0;
                if left > 0 {
                    let reopened = self.partitions.reopen();
                    let (delivery, epoch, bytes) = reopened.ok_or("what a rejection left was refused")?;
                    self.release(0, bytes);
                    self.reject_refused(delivery, epoch);
                }
            }
        }
        if self.broken == Broken::AbortIsDone && records > 0 {
            self.confirm(lent, &[]);
        } else {
            self.partitions.abort(lent);
        }
        Ok(())
    }

    fn reject_refused(&mut self, delivery: Arc<Delivery>, epoch: Epoch) {
        let kept = self.broken == Broken::RefusedKeepsLane;
        let lane = if kept { Lane::of(&delivery.record, epoch) } else { Lane::beside(&delivery.record, epoch) };
        self.lanes.begin(&lane);
        self.partitions.start(&lane.partition, epoch);
        self.running.push(Running { lane, delivery, refused: true });
    }

    /// Begins the last drain.
    pub(super) fn stop(&mut self) -> Step {
        self.stopping = true;
        self.lanes.forget(|_| true);
        let owned: Vec<_> = self.partitions.ids().cloned().collect();
        self.partitions.leave(&owned);
        let drain = Drain::new(owned, self.deadline(), None);
        self.drains.push(Draining { drain, of: None, late: false });
        self.turn()
    }

    /// The deadline of the oldest drain passes.
    pub(super) fn deadline_passes(&mut self) -> Step {
        if let Some(draining) = self.drains.iter_mut().find(|draining| !draining.late) {
            draining.late = true;
        }
        self.turn()
    }

    /// What the loop does before it waits again.
    fn turn(&mut self) -> Step {
        self.start_work()?;
        if self.committing.is_some() {
            return Ok(());
        }
        let mut commit = false;
        let (early, late) = (self.began, self.deadline());
        for mut draining in std::mem::take(&mut self.drains) {
            match draining.drain.next(&mut self.partitions, if draining.late { late } else { early }) {
                Next::Wait => self.drains.push(draining),
                Next::Commit => {
                    commit |= !self.aborts;
                    self.drains.push(draining);
                }
                Next::LastCommit => {
                    commit = true;
                    self.drains.push(draining);
                }
                Next::Over => {
                    let partitions: Vec<_> = draining.drain.partitions().cloned().collect();
                    for partition in &partitions {
                        self.forget(partition);
                    }
                    if let Some(Waiting::Drain { partition, drained, late }) = &mut self.waiting {
                        *late |= draining.of == Some(*partition) && draining.late;
                        *drained |= draining.of == Some(*partition);
                    }
                }
            }
        }
        self.stopped = self.stopping && self.drains.is_empty();
        if commit {
            self.commit();
        }
        Ok(())
    }

    fn forget(&mut self, partition: &PartitionId) {
        let Held { records, bytes } = self.partitions.remove(partition);
        self.release(records, bytes);
    }

    fn deadline(&self) -> Instant {
        self.began + std::time::Duration::from_secs(1)
    }

    fn take(&mut self, records: usize, bytes: usize) {
        self.held += records as i64;
        self.held_bytes += bytes as i64;
    }

    fn release(&mut self, records: usize, bytes: usize) {
        self.held -= records as i64;
        self.held_bytes -= bytes as i64;
    }
}
