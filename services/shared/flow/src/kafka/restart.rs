//! Partitions that are read anew while they are owned, each alone: the others go on.
//!
//! ```text
//!   topic made again,     ┌▶ nothing more is read ─▶ the stage drains and commits, bounded ─▶ epoch ended ┐
//!   next offset not there ┘                                                                              ▼
//!   its topic was not there when it was assigned ─────────────────────────▶ where does it start? ─▶ new epoch
//!                                                                            │ topic not there, brokers away: again
//!                                                                            └ nobody can know: stopped, and told
//! ```
//!
//! What the stage still commits on the way carries the id of the old topic, so whoever takes the
//! partition over tells it from an offset of the new one.

use std::collections::{HashMap, HashSet};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use precis_base::lock::locked;
use precis_telemetry::metrics::{Counter, Gauge};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{error, warn};

use super::begin::{Begin, Cause};
use super::client::flow_error;
use super::convert::partition_list;
use super::rebalance::{Callbacks, MemberContext};
use super::start::Start;
use super::topic_id::{Line, OutOfRange, TopicId};
use crate::error::{Class, FlowError};
use crate::member::{Assignment, DrainGuard, MemberEvent};
use crate::values::PartitionId;

/// How often to ask again where a partition starts.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How long after a topic was made again a client hears of its leaders.
const NEW_LEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may know of no broker. One that is fenced and asked about itself names none;
/// librdkafka 2.12 then gives up those that it knew, sometimes the bootstrap servers too, and never
/// asks anybody again.
const NO_BROKERS_TIMEOUT: Duration = Duration::from_secs(15);
/// How often it is said which partitions are stopped.
const STOPPED_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What the poll thread knows of the partitions that are assigned to it.
#[derive(Default)]
pub(super) struct Reading {
    /// All partitions of the assignment, those that are not read among them.
    pub(super) assigned: HashSet<PartitionId>,
    /// The topics of the assignment, as the client knows them.
    ids: HashMap<String, TopicId>,
    /// When the ids of topics changed, as this client saw it.
    changed: HashMap<String, Instant>,
    /// Topics whose id was told since this was last looked at, and whether it changed.
    told: HashMap<String, bool>,
    /// Partitions whose next offset is not in the log.
    out_of_range: Vec<OutOfRange>,
    /// When one was told last.
    pub(super) told_out_of_range: Option<Instant>,
    /// The client cannot follow the leaders of a topic that was made again: only a new client can.
    is_stuck: bool,
    /// Since when the client was told of no broker.
    brokers_gone: Option<Instant>,
    restarts: Vec<Restart>,
    /// Partitions that are not read, since nobody can know where to start.
    stopped: HashMap<PartitionId, FlowError>,
    /// Whether the metric says that there are any.
    is_gauge_raised: bool,
    /// When that was last said.
    told_stopped: Option<Instant>,
}

/// A partition that is to be read anew.
struct Restart {
    partition: PartitionId,
    /// Disconnects once the stage has drained it.
    drained: Option<Receiver<()>>,
    drain_deadline: Instant,
    next_try: Instant,
    cause: Cause,
}

impl Reading {
    /// Notes what a log line says.
    pub(super) fn note(&mut self, line: Line) {
        match line {
            Line::Id { topic, id, changed } => {
                if changed {
                    self.changed.insert(topic.clone(), Instant::now());
                }
                *self.told.entry(topic.clone()).or_default() |= changed;
                self.ids.insert(topic, id);
            }
            // Later it is a broker that is behind: what it tells is rightly ignored.
            Line::LeaderIgnored { topic } => {
                self.is_stuck |= self.changed.get(&topic).is_some_and(|at| at.elapsed() < NEW_LEADERS_TIMEOUT);
            }
            Line::Brokers { any: true } => self.brokers_gone = None,
            Line::Brokers { any: false } => {
                self.brokers_gone.get_or_insert_with(Instant::now);
            }
            Line::OutOfRange(partition) => {
                self.told_out_of_range = Some(Instant::now());
                self.out_of_range.push(partition);
            }
        }
    }

    /// The id of a topic as the client that reads it knows it. `None`: it reads nothing of it.
    pub(super) fn id(&self, topic: &str) -> Option<TopicId> {
        let is_read = self.assigned.iter().any(|partition| &*partition.topic == topic);
        self.ids.get(topic).filter(|_| is_read).cloned()
    }

