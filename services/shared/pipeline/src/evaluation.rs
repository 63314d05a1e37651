//! How a summary is judged by an evaluator model: which are, what is asked, and what is kept.
//!
//! ```text
//!  outcome published ─▶ chosen by the identity's hash? ─no─▶ nothing
//!        same transaction │ yes
//!                         ▼
//!  escalations ─▶ router: gate ─▶ work.<judge> ─▶ worker: judged already? ─no─▶ asked ─▶ stored ─▶ evaluations
//!                           │ none left                │ yes                      │ refused
//!                           ▼                          ▼                          ▼
//!                      evaluations (failed)       evaluations              escalations, as for a document
//! ```
//!
//! A request to judge is routed work with [`Purpose::Evaluation`], so it passes the same gate,
//! budgets and ledger as a document, carries the same proof, and takes nothing of the summary
//! along: the judge reads the document's result, which never changes. Like a document it ends
//! exactly once: the object under `evaluations/` decides, whoever comes later publishes its bytes.
//! A redelivery of the outcome chooses the same documents again, and only the transaction that
//! counts takes the request along; so does a rejection that finds the summary of an earlier
//! delivery. A publisher's repeat asks for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use precis_flow::{MAX_OUTPUT_BYTES, Output};
use precis_objects::{ObjectStore, create_or_adopt, keys};
use precis_schemas::{
    Answer, Decision, Document, Evaluation, EvaluationRequest, EvaluationStatus, ModelIdentity, Outcome, Purpose,
    RoutedDocument, Status, Usd, codec,
};
use precis_telemetry::metrics::Counter;

use crate::figures::Labels;
use crate::identity::FieldHasher;
use crate::settle::REPEAT_HEADER;
use crate::{EffectivePolicy, Identity, PipelineError, identity, now_ms, topics};

pub mod rubric;

use rubric::Verdict;

/// Room for the proof that a request gets: the header's name and 64 hex digits.
const MAX_PROOF_BYTES: usize = 128;
/// Longest message of an evaluation, bytes.
const MAX_MESSAGE_BYTES: usize = 4 * 1_024;

/// Why a decision of the router names a tier that judges.
pub const DECISION_REASON: &str = "evaluation";

/// The requests to judge the summary of an outcome that is about to be published; none for any
/// other record, for a repeat, for a document that is not chosen, and for one so large that no
/// record takes the request: its outcome must not be rejected with it. `document` gives the
/// publisher's record, and is asked only where there is a request.
///
/// # Errors
/// `malformed_record` where an own outcome cannot be read.
pub fn requests(
    effective: &EffectivePolicy,
    published: &Output,
    document: impl FnOnce() -> Option<Vec<u8>>,
) -> Result<Vec<Output>, PipelineError> {
    if published.topic != topics::SUMMARIES || published.headers.get(REPEAT_HEADER).is_some() {
        return Ok(Vec::new());
    }
    let Some((key, value)) = published.key.as_deref().zip(published.value.as_deref()) else { return Ok(Vec::new()) };
    if effective.policy.evaluation.judges.is_empty() {
        return Ok(Vec::new());
    }
    let outcome: Outcome = codec::decode(value)?;
    let place = effective.policy.evaluation_place(&outcome.tenant, &outcome.document_id, outcome.revision);
    let requests = place.map_or_else(Vec::new, |place| effective.policy.evaluation_requests(place, &outcome));
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let Some(document) = document() else { return Ok(Vec::new()) };
    let routed = requests.into_iter().map(|request| routed_for(effective, &outcome, document.clone(), request));
    let requests = routed.map(|routed| Ok(Output::to(topics::ESCALATIONS).key(key).record(&routed)?));
    let mut requests: Vec<Output> = requests.collect::<Result<_, PipelineError>>()?;
    requests.retain(|request| request.size_bytes() + MAX_PROOF_BYTES <= MAX_OUTPUT_BYTES);
    Ok(requests)
}

