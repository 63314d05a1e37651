//! How a document ends: one outcome, created once in the store, published byte for byte.
//!
//! The result object decides. Whoever settles first creates it. Everybody later publishes *those
//! bytes*: a redelivery after a crash, a repeat by the publisher, a second worker with the same
//! document.
//!
//! | stored result | this record | what is published |
//! | --- | --- | --- |
//! | none | any | own outcome, after its creation |
//! | same origin, same request | redelivery | the stored bytes |
//! | other origin, same request | the publisher's repeat | the stored bytes, header `precis-repeat: true` |
//! | other request | conflict | nothing: dead letter `id_conflict` |
//!
//! The mark of a repeat is a header because the value must stay equal to the object.
//!
//! An outcome that no record on `summaries` can hold ends as `failed` with the code
//! `output_too_large`. Its size is known before its result object is created, so that an object is
//! never created that cannot be published. A stored result that is too large all the same was
//! created by an older version: what is published of it is the same failure, made of the stored
//! result alone, so that every delivery publishes the same bytes.

use std::sync::Arc;

use precis_chaos::{Point, pass_async};
use precis_flow::{MAX_OUTPUT_BYTES, Output};
use precis_objects::{ObjectStore, create_or_adopt, keys};
use precis_schemas::{
    Answer, CacheLayer, Decision, Document, Origin, Outcome, RoutedDocument, Status, Trial, Usd, codec, codes,
};
use precis_telemetry::metrics::{Counter, Histogram};

use crate::figures::{Figures, Labels};
use crate::{Identity, PipelineError, identity, source, topics};

/// Header on a published outcome whose result was settled by an earlier record of the publisher.
pub const REPEAT_HEADER: &str = "precis-repeat";
/// Header with the outcome's status, for readers that filter before they decode.
pub const STATUS_HEADER: &str = "precis-status";

/// Header on a published outcome whose summary is made of the document's own sentences.
pub const METHOD_HEADER: &str = "precis-method";

/// Times that every client can read: the years 1 to 9999, milliseconds since 1970. Dates of some
/// languages end there, such as Python's: a publisher's time beyond them would make the outcome
/// unreadable.
pub const VALID_TIMESTAMPS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// Longest name, key or digest that the failure of an outcome which is too large keeps, bytes.
const MAX_NAME_BYTES: usize = 1_024;

/// Longest message of an outcome, bytes.
const MAX_MESSAGE_BYTES: usize = 4 * 1_024;

/// Creates result objects and turns them into records. Cheap to clone.
#[derive(Clone)]
pub struct Settler {
    store: Arc<dyn ObjectStore>,
}

/// Who settles what: enough to tell redelivery, repeat and conflict apart.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The document.
    pub identity: Identity,
    /// The publisher's record.
    pub origin: Origin,
    /// Digest of what the record asks for.
    pub request_digest: String,
    /// Whether an operator replayed the record from the dead letters: its result is then looked up
    /// even if its identity seems new.
    pub replay: bool,
}

impl Claim {
    /// The claim of a routed document.
    pub fn of(routed: &RoutedDocument) -> Self {
        Self {
            identity: Identity::of_routed(routed),
            origin: routed.origin.clone(),
            request_digest: routed.request_digest.clone(),
            replay: routed.replay,
        }
    }
}

impl Settler {
    /// Settles into this store.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// The store behind it.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The record to publish if this identity is settled already; `None` if it is not.
    ///
    /// # Errors
    /// `id_conflict` if it is settled for another request; the store's errors.
    pub async fn settled(&self, claim: &Claim) -> Result<Option<Output>, PipelineError> {
        match self.store.get(&key_of(&claim.identity)).await? {
            Some(bytes) => republish(claim, bytes).map(Some),
            None => Ok(None),
        }
    }

    /// The record to publish, after the result object was created or the existing one adopted. An
    /// outcome that no record holds is settled as `failed`.
    ///
    /// # Errors
    /// `id_conflict` if another request won; `output_too_large` if not even a failure fits; the
    /// store's errors.
    pub async fn settle(&self, claim: &Claim, outcome: &Outcome) -> Result<Output, PipelineError> {
        self.settle_as(claim, outcome, None).await
    }

