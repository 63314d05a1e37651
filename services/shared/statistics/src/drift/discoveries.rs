//! Many tests at once: Benjamini and Hochberg's control of false discoveries.

use crate::StatisticsError;
use crate::numbers::require_unit;

/// The p-values adjusted for their number (Benjamini and Hochberg 1995), in their order.
///
/// Of the tests whose adjusted value is at most q, a share of at most q is expected to be false.
/// Equal to scipy's `false_discovery_control`.
///
/// # Errors
/// `value_out_of_range` for a p-value outside of 0 to 1.
pub fn adjusted(p_values: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    for value in p_values {
        require_unit("a p-value", *value)?;
    }
    let mut falling: Vec<usize> = (0..p_values.len()).collect();
    falling.sort_by(|&a, &b| p_values[b].total_cmp(&p_values[a]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least: f64 = 1.0;
    for (position, index) in falling.into_iter().enumerate() {
        let rank = p_values.len() - position;
        least = least.min(p_values[index] * p_values.len() as f64 / rank as f64);
        adjusted[index] = least;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests;