/// The request as work without a tier.
fn routed_for(
    effective: &EffectivePolicy,
    outcome: &Outcome,
    document: Vec<u8>,
    request: EvaluationRequest,
) -> RoutedDocument {
    let decision = Decision {
        eligible: Vec::new(),
        excluded: Vec::new(),
        features: BTreeMap::new(),
        score: 0.0,
        thresholds: BTreeMap::new(),
        shadow_price: 0.0,
        chosen: String::new(),
        reason: DECISION_REASON.to_owned(),
        policy_digest: effective.digest.clone(),
        arm: String::new(),
    };
    RoutedDocument {
        tenant: outcome.tenant.clone(),
        document_id: outcome.document_id.clone(),
        revision: outcome.revision,
        origin: outcome.origin.clone(),
        request_digest: outcome.request_digest.clone(),
        request_fingerprint: fingerprint(outcome, request.round),
        document,
        tier: String::new(),
        decision,
        trail: Vec::new(),
        policy_digest: effective.digest.clone(),
        purpose: Purpose::Evaluation,
        priority: 0,
        deadline: None,
        replay: false,
        routed_at: now_ms(),
        evaluation: Some(request),
    }
}

/// Names a request to judge, as a request fingerprint names one to summarise. Two documents never
/// share one: what was paid for a verdict then belongs to one document.
fn fingerprint(outcome: &Outcome, round: i32) -> String {
    let mut fields = FieldHasher::new("precis evaluation fingerprint 1");
    fields
        .text(&outcome.tenant)
        .text(&outcome.document_id)
        .text(&outcome.revision.to_string())
        .text(&outcome.request_digest)
        .text(&round.to_string());
    fields.finish()
}

/// Whom a request to judge is about.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    routed: &'a RoutedDocument,
    request: &'a EvaluationRequest,
}

impl<'a> Subject<'a> {
    /// That of routed work; `None` where a summary is to be written.
    pub fn of(routed: &'a RoutedDocument) -> Option<Self> {
        routed.evaluation.as_ref().map(|request| Self { routed, request })
    }

    /// What is asked for.
    pub fn request(&self) -> &'a EvaluationRequest {
        self.request
    }

    fn key(&self) -> String {
        let RoutedDocument { tenant, document_id, revision, .. } = self.routed;
        keys::evaluation(tenant, document_id, *revision, self.request.round)
    }
}

/// What a judge said, or why it said nothing.
#[derive(Debug)]
pub struct Judgement<'a> {
    tier: Option<&'a str>,
    /// The verdict, or a code and a message.
    result: Result<Verdict, (&'a str, &'a str)>,
    answers: &'a [Answer],
}

impl<'a> Judgement<'a> {
    /// The verdict of this tier's model, in the last of these answers.
    pub fn verdict(tier: &'a str, verdict: Verdict, answers: &'a [Answer]) -> Self {
        Self { tier: Some(tier), result: Ok(verdict), answers }
    }

    /// No verdict, for the reason of this code, after these answers.
    pub fn failed(tier: Option<&'a str>, code: &'a str, message: &'a str, answers: &'a [Answer]) -> Self {
        Self { tier, result: Err((code, message)), answers }
    }
}

/// Creates evaluations and turns them into records. Cheap to clone.
#[derive(Clone)]
pub struct Evaluations {
    store: Arc<dyn ObjectStore>,
}

impl Evaluations {
    /// Evaluations in this store.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// The record to publish if the summary is judged already.
    ///
    /// # Errors
    /// The store's.
    pub async fn settled(&self, subject: &Subject<'_>) -> Result<Option<Output>, PipelineError> {
        let stored = self.store.get(&subject.key()).await?;
        Ok(stored.map(|bytes| record(subject.routed, bytes)))
    }

    /// The outcome whose summary is to be judged.
    ///
    /// # Errors
    /// The store's; those of reading the stored outcome.
    pub async fn outcome(&self, subject: &Subject<'_>) -> Result<Option<Outcome>, PipelineError> {
        let RoutedDocument { tenant, document_id, revision, .. } = subject.routed;
        let stored = self.store.get(&keys::result(tenant, document_id, *revision)).await?;
        Ok(stored.map(|bytes| codec::decode(&bytes)).transpose()?)
    }