    /// The same for an outcome with a summary, whose figures are counted under these labels if its
    /// result object was created now.
    ///
    /// # Errors
    /// Those of [`Settler::settle`].
    pub async fn settle_summary(
        &self,
        claim: &Claim,
        outcome: &Outcome,
        labels: &Labels,
    ) -> Result<Output, PipelineError> {
        self.settle_as(claim, outcome, Some(labels)).await
    }

    async fn settle_as(
        &self,
        claim: &Claim,
        outcome: &Outcome,
        labels: Option<&Labels>,
    ) -> Result<Output, PipelineError> {
        let (marks, bytes) = fitting(&claim.identity, outcome)?;
        let adopted = create_or_adopt(&*self.store, &key_of(&claim.identity), bytes).await?;
        pass_async(Point::AfterResultPut).await;
        if adopted.created {
            let tier = outcome.tier.as_deref().unwrap_or("none");
            Counter::Outcomes.increment(&[marks.status.as_str(), tier]);
            let waited_ms = outcome.settled_at.saturating_sub(outcome.submitted_at).max(0);
            Histogram::OutcomeSeconds.record(waited_ms as f64 / 1000.0, &[tier]);
            if let Some(labels) = labels.filter(|_| marks.status == outcome.status) {
                labels.record(outcome);
            }
            return Ok(record(&claim.identity, marks, adopted.bytes, false));
        }
        Counter::SettleLostRaces.increment(&[]);
        republish(claim, adopted.bytes)
    }

    /// The cost of earlier tiers' answers, which were paid for, too. An answer whose object is gone
    /// counts nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn spent_on(&self, tenant: &str, trail: &[Trial]) -> Result<Usd, PipelineError> {
        let mut sum = Usd::ZERO;
        for key in trail.iter().filter_map(|trial| own_answer_key(tenant, trial)) {
            if let Some(bytes) = self.store.get(key).await? {
                let answer: Answer = codec::decode(&bytes)?;
                sum = sum.checked_add(answer.cost).unwrap_or(Usd::MAX);
            }
        }
        Ok(sum)
    }
}

/// Key of a trial's answer, if the answer is this tenant's: whoever may write to `escalations` must
/// not reach another tenant's answers.
pub fn own_answer_key<'a>(tenant: &str, trial: &'a Trial) -> Option<&'a str> {
    trial.answer_key.as_deref().filter(|key| key.starts_with(&keys::cache_of(tenant)))
}

/// The record to publish of a stored result, by the table above.
fn republish(claim: &Claim, bytes: Vec<u8>) -> Result<Output, PipelineError> {
    let stored: Outcome = codec::decode(&bytes)?;
    if stored.request_digest != claim.request_digest {
        return Err(PipelineError::rejected(
            codes::ID_CONFLICT,
            format!(
                "revision {} of this document id is settled for another request (from {}); a changed document needs a higher revision",
                claim.identity.revision,
                identity::format_origin(&stored.origin),
            ),
        ));
    }
    let repeat = stored.origin != claim.origin;
    if repeat {
        Counter::Repeats.increment(&[]);
    }
    let marks = Marks::of(&stored);
    let (marks, bytes) =
        if fits(&claim.identity, marks, &bytes) { (marks, bytes) } else { fitting(&claim.identity, &stored)? };
    Ok(record(&claim.identity, marks, bytes, repeat))
}

/// What the headers of a published outcome say of it.
#[derive(Debug, Clone, Copy)]
struct Marks {
    status: Status,
    is_extract: bool,
}

impl Marks {
    fn of(outcome: &Outcome) -> Self {
        Self { status: outcome.status, is_extract: outcome.is_extract() }
    }
}

/// The outcome as bytes that fit a record, with its marks: its own, or the failure that an outcome
/// which is too large becomes. A function of its arguments alone.
///
/// # Errors
/// `output_too_large` if not even that failure fits, because the identity alone is too large.
fn fitting(identity: &Identity, outcome: &Outcome) -> Result<(Marks, Vec<u8>), PipelineError> {
    let whole = codec::encode(outcome)?;
    let marks = Marks::of(outcome);
    if fits(identity, marks, &whole) {
        return Ok((marks, whole));
    }
    let failure = too_large(outcome, whole.len());
    let bytes = codec::encode(&failure)?;
    let marks = Marks::of(&failure);
    if fits(identity, marks, &bytes) {
        return Ok((marks, bytes));
    }
    Err(PipelineError::rejected(
        codes::OUTPUT_TOO_LARGE,
        format!("not even a failure of this document fits a record of {MAX_OUTPUT_BYTES} bytes"),
    ))
}

