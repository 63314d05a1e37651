//! Simulated series: false alarms as stated, falls found in time.
#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::{Baseline, Target};
use super::*;
use crate::special;
use crate::testing::Random;

const HOUR: u64 = 1000;
const THIRTY_DAYS: u64 = 30 * 24 * HOUR;

/// One false alarm in 90 days of 1,000 documents an hour, so that 95 % of the series have at most
/// one in 30 days: a Poisson number of mean 1/3.
const TARGET: Target =
    Target { direction: Direction::Fall, change: 0.05, documents_between_false_alarms: 3.0 * THIRTY_DAYS as f64 };

/// Quality indices of mean 0.75, deviation 0.15 and a long lower tail, in 4,096 equally likely
/// values: a beta distribution.
static QUALITIES: LazyLock<Vec<f64>> = LazyLock::new(|| {
    (0..4096).map(|step| special::beta_quantile((f64::from(step) + 0.5) / 4096.0, 5.5, 5.5 / 3.0)).collect()
});

/// Gives each of the next documents' values of a series until `take` says stop.
fn series(random: &mut Random, documents: u64, mut take: impl FnMut(f64) -> bool) {
    let qualities: &[f64] = &QUALITIES;
    let mut left = documents;
    while left > 0 {
        // Five numbers of 12 bits from each number of 64.
        let mut bits = random.bits();
        for _ in 0..left.min(5) {
            left -= 1;
            if !take(qualities[(bits & 4095) as usize]) {
                return;
            }
            bits >>= 12;
        }
    }
}

/// A test whose baseline is estimated from 10,000 documents of its own series.
fn fresh(random: &mut Random) -> Cusum {
    let mut values = Vec::new();
    series(random, 10 * HOUR, |value| {
        values.push(value);
        true
    });
    Cusum::new(Design::new(&Baseline::of(&values).unwrap(), &TARGET).unwrap())
}

/// Over 1,000 quiet series of 30 days at 1,000 documents an hour, each with a baseline of its own,
/// the mean number of false alarms is at most the stated third, and 95 % have at most one.
#[test]
fn a_thousand_quiet_months_have_the_stated_false_alarms() {
    let mut random = Random::new(21);
    let (mut alarms, mut with_more) = (0, 0);
    for _ in 0..1000 {
        let mut cusum = fresh(&mut random);
        let mut own = 0;
        series(&mut random, THIRTY_DAYS, |value| {
            own += u32::from(cusum.push(value).unwrap().is_some());
            true
        });
        alarms += own;
        with_more += u32::from(own > 1);
    }
    assert!(alarms <= 333, "{alarms} false alarms in 1,000 months");
    assert!(with_more <= 50, "{with_more} of 1,000 months with more than one");
    assert!(alarms > 20, "{alarms} false alarms in 1,000 months: the test could be faster");
}

/// Over 1,000 runs a fall of 5 % is found within 1,000 documents in at least 95 %, and about as
/// often as the design says.
#[test]
fn a_fall_of_five_percent_is_found_within_the_hour() {
    let mut random = Random::new(22);
    let (mut found, mut documents, mut stated) = (0, 0, 0.0);
    for _ in 0..1000 {
        let mut cusum = fresh(&mut random);
        stated += cusum.design().probability_found_within(HOUR as f64) / 1000.0;
        series(&mut random, HOUR, |value| {
            let alarm = cusum.push(0.95 * value).unwrap();
            found += u32::from(alarm.is_some());
            documents += alarm.map_or(0, |alarm| alarm.seen);
            alarm.is_none()
        });
    }
    let mean = documents as f64 / f64::from(found);
    assert!(found >= 950, "{found} of 1,000 found, after {mean} documents");
    assert!((f64::from(found) / 1000.0 - stated).abs() < 0.02, "{found} of 1,000 found, {stated} stated");
}

