//! What goes into the engine and what comes out of it.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// One piece of text to be generated from. The engine renders the model's chat template around it;
/// nothing in these strings can act as a control token, a literal `<|im_end|>` stays text.
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
    /// The most tokens of the answer.
    pub max_new_tokens: usize,
    /// Whether the first blank line after some text ends the answer.
    pub one_paragraph: bool,
    /// Higher is admitted earlier among those that wait.
    pub priority: i32,
    /// Cancels the request; so does dropping the future of [`crate::Engine::submit`].
    pub cancel: CancellationToken,
}

/// What ends an answer before its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// The model's word for it, or its going in circles.
    #[default]
    Natural,
    /// That, or the first blank line after some text.
    Paragraph,
    /// Nothing: exactly as many tokens are generated as were allowed. For measurements, in which
    /// every engine must do the same work.
    AtLimit,
}

/// A prompt that is token ids already, control tokens included. For measurements and for comparing
/// engines token by token; a document's text belongs into a [`Request`], where it cannot act as a
/// control token.
#[derive(Debug, Clone, Default)]
pub struct TokenRequest {
    /// The whole prompt.
    pub prompt: Vec<u32>,
    /// The most tokens of the answer.
    pub max_new_tokens: usize,
    /// What else ends it.
    pub end: End,
    /// Cancels the request; so does dropping the future of [`crate::Engine::submit_tokens`].
    pub cancel: CancellationToken,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model said that it is done, or the paragraph asked for was.
    Stop,
    /// `max_new_tokens` were reached first.
    Length,
    /// The model was going in circles and was stopped; the repeats are cut off.
    Repetition,
}

impl FinishReason {
    /// The name as it stands in records and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Repetition => "repetition",
        }
    }
}

/// The answer to one [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The text, valid UTF-8 whatever the model wrote, surrounding whitespace trimmed.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens of the rendered prompt.
    pub input_tokens: usize,
    /// Tokens generated, the closing one included.
    pub output_tokens: usize,
    /// The 5 %, 10 % and 50 % quantiles of the chosen tokens' log-probabilities: how sure the model
    /// was where it was least sure. `None` when nothing was generated.
    pub logprob_quantiles: Option<[f64; 3]>,
    /// The mean of the same log-probabilities: minus the logarithm of the answer's perplexity.
    pub logprob_mean: Option<f64>,
}

/// A user message around a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// What stands before the document.
    pub before: String,
    /// What stands after it.
    pub after: String,
}

/// The prompts of a summary: of a document read whole, and of one read in parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompts {
    /// The system message of every request.
    pub system: Option<String>,
    /// For a document that fits into one request.
    pub whole: Prompt,
    /// For each part of a longer one.
    pub map: Prompt,
    /// For the summaries of the parts, put together.
    pub reduce: Prompt,
}

/// A document to be summarised, of any length.
#[derive(Debug, Clone, Default)]
pub struct SummaryRequest {
    /// What to ask the model.
    pub prompts: Prompts,
    /// The document.
    pub document: String,
    /// The most tokens of the summary, and of the summary of each part.
    pub max_new_tokens: usize,
    /// Whether the first blank line after some text ends an answer.
    pub one_paragraph: bool,
    /// Higher is admitted earlier among those that wait.
    pub priority: i32,
    /// Cancels the whole summary; so does dropping the future.
    pub cancel: CancellationToken,
    /// What of an answer about a part is its text, where not all of it is: a model's reasoning is
    /// no part of what the next request reads. `None`: all of it. The summary itself comes as the
    /// model wrote it.
    pub text_of: Option<fn(&str) -> &str>,
    /// Keeps the answers about parts of a long document, so that after an interruption they are not
    /// generated again. `None` keeps nothing.
    pub partials: Option<Arc<dyn Partials>>,
}

/// The answer about one part of a long document, or to one reduction of such answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// SHA-256 (hex) over everything that was asked. With other settings a document is cut
    /// elsewhere; what was stored about other parts is then not taken for an answer.
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

/// Keeps [`Partial`]s of one summary. Losing one costs time and changes nothing, so its failures
/// are its own to report.
///
/// The same document and settings ask for the same parts under the same numbers: parts in order
/// from 0, then the reductions, level after level.
#[async_trait]
pub trait Partials: std::fmt::Debug + Send + Sync {
    /// What was kept under this number.
    async fn get(&self, number: u32) -> Option<Partial>;
    /// Keeps this under that number; what is there already may stay.
    async fn put(&self, number: u32, partial: &Partial);
}

/// A summary.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The text.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Prompt tokens of all requests it took.
    pub input_tokens: usize,
    /// Generated tokens of all requests it took.
    pub output_tokens: usize,
    /// Parts the document was read in: 1 when it was read whole.
    pub chunks: usize,
    /// Requests before the last one whose answer was cut, at its limit or as a loop, or was empty.
    pub cut_parts: usize,
    /// As in [`Completion`], of the request that wrote the text.
    pub logprob_quantiles: Option<[f64; 3]>,
    /// As in [`Completion`], of the request that wrote the text.
    pub logprob_mean: Option<f64>,
}
