//! Tests of the population stability index.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::testing::Random;

/// Half a document more in each cell, and the formula by hand.
#[test]
fn the_index_follows_its_formula() {
    let found = population_stability(&[60, 40], &[30, 70]).unwrap();
    let (before, now) = ([60.5 / 101.0, 40.5 / 101.0], [30.5 / 101.0, 70.5 / 101.0]);
    let by_hand: f64 = before.iter().zip(now).map(|(b, n): (&f64, f64)| (n - b) * (n / b).ln()).sum();
    assert!((found.index - by_hand).abs() < 1e-12 && (found.by_chance - 0.02).abs() < 1e-12, "{found:?}");
    let emptied = population_stability(&[50, 50, 0], &[0, 50, 50]).unwrap();
    assert!(emptied.index > 1.0 && emptied.index.is_finite());
    assert!(population_stability(&[1, 2], &[1]).is_err());
    assert!(population_stability(&[1], &[1]).is_err());
    assert!(population_stability(&[0, 0], &[1, 2]).is_err());
}

/// Samples of one distribution have the index that chance gives; a shifted one has a large index.
#[test]
fn a_shift_is_told_from_chance() {
    let mut random = Random::new(31);
    let mut sample = |shift: f64| (0..2000).map(|_| random.normal() + shift).collect::<Vec<_>>();
    let bins = Bins::of(&sample(0.0), 10).unwrap();
    let (mut quiet, mut expected) = (0.0, 0.0);
    for _ in 0..50 {
        let found = bins.stability(&sample(0.0)).unwrap();
        quiet += found.index;
        expected += found.by_chance;
    }
    assert!((0.6..1.4).contains(&(quiet / expected)), "{quiet} beside {expected}");
    assert!(bins.stability(&sample(0.6)).unwrap().index > 0.25);
}

#[test]
fn cells_hold_equally_many_documents() {
    let values: Vec<f64> = (1..=100).map(f64::from).collect();
    assert_eq!(Bins::of(&values, 10).unwrap().baseline, [10; 10]);
    // Equal values stay in one cell.
    let mut mostly = vec![1.0; 95];
    mostly.extend([2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(Bins::of(&mostly, 10).unwrap().baseline, [95, 5]);
    let mut largest = vec![0.0; 3];
    largest.extend([1.0; 97]);
    assert_eq!(Bins::of(&largest, 10).unwrap().baseline, [3, 97]);
    assert_eq!(Bins::of(&[1.0; 20], 10).unwrap_err().code(), "figure_undefined");
    assert_eq!(Bins::of(&[1.0; 5], 10).unwrap_err().code(), "too_few_values");
    assert_eq!(Bins::of(&values, 1).unwrap_err().code(), "value_out_of_range");
    assert_eq!(Bins::of(&values, 10).unwrap().stability(&[f64::NAN]).unwrap_err().code(), "value_not_finite");
}

proptest! {
    #[test]
    fn an_index_is_finite_symmetric_and_0_for_equals(
        counts in proptest::collection::vec((0..1000_u64, 0..1000_u64), 2..20),
    ) {
        let (mut left, mut right): (Vec<_>, Vec<_>) = counts.into_iter().unzip();
        left[0] += 1;
        right[0] += 1;
        let index = |a: &[u64], b: &[u64]| population_stability(a, b).unwrap().index;
        prop_assert!(index(&left, &right).is_finite());
        prop_assert!((index(&left, &right) - index(&right, &left)).abs() < 1e-9);
        prop_assert!(index(&left, &left) < 1e-12);
    }

    /// Every value has a cell, and stored bins count as before.
    #[test]
    fn every_value_is_counted_once(values in proptest::collection::vec(-50..50_i32, 12..200), more in any::<i32>()) {
        let values: Vec<f64> = values.into_iter().map(|value| f64::from(value) / 7.0).collect();
        if let Ok(bins) = Bins::of(&values, 10) {
            prop_assert_eq!(bins.baseline.iter().sum::<u64>(), values.len() as u64);
            prop_assert_eq!(bins.counts(&[f64::from(more)]).unwrap().iter().sum::<u64>(), 1);
            let stored: Bins = serde_json::from_str(&serde_json::to_string(&bins).unwrap()).unwrap();
            prop_assert_eq!(stored, bins);
        }
    }
}
