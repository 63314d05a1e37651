//! What a tenant may have: the policy's section `[tenants]`, and the token bucket that enforces a
//! quota.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::parse::is_valid_name;
use crate::policy::Policy;

/// The name for every tenant that is not named.
const OTHER_TENANTS: &str = "*";
/// Largest weight: as many documents may go before another tenant's next one.
const MAX_WEIGHT: u32 = 100;
/// The share of a minute's quota that may go at once.
const BURST_SHARE: f64 = 0.1;

/// The rules of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tenant {
    /// How many documents of the tenant go in one turn where several tenants wait for a tier: 1 to
    /// 100. A document of more than about 3,000 tokens (12 kB of English) counts as several: one
    /// for each 3,000 tokens.
    pub weight: u32,
    /// The most documents of the tenant that one router sends to tiers in a minute; the others wait
    /// in the tenant's topic. A tenth of them may go at once. A long document counts as several, as
    /// for `weight`: it goes when one may, and the next ones wait for the rest. Left out: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents_per_minute: Option<u32>,
}

impl Default for Tenant {
    fn default() -> Self {
        Self { weight: 1, documents_per_minute: None }
    }
}

impl Policy {
    /// The rules of this tenant: its own, else those of `*`, else the defaults.
    pub fn tenant(&self, name: &str) -> Tenant {
        self.tenants.get(name).or_else(|| self.tenants.get(OTHER_TENANTS)).cloned().unwrap_or_default()
    }
}

/// Adds the problems of a policy's tenants.
pub(crate) fn lint(policy: &Policy, problems: &mut Vec<String>) {
    for (name, tenant) in &policy.tenants {
        let mut problem = |text: String| problems.push(format!("tenants.{name}: {text}"));
        if name != OTHER_TENANTS && !is_valid_name(name) {
            problem("the name must be a tenant's, 1 to 64 of a-z, 0-9, - and _, or \"*\" for all others".to_owned());
        }
        if !(1..=MAX_WEIGHT).contains(&tenant.weight) {
            problem(format!(
                "weight {} is not between 1 and {MAX_WEIGHT}; it is how many documents go in one turn",
                tenant.weight
            ));
        }
        if tenant.documents_per_minute == Some(0) {
            problem(
                "documents_per_minute is 0, so that its documents would wait for ever; leave it out for no limit"
                    .to_owned(),
            );
        }
    }
}

/// A token bucket: a tenth of a minute's documents, at least one, may go at once, and the tenant's
/// rate refills it. A token is a document of ordinary length.
#[derive(Debug, Clone)]
pub struct Quota {
    tokens: f64,
    at_ms: i64,
}

impl Quota {
    /// A full bucket.
    pub fn new(per_minute: u32, now_ms: i64) -> Self {
        Self { tokens: burst(per_minute), at_ms: now_ms }
    }

    /// Whether a document may go now.
    pub fn allows(&mut self, per_minute: u32, now_ms: i64) -> bool {
        let minutes = (now_ms - self.at_ms).max(0) as f64 / 60_000.0;
        self.tokens = (self.tokens + f64::from(per_minute) * minutes).min(burst(per_minute));
        // A clock that was set back must not fill the bucket twice.
        self.at_ms = self.at_ms.max(now_ms);
        self.tokens >= 1.0
    }

    /// Takes the tokens of a document of this cost that goes. Those that are missing are a debt:
    /// the tenant's next document waits until it is paid.
    pub fn take(&mut self, cost: u32) {
        self.tokens -= f64::from(cost);
    }
}

fn burst(per_minute: u32) -> f64 {
    f64::max(f64::from(per_minute) * BURST_SHARE, 1.0)
}

#[cfg(test)]
mod tests;