    /// Why only another client can go on; `None`: this one can.
    pub(super) fn stuck(&self, now: Instant) -> Option<&'static str> {
        if self.is_stuck {
            return Some("a topic was made again and this client cannot follow its leaders");
        }
        let gone = self.brokers_gone.is_some_and(|since| now.duration_since(since) >= NO_BROKERS_TIMEOUT);
        gone.then_some("this client was told that there are no brokers, and has asked none since")
    }

    /// Forgets all that another client knew.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { is_gauge_raised: self.is_gauge_raised, ..Self::default() };
    }

    /// Forgets partitions that went.
    pub(super) fn forget(&mut self, partitions: &[PartitionId]) {
        for partition in partitions {
            self.assigned.remove(partition);
            self.stopped.remove(partition);
        }
        self.restarts.retain(|restart| !partitions.contains(&restart.partition));
        self.out_of_range.retain(|found| !partitions.contains(&found.partition));
        let assigned = &self.assigned;
        self.ids.retain(|topic, _| assigned.iter().any(|partition| *partition.topic == **topic));
    }

    /// Partitions that are assigned and must not be read.
    pub(super) fn stopped(&self) -> impl Iterator<Item = &PartitionId> {
        self.stopped.keys()
    }

    /// Asks for the start of a partition again, a little later.
    pub(super) fn start_later(&mut self, partition: PartitionId, is_recreated: bool) {
        let now = Instant::now();
        self.restarts.push(Restart {
            partition,
            drained: None,
            drain_deadline: now,
            next_try: now + RETRY_INTERVAL,
            cause: Cause { is_recreated, ..Cause::default() },
        });
    }
}

