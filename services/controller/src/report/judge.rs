//! What judges say of a window's summaries, and how far a judge agrees with itself.
//!
//! The score is one estimate over all summaries: the judge on the sample that was chosen for it,
//! the quality index on all, see [`precis_statistics::estimate::judged_mean`]. What a judge failed
//! on is no score; it is counted.

use std::collections::BTreeMap;

use precis_statistics::agreement::{Disagreement, kappa};
use precis_statistics::estimate::judged_mean;
use precis_statistics::{Confidence, Interval, StatisticsError};
use serde::Serialize;

use super::Windows;
use crate::view::{Criterion, Judged, Moments, Numbers, Series};

/// Fewest pairs of opinions that a kappa is made of.
pub const MIN_PAIRS: usize = 30;

/// Sums of the four numbers that there are: 4 to 20.
const SUMS: usize = Criterion::ALL.len() * 4 + 1;

/// What judges said of a window's summaries, in first opinions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// Documents that were judged.
    pub judged: u64,
    /// These by the model that judged.
    pub judges: BTreeMap<String, u64>,
    /// Those of them whose judge is the model that wrote the summary.
    pub same_model: u64,
    /// Documents that were chosen and not judged.
    pub failed: u64,
    /// These by code.
    pub failures: BTreeMap<String, u64>,
    /// Their share of those that were chosen.
    pub failed_share: f64,
    /// Mean of each criterion, 1 to 5, each document weighted by the reciprocal of its probability.
    pub criteria: BTreeMap<Criterion, f64>,
    /// The judge's score over all summaries; `None` where too few are judged.
    pub score: Option<JudgeScore>,
    /// How many documents more must be judged for a score.
    pub missing: u64,
}

/// The mean of the judge's scores over all summaries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct JudgeScore {
    /// The estimate, 0 to 1.
    pub mean: f64,
    /// Where the mean of all such summaries lies, at 95 %.
    pub interval: Interval,
    /// The interval of the judge's sample alone.
    pub judge_alone: Interval,
    /// How far the index is trusted: by how much the judge's score goes up with it.
    pub index_trust: f64,
    /// Share of the summaries that the estimate stands for; the others could not have been chosen.
    pub covered: f64,
}

/// How far first and second opinions on the same summaries agree, in both windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SelfAgreement {
    /// Summaries with both.
    pub pairs: u64,
    /// Share of them in which no criterion's numbers are more than one point apart.
    pub within_one_point: f64,
    /// Cohen's kappa of the four numbers' sums, by the square of their distance: 1 is full
    /// agreement, 0 is chance; `None` for less than 30 pairs, and where all numbers are the same.
    pub kappa: Option<f64>,
}

impl Judgement {
    /// `index`: that of all summaries; `None` where nothing was to be judged.
    pub(super) fn of(judged: &Judged, index: &Moments) -> Option<Self> {
        let by_name = |counts: &mut dyn Iterator<Item = (&str, u64)>| -> BTreeMap<String, u64> {
            counts.map(|(name, count)| (name.to_owned(), count)).collect()
        };
        let failures = by_name(&mut judged.failures());
        let (documents, failed) = (judged.documents(), failures.values().sum::<u64>());
        let chosen = documents + failed;
        let found = judged_mean(&judged.sample(), &index.sample(), Confidence::NINETY_FIVE_PERCENT);
        let missing = match &found {
            Err(StatisticsError::TooFew { found, needed, .. }) => needed.saturating_sub(*found) as u64,
            _ => 0,
        };
        (chosen > 0).then(|| Self {
            judged: documents,
            judges: by_name(&mut judged.judges()),
            same_model: judged.same_model(),
            failed,
            failures,
            failed_share: failed as f64 / chosen as f64,
            criteria: Criterion::ALL
                .into_iter()
                .filter_map(|criterion| Some((criterion, judged.criterion(criterion)?)))
                .collect(),
            score: found.ok().map(|found| JudgeScore {
                mean: found.value,
                interval: found.interval,
                judge_alone: found.judge_alone,
                index_trust: found.index_trust,
                covered: found.covered,
            }),
            missing,
        })
    }
}

impl SelfAgreement {
    /// `None` without a pair in the windows.
    pub(super) fn of(series: &Series, windows: &Windows) -> Option<Self> {
        let pairs = series.opinions().pairs(|day| {
            windows.current.contains(day) || windows.baseline.is_some_and(|baseline| baseline.contains(day))
        });
        let is_near = |(first, second): &&(Numbers, Numbers)| {
            first.iter().zip(second).all(|(first, second)| first.abs_diff(*second) <= 1)
        };
        let near = pairs.iter().filter(is_near).count();
        let sums: Vec<_> = pairs.iter().map(|(first, second)| (sum(*first), sum(*second))).collect();
        let has_enough = pairs.len() >= MIN_PAIRS;
        (!pairs.is_empty()).then(|| Self {
            pairs: pairs.len() as u64,
            within_one_point: near as f64 / pairs.len() as f64,
            kappa: has_enough.then(|| kappa(&sums, SUMS, Disagreement::Quadratic).ok()).flatten(),
        })
    }
}

/// The numbers' place among all sums, from 0.
fn sum(numbers: Numbers) -> usize {
    numbers.iter().map(|number| usize::from(number.saturating_sub(1))).sum()
}
