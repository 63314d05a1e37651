use super::*;
use crate::values::Subscription;

fn config() -> StageConfig {
    StageConfig {
        record_retries: 2,
        max_attempts: 3,
        backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(2),
        ..StageConfig::new("s", "g", Subscription::topics(["t"]))
    }
}

fn tries(of_record: u32, deliveries: u32) -> Tries {
    Tries { of_record, deliveries, of_dependency: 0 }
}

#[test]
fn a_record_is_tried_in_place_then_requeued_then_rejected() {
    let error = StageError::record("flaky", "it failed");
    let step = |tries| next_step(&error, tries, &config(), 0.0);
    assert!(matches!(step(tries(0, 0)), Step::Again { scope: Scope::Record, .. }));
    assert!(matches!(step(tries(1, 0)), Step::Again { scope: Scope::Record, .. }));
    assert_eq!(step(tries(2, 0)), Step::Reenqueue);
    assert_eq!(step(tries(2, 1)), Step::Reenqueue);
    assert!(matches!(step(tries(2, 2)), Step::Reject(Rejection { code: "flaky", .. })));
    assert!(matches!(step(tries(2, u32::MAX)), Step::Reject(_)), "a forged header does not overflow");
}

#[test]
fn a_dependency_is_waited_for_without_limit() {
    let error = StageError::dependency("s3_away", "connection refused");
    let tries = Tries { of_record: 99, of_dependency: 1_000_000, deliveries: 99 };
    let step = next_step(&error, tries, &config(), 0.0);
    assert_eq!(step, Step::Again { wait: Duration::from_secs(2), scope: Scope::Dependency });
}

#[test]
fn rejections_and_fatal_errors_are_not_tried_again() {
    let rejection = Rejection::new("bad", "it is bad").of_tenant("acme");
    let step = next_step(&StageError::Reject(rejection.clone()), Tries::default(), &config(), 0.0);
    assert_eq!(step, Step::Reject(rejection));
    assert_eq!(next_step(&StageError::fatal("gone", "x"), Tries::default(), &config(), 0.0), Step::Stop);
}

#[test]
fn waits_double_up_to_the_longest_and_jitter_takes_up_to_half() {
    let config = config();
    let milliseconds = |tries, jitter| wait(tries, None, &config, jitter).as_millis();
    assert_eq!([0, 1, 2, 3, 9].map(|tries| milliseconds(tries, 0.0)), [100, 200, 400, 800, 2_000]);
    assert_eq!((milliseconds(0, 1.0), milliseconds(1, 0.5)), (50, 150));
}

#[test]
fn a_record_may_not_ask_for_more_than_the_longest_wait() {
    let asks = |scope| StageError::Retry {
        scope,
        code: "later",
        message: String::new(),
        after: Some(Duration::from_hours(24)),
    };
    let waits = |error| match next_step(&error, Tries::default(), &config(), 0.0) {
        Step::Again { wait, .. } => wait,
        other => panic!("{other:?}"),
    };
    assert_eq!(waits(asks(Scope::Record)), Duration::from_secs(2), "others wait behind it");
    assert_eq!(waits(asks(Scope::Dependency)), Duration::from_hours(24), "all wait for the same");
}

#[test]
fn what_the_error_asks_for_is_the_least() {
    assert_eq!(wait(0, Some(Duration::from_secs(7)), &config(), 1.0), Duration::from_secs(7));
    assert_eq!(wait(9, Some(Duration::from_millis(1)), &config(), 0.0), Duration::from_secs(2));
}
