//! What the outcomes of one day say.

use precis_schemas::{Outcome, Scores, Status};
use serde::Serialize;

use super::{Bounded, Lengths, Merge, Moments};

/// Most checks that are kept apart: five times as many as there are.
pub const MAX_CHECKS: usize = 64;

/// The check that a refusal fails.
const REFUSAL: &str = "refusal";
/// The check whose value is a score.
const COVERAGE: &str = "coverage";

/// How a document ended. Each has exactly one ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A model's summary that passed its checks.
    Answered,
    /// Sentences of the document itself that passed their checks.
    Extracted,
    /// A summary that failed checks.
    Flagged,
    /// Flagged, since the model answered about itself instead of the text.
    Refused,
    /// No summary.
    Failed,
}

impl Ending {
    /// All, best first.
    pub const ALL: [Self; 5] = [Self::Answered, Self::Extracted, Self::Flagged, Self::Refused, Self::Failed];

    /// The name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Extracted => "extracted",
            Self::Flagged => "flagged",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// The ending of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        let is_refusal = || outcome.checks.iter().any(|check| check.name == REFUSAL && !check.passed);
        match outcome.status {
            Status::Answered if outcome.is_extract() => Self::Extracted,
            Status::Answered => Self::Answered,
            Status::Flagged if is_refusal() => Self::Refused,
            Status::Flagged => Self::Flagged,
            Status::Failed => Self::Failed,
        }
    }
}

/// A score that is shown beside the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// Share of the summary's words in fragments of the source.
    Coverage,
    /// ROUGE-L precision in the source.
    SourceRougeL,
    /// Share of pairs of words that the source does not have.
    Novelty2,
    /// Words for each word that was asked for.
    LengthRatio,
    /// ROUGE-L against the reference summary (F, stemmed).
    ReferenceRougeL,
}

impl Score {
    /// All, in the order of their positions in a tally.
    pub const ALL: [Self; 5] =
        [Self::Coverage, Self::SourceRougeL, Self::Novelty2, Self::LengthRatio, Self::ReferenceRougeL];

    /// The name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Coverage => COVERAGE,
            Self::SourceRougeL => "source_rouge_l",
            Self::Novelty2 => "novelty2",
            Self::LengthRatio => "length_ratio",
            Self::ReferenceRougeL => "reference_rouge_l",
        }
    }

    fn of(self, outcome: &Outcome, scores: &Scores) -> Option<f64> {
        match self {
            Self::Coverage => outcome.checks.iter().find(|check| check.name == COVERAGE)?.value,
            Self::SourceRougeL => scores.source_rouge_l,
            Self::Novelty2 => scores.novelty2,
            Self::LengthRatio => scores.length_ratio,
            Self::ReferenceRougeL => scores.reference.map(|scores| scores.rouge_stemmed.rouge_l.f),
        }
    }
}

/// Counts and sums over outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    endings: [u64; Ending::ALL.len()],
    index: Moments,
    scores: [Moments; Score::ALL.len()],
    /// Documents whose summary was checked.
    checked: u64,
    failed_checks: Bounded<String, u64, MAX_CHECKS>,
    lengths: Lengths,
}

impl Tally {
    /// Counts an outcome.
    pub fn add(&mut self, outcome: &Outcome) {
        self.endings[Ending::of(outcome) as usize] += 1;
        self.lengths.add(outcome.words_in);
        if let Some(index) = outcome.quality_index {
            self.index.add(index);
        }
        let scores = outcome.scores.unwrap_or_default();
        for (score, moments) in Score::ALL.iter().zip(&mut self.scores) {
            if let Some(value) = score.of(outcome, &scores) {
                moments.add(value);
            }
        }
        self.checked += u64::from(!outcome.checks.is_empty());
        for check in outcome.checks.iter().filter(|check| !check.passed) {
            *self.failed_checks.slot(check.name.clone()) += 1;
        }
    }

    /// Documents.
    pub fn documents(&self) -> u64 {
        self.endings.iter().sum()
    }

    /// Documents with this ending.
    pub fn ended(&self, ending: Ending) -> u64 {
        self.endings[ending as usize]
    }

    /// The quality index of the documents that have one.
    pub fn index(&self) -> &Moments {
        &self.index
    }

    /// A score of the documents that have it.
    pub fn score(&self, score: Score) -> &Moments {
        &self.scores[score as usize]
    }

    /// Documents whose summary was checked.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// How many summaries failed each check, by its name; what goes beyond [`MAX_CHECKS`] is
    /// `other`.
    pub fn failed_checks(&self) -> impl Iterator<Item = (&str, u64)> {
        let kept = self.failed_checks.kept().map(|(name, count)| (name.as_str(), *count));
        kept.chain(self.failed_checks.other().map(|count| ("other", *count)))
    }

    /// How long the documents are.
    pub fn lengths(&self) -> &Lengths {
        &self.lengths
    }
}

impl Merge for Tally {
    fn merge(&mut self, other: Self) {
        self.endings.iter_mut().zip(other.endings).for_each(|(own, more)| *own += more);
        self.index.merge(other.index);
        self.scores.iter_mut().zip(other.scores).for_each(|(own, more)| own.merge(more));
        self.checked += other.checked;
        self.failed_checks.merge(other.failed_checks);
        self.lengths.merge(other.lengths);
    }
}
