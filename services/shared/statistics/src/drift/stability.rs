//! The population stability index: how far a distribution moved.
//!
//! The index is Σ (current - baseline) ln(current / baseline) over the shares of each cell. By
//! custom, 0.1 is a change worth a look and 0.25 a large one. Two samples of one distribution have
//! an index above 0 too, by chance; [`Stability::by_chance`] says how much, so that 200 documents
//! do not raise an alarm that only their number makes.

use serde::{Deserialize, Serialize};

use crate::StatisticsError;
use crate::numbers::{require_count, require_equal_lengths, require_finite, to_15_digits};

/// Most cells of a distribution.
pub const MAX_BINS: usize = 1000;

/// Counted in every cell besides its documents, so that an empty cell has a logarithm.
const PSEUDO_COUNT: f64 = 0.5;

/// A distance between two distributions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stability {
    /// The index: 0 or more.
    pub index: f64,
    /// Its expectation if nothing changed: (cells - 1) (1 / baseline + 1 / current).
    pub by_chance: f64,
}

/// The population stability index of counts by cell; both lists in one order of cells.
///
/// # Errors
/// `lengths_differ`; `too_few_values` for less than two cells or a sample without documents.
pub fn population_stability(baseline: &[u64], current: &[u64]) -> Result<Stability, StatisticsError> {
    require_equal_lengths("cells", baseline.len(), current.len())?;
    require_count("cells", baseline.len(), 2)?;
    let cells = baseline.len() as f64;
    let totals = [baseline, current].map(|counts| counts.iter().map(|count| *count as f64).sum::<f64>());
    for total in totals {
        require_count("documents", total as usize, 1)?;
    }
    let share = |count: u64, total: f64| (count as f64 + PSEUDO_COUNT) / (total + PSEUDO_COUNT * cells);
    let terms = baseline.iter().zip(current).map(|(&before, &now)| {
        let (before, now) = (share(before, totals[0]), share(now, totals[1]));
        (now - before) * (now / before).ln()
    });
    let by_chance = (cells - 1.0) * (totals[0].recip() + totals[1].recip());
    Ok(Stability { index: terms.sum::<f64>().max(0.0), by_chance })
}

/// Cells of a numeric feature that have equally many documents of the baseline, as far as equal
/// values allow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bins {
    /// Upper ends of all cells but the last, rising; a value on an end belongs below it.
    edges: Vec<f64>,
    /// Documents of the baseline in each cell.
    baseline: Vec<u64>,
}

impl Bins {
    /// At most `cells` cells for these values; 10 are customary.
    ///
    /// # Errors
    /// `value_not_finite`; `too_few_values` below as many values as cells; `value_out_of_range`
    /// unless there are 2 to [`MAX_BINS`] cells; `figure_undefined` for values that are all alike.
    pub fn of(values: &[f64], cells: usize) -> Result<Self, StatisticsError> {
        if !(2..=MAX_BINS).contains(&cells) {
            let value = cells as f64;
            return Err(StatisticsError::OutOfRange { what: "the number of cells", value, allowed: "from 2 to 1000" });
        }
        require_count("the baseline", values.len(), cells)?;
        require_finite("the baseline", values)?;
        let mut rising = values.to_vec();
        rising.sort_by(f64::total_cmp);
        let largest = rising[rising.len() - 1];
        let edge = |cell: usize| to_15_digits(rising[cell * rising.len() / cells - 1]);
        let mut edges: Vec<f64> = (1..cells).map(edge).filter(|edge| *edge < largest).collect();
        edges.dedup();
        if edges.is_empty() {
            // Most values are the largest: the others make the other cell.
            let below = rising.iter().rev().find(|value| **value < largest);
            edges.extend(below.map(|value| to_15_digits(*value)).filter(|edge| *edge < largest));
        }
        if edges.is_empty() {
            return Err(StatisticsError::Undefined { what: "the cells", why: "the values are all alike" });
        }
        let mut bins = Self { baseline: Vec::new(), edges };
        bins.baseline = bins.counts(values)?;
        Ok(bins)
    }

    /// Documents in each cell.
    ///
    /// # Errors
    /// `value_not_finite`.
    pub fn counts(&self, values: &[f64]) -> Result<Vec<u64>, StatisticsError> {
        require_finite("the feature", values)?;
        let mut counts = vec![0; self.edges.len() + 1];
        for value in values {
            counts[self.edges.partition_point(|edge| edge < value)] += 1;
        }
        Ok(counts)
    }

    /// How far these values are from the baseline.
    ///
    /// # Errors
    /// `value_not_finite`; `too_few_values` without values.
    pub fn stability(&self, values: &[f64]) -> Result<Stability, StatisticsError> {
        population_stability(&self.baseline, &self.counts(values)?)
    }
}

#[cfg(test)]
mod tests;
