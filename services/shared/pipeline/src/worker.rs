//! What a worker of any tier does with a routed document. GPU and API tiers differ only in their
//! [`Summariser`].
//!
//! ```text
//!  work.<tier> ─▶ proved ours, and as its document says? ──no──▶ dead-letters, and nothing else
//!                   │ yes
//!                 settled? ──yes──▶ publish the stored bytes
//!                   │ no
//!                   ▼
//!                 hard rules ──no──▶ escalations (refused: costs no hop); asked again before each request ([`Clearance`])
//!                   │ yes
//!                   ▼
//!                 answer stored? ──no──▶ late? ──no──▶ generate ─▶ store (create-only; the loser adopts the winner's)
//!                   │ yes                  │ yes: escalations (refused)  │
//!                   ▼◀───────────────────────────────────────────────────┘
//!                 checks ──failed──▶ a second try left? ──no──▶ escalations (a hop)
//!                   │ passed             │ yes: generate, check (the same steps under other rules of decoding)
//!                   ▼◀───────────────────┘
//!                 settle ─▶ summaries
//! ```
//!
//! Nothing that a record claims is believed before it is proved ([`crate::proof`]): not whose the
//! document is, and not where its answer would be found. Of the text, the fingerprint is computed
//! anew, so an answer is looked up and stored under the fingerprint of what was really asked.
//!
//! An answer is stored before anything is published. So a crash at any point costs no second
//! generation and, on a paid tier, no second bill beyond the request that was in flight. Of a long
//! document even the partial answers are found again ([`crate::PartialAnswers`]). The worker never
//! picks a tier and never flags: both are the router's.

use std::sync::Arc;

use async_trait::async_trait;
use precis_flow::{Delivery, Output, Processor, Record, Rejection, StageError};
use precis_objects::{ObjectStore, keys};
use precis_policy::{DEADLINE_PASSED, DecodingRules, DocumentFacts};
use precis_schemas::{Answer, CacheLayer, CodecError, Document, RoutedDocument, Usd, codec, codes};
use precis_telemetry::metrics::Counter;

mod answer;
mod check;
mod escalation;
mod generate;
mod judge;
mod request;
mod unsaved;
mod work;

pub use generate::{BUILT_IN_PROVIDER, GenerateError, Generated, Job, Summariser};

use crate::evaluation::{self, Evaluations, Judgement, Subject};
use crate::figures::{Figures, Labels};
use crate::settle::{Claim, Draft};
use crate::{
    Clearance, Control, EffectivePolicy, HoldsText, PipelineError, RoutingKeys, Settler, TextBudget, now_ms, source,
    text_budget,
};
use answer::Answers;
use check::Checked;
use escalation::{Cause, escalation};
use work::{AnswerSpec, Work};

/// The [`Processor`] of a tier's stage.
pub struct TierWorker<S> {
    tier: String,
    summariser: S,
    store: Arc<dyn ObjectStore>,
    settler: Settler,
    control: Arc<Control>,
    keys: Arc<RoutingKeys>,
    answers: Answers,
    evaluations: Evaluations,
    texts: TextBudget,
}

impl<S: Summariser> TierWorker<S> {
    /// A worker of `tier` that keeps answers and settles in `store`, and takes work that these
    /// `keys` prove.
    pub fn new(
        tier: impl Into<String>,
        summariser: S,
        store: Arc<dyn ObjectStore>,
        control: Arc<Control>,
        keys: Arc<RoutingKeys>,
    ) -> Self {
        let (settler, answers) = (Settler::new(store.clone()), Answers::new(store.clone()));
        let evaluations = Evaluations::new(store.clone());
        let (tier, texts) = (tier.into(), TextBudget::default());
        Self { tier, summariser, store, settler, control, keys, answers, evaluations, texts }
    }

    /// Takes the bytes of its documents' texts from this budget, which workers of one process
    /// share.
    #[must_use]
    pub fn with_text_budget(mut self, texts: TextBudget) -> Self {
        self.texts = texts;
        self
    }

