//! What a worker of any tier does with a routed document. GPU and API tiers differ only in their
//! [`Summariser`].
//!
//! ```text
//!  work.<tier> ─▶ settled? ──yes──▶ publish the stored bytes
//!                   │ no
//!                   ▼
//!                 hard rules ──no──▶ escalations (refused: costs no hop); asked again before each request ([`Clearance`])
//!                   │ yes
//!                   ▼
//!                 answer stored? ──no──▶ late? ──no──▶ generate ─▶ store (create-only; the loser adopts the winner's)
//!                   │ yes                  │ yes: escalations (refused)  │
//!                   ▼◀───────────────────────────────────────────────────┘
//!                 checks ──failed──▶ escalations (a hop)      passed ──▶ settle ─▶ summaries
//! ```
//!
//! An answer is stored before anything is published, so a crash at any point costs no second
//! generation and, on a paid tier, no second bill beyond the call that was in flight. Of a long
//! document even the finished pieces are found again ([`PartialAnswers`]). The worker never picks a
//! tier and never flags: both are the router's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use precis_chaos::{Point, pass_async};
use precis_flow::{Delivery, Output, Processor, Rejection, Scope, StageError};
use precis_objects::{create_or_adopt, keys};
use precis_policy::{DEADLINE_PASSED, DocumentFacts, TierKind};
use precis_quality as quality;
use precis_schemas::{
    Answer, CacheLayer, CheckResult, Document, Escalation, Format, ModelIdentity, RoutedDocument, Trial, TrialResult,
    Usd, codec,
};
use precis_telemetry::metrics::Counter;
use tokio_util::sync::CancellationToken;

use crate::identity::answer_fingerprint;
use crate::prompt::Prompt;
use crate::settle::{Claim, Draft};
use crate::unsaved::Unsaved;
use crate::{
    Clearance, Control, EffectivePolicy, PaidRequests, PartialAnswers, PipelineError, Settler, answer_text, now_ms,
    source, topics,
};

/// Provider of the built-in engine's answers, in answers and outcomes.
pub const BUILT_IN_PROVIDER: &str = "precis";

/// Among an answer's checks: how many parts of a long document ended before they were done.
/// Measured only, where there are any.
const CUT_CHUNKS: &str = "cut_chunks";

/// The finish reason of an answer that is not whole.
const CUT: &str = "length";

/// One request to a model.
#[derive(Debug)]
pub struct Job<'a> {
    /// The document as it was routed.
    pub routed: &'a RoutedDocument,
    /// The publisher's record.
    pub document: &'a Document,
    /// Its text.
    pub text: &'a str,
    /// What is asked.
    pub prompt: &'a Prompt,
    /// Where pieces of this answer are kept until the whole is there.
    pub partials: &'a PartialAnswers,
    /// How many requests to a provider this document has had at this tier; of no meaning where none
    /// is paid.
    pub paid_requests: &'a PaidRequests,
    /// Whether it may still go to this tier: to be asked right before each request, and while it
    /// waits.
    pub clearance: &'a Clearance,
    /// Ends when the worker shuts down and its drain budget is spent.
    pub shutdown: &'a CancellationToken,
}

