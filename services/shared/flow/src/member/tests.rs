use super::*;

#[test]
fn intake_closes_at_the_limit_and_opens_below_half_of_it() {
    let intake = Intake::new(4, 1_000);
    intake.take(4, 40);
    assert!(!intake.is_open());
    intake.release(1, 10);
    assert!(!intake.is_open(), "three of four: still closed");
    intake.release(1, 10);
    assert!(intake.is_open());
}

#[test]
fn bytes_close_the_intake_as_records_do() {
    let intake = Intake::new(100, 1_000);
    intake.take(1, 1_500);
    assert!(!intake.is_open());
    intake.release(1, 1_500);
    assert!(intake.is_open());
    assert_eq!(intake.holding(), (0, 0));
}

#[tokio::test]
async fn a_held_intake_wakes_its_waiter_when_it_is_let_go() {
    let intake = Intake::new(1, 1);
    intake.hold(true);
    let waiter = tokio::spawn({
        let intake = Arc::clone(&intake);
        async move { intake.opened().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiter.is_finished());
    intake.hold(false);
    assert!(waiter.await.is_ok());
}

#[test]
fn a_dropped_guard_releases_whoever_waits_for_the_drain() {
    let (guard, drained) = DrainGuard::new();
    assert_eq!(drained.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty));
    drop(guard);
    assert_eq!(drained.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
}

#[test]
fn the_intake_stays_closed_until_the_last_suspension_ends() {
    let intake = Intake::new(4, 1_000);
    let (first, second) = (intake.suspend(), intake.suspend());
    drop(first);
    assert!(!intake.is_open());
    drop(second);
    assert!(intake.is_open());
}

#[test]
fn a_start_without_a_committed_offset_needs_a_log_that_starts_at_0() {
    let partition = PartitionId { topic: "work.gpu".into(), partition: 1 };
    assert_eq!(start_offset("g", &partition, None, 0).ok(), Some(0));
    assert_eq!(start_offset("g", &partition, Some(7), 5).ok(), Some(7));
    for (committed, low) in [(None, 3), (Some(2), 3)] {
        assert_eq!(start_offset("g", &partition, committed, low).map_err(|error| error.code()), Err("offsets_lost"));
    }
}
