//! Figures of a summary beside its checks: they describe, and gate nothing.

use crate::reference::{self, ReferenceScores};
use crate::{Input, ngrams, text};

/// What is measured on a summary besides its checks. `None` where there is nothing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scores {
    /// ROUGE-1 precision against the source, as rouge-score computes it: the share of the summary's
    /// tokens that the source has, too.
    pub source_rouge1: Option<f64>,
    /// The same of pairs of tokens.
    pub source_rouge2: Option<f64>,
    /// The same of the longest common subsequence.
    pub source_rouge_l: Option<f64>,
    /// Share of the summary's words that the source does not have. Words are those of the checks,
    /// of every script.
    pub novelty1: Option<f64>,
    /// The same of pairs of words.
    pub novelty2: Option<f64>,
    /// The same of three words in a row.
    pub novelty3: Option<f64>,
    /// Words of the summary for each word that was asked for.
    pub length_ratio: Option<f64>,
    /// Against the reference summary, where there is one.
    pub reference: Option<ReferenceScores>,
}

impl Scores {
    /// `source` and `summary` are words as numbers, equal words equal numbers; `plain_summary` is
    /// in plain spelling.
    pub(crate) fn of(input: &Input<'_>, plain_summary: &str, source: &[u32], summary: &[u32]) -> Self {
        let [source_rouge1, source_rouge2, source_rouge_l] =
            reference::precision_in_source(input.source, input.summary).map_or([None; 3], |found| found.map(Some));
        let [novelty1, novelty2, novelty3] = ngrams::compare::<3>(summary, source).map(ngrams::Order::novel_share);
        let asked = input.asked_words.or(input.max_words).filter(|words| *words > 0);
        Self {
            source_rouge1,
            source_rouge2,
            source_rouge_l,
            novelty1,
            novelty2,
            novelty3,
            length_ratio: asked.map(|asked| text::count_words(plain_summary) as f64 / f64::from(asked)),
            reference: input.reference.map(|reference| ReferenceScores::of(reference, input.summary)),
        }
    }
}

#[cfg(test)]
mod tests;
