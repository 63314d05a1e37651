//! Getting an answer from a model: what a [`Summariser`] is given and gives back.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use precis_flow::{Rejection, Scope, StageError};
use precis_policy::{DecodingRules, TierKind};
use precis_schemas::{Answer, Document, ModelIdentity, RoutedDocument, Usd, codes};
use precis_telemetry::metrics::Counter;
use tokio_util::sync::CancellationToken;

use super::answer::{Answers, new_answer};
use super::check::{self, Checked};
use super::work::{AnswerSpec, Work};
use crate::prompt::Prompt;
use crate::{Clearance, PaidRequests, PartialAnswers, PipelineError};

pub use precis_policy::BUILT_IN_PROVIDER;

/// One request to a model.
#[derive(Debug)]
pub struct Job<'a> {
    /// The document as it was routed.
    pub routed: &'a RoutedDocument,
    /// The publisher's record.
    pub document: &'a Document,
    /// The document's text.
    pub text: &'a str,
    /// What is asked.
    pub prompt: &'a Prompt,
    /// The adapter that answers, as [`Summariser::adapter`] gave it.
    pub adapter: Option<&'a str>,
    /// What the answer has in place of the model's own rules of decoding.
    pub decoding: DecodingRules,
    /// What the partial answers of a long document have in their place: those of the first try, so
    /// that a second one finds them.
    pub part_decoding: DecodingRules,
    /// The most parts in which a document may be read that is too long for one request.
    pub max_parts: u32,
    /// Where partial answers are kept until the whole answer is there.
    pub partials: &'a PartialAnswers,
    /// How many requests to a provider this document has had at this tier; of no meaning where none
    /// is paid.
    pub paid_requests: &'a PaidRequests,
    /// Whether the document may still go to this tier: to be asked right before each request, and
    /// while the document waits.
    pub clearance: &'a Clearance,
    /// Ends when the worker shuts down and its drain budget is spent.
    pub shutdown: &'a CancellationToken,
}

/// What a model said.
#[derive(Debug, Clone)]
pub struct Generated {
    /// The summary.
    pub text: String,
    /// `stop`, `sentence` (the room was used up, the text ends with a whole sentence), `length`,
    /// `repetition` or `refusal`.
    pub finish_reason: String,
    /// Prompt tokens, all chunks together.
    pub input_tokens: i64,
    /// Prompt tokens that were read from a provider's cache; part of `input_tokens`.
    pub cached_input_tokens: i64,
    /// Generated tokens, all chunks together.
    pub output_tokens: i64,
    /// Chunks the document was cut into; 1 = whole.
    pub chunks: i32,
    /// Chunks whose partial answers ended before they were done.
    pub cut_chunks: i32,
    /// What it cost.
    pub cost: Usd,
    /// Digest of the price table behind `cost`.
    pub price_digest: Option<String>,
    /// The 10 % quantile of the tokens' log-probabilities, where the model tells them; of a
    /// document in chunks, its last answer's.
    pub logprob: Option<f64>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// This tier will not do it (switched off, out of money, too long for it): the router picks
    /// another, no hop is used up.
    #[error("{message}")]
    Refused {
        /// Stable code.
        code: &'static str,
        /// Why.
        message: String,
    },
    /// No tier could do it.
    #[error("{message}")]
    Rejected {
        /// Stable code.
        code: &'static str,
        /// Why.
        message: String,
    },
    /// The same request may succeed later.
    #[error("{message}")]
    Retry {
        /// How far the fault reaches.
        scope: Scope,
        /// Stable code.
        code: &'static str,
        /// Why.
        message: String,
        /// Shortest wait before the next attempt.
        after: Option<Duration>,
    },
    /// The worker cannot go on.
    #[error("{message}")]
    Fatal {
        /// Stable code.
        code: &'static str,
        /// Why.
        message: String,
    },
}

