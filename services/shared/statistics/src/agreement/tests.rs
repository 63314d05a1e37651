//! Agreement against scikit-learn and scipy.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::testing::{golden, numbers};

const KEPT: &str = include_str!("../../tests/golden/agreement.json");
const ALL: [Disagreement; 3] = [Disagreement::Plain, Disagreement::Linear, Disagreement::Quadratic];

#[test]
fn kappa_equals_that_of_scikit_learn() {
    for case in golden(KEPT)["kappa"].as_array().unwrap() {
        let side = |name: &str| numbers(&case[name]).into_iter().map(|value| value as usize);
        let pairs: Vec<_> = side("left").zip(side("right")).collect();
        let categories = case["categories"].as_u64().unwrap() as usize;
        for (disagreement, theirs) in ALL.into_iter().zip(numbers(&case["kappas"])) {
            let ours = kappa(&pairs, categories, disagreement).unwrap();
            assert!((ours - theirs).abs() < 1e-12, "{disagreement:?} of {categories}: {ours} is not {theirs}");
        }
    }
}

#[test]
fn spearman_equals_that_of_scipy() {
    for case in golden(KEPT)["spearman"].as_array().unwrap() {
        let ours = spearman(&numbers(&case["left"]), &numbers(&case["right"])).unwrap();
        let theirs = case["rho"].as_f64().unwrap();
        assert!((ours - theirs).abs() < 1e-12, "{ours} is not {theirs}");
    }
}

#[test]
fn agreement_without_variation_is_undefined() {
    assert_eq!(kappa(&[(1, 1); 5], 3, Disagreement::Plain).unwrap_err().code(), "figure_undefined");
    assert_eq!(spearman(&[0.5; 3], &[0.1, 0.2, 0.3]).unwrap_err().code(), "figure_undefined");
    assert_eq!(spearman(&[0.0, -0.0], &[0.1, 0.2]).unwrap_err().code(), "figure_undefined");
    assert_eq!(kappa(&[], 3, Disagreement::Plain).unwrap_err().code(), "too_few_values");
    assert_eq!(kappa(&[(3, 0)], 3, Disagreement::Plain).unwrap_err().code(), "value_out_of_range");
    assert_eq!(spearman(&[0.5, f64::NAN], &[0.1, 0.2]).unwrap_err().code(), "value_not_finite");
    assert_eq!(spearman(&[0.5], &[0.1, 0.2]).unwrap_err().code(), "lengths_differ");
}

proptest! {
    /// Kappa does not depend on who is named first, nor on the order of the documents.
    #[test]
    fn kappa_is_symmetric(pairs in proptest::collection::vec((0..4_usize, 0..4_usize), 1..40)) {
        let swapped: Vec<_> = pairs.iter().rev().map(|&(left, right)| (right, left)).collect();
        for disagreement in ALL {
            match (kappa(&pairs, 4, disagreement), kappa(&swapped, 4, disagreement)) {
                (Ok(ours), Ok(theirs)) => prop_assert!((ours - theirs).abs() < 1e-9 && ours <= 1.0),
                (ours, theirs) => prop_assert_eq!(ours, theirs),
            }
        }
    }

    /// Only the order of scores counts: a milder judge agrees as much.
    #[test]
    fn spearman_minds_the_order_alone(pairs in proptest::collection::vec((0..20_i32, 0..20_i32), 2..40)) {
        let left: Vec<f64> = pairs.iter().map(|pair| f64::from(pair.0)).collect();
        let right: Vec<f64> = pairs.iter().map(|pair| f64::from(pair.1)).collect();
        let milder: Vec<f64> = left.iter().map(|value| (value / 10.0).exp() + 3.0).collect();
        match spearman(&left, &right) {
            Ok(rho) => {
                prop_assert!((-1.0..=1.0).contains(&rho));
                prop_assert!((spearman(&milder, &right).unwrap() - rho).abs() < 1e-12);
                let itself = spearman(&left, &milder).unwrap();
                prop_assert!((itself - 1.0).abs() < 1e-12);
            }
            Err(error) => prop_assert_eq!(error.code(), "figure_undefined"),
        }
    }
}