/// What a model said.
#[derive(Debug, Clone)]
pub struct Generated {
    /// The summary.
    pub text: String,
    /// `stop`, `length`, `repetition` or `refusal`.
    pub finish_reason: String,
    /// Prompt tokens, all chunks together.
    pub input_tokens: i64,
    /// Of those, read from a provider's cache.
    pub cached_input_tokens: i64,
    /// Generated tokens, all chunks together.
    pub output_tokens: i64,
    /// Requests the document was cut into; 1 = whole.
    pub chunks: i32,
    /// Of those, how many ended before they were done.
    pub cut_chunks: i32,
    /// What it cost.
    pub cost: Usd,
    /// Digest of the price table behind `cost`.
    pub price_digest: Option<String>,
    /// The 10 % quantile of the tokens' log-probabilities, where the model tells them; of a
    /// document in pieces, its last answer's.
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
    /// Later, perhaps.
    #[error("{message}")]
    Retry {
        /// Whose fault.
        scope: Scope,
        /// Stable code.
        code: &'static str,
        /// Why.
        message: String,
        /// Not before.
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

/// A way to get a summary: the batched engine, or a provider's API.
#[async_trait]
pub trait Summariser: Send + Sync + 'static {
    /// Who answers when asked with this prompt: part of the answer's fingerprint.
    fn model(&self, prompt: &Prompt) -> ModelIdentity;
    /// Decoding parameters that change the answer, in a stable spelling.
    fn decoding(&self) -> String;
    /// Whether documents leave the network on this way: then stale control knowledge stops it.
    fn leaves_the_house(&self) -> bool;
    /// Summarises one document.
    async fn summarise(&self, job: Job<'_>) -> Result<Generated, GenerateError>;
}

/// The [`Processor`] of a tier's stage.
pub struct TierWorker<S> {
    tier: String,
    summariser: S,
    settler: Settler,
    control: Arc<Control>,
    unsaved: Unsaved,
}

impl<S: Summariser> TierWorker<S> {
    /// A worker of `tier`.
    pub fn new(tier: impl Into<String>, summariser: S, settler: Settler, control: Arc<Control>) -> Self {
        Self { tier: tier.into(), summariser, settler, control, unsaved: Unsaved::default() }
    }

    async fn handle(&self, delivery: &Delivery, routed: &RoutedDocument, claim: &Claim) -> Result<Output, StageError> {
        let stage_error = |error: PipelineError| error.into_stage(Some(&routed.tenant));
        if let Some(output) = self.settler.settled(claim).await.map_err(stage_error)? {
            return Ok(output);
        }
        let document: Document = codec::decode(&routed.document).map_err(|error| stage_error(error.into()))?;
        let effective = self.control.for_record(&routed.policy_digest, self.summariser.leaves_the_house()).await?;
        let facts = DocumentFacts::of(&routed.tenant, &document);
        let acts = if self.summariser.leaves_the_house() { TierKind::Api } else { TierKind::Gpu };
        let clearance = Clearance::new(self.control.clone(), facts, &self.tier, acts);
        if let Err(denied) = clearance.allowed_by(&effective) {
            return self.unanswered(delivery, claim, routed, &effective, denied.into());
        }
        let text = source::text_of(&routed.tenant, &document, &**self.settler.store()).await.map_err(stage_error)?;
        let expected = expected_language(&document, &text);
        let prompt = Prompt::for_document(&document, document.output_language.as_deref().or(expected.as_deref()));
        let model = self.summariser.model(&prompt);
        let fingerprint = answer_fingerprint(&model, &self.summariser.decoding());
        let key = keys::answer(&routed.tenant, &routed.request_fingerprint, &fingerprint);

        let stored = match self.settler.store().get(&key).await.map_err(|error| stage_error(error.into()))? {
            Some(bytes) => {
                // An older try's that waits here is stored by now.
                self.unsaved.take(&key);
                Some(codec::decode(&bytes).map_err(|error| stage_error(error.into()))?)
            }
            None => match self.unsaved.take(&key) {
                Some(answer) => Some(self.keep(&key, answer).await.map_err(stage_error)?),
                None => None,
            },
        };
        let judge =
            Judge { effective: &effective, document: &document, text: &text, expected_language: expected.as_deref() };
        let stored = if let Some(answer) = stored {
            answer
        } else if effective.policy.is_late(routed.deadline, now_ms()) {
            return Ok(self.escalation(delivery, claim, &effective, TrialResult::Refused, DEADLINE_PASSED, None, &[]));
        } else {
            let started = Instant::now();
            let partials = PartialAnswers::new(
                Arc::clone(self.settler.store()),
                &routed.tenant,
                &routed.request_fingerprint,
                &fingerprint,
            );
            let max_requests = effective.policy.max_paid_requests(&self.tier);
            let paid_requests = PaidRequests::new(Arc::clone(self.settler.store()), claim, &self.tier, max_requests);
            let job = Job {
                routed,
                document: &document,
                text: &text,
                prompt: &prompt,
                partials: &partials,
                paid_requests: &paid_requests,
                clearance: &clearance,
                shutdown: &delivery.shutdown,
            };
            let generated = match self.summariser.summarise(job).await {
                Ok(generated) => generated,
                // Under the policy of now: it may have changed while the document waited, and may
                // be why.
                Err(error) => return self.unanswered(delivery, claim, routed, &self.control.effective(), error),
            };
            for (kind, tokens) in [("input", generated.input_tokens), ("output", generated.output_tokens)] {
                Counter::AnswerTokens.add(tokens.unsigned_abs(), &[&self.tier, kind]);
            }
            let in_pieces = generated.chunks > 1;
            let generation_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
            let answer = new_answer(routed, &document, fingerprint, model, generated, generation_ms);
            let kept = self.keep(&key, judge.judged(answer).0).await.map_err(stage_error)?;
            paid_requests.clear().await;
            if in_pieces {
                partials.clear().await;
            }
            kept
        };
        // Judged again even if stored: the thresholds in force decide, not those of the day it was
        // generated.
        let (answer, failed) = judge.judged(stored);
        self.count(&failed);
        if let Some(code) = failed.first() {
            return Ok(self.escalation(
                delivery,
                claim,
                &effective,
                TrialResult::FailedChecks,
                code,
                Some(key),
                &failed,
            ));
        }
        let accepted = keys::accepted(&routed.tenant, &routed.request_fingerprint, &effective.cache_generation);
        let bytes = codec::encode(&answer).map_err(|error| stage_error(error.into()))?;
        self.settler.store().put_if_absent(&accepted, bytes).await.map_err(|error| stage_error(error.into()))?;
        let mut outcome =
            Draft::of(routed, &document, &text, now_ms()).answered(&self.tier, &answer, &key, CacheLayer::None);
        // The re-check on record: the policy it was asked of. The router's stands in the decision,
        // earlier tiers' in the trail.
        outcome.policy_digest.clone_from(&effective.digest);
        let earlier = self.settler.spent_on(&routed.tenant, &routed.trail).await.map_err(stage_error)?;
        outcome.cost = outcome.cost.checked_add(earlier).unwrap_or(Usd::MAX);
        self.settler.settle(claim, &outcome).await.map_err(stage_error)
    }

    /// What becomes of a document that this tier has no answer for: back to the router, or the
    /// stage's to deal with.
    fn unanswered(
        &self,
        delivery: &Delivery,
        claim: &Claim,
        routed: &RoutedDocument,
        effective: &EffectivePolicy,
        error: GenerateError,
    ) -> Result<Output, StageError> {
        match error {
            GenerateError::Refused { code, message } => {
                tracing::info!(tier = self.tier, code, message, "refused");
                Ok(self.escalation(delivery, claim, effective, TrialResult::Refused, code, None, &[]))
            }
            error => Err(into_stage(error, &routed.tenant)),
        }
    }

    fn count(&self, failed: &[String]) {
        Counter::Answers.increment(&[&self.tier, if failed.is_empty() { "accepted" } else { "rejected" }]);
        for check in failed {
            Counter::CheckFailures.increment(&[check, &self.tier]);
        }
    }

    /// Stores the answer; if another worker stored one under this key first, that one counts. While
    /// the store is away the answer waits here for the next try.
    async fn keep(&self, key: &str, answer: Answer) -> Result<Answer, PipelineError> {
        let bytes = codec::encode(&answer)?;
        let adopted = match create_or_adopt(&**self.settler.store(), key, bytes).await {
            Ok(adopted) => adopted,
            Err(error) => {
                self.unsaved.keep(key, answer);
                return Err(error.into());
            }
        };
        pass_async(Point::AfterAnswerPut).await;
        Ok(if adopted.created { answer } else { codec::decode(&adopted.bytes)? })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call builds one record; a struct would only rename the fields of Trial"
    )]
    fn escalation(
        &self,
        delivery: &Delivery,
        claim: &Claim,
        effective: &EffectivePolicy,
        result: TrialResult,
        code: &str,
        answer_key: Option<String>,
        failed_checks: &[String],
    ) -> Output {
        Counter::Escalations.increment(&[&self.tier, code]);
        let trial = Trial {
            tier: self.tier.clone(),
            result,
            code: code.to_owned(),
            answer_key,
            failed_checks: failed_checks.to_vec(),
            policy_digest: effective.digest.clone(),
            at: now_ms(),
        };
        let routed = delivery.record.value.clone().unwrap_or_default();
        Output::to(topics::ESCALATIONS)
            .key(claim.identity.record_key())
            .record(&Escalation { routed, trial })
            .expect("an escalation is bytes and strings: it always fits its schema")
    }
}

#[async_trait]
impl<S: Summariser> Processor for TierWorker<S> {
    async fn process(&self, delivery: &Delivery) -> Result<Vec<Output>, StageError> {
        let routed = decode_routed(delivery).map_err(|error| error.into_stage(None))?;
        let claim = Claim::of(&routed);
        Ok(vec![self.handle(delivery, &routed, &claim).await?])
    }

