#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_taken_comes_back_continuously() {
    let start = Instant::now();
    let mut bucket = Bucket::per_minute(600, start);
    assert_eq!(bucket.wait(100.0, start), Duration::ZERO);
    bucket.take(100.0, start);
    assert!(bucket.wait(1.0, start) >= Duration::from_millis(100));
    assert_eq!(bucket.wait(1.0, start + Duration::from_millis(101)), Duration::ZERO);
}

#[test]
fn unused_amounts_come_back_and_excess_is_owed() {
    let start = Instant::now();
    let mut bucket = Bucket::per_minute(600, start);
    bucket.take(100.0, start);
    bucket.take(10.0 - 60.0, start);
    assert_eq!(bucket.wait(50.0, start), Duration::ZERO);
    bucket.take(140.0 - 40.0, start);
    assert!(bucket.wait(1.0, start) >= Duration::from_millis(5_100));
}

#[test]
fn a_request_larger_than_the_bucket_goes_when_it_is_full() {
    let start = Instant::now();
    let mut bucket = Bucket::per_minute(600, start);
    assert_eq!(bucket.wait(1_000.0, start), Duration::ZERO);
    bucket.take(1_000.0, start);
    assert!(bucket.wait(1.0, start) >= Duration::from_secs(90));
}

#[test]
fn the_providers_own_count_wins_where_it_is_lower() {
    let start = Instant::now();
    let mut bucket = Bucket::per_minute(600, start);
    bucket.at_most(5_000.0, start);
    assert_eq!(bucket.wait(100.0, start), Duration::ZERO);
    bucket.at_most(0.0, start);
    assert!(bucket.wait(100.0, start) >= Duration::from_secs(10));
}

proptest! {
    /// A caller that keeps to `wait` never uses more than the limit allows for the time, plus ten
    /// seconds' worth and one request.
    #[test]
    fn no_more_goes_than_the_limit_allows(limit in 1_u32..10_000, amounts in prop::collection::vec(0.0_f64..3_000.0, 1..60)) {
        let start = Instant::now();
        let mut now = start;
        let mut bucket = Bucket::per_minute(limit, start);
        let (mut sum, largest) = (0.0, amounts.iter().copied().fold(0.0, f64::max));
        for amount in amounts {
            now += bucket.wait(amount, now);
            prop_assert_eq!(bucket.wait(amount, now), Duration::ZERO, "after the wait it may go");
            bucket.take(amount, now);
            sum += amount;
            let allowed = f64::from(limit) * ((now - start).as_secs_f64() + 10.0) / 60.0;
            prop_assert!(sum <= allowed + largest + 1.001, "{} of {}", sum, allowed);
        }
    }
}
