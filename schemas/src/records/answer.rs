//! One generated answer, who gave it and what was measured on it.

use serde::{Deserialize, Serialize};

use super::scores::Scores;
use crate::{AvroRecord, Millis, Usd};

/// One generated answer with its measurements, accepted or not, as kept under cache/.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Owner of the document.
    pub tenant: String,
    /// Digest of the request.
    pub request_fingerprint: String,
    /// Digest of who answered and how: model, prompt, decoding parameters.
    pub answer_fingerprint: String,
    /// The summary.
    pub text: String,
    /// Why generation ended: stop, length, sentence (the room was used up, and the text ends with a
    /// whole sentence), repetition or refusal.
    pub finish_reason: String,
    /// Who answered.
    pub model: ModelIdentity,
    /// Tokens read, cached ones included, over all chunks.
    #[serde(default)]
    pub input_tokens: i64,
    /// Of those, tokens that a prompt cache held.
    #[serde(default)]
    pub cached_input_tokens: i64,
    /// Tokens generated, over all chunks.
    #[serde(default)]
    pub output_tokens: i64,
    /// Chunks in which a long document was read; 1 when it was read whole.
    #[serde(default = "one")]
    pub chunks: i32,
    /// Measurements against the source.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
    /// Whether the answer passed every gating check; only accepted answers are found by other
    /// documents.
    pub accepted: bool,
    /// What it cost, US dollars.
    pub cost: Usd,
    /// Digest of the price table behind cost; `None` when nothing was billed.
    #[serde(default)]
    pub price_digest: Option<String>,
    /// Wall-clock duration of the generation in milliseconds.
    #[serde(default)]
    pub generation_ms: i64,
    /// When the answer was finished, UTC.
    pub created_at: Millis,
    /// Identifiers of the persons the source is about, for erasure.
    #[serde(default)]
    pub subject_ids: Vec<String>,
    /// Figures that gate nothing, those against a reference left out; `None` where they were not
    /// measured.
    #[serde(default)]
    pub scores: Option<Scores>,
}

/// The model that answered, with everything that identifies it, and its prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Who ran it: precis for the built-in engine, otherwise the provider's name.
    pub provider: String,
    /// Model name.
    pub name: String,
    /// Exact revision: the digest of the weights for local models, the provider's version string
    /// otherwise; empty if it has none.
    #[serde(default)]
    pub revision: String,
    /// Quantisation of the weights, empty if unknown.
    #[serde(default)]
    pub quantisation: String,
    /// Adapter applied to the model, `None` for none.
    #[serde(default)]
    pub adapter: Option<String>,
    /// Digest of the prompt templates used.
    pub prompt_digest: String,
}

impl ModelIdentity {
    /// Who stands on extracts: summaries of the document's own sentences, which no model gave and
    /// no prompt asked for. `version` is the method's.
    pub fn extractor(version: &str) -> Self {
        Self {
            provider: "precis".to_owned(),
            name: "lexrank".to_owned(),
            revision: version.to_owned(),
            quantisation: String::new(),
            adapter: None,
            prompt_digest: String::new(),
        }
    }

    /// Whether the answer is an extract. A model of that name has a prompt.
    pub fn is_extractor(&self) -> bool {
        self.provider == "precis" && self.name == "lexrank" && self.prompt_digest.is_empty()
    }
}

/// One measurement of an answer against its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Name of the check.
    pub name: String,
    /// Whether the answer passed it.
    pub passed: bool,
    /// The measured value, where the check measures one.
    #[serde(default)]
    pub value: Option<f64>,
    /// What was found; holds no document text beyond the unsupported items themselves.
    #[serde(default)]
    pub detail: String,
}

impl AvroRecord for Answer {
    const NAME: &'static str = "answer";
    const VERSION: u32 = 2;
}

fn one() -> i32 {
    1
}
