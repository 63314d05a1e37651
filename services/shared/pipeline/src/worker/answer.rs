//! Answers in the object store: created once under their key, and found again by later deliveries.

use std::sync::Arc;
use std::time::Duration;

use precis_chaos::{Point, pass_async};
use precis_objects::{ObjectStore, create_or_adopt};
use precis_quality::CheckName;
use precis_schemas::{Answer, CheckResult, codec};

use super::Generated;
use super::check::CUT_CHUNKS;
use super::unsaved::Unsaved;
use super::work::{AnswerSpec, Work};
use crate::{PaidRequests, PartialAnswers, PipelineError, answer_text, now_ms};

/// The finish reason of an answer that is not whole.
const CUT: &str = "length";

/// The answers of one worker.
pub(super) struct Answers {
    objects: Arc<dyn ObjectStore>,
    unsaved: Unsaved,
}

impl Answers {
    pub(super) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, unsaved: Unsaved::default() }
    }

    /// The answer that an earlier delivery stored under this key, or could not store.
    pub(super) async fn recall(&self, key: &str) -> Result<Option<Answer>, PipelineError> {
        let stored = self.objects.get(key).await?;
        // Where one is stored, that one counts.
        let unsaved = self.unsaved.take(key);
        match (stored, unsaved) {
            (Some(bytes), _) => Ok(Some(codec::decode(&bytes)?)),
            (None, Some(answer)) => self.store(key, answer).await.map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Stores the answer; if another worker stored one under this key first, that one counts. While
    /// the store is away the answer waits in this process for the record's next delivery.
    pub(super) async fn store(&self, key: &str, answer: Answer) -> Result<Answer, PipelineError> {
        let bytes = codec::encode(&answer)?;
        let adopted = match create_or_adopt(&*self.objects, key, bytes).await {
            Ok(adopted) => adopted,
            Err(error) => {
                self.unsaved.keep(key, answer);
                return Err(error.into());
            }
        };
        pass_async(Point::AfterAnswerPut).await;
        Ok(if adopted.created { answer } else { codec::decode(&adopted.bytes)? })
    }

    /// The partial answers to this request.
    pub(super) fn partials(&self, work: &Work<'_>, spec: &AnswerSpec<'_>) -> PartialAnswers {
        let routed = work.routed;
        PartialAnswers::new(self.objects.clone(), &routed.tenant, &routed.request_fingerprint, &spec.fingerprint)
    }

    /// The document's requests at this tier.
    pub(super) fn paid_requests(&self, work: &Work<'_>) -> PaidRequests {
        let max_requests = work.effective.policy.max_paid_requests(work.tier);
        PaidRequests::new(self.objects.clone(), &work.claim, work.tier, max_requests)
    }
}

/// The record of what a model said; its checks are those that only the model can measure.
pub(super) fn new_answer(work: &Work<'_>, spec: &AnswerSpec<'_>, generated: Generated, took: Duration) -> Answer {
    let text = answer_text::of(&generated.text);
    let confidence = generated.logprob.map(|logprob| measured(CheckName::Confidence.as_str(), logprob));
    let cut = (generated.cut_chunks > 0).then(|| measured(CUT_CHUNKS, f64::from(generated.cut_chunks)));
    Answer {
        tenant: work.routed.tenant.clone(),
        request_fingerprint: work.routed.request_fingerprint.clone(),
        answer_fingerprint: spec.fingerprint.clone(),
        // Reasoning that never ended is an answer that was cut before it began.
        finish_reason: if text.is_some() { generated.finish_reason } else { CUT.to_owned() },
        text: answer_text::without_controls(text.unwrap_or_default()).into_owned(),
        model: spec.model.clone(),
        input_tokens: generated.input_tokens,
        cached_input_tokens: generated.cached_input_tokens,
        output_tokens: generated.output_tokens,
        chunks: generated.chunks,
        // Stored with the answer, so that a stored answer can be checked again.
        checks: confidence.into_iter().chain(cut).collect(),
        accepted: false,
        cost: generated.cost,
        price_digest: generated.price_digest,
        generation_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
        created_at: now_ms(),
        subject_ids: work.document.subject_ids.clone(),
    }
}

fn measured(name: &str, value: f64) -> CheckResult {
    CheckResult { name: name.to_owned(), passed: true, value: Some(value), detail: String::new() }
}
