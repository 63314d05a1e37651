//! Tests of acceptance with a guarantee.
#![allow(clippy::panic, clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::testing::{Random, golden, numbers};

const KEPT: &str = include_str!("../../tests/golden/proportion.json");
const AMONG_ACCEPTED: Target =
    Target { risk: Risk::BadAmongAccepted, limit: 0.05, confidence: Confidence::NINETY_FIVE_PERCENT };
const OF_ALL: Target = Target { risk: Risk::BadAndAccepted, ..AMONG_ACCEPTED };

#[test]
fn clopper_pearson_equals_that_of_scipy() {
    let near = |ours: f64, theirs: f64| assert!((ours - theirs).abs() < 1e-9, "{ours} is not {theirs}");
    let kept = golden(KEPT);
    for row in kept["two_sided"].as_array().unwrap().iter().map(numbers) {
        let confidence = Confidence::new(row[2]).unwrap();
        let interval = proportion_interval(row[0] as u64, row[1] as u64, confidence).unwrap();
        near(interval.low, row[3]);
        near(interval.high, row[4]);
    }
    for row in kept["upper"].as_array().unwrap().iter().map(numbers) {
        near(proportion_upper_bound(row[0] as u64, row[1] as u64, Confidence::new(row[2]).unwrap()).unwrap(), row[3]);
    }
    assert!(proportion_interval(0, 0, Confidence::NINETY_FIVE_PERCENT).is_err());
    assert!(proportion_interval(3, 2, Confidence::NINETY_FIVE_PERCENT).is_err());
}

/// Without bad labels, ln δ / ln(1 - α) of them, rounded up.
#[test]
fn labels_needed_without_errors_follow_the_formula() {
    for (limit, confidence) in [(0.05, 0.95), (0.01, 0.9), (0.2, 0.99), (0.5, 0.5)] {
        let target = Target { limit, confidence: Confidence::new(confidence).unwrap(), ..AMONG_ACCEPTED };
        let formula = ((1.0 - confidence).ln() / (1.0 - limit).ln() - 1e-9).ceil() as u64;
        assert_eq!(labels_needed(0, &target).unwrap(), formula, "{limit} at {confidence}");
    }
    assert_eq!((labels_needed(0, &OF_ALL).unwrap(), labels_needed(1, &OF_ALL).unwrap()), (59, 93));
    assert!(labels_needed(0, &Target { limit: 0.0, ..OF_ALL }).is_err());
}

fn labels(scores: &[(f64, bool)]) -> Vec<Label> {
    scores.iter().map(|&(score, good)| Label { score, good }).collect()
}

#[test]
fn too_few_labels_say_how_many_are_missing() {
    let few = labels(&[(0.9, true); 40]);
    let unproven = |missing| Ok(Calibration::Unproven { labels: 40, bad: 0, missing });
    assert_eq!(calibrate(&few, &[0.5], &AMONG_ACCEPTED), unproven(19));
    assert_eq!(calibrate(&few, &[0.5], &OF_ALL), unproven(19));
    let none = calibrate(&[], &[0.5], &AMONG_ACCEPTED);
    assert_eq!(none, Ok(Calibration::Unproven { labels: 0, bad: 0, missing: 59 }));
    // With one bad label 93 are needed.
    let spoilt = [few, labels(&[(0.8, false)])].concat();
    let spoilt = calibrate(&spoilt, &[0.5], &AMONG_ACCEPTED);
    assert_eq!(spoilt, Ok(Calibration::Unproven { labels: 41, bad: 1, missing: 52 }));
}

