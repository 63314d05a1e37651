//! What a series was like when nothing was wrong.

use serde::{Deserialize, Serialize};

use crate::StatisticsError;
use crate::numbers::{mean, require_count, require_finite, to_15_digits};

/// Fewest documents of a baseline: the deviation of fewer is known to no better than a tenth.
pub const MIN_BASELINE: usize = 50;

/// Count, mean, standard deviation and skewness of a quiet series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Documents.
    pub count: u64,
    /// Mean of the values, in their unit.
    pub mean: f64,
    /// Standard deviation of the values, in their unit.
    pub deviation: f64,
    /// Third standardised moment: below 0 where bad values lie far off.
    pub skewness: f64,
}

impl Baseline {
    /// The baseline of these values.
    ///
    /// # Errors
    /// `too_few_values` below [`MIN_BASELINE`]; `value_not_finite`; `figure_undefined` for values
    /// that are all alike, beside which everything is a change.
    pub fn of(values: &[f64]) -> Result<Self, StatisticsError> {
        require_count("the baseline", values.len(), MIN_BASELINE)?;
        require_finite("the baseline", values)?;
        let centre = mean(values.iter().copied());
        let moment = |power: i32| mean(values.iter().map(|value| (value - centre).powi(power)));
        let count = values.len() as f64;
        let deviation = (moment(2) * count / (count - 1.0)).sqrt();
        // A mean that is rounded leaves a little: nothing beside the values.
        if deviation <= centre.abs() * 1e-12 || !deviation.is_normal() {
            return Err(StatisticsError::Undefined {
                what: "the baseline's deviation",
                why: "its values are all alike",
            });
        }
        let skewness = moment(3) / moment(2).powf(1.5);
        if !skewness.is_finite() {
            let why = "its values are too far apart or too near";
            return Err(StatisticsError::Undefined { what: "the baseline's skewness", why });
        }
        Ok(Self {
            count: values.len() as u64,
            mean: to_15_digits(centre),
            deviation: to_15_digits(deviation),
            skewness: to_15_digits(skewness),
        })
    }
}

#[cfg(test)]
mod tests;
