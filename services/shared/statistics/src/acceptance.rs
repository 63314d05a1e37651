//! Acceptance with a guarantee: the threshold of a check, chosen from labels.
//!
//! A summary is accepted if its score is at least the threshold. [`calibrate`] looks for the lowest
//! threshold of a given sequence at which the risk is at most `limit` with the stated confidence:
//! over repeated sets of labels, the chosen threshold exceeds the limit in at most 1 - confidence
//! of them. The choice itself is covered, not only a single threshold's bound.
//!
//! The method is Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052) with fixed-sequence
//! testing. Thresholds are tested from the strictest to the loosest, each by the exact binomial
//! test, which is Clopper and Pearson's upper bound at that confidence. The first threshold that
//! fails ends the search. The first threshold that is truly too loose passes with probability at
//! most 1 - confidence, and nothing beyond it is tested unless it passes; so no correction for the
//! number of thresholds is needed, and the risk need not grow with the threshold.
//!
//! **The sequence must not be made from the labels.** [`sequence`] makes it from the scores of
//! traffic without labels.
//!
//! **The labels must be a uniform sample** of the documents that the threshold will be used on,
//! with the same tier, type, model and prompt. Labels of other rates belong in calibrations of
//! their own.
//!
//! Conformal risk control (arXiv 2208.02814) is left out: it bounds the mean risk over sets of
//! labels, says nothing about this one, and needs a risk that grows as the threshold falls.

mod proportion;

use serde::{Deserialize, Serialize};

use crate::numbers::{Confidence, require_finite};
use crate::{StatisticsError, special};

pub use proportion::{proportion_interval, proportion_upper_bound};

/// What must stay rare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// The share of bad summaries among those that are accepted: what a reader meets.
    BadAmongAccepted,
    /// The share of all summaries that are bad and accepted; at most the former.
    BadAndAccepted,
}

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// What must stay rare.
    pub risk: Risk,
    /// Its highest share, α: more than 0, less than 1.
    pub limit: f64,
    /// The probability that the promise holds, 1 - δ.
    pub confidence: Confidence,
}

impl Target {
    fn check(&self) -> Result<(), StatisticsError> {
        if self.limit > 0.0 && self.limit < 1.0 {
            return Ok(());
        }
        Err(StatisticsError::OutOfRange { what: "the limit", value: self.limit, allowed: "between 0 and 1" })
    }

    /// Whether so few bad ones among so many prove that the risk is at most the limit.
    fn is_met(&self, bad: u64, trials: u64) -> bool {
        trials > 0 && special::binomial_cdf(bad, trials, self.limit) <= self.confidence.error()
    }
}

/// A person's verdict on a summary, with the check's score of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    /// The check's score; higher is better.
    pub score: f64,
    /// Whether the summary is good.
    pub good: bool,
}

/// A threshold, with what proves it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Summaries of this score and above may be accepted.
    pub threshold: f64,
    /// What is promised.
    pub target: Target,
    /// Labels in all.
    pub labels: u64,
    /// Labels at or above the threshold.
    pub accepted: u64,
    /// Bad summaries among the accepted.
    pub bad: u64,
    /// Upper bound of the risk at the target's confidence: at most the limit.
    pub upper_bound: f64,
}

/// The outcome of a calibration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// The lowest threshold that is proven.
    Certified(Certificate),
    /// Not even the strictest threshold is proven; the old one stays.
    Unproven {
        /// Labels that counted: at or above the strictest threshold, or all.
        labels: u64,
        /// Bad summaries among them.
        bad: u64,
        /// How many more such labels would prove the strictest threshold, if all of them were
        /// good.
        missing: u64,
    },
}

/// Most thresholds of a sequence that [`sequence`] makes.
pub const MAX_THRESHOLDS: usize = 1000;

/// How many times the least number of labels the strictest threshold of a sequence leaves: with the
/// least number itself, one bad label would end the search at once.
const FIRST_STEP: f64 = 2.0;

