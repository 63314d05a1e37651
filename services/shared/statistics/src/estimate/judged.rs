//! The judge's mean over all documents, of those that it scored and the index on all.
//!
//! For views that keep sums instead of documents. A judge scored a sample; the i-th document was
//! chosen with a known probability p, and w = 1 / p. The index x is known of every document, and
//! its mean X over all N of them. With means over the sample in which each document counts w times,
//! the estimate of the mean of the judge's scores z is
//!
//! ```text
//! mean of z  +  β (X - mean of x)
//! ```
//!
//! This is prediction-powered inference with the index as the prediction, and the difference
//! estimator of survey sampling with Hájek's weights (Särndal, Swensson and Wretman 1992, 6.3 and
//! 5.7).
//!
//! **Why the index may be biased.** The mean of x over the sample and X have one expectation. So
//! the second term is 0 on average, whatever the index is worth and for any β given beforehand; it
//! takes off what the sample by chance has too many good or bad documents. A β that is estimated
//! leaves a bias of order 1/n, as in [`crate::estimate`].
//!
//! **Variance.** Let e = z - βx, about its mean. A document of the population contributes (I w e +
//! β x) / N, x about its mean, and I being 1 where it was chosen. Documents are chosen one by one,
//! so the variance is that of this contribution, divided by N. E(I w) is 1 and E(I w²) is w, thus
//! it is the mean over the population of
//!
//! ```text
//! w e² + 2β e x + β² x²  =  w z² - 2β (w - 1) z x + β² (w - 1) x²
//! ```
//!
//! A mean over the population is estimated by one over the sample, each document w times. With
//! W = Σ w and sums over the sample, about the weighted means, the estimate of the variance is
//!
//! ```text
//! (Σ w² z²  -  2β Σ w(w-1) z x  +  β² Σ w(w-1) x²) / W²
//! ```
//!
//! **Power tuning** (PPI++, arXiv 2311.01453): β = Σ w(w-1) z x / Σ w(w-1) x² makes it least. It is
//! never more than that of the judge's sample alone, which is β = 0. Where every document was
//! judged, the index adds nothing, and β is 0.
//!
//! The truth is the mean over all documents such as these, as with the intervals of
//! [`crate::means`], not over these N alone.
//!
//! **Failures.** A judge that was asked and failed is no score. Where the share f of what was
//! asked, by weight, failed, a document is judged with the probability p (1 - f), so w - 1 becomes
//! w - (1 - f). That holds if failing has nothing to do with quality within the group; nothing in
//! the sample can tell.
//!
//! **Degrees of freedom.** The sample counts as W² / Σ w² documents (Kish 1965): less where weights
//! differ. One less for the mean and one for β are left to Student's t.
//!
//! **Documents that are never chosen.** The sum of w over what was asked estimates N. Where it is
//! off by more than chance makes it, some of the N documents could not have been chosen: on a day
//! before judging was switched on, or of a type at the rate 0. X is of other documents then, so the
//! estimate is that of the judge's sample alone, for the share that it stands for
//! ([`JudgedMean::covered`]).

use crate::means::Sample;
use crate::numbers::{Confidence, Interval, require_positive, require_unit};
use crate::{StatisticsError, special};

/// Fewest judged documents, less for unequal weights, of which an estimate is made.
pub const MIN_JUDGED: usize = 30;

/// Standard deviations that the estimated number of documents may be off by chance.
const MAX_DEVIATIONS: f64 = 3.0;

/// The share by which it may be off besides: a summary is judged a little later than it was
/// written, so the ends of a window have other documents.
const MAX_SHIFT: f64 = 0.02;

/// Scores with less variance are all alike.
const NO_VARIANCE: f64 = 1e-12;

/// Sums of products of the judge's score z and the index x, each about its weighted mean.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Products {
    /// Of z and z.
    pub judge: f64,
    /// Of z and x.
    pub both: f64,
    /// Of x and x.
    pub index: f64,
}

/// Sums over the documents that were chosen; w is the reciprocal of a document's probability.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct JudgedSample {
    /// Documents that were judged.
    pub documents: u64,
    /// Σ w over them.
    pub weight: f64,
    /// Σ w² over them.
    pub squared_weight: f64,
    /// Mean of the judge's scores, 0 to 1, each counted w times.
    pub judge: f64,
    /// Mean of their index, 0 to 1, each counted w times.
    pub index: f64,
    /// Products, each counted w times.
    pub weighted: Products,
    /// Products, each counted w² times.
    pub squared: Products,
    /// Σ w over all that were chosen, with those that the judge failed on.
    pub asked_weight: f64,
    /// Σ w² over these.
    pub asked_squared_weight: f64,
}

