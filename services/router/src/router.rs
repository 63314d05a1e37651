//! The router's processor: documents and escalations in, work or outcomes out. Work leaves, and an
//! escalation is read, with the proof that it is ours ([`precis_pipeline::proof`]).

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use precis_flow::{Delivery, Output, Processor, Record, Rejection, StageError};
use precis_objects::keys;
use precis_pipeline::evaluation::{self, Evaluations, Judgement};
use precis_pipeline::figures::Labels;
use precis_pipeline::settle::{Claim, Draft};
use precis_pipeline::{
    BUILT_IN_PROVIDER, Control, EffectivePolicy, HoldsText, Identity, PipelineError, RoutingKeys, Settler, TextBudget,
    TextPermit, answer_checks, answer_text, identity, now_ms, prompt, source, text_budget, text_work, topics,
};
use precis_policy::{DEADLINE_PASSED, Policy, TierKind};
use precis_schemas::{
    Answer, AvroRecord, CacheLayer, CodecError, Document, Escalation, ModelIdentity, RoutedDocument, Trial,
    TrialResult, codec, codes,
};
use precis_telemetry::metrics::Counter;

use crate::admission::{Admission, Admitted, NewDocument};
use crate::assign::{Measured, decision};
use crate::exhausted::NoTier;
use crate::recent::RecentIdentities;
use crate::request::Request;
use crate::validate;

/// Most trials of one document that its records carry. There are fewer hops and fewer tiers than
/// this, so only refusals are ever forgotten.
const MAX_TRIALS: usize = 128;

/// The [`Processor`] of the router's stage.
pub struct Router {
    settler: Settler,
    evaluations: Evaluations,
    control: Arc<Control>,
    keys: Arc<RoutingKeys>,
    admission: Arc<Admission>,
    recent: RecentIdentities,
    texts: TextBudget,
}

impl Router {
    /// A router that settles with `settler` under what `control` says, and proves its work with
    /// `keys`.
    pub fn new(settler: Settler, control: Arc<Control>, keys: Arc<RoutingKeys>) -> Self {
        let (admission, recent, texts) = (Arc::default(), RecentIdentities::default(), TextBudget::default());
        let evaluations = Evaluations::new(settler.store().clone());
        Self { settler, evaluations, control, keys, admission, recent, texts }
    }

    /// Takes the bytes of its documents' texts from this budget.
    #[must_use]
    pub fn with_text_budget(mut self, texts: TextBudget) -> Self {
        self.texts = texts;
        self
    }

    /// The state that decides first assignments; the caller lets it follow the log.
    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// Processes a publisher's record: from its `documents` topic, or a copy on `returns`.
    async fn document(&self, delivery: &Delivery) -> Result<Output, PipelineError> {
        let (mut request, text_permit) = self.texts.hold(&delivery.draining, || Request::read(delivery)).await?;
        // Only a document that is known here is looked up in the store. A new one costs no request.
        let known = self.recent.remember(&request.claim.identity) || request.claim.replay;
        if known && let Some(output) = self.settler.settled(&request.claim).await? {
            return Ok(output);
        }
        match self.routed(delivery, &mut request, text_permit).await {
            // A settled document keeps its outcome, even where the rules of today reject the
            // document.
            Err(rejected @ PipelineError::Rejected { .. }) if !known => {
                self.settler.settled(&request.claim).await?.ok_or(rejected)
            }
            other => other,
        }
    }

