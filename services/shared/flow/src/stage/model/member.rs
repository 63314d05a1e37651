//! One process: the poll thread and the commit thread, as `kafka/member.rs` and
//! `kafka/rebalance.rs` have them, and the queues between them and the stage's machine. All
//! transitions of the stage are the machine's.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::broker::{Log, PartitionCommit, partition_id};
use super::payload::{Ending, Kind, Output, Record, Tiny};
use crate::Fault;
use crate::error::Class;
use crate::kafka::ownership::Ownership;
use crate::member::{Assignment, Epoch};
use crate::stage::config::RejectBreaker;
use crate::stage::machine::{
    self, Command, Event, KeyQueue, Machine, Mode, Outcome, Payload, Rule, Rules, Settings, TransactionLimit,
};
use crate::stage::processor::Cause;
use crate::stage::retry::Backoff;
use crate::values::PartitionId;

/// How many records are in process at most: so many are suspect when two owners died.
const MAX_IN_FLIGHT: usize = 2;
/// Shorter than any deadline, so that a commit can be due before any deadline passes.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Shorter than any deadline, too.
const PAUSE: Duration = Duration::from_secs(1);
/// A topic pauses with the first record that is rejected, and one is tried after a pause.
const BREAKER: RejectBreaker = RejectBreaker { window: 1, share: 1.0, probes: 1, first_pause: PAUSE, max_pause: PAUSE };
const REFUSED: Cause = Cause { code: "refused", fault: Fault::Unknown, sender: None };
const DRAIN_BUDGET: Duration = Duration::from_hours(1);

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
    pub(super) queue: KeyQueue,
    pub(super) record: Record,
    /// It is being rejected, since the log refuses its outputs.
    pub(super) refused: bool,
    /// It runs alone.
    pub(super) suspect: bool,
}

/// What the commit thread has in hand.
#[derive(Clone, Debug)]
pub(super) enum Committing {
    /// It passed the epoch check, holds the lock, and its offsets are pending.
    Open { parts: Vec<PartitionCommit>, left_out: Vec<PartitionId> },
    /// The answer, which the stage has not heard.
    Ended(Result<Vec<PartitionId>, Class>),
}

#[derive(Clone)]
pub(super) struct Member {
    /// Whether the commit thread leaves out the parts of epochs that are over.
    checks_epochs: bool,
    /// How the records that the last step started were read.
    pub(super) started: Vec<(PartitionId, Epoch)>,
    /// Whether the coordinator counts it in.
    pub(super) in_group: bool,
    // The poll thread.
    pub(super) ownership: Ownership,
    /// The index at which each partition is read on.
    pub(super) reading: Vec<Option<usize>>,
    pub(super) events: VecDeque<Event<Tiny>>,
    pub(super) waiting: Option<Waiting>,
    /// The true name of each assignment.
    pub(super) assigned_as: Vec<(usize, Epoch, i64)>,
    // The commit thread.
    pub(super) committing: Option<Committing>,
    // The stage.
    pub(super) machine: Machine<Tiny>,
    pub(super) running: Vec<Running>,
    pub(super) stopped: bool,
    /// What the intake counts: records, and bytes.
    pub(super) held: (i64, i64),
    /// Earlier than any event, so that no commit is due at this time that an event asks for. Other
    /// events may come before such a commit; only a commit that a drain asks for begins at once.
    turns_at: Instant,
    /// The time of the last event. Each is later than the one before, so that drains have deadlines
    /// of their own.
    now: Instant,
}

pub(super) type Step = Result<(), String>;

