#![allow(clippy::unwrap_used)]

use tokio_util::sync::CancellationToken;

use super::*;
use crate::member::OwnerMark;
use crate::stage::live::Live;
use crate::stage::processor::Delivery;
use crate::values::{Headers, Output, Record};

const ALL: TransactionLimit = TransactionLimit { records: usize::MAX, bytes: usize::MAX };
const EPOCH: Epoch = 1;

fn id(partition: i32) -> PartitionId {
    PartitionId { topic: "t".into(), partition }
}

fn partitions(marks: &[OwnerMark]) -> Partitions<Live> {
    let mut partitions = Partitions::new(8, Rules::default());
    for (partition, mark) in marks.iter().enumerate() {
        let partition = id(partition as i32);
        partitions.assign(Assignment { partition, epoch: EPOCH, start: 0, end: 100, committed: Some(*mark) });
    }
    partitions
}

fn record(partition: i32, offset: i64) -> Record {
    Record { topic: "t".into(), partition, offset, timestamp_ms: 0, key: None, value: None, headers: Headers::new() }
}

fn delivery(partition: i32, offset: i64) -> Arc<Delivery> {
    Arc::new(Delivery::new(record(partition, offset), CancellationToken::new()))
}

/// Reads records of a partition; gives the offsets of those that may start at once.
fn read(partitions: &mut Partitions<Live>, partition: i32, offsets: std::ops::Range<i64>) -> Vec<i64> {
    let read = offsets.filter_map(|offset| {
        match partitions.start_or_park(&id(partition), delivery(partition, offset), EPOCH, Instant::now()) {
            Read::Start(delivery) => Some(delivery.record.offset),
            Read::Parked => None,
            Read::Dropped => panic!("it is owned, and read once"),
        }
    });
    read.collect()
}

fn unpark(partitions: &mut Partitions<Live>) -> Vec<(i32, i64)> {
    let mut started: Vec<_> = partitions
        .unpark(&|_| false)
        .into_iter()
        .map(|(delivery, epoch)| {
            partitions.start(&delivery.record.partition_id(), epoch, &delivery);
            (delivery.record.partition, delivery.record.offset)
        })
        .collect();
    started.sort_unstable();
    started
}

fn finish(partitions: &mut Partitions<Live>, partition: i32, offset: i64) {
    partitions.end(&id(partition), EPOCH, &delivery(partition, offset));
    let none: Arc<[Output]> = Arc::default();
    partitions.finish(&id(partition), EPOCH, &delivery(partition, offset), none, false).unwrap();
}

/// Commits what there is: partition, offset and mark of each part.
fn commit(partitions: &mut Partitions<Live>) -> Vec<(i32, i64, OwnerMark)> {
    let Some(transaction) = partitions.begin(ALL) else { return Vec::new() };
    let begun: Vec<_> = transaction.parts.iter().map(|part| (part.partition.clone(), part.epoch)).collect();
    partitions.confirm(begun, &[]);
    let mut parts: Vec<_> =
        transaction.parts.iter().map(|part| (part.partition.partition, part.next_offset, part.mark)).collect();
    parts.sort_unstable_by_key(|(partition, ..)| *partition);
    parts
}

