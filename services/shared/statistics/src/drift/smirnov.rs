//! The two-sample Kolmogorov-Smirnov test of a numeric feature.

mod distribution;

use super::Comparison;
use crate::StatisticsError;
use crate::numbers::{require_count, require_equal_lengths, require_finite};

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
    Ok(compare(statistic, baseline.len() as f64, current.len() as f64))
}

/// The same test of counts by cell, both lists in one rising order of cells.
///
/// What differs within a cell alone is not seen: the p-value is that of the values themselves, or
/// larger.
///
/// # Errors
/// `lengths_differ`; `too_few_values` for a sample without documents.
pub fn kolmogorov_smirnov_of_counts(baseline: &[u64], current: &[u64]) -> Result<Comparison, StatisticsError> {
    require_equal_lengths("cells", baseline.len(), current.len())?;
    let totals = [baseline, current].map(|counts| counts.iter().map(|count| *count as f64).sum::<f64>());
    for total in totals {
        require_count("documents", total as usize, 1)?;
    }
    let (mut below, mut largest) = ([0.0; 2], 0.0_f64);
    for (before, now) in baseline.iter().zip(current) {
        below[0] += *before as f64;
        below[1] += *now as f64;
        largest = largest.max((below[0] / totals[0] - below[1] / totals[1]).abs());
    }
    Ok(compare(largest, totals[0], totals[1]))
}

fn compare(statistic: f64, left: f64, right: f64) -> Comparison {
    let size = (left * right / (left + right)).round_ties_even().max(1.0);
    Comparison { statistic, p_value: distribution::survival(size, statistic) }
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
