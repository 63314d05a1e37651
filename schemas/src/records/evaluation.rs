//! Evaluation: what an evaluator model said of a summary.

use serde::{Deserialize, Serialize};

use super::answer::ModelIdentity;
use super::outcome::Status;
use super::routing::{Origin, Trial};
use crate::{AvroRecord, Millis, Usd};

/// What an evaluator model said of a summary: the one record on evaluations and in evaluations/ for
/// its tenant, identifier, revision and round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Owner of the document.
    pub tenant: String,
    /// The publisher's identifier of the document.
    pub document_id: String,
    /// Version of the document.
    pub revision: i64,
    /// 1; 2 for the second opinion on a summary that is judged twice.
    pub round: i32,
    /// Whether the summary was judged.
    pub status: EvaluationStatus,
    /// Stable code of why it was not judged; `None` when it was.
    #[serde(default)]
    pub code: Option<String>,
    /// The same for people; holds no document text.
    #[serde(default)]
    pub message: Option<String>,
    /// Version of the instructions to the evaluator, such as rubric.v1.
    pub rubric: String,
    /// The scores; `None` when it failed.
    #[serde(default)]
    pub scores: Option<JudgeScores>,
    /// Statements of the summary that the text does not support, as the evaluator quotes them.
    #[serde(default)]
    pub unsupported_claims: Vec<String>,
    /// What the evaluator adds, empty if nothing.
    #[serde(default)]
    pub remark: String,
    /// Tier whose model judged; `None` when none did.
    #[serde(default)]
    pub judge_tier: Option<String>,
    /// The evaluator model; `None` when none answered.
    #[serde(default)]
    pub judge: Option<ModelIdentity>,
    /// Whether the evaluator is the model that wrote the summary, since no other was allowed.
    #[serde(default)]
    pub same_model: bool,
    /// Probability, above 0 and at most 1, with which a document of its kind is chosen for this
    /// round.
    pub probability: f64,
    /// How the document ended.
    pub outcome_status: Status,
    /// Tier whose answer the summary is; `None` when no tier answered.
    #[serde(default)]
    pub tier: Option<String>,
    /// Who wrote the summary.
    #[serde(default)]
    pub model: Option<ModelIdentity>,
    /// SHA-256 (hex) of the summary that was judged; empty when there was none.
    #[serde(default)]
    pub summary_sha256: String,
    /// The outcome's quality index.
    #[serde(default)]
    pub quality_index: Option<f64>,
    /// The outcome's language.
    #[serde(default)]
    pub language: Option<String>,
    /// Whether the summary feeds a critical decision.
    #[serde(default)]
    pub critical: bool,
    /// Kind of document as labelled, empty if unknown.
    #[serde(default)]
    pub document_type: String,
    /// Identifiers of the persons the text is about, for erasure.
    #[serde(default)]
    pub subject_ids: Vec<String>,
    /// Tiers that did not judge, oldest first.
    #[serde(default)]
    pub trail: Vec<Trial>,
    /// Tokens read, over both attempts.
    #[serde(default)]
    pub input_tokens: i64,
    /// Tokens generated, over both attempts.
    #[serde(default)]
    pub output_tokens: i64,
    /// What the evaluation cost, US dollars, over both attempts.
    pub cost: Usd,
    /// Digest of the price table behind cost; `None` when nothing was billed.
    #[serde(default)]
    pub price_digest: Option<String>,
    /// The record that requested this work.
    pub origin: Origin,
    /// Digest of the publisher's whole request; tells a repeat from a conflict.
    pub request_digest: String,
    /// Digest of the policy under which it was judged.
    pub policy_digest: String,
    /// When it was judged, or failed, UTC.
    pub settled_at: Millis,
}

/// What an evaluator model said of a summary, each from 1 (bad) to 5 (good).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct JudgeScores {
    /// Whether the text supports each statement.
    pub faithfulness: i32,
    /// Whether the summary has what matters of the text.
    pub coverage: i32,
    /// Whether it reads as one text.
    pub coherence: i32,
    /// Whether it has nothing to spare.
    pub conciseness: i32,
    /// All four as one number from 0 to 1: their mean, 1 counting as 0 and 5 as 1.
    pub score: f64,
}

/// judged: the evaluator gave scores. failed: it gave none, a code says why; that says nothing of
/// the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationStatus {
    /// The evaluator gave scores.
    Judged,
    /// It gave none, a code says why; that says nothing of the summary.
    Failed,
}

impl EvaluationStatus {
    /// The Avro symbol: also its name in metrics, policies and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Judged => "judged",
            Self::Failed => "failed",
        }
    }
}

impl AvroRecord for Evaluation {
    const NAME: &'static str = "evaluation";
    const VERSION: u32 = 1;
}
