//! Tests of counts by category.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{golden, numbers};

#[test]
fn chi_square_equals_that_of_scipy() {
    let kept = golden(include_str!("../../../tests/golden/samples.json"));
    for row in kept["tables"].as_array().unwrap() {
        let counts = |list| numbers(list).into_iter().map(|count| count as u64).collect::<Vec<_>>();
        let found = chi_square(&counts(&row[0]), &counts(&row[1])).unwrap();
        let theirs = [row[2].as_f64().unwrap(), row[4].as_f64().unwrap()];
        for (ours, theirs) in [found.statistic, found.p_value].into_iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-9 * theirs.max(1.0), "{ours} is not {theirs}");
        }
    }
}

#[test]
fn categories_without_documents_are_left_out() {
    let whole = chi_square(&[10, 20], &[30, 10]).unwrap();
    assert_eq!(chi_square(&[10, 0, 20], &[30, 0, 10]).unwrap(), whole);
    assert_eq!(chi_square(&[10, 0], &[30, 0]).unwrap_err().code(), "too_few_values");
    assert_eq!(chi_square(&[0, 0], &[3, 4]).unwrap_err().code(), "too_few_values");
    assert_eq!(chi_square(&[1], &[3, 4]).unwrap_err().code(), "lengths_differ");
}

#[test]
fn categories_of_both_samples_are_aligned() {
    let counts = |pairs: &[(&str, u64)]| pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let (before, now) = align(&counts(&[("de", 3), ("en", 9)]), &counts(&[("en", 4), ("fr", 5)]));
    assert_eq!((before, now), (vec![3, 9, 0], vec![0, 4, 5]));
}
