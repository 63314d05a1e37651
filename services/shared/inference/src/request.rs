//! The requests and answers of the engine.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::models::adapters::AdapterEntry;

/// One request: a message around a document, and what to generate. The engine renders the model's
/// chat template around it. Nothing in these strings can act as a control token: a literal
/// `<|im_end|>` stays text.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The system message; `None` leaves it to the template, which may have a default of its own.
    pub system: Option<String>,
    /// The user message, before the document.
    pub before: String,
    /// The document.
    pub document: String,
    /// The user message, after the document.
    pub after: String,
    /// The text whose names the answer may have, where it is not the document: of summaries that
    /// are put together, the text that they are about.
    pub source: Option<Arc<str>>,
    /// The most tokens of the answer.
    pub max_new_tokens: usize,
    /// Whether the first blank line after some text ends the answer.
    pub one_paragraph: bool,
    /// Higher is admitted earlier among those that wait.
    pub priority: i32,
    /// The adapter that changes the model for this request.
    pub adapter: Option<Arc<AdapterEntry>>,
    /// What it has in place of the engine's rules of decoding.
    pub rules: RuleChanges,
    /// Cancels the request; so does dropping the future of [`crate::Engine::submit`].
    pub cancel: CancellationToken,
}

/// Rules of decoding that a request has in place of the engine's own; `None` leaves the engine's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleChanges {
    /// As [`crate::EngineConfig::numbers_from_source`].
    pub numbers_from_source: Option<bool>,
    /// As [`crate::EngineConfig::names_from_source`].
    pub names_from_source: Option<bool>,
    /// As [`crate::EngineConfig::no_repeat_tokens`].
    pub no_repeat_tokens: Option<usize>,
}

/// What ends an answer before its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// The model's own end, or a loop.
    #[default]
    Natural,
    /// The natural end, or the first blank line after some text.
    Paragraph,
    /// Nothing: exactly the allowed number of tokens is generated. For measurements, in which every
    /// engine must do the same work.
    AtLimit,
}

/// A request whose prompt is token ids, control tokens included. It is for measurements, and for
/// comparing engines token by token. A document's text belongs into a [`Request`], where it cannot
/// act as a control token.
#[derive(Debug, Clone, Default)]
pub struct TokenRequest {
    /// The whole prompt.
    pub prompt: Vec<u32>,
    /// The most tokens of the answer.
    pub max_new_tokens: usize,
    /// What ends the answer before that.
    pub end: End,
    /// The adapter that changes the model for this request.
    pub adapter: Option<Arc<AdapterEntry>>,
    /// Cancels the request; so does dropping the future of [`crate::Engine::submit_tokens`].
    pub cancel: CancellationToken,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended the answer, or the requested paragraph ended.
    Stop,
    /// `max_new_tokens` were reached first, amid a sentence.
    Length,
    /// The room was used up. The answer ends with its last whole sentence.
    Sentence,
    /// The model repeated itself and was stopped; the repeats are cut off.
    Repetition,
}

impl FinishReason {
    /// The name as it stands in records and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Sentence => "sentence",
            Self::Repetition => "repetition",
        }
    }
}

/// The answer to one [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The text, trimmed of white space; valid UTF-8 whatever the model wrote.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens of the rendered prompt.
    pub input_tokens: usize,
    /// Generated tokens, the closing one included.
    pub output_tokens: usize,
    /// The 5 %, 10 % and 50 % quantiles of the chosen tokens' log-probabilities: low ones show
    /// where the model was unsure. `None` when nothing was generated.
    pub logprob_quantiles: Option<[f64; 3]>,
    /// The mean of the same log-probabilities: minus the logarithm of the answer's perplexity.
    pub logprob_mean: Option<f64>,
}

/// A user message around a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// The text before the document.
    pub before: String,
    /// The text after the document.
    pub after: String,
}

/// The prompts of a summary: for a document read whole, and for one read in chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompts {
    /// The system message of every request.
    pub system: Option<String>,
    /// For a document that fits into one request.
    pub whole: Prompt,
    /// For each chunk of a longer document.
    pub map: Prompt,
    /// For the summaries of the chunks, put together.
    pub reduce: Prompt,
}

/// A document to be summarised, of any length.
#[derive(Debug, Clone, Default)]
pub struct SummaryRequest {
    /// The prompts.
    pub prompts: Prompts,
    /// The document.
    pub document: String,
    /// The most tokens of the summary, and of each partial answer.
    pub max_new_tokens: usize,
    /// The most parts in which the document is read; one of more is refused before any is read.
    /// `None`: as many as there are.
    pub max_parts: Option<usize>,
    /// Whether the first blank line after some text ends an answer.
    pub one_paragraph: bool,
    /// Higher is admitted earlier among those that wait.
    pub priority: i32,
    /// The adapter that changes the model for all requests of the summary.
    pub adapter: Option<Arc<AdapterEntry>>,
    /// What the summary has in place of the engine's rules of decoding.
    pub rules: RuleChanges,
    /// What the partial answers of a longer document have in their place.
    pub part_rules: RuleChanges,
    /// Cancels the whole summary; so does dropping the future.
    pub cancel: CancellationToken,
    /// Selects the text of a partial answer: a model's reasoning must not go into the next request.
    /// `None` takes the whole answer. The summary itself is returned as the model wrote it.
    pub text_of: Option<fn(&str) -> &str>,
    /// Keeps the partial answers of a long document, so that they are not generated again after an
    /// interruption. `None` keeps nothing.
    pub partials: Option<Arc<dyn Partials>>,
}

/// The partial answer about one chunk of a long document, or to one reduction of such answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// SHA-256 (hex) over everything that the request contains. With other settings a document is
    /// cut elsewhere; this digest keeps an answer about another chunk from being taken for this
    /// one's.
    pub asked: String,
    /// The text.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens of the rendered prompt.
    pub input_tokens: usize,
    /// Tokens generated.
    pub output_tokens: usize,
}

/// Keeps the partial answers of one summary. A lost one costs time and changes nothing, so an
/// implementation reports its own failures.
///
/// The same document and settings give the same requests under the same numbers: chunks in order
/// from 0, then the reductions, level after level.
#[async_trait]
pub trait Partials: std::fmt::Debug + Send + Sync {
    /// The partial answer kept under this number.
    async fn get(&self, number: u32) -> Option<Partial>;
    /// Keeps a partial answer under this number; one that is there already may stay.
    async fn put(&self, number: u32, partial: &Partial);
}

/// A summary.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The text.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Prompt tokens of all requests of the summary.
    pub input_tokens: usize,
    /// Generated tokens of all requests of the summary.
    pub output_tokens: usize,
    /// Chunks that the document was read in: 1 when it was read whole.
    pub chunks: usize,
    /// Partial answers that were cut, at their limit or as a loop, or that were empty.
    pub cut_chunks: usize,
    /// As in [`Completion`], of the request that wrote the text.
    pub logprob_quantiles: Option<[f64; 3]>,
    /// As in [`Completion`], of the request that wrote the text.
    pub logprob_mean: Option<f64>,
}