    async fn rejected(&self, delivery: &Delivery, rejection: &Rejection) -> Result<Vec<Output>, StageError> {
        // Of an undecodable record or another request's identity there is no outcome to settle: the
        // dead letter is its end.
        let Ok(routed) = decode_routed(delivery) else { return Ok(Vec::new()) };
        if rejection.code == "id_conflict" {
            return Ok(Vec::new());
        }
        let document = codec::decode(&routed.document).unwrap_or_default();
        let outcome = Draft::of(&routed, &document, "", now_ms()).failed(rejection.code, &rejection.message);
        match self.settler.settle(&Claim::of(&routed), &outcome).await {
            Ok(output) => Ok(vec![output]),
            Err(PipelineError::Rejected { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into_stage(Some(&routed.tenant))),
        }
    }
}

fn decode_routed(delivery: &Delivery) -> Result<RoutedDocument, PipelineError> {
    let value = delivery
        .record
        .value
        .as_deref()
        .ok_or_else(|| PipelineError::rejected("empty_record", "the record has no value"))?;
    Ok(codec::decode(value)?)
}

/// The language a summary must be in: the one asked for, else the document's own as far as it can
/// be told.
fn expected_language(document: &Document, text: &str) -> Option<String> {
    document
        .output_language
        .clone()
        .or_else(|| document.language.clone())
        .or_else(|| quality::language_of(text).map(str::to_owned))
}

fn new_answer(
    routed: &RoutedDocument,
    document: &Document,
    fingerprint: String,
    model: ModelIdentity,
    generated: Generated,
    generation_ms: i64,
) -> Answer {
    let text = answer_text::of(&generated.text);
    Answer {
        tenant: routed.tenant.clone(),
        request_fingerprint: routed.request_fingerprint.clone(),
        answer_fingerprint: fingerprint,
        // Reasoning that never ended is an answer that was cut before it began.
        finish_reason: if text.is_some() { generated.finish_reason } else { CUT.to_owned() },
        text: text.unwrap_or_default().to_owned(),
        model,
        input_tokens: generated.input_tokens,
        cached_input_tokens: generated.cached_input_tokens,
        output_tokens: generated.output_tokens,
        chunks: generated.chunks,
        // Kept where it is measured, so that a stored answer can be judged again.
        checks: generated
            .logprob
            .map(|logprob| measured(quality::CheckName::Confidence.as_str(), logprob))
            .into_iter()
            .chain((generated.cut_chunks > 0).then(|| measured(CUT_CHUNKS, f64::from(generated.cut_chunks))))
            .collect(),
        accepted: false,
        cost: generated.cost,
        price_digest: generated.price_digest,
        generation_ms,
        created_at: now_ms(),
        subject_ids: document.subject_ids.clone(),
    }
}

fn measured(name: &str, value: f64) -> CheckResult {
    CheckResult { name: name.to_owned(), passed: true, value: Some(value), detail: String::new() }
}

/// Holds an answer against its source under the thresholds in force.
struct Judge<'a> {
    effective: &'a EffectivePolicy,
    document: &'a Document,
    text: &'a str,
    expected_language: Option<&'a str>,
}

impl Judge<'_> {
    /// The answer with its verdict, and the gating checks it failed, in order of cost.
    fn judged(&self, mut answer: Answer) -> (Answer, Vec<String>) {
        let thresholds = self.effective.policy.thresholds(&self.document.document_type);
        let context: Vec<&str> =
            [&self.document.title, &self.document.instruction].into_iter().flatten().map(String::as_str).collect();
        let confidence = quality::CheckName::Confidence.as_str();
        let logprob = answer.checks.iter().find(|check| check.name == confidence).and_then(|check| check.value);
        let cut = answer.checks.iter().find(|check| check.name == CUT_CHUNKS).cloned();
        let checks = quality::check(
            &quality::Input {
                source: self.text,
                context: &context,
                summary: &answer.text,
                finish_reason: &answer.finish_reason,
                expected_language: self.expected_language,
                max_words: self.document.max_words.and_then(|words| u32::try_from(words).ok()),
                format: match self.document.format {
                    Format::Paragraph => quality::Format::Paragraph,
                    Format::Bullets => quality::Format::Bullets,
                },
                logprob,
            },
            thresholds,
        );
        let failed: Vec<String> = quality::failed(&checks, thresholds).into_iter().map(str::to_owned).collect();
        answer.accepted = failed.is_empty();
        answer.checks = checks
            .into_iter()
            .map(|check| CheckResult {
                name: check.name.to_owned(),
                passed: check.passed,
                value: check.value,
                detail: check.detail,
            })
            .chain(cut)
            .collect();
        (answer, failed)
    }
}

fn into_stage(error: GenerateError, tenant: &str) -> StageError {
    match error {
        GenerateError::Rejected { code, message } | GenerateError::Refused { code, message } => {
            StageError::Reject(Rejection { code, message, tenant: Some(tenant.to_owned()) })
        }
        GenerateError::Retry { scope, code, message, after } => StageError::Retry { scope, code, message, after },
        GenerateError::Fatal { code, message } => StageError::Fatal { code, message },
    }
}