    /// What becomes of a document: the steps of the module's picture, in their order.
    async fn handle(&self, delivery: &Delivery, work: &DecodedWork) -> Result<Output, PipelineError> {
        if let Some(subject) = Subject::of(&work.routed) {
            return self.judge(delivery, work, &subject).await;
        }
        let DecodedWork { routed, document } = work;
        if let Ok(document) = document {
            request::check_document(routed, document)?;
        }
        let claim = Claim::of(routed);
        if let Some(output) = self.settler.settled(&claim).await? {
            return Ok(output);
        }
        let document = document.as_ref().map_err(Clone::clone)?;
        let effective = self.control.for_work(&routed.policy_digest, self.summariser.tier_kind()).await?;
        let clearance = self.clearance(routed, document);
        let work = Work { tier: &self.tier, delivery, routed, document, claim, effective, clearance };
        if let Err(denied) = work.clearance.allowed_by(&work.effective) {
            return unanswered(&work, &work.effective, denied.into());
        }
        let text = source::text_of(&routed.tenant, document, &*self.store).await?;
        request::check_text(routed, document, &text).await?;
        let decoding = work.effective.policy.decoding(&document.document_type);
        let spec = match AnswerSpec::new(&work, &text, &self.summariser, decoding.first()) {
            Ok(spec) => spec,
            Err(error) => return unanswered(&work, &work.effective, error),
        };
        match self.recall_or_generate(&work, &spec).await {
            Ok(Some(checked)) => self.judged(&work, &spec, checked, decoding.second()).await,
            Ok(None) => Ok(escalation(&work, &work.effective, Cause::Refused(DEADLINE_PASSED))),
            // Under the policy of now: it may have changed while the document waited, and may be
            // why there is no answer.
            Err(PipelineError::Unanswered(error)) => unanswered(&work, &self.control.effective(), error),
            Err(error) => Err(error),
        }
    }

    /// The routed document of a record that is proved to be ours.
    fn routed(&self, record: &Record) -> Result<RoutedDocument, PipelineError> {
        self.keys.check(record)?;
        let value = record.value.as_deref();
        let value = value.ok_or_else(|| PipelineError::rejected(codes::EMPTY_RECORD, "the record has no value"))?;
        let routed: RoutedDocument = codec::decode(value)?;
        Claim::of(&routed).identity.check()?;
        Ok(routed)
    }

    fn clearance(&self, routed: &RoutedDocument, document: &Document) -> Clearance {
        let facts = DocumentFacts::of(&routed.tenant, document);
        let facts = if routed.evaluation.is_some() { facts.for_evaluation() } else { facts };
        Clearance::new(self.control.clone(), facts, &self.tier, self.summariser.tier_kind())
    }

    /// The stored answer, or a new one; `None` for a document that is too late for a new one. Even
    /// a stored answer is checked: the thresholds in force decide, not those of the day on which it
    /// was generated.
    async fn recall_or_generate(
        &self,
        work: &Work<'_>,
        spec: &AnswerSpec<'_>,
    ) -> Result<Option<Checked>, PipelineError> {
        if let Some(answer) = self.answers.recall(spec).await? {
            return Ok(Some(check::check(work, spec, answer).await));
        }
        if work.effective.policy.is_late(work.routed.deadline, now_ms()) {
            return Ok(None);
        }
        generate::generate(&self.summariser, &self.answers, work, spec).await.map(Some)
    }

    /// What becomes of the document after its first answer. Both tries use the partial answers, so
    /// they are removed after the last.
    async fn judged(
        &self,
        work: &Work<'_>,
        first: &AnswerSpec<'_>,
        checked: Checked,
        second: Option<DecodingRules>,
    ) -> Result<Output, PipelineError> {
        let in_chunks = checked.answer.chunks > 1;
        let second = second.filter(|_| !checked.failed.is_empty());
        let output = match second.and_then(|rules| first.again(work, &self.summariser, rules)) {
            Some(second) => self.try_again(work, first, checked, &second).await?,
            None => self.settle_or_escalate(work, first, checked).await?,
        };
        if in_chunks {
            self.answers.partials(work, first).clear().await;
        }
        Ok(output)
    }

    /// A second answer under other rules of decoding, where the first failed its checks. The one
    /// with fewer failed checks counts, the first if they are as many, or where the document is too
    /// late for a new answer.
    async fn try_again(
        &self,
        work: &Work<'_>,
        first: &AnswerSpec<'_>,
        failed: Checked,
        second: &AnswerSpec<'_>,
    ) -> Result<Output, PipelineError> {
        let better = match self.recall_or_generate(work, second).await {
            Ok(Some(again)) => {
                let result = if again.failed.is_empty() { "accepted" } else { "rejected" };
                Counter::SecondTries.increment(&[&self.tier, result]);
                (again.failed.len() < failed.failed.len()).then_some(again)
            }
            Ok(None) | Err(PipelineError::Unanswered(GenerateError::Refused { .. })) => None,
            Err(error) => return Err(error),
        };
        match better {
            Some(again) => self.settle_or_escalate(work, second, again).await,
            None => self.settle_or_escalate(work, first, failed).await,
        }
    }

    /// An accepted answer is the document's; without one it is the router's again.
    async fn settle_or_escalate(
        &self,
        work: &Work<'_>,
        spec: &AnswerSpec<'_>,
        Checked { answer, failed, figures }: Checked,
    ) -> Result<Output, PipelineError> {
        check::count(&self.tier, &failed);
        if failed.is_empty() {
            return self.settle(work, spec, &answer, &figures).await;
        }
        Ok(escalation(work, &work.effective, Cause::FailedChecks { answer_key: &spec.key, failed: &failed }))
    }

