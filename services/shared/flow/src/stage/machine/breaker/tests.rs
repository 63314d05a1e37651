use super::*;

fn breaker(window: usize, share: f64) -> Breaker {
    Breaker::new(Some(RejectBreaker { window, share }))
}

#[test]
fn it_does_not_trip_before_its_window_is_full() {
    let mut breaker = breaker(4, 0.5);
    assert_eq!([true, true, true].map(|rejected| breaker.note(rejected)), [None; 3]);
    assert_eq!(breaker.note(true), Some(Tripped { rejected: 4, of: 4 }));
}

#[test]
fn it_trips_at_its_share_and_only_by_a_rejection() {
    let mut breaker = breaker(4, 0.75);
    let notes = [true, true, false, true].map(|rejected| breaker.note(rejected));
    assert_eq!(notes, [None, None, None, Some(Tripped { rejected: 3, of: 4 })]);
    assert_eq!(breaker.note(false), None);
}

#[test]
fn old_results_are_forgotten() {
    let mut breaker = breaker(4, 0.75);
    for _ in 0..2 {
        breaker.note(true);
    }
    for _ in 0..4 {
        breaker.note(false);
    }
    assert_eq!([true, true].map(|rejected| breaker.note(rejected)), [None, None]);
    assert!(breaker.note(true).is_some());
}

#[test]
fn without_limits_it_never_trips() {
    let mut breaker = Breaker::new(None);
    assert!((0..1_000).all(|_| breaker.note(true).is_none()));
}
