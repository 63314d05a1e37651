//! The ledger's records of a paid request: attempt and settlement.

use serde::{Deserialize, Serialize};

use super::document::Purpose;
use crate::{AvroRecord, Millis, Usd};

/// Written to ledger before a paid request leaves. Without a settlement of the same `attempt_id`
/// the request was possibly billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerAttempt {
    /// Identifier of this one request.
    pub attempt_id: String,
    /// Owner of the document.
    pub tenant: String,
    /// The publisher's identifier of the document.
    pub document_id: String,
    /// Version of the document.
    pub revision: i64,
    /// Tier that sends the request.
    pub tier: String,
    /// Provider it goes to.
    pub provider: String,
    /// Requested model, as the provider names it.
    pub model: String,
    /// Upper bound of what the request may cost, US dollars.
    pub reserved: Usd,
    /// Digest of the price table behind reserved.
    pub price_digest: String,
    /// When, UTC.
    pub at: Millis,
    /// What the request is for.
    #[serde(default)]
    pub purpose: Purpose,
}

/// Written to ledger once it is known what a paid request cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerSettlement {
    /// Identifier of the attempt.
    pub attempt_id: String,
    /// Whether it was billed.
    pub result: SettlementResult,
    /// Tokens read, cached ones included, as the provider reports them.
    #[serde(default)]
    pub input_tokens: i64,
    /// Of those, tokens that the provider's prompt cache held.
    #[serde(default)]
    pub cached_input_tokens: i64,
    /// Tokens generated, as the provider reports them.
    #[serde(default)]
    pub output_tokens: i64,
    /// What it cost, US dollars; the reserved amount when unknown.
    pub cost: Usd,
    /// Digest of the price table behind cost.
    pub price_digest: String,
    /// The provider's identifier of the request, for disputes.
    #[serde(default)]
    pub provider_request_id: Option<String>,
    /// When, UTC.
    pub at: Millis,
}

/// billed: the provider reported usage. `not_billed`: the request was refused before any work.
/// unknown: the answer was lost, so it counts as billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettlementResult {
    /// The provider reported usage.
    Billed,
    /// The request was refused before any work.
    NotBilled,
    /// The answer was lost, so it counts as billed.
    Unknown,
}

impl SettlementResult {
    /// The Avro symbol: also its name in metrics, policies and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Billed => "billed",
            Self::NotBilled => "not_billed",
            Self::Unknown => "unknown",
        }
    }
}

impl AvroRecord for LedgerAttempt {
    const NAME: &'static str = "ledger_attempt";
    const VERSION: u32 = 2;
}

impl AvroRecord for LedgerSettlement {
    const NAME: &'static str = "ledger_settlement";
    const VERSION: u32 = 1;
}
