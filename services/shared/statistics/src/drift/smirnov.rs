//! The two-sample Kolmogorov-Smirnov test of a numeric feature.

mod distribution;

use super::Comparison;
use crate::StatisticsError;
use crate::numbers::{require_count, require_finite};

/// Whether two samples come from one distribution, by the largest distance of their distribution
/// functions.
///
/// Equal to scipy's `ks_2samp(method="asymp")`: the p-value is that of one sample of the harmonic
/// size m n / (m + n). For samples below about 30 it is an approximation. Time n log n.
///
/// # Errors
/// `value_not_finite`; `too_few_values` for a sample without values.
pub fn kolmogorov_smirnov(baseline: &[f64], current: &[f64]) -> Result<Comparison, StatisticsError> {
    for (what, values) in [("the baseline", baseline), ("the current values", current)] {
        require_count(what, values.len(), 1)?;
        require_finite(what, values)?;
    }
    let statistic = distance(baseline, current);
    let (left, right) = (baseline.len() as f64, current.len() as f64);
    let size = (left * right / (left + right)).round_ties_even().max(1.0);
    Ok(Comparison { statistic, p_value: distribution::survival(size, statistic) })
}

/// The largest distance of the samples' distribution functions.
fn distance(left: &[f64], right: &[f64]) -> f64 {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (left, right) = (sorted(left), sorted(right));
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while i < left.len() && j < right.len() {
        let value = left[i].min(right[j]);
        // Equal values of both samples are one step of both functions.
        i += left[i..].iter().take_while(|other| **other <= value).count();
        j += right[j..].iter().take_while(|other| **other <= value).count();
        largest = largest.max((i as f64 / left.len() as f64 - j as f64 / right.len() as f64).abs());
    }
    largest
}

#[cfg(test)]
mod tests;
