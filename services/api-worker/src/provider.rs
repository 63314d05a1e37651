//! Providers of models over HTTP: one request, one answer or one failure. Retries, waits, money and
//! records belong to [`crate::caller`].
//!
//! A provider is a transport ([`HttpProvider`]) and a wire format ([`Wire`]): Anthropic's Messages
//! or OpenAI's Chat Completions, which many other servers speak too. A wire format is pure: values
//! to JSON, bytes to values.
//!
//! The official clients go by the status alone, which is not enough. 429 means *slow down* or *no
//! money left*, and 400 means *wrong request*, *too long*, or *no money left* again.
//! [`FailureKind`] tells them apart: a throttled request waits, one without money must not be tried
//! elsewhere under the same key, and the rest go to another tier.

mod anthropic;
mod http;
mod json;
mod openai;
mod remaining;
mod retry_after;

use std::time::Duration;

use async_trait::async_trait;
use precis_policy::Tokens;
use precis_schemas::codes;

pub use anthropic::Anthropic;
pub(crate) use http::check_url;
pub use http::{HttpProvider, HttpSettings, UrlError};
pub use openai::{OpenAi, TokenLimit};
pub use remaining::Remaining;
pub use retry_after::retry_after;

/// Sends one request to a provider.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The provider's name, as policies and the price table spell it.
    fn name(&self) -> &'static str;

    /// Sends the request once and reads the answer within the provider's time limits.
    async fn complete(&self, request: &Request) -> Result<Reply, Failure>;
}

/// A wire format: pure translation.
pub trait Wire: Send + Sync + 'static {
    /// The provider's name.
    fn name(&self) -> &'static str;
    /// Path under the base URL.
    fn path(&self) -> &'static str;
    /// The header that carries the key, and its value.
    fn authorisation(&self, key: &str) -> (&'static str, String);
    /// Headers of every request, and of this one.
    fn headers(&self, request: &Request) -> Vec<(&'static str, String)>;
    /// The response header with the provider's identifier of the request.
    fn request_id_header(&self) -> &'static str;
    /// The request's body.
    fn body(&self, request: &Request) -> serde_json::Value;
    /// Reads the body of a 200.
    fn reply(&self, body: &[u8]) -> Result<Reply, NoReply>;
    /// Tells what the body of an error means.
    fn problem(&self, status: u16, body: &[u8]) -> Problem;
}

/// Shortest system message that a provider may cache. No provider caches fewer than 1,024 tokens,
/// and a token is seldom fewer than four bytes of English. Where a model's own minimum is higher, a
/// request for the cache costs nothing.
const MIN_CACHED_BYTES: usize = 4 * 1_024;

/// One request for one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The provider's name of the model.
    pub model: String,
    /// The system message.
    pub system: String,
    /// The user's message: document and instruction.
    pub user: String,
    /// Upper bound of the tokens to generate.
    pub max_output_tokens: u32,
    /// Sampling temperature; `None` leaves it to the provider, since some models refuse any.
    pub temperature: Option<f64>,
    /// Further fields of the body, as the operator configured them.
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// Our name for this attempt, sent along where the provider takes one.
    pub attempt_id: String,
}

impl Request {
    /// Whether the system message, which documents share, is long enough for a provider's prompt
    /// cache.
    pub fn shares_a_prefix(&self) -> bool {
        self.system.len() >= MIN_CACHED_BYTES
    }
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The model's text.
    pub text: String,
    /// Why the model stopped.
    pub finish: Finish,
    /// Tokens that the provider counted, in disjoint classes whatever its own fields mean; `None`
    /// where its numbers are missing or do not add up.
    pub usage: Option<Tokens>,
    /// The provider's identifier of the request, for disputes.
    pub request_id: Option<String>,
    /// The rest of the provider's limits, by its own count.
    pub remaining: Remaining,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The answer is complete.
    Stop,
    /// The tokens ran out, or this build does not know the reason: the answer counts as cut.
    Length,
    /// The model refused to answer.
    Refusal,
}

impl Finish {
    /// The spelling in answers and outcomes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Refusal => "refusal",
        }
    }
}

/// Why the body of a 200 is not an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoReply {
    /// The body holds no answer.
    Unreadable(&'static str),
    /// The body is an error. Gateways send an error with 200 when the answer had begun before the
    /// error was known.
    Problem(Problem),
}

/// What a provider's error body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What the error means for us.
    pub kind: FailureKind,
    /// The provider's own code, reduced to letters, digits and underscores. Messages are never
    /// kept: they may quote the document.
    pub code: String,
}

/// Meaning of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Too many requests or tokens: slow down.
    Throttled,
    /// The provider has too much to do.
    Overloaded,
    /// The provider cannot be reached: no connection was made.
    Unreachable,
    /// An error of the provider's, a broken answer, or none in time.
    Transient,
    /// A complete answer without a text that can be found. It is paid for, and another answer would
    /// most likely be the same.
    Unreadable,
    /// The account has no money or its spending limit is reached.
    OutOfMoney,
    /// The key is wrong, or lacks the permission.
    Auth,
    /// The prompt is longer than the model reads.
    TooLong,
    /// The provider will not process this text.
    Refused,
    /// The provider does not understand the request: wrong model name, wrong parameter.
    BadRequest,
}

impl FailureKind {
    /// Stable code for metrics, trials and the runbook.
    pub fn code(self) -> &'static str {
        match self {
            Self::Throttled => "provider_throttled",
            Self::Overloaded => "provider_overloaded",
            Self::Unreachable => "provider_unreachable",
            Self::Transient => "provider_error",
            Self::Unreadable => "provider_unreadable",
            Self::OutOfMoney => codes::OUT_OF_MONEY,
            Self::Auth => "provider_auth",
            Self::TooLong => "prompt_too_long",
            Self::Refused => "provider_refused",
            Self::BadRequest => "provider_bad_request",
        }
    }

    /// Whether the same request may succeed a little later.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Overloaded | Self::Unreachable | Self::Transient | Self::Unreadable)
    }
}

/// Whether a failed request may stand on the bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Billing {
    /// The request was refused before any work.
    NotBilled,
    /// The work may have been done and the answer lost.
    Unknown,
}

/// One failed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{provider}: {} ({detail})", .kind.code())]
pub struct Failure {
    /// The provider's name.
    pub provider: &'static str,
    /// What it means.
    pub kind: FailureKind,
    /// Status and the provider's code, or what the connection did. No text of the provider's, no
    /// document text, no key.
    pub detail: String,
    /// How long to wait before the next request.
    pub retry_after: Option<Duration>,
    /// Whether the request may have been billed.
    pub billing: Billing,
    /// The provider's identifier of the request.
    pub request_id: Option<String>,
}

/// A provider's count of tokens; `None` where the numbers cannot be those of this answer. A server
/// that does not count says 0, and every prompt has tokens.
fn plausible(usage: Tokens, text: &str) -> Option<Tokens> {
    let counted = usage.read() > 0 && (usage.output > 0 || text.is_empty());
    counted.then_some(usage)
}

/// A provider's error code, or nothing where it is no plain word: other text may quote the
/// document.
fn plain_code(code: &str) -> String {
    const MAX_CODE_BYTES: usize = 48;
    let is_plain = code.len() <= MAX_CODE_BYTES && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { code.to_owned() } else { String::new() }
}