#[test]
fn the_search_ends_at_the_first_threshold_that_fails() {
    let mut given = labels(&[(0.9, true); 60]);
    given.extend(labels(&[(0.8, false); 5]));
    given.extend(labels(&[(0.3, true); 1000]));
    let Ok(Calibration::Certified(certificate)) = calibrate(&given, &[0.9, 0.8, 0.3], &AMONG_ACCEPTED) else {
        panic!("sixty good ones prove the strictest threshold")
    };
    assert!((certificate.threshold - 0.9).abs() < 1e-12, "0.3 alone would pass, but 0.8 failed before it");
    assert_eq!((certificate.labels, certificate.accepted, certificate.bad), (1065, 60, 0));
    assert!(certificate.upper_bound <= 0.05);
    let written = serde_json::to_string(&certificate).unwrap();
    assert!(written.contains(r#""risk":"bad_among_accepted""#), "{written}");
}

#[test]
fn a_sequence_that_does_not_fall_is_refused() {
    for wrong in [&[0.5, 0.5][..], &[0.3, 0.4], &[], &[f64::NAN]] {
        assert!(calibrate(&[], wrong, &OF_ALL).is_err(), "{wrong:?}");
    }
    assert!(calibrate(&labels(&[(f64::NAN, true)]), &[0.5], &OF_ALL).is_err());
}

/// Scores are uniform; a summary of score s is bad with probability (1 - s)² / 2.
fn draw(random: &mut Random) -> Label {
    let score = random.unit();
    Label { score, good: !random.happens(0.5 * (1.0 - score).powi(2)) }
}

/// The true risk at a threshold.
fn risk(target: &Target, threshold: f64) -> f64 {
    let loose = 1.0 - threshold;
    match target.risk {
        Risk::BadAmongAccepted => loose.powi(2) / 6.0,
        Risk::BadAndAccepted => loose.powi(3) / 6.0,
    }
}

/// The promise holds in at least 95 % of 2,000 calibrations (within two standard errors, 1 %), and
/// the thresholds are of use: half of what could be accepted at best is, or more. The lowest
/// threshold whose observed risk is within the limit, which promises nothing, fails in a third.
#[test]
fn the_promise_holds_over_two_thousand_calibrations() {
    let mut random = Random::new(7);
    let traffic: Vec<f64> = (0..5000).map(|_| random.unit()).collect();
    for (target, best) in [(AMONG_ACCEPTED, 0.3_f64.sqrt()), (OF_ALL, 0.3_f64.cbrt())] {
        let thresholds = sequence(&traffic, 600, 100, &target).unwrap();
        let (mut broken, mut naive_broken, mut share) = (0, 0, 0.0);
        for _ in 0..2000 {
            let given: Vec<_> = (0..600).map(|_| draw(&mut random)).collect();
            if let Calibration::Certified(certificate) = calibrate(&given, &thresholds, &target).unwrap() {
                broken += u32::from(risk(&target, certificate.threshold) > target.limit);
                share += (1.0 - certificate.threshold) / 2000.0;
            }
            let observed = |threshold: f64| {
                let accepted = given.iter().filter(|label| label.score >= threshold);
                let bad = accepted.clone().filter(|label| !label.good).count() as f64;
                let of = if target.risk == Risk::BadAndAccepted { given.len() } else { accepted.count() };
                bad / of as f64
            };
            let naive = thresholds.iter().rfind(|threshold| observed(**threshold) <= target.limit);
            naive_broken += u32::from(naive.is_some_and(|threshold| risk(&target, *threshold) > target.limit));
        }
        assert!(broken <= 120, "{target:?}: {broken} of 2,000 broken");
        assert!(share >= 0.5 * best, "{target:?}: {share} of at best {best} accepted");
        assert!(naive_broken > 600, "{target:?}: {naive_broken} of 2,000 broken without a bound");
    }
}

proptest! {
    #[test]
    fn an_interval_holds_its_proportion(count in 0..300_u64, more in 0..300_u64, confidence in 0.01..0.999_f64) {
        let trials = count + more.max(1);
        let narrow = proportion_interval(count, trials, Confidence::new(confidence).unwrap()).unwrap();
        let wide = proportion_interval(count, trials, Confidence::new(0.5 + confidence / 2.0).unwrap()).unwrap();
        prop_assert!(narrow.contains(count as f64 / trials as f64));
        prop_assert!(wide.low <= narrow.low && narrow.high <= wide.high && wide.low >= 0.0 && wide.high <= 1.0);
    }

    /// The order of the labels does not matter, and what is certified is within the limit.
    #[test]
    fn a_certificate_is_within_its_limit(
        given in proptest::collection::vec((0.0..1.0_f64, proptest::bool::weighted(0.97)), 0..400),
        limit in 0.01..0.5_f64,
    ) {
        let target = Target { limit, ..AMONG_ACCEPTED };
        let given = labels(&given);
        let turned: Vec<_> = given.iter().rev().copied().collect();
        let found = calibrate(&given, &[0.9, 0.6, 0.3, 0.0], &target).unwrap();
        prop_assert_eq!(found, calibrate(&turned, &[0.9, 0.6, 0.3, 0.0], &target).unwrap());
        match found {
            Calibration::Certified(certificate) => prop_assert!(certificate.upper_bound <= limit * (1.0 + 1e-9)),
            Calibration::Unproven { labels, bad, missing } => {
                prop_assert_eq!(labels_needed(bad, &target).unwrap(), labels + missing);
            }
        }
    }

    /// A sequence falls, and its last threshold accepts all of the traffic.
    #[test]
    fn a_sequence_falls_to_the_lowest_score(
        traffic in proptest::collection::vec(0..50_u32, 1..200), labels in 0..2000_usize, steps in 0..300_usize,
    ) {
        let traffic: Vec<f64> = traffic.into_iter().map(f64::from).collect();
        for target in [AMONG_ACCEPTED, OF_ALL] {
            let thresholds = sequence(&traffic, labels, steps, &target).unwrap();
            prop_assert!(thresholds.windows(2).all(|pair| pair[1] < pair[0]));
            let least = traffic.iter().copied().fold(f64::MAX, f64::min);
            prop_assert!((thresholds.last().unwrap() - least).abs() < 1e-12);
        }
    }
}
