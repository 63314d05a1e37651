//! Tests of the baseline.
#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn moments_are_those_of_the_values() {
    let values: Vec<f64> = (0..100).map(|step| f64::from(step % 4)).collect();
    let baseline = Baseline::of(&values).unwrap();
    assert_eq!(baseline.count, 100);
    assert!((baseline.mean - 1.5).abs() < 1e-12);
    assert!((baseline.deviation - (1.25_f64 * 100.0 / 99.0).sqrt()).abs() < 1e-12);
    assert!(baseline.skewness.abs() < 1e-12);
    // A quarter of ones: (1 - 2p) / √(p (1 - p)).
    let ones: Vec<f64> = (0..100).map(|step| f64::from(u8::from(step % 4 == 0))).collect();
    assert!((Baseline::of(&ones).unwrap().skewness - 0.5 / 0.1875_f64.sqrt()).abs() < 1e-12);
}

#[test]
fn a_baseline_without_variation_or_documents_is_refused() {
    let code = |values: &[f64]| Baseline::of(values).unwrap_err().code();
    assert_eq!(code(&[0.1; 49]), "too_few_values");
    assert_eq!(code(&[0.1; 60]), "figure_undefined");
    assert_eq!(code(&[0.0; 60]), "figure_undefined");
    let mut spoilt = vec![0.5; 60];
    spoilt[59] = f64::NEG_INFINITY;
    assert_eq!(code(&spoilt), "value_not_finite");
    for far in [f64::MAX, 1e120] {
        spoilt[59] = far;
        assert_eq!(code(&spoilt), "figure_undefined");
    }
}
