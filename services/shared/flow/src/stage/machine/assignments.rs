//! Partitions come and go: assigned, revoked and drained, lost, or given back when the stage stops.

use std::time::Duration;

use tokio::time::Instant;

use super::drain::{Drain, Next};
use super::messages::Command;
use super::payload::Payload;
use super::rules::Rule;
use super::{Commands, Machine};
use crate::member::Assignment;
use crate::values::PartitionId;

/// How long the stage waits for its last commit after the deadline of its last drain.
const LAST_COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

impl<P: Payload> Machine<P> {
    pub(super) fn on_assigned(&mut self, assignments: Vec<Assignment>, now: Instant, commands: &mut Commands<P>) {
        for assignment in assignments {
            // It may come back while a commit holds up the drain with which it went.
            if !self.rules.is_broken(Rule::DrainExcludesReturned) {
                self.drains.iter_mut().for_each(|drain| drain.exclude(&assignment.partition));
            }
            self.forget(&assignment.partition, commands);
            commands.push(Command::Want(assignment.partition.clone()));
            self.partitions.assign(assignment);
        }
        self.share_among_topics(commands);
        self.schedule.commit_soon(now);
    }

    pub(super) fn on_revoking(
        &mut self,
        partitions: Vec<PartitionId>,
        guard: P::Guard,
        now: Instant,
        commands: &mut Commands<P>,
    ) {
        if self.rules.is_broken(Rule::EpochCheck) {
            return commands.push(Command::AcknowledgeRevoke(guard));
        }
        if self.rules.is_broken(Rule::DrainBeforeCommit) {
            self.partitions.mark_finished(&partitions);
        }
        self.queues.forget(|partition| partitions.contains(partition));
        if !self.rules.is_broken(Rule::ReleasedWhenDrained) {
            self.leave(&partitions, commands);
        }
        self.drains.push(Drain::new(partitions, now + self.drain_budget, Some(guard)));
    }

    pub(super) fn on_lost(&mut self, partitions: &[PartitionId], commands: &mut Commands<P>) {
        if self.rules.is_broken(Rule::EpochCheck) {
            return;
        }
        self.queues.forget(|partition| partitions.contains(partition));
        for partition in partitions {
            self.forget(partition, commands);
        }
        self.share_among_topics(commands);
    }

    /// Whether the last commit ended the log will tell the next owners: the stage does not wait for
    /// it for ever.
    pub(super) fn on_timer(&mut self, now: Instant, commands: &mut Commands<P>) {
        self.drains.iter_mut().for_each(|drain| drain.tick(now));
        let is_too_late = |drain: &Drain<P::Guard>| now >= drain.deadline() + LAST_COMMIT_TIMEOUT;
        let woken = if self.rules.is_broken(Rule::PauseEnds) { Vec::new() } else { self.breakers.wake(now) };
        for topic in woken {
            self.limit(&topic);
            commands.push(Command::ProbeTopic(topic));
        }
        self.timed_out = self.stopping && self.transaction.is_some() && self.drains.iter().all(is_too_late);
    }

    /// Begins the last drain.
    pub(super) fn on_stop(&mut self, now: Instant, commands: &mut Commands<P>) {
        self.stopping = true;
        commands.push(Command::CloseIntake);
        self.queues.forget(|_| true);
        let owned: Vec<PartitionId> = self.partitions.ids().cloned().collect();
        self.leave(&owned, commands);
        self.drains.push(Drain::new(owned, now + self.drain_budget, None));
    }

    /// Moves the drains on; `true` when the last drain of all is over.
    pub(super) fn move_drains(&mut self, now: Instant, commands: &mut Commands<P>) -> bool {
        if self.transaction.is_some() {
            return false;
        }
        let mut left = Vec::new();
        for mut drain in std::mem::take(&mut self.drains) {
            match drain.next(&mut self.partitions) {
                Next::Wait => {}
                Next::Commit => self.schedule.commit_now(now),
                Next::LastCommit => self.schedule.commit_without_pause(now),
                Next::Over => {
                    self.end_drain(drain, commands);
                    continue;
                }
            }
            left.push(drain);
        }
        self.drains = left;
        self.stopping && self.drains.is_empty()
    }

    fn end_drain(&mut self, drain: Drain<P::Guard>, commands: &mut Commands<P>) {
        let (partitions, guard) = drain.end();
        for partition in &partitions {
            self.forget(partition, commands);
        }
        self.share_among_topics(commands);
        commands.extend(guard.map(Command::AcknowledgeRevoke));
    }

    fn leave(&mut self, partitions: &[PartitionId], commands: &mut Commands<P>) {
        self.partitions.leave(partitions);
        commands.extend(partitions.iter().cloned().map(Command::StopWaiting));
    }

    pub(super) fn forget(&mut self, partition: &PartitionId, commands: &mut Commands<P>) {
        if let Some(load) = self.partitions.remove(partition) {
            commands.push(Command::Unwant(partition.clone()));
            commands.push(Command::Release(vec![(partition.clone(), load)]));
        }
        self.schedule.forget_finished();
    }

    /// Tells everybody who shares by topics how many topics there are, and forgets the pauses of
    /// topics that are owned no longer.
    pub(super) fn share_among_topics(&mut self, commands: &mut Commands<P>) {
        let topics = self.partitions.topics();
        self.queues.share_among(topics.len());
        commands.push(Command::ShareAmong(topics.len()));
        for topic in self.breakers.keep(|topic| topics.contains(topic)) {
            self.queues.limit(&topic, None);
            commands.push(Command::ResumeTopic(topic));
        }
    }
}
