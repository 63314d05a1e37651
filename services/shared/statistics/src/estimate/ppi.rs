//! Prediction-powered inference for one mean: PPI++ as in the Python package `ppi_py` 0.2.3.

use crate::numbers::{Confidence, Interval, mean, require_count, require_equal_lengths, require_finite};
use crate::{StatisticsError, special};

/// A deviation of a smaller share of the values is that of rounding.
const ROUNDING: f64 = 1e-12;

/// How far the predictions are trusted: λ of PPI++.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Power {
    /// λ that makes the interval narrowest, between 0 and 1.
    Tuned,
    /// A λ given beforehand: 0 is the labels alone, 1 is inference without power tuning.
    Fixed(f64),
}

/// Labels and predictions of one population. The unlabelled documents are others than the labelled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted<'a> {
    /// What people said of the labelled documents.
    pub labels: &'a [f64],
    /// Predictions of the same documents, in the same order.
    pub predictions: &'a [f64],
    /// Predictions of the unlabelled documents.
    pub unlabelled: &'a [f64],
    /// Weights of the labelled documents, the reciprocals of their probabilities; `None`: equal.
    pub weights: Option<&'a [f64]>,
    /// Weights of the unlabelled documents; `None`: equal.
    pub unlabelled_weights: Option<&'a [f64]>,
}

impl<'a> Predicted<'a> {
    /// A population without weights.
    pub fn new(labels: &'a [f64], predictions: &'a [f64], unlabelled: &'a [f64]) -> Self {
        Self { labels, predictions, unlabelled, weights: None, unlabelled_weights: None }
    }

    /// `fewest`: of labelled and of unlabelled documents.
    fn check(&self, fewest: usize) -> Result<(), StatisticsError> {
        require_equal_lengths("labels and predictions", self.labels.len(), self.predictions.len())?;
        require_count("labels", self.labels.len(), fewest)?;
        require_count("unlabelled predictions", self.unlabelled.len(), fewest)?;
        require_finite("labels", self.labels)?;
        require_finite("predictions", self.predictions)?;
        require_finite("unlabelled predictions", self.unlabelled)?;
        check_weights(self.weights, self.labels.len())?;
        check_weights(self.unlabelled_weights, self.unlabelled.len())
    }
}

fn check_weights(weights: Option<&[f64]>, count: usize) -> Result<(), StatisticsError> {
    let Some(weights) = weights else { return Ok(()) };
    require_equal_lengths("weights and values", weights.len(), count)?;
    require_finite("weights", weights)?;
    if let Some(weight) = weights.iter().find(|weight| **weight <= 0.0) {
        return Err(StatisticsError::OutOfRange { what: "a weight", value: *weight, allowed: "above 0" });
    }
    Ok(())
}

/// Each value times its weight, where weights have the mean 1.
fn weighted(values: impl ExactSizeIterator<Item = f64>, weights: Option<&[f64]>) -> Vec<f64> {
    let Some(weights) = weights else { return values.collect() };
    let scale = weights.len() as f64 / weights.iter().sum::<f64>();
    values.zip(weights).map(|(value, weight)| value * weight * scale).collect()
}

fn mean_of(values: &[f64]) -> f64 {
    mean(values.iter().copied())
}

/// Mean squared deviation from the mean.
fn variance(values: &[f64]) -> f64 {
    let centre = mean_of(values);
    mean(values.iter().map(|value| (value - centre).powi(2)))
}

/// λ: how far the predictions are trusted.
///
/// # Errors
/// As [`ppi_mean`].
pub fn ppi_power(sample: &Predicted<'_>, power: Power) -> Result<f64, StatisticsError> {
    sample.check(1)?;
    match power {
        Power::Fixed(value) if value.is_finite() => Ok(value),
        Power::Fixed(_) => Err(StatisticsError::NotFinite { what: "the power", position: 0 }),
        Power::Tuned => Ok(tuned_power(sample)),
    }
}

