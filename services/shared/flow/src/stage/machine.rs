//! The stage as a state machine: events in, commands out, no I/O, no tasks, and time a value.
//! [`run`](super::run) carries the commands out; the model explores the same machine.
//!
//! ```text
//!   Assigned ─▶ owned                  Record ─▶ parked ──the log names the owner──▶ key queue
//!                 │ Revoking, Stop                                                     │ Start
//!                 ▼                                                                    ▼
//!               drain ──nothing left──▶ forgotten                                 in process
//!                                       AcknowledgeRevoke                              │ Processed
//!   Lost ─▶ forgotten                                                                  ▼
//!                              settled ◀──Committed── in transaction ◀──BeginCommit── finished
//!                                                           └─────────Aborted──────────▶┘
//! ```
//!
//! A topic of which nearly everything is rejected pauses by itself: see [`breakers`].
//!
//! Between events, [`Machine::turn`] starts what may start, moves drains on, and begins a
//! transaction when one is due. Several events may come before one turn.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

mod assignments;
mod breakers;
mod drain;
mod key_queues;
mod messages;
mod partition_mark;
mod partitions;
mod payload;
mod rules;
mod schedule;
mod tracker;
mod transactions;

use breakers::Breakers;
pub(crate) use breakers::Pause;
use drain::Drain;
pub(crate) use key_queues::KeyQueue;
use key_queues::KeyQueues;
pub(crate) use messages::{Command, Ending, Event, Mode, Outcome};
use partitions::{Partitions, Read};
pub(crate) use payload::Payload;
pub(crate) use rules::{Rule, Rules};
use schedule::Schedule;
pub(crate) use tracker::TransactionLimit;
use transactions::OpenTransaction;

use super::config::RejectBreaker;
use super::retry::Backoff;
use crate::member::{Epoch, Load};
use crate::values::PartitionId;

/// What bounds a machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How many records are in process at most.
    pub(crate) max_in_flight: usize,
    /// The bounds of one transaction.
    pub(crate) transaction_limit: TransactionLimit,
    /// How long finished work waits for more.
    pub(crate) commit_interval: Duration,
    /// The pauses after aborted transactions.
    pub(crate) backoff: Backoff,
    /// How long a drain waits for records in process.
    pub(crate) drain_budget: Duration,
    /// When a topic pauses because too much of it is rejected.
    pub(crate) reject_breaker: Option<RejectBreaker>,
    /// Whether one sender alone writes to a topic.
    pub(crate) is_of_one_sender: fn(&str) -> bool,
}

/// A stage's state.
#[derive(Clone, Debug)]
pub(crate) struct Machine<P: Payload> {
    rules: Rules,
    drain_budget: Duration,
    partitions: Partitions<P>,
    queues: KeyQueues<P::Record>,
    schedule: Schedule,
    transaction: Option<OpenTransaction>,
    drains: Vec<Drain<P::Guard>>,
    /// Whether the last drain of all has begun.
    stopping: bool,
    /// Whether the last commit did not end in time.
    timed_out: bool,
    breakers: Breakers,
}

/// Where commands go.
type Commands<P> = Vec<Command<P>>;

impl<P: Payload> Machine<P> {
    pub(crate) fn new(settings: Settings, rules: Rules) -> Self {
        Self {
            rules,
            drain_budget: settings.drain_budget,
            partitions: Partitions::new(settings.max_in_flight, rules),
            queues: KeyQueues::new(settings.max_in_flight),
            schedule: Schedule::new(settings.commit_interval, settings.backoff, settings.transaction_limit),
            transaction: None,
            drains: Vec::new(),
            stopping: false,
            timed_out: false,
            breakers: Breakers::new(settings.reject_breaker, settings.is_of_one_sender),
        }
    }

    /// Takes an event in. The commands are added at the end of `commands`.
    pub(crate) fn on(&mut self, event: Event<P>, now: Instant, commands: &mut Commands<P>) {
        match event {
            Event::Assigned(assignments) => self.on_assigned(assignments, now, commands),
            Event::Record { record, epoch } => self.on_record(record, epoch, now, commands),
            Event::Processed { queue, record, ending } => self.on_processed(queue, record, ending, now, commands),
            Event::Committed { left_out } => self.on_committed(&left_out, now, commands),
            Event::Aborted { error, jitter } => self.on_aborted(error, jitter, now, commands),
            Event::Revoking { partitions, guard } => self.on_revoking(partitions, guard, now, commands),
            Event::Lost(partitions) => self.on_lost(&partitions, commands),
            Event::Timer => self.on_timer(now, commands),
            Event::Stop => self.on_stop(now, commands),
        }
    }