    /// Work for a tier; or, where the router itself is the document's end, its outcome, created or
    /// adopted. The text is dropped, with its permit, before the document waits for room at a tier.
    async fn routed(
        &self,
        delivery: &Delivery,
        request: &mut Request,
        text_permit: TextPermit,
    ) -> Result<Output, PipelineError> {
        let effective = self.control.effective();
        let (claim, document) = (&request.claim, &request.document);
        let tenant = &claim.identity.tenant;
        validate::request(document, &effective.policy.limits)?;
        let text = source::text_of(tenant, document, &**self.settler.store()).await?;
        let limits = effective.policy.limits.clone();
        let read = text_work::on_text(&text, 0, move |text| {
            validate::text(text, &limits)?;
            Ok::<_, PipelineError>(identity::text_digest(text))
        });
        let fingerprint = identity::fingerprint_of(tenant, document, &read.await??);
        if let Some((tier, key, answer)) = self.cached(&effective, tenant, &fingerprint).await? {
            let draft = Draft::unrouted(claim, document, &text, now_ms());
            let figures = answer_checks::figures_of_stored(&text, document, &effective.policy, &answer).await;
            let draft = draft.decided(&fingerprint, &effective.digest, None, &[]).measured(&figures);
            // The language as labelled: to tell it from the text costs more than the rest of a hit.
            let language = document.output_language.as_deref().or(document.language.as_deref());
            let labels = Labels::of(&effective.policy, document, language);
            let outcome = draft.answered(&tier, &answer, &key, CacheLayer::Exact);
            return self.settler.settle_summary(claim, &outcome, &labels).await;
        }
        let measured = Measured::of(&effective, document, &text).await?;
        drop(text);
        request.drop_text();
        drop(text_permit);
        let (claim, document) = (&request.claim, &request.document);
        let tenant = &claim.identity.tenant;
        let new_document = NewDocument { delivery, tenant, document, measured: &measured };
        let Admitted { effective, gate: allowed, chosen } = self.admission.first(&self.control, new_document).await?;
        let decision = match chosen {
            Ok(decision) => decision,
            Err(why) => {
                let undecided = decision(&effective, &allowed, &measured);
                let no_tier = NoTier { fingerprint: &fingerprint, trail: &[], allowed: &allowed, why };
                let (again, _permit) = self.read_again(delivery).await?;
                let text = self.text_if_there(tenant, &again.document).await?;
                return self.settle_without_tier(claim, &effective, (&again.document, &text), undecided, no_tier).await;
            }
        };
        let routed = RoutedDocument {
            tenant: tenant.clone(),
            document_id: claim.identity.document_id.clone(),
            revision: claim.identity.revision,
            origin: claim.origin.clone(),
            request_digest: claim.request_digest.clone(),
            request_fingerprint: fingerprint,
            document: delivery.record.value.clone().unwrap_or_default(),
            tier: decision.chosen.clone(),
            decision,
            trail: Vec::new(),
            policy_digest: effective.digest.clone(),
            purpose: document.purpose,
            priority: document.priority,
            deadline: document.deadline,
            replay: claim.replay,
            routed_at: now_ms(),
            evaluation: None,
        };
        if effective.policy.is_extractive(&routed.tier) {
            let (again, _permit) = self.read_again(delivery).await?;
            return self.by_extract(&effective, &again.document, routed).await;
        }
        work(&routed)
    }

    /// A document whose text was dropped while it waited, once more, with the bytes of its text.
    async fn read_again(&self, delivery: &Delivery) -> Result<(Request, TextPermit), PipelineError> {
        self.texts.hold(&delivery.draining, || Request::read(delivery)).await
    }

    /// Processes an escalation: a document that a tier gave back, or a summary that is to be
    /// judged.
    async fn escalation(&self, delivery: &Delivery) -> Result<Output, StageError> {
        let held = self.texts.hold(&delivery.draining, || self.read_escalation(&delivery.record)).await;
        let (DecodedEscalation { mut routed, trial, document }, _permit) =
            held.map_err(|error| error.into_stage(None).of_own_record())?;
        let tenant = routed.tenant.clone();
        let stage_error = |error: PipelineError| error.into_stage(Some(&tenant));
        if routed.evaluation.is_some() {
            let decided_under = trial.as_ref().map_or(&routed.policy_digest, |trial| &trial.policy_digest);
            let effective = self.control.for_record(decided_under).await.map_err(stage_error)?;
            routed.trail.extend(trial);
            forget_old_refusals(&mut routed.trail);
            let document = document.map_err(|error| stage_error(error.into()))?;
            return self.to_judge(&effective, &document, routed).await.map_err(stage_error);
        }
        let Some(trial) = trial else {
            let message = "a document without a trial: only what is to be judged comes without one";
            return Err(stage_error(PipelineError::rejected(codes::WRONG_RECORD, message)).of_own_record());
        };
        let claim = Claim::of(&routed);
        if let Some(output) = self.settler.settled(&claim).await.map_err(stage_error)? {
            return Ok(output);
        }
        // The worker may have read a newer policy than this router.
        let effective = self.control.for_record(&trial.policy_digest).await.map_err(stage_error)?;
        // A document that the worker found late is late, whatever the clock of this machine says.
        let late = trial.code == DEADLINE_PASSED || effective.policy.is_late(routed.deadline, now_ms());
        self.admission.refused(&tenant, &trial);
        routed.trail.push(trial);
        forget_old_refusals(&mut routed.trail);
        let document = document.map_err(|error| stage_error(error.into()))?;
        self.onward(&effective, &document, routed, late).await.map_err(stage_error)
    }

