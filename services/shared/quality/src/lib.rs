//! Checks of a summary against its own source, run on every answer before a document is settled.
//!
//! All functions are pure: no input or output, no clock, no randomness. The same texts give the
//! same checks. Time is linear in the lengths of source and summary, or n log n. No input causes a
//! panic.
//!
//! A failed check costs a second, dearer answer, so each check passes a summary that it cannot
//! judge. A short text has no language, a word is the same word in another spelling, a rounded
//! figure is the figure, `French` is supported by `France`, and a language in which every noun is
//! capitalised has no checkable names. The documentation of each check's module says what it
//! misses.
//!
//! [`extractive`] makes a summary of a text's own sentences, without any model.
//!
//! [`judge`] measures more on the same reading: [`Scores`] against the source, and against a
//! reference summary where there is one ([`mod@reference`]). [`index()`] makes one
//! number of it all.
//!
//! [`CheckName`] lists the checks in order of cost and says what each means. [`Thresholds`] says
//! which of them gate, and at which value.

mod ending;
mod extract;
pub mod extractive;
mod fold;
mod index;
mod language;
mod length;
mod lexicon;
mod missing;
mod names;
mod ngrams;
mod numbers;
pub mod reference;
mod refusal;
mod repetition;
mod scores;
mod source;
mod source_names;
mod source_numbers;
mod spelling;
mod text;
mod thresholds;

use serde::{Deserialize, Serialize};

pub use ending::is_finished;
pub use extract::{Extraction, extraction};
pub use index::{CheckFigure, IndexParts, IndexWeights, index, index_parts};
pub use language::{detect as detect_language, is_plainly_english, known_code, language_of};
pub use scores::Scores;
pub use source_names::{SourceNames, opens_sentence};
pub use source_numbers::{SourceNumbers, ends_abbreviated, is_unit_link, is_unspaced, unit_words};
pub use thresholds::{CheckName, Thresholds};

use source::Source;
use spelling::PlainTexts;
use text::Text;

/// The texts to check. Build it with the fields that matter and `..Input::default()`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Input<'a> {
    /// The text that was summarised.
    pub source: &'a str,
    /// Other texts that the summary may draw on: title, instruction.
    pub context: &'a [&'a str],
    /// The answer.
    pub summary: &'a str,
    /// Why generation ended: `stop`, `sentence`, `length`, `repetition` or `refusal`; empty if
    /// unknown.
    pub finish_reason: &'a str,
    /// The requested language, as BCP 47 tag or ISO 639 code; `None` for the source's own.
    pub expected_language: Option<&'a str>,
    /// Upper bound on the summary's words, if one was requested.
    pub max_words: Option<u32>,
    /// The requested shape.
    pub format: Format,
    /// The 10 % quantile of the answer's token log-probabilities, where the model tells them.
    pub logprob: Option<f64>,
    /// The number of words that the model was asked for, where it is not `max_words`. Only
    /// [`Scores`] use it.
    pub asked_words: Option<u32>,
    /// A reference summary, where the publisher gave one. Only [`Scores`] use it.
    pub reference: Option<&'a str>,
}

/// The requested shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Flowing sentences.
    #[default]
    Paragraph,
    /// A list of points, which need no full stops.
    Bullets,
}

/// One measurement of a summary against its source.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Name of the check: [`CheckName::as_str`].
    pub name: &'static str,
    /// Whether the summary passed it. A check that could not decide has passed, and `detail` says
    /// so.
    pub passed: bool,
    /// The measured value, where the check measures one.
    pub value: Option<f64>,
    /// The finding, in words. Holds nothing of the texts but the unsupported items themselves.
    pub detail: String,
}

impl Check {
    fn new(name: CheckName, passed: bool, value: Option<f64>, detail: String) -> Self {
        Self { name: name.as_str(), passed, value, detail }
    }
}

/// What is found of one summary, from one reading of the texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Every check, in the order of [`CheckName::ALL`], whether it gates or not.
    pub checks: Vec<Check>,
    /// Figures that gate nothing.
    pub scores: Scores,
}

impl Judgement {
    /// The quality index; `None` where nothing was measured that has a weight.
    pub fn index(&self, weights: &IndexWeights) -> Option<f64> {
        let check = |name: CheckName| self.checks.iter().find(|check| check.name == name.as_str());
        index(|name| check(name).map(|check| (check.passed, check.value)), &self.scores, weights)
    }
}

/// Runs every check, and measures what describes the summary besides.
pub fn judge(input: &Input<'_>, thresholds: &Thresholds) -> Judgement {
    read(input, thresholds, |plain, source, summary| Scores::of(input, plain, source, summary))
}

/// Runs every check, in the order of [`CheckName::ALL`], whether it gates or not.
pub fn check(input: &Input<'_>, thresholds: &Thresholds) -> Vec<Check> {
    read(input, thresholds, |_, _, _| Scores::default()).checks
}

/// Reads the texts once. `score` gets the summary in plain spelling, and the words of source and
/// summary as numbers.
fn read(input: &Input<'_>, thresholds: &Thresholds, score: impl FnOnce(&str, &[u32], &[u32]) -> Scores) -> Judgement {
    let plain = PlainTexts::of(input);
    let context: Vec<&str> = plain.context.iter().map(|text| &**text).collect();
    let input = &Input { source: &plain.source, context: &context, summary: &plain.summary, ..*input };
    let source = Source::read(input.source, input.context);
    let summary = Text::read(input.summary);
    let words = source.folded_words(&summary);
    let scores = score(input.summary, &source.words, &words);
    let languages = language::Languages::of(input, thresholds);
    let extraction = extract::measure(&source.words, &words);
    let checks = vec![
        length::empty(input, thresholds),
        ending::check(input),
        refusal::check(input),
        language::check(input, languages, thresholds),
        length::length(input, thresholds),
        extract::compression(&extraction, thresholds),
        extract::coverage(&extraction, thresholds),
        extract::density(&extraction, thresholds),
        repetition::check(input, &summary, thresholds),
        numbers::check(&source, &summary, languages, thresholds),
        names::check(&source, &summary, languages, thresholds),
        confidence(input, thresholds),
    ];
    Judgement { checks, scores }
}

/// `confidence`: the probability of the model's least certain tokens.
fn confidence(input: &Input<'_>, thresholds: &Thresholds) -> Check {
    let passed = input.logprob.is_none_or(|logprob| logprob >= thresholds.min_logprob);
    let detail = match (passed, input.logprob) {
        (_, None) => "undecided: no log-probabilities".to_owned(),
        (true, _) => String::new(),
        (false, _) => format!("a tenth of the tokens were guesses: the limit is {}", thresholds.min_logprob),
    };
    Check::new(CheckName::Confidence, passed, input.logprob, detail)
}

/// Number of words as a publisher counts them: strings between spaces that have a letter or digit;
/// in scripts without spaces, characters.
pub fn count_words(text: &str) -> usize {
    text::count_words(&spelling::plain(text))
}

/// Whether no gating check failed.
pub fn accepted(checks: &[Check], thresholds: &Thresholds) -> bool {
    failed(checks, thresholds).is_empty()
}

/// The gating checks that failed, in order of cost.
pub fn failed(checks: &[Check], thresholds: &Thresholds) -> Vec<&'static str> {
    checks.iter().filter(|check| !check.passed && thresholds.gates(check.name)).map(|check| check.name).collect()
}

#[cfg(test)]
mod tests;
