//! A routed document on its way through a worker, and the answer that is wanted for it.

use precis_flow::Delivery;
use precis_objects::keys;
use precis_policy::{DecodingRules, DocumentFacts};
use precis_schemas::{Document, ModelIdentity, RoutedDocument};

use super::{GenerateError, Summariser};
use crate::identity::answer_fingerprint;
use crate::prompt::{Prompt, expected_language};
use crate::settle::Claim;
use crate::{Clearance, EffectivePolicy};

/// One delivery of a routed document: what every step after the first needs of it.
pub(super) struct Work<'a> {
    /// The worker's tier.
    pub(super) tier: &'a str,
    pub(super) delivery: &'a Delivery,
    /// The decoded value of the record.
    pub(super) routed: &'a RoutedDocument,
    pub(super) document: &'a Document,
    pub(super) claim: Claim,
    /// The policy that let the document in.
    pub(super) effective: EffectivePolicy,
    pub(super) clearance: Clearance,
}

/// Which answer is wanted: to what, from which model, and under which key it is stored.
#[derive(Clone)]
pub(super) struct AnswerSpec<'a> {
    pub(super) text: &'a str,
    /// The language that the summary must be in, where it can be told.
    pub(super) expected_language: Option<String>,
    pub(super) prompt: Prompt,
    pub(super) model: ModelIdentity,
    pub(super) decoding: DecodingRules,
    /// How partial answers are decoded.
    pub(super) part_decoding: DecodingRules,
    /// Names the way to answer: model, prompt and decoding parameters.
    pub(super) fingerprint: String,
    /// Names the way to partial answers.
    pub(super) part_fingerprint: String,
    /// The answer's object.
    pub(super) key: String,
}

impl<'a> AnswerSpec<'a> {
    /// What the policy wants for this document, decoded by these rules; refused where the tier has
    /// not got the adapter that the policy names.
    pub(super) fn new(
        work: &Work<'_>,
        text: &'a str,
        summariser: &impl Summariser,
        decoding: DecodingRules,
    ) -> Result<Self, GenerateError> {
        let expected_language = expected_language(work.document, text);
        let prompt = Prompt::for_document(work.document, expected_language.as_deref());
        let mut model = summariser.model(&prompt);
        let facts = DocumentFacts::of(&work.routed.tenant, work.document);
        if let Some(adapter) = work.effective.policy.adapter(work.tier, &facts) {
            model.adapter = Some(summariser.adapter(adapter)?);
        }
        let spec = Self::of_model(work, text, model, prompt, &summariser.decoding(&decoding), decoding);
        Ok(Self { expected_language, ..spec })
    }

    /// A judge's answer to this prompt, which no check decides on.
    pub(super) fn of_judge(
        work: &Work<'_>,
        text: &'a str,
        summariser: &impl Summariser,
        prompt: Prompt,
        decoding: DecodingRules,
    ) -> Self {
        let model = summariser.model(&prompt);
        Self::of_model(work, text, model, prompt, &summariser.decoding(&decoding), decoding)
    }

    fn of_model(
        work: &Work<'_>,
        text: &'a str,
        model: ModelIdentity,
        prompt: Prompt,
        spelling: &str,
        decoding: DecodingRules,
    ) -> Self {
        let fingerprint = answer_fingerprint(&model, spelling);
        let key = keys::answer(&work.routed.tenant, &work.routed.request_fingerprint, &fingerprint);
        let (part_decoding, part_fingerprint) = (decoding, fingerprint.clone());
        let expected_language = None;
        Self { text, expected_language, prompt, model, decoding, part_decoding, fingerprint, part_fingerprint, key }
    }

    /// The same under other rules, which the summary is written by; a long document's partial
    /// answers stay. `None` where the tier cannot follow them.
    pub(super) fn again(&self, work: &Work<'_>, summariser: &impl Summariser, decoding: DecodingRules) -> Option<Self> {
        let (first, second) = (summariser.decoding(&self.decoding), summariser.decoding(&decoding));
        if first == second {
            return None;
        }
        // Both are in it, since both change the answer to a long document.
        let fingerprint = answer_fingerprint(&self.model, &format!("{second}, after {first}"));
        let key = keys::answer(&work.routed.tenant, &work.routed.request_fingerprint, &fingerprint);
        Some(Self { decoding, fingerprint, key, ..self.clone() })
    }
}
