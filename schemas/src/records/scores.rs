//! Figures of a summary that gate nothing.

use serde::{Deserialize, Serialize};

/// Figures of an answer that gate nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Scores {
    /// ROUGE-1 precision against the source: share of the summary's tokens that the source has,
    /// too; `None` without such tokens.
    #[serde(default)]
    pub source_rouge1: Option<f64>,
    /// The same of pairs of tokens.
    #[serde(default)]
    pub source_rouge2: Option<f64>,
    /// The same of the longest common subsequence.
    #[serde(default)]
    pub source_rouge_l: Option<f64>,
    /// Share of the summary's words that the source does not have.
    #[serde(default)]
    pub novelty1: Option<f64>,
    /// The same of pairs of words; `None` for a summary of fewer.
    #[serde(default)]
    pub novelty2: Option<f64>,
    /// The same of three words in a row; `None` for a summary of fewer.
    #[serde(default)]
    pub novelty3: Option<f64>,
    /// Words of the summary for each word that was asked for.
    #[serde(default)]
    pub length_ratio: Option<f64>,
    /// Against the publisher's reference summary; `None` where there is none.
    #[serde(default)]
    pub reference: Option<ReferenceScores>,
}

/// A summary against a reference summary.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReferenceScores {
    /// As rouge-score computes it by default.
    pub rouge: Rouge,
    /// As rouge-score computes it with its stemmer: English words without their endings.
    pub rouge_stemmed: Rouge,
    /// The same arithmetic on words of every script, without regard to diacritics; no other
    /// package's figure.
    pub unicode_rouge: Rouge,
    /// BLEU of one sentence, 0 to 100, as sacreBLEU's `sentence_bleu` computes it.
    pub bleu: f64,
    /// chrF2, 0 to 100, as sacreBLEU's `sentence_chrf` computes it.
    pub chrf: f64,
    /// Whether the two are the same text, white space at both ends aside.
    pub exact_match: bool,
}

/// ROUGE by single tokens, by pairs, by the longest common subsequence, and by those of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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

/// How much summary and reference have in common, each figure from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecall {
    /// Share of the summary.
    pub precision: f64,
    /// Share of the reference.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f: f64,
}
