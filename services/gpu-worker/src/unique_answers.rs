//! A [`Summariser`] for the chaos tests: no model, and never the same answer twice.
//!
//! An answer is the beginning of its document and a suffix, `[INSTANCE-N]`: the process and the
//! number of its answer. So two answers to one document differ, and no duplicate can hide behind
//! equal bytes.
//!
//! | environment | |
//! | --- | --- |
//! | `PRECIS_CHAOS_BACKEND` | `unique_answers` takes this instead of the engine |
//! | `PRECIS_CHAOS_INSTANCE` | the instance's name, else its process id |
//! | `PRECIS_CHAOS_DELAY_MS` | how long an answer takes, 20 by default; each takes between one and two times that |

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use precis_pipeline::prompt::Prompt;
use precis_pipeline::{GenerateError, Generated, Job, Summariser};
use precis_policy::{DecodingRules, TierKind};
use precis_schemas::ModelIdentity;

use crate::stand_in;

/// A document that contains this text kills the process that reads it.
const KILL_MARKER: &str = "chaos-kill-the-process";
const DEFAULT_DELAY_MS: u64 = 20;

/// The summariser; the module says how it answers.
#[derive(Debug)]
pub(crate) struct UniqueAnswers {
    instance: String,
    delay: Duration,
    answers: AtomicU64,
}

impl UniqueAnswers {
    /// The summariser that the environment describes.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        let instance = std::env::var("PRECIS_CHAOS_INSTANCE").unwrap_or_else(|_| std::process::id().to_string());
        let delay = delay_from_environment()?;
        tracing::warn!(
            instance,
            ?delay,
            "no model: answers are the beginnings of their documents, each with a suffix of its own"
        );
        Ok(Self::new(instance, delay))
    }

    fn new(instance: String, delay: Duration) -> Self {
        Self { instance, delay, answers: AtomicU64::new(0) }
    }

    /// The beginning of a text, with the suffix of this answer.
    async fn answer(&self, text: &str, max_words: usize) -> String {
        let number = self.answers.fetch_add(1, Ordering::Relaxed) + 1;
        tokio::time::sleep(self.delay_of(number)).await;
        format!("{} [{}-{number}]", beginning(text, max_words), self.instance)
    }

    /// Between one and two delays; the same for the same answer of the same instance.
    fn delay_of(&self, number: u64) -> Duration {
        let mut hasher = DefaultHasher::new();
        (&self.instance, number).hash(&mut hasher);
        self.delay.mul_f64(1.0 + (hasher.finish() % 1000) as f64 / 1000.0)
    }
}

#[async_trait]
impl Summariser for UniqueAnswers {
    fn model(&self, prompt: &Prompt) -> ModelIdentity {
        stand_in::identity("unique_answers", prompt)
    }

    /// The same for all instances, so that they compete for one key.
    fn decoding(&self, _rules: &DecodingRules) -> String {
        "unique_answers".to_owned()
    }

    fn tier_kind(&self) -> TierKind {
        TierKind::Gpu
    }

    async fn summarise(&self, job: Job<'_>) -> Result<Generated, GenerateError> {
        if job.text.contains(KILL_MARKER) {
            tracing::warn!("a document kills this process");
            std::process::abort();
        }
        let text = self.answer(job.text, job.prompt.max_words as usize).await;
        Ok(stand_in::generated(job.text, text, "stop", |text| text.split_whitespace().count()))
    }
}

/// How long an answer takes, as the environment says.
pub(crate) fn delay_from_environment() -> anyhow::Result<Duration> {
    let delay_ms = match std::env::var("PRECIS_CHAOS_DELAY_MS") {
        Ok(delay) => delay.parse().context("PRECIS_CHAOS_DELAY_MS is no number of milliseconds")?,
        Err(_) => DEFAULT_DELAY_MS,
    };
    Ok(Duration::from_millis(delay_ms))
}

/// The first sentences with at most `max_words` words together; the first words, where the first
/// sentence is longer.
pub(crate) fn beginning(text: &str, max_words: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().take(max_words.max(1)).collect();
    let ends = words.iter().rposition(|word| word.ends_with(['.', '!', '?']));
    match ends {
        Some(last) => words[..=last].join(" "),
        None => format!("{}.", words.join(" ")),
    }
}

#[cfg(test)]
mod tests;