    /// Settles the document with an accepted answer, which equal requests then find in the cache.
    async fn settle(
        &self,
        work: &Work<'_>,
        spec: &AnswerSpec<'_>,
        answer: &Answer,
        figures: &Figures,
    ) -> Result<Output, PipelineError> {
        let Work { routed, document, claim, effective, .. } = work;
        let accepted = keys::accepted(&routed.tenant, &routed.request_fingerprint, &effective.cache_generation);
        self.store.put_if_absent(&accepted, codec::encode(answer)?).await?;
        let draft = Draft::of(routed, document, spec.text, now_ms()).measured(figures);
        let mut outcome = draft.answered(&self.tier, answer, &spec.key, CacheLayer::None);
        // The policy of this worker's re-check. The router's is in the decision, and those of
        // earlier tiers are in the trail.
        outcome.policy_digest.clone_from(&effective.digest);
        let earlier = self.settler.spent_on(&routed.tenant, &routed.trail).await?;
        outcome.cost = outcome.cost.checked_add(earlier).unwrap_or(Usd::MAX);
        let labels = Labels::of(&effective.policy, document, spec.expected_language.as_deref());
        self.settler.settle_summary(claim, &outcome, &labels).await
    }

    /// What is published of a record: its output and the requests to judge that go with it, proved.
    fn with_requests(&self, routed: &RoutedDocument, output: Output) -> Result<Vec<Output>, PipelineError> {
        let document = || Some(routed.document.clone());
        let requests = evaluation::requests(&self.control.effective(), &output, document)?;
        Ok([output].into_iter().chain(requests).map(|output| self.keys.prove(output)).collect())
    }
}

/// What becomes of a document that this tier has no answer for: a refusal goes back to the router,
/// the rest is the stage's to deal with.
fn unanswered(work: &Work<'_>, effective: &EffectivePolicy, error: GenerateError) -> Result<Output, PipelineError> {
    let GenerateError::Refused { code, message } = error else { return Err(error.into()) };
    tracing::info!(tier = work.tier, code, message, "refused");
    Ok(escalation(work, effective, Cause::Refused(code)))
}

#[async_trait]
impl<S: Summariser> Processor for TierWorker<S> {
    async fn process(&self, delivery: &Delivery) -> Result<Vec<Output>, StageError> {
        let read = || self.routed(&delivery.record).map(DecodedWork::of);
        let held = self.texts.hold(&delivery.draining, read).await;
        let (work, _permit) = held.map_err(|error| error.into_stage(None).of_own_record())?;
        let tenant = Some(work.routed.tenant.as_str());
        let stage_error = |error: PipelineError| error.into_stage(tenant);
        let output = self.handle(delivery, &work).await.map_err(stage_error)?;
        self.with_requests(&work.routed, output).map_err(stage_error)
    }

    async fn rejected(&self, delivery: &Delivery, rejection: &Rejection) -> Result<Vec<Output>, StageError> {
        // For a record that is not proved or cannot be decoded, that says of its document what the
        // document does not say, or whose identity is another request's, there is no outcome to
        // settle: its dead letter is its end.
        let Ok(routed) = self.routed(&delivery.record) else { return Ok(Vec::new()) };
        if [codes::ID_CONFLICT, codes::REQUEST_MISMATCH].contains(&rejection.code) {
            return Ok(Vec::new());
        }
        let document = codec::decode(&routed.document).unwrap_or_default();
        let stage_error = |error: PipelineError| error.into_stage(Some(&routed.tenant));
        if let Some(subject) = Subject::of(&routed) {
            let (code, message) = (rejection.code, rejection.message.as_str());
            let judgement = Judgement::failed(Some(&self.tier), code, message, &[]);
            let effective = self.control.effective();
            let output = self.evaluations.settle_failed(&subject, &document, &effective, judgement).await;
            return output.map(|output| vec![output]).map_err(stage_error);
        }
        let outcome = Draft::of(&routed, &document, "", now_ms()).failed(rejection.code, &rejection.message);
        match self.settler.settle(&Claim::of(&routed), &outcome).await {
            // It may be the summary of an earlier delivery.
            Ok(output) => self.with_requests(&routed, output).map_err(stage_error),
            Err(PipelineError::Rejected { .. }) => Ok(Vec::new()),
            Err(error) => Err(stage_error(error)),
        }
    }

    fn sender(&self, record: &Record) -> Option<String> {
        self.routed(record).ok().map(|routed| routed.tenant)
    }
}

/// A record of work with its document.
struct DecodedWork {
    routed: RoutedDocument,
    document: Result<Document, CodecError>,
}

impl DecodedWork {
    fn of(routed: RoutedDocument) -> Self {
        Self { document: codec::decode(&routed.document), routed }
    }
}

impl HoldsText for DecodedWork {
    fn tenant(&self) -> &str {
        &self.routed.tenant
    }

    fn held_bytes(&self) -> u64 {
        text_budget::work_bytes(&self.routed.document, &self.document)
    }
}