/// The mean of the judge's scores over all documents, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgedMean {
    /// The estimate, 0 to 1.
    pub value: f64,
    /// Where the mean lies.
    pub interval: Interval,
    /// The interval of the judge's sample alone, to tell what the index is worth.
    pub judge_alone: Interval,
    /// β: how far the index is trusted; 0 where it is not used.
    pub index_trust: f64,
    /// Share of the documents that the estimate stands for.
    pub covered: f64,
}

/// Estimates the mean of the judge's scores over all documents.
///
/// `all`: count and mean of the index of all documents of the group.
///
/// # Errors
/// `too_few_values` where the sample counts as less than [`MIN_JUDGED`] documents, with the number
/// that would do; `value_out_of_range` for means outside of 0 to 1 and weights that are none.
pub fn judged_mean(sample: &JudgedSample, all: &Sample, confidence: Confidence) -> Result<JudgedMean, StatisticsError> {
    let effective = effective_documents(sample)?;
    require_unit("the judge's mean", sample.judge)?;
    require_unit("the index's mean", sample.index)?;
    require_unit("the index's mean over all", all.mean)?;
    let (covered, is_same_population) = coverage(sample, all);
    let alone = Estimator { sample, effective, trust: 0.0 };
    let tuned = Estimator { trust: if is_same_population { trust(sample) } else { 0.0 }, ..alone };
    let value = sample.judge + tuned.trust * (all.mean - sample.index);
    Ok(JudgedMean {
        value: value.clamp(0.0, 1.0),
        interval: tuned.interval(value, confidence),
        judge_alone: alone.interval(sample.judge, confidence),
        index_trust: tuned.trust,
        covered,
    })
}

/// As how many documents of equal weights the sample counts.
fn effective_documents(sample: &JudgedSample) -> Result<f64, StatisticsError> {
    let found = usize::try_from(sample.documents).unwrap_or(usize::MAX);
    if found == 0 {
        return Err(StatisticsError::TooFew { what: "judged documents", found, needed: MIN_JUDGED });
    }
    require_positive("the sum of weights", sample.weight)?;
    require_positive("the sum of squared weights", sample.squared_weight)?;
    let effective = sample.weight.powi(2) / sample.squared_weight;
    // Equal weights leave the rounding of a quotient.
    if effective < MIN_JUDGED as f64 - 1e-6 {
        let needed = (found as f64 * MIN_JUDGED as f64 / effective).ceil() as usize;
        return Err(StatisticsError::TooFew { what: "judged documents", found, needed: needed.max(MIN_JUDGED) });
    }
    Ok(effective)
}

/// The share of all documents that could have been chosen, and whether that is all of them.
fn coverage(sample: &JudgedSample, all: &Sample) -> (f64, bool) {
    let documents = all.count as f64;
    if documents <= 0.0 {
        return (0.0, false);
    }
    let deviation = (sample.asked_squared_weight - sample.asked_weight).max(0.0).sqrt();
    let tolerance = (MAX_DEVIATIONS * deviation).max(MAX_SHIFT * documents);
    let is_all = (sample.asked_weight - documents).abs() <= tolerance;
    (if is_all { 1.0 } else { (sample.asked_weight / documents).min(1.0) }, is_all)
}

/// Σ w (w - 1 + f) of products.
fn by_choice(sample: &JudgedSample, of: impl Fn(&Products) -> f64) -> f64 {
    let answered = (sample.weight / sample.asked_weight.max(sample.weight)).min(1.0);
    of(&sample.squared) - answered * of(&sample.weighted)
}

/// The β of the least variance.
fn trust(sample: &JudgedSample) -> f64 {
    let index = by_choice(sample, |products| products.index);
    // Rounding alone, or an index that is the same everywhere.
    if index <= NO_VARIANCE * sample.squared_weight { 0.0 } else { by_choice(sample, |products| products.both) / index }
}

/// The estimator with one β.
#[derive(Clone, Copy)]
struct Estimator<'a> {
    sample: &'a JudgedSample,
    effective: f64,
    trust: f64,
}

impl Estimator<'_> {
    fn interval(&self, value: f64, confidence: Confidence) -> Interval {
        let Self { sample, effective, trust } = *self;
        let (both, index) = (by_choice(sample, |products| products.both), by_choice(sample, |products| products.index));
        let products = (sample.squared.judge - 2.0 * trust * both + trust.powi(2) * index).max(0.0);
        if products <= NO_VARIANCE * sample.squared_weight {
            // Scores that are all alike, or wholly predicted, prove no certainty: see `means`.
            let missed = 1.0 - (0.5 * confidence.error()).powf(1.0 / effective);
            return Interval::around(value, missed).within_unit();
        }
        let freedom = effective - if trust == 0.0 { 1.0 } else { 2.0 };
        let variance = products / sample.weight.powi(2) * effective / freedom;
        let margin = special::student_two_sided_quantile(confidence.value(), freedom) * variance.sqrt();
        Interval::around(value, margin).within_unit()
    }
}

#[cfg(test)]
mod tests;
