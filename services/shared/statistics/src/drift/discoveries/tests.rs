//! Tests of the control of false discoveries.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::testing::{golden, numbers};

#[test]
fn adjusted_values_equal_those_of_scipy() {
    let kept = golden(include_str!("../../../tests/golden/samples.json"));
    for row in kept["discoveries"].as_array().unwrap() {
        for (ours, theirs) in adjusted(&numbers(&row[0])).unwrap().into_iter().zip(numbers(&row[1])) {
            assert!((ours - theirs).abs() < 1e-12, "{ours} is not {theirs}");
        }
    }
    assert!(adjusted(&[]).unwrap().is_empty());
    assert!(adjusted(&[f64::NAN]).is_err() && adjusted(&[1.1]).is_err());
}

proptest! {
    #[test]
    fn adjusting_only_raises_and_keeps_the_order(values in proptest::collection::vec(0.0..=1.0_f64, 1..30)) {
        let found = adjusted(&values).unwrap();
        for (position, value) in values.iter().enumerate() {
            prop_assert!(found[position] >= *value - 1e-15 && found[position] <= 1.0);
            prop_assert!(values.iter().zip(&found).all(|(other, own)| other < value || *own >= found[position] - 1e-15));
        }
    }
}
