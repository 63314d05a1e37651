//! Where a document goes after a tier could not settle it.

use precis_schemas::{Trial, TrialResult, codes};

use crate::gate::Eligibility;
use crate::policy::Policy;

/// Code of a document that is late, and of a worker's refusal for that reason.
pub use precis_schemas::codes::DEADLINE_PASSED;

/// Why no tier comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// As many answers failed as the policy pays for.
    Hops,
    /// No eligible tier is left.
    NoTier,
    /// The deadline passed, and the policy spends nothing on late documents.
    Late,
}

impl Exhausted {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Hops => codes::HOPS_EXHAUSTED,
            Self::NoTier => codes::NO_ELIGIBLE_TIER,
            Self::Late => DEADLINE_PASSED,
        }
    }
}

/// Number of answers that failed their checks. A refusal costs no hop.
pub fn hops(trail: &[Trial]) -> u32 {
    u32::try_from(trail.iter().filter(|trial| trial.result == TrialResult::FailedChecks).count()).unwrap_or(u32::MAX)
}

/// The next tier. After a failed answer: up the escalation order, never to a tier at or below one
/// that failed. After refusals alone: any eligible tier, the nearest above first.
///
/// # Errors
/// Why there is none.
pub fn next_tier<'a>(policy: &'a Policy, gate: &Eligibility, trail: &[Trial]) -> Result<&'a str, Exhausted> {
    let hops = hops(trail);
    if hops > policy.max_hops {
        return Err(Exhausted::Hops);
    }
    let position = |name: &str| policy.tiers.iter().position(|tier| tier.name == name);
    let failed = trail
        .iter()
        .filter(|trial| trial.result == TrialResult::FailedChecks)
        .filter_map(|trial| position(&trial.tier))
        .max();
    let last = trail.last().and_then(|trial| position(&trial.tier));
    let open = |at: &usize| gate.eligible.contains(&policy.tiers[*at].name) && failed.is_none_or(|failed| *at > failed);
    let above = last.map_or(0, |last| last + 1);
    let next = (above..policy.tiers.len()).find(open).or_else(|| (0..above.min(policy.tiers.len())).rev().find(open));
    next.map(|at| policy.tiers[at].name.as_str()).ok_or(Exhausted::NoTier)
}

#[cfg(test)]
mod tests;
