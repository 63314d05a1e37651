//! The quality index: one number from 0 to 1 for a summary, so that there is one to compare.
//!
//! It is the mean of the parts in [`IndexWeights`], weighted; a part that was not measured is left
//! out of the mean. A summary without words and a refusal have the index 0, whatever the weights.
//! The weights are judgement until labels refit them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CheckName, Scores};

/// The weight of each part of the quality index, each at least 0; only their ratios count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IndexWeights {
    /// The summary is whole: 1, or 0 where the check `truncated` failed.
    pub whole: f64,
    /// The summary is in the right language: 1, or 0 where the check `language` failed.
    pub language: f64,
    /// Share of the summary's words in fragments of the source: the value of `coverage`.
    pub coverage: f64,
    /// 1 / (1 + numbers that are not in the source).
    pub numbers: f64,
    /// 1 / (1 + names that are not in the source).
    pub names: f64,
    /// The share of the words that are not in phrases that come back: 1 less the value of
    /// `repetition`.
    pub repetition: f64,
    /// How well the length fits what was asked for: 1 from half of it up to all of it, falling to 0
    /// at none of it and at twice as much.
    pub length: f64,
    /// Share of pairs of words that are not the source's: the summary is not only copied. By
    /// default 0, since an extract is a good summary, too.
    pub novelty: f64,
    /// The probability of the model's least certain tokens, where the model tells it. By default 0:
    /// tiers would not compare, since not all tell it.
    pub confidence: f64,
    /// Likeness to the reference summary: the mean of ROUGE-1, ROUGE-2 and ROUGE-L (F, stemmed). By
    /// default 0: documents with and without a reference would not compare.
    pub reference: f64,
}

impl Default for IndexWeights {
    fn default() -> Self {
        Self {
            whole: 0.15,
            language: 0.10,
            coverage: 0.15,
            numbers: 0.25,
            names: 0.15,
            repetition: 0.10,
            length: 0.10,
            novelty: 0.0,
            confidence: 0.0,
            reference: 0.0,
        }
    }
}

impl IndexWeights {
    /// Weights in the order of [`Self::by_name`].
    pub fn of(weights: [f64; 10]) -> Self {
        let [whole, language, coverage, numbers, names, repetition, length, novelty, confidence, reference] = weights;
        Self { whole, language, coverage, numbers, names, repetition, length, novelty, confidence, reference }
    }

    /// The weights by the names that they have in the policy.
    pub fn by_name(&self) -> [(&'static str, f64); 10] {
        [
            ("whole", self.whole),
            ("language", self.language),
            ("coverage", self.coverage),
            ("numbers", self.numbers),
            ("names", self.names),
            ("repetition", self.repetition),
            ("length", self.length),
            ("novelty", self.novelty),
            ("confidence", self.confidence),
            ("reference", self.reference),
        ]
    }
}

/// What a check said: whether the summary passed, and the measured value.
pub type CheckFigure = (bool, Option<f64>);

/// The parts of the quality index, each from 0 to 1, in the order of [`IndexWeights::by_name`];
/// `None` where a part was not measured.
pub type IndexParts = [Option<f64>; 10];

/// The parts of a summary's index; `None` for a summary without words and for a refusal, whose
/// index is 0 whatever the weights.
pub fn index_parts(check: impl Fn(CheckName) -> Option<CheckFigure>, scores: &Scores) -> Option<IndexParts> {
    let value = |name| check(name).and_then(|(_, value)| value);
    let is_refusal = check(CheckName::Refusal).is_some_and(|(passed, _)| !passed);
    if is_refusal || value(CheckName::Empty) == Some(0.0) {
        return None;
    }
    let passed = |name| check(name).map(|(passed, _)| f64::from(u8::from(passed)));
    let few = |name| value(name).map(|count| 1.0 / (1.0 + count));
    let parts = [
        passed(CheckName::Truncated),
        passed(CheckName::Language),
        value(CheckName::Coverage),
        few(CheckName::UnsupportedNumbers),
        few(CheckName::UnsupportedNames),
        value(CheckName::Repetition).map(|share| 1.0 - share),
        scores.length_ratio.map(|ratio| (2.0 * ratio).min(2.0 - ratio)),
        scores.novelty2,
        value(CheckName::Confidence).map(f64::exp),
        scores.reference.map(|scores| {
            let rouge = scores.rouge_stemmed;
            (rouge.rouge1.f + rouge.rouge2.f + rouge.rouge_l.f) / 3.0
        }),
    ];
    Some(parts.map(|part| part.map(|part| part.clamp(0.0, 1.0))))
}

/// The quality index of a summary by what each check said of it, and its scores; `None` where
/// nothing was measured that has a weight.
pub fn index(check: impl Fn(CheckName) -> Option<CheckFigure>, scores: &Scores, weights: &IndexWeights) -> Option<f64> {
    let Some(parts) = index_parts(check, scores) else { return Some(0.0) };
    let (mut sum, mut all) = (0.0, 0.0);
    for (part, (_, weight)) in parts.into_iter().zip(weights.by_name()) {
        if let Some(part) = part.filter(|_| weight > 0.0) {
            sum += weight * part;
            all += weight;
        }
    }
    (all > 0.0).then(|| sum / all)
}

#[cfg(test)]
mod tests;