impl Member {
    pub(super) fn new(broken: Option<Rule>, breaks: bool, limit: usize, partitions: usize, began: Instant) -> Self {
        let settings = Settings {
            max_in_flight: MAX_IN_FLIGHT,
            transaction_limit: TransactionLimit { records: limit, bytes: usize::MAX },
            commit_interval: COMMIT_INTERVAL,
            backoff: Backoff { first: COMMIT_INTERVAL, max: COMMIT_INTERVAL },
            drain_budget: DRAIN_BUDGET,
            reject_breaker: breaks.then_some(BREAKER),
            is_of_one_sender: |_| true,
        };
        Self {
            checks_epochs: broken != Some(Rule::EpochCheck),
            started: Vec::new(),
            in_group: true,
            ownership: Ownership::default(),
            reading: vec![None; partitions],
            events: VecDeque::new(),
            waiting: None,
            assigned_as: Vec::new(),
            committing: None,
            machine: Machine::new(settings, broken.map_or_else(Rules::default, Rules::without)),
            running: Vec::new(),
            stopped: false,
            held: (0, 0),
            turns_at: began,
            now: began,
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
        self.events.push_back(Event::Assigned(vec![Assignment { partition: id, epoch, start, end, committed }]));
        if self.machine.is_draining() || self.committing.is_some() { Ok(()) } else { self.hear_at_once() }
    }

    /// Events that only let more happen are heard at once, when no other event waits to be heard.
    fn hear_at_once(&mut self) -> Step {
        if self.events.len() == 1 { self.hear() } else { Ok(()) }
    }

    /// A record is read.
    pub(super) fn on_record_read(&mut self, record: Record) -> Step {
        let epoch = self.ownership.epoch(&partition_id(record.partition)).ok_or("read what is not owned")?;
        self.hold(1, Tiny::record_bytes(&record));
        self.events.push_back(Event::Record { record, epoch });
        self.hear_at_once()
    }

    /// The poll thread asks for a partition back, and waits.
    pub(super) fn on_revoke(&mut self, partition: usize) {
        self.waiting = Some(Waiting::Drain { partition, drained: false, late: false });
        self.events.push_back(Event::Revoking { partitions: vec![partition_id(partition)], guard: partition });
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

    /// All partitions are lost.
    pub(super) fn on_lose(&mut self) {
        let owned = (0..self.reading.len()).filter(|partition| self.reading[*partition].is_some());
        let owned: Vec<usize> = owned.collect();
        self.give_away(&owned);
        self.events.push_back(Event::Lost(owned.into_iter().map(partition_id).collect()));
        self.in_group = true;
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.committing, Some(Committing::Open { .. }))
    }

    // The commit thread.

    /// The epoch check, under the lock that is held until the transaction ends; then the broker's
    /// answer to outputs and offsets.
    fn begin(&mut self, mut parts: Vec<PartitionCommit>) {
        parts.sort_by(|one, other| one.partition.cmp(&other.partition));
        let owned = self.ownership.for_transaction();
        let (parts, stale): (Vec<PartitionCommit>, Vec<PartitionCommit>) =
            parts.into_iter().partition(|part| owned.get(&part.partition) == Some(&part.epoch) || !self.checks_epochs);
        drop(owned);
        let left_out: Vec<_> = stale.into_iter().map(|part| part.partition).collect();
        let refused = parts.iter().flat_map(|part| &part.outputs).flatten().any(Output::is_refused);
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
            Some(event) => self.on(event),
            None => Ok(()),
        }
    }

    /// Work number `index` ends.
    pub(super) fn on_processed(&mut self, index: usize) -> Step {
        let Running { queue, record, refused, .. } = self.running.swap_remove(index);
        let (ending, outcome) = match record.entry.kind {
            _ if refused => (Ending::Rejected, Outcome::Rejected(REFUSED)),
            Kind::Flaky if record.entry.attempts == 0 => (Ending::Requeued, Outcome::Requeued),
            Kind::Broken => (Ending::Rejected, Outcome::Rejected(REFUSED)),
            _ => (Ending::Published, Outcome::Published),
        };
        let ending = machine::Ending::Done { outputs: Some(record.output(ending)), outcome };
        self.on(Event::Processed { queue, record, ending })
    }

    /// Work number `index` waited for its next try when its partition began to leave, and ends
    /// without a result.
    pub(super) fn on_abandoned(&mut self, index: usize) -> Step {
        let Running { queue, record, .. } = self.running.swap_remove(index);
        self.on(Event::Processed { queue, record, ending: machine::Ending::Abandoned })
    }

    /// Whether the partition of work number `index` is about to leave.
    pub(super) fn is_leaving(&self, index: usize) -> bool {
        let queue = &self.running[index].queue;
        self.machine.is_leaving(&queue.partition, queue.epoch)
    }

    /// The time comes at which the next commit is due.
    pub(super) fn on_commit_due(&mut self) -> Step {
        let due = self.machine.commit_due().ok_or("no commit is due")?;
        self.turn(due, Vec::new())
    }

