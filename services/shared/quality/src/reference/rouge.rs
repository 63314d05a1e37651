//! ROUGE: Lin (2004), "ROUGE: a package for automatic evaluation of summaries".

use std::collections::HashMap;

use super::lcs::{MAX_LCS_SUM_TOKENS, MAX_LCS_TOKENS, Pattern};
use super::tokens::{Lines, Splitting, Vocabulary};
use crate::ngrams;

/// ROUGE of a summary against a reference.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rouge {
    /// By single tokens.
    pub rouge1: PrecisionRecall,
    /// By pairs of tokens.
    pub rouge2: PrecisionRecall,
    /// By the longest common subsequence of the texts.
    pub rouge_l: PrecisionRecall,
    /// By the union of the longest common subsequences of their lines.
    pub rouge_lsum: PrecisionRecall,
}

/// How much two texts have in common, each figure from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PrecisionRecall {
    /// Share of the summary.
    pub precision: f64,
    /// Share of the reference.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f: f64,
}

impl PrecisionRecall {
    fn of(common: usize, summary: usize, reference: usize) -> Self {
        let share = |of: usize| common as f64 / of.max(1) as f64;
        let (precision, recall) = (share(summary), share(reference));
        let f = if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
        Self { precision, recall, f }
    }
}

impl Rouge {
    pub(super) fn of(reference: &Lines, summary: &Lines) -> Self {
        let (own, other) = (&summary.tokens, &reference.tokens);
        let by_ngrams = |n| {
            PrecisionRecall::of(
                ngrams::shared(other, own, n),
                ngrams::count(own.len(), n),
                ngrams::count(other.len(), n),
            )
        };
        Self {
            rouge1: by_ngrams(1),
            rouge2: by_ngrams(2),
            rouge_l: by_subsequence(other, own),
            rouge_lsum: by_lines(reference, summary),
        }
    }
}

/// Precision of ROUGE-1, ROUGE-2 and ROUGE-L of a summary against its source, with rouge-score's
/// tokens: how much of the summary is the source's. `None` for a summary without such tokens.
pub(crate) fn precision_in_source(source: &str, summary: &str) -> Option<[f64; 3]> {
    let mut vocabulary = Vocabulary::new(Splitting::RougeScore);
    let summary = vocabulary.tokens(summary);
    if summary.is_empty() {
        return None;
    }
    let source = vocabulary.tokens(source);
    let by_ngrams = |n| ngrams::shared(&source, &summary, n) as f64 / ngrams::count(summary.len(), n).max(1) as f64;
    Some([by_ngrams(1), by_ngrams(2), by_subsequence(&source, &summary).precision])
}

fn by_subsequence(reference: &[u32], summary: &[u32]) -> PrecisionRecall {
    let summary_is_shorter = summary.len() <= reference.len();
    let (short, long) = if summary_is_shorter { (summary, reference) } else { (reference, summary) };
    let short = &short[..short.len().min(MAX_LCS_TOKENS)];
    let common = Pattern::of(short).common(long);
    let (summary, reference) = if summary_is_shorter { (short.len(), long.len()) } else { (long.len(), short.len()) };
    PrecisionRecall::of(common, summary, reference)
}

/// ROUGE-Lsum: of each line of the reference, the tokens in a longest common subsequence with any
/// line of the summary; a token counts at most as often as either text has it.
fn by_lines(reference: &Lines, summary: &Lines) -> PrecisionRecall {
    let (reference, summary) = (reference.first(MAX_LCS_SUM_TOKENS), summary.first(MAX_LCS_SUM_TOKENS));
    let counts = |lines: &mut dyn Iterator<Item = &[u32]>| {
        let (mut counts, mut all) = (HashMap::<u32, usize>::new(), 0);
        for token in lines.flatten() {
            *counts.entry(*token).or_default() += 1;
            all += 1;
        }
        (counts, all)
    };
    let (mut left_reference, reference_tokens) = counts(&mut reference.clone());
    let (mut left_summary, summary_tokens) = counts(&mut summary.clone());
    let mut take = |token: &u32| {
        let (Some(one), Some(other)) = (left_reference.get_mut(token), left_summary.get_mut(token)) else {
            return false;
        };
        let there = *one > 0 && *other > 0;
        if there {
            (*one, *other) = (*one - 1, *other - 1);
        }
        there
    };
    let mut common = 0;
    for line in reference {
        let pattern = Pattern::of(line);
        let mut marks = vec![false; line.len()];
        for other in summary.clone() {
            pattern.mark(line, other, &mut marks);
        }
        common += line.iter().zip(marks).filter(|(token, is_marked)| *is_marked && take(token)).count();
    }
    PrecisionRecall::of(common, summary_tokens, reference_tokens)
}
