//! A model test of what makes the stage exactly-once: the owned partitions against a log that assigns, revokes, commits
//! and aborts in any order, with work that ends early, late, or after its partition went.
//!
//! The log here is what the real ones promise to be: a commit of a part whose epoch is over is left out, the rest is
//! written whole. What must hold then is the stage's part of the bargain.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use tokio::time::Instant;

use super::partitions::Partitions;
use super::processor::Delivery;
use super::tracker::TransactionLimit;
use crate::member::{Assignment, Epoch, Mark, Transaction};
use crate::record::{Headers, Output, PartitionId, Record};

const PARTITIONS: i32 = 2;
const RECORDS: i64 = 6;

/// What may happen next. Indices are taken modulo what there is.
#[derive(Clone, Debug)]
enum Event {
    /// The log gives the partition to this member, anew if it had it.
    Assign(i32),
    /// The partition goes; the member has drained or not.
    Remove(i32),
    /// The epoch ends in the log, and the member has not heard of it yet.
    EndEpoch(i32),
    Read(i32),
    Finish(usize),
    Lend(usize),
    Commit,
    Abort,
    /// A process dies: everything in memory is gone.
    Crash,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let partition = 0..PARTITIONS;
    let event = prop_oneof![
        3 => partition.clone().prop_map(Event::Assign),
        1 => partition.clone().prop_map(Event::Remove),
        1 => partition.clone().prop_map(Event::EndEpoch),
        8 => partition.prop_map(Event::Read),
        8 => any::<usize>().prop_map(Event::Finish),
        4 => (1..4_usize).prop_map(Event::Lend),
        4 => Just(Event::Commit),
        2 => Just(Event::Abort),
        1 => Just(Event::Crash),
    ];
    prop::collection::vec(event, 0..150)
}

fn id(partition: i32) -> PartitionId {
    PartitionId { topic: "t".into(), partition }
}

/// Offsets with gaps: 0, 2, 4, …
fn record(partition: i32, index: i64) -> Record {
    Record {
        topic: "t".into(),
        partition,
        offset: index * 2,
        timestamp_ms: 0,
        key: None,
        value: None,
        headers: Headers::new(),
    }
}

/// The log: who owns what, what is committed, what was written.
#[derive(Default)]
struct Broker {
    epochs: HashMap<PartitionId, Epoch>,
    next_epoch: Epoch,
    committed: HashMap<PartitionId, i64>,
    written: Vec<(i32, i64)>,
}

impl Broker {
    fn commit(&mut self, transaction: &Transaction) -> Vec<PartitionId> {
        let mut left_out = Vec::new();
        for part in &transaction.parts {
            if self.epochs.get(&part.partition) != Some(&part.epoch) {
                left_out.push(part.partition.clone());
                continue;
            }
            self.committed.insert(part.partition.clone(), part.next_offset);
            for output in part.outputs.iter().flat_map(|outputs| outputs.iter()) {
                let offset = String::from_utf8(output.value.clone().unwrap()).unwrap().parse().unwrap();
                self.written.push((part.partition.partition, offset));
            }
        }
        left_out
    }
}

/// The member: the code under test, and the position at which the log's client reads on.
#[derive(Default)]
struct Member {
    partitions: Partitions,
    reading: HashMap<PartitionId, (Epoch, i64)>,
    running: Vec<(Arc<Delivery>, Epoch)>,
    lent: Option<Transaction>,
}

fn step(broker: &mut Broker, member: &mut Member, event: &Event) {
    match *event {
        Event::Assign(partition) => {
            let id = id(partition);
            member.partitions.remove(&id);
            broker.next_epoch += 1;
            let epoch = broker.next_epoch;
            broker.epochs.insert(id.clone(), epoch);
            let committed = broker.committed.get(&id).copied();
            let start = committed.unwrap_or(0);
            member.reading.insert(id.clone(), (epoch, start));
            let committed = committed.map(|_| Mark::Closed);
            member.partitions.assign(Assignment { partition: id, epoch, start, end: 2 * RECORDS, committed });
        }
        Event::Remove(partition) => {
            broker.epochs.remove(&id(partition));
            member.reading.remove(&id(partition));
            member.partitions.remove(&id(partition));
        }
        Event::EndEpoch(partition) => {
            broker.epochs.remove(&id(partition));
        }
        Event::Read(partition) => {
            let Some((epoch, next)) = member.reading.get_mut(&id(partition)) else { return };
            let index = (*next + 1) / 2;
            if index >= RECORDS {
                return;
            }
            *next = index * 2 + 1;
            if let Some(delivery) = member.partitions.see(record(partition, index), *epoch, Instant::now()) {
                member.partitions.start(&id(partition), *epoch);
                member.running.push((delivery, *epoch));
            }
        }
        Event::Finish(index) => {
            if member.running.is_empty() {
                return;
            }
            let (delivery, epoch) = member.running.swap_remove(index % member.running.len());
            let output = Output::to("out").value(delivery.record.offset.to_string());
            if member.partitions.end(&delivery.record.partition_id(), epoch) {
                member.partitions.finish(&delivery, epoch, vec![output], false);
            }
        }
        Event::Lend(records) => {
            if member.lent.is_none() {
                member.lent = member.partitions.lend(TransactionLimit { records, bytes: usize::MAX });
            }
        }
        Event::Commit => {
            let Some(transaction) = member.lent.take() else { return };
            let left_out = broker.commit(&transaction);
            let lent: Vec<_> = transaction.parts.iter().map(|part| (part.partition.clone(), part.epoch)).collect();
            member.partitions.confirm(&lent, &left_out);
        }
        Event::Abort => {
            let Some(transaction) = member.lent.take() else { return };
            let lent: Vec<_> = transaction.parts.iter().map(|part| (part.partition.clone(), part.epoch)).collect();
            member.partitions.abort(&lent);
        }
        Event::Crash => {
            *member = Member::default();
            broker.epochs.clear();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_record_is_written_once_and_in_order(events in events()) {
        let (mut broker, mut member) = (Broker::default(), Member::default());
        for event in events {
            step(&mut broker, &mut member, &event);
            for partition in 0..PARTITIONS {
                let written: Vec<i64> =
                    broker.written.iter().filter(|(of, _)| *of == partition).map(|(_, offset)| *offset).collect();
                let expected: Vec<i64> = (0..written.len() as i64).map(|index| index * 2).collect();
                prop_assert_eq!(&written, &expected, "no gap, no repetition, no other order");
                let committed = broker.committed.get(&id(partition)).copied().unwrap_or(0);
                let last = written.last().map_or(0, |offset| offset + 1);
                prop_assert_eq!(committed, last, "outputs and offset move together");
            }
        }
        // Left alone, everything gets done: nothing was lost on the way.
        step(&mut broker, &mut member, &Event::Abort);
        for partition in 0..PARTITIONS {
            step(&mut broker, &mut member, &Event::Assign(partition));
            for _ in 0..RECORDS {
                step(&mut broker, &mut member, &Event::Read(partition));
            }
        }
        while !member.running.is_empty() {
            step(&mut broker, &mut member, &Event::Finish(0));
        }
        while { step(&mut broker, &mut member, &Event::Lend(3)); member.lent.is_some() } {
            step(&mut broker, &mut member, &Event::Commit);
        }
        prop_assert_eq!(broker.written.len() as i64, i64::from(PARTITIONS) * RECORDS);
    }
}