    /// Does what may be done now: to be called after events, before waiting for the next. `is_full`
    /// says whether so much of a topic is held that no more of it is read. Breaks when the stage is
    /// over.
    pub(crate) fn turn(
        &mut self,
        now: Instant,
        is_full: &dyn Fn(&str) -> bool,
        commands: &mut Commands<P>,
    ) -> ControlFlow<()> {
        self.start_records(commands);
        if self.move_drains(now, commands) || self.timed_out {
            return ControlFlow::Break(());
        }
        self.schedule.hurry_full_topics(now, is_full);
        self.begin_commit(now, commands);
        ControlFlow::Continue(())
    }

    /// The next time at which something is due although nothing happens.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        let of_topics = self.breakers.due();
        if self.transaction.is_some() {
            return of_topics;
        }
        let of_commits = self.schedule.due().into_iter().chain(self.drains.iter().map(Drain::deadline));
        of_commits.chain(of_topics).min()
    }

    /// The topics that are paused, or of which few records are tried after a pause.
    pub(crate) fn paused_topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.breakers.paused()
    }

    /// Whether a stop was asked for.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether the log has not answered to a transaction yet.
    pub(crate) fn is_committing(&self) -> bool {
        self.transaction.is_some()
    }

    /// All owned partitions.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = &PartitionId> {
        self.partitions.ids()
    }

    /// When the oldest unfinished record was read.
    pub(crate) fn oldest_open(&self) -> Option<Instant> {
        self.partitions.oldest_open()
    }

    fn on_record(&mut self, record: P::Record, epoch: Epoch, now: Instant, commands: &mut Commands<P>) {
        let partition = P::partition(&record);
        let load = Load { records: 1, bytes: P::record_bytes(&record) };
        let leaving = self.stopping || self.drains.iter().any(|drain| drain.contains(&partition));
        let read = if leaving { Read::Dropped } else { self.partitions.start_or_park(&partition, record, epoch, now) };
        match read {
            Read::Start(record) => self.enqueue(partition, epoch, record),
            Read::Parked => self.schedule.commit_now(now),
            Read::Dropped => commands.push(Command::Release(vec![(partition, load)])),
        }
    }

    fn on_processed(
        &mut self,
        queue: KeyQueue,
        record: P::Record,
        ending: Ending<P>,
        now: Instant,
        commands: &mut Commands<P>,
    ) {
        let (partition, epoch) = (queue.partition.clone(), queue.epoch);
        let wanted = self.partitions.end(&partition, epoch, &record);
        self.queues.done(queue);
        if !wanted {
            return commands.push(Command::DropResult(record));
        }
        let (outputs, outcome) = match ending {
            Ending::Done { outputs, outcome } => (outputs, outcome),
            Ending::Abandoned if self.rules.is_broken(Rule::AbandonedStaysOpen) => {
                (P::Outputs::default(), Outcome::Published)
            }
            Ending::Abandoned => return,
            Ending::Failed(error) => return commands.push(Command::Fail(error)),
        };
        let rejected = matches!(outcome, Outcome::Rejected(_));
        let waiting = self.partitions.finish(&partition, epoch, &record, outputs, rejected);
        let (topic, bytes) = (partition.topic, waiting.map_or(0, |waiting| waiting.output_bytes));
        if let Some(waiting) = waiting {
            let load = Load { records: 1, bytes: P::record_bytes(&record) + bytes };
            self.schedule.on_finished(now, &topic, load, waiting.alone);
        }
        // A pause must not hold up a record that runs alone: those of other topics wait for it.
        let holds_up_others = rejected && self.partitions.any_alone_in(&topic);
        if !holds_up_others && let Some(change) = self.breakers.note(&topic, &outcome, now) {
            self.limit(&topic);
            commands.extend(change.command(&topic));
        }
        commands.push(Command::Finished { topic, bytes, outcome });
    }

    /// Starts the records that may start.
    fn start_records(&mut self, commands: &mut Commands<P>) {
        let Self { partitions, breakers, .. } = self;
        for (record, epoch) in partitions.unpark(&|topic| breakers.max_running(topic) == Some(0)) {
            self.enqueue(P::partition(&record), epoch, record);
        }
        while let Some((queue, record)) = self.queues.next() {
            let alone = self.partitions.start(&queue.partition, queue.epoch, &record);
            let mode = if alone { Mode::Alone } else { Mode::Together };
            commands.push(Command::Start { queue, record, mode });
        }
    }

    /// As many records of a topic may be in process as its breaker says.
    fn limit(&mut self, topic: &Arc<str>) {
        if !self.rules.is_broken(Rule::PausedStartsNothing) {
            self.queues.limit(topic, self.breakers.max_running(topic));
        }
    }

    fn enqueue(&mut self, partition: PartitionId, epoch: Epoch, record: P::Record) {
        self.queues.push(KeyQueue::new(partition, epoch, P::key(&record)), record);
    }
}

#[cfg(test)]
mod state_key;
#[cfg(test)]
mod tests;
