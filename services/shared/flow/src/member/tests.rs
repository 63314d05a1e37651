use super::*;

#[test]
fn a_dropped_guard_releases_whoever_waits_for_the_drain() {
    let (guard, drained) = DrainGuard::new();
    assert_eq!(drained.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty));
    drop(guard);
    assert_eq!(drained.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
}

/// A start without a committed offset needs a log that starts at 0.
#[test]
fn start_without_an_offset_needs_a_log_from_0() {
    let partition = PartitionId { topic: "work.gpu".into(), partition: 1 };
    assert_eq!(start_offset("g", &partition, None, 0).ok(), Some(0));
    assert_eq!(start_offset("g", &partition, Some(7), 5).ok(), Some(7));
    for (committed, low) in [(None, 3), (Some(2), 3)] {
        assert_eq!(start_offset("g", &partition, committed, low).map_err(|error| error.code()), Err("offsets_lost"));
    }
}
