//! The policy as a value.

use std::collections::BTreeMap;

use precis_quality::Thresholds;
use precis_schemas::Sensitivity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::budget::Budget;
use crate::escalate::Exhausted;
use crate::parse::{self, PolicyErrors};
use crate::tenants::Tenant;

/// The policy of one GPU tier that may see everything.
const LOCAL: &str = include_str!("../../../../infra/policy/local.toml");

/// Enough that a provider which fails on every third request loses one document in seven hundred to
/// another tier.
const DEFAULT_PAID_REQUESTS: u32 = 6;

/// Which tiers there are, who may see what, and what is good enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Version of this file's format: 1.
    pub version: u32,
    /// What becomes of a document when no tier is left: `flag` publishes the best answer with the
    /// checks it failed, `fail` publishes none.
    #[serde(default)]
    pub on_exhausted: OnExhausted,
    /// What becomes of a document whose deadline has passed: `run` summarises it all the same,
    /// `flag` publishes the best answer at hand, `fail` none. An accepted answer that is stored
    /// already is published in any case.
    #[serde(default)]
    pub on_late: OnLate,
    /// How often an answer that failed its checks may send a document to another tier.
    #[serde(default = "two")]
    pub max_hops: u32,
    /// The tiers, in the order in which documents escalate: cheapest first.
    pub tiers: Vec<Tier>,
    /// How a document is scored.
    #[serde(default)]
    pub score: Score,
    /// When an answer is good enough.
    #[serde(default)]
    pub checks: Checks,
    /// What the cache may serve.
    #[serde(default)]
    pub cache: Cache,
    /// What a document may ask for.
    #[serde(default)]
    pub limits: Limits,
    /// By tenant, `*` for all that are not named: weight and quota.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tenants: BTreeMap<String, Tenant>,
    /// What may be spent at providers. Without any, nothing limits it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
}

/// What becomes of a document when no tier is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExhausted {
    /// Publish the best stored answer as flagged; without any answer, fail.
    #[default]
    Flag,
    /// Publish a failure.
    Fail,
}

/// What becomes of a document whose deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLate {
    /// Summarise it all the same.
    #[default]
    Run,
    /// Publish the best stored answer as flagged; without any answer, fail.
    Flag,
    /// Publish a failure.
    Fail,
}

/// One way to get a summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Its name; its work is on the topic `work.<name>`.
    pub name: String,
    /// `gpu`: on your own machines; `api`: at a provider.
    pub kind: TierKind,
    /// The provider of an `api` tier: `anthropic` or `openai` (any compatible endpoint).
    #[serde(default)]
    pub provider: Option<String>,
    /// The provider's name of the model.
    #[serde(default)]
    pub model: Option<String>,
    /// The share of documents that should come here first; all tiers' shares add up to 1.
    pub share: f64,
    /// The share, 0 to 1, of the documents that the first tier would fail on which this one gets
    /// right: what a place here is worth. Left out: half of what is missing for each step up the
    /// order, so 0.5 for the second tier and 0.75 for the third.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// The most tokens of documents that one router sends here first in a minute; its share gives
    /// way, and the first tier takes the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// The most documents that may wait in its topic; those beyond wait in their tenants' topics,
    /// and tenants are let in by turns. 0: no limit.
    #[serde(default = "max_backlog", skip_serializing_if = "is_usual_backlog")]
    pub max_backlog: u64,
    /// For an `api` tier: the most requests for one document that its provider may bill, over all
    /// deliveries and restarts. Each that fails after it has left counts (no whole answer, an error
    /// of the provider's, a crash meanwhile); what was throttled or not let in does not. Then the
    /// document goes to another tier (code `paid_requests_exhausted`). Left out: 6. After an answer
    /// that cannot be read one more request is sent, whatever stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_paid_requests: Option<u32>,
    /// Which documents may come here while the tier is being introduced; left out, all that the
    /// other rules allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// The most sensitive documents that may come here. An `api` tier may have at most
    /// `confidential`.
    pub max_sensitivity: SensitivityName,
    /// The residencies whose documents may come here; `*` for all. A document without one may come
    /// to every tier.
    #[serde(default = "all")]
    pub residency: Vec<String>,
    /// The tenants whose documents may come here; `*` for all.
    #[serde(default = "all")]
    pub tenants: Vec<String>,
    /// Whether the tier takes part at all; `precis tier` switches at run time, without a new
    /// policy.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Progressive migration: the part of the documents that may come to a tier, by a hash of tenant,
/// document id and tier. Raising a share only adds documents, lowering it only takes some away, and
/// one tier's part says nothing of another's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// The share of documents, 0 to 1.
    pub share: f64,
    /// Shares of document types, in the place of `share`.
    #[serde(default)]
    pub types: BTreeMap<String, f64>,
    /// Shares of tenants, in the place of `share`; where type and tenant have one, the smaller
    /// holds.
    #[serde(default)]
    pub tenants: BTreeMap<String, f64>,
}

/// Where a tier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TierKind {
    /// On your own machines.
    Gpu,
    /// At a provider.
    Api,
}

/// A sensitivity as the policy file spells it, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SensitivityName {
    /// Anyone may know.
    Public,
    /// Not for outside, no harm if known.
    Internal,
    /// Harm if known.
    Confidential,
    /// Never leaves the network.
    Restricted,
}

impl From<Sensitivity> for SensitivityName {
    fn from(sensitivity: Sensitivity) -> Self {
        match sensitivity {
            Sensitivity::Public => Self::Public,
            Sensitivity::Internal => Self::Internal,
            Sensitivity::Confidential => Self::Confidential,
            Sensitivity::Restricted => Self::Restricted,
        }
    }
}

