//! The figures of a window.

use std::collections::BTreeMap;

use precis_statistics::{Confidence, Interval};
use serde::Serialize;

use super::Judgement;
use crate::view::{Ending, Judged, Moments, Score, Tally};

/// What the outcomes of a window say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Documents.
    pub documents: u64,
    /// Documents by how they ended; together all documents.
    pub endings: BTreeMap<Ending, u64>,
    /// The quality index; `None` if no document has one.
    pub index: Option<Estimate>,
    /// Scores beside the index; without those that no document has.
    pub scores: BTreeMap<Score, Estimate>,
    /// The checks that summaries failed, the most frequent first.
    pub failed_checks: Vec<FailedCheck>,
    /// What judges said of a sample of the summaries; `None` where nothing was to be judged.
    pub judge: Option<Judgement>,
}

/// The mean of a figure over documents.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Documents that have the figure.
    pub documents: u64,
    /// Mean over them.
    pub mean: f64,
    /// Standard deviation over them.
    pub deviation: f64,
    /// Where the mean of all such documents lies, at 95 %; `None` for less than two documents, and
    /// for a figure that is not between 0 and 1.
    pub interval: Option<Interval>,
}

/// How often a check failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedCheck {
    /// The check.
    pub check: String,
    /// Documents whose summary failed it.
    pub documents: u64,
    /// Their share of the documents whose summary was checked.
    pub share: f64,
}

impl Figures {
    /// The figures of a tally, and of what judges said on its days.
    pub fn of(tally: &Tally, judged: &Judged) -> Self {
        let score = |score: Score| Some((score, Estimate::of(tally.score(score))?));
        let mut failed_checks: Vec<_> = tally
            .failed_checks()
            .map(|(check, documents)| FailedCheck {
                check: check.to_owned(),
                documents,
                share: documents as f64 / tally.checked().max(1) as f64,
            })
            .collect();
        failed_checks.sort_by(|a, b| b.documents.cmp(&a.documents).then_with(|| a.check.cmp(&b.check)));
        Self {
            documents: tally.documents(),
            endings: Ending::ALL.into_iter().map(|ending| (ending, tally.ended(ending))).collect(),
            index: Estimate::of(tally.index()),
            scores: Score::ALL.into_iter().filter_map(score).collect(),
            failed_checks,
            judge: Judgement::of(judged, tally.index()),
        }
    }

    /// The share of the documents that ended so.
    pub fn share(&self, ending: Ending) -> f64 {
        self.endings.get(&ending).copied().unwrap_or(0) as f64 / self.documents.max(1) as f64
    }
}

impl Estimate {
    fn of(moments: &Moments) -> Option<Self> {
        let sample = moments.sample();
        (sample.count > 0).then(|| Self {
            documents: sample.count,
            mean: sample.mean,
            deviation: sample.variance.sqrt(),
            interval: sample.interval(Confidence::NINETY_FIVE_PERCENT).ok(),
        })
    }
}
