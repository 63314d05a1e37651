#![allow(clippy::unwrap_used)]

use super::*;
use crate::member::Mark;
use crate::record::Headers;

const ALL: TransactionLimit = TransactionLimit { records: usize::MAX, bytes: usize::MAX };
const EPOCH: Epoch = 1;

fn id(partition: i32) -> PartitionId {
    PartitionId { topic: "t".into(), partition }
}

fn partitions(marks: &[Mark]) -> Partitions {
    let mut partitions = Partitions::new(8);
    for (partition, mark) in marks.iter().enumerate() {
        let partition = id(partition as i32);
        partitions.assign(Assignment { partition, epoch: EPOCH, start: 0, end: 100, committed: Some(*mark) });
    }
    partitions
}

fn record(partition: i32, offset: i64) -> Record {
    Record { topic: "t".into(), partition, offset, timestamp_ms: 0, key: None, value: None, headers: Headers::new() }
}

/// Reads records of a partition; gives the offsets of those that may start at once.
fn read(partitions: &mut Partitions, partition: i32, offsets: std::ops::Range<i64>) -> Vec<i64> {
    let read = offsets.filter_map(|offset| {
        let delivery = partitions.see(record(partition, offset), EPOCH, Instant::now()).unwrap();
        partitions.hold_back(delivery, EPOCH).map(|delivery| delivery.record.offset)
    });
    read.collect()
}

fn admit(partitions: &mut Partitions) -> Vec<(i32, i64)> {
    let mut admitted: Vec<_> = partitions
        .admit()
        .into_iter()
        .map(|(delivery, epoch)| {
            partitions.start(&delivery.record.partition_id(), epoch);
            (delivery.record.partition, delivery.record.offset)
        })
        .collect();
    admitted.sort_unstable();
    admitted
}

fn finish(partitions: &mut Partitions, partition: i32, offset: i64) {
    partitions.end(&id(partition), EPOCH);
    let slot = Delivery::new(record(partition, offset), CancellationToken::new());
    partitions.finish(&slot, EPOCH, Vec::new(), false).unwrap();
}

/// Commits what there is: partition, offset and mark of each part.
fn commit(partitions: &mut Partitions) -> Vec<(i32, i64, Mark)> {
    let Some(transaction) = partitions.lend(ALL) else { return Vec::new() };
    let lent: Vec<_> = transaction.parts.iter().map(|part| (part.partition.clone(), part.epoch)).collect();
    partitions.confirm(&lent, &[]);
    let mut parts: Vec<_> =
        transaction.parts.iter().map(|part| (part.partition.partition, part.next_offset, part.mark)).collect();
    parts.sort_unstable_by_key(|(partition, ..)| *partition);
    parts
}

#[test]
fn records_wait_for_their_partition_to_be_opened_and_then_run_beside_each_other() {
    let mut partitions = partitions(&[Mark::Closed]);
    assert_eq!(read(&mut partitions, 0, 0..3), [0_i64; 0]);
    assert_eq!(admit(&mut partitions), []);
    assert_eq!(commit(&mut partitions), [(0, 0, Mark::Open)]);
    assert_eq!(admit(&mut partitions), [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(read(&mut partitions, 0, 3..5), [3, 4]);
}

#[test]
fn suspects_run_one_at_a_time_over_all_partitions_and_others_as_they_do() {
    let suspect = Mark::Careful { records: 2, until: 100 };
    let mut partitions = partitions(&[suspect, suspect, Mark::Closed]);
    for partition in 0..3 {
        read(&mut partitions, partition, 0..3);
    }
    let first = admit(&mut partitions);
    assert_eq!(first.len(), 1, "{first:?}");
    let (partition, offset) = first[0];
    assert_eq!(commit(&mut partitions), [(2, 0, Mark::Open)], "what the log holds is not written again");
    assert_eq!(admit(&mut partitions), [(2, 0), (2, 1), (2, 2)]);
    finish(&mut partitions, partition, offset);
    assert_eq!(admit(&mut partitions), [], "not before its end is committed: until then it is the one to blame");
    assert_eq!(commit(&mut partitions), [(partition, 1, Mark::Careful { records: 1, until: 100 })]);
    let second = admit(&mut partitions);
    assert_eq!(second.len(), 1, "{second:?}");
    // A partition that goes leaves the turn to another.
    partitions.remove(&id(second[0].0));
    assert_eq!(admit(&mut partitions).len(), 1);
}

#[test]
fn a_partition_is_closed_by_its_last_commit_once_nothing_is_in_process() {
    let mut partitions = partitions(&[Mark::Closed]);
    read(&mut partitions, 0, 0..3);
    commit(&mut partitions);
    admit(&mut partitions);
    partitions.leave(&[id(0)]);
    finish(&mut partitions, 0, 0);
    assert_eq!(commit(&mut partitions), [(0, 1, Mark::Open)], "two may still kill");
    finish(&mut partitions, 0, 1);
    finish(&mut partitions, 0, 2);
    assert_eq!(commit(&mut partitions), [(0, 3, Mark::Closed)]);
    assert!(!partitions.any_ready([id(0)].iter()));
}

#[test]
fn a_partition_that_cannot_wait_for_its_records_is_closed_all_the_same() {
    let mut partitions = partitions(&[Mark::Careful { records: 2, until: 100 }]);
    read(&mut partitions, 0, 0..2);
    admit(&mut partitions);
    partitions.leave(&[id(0)]);
    assert!(!partitions.any_ready([id(0)].iter()), "it waits");
    partitions.leave_now(&[id(0)]);
    assert!(partitions.any_ready([id(0)].iter()));
    assert_eq!(commit(&mut partitions), [(0, 0, Mark::Closed)]);
    assert!(!partitions.any_ready([id(0)].iter()));
}

#[test]
fn a_partition_that_leaves_tells_its_records_to_wait_for_nothing_and_still_wants_them() {
    let mut partitions = partitions(&[Mark::Open, Mark::Open]);
    let mut see = |partition| partitions.see(record(partition, 0), EPOCH, Instant::now()).unwrap();
    let (leaving, staying) = (see(0), see(1));
    partitions.leave([&id(0)]);
    assert!(leaving.draining.is_cancelled() && !leaving.shutdown.is_cancelled());
    assert!(!staying.draining.is_cancelled());
    // One that is lost was never told that it would leave.
    partitions.remove(&id(1));
    assert!(staying.draining.is_cancelled() && staying.shutdown.is_cancelled());
}
