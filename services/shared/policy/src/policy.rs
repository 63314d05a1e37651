//! The policy as a value.

use std::collections::BTreeMap;

use precis_base::digest::sha256_hex;
use precis_quality::Thresholds;
use precis_schemas::Sensitivity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::adapters::AdapterRule;
use crate::budget::Budget;
use crate::decoding::Decoding;
use crate::escalate::Exhausted;
use crate::evaluation::Evaluation;
use crate::parse::{self, PolicyErrors};
use crate::quality::Quality;
use crate::score::Score;
use crate::tenants::Tenant;

/// The built-in policy: one GPU tier that may have every document.
const LOCAL: &str = include_str!("../../../../infra/policy/local.toml");

/// Paid requests for one document unless the tier sets another number: at a provider that fails
/// every third request, one document in seven hundred goes to another tier.
const DEFAULT_PAID_REQUESTS: u32 = 6;

/// The tiers, the documents that each may have, and when an answer is good enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Version of this file's format: 1.
    pub version: u32,
    /// What becomes of a document when no tier is left: `flag` publishes the best answer with the
    /// checks that it failed, `fail` publishes none. `extract` publishes sentences of the document
    /// itself, chosen by rank without any model, where they pass its checks; else it flags.
    #[serde(default)]
    pub on_exhausted: OnExhausted,
    /// What becomes of a document whose deadline has passed: `run` summarises it all the same,
    /// `flag` publishes the best answer at hand, `fail` none. An accepted answer that is stored
    /// already is published in any case.
    #[serde(default)]
    pub on_late: OnLate,
    /// How many answers that failed their checks may send a document to another tier: 0 to 8. At 0
    /// the first failed answer ends the document.
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
    /// How self-hosted models decode, and whether they try twice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub decoding: Decoding,
    /// How good a summary is: the weights of its quality index.
    #[serde(default, skip_serializing_if = "is_default")]
    pub quality: Quality,
    /// Which summaries an evaluator model judges.
    #[serde(default, skip_serializing_if = "is_default")]
    pub evaluation: Evaluation,
    /// What the cache may serve.
    #[serde(default)]
    pub cache: Cache,
    /// The largest requests that are served.
    #[serde(default)]
    pub limits: Limits,
    /// Weight and quota of each tenant by name; `*` is every tenant that is not named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tenants: BTreeMap<String, Tenant>,
    /// What may be spent at providers. Without any budget nothing limits the spending.
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
    /// Publish an extract that passes its checks; without one, as `flag`.
    Extract,
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