/// Whether a record on `summaries` can hold these bytes, marked as a repeat or not.
fn fits(identity: &Identity, marks: Marks, bytes: &[u8]) -> bool {
    // The longest status counts, so that the outcome of a race fits like one's own.
    let widest = Marks { status: Status::Answered, ..marks };
    record(identity, widest, Vec::new(), true).size_bytes() + bytes.len() <= MAX_OUTPUT_BYTES
}

/// The failure of a document whose outcome has too many bytes for a record: what tells who it is,
/// what it cost and where its answer lies, and nothing that grows with the document.
fn too_large(outcome: &Outcome, bytes: usize) -> Outcome {
    let short = |text: &Option<String>| text.clone().filter(|text| text.len() <= MAX_NAME_BYTES);
    Outcome {
        status: Status::Failed,
        summary: None,
        code: Some(codes::OUTPUT_TOO_LARGE.to_owned()),
        message: Some(format!("the outcome has {bytes} bytes, more than a record of {MAX_OUTPUT_BYTES} bytes takes")),
        tier: short(&outcome.tier),
        model: None,
        language: None,
        words_out: 0,
        finish_reason: None,
        checks: Vec::new(),
        decision: None,
        trail: Vec::new(),
        price_digest: short(&outcome.price_digest),
        document_type: String::new(),
        subject_ids: Vec::new(),
        request_fingerprint: short(&Some(outcome.request_fingerprint.clone())).unwrap_or_default(),
        answer_key: short(&outcome.answer_key),
        policy_digest: short(&Some(outcome.policy_digest.clone())).unwrap_or_default(),
        scores: None,
        quality_index: None,
        ..outcome.clone()
    }
}

fn key_of(identity: &Identity) -> String {
    keys::result(&identity.tenant, &identity.document_id, identity.revision)
}

fn record(identity: &Identity, marks: Marks, value: Vec<u8>, repeat: bool) -> Output {
    // A stored result may be of an older version.
    let schema = codec::schema_header_of(&value).unwrap_or_else(codec::schema_header::<Outcome>);
    let mut output = Output::to(topics::SUMMARIES)
        .key(identity.record_key())
        .value(value)
        .header(codec::SCHEMA_HEADER, schema)
        .header(STATUS_HEADER, marks.status.as_str());
    if marks.is_extract {
        output = output.header(METHOD_HEADER, "extracted");
    }
    if repeat {
        output = output.header(REPEAT_HEADER, "true");
    }
    // CloudEvents, binary mode: https://github.com/cloudevents/spec (Kafka protocol binding).
    output
        .header("ce_specversion", "1.0")
        .header("ce_type", "precis.outcome.v1")
        .header("ce_source", "/precis")
        .header("ce_id", format!("{}/{}/{}", identity.tenant, identity.document_id, identity.revision))
        .header("content-type", "application/avro")
}

/// An outcome before it is known how the document ends.
#[derive(Debug, Clone)]
pub struct Draft(Outcome);

impl Draft {
    /// For a document that has been through routing.
    pub fn of(routed: &RoutedDocument, document: &Document, text: &str, now_ms: i64) -> Self {
        let mut draft = Self::unrouted(&Claim::of(routed), document, text, now_ms);
        draft.0.request_fingerprint.clone_from(&routed.request_fingerprint);
        draft.0.policy_digest.clone_from(&routed.policy_digest);
        draft.0.trail.clone_from(&routed.trail);
        draft.0.decision = Some(routed.decision.clone());
        draft.0.tier = Some(routed.tier.clone());
        draft
    }

    /// For a document that was refused: who it is and when, and nothing else of what its publisher
    /// wrote, since nobody checked that.
    pub fn refused(claim: &Claim, submitted_at: i64, now_ms: i64) -> Self {
        Self::unrouted(claim, &Document { submitted_at, ..Document::default() }, "", now_ms)
    }

