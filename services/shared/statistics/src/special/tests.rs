//! Distribution functions against scipy's.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::testing::golden;

fn near(ours: f64, theirs: f64, what: &str) {
    assert!((ours - theirs).abs() <= 1e-9 * theirs.abs().max(1e-3), "{what}: {ours} is not {theirs}");
}

#[test]
fn distribution_functions_equal_those_of_scipy() {
    let kept = golden(include_str!("../../tests/golden/special.json"));
    let row = |row: &serde_json::Value| -> Vec<f64> { serde_json::from_value(row.clone()).unwrap() };
    let rows = |name: &str| kept[name].as_array().unwrap().iter().map(row).collect::<Vec<_>>();
    for values in rows("normal_quantile") {
        near(normal_quantile(values[0]), values[1], &format!("{values:?}"));
        near(normal_cdf(values[1]), values[0], &format!("{values:?}"));
    }
    for values in rows("beta") {
        near(beta_cdf(values[2], values[0], values[1]), values[3], &format!("{values:?}"));
    }
    for values in rows("beta_quantile") {
        near(beta_quantile(values[2], values[0], values[1]), values[3], &format!("{values:?}"));
    }
    for values in rows("binomial") {
        near(binomial_cdf(values[0] as u64, values[1] as u64, values[2]), values[3], &format!("{values:?}"));
    }
    for values in rows("student") {
        near(student_two_sided_quantile(values[0], values[1]), values[2], &format!("{values:?}"));
    }
    for values in rows("chi_square") {
        near(chi_square_sf(values[0], values[1]), values[2], &format!("{values:?}"));
    }
}

proptest! {
    /// A quantile is where the distribution function has the probability.
    #[test]
    fn quantiles_invert_distribution_functions(p in 1e-6..1.0_f64, a in 0.5..3000.0_f64, b in 0.5..3000.0_f64) {
        prop_assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-12);
        let x = beta_quantile(p, a, b);
        prop_assert!((0.0..=1.0).contains(&x));
        prop_assert!((beta_cdf(x, a, b) - p).abs() < 1e-8, "{} for {p} at {x}", beta_cdf(x, a, b));
    }
}
