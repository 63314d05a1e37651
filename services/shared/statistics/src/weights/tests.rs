//! Fits to synthetic labels whose true weights are known.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::testing::Random;

const TRUE: [f64; 5] = [0.4, 0.3, 0.2, 0.1, 0.0];
const EVEN: [f64; 5] = [0.2; 5];

/// Rows whose label is the index with the true weights and a little noise; each part but the first
/// is missing with a probability.
fn rows(seed: u64, count: usize, noise: f64, missing: f64) -> Vec<Labelled> {
    let mut random = Random::new(seed);
    let mut row = || {
        let part = |number: usize, random: &mut Random| {
            let value = random.unit();
            (number == 0 || !random.happens(missing)).then_some(value)
        };
        let parts: Vec<_> = (0..TRUE.len()).map(|number| part(number, &mut random)).collect();
        let mut row = Labelled { parts, label: 0.0 };
        row.label = (row.index(&TRUE).unwrap() + noise * random.normal()).clamp(0.0, 1.0);
        row
    };
    (0..count).map(|_| row()).collect()
}

#[track_caller]
fn are_near(found: &[f64], expected: &[f64], margin: f64) {
    let near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() <= margin);
    assert!(near && found.len() == expected.len(), "{found:?} instead of {expected:?}");
}

#[test]
fn the_weights_behind_labels_are_found() {
    are_near(&fit(&rows(1, 2000, 0.05, 0.0), &EVEN).unwrap(), &TRUE, 0.015);
    are_near(&fit(&rows(2, 2000, 0.0, 0.0), &TRUE).unwrap(), &TRUE, 1e-9);
}

#[test]
fn parts_that_are_missing_at_times_change_nothing() {
    are_near(&fit(&rows(3, 4000, 0.02, 0.3), &EVEN).unwrap(), &TRUE, 0.02);
}

/// Verdicts of good and bad are labels, too: the probability of a good one is the index.
#[test]
fn verdicts_of_good_and_bad_are_enough() {
    let mut random = Random::new(4);
    let mut verdicts = rows(5, 20_000, 0.0, 0.0);
    for row in &mut verdicts {
        row.label = f64::from(u8::from(random.happens(row.label)));
    }
    are_near(&fit(&verdicts, &EVEN).unwrap(), &TRUE, 0.06);
}

#[test]
fn a_fit_is_better_on_labels_that_it_did_not_see() {
    let errors = cross_validated(&rows(6, 500, 0.05, 0.0), &EVEN).unwrap();
    assert!(errors.after < 0.6 * errors.before, "{errors:?}");
    assert!((0.045..0.056).contains(&errors.after), "the noise is left: {errors:?}");
}

/// Labels by chance are no reason for other weights: what is fitted to them is no better.
#[test]
fn labels_by_chance_change_little() {
    let mut random = Random::new(7);
    let mut chance = rows(8, MIN_LABELS, 0.0, 0.0);
    for row in &mut chance {
        row.label = random.unit();
    }
    let errors = cross_validated(&chance, &EVEN).unwrap();
    assert!(errors.after > 0.97 * errors.before, "{errors:?}");
}

/// A part that never varied says nothing; its weight stays near the one in use as far as the sum
/// allows, and one that is hardly ever measured gets none.
#[test]
fn parts_without_evidence_keep_or_lose_their_weight() {
    let mut seldom = rows(9, 300, 0.02, 0.0);
    for (number, row) in seldom.iter_mut().enumerate() {
        row.parts[4] = row.parts[4].filter(|_| number % 3 == 0);
    }
    let weights = fit(&seldom, &EVEN).unwrap();
    assert_eq!(weights[4].to_bits(), 0.0_f64.to_bits());
    let mut alike = rows(10, 300, 0.02, 0.0);
    for row in &mut alike {
        row.parts[1] = row.parts[0];
        row.label = row.index(&TRUE).unwrap();
    }
    let weights = fit(&alike, &EVEN).unwrap();
    assert!((weights[0] - weights[1]).abs() < 1e-6, "two parts of one value: {weights:?}");
}

#[test]
fn too_few_labels_and_wrong_values_are_refused() {
    let refused = |rows: &[Labelled], weights: &[f64]| fit(rows, weights).unwrap_err();
    let few = refused(&rows(11, MIN_LABELS - 1, 0.0, 0.0), &EVEN);
    assert_eq!(few.to_string(), "labels: 99 values, but 100 are needed; collect more");
    let whole = rows(12, MIN_LABELS, 0.0, 0.0);
    assert_eq!(refused(&whole, &EVEN[1..]).code(), "lengths_differ");
    assert_eq!(refused(&whole, &[-1.0, 0.0, 0.0, 0.0, 0.0]).code(), "value_out_of_range");
    let mut wrong = whole.clone();
    wrong[3].label = f64::NAN;
    assert_eq!(refused(&wrong, &EVEN).code(), "value_out_of_range");
    let nothing = vec![Labelled { parts: vec![None; 5], label: 1.0 }; MIN_LABELS];
    assert_eq!(refused(&nothing, &EVEN).code(), "figure_undefined");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever the rows, weights are at least 0 and make 1, and equal rows give equal weights.
    #[test]
    fn weights_are_shares_and_the_same_every_time(seed in any::<u64>(), missing in 0.0..0.9_f64, noise in 0.0..0.5_f64) {
        let rows = rows(seed, MIN_LABELS, noise, missing);
        let weights = fit(&rows, &TRUE).unwrap();
        prop_assert!(weights.iter().all(|weight| *weight >= 0.0), "{weights:?}");
        prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{weights:?}");
        prop_assert_eq!(&weights, &fit(&rows, &TRUE).unwrap());
    }

    /// The projection is a point of the simplex, and none of the corners is nearer.
    #[test]
    fn projection_is_the_nearest_point(point in proptest::collection::vec(-2.0..2.0_f64, 1..8)) {
        let found = on_simplex(point.clone());
        prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-9 && found.iter().all(|value| *value >= 0.0));
        let distance = |to: &[f64]| to.iter().zip(&point).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        for corner in 0..point.len() {
            for share in [0.01, 0.5, 1.0] {
                let toward = |(at, value): (usize, &f64)| value + share * (f64::from(u8::from(at == corner)) - value);
                let other: Vec<f64> = found.iter().enumerate().map(toward).collect();
                prop_assert!(distance(&found) <= distance(&other) + 1e-9);
            }
        }
    }
}