/// A place where documents are summarised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The tier's name; its work is on the topic `work.<name>`.
    pub name: String,
    /// `gpu`: on your own machines; `api`: at a provider; `extract`: sentences of the document
    /// itself, chosen in the router without any model.
    pub kind: TierKind,
    /// The provider of an `api` tier: `anthropic` or `openai` (any compatible endpoint).
    #[serde(default)]
    pub provider: Option<String>,
    /// The provider's name of the model.
    #[serde(default)]
    pub model: Option<String>,
    /// The share of documents that should start at this tier, 0 to 1; the shares of all tiers add
    /// up to 1. At 0 the tier gets escalations only.
    pub share: f64,
    /// Of the documents that the first tier would fail on, the share, 0 to 1, that this tier gets
    /// right; it sets the worth of a place here. Left out: half of the missing share for each step
    /// up the order, so 0.5 for the second tier and 0.75 for the third.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// The most tokens of documents that one router sends to this tier first in a minute. Beyond it
    /// the tier's share gives way, and the first tier takes the rest. Left out: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// The most documents that may wait in the tier's topic. Further documents wait in their
    /// tenants' topics, and tenants are admitted by turns. 0: no limit.
    #[serde(default = "max_backlog", skip_serializing_if = "is_default_backlog")]
    pub max_backlog: u64,
    /// For an `api` tier: the most requests for one document that its provider may bill, over all
    /// deliveries and restarts, 1 to 100. A request counts that fails after it was sent (no whole
    /// answer, an error of the provider's, a crash meanwhile); one that was throttled or not
    /// admitted does not. Beyond it the document goes to another tier (code
    /// `paid_requests_exhausted`). Left out: 6. After an answer that cannot be read one more
    /// request is sent, whatever this number is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_paid_requests: Option<u32>,
    /// Which documents may come to the tier while it is being introduced. Left out: all that the
    /// other rules allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// The most sensitive documents that may come to the tier. An `api` tier may have at most
    /// `confidential`. Only an `extract` tier may leave it out: it may have every document, since
    /// none leaves the router.
    #[serde(default = "restricted")]
    pub max_sensitivity: SensitivityName,
    /// The residencies whose documents may come to the tier; `*` for all. An `api` tier must state
    /// them. A document without a residency may come to every tier.
    #[serde(default = "all")]
    pub residency: Vec<String>,
    /// The tenants whose documents may come to the tier; `*` for all.
    #[serde(default = "all")]
    pub tenants: Vec<String>,
    /// For a `gpu` tier: which documents are answered with an adapter (`LoRA`) of its model. The
    /// first rule that names a document's tenant and type holds; without one the model itself
    /// answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<AdapterRule>,
    /// Whether the tier takes part at all. `precis tiers` switches a tier at run time, without a
    /// new policy.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whether the tier judges summaries and takes no documents. Its share is 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub evaluations_only: bool,
}

/// Progressive migration: the share of the documents that may come to a tier, chosen by a hash of
/// tenant, document id and tier. Raising a share only adds documents, and lowering it only takes
/// some away. The choices of two tiers are independent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// The share of documents, 0 to 1.
    pub share: f64,
    /// Shares of document types, in place of `share`.
    #[serde(default)]
    pub types: BTreeMap<String, f64>,
    /// Shares of tenants, in place of `share`; where type and tenant have one, the smaller holds.
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
    /// In the router itself: sentences of the document, no model.
    Extract,
}

impl TierKind {
    /// Whether documents leave the network on their way to such a tier.
    pub fn is_external(self) -> bool {
        self == Self::Api
    }

    /// The name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Api => "api",
            Self::Extract => "extract",
        }
    }

    /// Whether workers take the work of such a tier from a topic.
    pub fn has_workers(self) -> bool {
        self != Self::Extract
    }
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

/// The checks' thresholds: when an answer is good enough.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Checks {
    /// For every document whose type is not in `types`.
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
    /// Number of the cache's generation. Raise it to forget every answer accepted so far, for
    /// example after a change of prompt or model.
    pub generation: u32,
}

impl Default for Cache {
    fn default() -> Self {
        Self { exact: true, generation: 1 }
    }
}