impl GenerateError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { code, .. }
            | Self::Rejected { code, .. }
            | Self::Retry { code, .. }
            | Self::Fatal { code, .. } => code,
        }
    }

    /// The stage's view of the error, for a document of `tenant`.
    pub(crate) fn into_stage(self, tenant: Option<&str>) -> StageError {
        match self {
            Self::Rejected { code, message } | Self::Refused { code, message } => {
                let rejection = Rejection::new(code, message);
                StageError::Reject(Rejection { tenant: tenant.map(str::to_owned), ..rejection })
            }
            Self::Retry { scope, code, message, after } => StageError::Retry { scope, code, message, after },
            Self::Fatal { code, message } => StageError::Fatal { code, message },
        }
    }
}

/// A way to get a summary: the batched engine, or a provider's API.
#[async_trait]
pub trait Summariser: Send + Sync + 'static {
    /// Who answers when asked with this prompt: part of the answer's fingerprint.
    fn model(&self, prompt: &Prompt) -> ModelIdentity;
    /// Name and digest of the adapter of this name, as answers and their fingerprints have it;
    /// refused where this way has no such adapter.
    ///
    /// # Errors
    /// Why a document that needs the adapter cannot be answered here.
    fn adapter(&self, name: &str) -> Result<String, GenerateError> {
        let message = format!("there is no adapter `{name}` here: this tier has no adapters");
        Err(GenerateError::Refused { code: codes::UNKNOWN_ADAPTER, message })
    }
    /// Decoding parameters that change the answer, in a stable spelling. A way that cannot follow
    /// these rules ignores them, and so has one spelling for all.
    fn decoding(&self, rules: &DecodingRules) -> String;
    /// Where documents go on this way. To an external tier nothing is sent on stale knowledge of
    /// `control`.
    fn tier_kind(&self) -> TierKind;
    /// Summarises one document.
    async fn summarise(&self, job: Job<'_>) -> Result<Generated, GenerateError>;
}

/// A new answer that is not stored yet, with the marks of the requests that it took.
pub(super) struct Asked {
    pub(super) answer: Answer,
    pub(super) paid_requests: PaidRequests,
}

/// Asks for an answer, whatever is stored. `max_parts`: see [`Job::max_parts`].
pub(super) async fn ask(
    summariser: &impl Summariser,
    answers: &Answers,
    work: &Work<'_>,
    spec: &AnswerSpec<'_>,
    max_parts: u32,
) -> Result<Asked, PipelineError> {
    let partials = answers.partials(work, spec);
    let paid_requests = answers.paid_requests(work);
    let started = Instant::now();
    let job = Job {
        routed: work.routed,
        document: work.document,
        text: spec.text,
        prompt: &spec.prompt,
        adapter: spec.model.adapter.as_deref(),
        decoding: spec.decoding,
        part_decoding: spec.part_decoding,
        max_parts,
        partials: &partials,
        paid_requests: &paid_requests,
        clearance: &work.clearance,
        shutdown: &work.delivery.shutdown,
    };
    let generated = summariser.summarise(job).await?;
    count_tokens(work.tier, &generated);
    Ok(Asked { answer: new_answer(work, spec, generated, started.elapsed()), paid_requests })
}

/// A new answer, checked and stored. It is checked once, but for the answer of another worker,
/// which came first.
pub(super) async fn generate(
    summariser: &impl Summariser,
    answers: &Answers,
    work: &Work<'_>,
    spec: &AnswerSpec<'_>,
) -> Result<Checked, PipelineError> {
    let max_parts = work.effective.policy.limits.max_parts;
    let Asked { answer, paid_requests } = ask(summariser, answers, work, spec, max_parts).await?;
    let Checked { answer, failed, figures } = check::check(work, spec, answer).await;
    let (answer, is_own) = answers.store(&spec.key, answer).await?;
    paid_requests.clear().await;
    if is_own { Ok(Checked { answer, failed, figures }) } else { Ok(check::check(work, spec, answer).await) }
}

fn count_tokens(tier: &str, generated: &Generated) {
    for (kind, tokens) in [("input", generated.input_tokens), ("output", generated.output_tokens)] {
        Counter::AnswerTokens.add(tokens.unsigned_abs(), &[tier, kind]);
    }
}
