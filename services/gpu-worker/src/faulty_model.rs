//! A [`Summariser`] for load tests of routing: no model, and wrong answers at stated rates.
//!
//! A good answer is the beginning of its document. A wrong one has a typical error of small models
//! and is not marked: the checks have to find it. The document's text alone decides which error its
//! answer has, so every run, worker and retry agrees.
//!
//! | environment | |
//! | --- | --- |
//! | `PRECIS_CHAOS_BACKEND` | `faulty_model` takes this instead of the engine |
//! | `PRECIS_CHAOS_ERRORS` | rates, such as `truncated=0.1,numbers=0.2`; what is left out does not happen |
//! | `PRECIS_CHAOS_DELAY_MS` | how long an answer takes, 20 by default |
//!
//! | error | the answer | the rate is the share of |
//! | --- | --- | --- |
//! | `truncated` | stops amid a sentence, at its token limit | texts of 3,162 words; it grows with the length's logarithm, from 0 at 100 words |
//! | `refusal` | speaks of itself | all texts |
//! | `repetition` | says one sentence three times | as `truncated` |
//! | `numbers` | has a number that the text does not have | texts with figures in a tenth of their words; it grows with that share |
//! | `language` | is English | texts that are not |
//!
//! Length, figures and language are features of the router's score, which therefore has something
//! to predict.

use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use precis_pipeline::identity::sha256_hex;
use precis_pipeline::prompt::Prompt;
use precis_pipeline::{GenerateError, Generated, Job, Summariser};
use precis_policy::{BYTES_PER_TOKEN, DecodingRules, Features, TextFacts, TierKind, features};
use precis_quality::language_of;
use precis_schemas::ModelIdentity;

use crate::stand_in;
use crate::unique_answers::{beginning, delay_from_environment};

const REFUSAL_ANSWER: &str = "I'm sorry, but I cannot summarise this text without more context.";
const ENGLISH_ANSWER: &str = "The text describes what was agreed between the parties, and how they want to work together in the months that follow.";
/// Words of the sentence with the invented number, about.
const INVENTION_WORDS: usize = 8;

/// An error that an answer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Truncated,
    Refusal,
    Repetition,
    Numbers,
    Language,
}

impl Fault {
    const ALL: [Self; 5] = [Self::Truncated, Self::Refusal, Self::Repetition, Self::Numbers, Self::Language];

    fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Refusal => "refusal",
            Self::Repetition => "repetition",
            Self::Numbers => "numbers",
            Self::Language => "language",
        }
    }

    /// The factor of a fault's rate for a text with these features.
    fn weight(self, features: &Features) -> f64 {
        let feature = |name: &str| features.get(name).copied().unwrap_or_default();
        match self {
            Self::Truncated | Self::Repetition => 2.0 * feature("length"),
            Self::Refusal => 1.0,
            Self::Numbers => 10.0 * feature("digits"),
            Self::Language => feature("not_english"),
        }
    }
}

/// The rate of each fault.
#[derive(Debug, Clone, Default, PartialEq)]
struct FaultRates(Vec<(Fault, f64)>);

impl FaultRates {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let rate = |entry: &str| -> anyhow::Result<(Fault, f64)> {
            let (name, rate) = entry.split_once('=').with_context(|| format!("{entry:?} is no name=rate"))?;
            let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name);
            let fault = fault.with_context(|| format!("there is no error {name:?}"))?;
            let rate: f64 = rate.parse().with_context(|| format!("{rate:?} is no number"))?;
            anyhow::ensure!((0.0..=1.0).contains(&rate), "{name}: {rate} is no share between 0 and 1");
            Ok((fault, rate))
        };
        Ok(Self(entries.map(rate).collect::<anyhow::Result<_>>()?))
    }

    /// The fault of the answer to a text, if any. `chance` is a hash of the text, between 0 and 1.
    fn pick(&self, features: &Features, chance: f64) -> Option<Fault> {
        let mut upto = 0.0;
        self.0.iter().find_map(|(fault, rate)| {
            upto += (rate * fault.weight(features)).min(1.0);
            (chance < upto).then_some(*fault)
        })
    }
}

/// The summariser; the module says how it answers.
#[derive(Debug)]
pub(crate) struct FaultyModel {
    rates: FaultRates,
    delay: Duration,
}

impl FaultyModel {
    /// The summariser that the environment describes.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        let errors = std::env::var("PRECIS_CHAOS_ERRORS").unwrap_or_default();
        let rates = FaultRates::parse(&errors).context("PRECIS_CHAOS_ERRORS")?;
        let delay = delay_from_environment()?;
        tracing::warn!(errors, ?delay, "no model: answers are the beginnings of their documents, some with an error");
        Ok(Self { rates, delay })
    }

    /// The answer to a text, and its finish reason.
    fn answer(&self, text: &str, language: Option<&str>, max_words: usize) -> (String, &'static str) {
        let digest = sha256_hex(text.as_bytes());
        let number = u64::from_str_radix(&digest[..12], 16).expect("a digest is hexadecimal");
        let chance = number as f64 / (1_u64 << 48) as f64;
        match self.rates.pick(&features(&TextFacts { text, language }), chance) {
            None => (beginning(text, max_words), "stop"),
            Some(Fault::Truncated) => (cut(&beginning(text, max_words)), "length"),
            Some(Fault::Refusal) => (REFUSAL_ANSWER.to_owned(), "stop"),
            Some(Fault::Repetition) => {
                let sentence = beginning(text, (max_words / 3).max(1));
                (format!("{sentence} {sentence} {sentence}"), "stop")
            }
            Some(Fault::Numbers) => {
                let start = beginning(text, max_words.saturating_sub(INVENTION_WORDS).max(1));
                let invented = absent_number(text, number);
                let end = match language {
                    Some("fr") => format!("En tout, on a compté {invented} cas."),
                    _ => format!("In all, they counted {invented} cases."),
                };
                (format!("{start} {end}"), "stop")
            }
            Some(Fault::Language) => (ENGLISH_ANSWER.to_owned(), "stop"),
        }
    }
}

/// The first half of a text's words, without its sentence's end.
fn cut(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let half = words[..words.len().div_ceil(2)].join(" ");
    half.trim_end_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

/// A number of five digits that is not in the text, and from which no number there could be
/// rounded.
fn absent_number(text: &str, seed: u64) -> String {
    // No text of the tests contains all of the candidates.
    let mut candidates = (0..9_000).map(|step| ((1_000 + (seed + step) % 9_000) * 10 + 7).to_string());
    candidates.find(|number| !text.contains(number)).unwrap_or_default()
}

#[async_trait]
impl Summariser for FaultyModel {
    fn model(&self, prompt: &Prompt) -> ModelIdentity {
        stand_in::identity("faulty_model", prompt)
    }

    fn decoding(&self, _rules: &DecodingRules) -> String {
        "faulty_model".to_owned()
    }

    fn tier_kind(&self) -> TierKind {
        TierKind::Gpu
    }

    async fn summarise(&self, job: Job<'_>) -> Result<Generated, GenerateError> {
        tokio::time::sleep(self.delay).await;
        let language = job.document.language.as_deref().or_else(|| language_of(job.text));
        let (text, finish_reason) = self.answer(job.text, language, job.prompt.max_words as usize);
        Ok(stand_in::generated(job.text, text, finish_reason, |text| text.len() / BYTES_PER_TOKEN))
    }
}

#[cfg(test)]
mod tests;