    /// An escalation that is proved to be ours, with its document.
    fn read_escalation(&self, record: &Record) -> Result<DecodedEscalation, PipelineError> {
        self.keys.check(record)?;
        let value = record.value.as_deref();
        let value = value.ok_or_else(|| PipelineError::rejected("empty_record", "the escalation has no value"))?;
        let (routed, trial) = match codec::decode::<Escalation>(value) {
            Ok(escalation) => (codec::decode(&escalation.routed)?, Some(escalation.trial)),
            // A request to judge a summary, which no tier has had yet.
            Err(CodecError::WrongRecord { found: RoutedDocument::NAME, .. }) => (codec::decode(value)?, None),
            Err(error) => return Err(error.into()),
        };
        Identity::of_routed(&routed).check()?;
        let document = codec::decode(&routed.document);
        Ok(DecodedEscalation { routed, trial, document })
    }

    /// The publisher's record that a record of this stage holds.
    fn document_of(&self, record: &Record) -> Option<Vec<u8>> {
        if !is_escalation(record) {
            return record.value.clone();
        }
        self.read_escalation(record).ok().map(|escalation| escalation.routed.document)
    }

    /// An accepted answer to an equal request of the same tenant: its tier, its key and itself.
    async fn cached(
        &self,
        effective: &EffectivePolicy,
        tenant: &str,
        fingerprint: &str,
    ) -> Result<Option<(String, String, Answer)>, PipelineError> {
        if !effective.policy.cache.exact {
            return Ok(None);
        }
        let layer = CacheLayer::Exact.as_str();
        Counter::CacheLookups.increment(&[layer]);
        let key = keys::accepted(tenant, fingerprint, &effective.cache_generation);
        let Some(bytes) = self.settler.store().get(&key).await? else { return Ok(None) };
        let answer: Answer = match codec::decode(&bytes) {
            Ok(answer) if is_too_long(&answer) => {
                tracing::warn!(key, "a cached answer is longer than any answer may be; computing anew");
                return Ok(None);
            }
            Ok(answer) => answer,
            Err(error) => {
                // The cache only saves work: a broken entry must not cost a document.
                tracing::warn!(code = error.code(), key, "a cached answer cannot be read; computing anew");
                return Ok(None);
            }
        };
        Counter::CacheHits.increment(&[layer]);
        Ok(Some((tier_of(&effective.policy, &answer.model), key, answer)))
    }

    /// The text, for its length in words; none if its body is gone by now.
    async fn text_if_there<'a>(&self, tenant: &str, document: &'a Document) -> Result<Cow<'a, str>, PipelineError> {
        match source::text_of(tenant, document, &**self.settler.store()).await {
            Err(PipelineError::Rejected { .. }) => Ok(Cow::Borrowed("")),
            other => other,
        }
    }

    /// What is published of a record: its output and the requests to judge that go with it, proved.
    fn with_requests(&self, record: &Record, output: Output) -> Result<Vec<Output>, PipelineError> {
        let requests = evaluation::requests(&self.control.effective(), &output, || self.document_of(record))?;
        Ok([output].into_iter().chain(requests).map(|output| self.keys.prove(output)).collect())
    }

    /// Settles a rejected document as failed, where there is an identity to settle.
    async fn fail(&self, delivery: &Delivery, rejection: &Rejection) -> Result<Vec<Output>, PipelineError> {
        let (claim, outcome) = if is_escalation(&delivery.record) {
            let Ok(DecodedEscalation { routed, trial, document }) = self.read_escalation(&delivery.record) else {
                return Ok(Vec::new());
            };
            let document = document.unwrap_or_default();
            if routed.evaluation.is_some() {
                let (code, message) = (rejection.code, rejection.message.as_str());
                let judgement = Judgement::failed(None, code, message, &[]);
                let effective = self.control.effective();
                return Ok(vec![self.end_evaluation(&effective, &document, &routed, judgement).await?]);
            }
            let mut outcome = Draft::of(&routed, &document, "", now_ms()).failed(rejection.code, &rejection.message);
            outcome.trail.extend(trial);
            (Claim::of(&routed), outcome)
        } else {
            let Ok(request) = Request::read(delivery) else { return Ok(Vec::new()) };
            let draft = Draft::refused(&request.claim, request.document.submitted_at, now_ms());
            let draft = draft.decided("", &self.control.effective().digest, None, &[]);
            (request.claim, draft.failed(rejection.code, &rejection.message))
        };
        // It may be the summary of an earlier delivery.
        let output = self.settler.settle(&claim, &outcome).await?;
        self.with_requests(&delivery.record, output)
    }
}

