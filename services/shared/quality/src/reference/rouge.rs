//! ROUGE: Lin (2004), "ROUGE: a package for automatic evaluation of summaries".

use std::collections::{HashMap, HashSet};

use super::lcs::{MAX_LCS_SUM_TOKENS, MAX_LCS_TOKENS, Pattern};
use super::tokens::{Lines, Splitting, Vocabulary};
use crate::ngrams::{self, Order};

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
        let by_ngrams = |order: Order| PrecisionRecall::of(order.shared, order.own, order.other);
        let [rouge1, rouge2] = ngrams::compare::<2>(own, other).map(by_ngrams);
        Self { rouge1, rouge2, rouge_l: by_subsequence(other, own), rouge_lsum: by_lines(reference, summary) }
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
    let by_ngrams = |order: Order| order.shared as f64 / order.own.max(1) as f64;
    let [rouge1, rouge2] = ngrams::compare::<2>(&summary, &source).map(by_ngrams);
    Some([rouge1, rouge2, by_subsequence(&source, &summary).precision])
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
    let reference: Vec<&[u32]> = reference.first(MAX_LCS_SUM_TOKENS).collect();
    let summary: Vec<&[u32]> = summary.first(MAX_LCS_SUM_TOKENS).collect();
    let (mut left_reference, mut left_summary) = (counts(&reference), counts(&summary));
    let mut take = |token: &u32| {
        let (Some(one), Some(other)) = (left_reference.get_mut(token), left_summary.get_mut(token)) else {
            return false;
        };
        let both_left = *one > 0 && *other > 0;
        if both_left {
            (*one, *other) = (*one - 1, *other - 1);
        }
        both_left
    };
    let mut unions = LineUnions::of(&summary);
    let mut common = 0;
    for line in &reference {
        common += line.iter().zip(unions.marks(line)).filter(|(token, is_marked)| **is_marked && take(token)).count();
    }
    let tokens = |lines: &[&[u32]]| lines.iter().map(|line| line.len()).sum();
    PrecisionRecall::of(common, tokens(&summary), tokens(&reference))
}

fn counts(lines: &[&[u32]]) -> HashMap<u32, usize> {
    let mut counts = HashMap::new();
    for token in lines.iter().copied().flatten() {
        *counts.entry(*token).or_default() += 1;
    }
    counts
}

/// The lines of a summary, for unions of subsequences. Lines that are equal are compared once, and
/// only with lines that share a token.
struct LineUnions<'a> {
    lines: Vec<&'a [u32]>,
    /// The lines that have a token.
    lines_with: HashMap<u32, Vec<usize>>,
    /// The lines of the reference that were compared.
    marks: HashMap<&'a [u32], Vec<bool>>,
    /// For each line of the summary, the last line of the reference that it was compared with.
    compared_with: Vec<usize>,
    rows: Vec<u64>,
}

impl<'a> LineUnions<'a> {
    fn of(summary: &[&'a [u32]]) -> Self {
        let lines: Vec<&[u32]> = summary.iter().copied().collect::<HashSet<_>>().into_iter().collect();
        let mut lines_with: HashMap<u32, Vec<usize>> = HashMap::new();
        for (number, line) in lines.iter().enumerate() {
            for token in *line {
                let with = lines_with.entry(*token).or_default();
                if with.last() != Some(&number) {
                    with.push(number);
                }
            }
        }
        let compared_with = vec![0; lines.len()];
        Self { lines, lines_with, marks: HashMap::new(), compared_with, rows: Vec::new() }
    }

    /// Which tokens of a line of the reference lie in a subsequence with any line of the summary.
    fn marks(&mut self, line: &'a [u32]) -> &[bool] {
        let Self { lines, lines_with, marks, compared_with, rows } = self;
        // Counted from 1: at 0 no line was compared yet.
        let number = marks.len() + 1;
        marks.entry(line).or_insert_with(|| {
            let pattern = Pattern::of(line);
            let mut marks = vec![false; line.len()];
            for other in pattern.tokens().filter_map(|token| lines_with.get(&token)).flatten() {
                if std::mem::replace(&mut compared_with[*other], number) != number {
                    pattern.mark(line, lines[*other], rows, &mut marks);
                }
            }
            marks
        })
    }
}