    /// For a document that the router settles itself.
    pub fn unrouted(claim: &Claim, document: &Document, text: &str, now_ms: i64) -> Self {
        Self(Outcome {
            tenant: claim.identity.tenant.clone(),
            document_id: claim.identity.document_id.clone(),
            revision: claim.identity.revision,
            status: Status::Failed,
            summary: None,
            code: None,
            message: None,
            tier: None,
            model: None,
            language: document.output_language.clone().or_else(|| document.language.clone()),
            format: document.format,
            words_in: count(source::words(text)),
            words_out: 0,
            input_tokens: 0,
            cached_input_tokens: 0,
            output_tokens: 0,
            chunks: 0,
            finish_reason: None,
            checks: Vec::new(),
            decision: None,
            trail: Vec::new(),
            cost: Usd::ZERO,
            price_digest: None,
            cache: CacheLayer::None,
            purpose: document.purpose,
            critical: document.critical,
            document_type: document.document_type.clone(),
            origin: claim.origin.clone(),
            request_digest: claim.request_digest.clone(),
            request_fingerprint: String::new(),
            answer_key: None,
            policy_digest: String::new(),
            submitted_at: document.submitted_at.clamp(*VALID_TIMESTAMPS.start(), *VALID_TIMESTAMPS.end()),
            subject_ids: document.subject_ids.clone(),
            settled_at: now_ms,
            generation_ms: 0,
            scores: None,
            quality_index: None,
        })
    }

    /// The document's owner.
    pub fn tenant(&self) -> &str {
        &self.0.tenant
    }

    /// Adds decision, policy and trail of a document that the router settles itself.
    #[must_use]
    pub fn decided(
        mut self,
        fingerprint: &str,
        policy_digest: &str,
        decision: Option<Decision>,
        trail: &[Trial],
    ) -> Self {
        fingerprint.clone_into(&mut self.0.request_fingerprint);
        policy_digest.clone_into(&mut self.0.policy_digest);
        self.0.decision = decision;
        self.0.trail = trail.to_vec();
        self
    }

    /// Adds the figures of the answer that it ends with.
    #[must_use]
    pub fn measured(mut self, figures: &Figures) -> Self {
        (self.0.scores, self.0.quality_index) = (figures.scores, figures.quality_index);
        self
    }

    /// Ends with an accepted answer. A cached answer cost this document nothing.
    #[must_use]
    pub fn answered(self, tier: &str, answer: &Answer, key: &str, cache: CacheLayer) -> Outcome {
        let mut outcome = self.with_answer(tier, answer, key, Status::Answered);
        outcome.cache = cache;
        if cache != CacheLayer::None {
            outcome.cost = Usd::ZERO;
            outcome.generation_ms = 0;
        }
        outcome
    }

    /// Ends with an extract: sentences of the document, which no model gave and no object keeps.
    /// `tier` is the one that asks for extracts; `None` where the extract is the last resort.
    #[must_use]
    pub fn extracted(self, tier: Option<&str>, extract: &Answer, status: Status) -> Outcome {
        let outcome = self.with_answer(tier.unwrap_or_default(), extract, "", status);
        Outcome { tier: tier.map(str::to_owned), answer_key: None, ..outcome }
    }

    /// Ends with the best answer at hand and the checks that it failed.
    #[must_use]
    pub fn flagged(self, tier: &str, answer: &Answer, key: &str, code: &str) -> Outcome {
        let mut outcome = self.with_answer(tier, answer, key, Status::Flagged);
        outcome.code = Some(code.to_owned());
        outcome
    }

    /// Ends with a code and no text.
    #[must_use]
    pub fn failed(mut self, code: &str, message: &str) -> Outcome {
        self.0.status = Status::Failed;
        (self.0.scores, self.0.quality_index) = (None, None);
        self.0.code = Some(code.to_owned());
        self.0.message = Some(message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)].to_owned());
        self.0
    }

    fn with_answer(self, tier: &str, answer: &Answer, key: &str, status: Status) -> Outcome {
        Outcome {
            status,
            tier: Some(tier.to_owned()),
            summary: Some(answer.text.clone()),
            model: Some(answer.model.clone()),
            words_out: count(source::words(&answer.text)),
            input_tokens: answer.input_tokens,
            cached_input_tokens: answer.cached_input_tokens,
            output_tokens: answer.output_tokens,
            chunks: answer.chunks,
            finish_reason: Some(answer.finish_reason.clone()),
            checks: answer.checks.clone(),
            cost: answer.cost,
            price_digest: answer.price_digest.clone(),
            answer_key: Some(key.to_owned()),
            generation_ms: answer.generation_ms,
            ..self.0
        }
    }
}

fn count(words: usize) -> i32 {
    i32::try_from(words).unwrap_or(i32::MAX)
}