#[async_trait]
impl Processor for Router {
    async fn process(&self, delivery: &Delivery) -> Result<Vec<Output>, StageError> {
        let output = if is_escalation(&delivery.record) {
            self.escalation(delivery).await?
        } else {
            let origin = identity::origin_of(&delivery.record);
            let tenant = topics::tenant_of(&origin.topic);
            self.document(delivery).await.map_err(|error| error.into_stage(tenant))?
        };
        self.with_requests(&delivery.record, output)
            .map_err(|error| error.into_stage(self.sender(&delivery.record).as_deref()))
    }

    async fn rejected(&self, delivery: &Delivery, rejection: &Rejection) -> Result<Vec<Output>, StageError> {
        if rejection.code == codes::ID_CONFLICT {
            return Ok(Vec::new());
        }
        match self.fail(delivery, rejection).await {
            // Another request under this identity was settled meanwhile: this request ends as its
            // dead letter alone.
            Err(PipelineError::Rejected { code: codes::ID_CONFLICT, .. }) => Ok(Vec::new()),
            other => other.map_err(|error| error.into_stage(rejection.tenant.as_deref())),
        }
    }

    fn sender(&self, record: &Record) -> Option<String> {
        if is_escalation(record) {
            return self.read_escalation(record).ok().map(|escalation| escalation.routed.tenant);
        }
        topics::tenant_of(&identity::origin_of(record).topic).map(str::to_owned)
    }
}

/// The work record of a routed document, without its proof. Equal requests share a key, so that the
/// second one finds the answer to the first.
fn work(routed: &RoutedDocument) -> Result<Output, PipelineError> {
    Ok(Output::to(topics::work(&routed.tier)).key(routed.request_fingerprint.as_bytes()).record(routed)?)
}

/// A record of `escalations` with its document.
struct DecodedEscalation {
    routed: RoutedDocument,
    /// What the tier says that gave it back; `None` for a request to judge that no tier has had.
    trial: Option<Trial>,
    document: Result<Document, CodecError>,
}

impl HoldsText for DecodedEscalation {
    fn tenant(&self) -> &str {
        &self.routed.tenant
    }

    fn held_bytes(&self) -> u64 {
        text_budget::work_bytes(&self.routed.document, &self.document)
    }
}

/// Shortens a trail that grew because one policy after another was refused: it is written with
/// every record of the document. Refusals under earlier policies decide nothing any more.
fn forget_old_refusals(trail: &mut Vec<Trial>) {
    while trail.len() > MAX_TRIALS {
        let oldest = trail.iter().position(|trial| trial.result == TrialResult::Refused);
        trail.remove(oldest.unwrap_or(0));
    }
}

fn is_escalation(record: &Record) -> bool {
    &*record.topic == topics::ESCALATIONS
}

/// What the metrics of a document's summary are told apart by.
fn labels_of(effective: &EffectivePolicy, document: &Document, text: &str) -> Labels {
    Labels::of(&effective.policy, document, prompt::expected_language(document, text).as_deref())
}

/// Whether an older version accepted an answer that is longer than any answer may be.
fn is_too_long(answer: &Answer) -> bool {
    answer_text::cut(&answer.text, answer_text::MAX_ANSWER_BYTES).is_some()
}

/// The policy's tier for a model; where no tier has the model any more, the model's provider.
fn tier_of(policy: &Policy, model: &ModelIdentity) -> String {
    let own = policy.tiers.iter().find(|tier| match tier.kind {
        TierKind::Gpu => model.provider == BUILT_IN_PROVIDER && !model.is_extractor(),
        TierKind::Extract => model.is_extractor(),
        TierKind::Api => {
            tier.provider.as_deref() == Some(&model.provider) && tier.model.as_deref() == Some(&model.name)
        }
    });
    own.map_or_else(|| model.provider.clone(), |tier| tier.name.clone())
}

mod evaluations;
mod tiers;

#[cfg(test)]
mod tests;