    /// The record to publish of an evaluation that ends without a verdict. An outcome that cannot
    /// be read may be why it does, and is then left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn settle_failed(
        &self,
        subject: &Subject<'_>,
        document: &Document,
        policy: &EffectivePolicy,
        judgement: Judgement<'_>,
    ) -> Result<Output, PipelineError> {
        let outcome = match self.outcome(subject).await {
            Err(PipelineError::Codec(_)) => None,
            other => other?,
        };
        self.settle(subject, document, outcome.as_ref(), policy, judgement).await
    }

    /// The record to publish, after the evaluation was created or the existing one adopted.
    ///
    /// # Errors
    /// The store's.
    pub async fn settle(
        &self,
        subject: &Subject<'_>,
        document: &Document,
        outcome: Option<&Outcome>,
        policy: &EffectivePolicy,
        judgement: Judgement<'_>,
    ) -> Result<Output, PipelineError> {
        let evaluation = evaluation(subject, outcome, policy, judgement);
        let adopted = create_or_adopt(&*self.store, &subject.key(), codec::encode(&evaluation)?).await?;
        if adopted.created {
            let judge = evaluation.judge_tier.as_deref().unwrap_or("none");
            Counter::Evaluations.increment(&[evaluation.status.as_str(), judge]);
            Labels::of(&policy.policy, document, evaluation.language.as_deref()).record_evaluation(&evaluation);
        }
        Ok(record(subject.routed, adopted.bytes))
    }
}

fn evaluation(
    subject: &Subject<'_>,
    outcome: Option<&Outcome>,
    effective: &EffectivePolicy,
    judgement: Judgement<'_>,
) -> Evaluation {
    let routed = subject.routed;
    let Judgement { tier, result, answers } = judgement;
    let status = if result.is_ok() { EvaluationStatus::Judged } else { EvaluationStatus::Failed };
    let why = result.as_ref().err().copied();
    let judge = answers.last().map(|answer| answer.model.clone());
    let writer = outcome.and_then(|outcome| outcome.model.clone());
    let sum = |tokens: fn(&Answer) -> i64| answers.iter().map(tokens).fold(0, i64::saturating_add);
    let (scores, unsupported_claims, remark) = match result {
        Ok(verdict) => (Some(verdict.scores), verdict.unsupported_claims, verdict.remark),
        Err(_) => (None, Vec::new(), String::new()),
    };
    Evaluation {
        tenant: routed.tenant.clone(),
        document_id: routed.document_id.clone(),
        revision: routed.revision,
        round: subject.request.round,
        status,
        code: why.map(|(code, _)| code.to_owned()),
        message: why.map(|(_, message)| message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)].to_owned()),
        rubric: rubric::VERSION.to_owned(),
        scores,
        unsupported_claims,
        remark,
        judge_tier: tier.map(str::to_owned),
        same_model: judge.as_ref().zip(writer.as_ref()).is_some_and(|(judge, writer)| is_same(judge, writer)),
        judge,
        probability: subject.request.probability,
        outcome_status: outcome.map_or(Status::Failed, |outcome| outcome.status),
        tier: outcome.and_then(|outcome| outcome.tier.clone()),
        model: writer,
        summary_sha256: outcome
            .and_then(|outcome| outcome.summary.as_deref())
            .map_or_else(String::new, |summary| identity::sha256_hex(summary.as_bytes())),
        quality_index: outcome.and_then(|outcome| outcome.quality_index),
        language: outcome.and_then(|outcome| outcome.language.clone()),
        critical: outcome.is_some_and(|outcome| outcome.critical),
        document_type: outcome.map_or_else(String::new, |outcome| outcome.document_type.clone()),
        subject_ids: outcome.map_or_else(Vec::new, |outcome| outcome.subject_ids.clone()),
        trail: routed.trail.clone(),
        input_tokens: sum(|answer| answer.input_tokens),
        output_tokens: sum(|answer| answer.output_tokens),
        cost: answers.iter().fold(Usd::ZERO, |sum, answer| sum.checked_add(answer.cost).unwrap_or(Usd::MAX)),
        price_digest: answers.iter().find_map(|answer| answer.price_digest.clone()),
        origin: routed.origin.clone(),
        request_digest: routed.request_digest.clone(),
        policy_digest: effective.digest.clone(),
        settled_at: now_ms(),
    }
}

/// Whether one model judges what it wrote itself. Another adapter of one model is the same model.
fn is_same(judge: &ModelIdentity, writer: &ModelIdentity) -> bool {
    judge.provider == writer.provider && judge.name == writer.name
}

fn record(routed: &RoutedDocument, value: Vec<u8>) -> Output {
    let schema = codec::schema_header_of(&value).unwrap_or_else(codec::schema_header::<Evaluation>);
    let identity = Identity::of_routed(routed);
    Output::to(topics::EVALUATIONS).key(identity.record_key()).value(value).header(codec::SCHEMA_HEADER, schema)
}
