//! Records between the router and the workers: routed documents and escalations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::document::Purpose;
use crate::{AvroRecord, Millis};

/// A document with the tier that shall summarise it, as the router writes it to `work.<tier>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoutedDocument {
    /// Owner of the document.
    pub tenant: String,
    /// The publisher's identifier of the document.
    pub document_id: String,
    /// Version of the document.
    pub revision: i64,
    /// The record that requested this work.
    pub origin: Origin,
    /// Digest of the publisher's whole request; tells a repeat from a conflict.
    pub request_digest: String,
    /// Digest of what determines an answer: tenant, residency, text, instruction, length, language,
    /// format.
    pub request_fingerprint: String,
    /// The publisher's Document record, byte for byte.
    #[serde(with = "serde_bytes")]
    pub document: Vec<u8>,
    /// The tier that shall do the work.
    pub tier: String,
    /// How that tier was chosen.
    pub decision: Decision,
    /// Tiers tried before, oldest first.
    #[serde(default)]
    pub trail: Vec<Trial>,
    /// Digest of the policy in force at the router.
    pub policy_digest: String,
    /// Why the work is done.
    #[serde(default)]
    pub purpose: Purpose,
    /// Higher is served first; 0 is normal.
    #[serde(default)]
    pub priority: i32,
    /// When the summary loses its use, UTC; `None` for no deadline.
    #[serde(default)]
    pub deadline: Option<Millis>,
    /// Whether an operator replayed this work from a dead letter.
    #[serde(default)]
    pub replay: bool,
    /// When the router decided, UTC.
    pub routed_at: Millis,
    /// What is to be judged; `None` where a summary is to be written. On escalations, such a record
    /// without a tier asks the router for one.
    #[serde(default)]
    pub evaluation: Option<EvaluationRequest>,
}

/// That the document's published summary shall be judged by an evaluator model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRequest {
    /// 1; 2 for the second opinion on a summary that is judged twice.
    pub round: i32,
    /// Probability, above 0 and at most 1, with which a document of its kind is chosen for this
    /// round.
    pub probability: f64,
    /// Who ran the model that wrote the summary; a model of somebody else judges it where there is
    /// one.
    #[serde(default)]
    pub provider: String,
    /// The model that wrote the summary.
    #[serde(default)]
    pub model: String,
}

/// The first record on a documents topic that requested this work. Redeliveries and re-enqueued
/// records keep this origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Topic of that record.
    pub topic: String,
    /// Partition of that record.
    pub partition: i32,
    /// Offset of that record.
    pub offset: i64,
}

/// How a tier was chosen, with all that is needed to replay the choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Tiers that passed the hard gate, in the policy's order.
    #[serde(default)]
    pub eligible: Vec<String>,
    /// Tiers that did not, each with its reason.
    #[serde(default)]
    pub excluded: Vec<Exclusion>,
    /// Measured properties of the document that the score used, by name.
    #[serde(default)]
    pub features: BTreeMap<String, f64>,
    /// Estimated probability, 0 to 1, that the cheapest tier's answer will be accepted.
    pub score: f64,
    /// Score thresholds in force, by tier.
    #[serde(default)]
    pub thresholds: BTreeMap<String, f64>,
    /// Price of quality in force when the choice was made; 0 when no budget bound.
    #[serde(default)]
    pub shadow_price: f64,
    /// The tier chosen; empty when none was eligible.
    pub chosen: String,
    /// Stable code of why it was chosen, such as score, escalation or `only_eligible`.
    pub reason: String,
    /// Digest of the policy that decided.
    pub policy_digest: String,
    /// Canary arm, empty outside a canary.
    #[serde(default)]
    pub arm: String,
}

/// A tier that the hard gate left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclusion {
    /// Name of the tier.
    pub tier: String,
    /// Stable code of the rule that excluded it, such as sensitivity, residency, tenant or
    /// `switched_off`.
    pub reason: String,
}

/// A trial: one tier's go at a document that did not settle it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The tier tried.
    pub tier: String,
    /// Whether the answer failed its checks or the tier refused.
    pub result: TrialResult,
    /// Stable code of the first failed check, or of the refusal.
    pub code: String,
    /// Object key of the stored answer; `None` when the tier refused.
    #[serde(default)]
    pub answer_key: Option<String>,
    /// Names of all checks that the answer failed.
    #[serde(default)]
    pub failed_checks: Vec<String>,
    /// Digest of the policy in force at the tier.
    pub policy_digest: String,
    /// When the trial ended, UTC.
    pub at: Millis,
}

/// `failed_checks`: the tier answered and its answer was not accepted, which counts as a hop.
/// refused: the tier did not answer, which counts as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialResult {
    /// The tier answered and its answer was not accepted, which counts as a hop.
    FailedChecks,
    /// The tier did not answer, which counts as none.
    Refused,
}

impl TrialResult {
    /// The Avro symbol: also its name in metrics, policies and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailedChecks => "failed_checks",
            Self::Refused => "refused",
        }
    }
}

/// Work that a tier did not settle, given back to the router on escalations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// The `RoutedDocument` record as the tier received it, single-object encoded.
    #[serde(with = "serde_bytes")]
    pub routed: Vec<u8>,
    /// What the tier tried and why it did not settle.
    pub trial: Trial,
}

impl AvroRecord for RoutedDocument {
    const NAME: &'static str = "routed_document";
    const VERSION: u32 = 2;

    fn size_hint(&self) -> usize {
        self.document.len() + 1024
    }
}

impl AvroRecord for Escalation {
    const NAME: &'static str = "escalation";
    const VERSION: u32 = 1;

    fn size_hint(&self) -> usize {
        self.routed.len() + 512
    }
}