/// The λ with the least variance, from deviations from the estimate at λ = 1 as in the package.
fn tuned_power(sample: &Predicted<'_>) -> f64 {
    let (labelled, unlabelled) = (sample.labels.len() as f64, sample.unlabelled.len() as f64);
    let centre = point(sample, 1.0);
    let centred = |values: &[f64], weights| weighted(values.iter().map(|value| value - centre), weights);
    let labels = centred(sample.labels, sample.weights);
    let mut predictions = centred(sample.predictions, sample.weights);
    let (label_mean, prediction_mean) = (mean_of(&labels), mean_of(&predictions));
    let products = labels.iter().zip(&predictions);
    let covariance = mean(products.map(|(label, predicted)| (label - label_mean) * (predicted - prediction_mean)));
    predictions.extend(centred(sample.unlabelled, sample.unlabelled_weights));
    let count = predictions.len() as f64;
    let spread = variance(&predictions) * count / (count - 1.0) * (1.0 + labelled / unlabelled);
    // Predictions that are all alike say nothing.
    if spread > 0.0 { (covariance / spread).clamp(0.0, 1.0) } else { 0.0 }
}

/// The estimate for a given λ.
fn point(sample: &Predicted<'_>, power: f64) -> f64 {
    let pairs = sample.labels.iter().zip(sample.predictions);
    let rectifier = weighted(pairs.map(|(label, predicted)| label - power * predicted), sample.weights);
    let imputed = weighted(sample.unlabelled.iter().map(|predicted| power * predicted), sample.unlabelled_weights);
    mean_of(&imputed) + mean_of(&rectifier)
}

/// The prediction-powered estimate of the labels' mean over the whole population.
///
/// Equal to `ppi_mean_pointestimate`. For a fixed λ the estimate is unbiased, however wrong the
/// predictions are; a tuned λ leaves a bias of order 1 / number of labels.
///
/// # Errors
/// `too_few_values` without labels or unlabelled predictions; `lengths_differ`; `value_not_finite`;
/// `value_out_of_range` for a weight that is not above 0.
pub fn ppi_mean(sample: &Predicted<'_>, power: Power) -> Result<f64, StatisticsError> {
    require_result(point(sample, ppi_power(sample, power)?))
}

/// Refuses what finite values made infinite.
fn require_result(value: f64) -> Result<f64, StatisticsError> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(StatisticsError::Undefined { what: "the estimate", why: "the values are too large to be added up" })
}

/// The prediction-powered confidence interval of the labels' mean over the whole population.
///
/// Equal to `ppi_mean_ci`, which uses the normal distribution: it promises its confidence for many
/// labels, and is too narrow for fewer than about 30. [`crate::estimate::figure`] is for those.
///
/// # Errors
/// As [`ppi_mean`]; `too_few_values` below two labels, whose variance nothing tells;
/// `figure_undefined` for labels that are all alike once their predictions are taken off, where the
/// package's interval would leave out that labels of another kind exist.
pub fn ppi_mean_interval(
    sample: &Predicted<'_>,
    power: Power,
    confidence: Confidence,
) -> Result<Interval, StatisticsError> {
    sample.check(2)?;
    let power = ppi_power(sample, power)?;
    let imputed = weighted(sample.unlabelled.iter().map(|predicted| power * predicted), sample.unlabelled_weights);
    let pairs = sample.labels.iter().zip(sample.predictions);
    let rectifier = weighted(pairs.map(|(label, predicted)| label - power * predicted), sample.weights);
    let of_labels = variance(&rectifier) / rectifier.len() as f64;
    let largest = rectifier.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if of_labels.sqrt() <= ROUNDING * largest {
        return Err(StatisticsError::Undefined { what: "the interval", why: "the labels are all alike" });
    }
    let variance = variance(&imputed) / imputed.len() as f64 + of_labels;
    let margin = special::normal_quantile(1.0 - 0.5 * confidence.error()) * variance.sqrt();
    let centre = require_result(mean_of(&imputed) + mean_of(&rectifier))?;
    Ok(Interval::around(centre, require_result(margin)?))
}

#[cfg(test)]
mod tests;
