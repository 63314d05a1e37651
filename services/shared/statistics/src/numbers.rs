//! Checked numbers, means and intervals.

use serde::{Deserialize, Serialize};

use crate::StatisticsError;

/// The probability with which a statement holds: more than 0, less than 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Confidence(f64);

impl Confidence {
    /// 95 %: what figures are shown with.
    pub const NINETY_FIVE_PERCENT: Self = Self(0.95);

    /// A confidence of `value`.
    ///
    /// # Errors
    /// `value_out_of_range` unless 0 < `value` < 1.
    pub fn new(value: f64) -> Result<Self, StatisticsError> {
        if value > 0.0 && value < 1.0 {
            return Ok(Self(value));
        }
        Err(StatisticsError::OutOfRange { what: "the confidence", value, allowed: "between 0 and 1" })
    }

    /// The probability as a number.
    pub fn value(self) -> f64 {
        self.0
    }

    /// The probability that the statement fails.
    pub fn error(self) -> f64 {
        1.0 - self.0
    }
}

impl TryFrom<f64> for Confidence {
    type Error = StatisticsError;

    fn try_from(value: f64) -> Result<Self, StatisticsError> {
        Self::new(value)
    }
}

impl From<Confidence> for f64 {
    fn from(confidence: Confidence) -> Self {
        confidence.0
    }
}

/// A range of values, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Everything that a score can be: nothing is known.
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };

    /// `margin` around `centre`.
    pub(crate) fn around(centre: f64, margin: f64) -> Self {
        Self { low: centre - margin, high: centre + margin }
    }

    /// The part of the interval that a score can have.
    pub(crate) fn within_unit(self) -> Self {
        Self { low: self.low.clamp(0.0, 1.0), high: self.high.clamp(0.0, 1.0) }
    }

    /// Upper end less lower end.
    pub fn width(&self) -> f64 {
        self.high - self.low
    }

    /// Whether `value` is in the interval.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// Refuses NaN and infinities.
pub(crate) fn require_finite(what: &'static str, values: &[f64]) -> Result<(), StatisticsError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(position) => Err(StatisticsError::NotFinite { what, position }),
        None => Ok(()),
    }
}

/// Refuses fewer than `needed` values.
pub(crate) fn require_count(what: &'static str, found: usize, needed: usize) -> Result<(), StatisticsError> {
    if found < needed {
        return Err(StatisticsError::TooFew { what, found, needed });
    }
    Ok(())
}

/// Refuses lists of different lengths.
pub(crate) fn require_equal_lengths(what: &'static str, left: usize, right: usize) -> Result<(), StatisticsError> {
    if left != right {
        return Err(StatisticsError::LengthsDiffer { what, left, right });
    }
    Ok(())
}

/// Refuses what is not between 0 and 1, both included; NaN too.
pub(crate) fn require_unit(what: &'static str, value: f64) -> Result<(), StatisticsError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(StatisticsError::OutOfRange { what, value, allowed: "from 0 to 1" })
}

/// Refuses what is not more than 0 and finite.
pub(crate) fn require_positive(what: &'static str, value: f64) -> Result<(), StatisticsError> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(StatisticsError::OutOfRange { what, value, allowed: "a number above 0" })
}

/// The arithmetic mean; 0 of nothing.
pub(crate) fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    if count == 0 { 0.0 } else { values.sum::<f64>() / count as f64 }
}

/// The nearest number of 15 significant decimal digits, which every JSON reader reads back exactly.
///
/// `serde_json` reads more digits with an error in the last bit, unless it was built with
/// `float_roundtrip`.
pub(crate) fn to_15_digits(value: f64) -> f64 {
    format!("{value:.14e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests;
