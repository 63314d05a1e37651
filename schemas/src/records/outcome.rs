//! Outcome: how a document ended.

use serde::{Deserialize, Serialize};

use super::answer::{CheckResult, ModelIdentity};
use super::document::{Format, Purpose};
use super::routing::{Decision, Origin, Trial};
use super::scores::Scores;
use crate::{AvroRecord, Millis, Usd};

/// How a document ended: the one record on summaries and in results/ for its tenant, identifier and
/// revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Owner of the document.
    pub tenant: String,
    /// The publisher's identifier of the document.
    pub document_id: String,
    /// Version of the document.
    pub revision: i64,
    /// How it ended.
    pub status: Status,
    /// The summary; `None` when failed.
    #[serde(default)]
    pub summary: Option<String>,
    /// Stable code of why it was flagged or failed; `None` when answered.
    #[serde(default)]
    pub code: Option<String>,
    /// The same for people; holds no document text.
    #[serde(default)]
    pub message: Option<String>,
    /// Tier whose answer this is; `None` when no tier answered.
    #[serde(default)]
    pub tier: Option<String>,
    /// Who answered; `None` when failed.
    #[serde(default)]
    pub model: Option<ModelIdentity>,
    /// Language as a BCP 47 tag of the source, as labelled or detected.
    #[serde(default)]
    pub language: Option<String>,
    /// Requested shape.
    #[serde(default)]
    pub format: Format,
    /// Words of the source.
    #[serde(default)]
    pub words_in: i32,
    /// Words of the summary.
    #[serde(default)]
    pub words_out: i32,
    /// Tokens read, cached ones included, over all chunks.
    #[serde(default)]
    pub input_tokens: i64,
    /// Of those, tokens that a prompt cache held.
    #[serde(default)]
    pub cached_input_tokens: i64,
    /// Tokens generated, over all chunks.
    #[serde(default)]
    pub output_tokens: i64,
    /// Chunks in which a long document was read; 0 when nothing was read.
    #[serde(default)]
    pub chunks: i32,
    /// Why generation ended: stop, length, sentence (the room was used up, and the text ends with a
    /// whole sentence), repetition or refusal.
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// Measurements of the summary against the source.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
    /// How the tier was chosen; `None` when it never came to a choice.
    #[serde(default)]
    pub decision: Option<Decision>,
    /// Tiers tried that did not settle it, oldest first.
    #[serde(default)]
    pub trail: Vec<Trial>,
    /// What this document cost, US dollars, over all tiers tried; 0 on a cache hit.
    pub cost: Usd,
    /// Digest of the price table behind cost; `None` when nothing was billed.
    #[serde(default)]
    pub price_digest: Option<String>,
    /// Which cache layer the summary came from.
    #[serde(default)]
    pub cache: CacheLayer,
    /// Why the work was done.
    #[serde(default)]
    pub purpose: Purpose,
    /// Whether the summary feeds a critical decision.
    #[serde(default)]
    pub critical: bool,
    /// Kind of document as labelled, empty if unknown.
    #[serde(default)]
    pub document_type: String,
    /// Identifiers of the persons the text is about, for erasure.
    #[serde(default)]
    pub subject_ids: Vec<String>,
    /// The record that requested this work.
    pub origin: Origin,
    /// Digest of the publisher's whole request; tells a repeat from a conflict.
    pub request_digest: String,
    /// Digest of what determines an answer.
    pub request_fingerprint: String,
    /// Object key of the stored answer; `None` when there is none.
    #[serde(default)]
    pub answer_key: Option<String>,
    /// Digest of the policy in force.
    pub policy_digest: String,
    /// When the publisher submitted the document, UTC.
    pub submitted_at: Millis,
    /// When this outcome was decided, UTC.
    pub settled_at: Millis,
    /// Wall-clock duration of the generation in milliseconds; 0 on a cache hit.
    #[serde(default)]
    pub generation_ms: i64,
    /// Figures of the summary that gate nothing; `None` without a summary, or where they were not
    /// measured.
    #[serde(default)]
    pub scores: Option<Scores>,
    /// Quality of the summary, 0 to 1: the mean of checks and scores with the weights of the
    /// policy; `None` without a summary, or where it was not measured.
    #[serde(default)]
    pub quality_index: Option<f64>,
}

impl Outcome {
    /// Whether the summary is made of the document's own sentences.
    pub fn is_extract(&self) -> bool {
        self.model.as_ref().is_some_and(ModelIdentity::is_extractor)
    }
}

/// answered: the summary passed its checks. flagged: the best summary at hand, with the checks it
/// failed. failed: no summary, a code says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The summary passed its checks.
    Answered,
    /// The best summary at hand, with the checks it failed.
    Flagged,
    /// No summary, a code says why.
    Failed,
}

impl Status {
    /// The Avro symbol: also its name in metrics, policies and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Flagged => "flagged",
            Self::Failed => "failed",
        }
    }
}

/// Which cache layer the summary came from; none when it was generated for this document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum CacheLayer {
    /// Generated for this document.
    #[default]
    None,
    /// The stored answer to an equal request.
    Exact,
}

impl CacheLayer {
    /// The Avro symbol: also its name in metrics, policies and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Exact => "exact",
        }
    }
}

impl AvroRecord for Outcome {
    const NAME: &'static str = "outcome";
    const VERSION: u32 = 2;
    // Outcomes of older versions keep every subject of a document, even of one that was refused for
    // its many subjects. Nobody but Précis writes outcomes.
    const MAX_ITEMS: usize = 1 << 20;
}
