//! Means of values from 0 to 1 and their differences, with intervals.
//!
//! The intervals are Student's, and Welch's for a difference (Biometrika 1947): the samples may
//! have different variances. Values that are all alike have no variance, and that proves no
//! certainty: the interval then allows for as many values of another kind as such a sample could
//! have missed, as [`crate::estimate::figure`] does.

use serde::{Deserialize, Serialize};

use crate::numbers::{Confidence, Interval, require_count, require_unit};
use crate::{StatisticsError, special};

/// Values with less variance are all alike.
const NO_VARIANCE: f64 = 1e-12;

/// Count, mean and variance of values from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Values.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Their squared distances from the mean, added up and divided by the count less one.
    pub variance: f64,
}

/// Two samples of one kind of document, to be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The share that this kind has in the difference: the weights of all pairs make 1.
    pub weight: f64,
    /// The sample that is compared with.
    pub from: Sample,
    /// The other one.
    pub to: Sample,
}

/// How far one mean is from another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The second mean less the first.
    pub value: f64,
    /// Where the true difference lies.
    pub interval: Interval,
}

/// Variances of independent means that add up, with their degrees of freedom.
#[derive(Default)]
struct Sum {
    variance: f64,
    by_freedom: f64,
    /// What samples whose values are all alike may have missed.
    missed: f64,
}

impl Sum {
    fn add(&mut self, weight: f64, sample: &Sample, confidence: Confidence) -> Result<(), StatisticsError> {
        require_count("the sample", usize::try_from(sample.count).unwrap_or(usize::MAX), 2)?;
        require_unit("the sample's mean", sample.mean)?;
        require_unit("the sample's variance", sample.variance)?;
        let count = sample.count as f64;
        if sample.variance < NO_VARIANCE {
            self.missed += weight * (1.0 - (0.5 * confidence.error()).powf(1.0 / count));
            return Ok(());
        }
        let part = weight.powi(2) * sample.variance / count;
        self.variance += part;
        self.by_freedom += part.powi(2) / (count - 1.0);
        Ok(())
    }

    fn margin(&self, confidence: Confidence) -> f64 {
        // Below it the square of the variance has no digits.
        if self.variance < 1e-100 {
            return self.missed;
        }
        let freedom = self.variance.powi(2) / self.by_freedom;
        special::student_two_sided_quantile(confidence.value(), freedom) * self.variance.sqrt() + self.missed
    }
}

impl Sample {
    /// Where the mean of all such values lies, of which these are a sample.
    ///
    /// # Errors
    /// `too_few_values` below two values; `value_out_of_range` for a mean or variance outside of 0
    /// to 1.
    pub fn interval(&self, confidence: Confidence) -> Result<Interval, StatisticsError> {
        let mut sum = Sum::default();
        sum.add(1.0, self, confidence)?;
        Ok(Interval::around(self.mean, sum.margin(confidence)).within_unit())
    }
}

/// How far the means of the pairs are apart, weighted: with one pair of weight 1, two means.
///
/// With a pair for each kind of document, weighted by the kinds' shares in the first samples, the
/// difference is what is left when the mix is held fixed.
///
/// # Errors
/// `too_few_values` without pairs, or for a sample of less than two values; `value_out_of_range`
/// for a weight, mean or variance outside of 0 to 1.
pub fn difference(pairs: &[Pair], confidence: Confidence) -> Result<Difference, StatisticsError> {
    require_count("the samples to compare", pairs.len(), 1)?;
    let mut sum = Sum::default();
    let mut value = 0.0;
    for pair in pairs {
        require_unit("the weight", pair.weight)?;
        sum.add(pair.weight, &pair.from, confidence)?;
        sum.add(pair.weight, &pair.to, confidence)?;
        value += pair.weight * (pair.to.mean - pair.from.mean);
    }
    let Interval { low, high } = Interval::around(value, sum.margin(confidence));
    Ok(Difference { value, interval: Interval { low: low.max(-1.0), high: high.min(1.0) } })
}

#[cfg(test)]
mod tests;
