use super::*;
use crate::values::Headers;

fn id(partition: i32) -> PartitionId {
    PartitionId { topic: "t".into(), partition }
}

fn record(partition: i32) -> Record {
    let headers = Headers::new();
    Record { topic: "t".into(), partition, offset: 0, timestamp_ms: 0, key: None, value: None, headers }
}

fn deliveries() -> Deliveries {
    let mut deliveries = Deliveries::default();
    (0..2).for_each(|partition| deliveries.want(id(partition)));
    deliveries
}

/// Records of a partition that begins to leave are told to wait for nothing, and are still wanted.
#[test]
fn a_leaving_partition_stops_waits_and_wants_results() {
    let deliveries = deliveries();
    let (leaving, staying) = (deliveries.deliver(record(0), false), deliveries.deliver(record(1), false));
    deliveries.stop_waiting(&id(0));
    assert!(leaving.draining.is_cancelled() && !leaving.shutdown.is_cancelled());
    assert!(!staying.draining.is_cancelled());
}

/// A partition that is lost was never told that it would leave: its waits end all the same.
#[test]
fn a_partition_that_went_wants_no_results() {
    let mut deliveries = deliveries();
    let (gone, staying) = (deliveries.deliver(record(0), false), deliveries.deliver(record(1), false));
    deliveries.unwant(&id(0));
    assert!(gone.draining.is_cancelled() && gone.shutdown.is_cancelled());
    assert!(!staying.shutdown.is_cancelled());
}

#[test]
fn a_new_assignment_has_tokens_of_its_own() {
    let mut deliveries = deliveries();
    let earlier = deliveries.deliver(record(0), false);
    deliveries.unwant(&id(0));
    deliveries.want(id(0));
    assert!(earlier.shutdown.is_cancelled() && !deliveries.deliver(record(0), false).shutdown.is_cancelled());
}
