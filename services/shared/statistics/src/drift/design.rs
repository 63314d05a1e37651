//! Threshold and slack of a CUSUM for a wanted false-alarm rate.
//!
//! Siegmund's approximation (Sequential Analysis, 1985) for increments of mean d and deviation 1,
//! with b = threshold + 1.166 for the overshoot:
//!
//! ```text
//! run length = (exp(-2 d b) + 2 d b - 1) / (2 d²)
//! ```
//!
//! Two things make the true run length of a quiet series shorter than the formula's, and both are
//! allowed for here:
//!
//! - **Bad values lie far off.** A quality index has a long lower tail. 2 |d| is the exponent r
//!   with E exp(r increment) = 1 for normal increments; here r is that of the third-order expansion
//!   with the baseline's skewness, d + r / 2 + skewness r² / 6 = 0.
//! - **The baseline's mean is an estimate.** Were it too high by a tenth of a deviation, a quiet
//!   series would look like a falling one. So the sum starts from the worst mean that the baseline
//!   allows at 95 %. A short baseline thereby makes the test slower, never louder.

use serde::{Deserialize, Serialize};

use super::Baseline;
use crate::numbers::{require_positive, to_15_digits};
use crate::{StatisticsError, special};

/// Mean overshoot of both ends of a walk with normal steps: 2 × 0.583.
const OVERSHOOT: f64 = 1.166;

/// Confidence that the quiet mean is not worse than what the test allows.
const MEAN_CONFIDENCE: f64 = 0.95;

/// Which way is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Lower values are worse, as of quality.
    Fall,
    /// Higher values are worse, as of cost or unsupported facts.
    Rise,
}

/// What is to be found, and how seldom to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Which way is worse.
    pub direction: Direction,
    /// Change of the mean that is to be found, as a share of the baseline's mean: 0.05.
    pub change: f64,
    /// Average documents between false alarms of a quiet series.
    pub documents_between_false_alarms: f64,
}

/// A CUSUM's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Design {
    /// What it was made for.
    pub target: Target,
    /// The value that leaves the sum as it is, in the values' unit: midway between the quiet mean,
    /// as bad as the baseline allows, and the changed one.
    pub origin: f64,
    /// Standard deviation of the values, in their unit.
    pub deviation: f64,
    /// By how much the sum of a changed series grows with each document, and that of a quiet series
    /// shrinks, in deviations.
    pub slack: f64,
    /// The sum at which there is an alarm, in deviations.
    pub threshold: f64,
}

impl Design {
    /// The design that finds the target's change soonest at its false-alarm rate.
    ///
    /// # Errors
    /// `value_out_of_range` for a target or baseline that is not above 0; `too_few_values` for a
    /// baseline too short to tell the change from an error of its own mean, with the number that
    /// would do.
    pub fn new(baseline: &Baseline, target: &Target) -> Result<Self, StatisticsError> {
        require_positive("the change", target.change)?;
        require_positive("the documents between false alarms", target.documents_between_false_alarms)?;
        require_positive("the baseline's mean", baseline.mean)?;
        require_positive("the baseline's deviation", baseline.deviation)?;
        require_positive("the baseline's count", baseline.count as f64)?;
        let skewness = match target.direction {
            Direction::Fall => -baseline.skewness,
            Direction::Rise => baseline.skewness,
        };
        if !skewness.is_finite() {
            return Err(StatisticsError::NotFinite { what: "the baseline's skewness", position: 0 });
        }
        let shift = target.change * baseline.mean / baseline.deviation;
        require_positive("the change in deviations", shift)?;
        let z = special::normal_quantile(MEAN_CONFIDENCE);
        let guard = z / (baseline.count as f64).sqrt();
        if guard > 0.5 * shift {
            let needed = (2.0 * z / shift).powi(2).ceil() as usize;
            let found = usize::try_from(baseline.count).unwrap_or(usize::MAX);
            return Err(StatisticsError::TooFew { what: "the baseline", found, needed });
        }
        let slack = 0.5 * (shift - guard);
        let sum_limit = limit(slack, exponent(slack, skewness.max(0.0)), target.documents_between_false_alarms);
        let away = (guard + slack) * baseline.deviation;
        let origin = match target.direction {
            Direction::Fall => baseline.mean - away,
            Direction::Rise => baseline.mean + away,
        };
        Ok(Self {
            target: *target,
            origin: to_15_digits(origin),
            deviation: to_15_digits(baseline.deviation),
            slack: to_15_digits(slack),
            threshold: to_15_digits((sum_limit - OVERSHOOT).max(0.5)),
        })
    }

    /// Average documents until the alarm after a change as large as the target's.
    pub fn documents_to_alarm(&self) -> f64 {
        run_length(self.slack, self.threshold)
    }

    /// Probability that a change as large as the target's is found within so many documents.
    ///
    /// The first passage of Brownian motion with the sum's drift, from a sum of 0: the worst case.
    pub fn probability_found_within(&self, documents: f64) -> f64 {
        if documents <= 0.0 {
            return 0.0;
        }
        let (drift, limit, spread) = (self.slack, self.threshold + OVERSHOOT, documents.sqrt());
        let direct = special::normal_cdf((drift * documents - limit) / spread);
        let mirrored = special::normal_cdf((-drift * documents - limit) / spread);
        // The second factor vanishes faster than the first grows.
        let reflected = if mirrored > 0.0 { ((2.0 * drift * limit) + mirrored.ln()).exp() } else { 0.0 };
        (direct + reflected).min(1.0)
    }
}

/// Siegmund's average number of documents until the sum reaches the threshold; `drift`: mean
/// increment, in deviations.
fn run_length(drift: f64, threshold: f64) -> f64 {
    let limit = threshold + OVERSHOOT;
    let product = 2.0 * drift * limit;
    if product.abs() < 1e-4 {
        return limit * limit;
    }
    ((-product).exp() + product - 1.0) / (2.0 * drift * drift)
}

/// The r with E exp(r increment) = 1 for increments of mean -`slack`, variance 1 and this skewness,
/// which is at least 0.
fn exponent(slack: f64, skewness: f64) -> f64 {
    // The root of skewness r²/6 + r/2 - slack, in the form without cancellation.
    4.0 * slack / (1.0 + (1.0 + 8.0 * slack * skewness / 3.0).sqrt())
}

/// The limit b at which a quiet series has this run length: (exp(r b) - 1 - r b) / (r slack).
fn limit(slack: f64, exponent: f64, documents: f64) -> f64 {
    let wanted = documents * exponent * slack;
    // exp(x) - 1 - x grows with x, and is `wanted` below ln(wanted + 1) + 2 or √(2 wanted).
    let (mut low, mut high) = (0.0, (wanted + 1.0).ln() + (2.0 * wanted).sqrt().min(4.0) + 1.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if libm::expm1(middle) - middle < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    high / exponent
}

#[cfg(test)]
mod tests;