#[test]
fn records_wait_until_the_log_holds_that_they_have_an_owner() {
    let mut partitions = partitions(&[OwnerMark::Released]);
    assert_eq!(read(&mut partitions, 0, 0..3), [0_i64; 0]);
    assert_eq!(unpark(&mut partitions), []);
    assert_eq!(commit(&mut partitions), [(0, 0, OwnerMark::Owned)]);
    assert_eq!(unpark(&mut partitions), [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(read(&mut partitions, 0, 3..5), [3, 4]);
}

#[test]
fn suspects_run_one_at_a_time_over_all_partitions() {
    let suspect = OwnerMark::Quarantine { records: 2, until: 100 };
    let mut partitions = partitions(&[suspect, suspect, OwnerMark::Released]);
    for partition in 0..3 {
        read(&mut partitions, partition, 0..3);
    }
    let first = unpark(&mut partitions);
    assert_eq!(first.len(), 1, "{first:?}");
    let (partition, offset) = first[0];
    assert_eq!(commit(&mut partitions), [(2, 0, OwnerMark::Owned)], "what the log holds is not written again");
    assert_eq!(unpark(&mut partitions), [(2, 0), (2, 1), (2, 2)]);
    finish(&mut partitions, partition, offset);
    assert_eq!(unpark(&mut partitions), [], "not before its end is committed: until then it is the one to blame");
    assert_eq!(commit(&mut partitions), [(partition, 1, OwnerMark::Quarantine { records: 1, until: 100 })]);
    let second = unpark(&mut partitions);
    assert_eq!(second.len(), 1, "{second:?}");
    // A partition that goes leaves the turn to another, once its suspect is out of process.
    let (partition, offset) = second[0];
    partitions.remove(&id(partition));
    assert_eq!(unpark(&mut partitions), [], "it may still kill the process");
    assert!(!partitions.end(&id(partition), EPOCH, &delivery(partition, offset)));
    assert_eq!(unpark(&mut partitions).len(), 1);
}

/// However many suspects one topic has, every second one is of the other topic; and within a topic,
/// every second one is of the other partition.
#[test]
fn suspects_of_topics_and_partitions_take_turns() {
    let mut partitions = Partitions::<Live>::new(8, Rules::default());
    let of = |topic: &str, partition| PartitionId { topic: topic.into(), partition };
    let mark = Some(OwnerMark::Quarantine { records: 8, until: 100 });
    for (id, count) in [(of("flood", 0), 8), (of("flood", 1), 8), (of("quiet", 0), 3), (of("quiet", 1), 1)] {
        let partition = id.clone();
        partitions.assign(Assignment { partition, epoch: EPOCH, start: 0, end: 100, committed: mark });
        for offset in 0..count {
            let record = Record { topic: id.topic.clone(), ..record(id.partition, offset) };
            let record = Arc::new(Delivery::new(record, CancellationToken::new()));
            partitions.start_or_park(&id, record, EPOCH, Instant::now());
        }
    }
    let mut ran = Vec::new();
    while let Some((delivery, epoch)) = partitions.unpark(&|_| false).pop() {
        let id = delivery.record.partition_id();
        assert!(partitions.start(&id, epoch, &delivery), "it runs alone");
        partitions.end(&id, epoch, &delivery);
        partitions.finish(&id, epoch, &delivery, Arc::default(), false).unwrap();
        commit(&mut partitions);
        ran.push(id.to_string());
    }
    let first: Vec<&str> = ran.iter().take(8).map(String::as_str).collect();
    let turns = ["flood/0", "quiet/0", "flood/1", "quiet/1", "flood/0", "quiet/0", "flood/1", "quiet/0"];
    assert_eq!((first, ran.len()), (turns.to_vec(), 20));
}

#[test]
fn the_last_commit_of_an_idle_partition_releases_it() {
    let mut partitions = partitions(&[OwnerMark::Released]);
    read(&mut partitions, 0, 0..3);
    commit(&mut partitions);
    unpark(&mut partitions);
    partitions.leave(&[id(0)]);
    finish(&mut partitions, 0, 0);
    assert_eq!(commit(&mut partitions), [(0, 1, OwnerMark::Owned)], "two may still kill");
    finish(&mut partitions, 0, 1);
    finish(&mut partitions, 0, 2);
    assert_eq!(commit(&mut partitions), [(0, 3, OwnerMark::Released)]);
    assert!(!partitions.any_ready([id(0)].iter()));
}

#[test]
fn a_partition_that_goes_at_once_is_released() {
    let mut partitions = partitions(&[OwnerMark::Quarantine { records: 2, until: 100 }]);
    read(&mut partitions, 0, 0..2);
    unpark(&mut partitions);
    partitions.leave(&[id(0)]);
    assert!(!partitions.any_ready([id(0)].iter()), "it waits");
    partitions.leave_now(&[id(0)]);
    assert!(partitions.any_ready([id(0)].iter()));
    assert_eq!(commit(&mut partitions), [(0, 0, OwnerMark::Released)]);
    assert!(!partitions.any_ready([id(0)].iter()));
}
