//! A summary against a reference summary: ROUGE, BLEU, chrF, exact match.
//!
//! The figures are those of the Python packages that the field compares with, to 12 digits:
//! rouge-score 0.1.2 (with NLTK's Porter stemmer) and sacreBLEU 2.6.0. `tests/golden/scores.json`
//! holds what the packages say of a kept corpus, and `loadtest/quality/test_score_packages.py` asks
//! the packages themselves.
//!
//! rouge-score knows the letters a to z and the digits. It cuts `Évreux` into `vreux`, and finds no
//! word at all in Greek or Chinese. [`ReferenceScores::unicode_rouge`] is the same arithmetic on
//! words as the checks read them: letters of every script, without regard to diacritics; in scripts
//! without blanks a character is a word.
//!
//! Time is linear in the lengths of the texts. The longest common subsequence is bit-parallel, and
//! bounded: [`MAX_LCS_TOKENS`], [`MAX_LCS_SUM_TOKENS`].

mod bleu;
mod chrf;
mod lcs;
mod porter;
mod rouge;
mod tokens;

pub use lcs::{MAX_LCS_SUM_TOKENS, MAX_LCS_TOKENS};
pub use rouge::{PrecisionRecall, Rouge};

pub(crate) use rouge::precision_in_source;

use tokens::{Splitting, Vocabulary};

/// What is measured on a summary where there is a reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReferenceScores {
    /// ROUGE as rouge-score computes it by default.
    pub rouge: Rouge,
    /// ROUGE as rouge-score computes it with `use_stemmer=True`: English words without their
    /// endings.
    pub rouge_stemmed: Rouge,
    /// ROUGE of words of every script; no other package's.
    pub unicode_rouge: Rouge,
    /// BLEU of one sentence, 0 to 100, as `sacrebleu.sentence_bleu` computes it: the tokenizer 13a,
    /// exponential smoothing, effective order.
    pub bleu: f64,
    /// chrF2, 0 to 100, as `sacrebleu.sentence_chrf` computes it: six characters, no words, β = 2.
    pub chrf: f64,
    /// Whether summary and reference are the same text, white space at both ends aside.
    pub exact_match: bool,
}

impl ReferenceScores {
    /// Of `summary`, against `reference`.
    pub fn of(reference: &str, summary: &str) -> Self {
        let rouge = |splitting| {
            let mut vocabulary = Vocabulary::new(splitting);
            let reference = vocabulary.lines(reference);
            Rouge::of(&reference, &vocabulary.lines(summary))
        };
        Self {
            rouge: rouge(Splitting::RougeScore),
            rouge_stemmed: rouge(Splitting::RougeScoreStemmed),
            unicode_rouge: rouge(Splitting::Unicode),
            bleu: bleu::bleu(reference, summary),
            chrf: chrf::chrf(reference, summary),
            exact_match: reference.trim() == summary.trim(),
        }
    }
}

/// White space as Python's `str.split` and `str.isspace` know it.
fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

#[cfg(test)]
mod tests;
