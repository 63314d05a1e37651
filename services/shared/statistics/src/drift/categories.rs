//! Counts by category: one order for both samples, and whether chance explains their difference.

use std::collections::BTreeMap;

use super::Comparison;
use crate::numbers::{require_count, require_equal_lengths};
use crate::{StatisticsError, special};

/// The counts of both samples in one order: that of the categories' names, a category without
/// documents in one of them counting 0.
pub fn align(baseline: &BTreeMap<String, u64>, current: &BTreeMap<String, u64>) -> (Vec<u64>, Vec<u64>) {
    let mut both: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (name, count) in baseline {
        both.entry(name).or_default().0 += count;
    }
    for (name, count) in current {
        both.entry(name).or_default().1 += count;
    }
    both.into_values().unzip()
}

/// Pearson's chi-square test of whether two samples have the same shares by category.
///
/// Equal to scipy's `chi2_contingency(correction=False)`. A category in which neither sample has a
/// document is left out. Where most categories expect fewer than five documents, the p-value is an
/// approximation that is too small; put rare categories together.
///
/// # Errors
/// `lengths_differ`; `too_few_values` for less than two categories with documents, or a sample
/// without documents.
pub fn chi_square(baseline: &[u64], current: &[u64]) -> Result<Comparison, StatisticsError> {
    require_equal_lengths("categories", baseline.len(), current.len())?;
    let cells: Vec<[f64; 2]> = baseline
        .iter()
        .zip(current)
        .filter(|(before, now)| **before > 0 || **now > 0)
        .map(|(before, now)| [*before as f64, *now as f64])
        .collect();
    require_count("categories", cells.len(), 2)?;
    let totals = [0, 1].map(|sample| cells.iter().map(|cell| cell[sample]).sum::<f64>());
    for total in totals {
        require_count("documents", total as usize, 1)?;
    }
    let mut statistic = 0.0;
    for cell in &cells {
        let share = (cell[0] + cell[1]) / (totals[0] + totals[1]);
        for (count, total) in cell.iter().zip(totals) {
            statistic += (count - share * total).powi(2) / (share * total);
        }
    }
    Ok(Comparison { statistic, p_value: special::chi_square_sf(statistic, cells.len() as f64 - 1.0) })
}

#[cfg(test)]
mod tests;
