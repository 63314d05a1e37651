//! The limit of each check, and the checks that gate.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The checks, in order of cost: of the model's own words first, then of counts in the summary,
/// then of lookups in the source, then of the model's doubts. The first that fails names the reason
/// of an escalation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// There is a summary: at least `min_words` words.
    Empty,
    /// Generation was not cut, and the last sentence ends.
    Truncated,
    /// The model did not answer about itself instead of the text.
    Refusal,
    /// The summary is in the requested language, else in the source's.
    Language,
    /// The summary is not longer than requested.
    Length,
    /// Words of the source for each word of the summary (Newsroom).
    Compression,
    /// Share of the summary's words that lie in fragments of the source (Newsroom).
    Coverage,
    /// Mean length of the fragment that a word of the summary lies in (Newsroom): how much was
    /// copied.
    Density,
    /// The summary has no loops: no phrase in a row, no sentence twice, few four-word phrases that
    /// come back.
    Repetition,
    /// Every number, percentage, amount and date is in the source.
    UnsupportedNumbers,
    /// Every name and acronym is in the source.
    UnsupportedNames,
    /// The model was not guessing, by the 10 % quantile of its tokens' log-probabilities. A
    /// quantile, because a mean hides a doubtful name among many certain words, the more so the
    /// longer the summary (Gupta et al., arXiv 2404.10136).
    Confidence,
}

impl CheckName {
    /// Every check, in the order in which [`crate::check`] returns them.
    pub const ALL: [Self; 12] = [
        Self::Empty,
        Self::Truncated,
        Self::Refusal,
        Self::Language,
        Self::Length,
        Self::Compression,
        Self::Coverage,
        Self::Density,
        Self::Repetition,
        Self::UnsupportedNumbers,
        Self::UnsupportedNames,
        Self::Confidence,
    ];

    /// The checks that gate where the policy does not say. Coverage, density and compression
    /// describe styles, and the log-probabilities that mean trouble differ from model to model.
    /// These are measured, to be calibrated first.
    pub const GATING: [Self; 8] = [
        Self::Empty,
        Self::Truncated,
        Self::Refusal,
        Self::Language,
        Self::Length,
        Self::Repetition,
        Self::UnsupportedNumbers,
        Self::UnsupportedNames,
    ];

    /// The name in records, metrics and the policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Refusal => "refusal",
            Self::Truncated => "truncated",
            Self::Repetition => "repetition",
            Self::Language => "language",
            Self::Length => "length",
            Self::UnsupportedNumbers => "unsupported_numbers",
            Self::UnsupportedNames => "unsupported_names",
            Self::Coverage => "coverage",
            Self::Density => "density",
            Self::Compression => "compression",
            Self::Confidence => "confidence",
        }
    }
}

/// The limit of each check, and the checks that gate: `[checks]` of the policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// The checks that an answer must pass to be accepted; the others are only measured.
    pub gates: BTreeSet<CheckName>,
    /// `empty`: fewest words of a summary, or `max_words` where that is less. 0 and 1 are the same:
    /// there must be a word.
    pub min_words: u32,
    /// `length`: share by which a summary may exceed `max_words`: 0.2 lets 120 words pass for 100,
    /// and 0 lets none pass. Negative numbers count as 0.
    pub length_tolerance: f64,
    /// `repetition`: largest share, from 0 to 1, of the summary's words in four-word phrases that
    /// occurred before. 1 leaves the other signs of a loop.
    pub max_repetition: f64,
    /// `language`: fewest words of a text whose language is judged; with fewer there is too little
    /// evidence.
    pub min_language_words: u32,
    /// `language`: least confidence, from 0 to 1, of a detection that is judged. 0 judges every
    /// detection, above 1 none.
    pub min_language_confidence: f64,
    /// `unsupported_numbers`: most numbers of the summary that may be missing in the source.
    pub max_unsupported_numbers: u32,
    /// `unsupported_names`: most names of the summary that may be missing in the source.
    pub max_unsupported_names: u32,
    /// `coverage`: least share, from 0 to 1, of the summary's words in fragments of the source. 0
    /// passes every summary.
    pub min_coverage: f64,
    /// `density`: greatest mean fragment length, in words; absent for no limit.
    pub max_density: Option<f64>,
    /// `compression`: least ratio of the source's length to the summary's, in words. 0 passes every
    /// summary.
    pub min_compression: f64,
    /// `confidence`: least 10 % quantile of the tokens' log-probabilities, at most 0. An answer
    /// without log-probabilities passes.
    pub min_logprob: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            gates: CheckName::GATING.into_iter().collect(),
            min_words: 3,
            length_tolerance: 0.2,
            max_repetition: 0.25,
            min_language_words: 12,
            min_language_confidence: 0.9,
            max_unsupported_numbers: 0,
            max_unsupported_names: 0,
            min_coverage: 0.5,
            max_density: None,
            min_compression: 1.0,
            min_logprob: -3.0,
        }
    }
}

impl Thresholds {
    /// Whether the check of this name decides.
    pub fn gates(&self, name: &str) -> bool {
        self.gates.iter().any(|gate| gate.as_str() == name)
    }
}
