//! The design against the exact run length of a Markov chain (Brook and Evans 1972).
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Average documents until an alarm for normal increments of mean `drift` and deviation 1: the
/// sum's range in `STATES` cells, and the linear equations of the mean times from each.
fn exact_run_length(drift: f64, threshold: f64) -> f64 {
    const STATES: usize = 201;
    let width = 2.0 * threshold / (2 * STATES - 1) as f64;
    let below = |from: usize, to: f64| special::normal_cdf(to - from as f64 * width - drift);
    let mut rows = vec![[0.0; STATES + 1]; STATES];
    for (from, row) in rows.iter_mut().enumerate() {
        for (to, cell) in row[..STATES].iter_mut().enumerate() {
            let (low, high) = ((to as f64 - 0.5) * width, (to as f64 + 0.5) * width);
            let probability = below(from, high) - if to == 0 { 0.0 } else { below(from, low) };
            *cell = f64::from(u8::from(from == to)) - probability;
        }
        row[STATES] = 1.0;
    }
    for pivot in 0..STATES {
        let own = rows[pivot];
        for row in &mut rows[pivot + 1..] {
            let factor = row[pivot] / own[pivot];
            for column in pivot..=STATES {
                row[column] -= factor * own[column];
            }
        }
    }
    let mut times = [0.0; STATES];
    for row in (0..STATES).rev() {
        let later: f64 = (row + 1..STATES).map(|column| rows[row][column] * times[column]).sum();
        times[row] = (rows[row][STATES] - later) / rows[row][row];
    }
    times[0]
}

/// The values of the literature (Montgomery, Introduction to Statistical Quality Control, table
/// 9.3, whose two-sided run lengths are half of the one-sided).
#[test]
fn the_chain_has_the_run_lengths_of_the_literature() {
    for (drift, threshold, theirs) in [(-0.5, 4.0, 336.0), (-0.5, 5.0, 930.0), (0.5, 4.0, 8.38), (0.5, 5.0, 10.4)] {
        let exact = exact_run_length(drift, threshold);
        assert!((exact - theirs).abs() < 0.005 * theirs, "{drift}, {threshold}: {exact} is not {theirs}");
    }
}

/// Siegmund's approximation is within 3 % of the chain, and the design's threshold gives the wanted
/// run length.
#[test]
fn a_quiet_series_has_the_wanted_run_length() {
    for (slack, documents) in [(0.05, 20_000.0), (0.125, 10_000.0), (0.125, 720_000.0), (0.25, 720_000.0)] {
        let threshold = limit(slack, exponent(slack, 0.0), documents) - OVERSHOOT;
        assert!((run_length(-slack, threshold) - documents).abs() < 1e-6 * documents);
        let exact = exact_run_length(-slack, threshold);
        assert!((exact - documents).abs() < 0.03 * documents, "{slack}: {exact} is not {documents}");
        let (found, exact) = (run_length(slack, threshold), exact_run_length(slack, threshold));
        assert!((found - exact).abs() < 0.03 * exact, "{slack}: found after {exact}, not {found}");
    }
}

const BASELINE: Baseline = Baseline { count: 10_000, mean: 0.75, deviation: 0.15, skewness: -0.7 };
const TARGET: Target = Target { direction: Direction::Fall, change: 0.05, documents_between_false_alarms: 720_000.0 };

#[test]
fn a_rise_is_a_fall_mirrored() {
    let fall = Design::new(&BASELINE, &TARGET).unwrap();
    let mirrored = Baseline { skewness: 0.7, ..BASELINE };
    let rise = Design::new(&mirrored, &Target { direction: Direction::Rise, ..TARGET }).unwrap();
    assert!(((fall.origin - 0.75) + (rise.origin - 0.75)).abs() < 1e-12);
    assert_eq!((fall.slack.to_bits(), fall.threshold.to_bits()), (rise.slack.to_bits(), rise.threshold.to_bits()));
}

/// A longer lower tail and a shorter baseline take a higher threshold or a slower sum, not a louder
/// test.
#[test]
fn what_is_not_known_slows_the_test_down() {
    let design = |baseline| Design::new(&baseline, &TARGET).unwrap();
    let (normal, skewed) = (design(Baseline { skewness: 0.0, ..BASELINE }), design(BASELINE));
    assert!(skewed.threshold > normal.threshold);
    let short = design(Baseline { count: 1000, ..BASELINE });
    assert!(short.origin < skewed.origin && short.documents_to_alarm() > skewed.documents_to_alarm());
    let error = Design::new(&Baseline { count: 100, ..BASELINE }, &TARGET).unwrap_err();
    assert_eq!(error, StatisticsError::TooFew { what: "the baseline", found: 100, needed: 174 });
    assert!(Design::new(&Baseline { count: 174, ..BASELINE }, &TARGET).is_ok());
}

#[test]
fn targets_that_cannot_be_are_refused() {
    let tiny = Baseline { deviation: f64::MIN_POSITIVE, mean: f64::MAX, ..BASELINE };
    assert_eq!(Design::new(&tiny, &TARGET).unwrap_err().code(), "value_out_of_range");
    for wrong in [0.0, -0.05, f64::NAN, f64::INFINITY] {
        for target in [Target { change: wrong, ..TARGET }, Target { documents_between_false_alarms: wrong, ..TARGET }] {
            assert_eq!(Design::new(&BASELINE, &target).unwrap_err().code(), "value_out_of_range");
        }
        for baseline in [Baseline { mean: wrong, ..BASELINE }, Baseline { deviation: wrong, ..BASELINE }] {
            assert_eq!(Design::new(&baseline, &TARGET).unwrap_err().code(), "value_out_of_range");
        }
    }
    assert_eq!(
        Design::new(&Baseline { skewness: f64::NAN, ..BASELINE }, &TARGET).unwrap_err().code(),
        "value_not_finite"
    );
}

proptest! {
    #[test]
    fn rarer_false_alarms_take_a_higher_threshold(
        deviation in 0.01..0.3_f64, skewness in -2.0..2.0_f64, documents in 10.0..1e8_f64, at in 1.0..1e5_f64,
    ) {
        let baseline = Baseline { count: 100_000, mean: 0.75, deviation, skewness };
        let design = |documents| {
            Design::new(&baseline, &Target { documents_between_false_alarms: documents, ..TARGET }).unwrap()
        };
        let (loud, quiet) = (design(documents), design(2.0 * documents));
        prop_assert!(loud.threshold <= quiet.threshold && loud.threshold > 0.0);
        prop_assert!(loud.documents_to_alarm() <= quiet.documents_to_alarm());
        let (soon, late) = (quiet.probability_found_within(at), quiet.probability_found_within(2.0 * at));
        prop_assert!((0.0..=1.0).contains(&soon) && soon <= late + 1e-12, "{soon} {late}");
    }
}
