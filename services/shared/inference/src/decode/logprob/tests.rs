use super::{mean, quantiles};

#[test]
fn nothing_has_no_quantiles() {
    assert_eq!(quantiles(&[]), None);
}

#[test]
fn one_value_is_every_quantile() {
    assert_eq!(quantiles(&[-0.5]), Some([-0.5, -0.5, -0.5]));
}

#[test]
fn quantiles_are_nearest_ranks_of_the_sorted_values() {
    let values: Vec<f32> = (1..=20).rev().map(|value| -(value as f32)).collect();
    assert_eq!(quantiles(&values), Some([-20.0, -19.0, -11.0]));
}

#[test]
fn the_mean_counts_every_value_and_nothing_has_none() {
    assert_eq!(mean(&[]), None);
    assert_eq!(mean(&[-0.5, -1.0, -3.0]), Some(-1.5));
}
