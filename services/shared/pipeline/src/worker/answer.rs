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
use crate::answer_text::{self, CUT};
use crate::{PaidRequests, PartialAnswers, PipelineError, now_ms};

/// The answers of one worker.
pub(super) struct Answers {
    objects: Arc<dyn ObjectStore>,
    unsaved: Unsaved,
}

impl Answers {
    pub(super) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, unsaved: Unsaved::default() }
    }

    /// The answer that an earlier delivery stored under its key, or could not store.
    pub(super) async fn recall(&self, spec: &AnswerSpec<'_>) -> Result<Option<Answer>, PipelineError> {
        let key = &spec.key;
        let stored = self.objects.get(key).await?;
        // Where one is stored, that one counts.
        let unsaved = self.unsaved.take(key);
        match (stored, unsaved) {
            (Some(bytes), _) => {
                let mut answer = codec::decode(&bytes)?;
                answer_text::bound(&mut answer, spec.prompt.max_answer_bytes());
                Ok(Some(answer))
            }
            (None, Some(answer)) => Ok(Some(self.store(key, answer).await?.0)),
            (None, None) => Ok(None),
        }
    }

    /// Stores the answer; if another worker stored one under this key first, that one counts. Also
    /// says whether the answer is the one that was given. While the store is away the answer waits
    /// in this process for the record's next delivery.
    pub(super) async fn store(&self, key: &str, answer: Answer) -> Result<(Answer, bool), PipelineError> {
        let bytes = codec::encode(&answer)?;
        let adopted = match create_or_adopt(&*self.objects, key, bytes).await {
            Ok(adopted) => adopted,
            Err(error) => {
                self.unsaved.keep(key, answer);
                return Err(error.into());
            }
        };
        pass_async(Point::AfterAnswerPut).await;
        Ok(if adopted.created { (answer, true) } else { (codec::decode(&adopted.bytes)?, false) })
    }

    /// The partial answers to this request, which both tries share.
    pub(super) fn partials(&self, work: &Work<'_>, spec: &AnswerSpec<'_>) -> PartialAnswers {
        let routed = work.routed;
        PartialAnswers::new(self.objects.clone(), &routed.tenant, &routed.request_fingerprint, &spec.part_fingerprint)
    }

    /// The document's requests at this tier.
    pub(super) fn paid_requests(&self, work: &Work<'_>) -> PaidRequests {
        let max_requests = work.effective.policy.max_paid_requests(work.tier);
        PaidRequests::new(self.objects.clone(), &work.claim, work.tier, max_requests)
    }
}

/// The record of what a model said; its checks are those that only the model can measure.
pub(super) fn new_answer(work: &Work<'_>, spec: &AnswerSpec<'_>, generated: Generated, took: Duration) -> Answer {
    let text = answer_text::of(&generated.text).map(answer_text::without_controls);
    let kept = text.as_deref().and_then(|text| answer_text::cut(text, spec.prompt.max_answer_bytes()));
    let confidence = generated.logprob.map(|logprob| measured(CheckName::Confidence.as_str(), logprob));
    let cut = (generated.cut_chunks > 0).then(|| measured(CUT_CHUNKS, f64::from(generated.cut_chunks)));
    Answer {
        tenant: work.routed.tenant.clone(),
        request_fingerprint: work.routed.request_fingerprint.clone(),
        answer_fingerprint: spec.fingerprint.clone(),
        // Reasoning that never ended is an answer that was cut before it began.
        finish_reason: if text.is_some() && kept.is_none() { generated.finish_reason } else { CUT.to_owned() },
        text: kept.or(text.as_deref()).unwrap_or_default().to_owned(),
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
        scores: None,
    }
}

fn measured(name: &str, value: f64) -> CheckResult {
    CheckResult { name: name.to_owned(), passed: true, value: Some(value), detail: String::new() }
}
