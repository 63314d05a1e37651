//! The gate: the hard rules. They come before any score, and nothing widens them.

use std::collections::BTreeMap;

use precis_schemas::{Document, Purpose, Trial, TrialResult};

use crate::policy::{Policy, SensitivityName, Tier, TierKind};
use crate::rollout;

/// Code of a re-check that finds a worker of an external tier at work for an internal one: its
/// stage is about to start anew.
pub use precis_schemas::codes::TIER_CHANGED;
use precis_schemas::codes::{EVALUATIONS_ONLY, NOT_A_JUDGE};

/// The state of a tier that an operator has not left on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchState {
    /// The tier gets nothing and does nothing.
    Off,
    /// The tier finishes what it has and gets nothing new.
    Drain,
}

/// The tiers that are off or draining.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Switches(BTreeMap<String, (SwitchState, String)>);

impl Switches {
    /// Switches from tier → state and the operator's reason.
    pub fn new(switches: BTreeMap<String, (SwitchState, String)>) -> Self {
        Self(switches)
    }

    /// The state of a tier that is not on.
    pub fn get(&self, tier: &str) -> Option<(SwitchState, &str)> {
        self.0.get(tier).map(|(state, reason)| (*state, reason.as_str()))
    }
}

/// The properties of a document that the gate depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFacts {
    /// Its tenant.
    pub tenant: String,
    /// The publisher's id: it decides a rollout's arm.
    pub document_id: String,
    /// Its type, as labelled.
    pub document_type: String,
    /// Its sensitivity; one without a label counts as restricted.
    pub sensitivity: SensitivityName,
    /// Where its data must stay.
    pub residency: Option<String>,
    /// What it goes to a tier for.
    pub purpose: Purpose,
}

impl DocumentFacts {
    /// The facts of a document of a tenant.
    pub fn of(tenant: &str, document: &Document) -> Self {
        Self {
            tenant: tenant.to_owned(),
            document_id: document.document_id.clone(),
            document_type: document.document_type.clone(),
            sensitivity: document.sensitivity.map_or(SensitivityName::Restricted, Into::into),
            residency: document.residency.clone(),
            purpose: document.purpose,
        }
    }

    /// The same document, which goes to a tier so that its summary is judged.
    #[must_use]
    pub fn for_evaluation(self) -> Self {
        Self { purpose: Purpose::Evaluation, ..self }
    }
}

/// The tiers that a document may go to, and why not to the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Eligibility {
    /// Names of the eligible tiers, in escalation order.
    pub eligible: Vec<String>,
    /// The other tiers, each with a stable code that says why.
    pub excluded: Vec<(String, String)>,
}

/// Where a document may go now, given its trail. A tier whose answer failed is excluded; a tier
/// that refused is excluded until the policy changes.
pub fn gate(policy: &Policy, switches: &Switches, facts: &DocumentFacts, trail: &[Trial]) -> Eligibility {
    // Only refusals depend on the digest, and most documents come without a trail.
    let digest = if trail.is_empty() { String::new() } else { policy.digest() };
    let mut gate = Eligibility::default();
    for tier in &policy.tiers {
        let verdict = rules(policy, tier, facts)
            .or_else(|| switched(switches, &tier.name))
            .or_else(|| tried(&tier.name, trail, &digest))
            .or_else(|| (!rollout::is_in(tier, facts)).then_some("rollout"));
        match verdict {
            None => gate.eligible.push(tier.name.clone()),
            Some(code) => gate.excluded.push((tier.name.clone(), code.to_owned())),
        }
    }
    gate
}

/// Applies the hard rules again for a worker that is about to act. Draining tiers finish what they
/// have.
///
/// `worker_kind` is the kind of tier for which the worker was started, whatever the policy calls
/// its tier by now: between two policies a tier may become external, and not every reader of
/// `control` learns that at the same time.
///
/// # Errors
/// The code of the rule that forbids it; [`TIER_CHANGED`] where the worker would send out documents
/// that the policy keeps on own machines.
pub fn recheck(
    policy: &Policy,
    switches: &Switches,
    facts: &DocumentFacts,
    tier: &str,
    worker_kind: TierKind,
) -> Result<(), &'static str> {
    let Some(known) = policy.tier(tier) else { return Err("tier_unknown") };
    if let Some(code) = rules(policy, known, facts) {
        return Err(code);
    }
    if worker_kind == TierKind::Api && known.kind != TierKind::Api {
        return Err(TIER_CHANGED);
    }
    match switches.get(tier) {
        Some((SwitchState::Off, _)) => Err("tier_off"),
        _ => Ok(()),
    }
}

fn rules(policy: &Policy, tier: &Tier, facts: &DocumentFacts) -> Option<&'static str> {
    let lists = |list: &[String], value: &str| list.iter().any(|entry| entry == "*" || entry == value);
    if !tier.enabled {
        return Some("tier_disabled");
    }
    // The parser refuses such a policy. Checked again, because this is the one rule that must never
    // fail.
    if tier.kind == TierKind::Api && facts.sensitivity == SensitivityName::Restricted {
        return Some("sensitivity");
    }
    if facts.sensitivity > tier.max_sensitivity {
        return Some("sensitivity");
    }
    if facts.residency.as_deref().is_some_and(|residency| !lists(&tier.residency, residency)) {
        return Some("residency");
    }
    if !lists(&tier.tenants, &facts.tenant) {
        return Some("tenant");
    }
    if facts.purpose != Purpose::Evaluation {
        return tier.evaluations_only.then_some(EVALUATIONS_ONLY);
    }
    (!policy.evaluation.judges.contains(&tier.name)).then_some(NOT_A_JUDGE)
}

fn switched(switches: &Switches, tier: &str) -> Option<&'static str> {
    switches.get(tier).map(|(state, _)| match state {
        SwitchState::Off => "tier_off",
        SwitchState::Drain => "tier_draining",
    })
}

fn tried(tier: &str, trail: &[Trial], digest: &str) -> Option<&'static str> {
    trail.iter().filter(|trial| trial.tier == tier).find_map(|trial| match trial.result {
        TrialResult::FailedChecks => Some("tried"),
        TrialResult::Refused if trial.policy_digest == digest => Some("refused"),
        TrialResult::Refused => None,
    })
}

#[cfg(test)]
mod tests;
