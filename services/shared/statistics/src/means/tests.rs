//! Intervals of means beside textbook figures, and how often they cover the truth.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::Random;

const SURE: Confidence = Confidence::NINETY_FIVE_PERCENT;

fn sample(values: &[f64]) -> Sample {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Sample { count: values.len() as u64, mean, variance }
}

#[track_caller]
fn is(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
}

/// t(0.975, 4) = 2.776445, and 2.364624 with 7 degrees of freedom.
#[test]
fn intervals_are_those_of_student_and_of_welch() {
    let five = Sample { count: 5, mean: 0.5, variance: 0.01 };
    let interval = five.interval(SURE).unwrap();
    is(interval.high - 0.5, 2.776_445_1 * (0.01_f64 / 5.0).sqrt());
    is(0.5 - interval.low, 2.776_445_1 * (0.01_f64 / 5.0).sqrt());
    // Equal counts and variances: Welch's degrees of freedom are n1 + n2 - 2 = 8, t = 2.306004.
    let to = Sample { mean: 0.4, ..five };
    let found = difference(&[Pair { weight: 1.0, from: five, to }], SURE).unwrap();
    is(found.value, -0.1);
    is(found.interval.high, -0.1 + 2.306_004_1 * (0.02_f64 / 5.0).sqrt());
}

/// Of 20,000 intervals at 95 % between 94.5 and 95.5 % cover the true difference: three standard
/// errors.
#[test]
fn a_difference_is_covered_as_often_as_stated() {
    let mut random = Random::new(31);
    let mut draw = |mean: f64, spread: f64, count: usize| -> Sample {
        let values: Vec<f64> = (0..count).map(|_| mean + spread * (random.unit() - 0.5)).collect();
        sample(&values)
    };
    let covered = (0..20_000).filter(|_| {
        let pairs = [
            Pair { weight: 0.7, from: draw(0.8, 0.2, 40), to: draw(0.7, 0.4, 25) },
            Pair { weight: 0.3, from: draw(0.5, 0.6, 30), to: draw(0.5, 0.1, 60) },
        ];
        difference(&pairs, SURE).unwrap().interval.contains(-0.07)
    });
    let covered = covered.count();
    assert!((18_900..=19_100).contains(&covered), "{covered} of 20,000");
}

#[test]
fn values_that_are_all_alike_prove_no_certainty() {
    let alike = |count| Sample { count, mean: 1.0, variance: 0.0 };
    let few = alike(10).interval(SURE).unwrap();
    let many = alike(10_000).interval(SURE).unwrap();
    is(few.low, 0.025_f64.powf(0.1));
    assert!(few.width() > 0.3 && many.width() < 0.001, "{few:?} {many:?}");
}

#[test]
fn samples_without_an_interval_are_refused() {
    let one = Sample { count: 1, mean: 0.5, variance: 0.0 };
    assert_eq!(one.interval(SURE).unwrap_err().code(), "too_few_values");
    let wrong = Sample { count: 9, mean: f64::NAN, variance: 0.1 };
    assert_eq!(wrong.interval(SURE).unwrap_err().code(), "value_out_of_range");
    assert_eq!(difference(&[], SURE).unwrap_err().code(), "too_few_values");
}
