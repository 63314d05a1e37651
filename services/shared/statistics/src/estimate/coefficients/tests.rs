//! Tests of the coefficients.
#![allow(clippy::unwrap_used)]

use super::super::segments::Moments;
use super::*;

/// With automatic scores alone, the trust is λ of PPI++ without its clip.
#[test]
fn one_prediction_gives_the_power_of_ppi() {
    let (with_label, of_reviewed, of_others) = (0.02 / 50.0, 0.05 / 50.0, 0.05 / 200.0);
    let covariances = [[0.1, 0.0, with_label], [0.0; 3], [with_label, 0.0, of_reviewed]];
    let reviewed = Moments { count: 50, covariances, ..Moments::default() };
    let mut automatic = Moments { count: 200, ..Moments::default() };
    automatic.covariances[2][2] = of_others;
    let segments = Segments { reviewed, automatic, ..Segments::default() };
    let (coefficients, count) = Quadratic::of(&segments).least();
    assert_eq!(count, 1);
    let power = 0.02 / (0.05 * (1.0 + 50.0 / 200.0));
    assert!((coefficients.automatic - power).abs() < 1e-12, "{coefficients:?}");
    assert_eq!((coefficients.judge, coefficients.automatic_judged), (0.0, 0.0));
}

/// A judge that repeats the automatic score adds nothing, and does not spoil the solution.
#[test]
fn directions_without_information_get_no_trust() {
    let mut segments = Segments::default();
    for (moments, count) in
        [(&mut segments.reviewed, 50.0), (&mut segments.judged, 80.0), (&mut segments.automatic, 400.0)]
    {
        moments.count = count as usize;
        moments.covariances = [
            [0.1 / count, 0.03 / count, 0.03 / count],
            [0.03 / count, 0.04 / count, 0.04 / count],
            [0.03 / count, 0.04 / count, 0.04 / count],
        ];
    }
    let (coefficients, count) = Quadratic::of(&segments).least();
    assert_eq!(count, 2);
    assert!([coefficients.judge, coefficients.automatic_judged, coefficients.automatic].iter().all(|b| b.abs() < 10.0));
    assert_eq!(Quadratic::of(&Segments::default()).least(), (Coefficients::default(), 0));
}
