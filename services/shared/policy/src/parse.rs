//! Reads a policy, and reports every problem at once, each with how to fix it.

use std::collections::BTreeSet;
use std::fmt;

use crate::features::FEATURE_NAMES;
use crate::policy::{Policy, SensitivityName, Tier, TierKind};
use crate::score::Score;
use crate::{adapters, budget, decoding, evaluation, quality, tenants};

/// How far the shares' sum may be from 1: decimal fractions do not add up exactly.
const SHARE_TOLERANCE: f64 = 1e-6;

/// Largest weight: e^-100 is no score.
const MAX_WEIGHT: f64 = 100.0;

/// Most paid requests for one document: more would only repeat what fails.
const MAX_PAID_REQUESTS: u32 = 100;

/// Longest summary that a policy may allow, words. The longest answer to such a request, and its
/// outcome, fit a record.
const MAX_SUMMARY_WORDS: u32 = 10_000;

/// Most tiers of a policy.
const MAX_TIERS: usize = 64;

/// Longest name of a provider's model, bytes: every answer and every request in the ledger has it.
const MAX_MODEL_BYTES: usize = 256;

/// Providers that the api-worker can speak to.
const PROVIDERS: [&str; 2] = ["anthropic", "openai"];

/// All problems of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyErrors(Vec<String>);