    /// The stage hears how its transaction ended.
    pub(super) fn on_commit_ended(&mut self) -> Step {
        match self.committing.take() {
            Some(Committing::Ended(Ok(left_out))) => self.on(Event::Committed { left_out }),
            Some(Committing::Ended(Err(error))) => self.on(Event::Aborted { error, jitter: 0.0 }),
            Some(Committing::Open { .. }) | None => Err("no transaction has ended".to_owned()),
        }
    }

    /// The deadline of the oldest drain passes.
    pub(super) fn on_deadline(&mut self) -> Step {
        let (deadline, guard) = self.machine.next_deadline().ok_or("no drain is in time")?;
        if let Some(Waiting::Drain { partition, late, .. }) = &mut self.waiting {
            *late |= guard == Some(partition);
        }
        let mut commands = Vec::new();
        self.machine.on(Event::Timer, deadline, &mut commands);
        self.turn(self.turns_at, commands)
    }

    /// The pause of the topic is over.
    pub(super) fn on_pause_over(&mut self) -> Step {
        let until = self.machine.paused_until().ok_or("the topic is not paused")?;
        let mut commands = Vec::new();
        self.machine.on(Event::Timer, until, &mut commands);
        self.turn(self.turns_at, commands)
    }

    pub(super) fn on(&mut self, event: Event<Tiny>) -> Step {
        self.now += Duration::from_nanos(1);
        let mut commands = Vec::new();
        self.machine.on(event, self.now, &mut commands);
        self.turn(self.turns_at, commands)
    }

    fn turn(&mut self, now: Instant, mut commands: Vec<Command<Tiny>>) -> Step {
        self.stopped |= self.machine.turn(now, &|_| false, &mut commands).is_break();
        commands.into_iter().try_for_each(|command| self.execute(command))
    }

    fn execute(&mut self, command: Command<Tiny>) -> Step {
        match command {
            Command::Start { queue, record, mode } => self.start(queue, record, &mode)?,
            Command::BeginCommit(transaction) => self.begin(transaction.parts),
            Command::Finished { bytes, .. } => self.hold(0, bytes),
            Command::Release(loads) => {
                for (_, load) in loads {
                    self.held = (self.held.0 - load.records as i64, self.held.1 - load.bytes as i64);
                }
            }
            Command::AcknowledgeRevoke(guard) => {
                if let Some(Waiting::Drain { partition, drained, .. }) = &mut self.waiting {
                    *drained |= *partition == guard;
                }
            }
            Command::Fail(_) => return Err("the stage failed".to_owned()),
            Command::DropResult(_)
            | Command::ShareAmong(_)
            | Command::CloseIntake
            | Command::PauseTopic { .. }
            | Command::ProbeTopic(_)
            | Command::ResumeTopic(_)
            | Command::Want(_)
            | Command::StopWaiting(_)
            | Command::Unwant(_) => {}
        }
        Ok(())
    }

    fn start(&mut self, queue: KeyQueue, record: Record, mode: &Mode<Class>) -> Step {
        let (refused, suspect) = (matches!(mode, Mode::Reject(_)), matches!(mode, Mode::Alone));
        if suspect && self.running.iter().any(|work| work.suspect) {
            return Err(format!("suspect {} was started while another was in process", Tiny::offset(&record)));
        }
        if !refused {
            if self.machine.paused_until().is_some() {
                return Err(format!("{} was started while its topic is paused", Tiny::offset(&record)));
            }
            let being_rejected = self.running.iter().filter(|work| work.refused);
            let being_rejected: Vec<i64> = being_rejected.map(|work| Tiny::offset(&work.record)).collect();
            if self.machine.has_earlier_open(&record, queue.epoch, &being_rejected) {
                let position = Tiny::offset(&record);
                return Err(format!("{position} was started before an earlier record of its key ended"));
            }
            self.started.push((queue.partition.clone(), queue.epoch));
        }
        self.running.push(Running { queue, record, refused, suspect });
        Ok(())
    }

    fn hold(&mut self, records: i64, bytes: usize) {
        self.held = (self.held.0 + records, self.held.1 + bytes as i64);
    }
}
