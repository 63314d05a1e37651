use super::*;

/// Longer than any test may take.
const LONG: Duration = Duration::from_secs(600);

fn full() -> Arc<Intake> {
    let intake = Intake::new(2, usize::MAX);
    intake.take(&"t".into(), Load { records: 2, bytes: 0 });
    intake
}

#[test]
fn a_full_intake_is_waited_for_until_there_is_room() {
    let intake = full();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| wait_for_room(&intake, LONG, || false));
        assert!(!waiting.is_finished());
        intake.release([("t", Load { records: 2, bytes: 0 })]);
    });
    assert!(intake.admits("t"));
}

#[test]
fn what_does_not_pass_by_itself_soon_is_not_waited_for() {
    let intake = full();
    wait_for_room(&intake, Duration::from_millis(1), || false);
    wait_for_room(&intake, LONG, || true);
    intake.hold(true);
    wait_for_room(&intake, LONG, || false);
    intake.hold(false);
    let suspended = intake.suspend();
    wait_for_room(&intake, LONG, || false);
    drop(suspended);
    assert!(intake.is_merely_full());
}