impl PolicyErrors {
    /// The problems, one line each.
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for PolicyErrors {}

pub(crate) fn parse(toml: &str) -> Result<Policy, PolicyErrors> {
    let policy: Policy =
        toml::from_str(toml).map_err(|error| PolicyErrors(vec![error.to_string().trim_end().to_owned()]))?;
    let mut problems = Vec::new();
    what_widens_is_stated(toml, &policy, &mut problems);
    if policy.version != 1 {
        problems.push(format!("version: {} is not known; this build reads version 1", policy.version));
    }
    if policy.max_hops > 8 {
        problems.push(format!("max_hops: {} is more than 8; each hop is another paid answer", policy.max_hops));
    }
    tiers(&policy.tiers, &mut problems);
    score(&policy.score, &mut problems);
    quality::lint(&policy.quality, &mut problems);
    if policy.limits.max_summary_words == 0 || policy.limits.max_text_bytes == 0 {
        problems.push("limits: must be at least 1; leave a limit out for its default".to_owned());
    }
    if policy.limits.max_summary_words > MAX_SUMMARY_WORDS {
        problems.push(format!(
            "limits.max_summary_words: {} is more than {MAX_SUMMARY_WORDS}; a longer summary might not fit its record",
            policy.limits.max_summary_words
        ));
    }
    if policy.limits.max_parts == 0 {
        problems.push("limits.max_parts: must be at least 1; leave it out for the default".to_owned());
    }
    if policy.tiers.len() > MAX_TIERS {
        problems.push(format!(
            "tiers: {} are more than {MAX_TIERS}; each is named in the decision of every document",
            policy.tiers.len()
        ));
    }
    evaluation::lint(&policy, &mut problems);
    budget::lint(&policy, &mut problems);
    tenants::lint(&policy, &mut problems);
    decoding::lint(&policy.decoding, &mut |problem| problems.push(problem));
    if problems.is_empty() { Ok(policy) } else { Err(PolicyErrors(problems)) }
}

/// What widens where documents may go must be written: a residency or a sensitivity that is left
/// out must not mean that every document may leave the network, or may come to a tier.
fn what_widens_is_stated(toml: &str, policy: &Policy, problems: &mut Vec<String>) {
    #[derive(serde::Deserialize)]
    struct Stated {
        tiers: Vec<toml::Table>,
    }
    let Ok(Stated { tiers }) = toml::from_str::<Stated>(toml) else { return };
    for (tier, stated) in policy.tiers.iter().zip(tiers) {
        if tier.kind.is_external() && !stated.contains_key("residency") {
            problems.push(format!(
                "tiers.{}: a tier of kind api must say which residencies may come to it; add residency = [\"eu\"], with \
                 the names that your documents carry, or [\"*\"] if documents of every residency may leave",
                tier.name
            ));
        }
        if tier.kind.has_workers() && !stated.contains_key("max_sensitivity") {
            problems.push(format!(
                "tiers.{}: max_sensitivity is missing; add the most sensitive documents that may come to it: public, \
                 internal, confidential or restricted",
                tier.name
            ));
        }
    }
}

/// What is allowed and wide: each a line for people, with how to narrow it.
pub(crate) fn warnings(policy: &Policy) -> Vec<String> {
    let is_wide = |list: &[String]| list.iter().any(|one| one == "*");
    let mut warnings = Vec::new();
    for tier in policy.tiers.iter().filter(|tier| tier.kind.is_external() && tier.enabled) {
        let name = &tier.name;
        if is_wide(&tier.residency) {
            warnings.push(format!(
                "tiers.{name}: residency is \"*\": documents that must stay in a region leave for this provider, too; \
                 list the regions that it may have"
            ));
        }
        if is_wide(&tier.tenants) {
            warnings.push(format!(
                "tiers.{name}: tenants is \"*\": documents of every tenant, new ones included, leave for this provider; \
                 list the tenants that it may have"
            ));
        }
    }
    warnings
}

fn score(score: &Score, problems: &mut Vec<String>) {
    let own = score.types.iter().map(|(name, own)| (format!("score.types.{name}"), own.bias, &own.weights));
    for (at, bias, weights) in std::iter::once(("score".to_owned(), score.bias, &score.weights)).chain(own) {
        for name in weights.keys().filter(|name| !FEATURE_NAMES.contains(&name.as_str())) {
            problems.push(format!("{at}.weights.{name}: no such feature; known: {}", FEATURE_NAMES.join(", ")));
        }
        if !weights.values().chain([&bias]).all(|number| number.abs() <= MAX_WEIGHT) {
            problems.push(format!(
                "{at}: bias and weights must lie between -{MAX_WEIGHT} and {MAX_WEIGHT}: features go from 0 to 1, and beyond that one alone decides"
            ));
        }
    }
}

fn tiers(tiers: &[Tier], problems: &mut Vec<String>) {
    if tiers.is_empty() {
        problems.push("tiers: there is none; add a [[tiers]] table".to_owned());
        return;
    }
    let mut seen = BTreeSet::new();
    for tier in tiers {
        let name = &tier.name;
        let mut problem = |text: String| problems.push(format!("tiers.{name}: {text}"));
        if !is_valid_name(name) {
            problem("the name must be 1 to 64 of a-z, 0-9, - and _: it becomes the topic `work.<name>`".to_owned());
        }
        if !seen.insert(name) {
            problem("is listed twice; give each tier its own name".to_owned());
        }
        if !(0.0..=1.0).contains(&tier.share) {
            problem(format!("share {} is not between 0 and 1", tier.share));
        }
        if tier.strength.is_some_and(|strength| !(0.0..=1.0).contains(&strength)) {
            problem("strength is a share of documents; give a number from 0 to 1, or leave it out".to_owned());
        }
        if tier.tokens_per_minute == Some(0) {
            problem("tokens_per_minute is 0; set share = 0 for a tier that only takes escalations".to_owned());
        }
        if tier.tokens_per_minute.is_some() && seen.len() == 1 {
            problem(
                "tokens_per_minute has no effect on the first tier: what fits nowhere else goes there; remove it"
                    .to_owned(),
            );
        }
        let shares = tier
            .rollout
            .iter()
            .flat_map(|rollout| rollout.types.values().chain(rollout.tenants.values()).chain([&rollout.share]));
        if !shares.into_iter().all(|share| (0.0..=1.0).contains(share)) {
            problem("rollout: every share must be a number from 0 to 1; 0.05 is 5 %".to_owned());
        }
        if tier.residency.is_empty() || tier.tenants.is_empty() {
            problem(
                "residency and tenants must not be empty; use [\"*\"] for all, or enabled = false for none".to_owned(),
            );
        }
        adapters::lint(tier, &mut problem);
        match (tier.kind, tier.max_paid_requests) {
            (kind @ (TierKind::Gpu | TierKind::Extract), Some(_)) => problem(format!(
                "max_paid_requests has no effect on a tier of kind {}, which no provider bills; remove it",
                kind.as_str()
            )),
            (TierKind::Api, Some(max)) if !(1..=MAX_PAID_REQUESTS).contains(&max) => {
                problem(format!(
                    "max_paid_requests {max} is not between 1 and {MAX_PAID_REQUESTS}; each may be billed"
                ));
            }
            _ => {}
        }
        match tier.kind {
            TierKind::Gpu => {
                if tier.provider.is_some() {
                    problem("a tier of kind gpu has no provider; remove it, or set kind = \"api\"".to_owned());
                }
            }
            TierKind::Api => api_tier(tier, &mut problem),
            TierKind::Extract => {
                if tier.provider.is_some() || tier.model.is_some() {
                    problem("a tier of kind extract asks no model; remove provider and model".to_owned());
                }
            }
        }
    }
    if tiers.iter().filter(|tier| tier.kind == TierKind::Extract).count() > 1 {
        problems.push("tiers: there is more than one of kind extract; each would give the same, keep one".to_owned());
    }
    let total: f64 = tiers.iter().map(|tier| tier.share).sum();
    if (total - 1.0).abs() > SHARE_TOLERANCE {
        problems.push(format!("tiers: shares add up to {total}; they must add up to 1"));
    }
}

fn api_tier(tier: &Tier, problem: &mut impl FnMut(String)) {
    if tier.max_sensitivity == SensitivityName::Restricted {
        problem(
            "a tier of kind api may not see restricted documents; set max_sensitivity to confidential or less"
                .to_owned(),
        );
    }
    match tier.provider.as_deref() {
        Some(provider) if PROVIDERS.contains(&provider) => {}
        Some(provider) => problem(format!("provider {provider:?} is not known; known: {}", PROVIDERS.join(", "))),
        None => problem(format!("a tier of kind api needs a provider; known: {}", PROVIDERS.join(", "))),
    }
    if tier.model.as_deref().is_none_or(|model| model.trim().is_empty()) {
        problem("a tier of kind api needs the provider's name of a model".to_owned());
    }
    if tier.model.as_ref().is_some_and(|model| model.len() > MAX_MODEL_BYTES) {
        problem(format!("the model's name has more than {MAX_MODEL_BYTES} bytes; the provider has no such model"));
    }
}

pub(crate) fn is_valid_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests;