/// Weights of the logistic score: the probability that the first tier's answer passes is
/// `1 / (1 + exp(-(bias + Σ weight · feature)))`. The defaults are judgement, not fit: longer,
/// denser and noisier documents are harder. `tools/fit-score.py` fits them from outcomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Score {
    /// The constant term.
    pub bias: f64,
    /// Weight of each feature: `length`, `digits`, `names`, `noise`, `long_sentences`,
    /// `not_english`, each between 0 and 1. One that is left out of this table counts nothing.
    pub weights: BTreeMap<String, f64>,
    /// Weights of their own for documents of a type; nothing is taken over from the above.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, Weights>,
}

/// The weights of one document type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// The constant term.
    pub bias: f64,
    /// Weight of each feature.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
}

impl Default for Score {
    fn default() -> Self {
        let weights = [
            ("length", -1.2),
            ("digits", -6.0),
            ("names", -2.0),
            ("noise", -8.0),
            ("long_sentences", -1.0),
            ("not_english", -0.8),
        ];
        let weights = weights.into_iter().map(|(name, weight)| (name.to_owned(), weight)).collect();
        Self { bias: 2.5, weights, types: BTreeMap::new() }
    }
}

impl Score {
    /// Bias and weights for documents of this type.
    pub fn of_type(&self, document_type: &str) -> (f64, &BTreeMap<String, f64>) {
        match self.types.get(document_type) {
            Some(own) => (own.bias, &own.weights),
            None => (self.bias, &self.weights),
        }
    }
}

/// When an answer is good enough.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Checks {
    /// For every document whose type is not named below.
    pub default: Thresholds,
    /// By document type.
    pub types: BTreeMap<String, Thresholds>,
}

/// What the exact cache may serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Serve equal requests of one tenant from an accepted answer.
    pub exact: bool,
    /// Raise it to forget every answer accepted so far, for example after a change of prompt or
    /// model.
    pub generation: u32,
}

impl Default for Cache {
    fn default() -> Self {
        Self { exact: true, generation: 1 }
    }
}

/// What a document may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest text, bytes.
    pub max_text_bytes: u64,
    /// Longest summary, words.
    pub max_summary_words: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_text_bytes: 16 * 1024 * 1024, max_summary_words: 1_000 }
    }
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with what to do.
    pub fn parse(toml: &str) -> Result<Self, PolicyErrors> {
        parse::parse(toml)
    }

    /// The policy in force where none was given: one GPU tier that may see everything.
    pub fn local() -> Self {
        Self::parse(LOCAL).expect("infra/policy/local.toml is parsed by this crate's tests")
    }

    /// SHA-256 (hex) of what the policy says; comments and order of keys do not count.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }

    /// The tier of that name.
    pub fn tier(&self, name: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.name == name)
    }

    /// Names of all tiers, in escalation order.
    pub fn tier_names(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().map(|tier| tier.name.as_str())
    }

    /// The target shares, in escalation order.
    pub fn shares(&self) -> Vec<f64> {
        self.tiers.iter().map(|tier| tier.share).collect()
    }

    /// The probability that a tier's answer to a document of this score is accepted; `at` is its
    /// place in the escalation order.
    pub fn quality(&self, at: usize, score: f64) -> f64 {
        let usual = 1.0 - 0.5_f64.powi(i32::try_from(at).unwrap_or(i32::MAX));
        let strength = self.tiers.get(at).and_then(|tier| tier.strength).unwrap_or(usual);
        score + (1.0 - score) * strength
    }

    /// Names of the external tiers.
    pub fn external_tiers(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().filter(|tier| tier.kind == TierKind::Api).map(|tier| tier.name.as_str())
    }

    /// The most requests for one document that the provider of this tier may bill.
    pub fn max_paid_requests(&self, tier: &str) -> u32 {
        self.tier(tier).and_then(|tier| tier.max_paid_requests).unwrap_or(DEFAULT_PAID_REQUESTS)
    }

    /// Whether a document with this deadline is too late for anything to be spent on it.
    pub fn is_late(&self, deadline: Option<i64>, now_ms: i64) -> bool {
        self.late_after(deadline).is_some_and(|deadline| now_ms > deadline)
    }

    /// After which moment that is so; `None`: never.
    pub fn late_after(&self, deadline: Option<i64>) -> Option<i64> {
        deadline.filter(|_| self.on_late != OnLate::Run)
    }

    /// Whether the best stored answer is published where a document ends for this reason.
    pub fn flags(&self, why: Exhausted) -> bool {
        match why {
            Exhausted::Late => self.on_late == OnLate::Flag,
            Exhausted::Hops | Exhausted::NoTier => self.on_exhausted == OnExhausted::Flag,
        }
    }

    /// When an answer to a document of this type is good enough.
    pub fn thresholds(&self, document_type: &str) -> &Thresholds {
        self.checks.types.get(document_type).unwrap_or(&self.checks.default)
    }

    /// Names the set of answers the exact cache may serve: it changes with what an answer must
    /// pass, and with the policy's own number.
    pub fn cache_generation(&self) -> String {
        let what = serde_json::to_vec(&(&self.cache, &self.checks)).unwrap_or_default();
        hex(&Sha256::digest(what))[..16].to_owned()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn two() -> u32 {
    2
}

fn yes() -> bool {
    true
}

/// Enough that no worker runs dry between two looks of the router, few enough to wait behind.
fn max_backlog() -> u64 {
    1_000
}

/// What is left out does not count in the digest, which older builds work out too.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_usual_backlog(documents: &u64) -> bool {
    *documents == max_backlog()
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}