/// The largest requests that are served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest text, bytes; more than 16 MiB are never read.
    pub max_text_bytes: u64,
    /// Longest summary, words: at most 10,000.
    pub max_summary_words: u32,
    /// The most parts in which the engine reads one document that is too long for one request. A
    /// tier refuses a document of more parts before it reads any (code `text_too_many_parts`).
    #[serde(skip_serializing_if = "is_default_parts")]
    pub max_parts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_text_bytes: 2 * 1024 * 1024, max_summary_words: 1_000, max_parts: MAX_PARTS }
    }
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// All problems of the file, each with what to do.
    pub fn parse(toml: &str) -> Result<Self, PolicyErrors> {
        parse::parse(toml)
    }

    /// What this policy allows that is wider than most want, one line each: for an `api` tier,
    /// every residency or every tenant.
    pub fn warnings(&self) -> Vec<String> {
        parse::warnings(self)
    }

    /// The policy in force where none was given: one GPU tier that may have every document.
    pub fn local() -> Self {
        Self::parse(LOCAL).expect("infra/policy/local.toml is parsed by this crate's tests")
    }

    /// SHA-256 (hex) of the policy's content; comments and the order of keys do not count.
    pub fn digest(&self) -> String {
        sha256_hex(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// The tier of that name.
    pub fn tier(&self, name: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.name == name)
    }

    /// Names of all tiers, in escalation order.
    pub fn tier_names(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().map(|tier| tier.name.as_str())
    }

    /// Names of the tiers whose work waits in a topic for workers, in escalation order.
    pub fn worker_tiers(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().filter(|tier| tier.kind.has_workers()).map(|tier| tier.name.as_str())
    }

    /// Whether the router itself does the work of this tier.
    pub fn is_extractive(&self, tier: &str) -> bool {
        self.tier(tier).is_some_and(|tier| tier.kind == TierKind::Extract)
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
        self.tiers.iter().filter(|tier| tier.kind.is_external()).map(|tier| tier.name.as_str())
    }

    /// The most requests for one document that the provider of this tier may bill.
    pub fn max_paid_requests(&self, tier: &str) -> u32 {
        self.tier(tier).and_then(|tier| tier.max_paid_requests).unwrap_or(DEFAULT_PAID_REQUESTS)
    }

    /// Whether a document with this deadline is too late for anything to be spent on it.
    pub fn is_late(&self, deadline: Option<i64>, now_ms: i64) -> bool {
        self.late_after(deadline).is_some_and(|deadline| now_ms > deadline)
    }

    /// The time after which a document with this deadline is late, Unix milliseconds; `None`:
    /// never.
    pub fn late_after(&self, deadline: Option<i64>) -> Option<i64> {
        deadline.filter(|_| self.on_late != OnLate::Run)
    }

    /// Whether the best stored answer is published where a document ends for this reason.
    pub fn flags(&self, why: Exhausted) -> bool {
        match why {
            Exhausted::Late => self.on_late == OnLate::Flag,
            Exhausted::Hops | Exhausted::NoTier => self.on_exhausted != OnExhausted::Fail,
        }
    }

    /// Whether a document that ends for this reason gets an extract, if one passes its checks.
    pub fn extracts(&self, why: Exhausted) -> bool {
        why != Exhausted::Late && self.on_exhausted == OnExhausted::Extract
    }

    /// When an answer to a document of this type is good enough.
    pub fn thresholds(&self, document_type: &str) -> &Thresholds {
        self.checks.types.get(document_type).unwrap_or(&self.checks.default)
    }

    /// Name of the set of answers that the exact cache may serve. It changes with the checks, with
    /// the rules for adapters and for decoding, and with the policy's own number.
    pub fn cache_generation(&self) -> String {
        let adapted: Vec<_> = self.tiers.iter().filter(|tier| !tier.adapters.is_empty()).collect();
        let rules: Vec<_> = adapted.iter().map(|tier| (&tier.name, &tier.adapters)).collect();
        let mut what = serde_json::to_vec(&(&self.cache, &self.checks)).unwrap_or_default();
        if !rules.is_empty() {
            what.extend(serde_json::to_vec(&rules).unwrap_or_default());
        }
        if !is_default(&self.decoding) {
            what.extend(serde_json::to_vec(&self.decoding).unwrap_or_default());
        }
        sha256_hex(&what)[..16].to_owned()
    }
}

/// A default is not written, so that it does not count in the digest, which older builds compute,
/// too.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn two() -> u32 {
    2
}

fn restricted() -> SensitivityName {
    SensitivityName::Restricted
}

fn yes() -> bool {
    true
}

/// The default: enough that no worker runs dry between two measurements of the router, few enough
/// that the wait behind them is short.
fn max_backlog() -> u64 {
    1_000
}

/// Parts of the longest text by default: 2 MiB in parts of 1,000 tokens.
const MAX_PARTS: u32 = 512;

/// A default is not written, as above.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_default_parts(parts: &u32) -> bool {
    *parts == MAX_PARTS
}

/// A default is not written: it does not count in the digest, which older builds compute, too.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_default_backlog(documents: &u64) -> bool {
    *documents == max_backlog()
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}