/// The average run length over 1,000 runs of normal values is the stated one within 10 %, three of
/// its standard errors.
#[test]
fn the_average_run_length_is_as_stated() {
    let mut random = Random::new(23);
    let baseline = Baseline { count: u64::MAX, mean: 0.8, deviation: 0.1, skewness: 0.0 };
    let target = Target { documents_between_false_alarms: 10_000.0, ..TARGET };
    let design = Design::new(&baseline, &target).unwrap();
    let mut documents = 0;
    for _ in 0..1000 {
        let mut cusum = Cusum::new(design);
        while cusum.push(0.8 + 0.1 * random.normal()).unwrap().is_none() {}
        documents += cusum.seen();
    }
    let mean = documents as f64 / 1000.0;
    assert!((9000.0..11_000.0).contains(&mean), "an alarm every {mean} documents");
}

/// The change is placed about where it was: within 200 documents in nine of ten runs.
#[test]
fn an_alarm_says_when_quality_fell() {
    let mut random = Random::new(24);
    let mut near = 0;
    for _ in 0..200 {
        let mut cusum = fresh(&mut random);
        series(&mut random, 5 * HOUR, |value| {
            cusum.push(value).unwrap();
            true
        });
        let mut placed = None;
        series(&mut random, 5 * HOUR, |value| {
            placed = cusum.push(0.9 * value).unwrap();
            placed.is_none()
        });
        let alarm = placed.unwrap();
        near += u32::from((alarm.seen - alarm.changed_documents_ago).abs_diff(5 * HOUR) < 200);
    }
    assert!(near >= 180, "{near} of 200");
}

#[test]
fn a_value_that_is_not_finite_changes_nothing() {
    let mut cusum = fresh(&mut Random::new(25));
    cusum.push(0.2).unwrap();
    let before = cusum.clone();
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(cusum.push(wrong).unwrap_err().code(), "value_not_finite");
    }
    assert_eq!(cusum, before);
    // A value of another unit is an alarm, not an overflow.
    assert!(cusum.push(-f64::MAX).unwrap().is_some());
    assert!(cusum.push(f64::MAX).unwrap().is_none());
    assert_eq!(cusum.level().to_bits(), 0.0_f64.to_bits());
}

proptest! {
    /// Written as JSON after any document and read again, the test goes on with equal results.
    #[test]
    fn a_stored_state_goes_on_with_equal_results(seed in any::<u64>(), cut in 0..600_usize) {
        let mut random = Random::new(seed);
        let mut whole = fresh(&mut random);
        let mut stored = whole.clone();
        let mut position = 0;
        let mut equal = true;
        series(&mut random, 600, |value| {
            if position % 100 == cut % 100 {
                stored = serde_json::from_str(&serde_json::to_string(&stored).unwrap()).unwrap();
            }
            position += 1;
            equal = whole.push(0.9 * value) == stored.push(0.9 * value) && whole == stored;
            equal
        });
        prop_assert!(equal, "at document {position}");
        prop_assert!((0.0..1.0).contains(&whole.level()));
    }

    /// Worse values never bring the alarm later.
    #[test]
    fn worse_values_alarm_no_later(values in proptest::collection::vec(0.0..1.0_f64, 1..400), worse in 0.0..0.5_f64) {
        let design = fresh(&mut Random::new(26)).design;
        let first = |offset: f64| {
            let mut cusum = Cusum::new(design);
            values.iter().position(|value| cusum.push(value - offset).unwrap().is_some()).unwrap_or(values.len())
        };
        prop_assert!(first(worse) <= first(0.0));
    }
    /// A batch raises the sum at most as far as its documents one by one do, in whatever order, and
    /// a batch of one document is that document.
    #[test]
    fn a_batch_alarms_no_sooner_than_its_documents(
        values in proptest::collection::vec(0.0..1.0_f64, 1..400), batch in 1..50_usize,
    ) {
        let design = fresh(&mut Random::new(27)).design;
        let (mut whole, mut batched) = (Cusum::new(design), Cusum::new(design));
        for part in values.chunks(batch) {
            let single = part.iter().any(|value| whole.push(*value).unwrap().is_some());
            let mean = part.iter().sum::<f64>() / part.len() as f64;
            let together = batched.push_batch(part.len() as u64, mean).unwrap().is_some();
            prop_assert!(single || !together);
            if single || together {
                break;
            }
            // Billionths are cut off for each document.
            prop_assert!(batched.sum <= whole.sum + whole.seen as i64, "{} after {}", batched.sum, whole.sum);
        }
        prop_assert!(batched.push_batch(1, f64::NAN).is_err());
    }
}
