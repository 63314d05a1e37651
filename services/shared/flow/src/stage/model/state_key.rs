//! What tells one state of the model from another.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::broker::{PartitionCommit, partition_id};
use super::member::Committing;
use super::payload::Tiny;
use super::protocol::State;
use crate::error::Class;
use crate::member::Epoch;
use crate::stage::machine::{Event, Payload};
use crate::values::PartitionId;

impl State {
    pub(super) fn state_key(&self, into: &mut impl Hasher) {
        self.left.hash(into);
        for log in &self.logs {
            (&log.entries, log.committed, &log.written).hash(into);
            (log.mark, log.marked == log.assignments).hash(into);
        }
        for orphan in &self.orphans {
            for (part, assignment) in orphan {
                let log = &self.logs[part.partition.partition as usize];
                part_key(part, log.assignments - assignment, into);
            }
        }
        // Members are alike: which is which says nothing.
        let mut members: Vec<u64> = (0..self.members.len()).map(|member| self.member_key(member)).collect();
        members.sort_unstable();
        members.hash(into);
    }

    fn member_key(&self, number: usize) -> u64 {
        let member = &self.members[number];
        let age = |partition: &PartitionId, epoch: Epoch| {
            self.logs[partition.partition as usize].assignments - member.assignment(partition, epoch)
        };
        let mut hasher = DefaultHasher::new();
        let into = &mut hasher;
        self.logs.iter().for_each(|log| (log.owner == Some(number)).hash(into));
        (member.in_group, &member.reading, member.waiting, member.stopped, member.held).hash(into);
        for partition in 0..self.logs.len() {
            let id = partition_id(partition);
            member.ownership.epoch(&id).map(|epoch| age(&id, epoch)).hash(into);
        }
        member.events.iter().for_each(|event| event_key(event, &age, into));
        member.machine.state_key(&age, into);
        let running = member.running.iter();
        let mut running: Vec<_> = running
            .map(|work| (work.queue.state_key(&age), Tiny::offset(&work.record), work.refused, work.suspect))
            .collect();
        running.sort_unstable();
        running.hash(into);
        match &member.committing {
            None => 0.hash(into),
            Some(Committing::Open { parts, left_out }) => {
                (2, left_out).hash(into);
                for part in parts {
                    part_key(part, age(&part.partition, part.epoch), into);
                }
            }
            Some(Committing::Ended(Ok(left_out))) => (3, left_out).hash(into),
            Some(Committing::Ended(Err(class))) => (4, *class == Class::Reject).hash(into),
        }
        hasher.finish()
    }
}

fn part_key(part: &PartitionCommit, age: i64, into: &mut impl Hasher) {
    (part.partition.partition, age, part.next_offset, part.mark, &part.outputs).hash(into);
}

/// Of what the poll thread tells the stage.
fn event_key(event: &Event<Tiny>, age: &dyn Fn(&PartitionId, Epoch) -> i64, into: &mut impl Hasher) {
    match event {
        Event::Assigned(assignments) => {
            for assigned in assignments {
                (0, assigned.partition.partition, age(&assigned.partition, assigned.epoch)).hash(into);
                (assigned.start, assigned.end, assigned.committed).hash(into);
            }
        }
        Event::Record { record, epoch } => {
            let id = Tiny::partition(record);
            (1, id.partition, age(&id, *epoch), Tiny::offset(record)).hash(into);
        }
        Event::Revoking { guard, .. } => (2, guard).hash(into),
        Event::Lost(partitions) => (3, partitions).hash(into),
        Event::Processed { .. } | Event::Committed { .. } | Event::Aborted { .. } | Event::Timer | Event::Stop => {
            unreachable!("not from the poll thread")
        }
    }
}