/// Thresholds from strict to loose, for `labels` labels of documents like those of `traffic`.
///
/// `traffic`: scores of documents without regard to their labels, for example all of a month.
/// Thresholds are quantiles of it, at equal steps. The first is as strict as it may be while enough
/// labels for a proof are expected above it; the last accepts all of the traffic.
///
/// # Errors
/// `value_not_finite`, `too_few_values` without traffic; `value_out_of_range` for a limit outside
/// of 0 to 1.
pub fn sequence(traffic: &[f64], labels: usize, steps: usize, target: &Target) -> Result<Vec<f64>, StatisticsError> {
    target.check()?;
    require_finite("the traffic's scores", traffic)?;
    crate::numbers::require_count("the traffic's scores", traffic.len(), 1)?;
    let mut falling = traffic.to_vec();
    falling.sort_by(|a, b| b.total_cmp(a));
    let first = match target.risk {
        Risk::BadAmongAccepted => (FIRST_STEP * labels_needed(0, target)? as f64 / labels.max(1) as f64).min(1.0),
        // A strict threshold has little risk whatever it accepts.
        Risk::BadAndAccepted => 0.0,
    };
    let steps = steps.clamp(1, MAX_THRESHOLDS);
    let share = |step: usize| 1.0 - (1.0 - first) * (1.0 - step as f64 / steps as f64);
    let last = falling.len() - 1;
    let position = |step: usize| ((share(step) * falling.len() as f64).ceil() as usize).saturating_sub(1).min(last);
    let mut thresholds: Vec<f64> = (0..=steps).map(|step| falling[position(step)]).collect();
    thresholds.dedup();
    Ok(thresholds)
}

/// The lowest threshold of the sequence that is proven.
///
/// `thresholds`: from strict to loose, chosen without regard to these labels: see [`sequence`].
///
/// # Errors
/// `value_not_finite` for a score or threshold; `value_out_of_range` for a limit outside of 0 to 1,
/// or thresholds that do not fall; `too_few_values` without thresholds.
pub fn calibrate(labels: &[Label], thresholds: &[f64], target: &Target) -> Result<Calibration, StatisticsError> {
    target.check()?;
    require_finite("the thresholds", thresholds)?;
    crate::numbers::require_count("the thresholds", thresholds.len(), 1)?;
    if let Some(pair) = thresholds.windows(2).find(|pair| pair[1] >= pair[0]) {
        return Err(StatisticsError::OutOfRange {
            what: "a threshold",
            value: pair[1],
            allowed: "below the one before",
        });
    }
    let scores: Vec<f64> = labels.iter().map(|label| label.score).collect();
    require_finite("the labels' scores", &scores)?;
    let mut falling = labels.to_vec();
    falling.sort_by(|a, b| b.score.total_cmp(&a.score));

    let all = labels.len() as u64;
    let (mut accepted, mut bad) = (0_u64, 0_u64);
    let mut proven = None;
    for &threshold in thresholds {
        while let Some(label) = falling.get(accepted as usize).filter(|label| label.score >= threshold) {
            accepted += 1;
            bad += u64::from(!label.good);
        }
        let trials = if target.risk == Risk::BadAmongAccepted { accepted } else { all };
        if !target.is_met(bad, trials) {
            return match proven {
                Some(certificate) => Ok(Calibration::Certified(certificate)),
                None => Ok(Calibration::Unproven {
                    labels: trials,
                    bad,
                    missing: labels_needed(bad, target)?.saturating_sub(trials),
                }),
            };
        }
        let upper_bound = proportion_upper_bound(bad, trials, target.confidence)?;
        proven = Some(Certificate { threshold, target: *target, labels: all, accepted, bad, upper_bound });
    }
    proven.map(Calibration::Certified).ok_or(StatisticsError::TooFew { what: "the thresholds", found: 0, needed: 1 })
}

/// How many labels prove the target if `bad` of them are bad.
///
/// Without bad ones it is the least n with (1 - limit)^n ≤ 1 - confidence: 59 for 5 % at 95 %.
///
/// # Errors
/// `value_out_of_range` for a limit outside of 0 to 1.
pub fn labels_needed(bad: u64, target: &Target) -> Result<u64, StatisticsError> {
    target.check()?;
    let mut enough = bad + 1;
    while !target.is_met(bad, enough) {
        let Some(twice) = enough.checked_mul(2).filter(|twice| *twice < 1 << 53) else { return Ok(u64::MAX) };
        enough = twice;
    }
    let mut short = bad;
    while enough - short > 1 {
        let middle = u64::midpoint(short, enough);
        if target.is_met(bad, middle) {
            enough = middle;
        } else {
            short = middle;
        }
    }
    Ok(enough)
}

#[cfg(test)]
mod tests;