impl MemberContext {
    pub(super) fn reading(&self) -> MutexGuard<'_, Reading> {
        locked(&self.reading)
    }

    /// Takes partitions out of reading that the client's log lines tell of. To be called before a
    /// record is handed out.
    pub(super) fn follow_lines(&self) {
        let (told, out_of_range) = {
            let reading = &mut *self.reading();
            if reading.told.is_empty() && reading.out_of_range.is_empty() {
                return;
            }
            let told = std::mem::take(&mut reading.told);
            // What was lost with an older topic hinders nobody from reading this one.
            let is_changed = |partition: &PartitionId| told.get(&*partition.topic).copied().unwrap_or_default();
            let again: Vec<_> = reading.stopped.extract_if(|partition, _| is_changed(partition)).collect();
            for (partition, _) in again {
                reading.start_later(partition, true);
            }
            let told: Vec<_> =
                told.into_keys().filter_map(|topic| reading.ids.get(&topic).cloned().map(|id| (topic, id))).collect();
            (told, std::mem::take(&mut reading.out_of_range))
        };
        let owned = self.ownership.partitions();
        let mut changed = Vec::new();
        for (topic, id) in told {
            for partition in owned.iter().filter(|partition| *partition.topic == *topic) {
                if self.topics_read.is_other(partition, &id) {
                    changed.push((partition.clone(), None));
                }
            }
        }
        for found in out_of_range {
            if owned.contains(&found.partition) && !changed.iter().any(|(other, _)| *other == found.partition) {
                changed.push((found.partition.clone(), Some(found)));
            }
        }
        self.restart(changed);
    }

    /// Stops reading these and has the stage drain them.
    fn restart(&self, partitions: Vec<(PartitionId, Option<OutOfRange>)>) {
        for (partition, out_of_range) in partitions {
            self.ownership.stop_reading(&partition);
            let (guard, drained) = DrainGuard::new();
            self.send(MemberEvent::Revoking { partitions: vec![partition.clone()], guard });
            let now = Instant::now();
            self.reading().restarts.push(Restart {
                partition,
                drained: Some(drained),
                drain_deadline: now + self.revoke_patience,
                next_try: now,
                cause: Cause { is_recreated: out_of_range.is_none(), out_of_range },
            });
        }
    }

    /// Moves on what is being read anew, and says from time to time what is stopped. Asks the
    /// brokers where something is due, and otherwise does not block.
    pub(super) fn move_restarts(&self, consumer: &BaseConsumer<Callbacks>) {
        let restarts = {
            let reading = &mut *self.reading();
            if reading.restarts.is_empty() && reading.stopped.is_empty() && !reading.is_gauge_raised {
                return;
            }
            std::mem::take(&mut reading.restarts)
        };
        let now = Instant::now();
        for mut restart in restarts {
            if let Some(drained) = &restart.drained {
                if matches!(drained.try_recv(), Err(TryRecvError::Empty)) && now < restart.drain_deadline {
                    self.reading().restarts.push(restart);
                    continue;
                }
                self.ownership.give_away(std::slice::from_ref(&restart.partition), &|| self.heartbeat.beat());
                restart.drained = None;
            }
            if now < restart.next_try {
                self.reading().restarts.push(restart);
                continue;
            }
            if let Err(error) = self.start_again(consumer, &restart) {
                let passes = error.class() == Class::Retry || matches!(error, FlowError::UnknownTopic { .. });
                if !passes {
                    self.send(MemberEvent::Failed(error));
                    return;
                }
                warn!(
                    group = self.group,
                    partition = %restart.partition,
                    code = error.code(),
                    %error,
                    "cannot tell where to start, trying again"
                );
                restart.next_try = Instant::now() + RETRY_INTERVAL;
                self.reading().restarts.push(restart);
            }
        }
        self.tell_stopped();
    }

    fn start_again(&self, consumer: &BaseConsumer<Callbacks>, restart: &Restart) -> Result<(), FlowError> {
        let partition = &restart.partition;
        let asked = self.ask(consumer, std::slice::from_ref(partition), &restart.cause)?;
        let Some(begin) = asked.into_iter().next() else { return Ok(()) };
        let begin = match begin {
            Err(error @ FlowError::OffsetsLost { .. }) => {
                self.stop(partition.clone(), error);
                return self.fail_if_all_stopped();
            }
            begin => begin?,
        };
        let doing = "reading a partition anew";
        let mut started = TopicPartitionList::new();
        started
            .add_partition_offset(&partition.topic, partition.partition, Offset::Offset(begin.start.offset()))
            .and_then(|()| consumer.incremental_unassign(&partition_list([partition])))
            .and_then(|()| consumer.incremental_assign(&started))
            .map_err(|error| flow_error(doing, &error))?;
        let assignment = self.gain(partition.clone(), begin);
        self.send(MemberEvent::Assigned(vec![assignment]));
        Ok(())
    }

    /// Starts an epoch for a partition that is read from now on.
    pub(super) fn gain(&self, partition: PartitionId, begin: Begin) -> Assignment {
        if let Start::Again { offset, why } = begin.start {
            let was = begin.committed.as_ref().map(|committed| committed.offset);
            warn!(
                group = self.group,
                %partition,
                why = why.as_str(),
                was,
                from = offset,
                topic_id = begin.topic_id.as_ref().map(tracing::field::display),
                "the log is not as it was left: it is read from its beginning"
            );
            Counter::LogRestarts.increment(&[&self.group, why.as_str()]);
        }
        // What was committed in another log is to be committed again, and says nothing about who
        // died with this one.
        let is_known = matches!(begin.start, Start::Known(_));
        let committed = begin.committed.filter(|_| is_known).map(|committed| committed.mark);
        self.topics_read.set(&partition, begin.topic_id);
        let epoch = self.ownership.gain(std::slice::from_ref(&partition)).into_iter().next().unwrap_or_default();
        self.reassigned.store(true, Ordering::Release);
        Assignment { partition, epoch, start: begin.start.offset(), end: begin.end, committed }
    }

    /// Leaves a partition unread: nobody can know where to start.
    pub(super) fn stop(&self, partition: PartitionId, error: FlowError) {
        error!(group = self.group, %partition, code = error.code(), %error, "the partition is not read; the others are");
        let mut reading = self.reading();
        reading.told_stopped.get_or_insert_with(Instant::now);
        reading.stopped.insert(partition, error);
        self.reassigned.store(true, Ordering::Release);
    }

    /// Fails when nothing is left to read, and nothing may become so.
    pub(super) fn fail_if_all_stopped(&self) -> Result<(), FlowError> {
        let reading = self.reading();
        let is_idle = reading.restarts.is_empty() && self.ownership.partitions().is_empty();
        match reading.stopped.values().next() {
            Some(FlowError::OffsetsLost { group, place, detail }) if is_idle => {
                Err(FlowError::OffsetsLost { group: group.clone(), place: place.clone(), detail: detail.clone() })
            }
            _ => Ok(()),
        }
    }

    fn tell_stopped(&self) {
        let mut reading = self.reading();
        Gauge::LogPartitionsStopped.set(reading.stopped.len() as f64, &[&self.group]);
        reading.is_gauge_raised = !reading.stopped.is_empty();
        if reading.stopped.is_empty() || reading.told_stopped.is_some_and(|at| at.elapsed() < STOPPED_LOG_INTERVAL) {
            return;
        }
        reading.told_stopped = Some(Instant::now());
        for (partition, error) in &reading.stopped {
            error!(group = self.group, %partition, code = error.code(), %error, "the partition is still not read");
        }
    }
}

#[cfg(test)]
mod tests;
