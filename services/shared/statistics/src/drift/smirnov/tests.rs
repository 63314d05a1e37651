//! Tests of the two-sample test.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::testing::{golden, numbers};

#[test]
fn the_test_equals_that_of_scipy() {
    let kept = golden(include_str!("../../../tests/golden/samples.json"));
    for (case, row) in kept["smirnov"].as_array().unwrap().iter().enumerate() {
        let found = kolmogorov_smirnov(&numbers(&row["left"]), &numbers(&row["right"])).unwrap();
        for (ours, name) in [(found.statistic, "statistic"), (found.p_value, "p")] {
            let theirs = row[name].as_f64().unwrap();
            assert!((ours - theirs).abs() < 1e-9, "{case}: {name} {ours} is not {theirs}");
        }
    }
}

#[test]
fn samples_that_cannot_be_compared_are_refused() {
    assert_eq!(kolmogorov_smirnov(&[], &[0.1]).unwrap_err().code(), "too_few_values");
    assert_eq!(kolmogorov_smirnov(&[0.1, f64::NAN], &[0.1]).unwrap_err().code(), "value_not_finite");
    assert!((kolmogorov_smirnov(&[0.1], &[0.2]).unwrap().statistic - 1.0).abs() < 1e-12);
}

proptest! {
    /// The order of values and of samples does not matter, nor does a rising change of the unit.
    #[test]
    fn a_distance_depends_on_ranks_alone(
        left in proptest::collection::vec(-30..30_i32, 1..60), right in proptest::collection::vec(-30..30_i32, 1..60),
    ) {
        let of = |values: &[i32], unit: fn(f64) -> f64| values.iter().map(|v| unit(f64::from(*v))).collect::<Vec<_>>();
        let plain = kolmogorov_smirnov(&of(&left, |v| v), &of(&right, |v| v)).unwrap();
        let mut turned = left.clone();
        turned.reverse();
        let other = kolmogorov_smirnov(&of(&right, |v| (v / 9.0).exp()), &of(&turned, |v| (v / 9.0).exp())).unwrap();
        prop_assert!((plain.statistic - other.statistic).abs() < 1e-12);
        prop_assert!((plain.p_value - other.p_value).abs() < 1e-9);
        prop_assert!((0.0..=1.0).contains(&plain.p_value) && (0.0..=1.0).contains(&plain.statistic));
        let same = kolmogorov_smirnov(&of(&left, |v| v), &of(&turned, |v| v)).unwrap();
        prop_assert!(same.statistic.abs() < 1e-12 && (same.p_value - 1.0).abs() < 1e-12);
    }
    /// With a cell for each value, counts say what the values say.
    #[test]
    fn counts_by_value_give_the_test_of_the_values(
        left in proptest::collection::vec(0..9_usize, 1..60), right in proptest::collection::vec(0..9_usize, 1..60),
    ) {
        let counts = |values: &[usize]| {
            let mut counts = [0_u64; 9];
            for value in values {
                counts[*value] += 1;
            }
            counts
        };
        let floats = |values: &[usize]| values.iter().map(|value| *value as f64).collect::<Vec<_>>();
        let values = kolmogorov_smirnov(&floats(&left), &floats(&right)).unwrap();
        let cells = kolmogorov_smirnov_of_counts(&counts(&left), &counts(&right)).unwrap();
        prop_assert!((values.statistic - cells.statistic).abs() < 1e-12);
        prop_assert!((values.p_value - cells.p_value).abs() < 1e-9);
    }
}
