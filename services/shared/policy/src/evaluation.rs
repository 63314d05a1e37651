//! Which summaries an evaluator model judges, and which model does: `[evaluation]` of the policy.
//!
//! A summary is chosen by a hash of its document's identity, so a redelivery and a later replay
//! choose the same. The probability of the choice is known and travels with it: without it no
//! estimate over all summaries can be made of those that were judged. A second opinion is chosen by
//! another hash.

use precis_schemas::{EvaluationRequest, Outcome, Status};
use precis_statistics::sampling::{Place, Rate, Sampler};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gate::Eligibility;
use crate::policy::{Policy, Tier, TierKind};

/// Provider of the built-in engine's answers.
pub const BUILT_IN_PROVIDER: &str = "precis";

/// Names what the first choice is for; another name chooses other documents.
const FIRST_SALT: &str = "evaluation 1";
/// The same for second opinions.
const SECOND_SALT: &str = "evaluation 2";

/// Which summaries are judged, and by which tiers' models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluation {
    /// The tiers whose models judge, in order of preference. Of those that a document may go to,
    /// one of another provider than the summary's comes first, then one with another model. Empty:
    /// nothing is judged.
    pub judges: Vec<String>,
    /// The share of summaries that is judged, 0 to 1.
    pub rate: f64,
    /// Shares for some summaries, in place of `rate`: the first that names a summary holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<EvaluationRate>,
    /// A summary whose quality index is below this number, 0 to 1, and one that is flagged, is
    /// judged at `uncertain_rate` where that is the larger share: its quality is least certain.
    pub uncertain_below: f64,
    /// The share of such summaries that is judged, 0 to 1.
    pub uncertain_rate: f64,
    /// Of the summaries that are judged, the share that is judged a second time, 0 to 1: it shows
    /// how far a judge agrees with itself.
    pub second_opinions: f64,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            judges: Vec::new(),
            rate: 0.1,
            rates: Vec::new(),
            uncertain_below: 0.7,
            uncertain_rate: 0.3,
            second_opinions: 0.05,
        }
    }
}

/// The share of some summaries that is judged. What is left out fits every summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluationRate {
    /// The tier whose answer the summary is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The model that wrote it, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// SHA-256 (hex) of the prompt that it was written with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The document's type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub document_type: Option<String>,
    /// The summary's language, as outcomes have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether the summary feeds a critical decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<bool>,
    /// The share, 0 to 1.
    pub rate: f64,
}

impl EvaluationRate {
    fn names(&self, outcome: &Outcome) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| Some(wanted.as_str()) == value)
        };
        let model = outcome.model.as_ref();
        is(&self.tier, outcome.tier.as_deref())
            && is(&self.model, model.map(|model| model.name.as_str()))
            && is(&self.prompt, model.map(|model| model.prompt_digest.as_str()))
            && is(&self.document_type, Some(&outcome.document_type))
            && is(&self.language, outcome.language.as_deref())
            && self.critical.is_none_or(|critical| critical == outcome.critical)
    }
}

/// Where a document lies among all, before anything is known of its summary.
#[derive(Debug, Clone, Copy)]
pub struct EvaluationPlace {
    first: Place,
    second: Place,
}

/// Where a document lies among those that are judged: those of the lowest places are judged twice.
pub fn second_opinion_place(tenant: &str, document_id: &str, revision: i64) -> Place {
    Sampler::new(SECOND_SALT).place(&[tenant, document_id, &revision.to_string()])
}

impl Policy {
    /// Where a document lies; `None` where no summary of it would be judged, whatever it is.
    pub fn evaluation_place(&self, tenant: &str, document_id: &str, revision: i64) -> Option<EvaluationPlace> {
        let evaluation = &self.evaluation;
        if evaluation.judges.is_empty() {
            return None;
        }
        let first = Sampler::new(FIRST_SALT).place(&[tenant, document_id, &revision.to_string()]);
        let rates = evaluation.rates.iter().map(|rate| rate.rate);
        let largest = rates.fold(evaluation.rate.max(evaluation.uncertain_rate), f64::max);
        first
            .is_in(rate(largest))
            .then(|| EvaluationPlace { first, second: second_opinion_place(tenant, document_id, revision) })
    }

    /// What is to be judged of an outcome whose document lies there: nothing, once, or twice.
    pub fn evaluation_requests(&self, place: EvaluationPlace, outcome: &Outcome) -> Vec<EvaluationRequest> {
        let probability = self.evaluation_rate(outcome);
        let second = rate(self.evaluation.second_opinions);
        let (provider, model) = match &outcome.model {
            Some(model) => (model.provider.clone(), model.name.clone()),
            None => Default::default(),
        };
        let request = |round, probability| EvaluationRequest {
            round,
            probability,
            provider: provider.clone(),
            model: model.clone(),
        };
        if outcome.summary.is_none() || !place.first.is_in(rate(probability)) {
            return Vec::new();
        }
        let mut requests = vec![request(1, probability)];
        if place.second.is_in(second) {
            requests.push(request(2, probability * second.value()));
        }
        requests
    }

    /// The share of such summaries that is judged.
    fn evaluation_rate(&self, outcome: &Outcome) -> f64 {
        let evaluation = &self.evaluation;
        let usual = evaluation.rates.iter().find(|rate| rate.names(outcome)).map_or(evaluation.rate, |rate| rate.rate);
        let below = outcome.quality_index.is_some_and(|index| index < evaluation.uncertain_below);
        if below || outcome.status == Status::Flagged { usual.max(evaluation.uncertain_rate) } else { usual }
    }

    /// The tier that judges next, of those that the gate allows; `None` where none is left.
    pub fn next_judge<'a>(&'a self, allowed: &Eligibility, request: &EvaluationRequest) -> Option<&'a str> {
        let tiers = self.evaluation.judges.iter().filter(|name| allowed.eligible.contains(name));
        let tiers = tiers.filter_map(|name| self.tier(name));
        tiers.min_by_key(|tier| nearness(tier, request)).map(|tier| tier.name.as_str())
    }
}

/// How near a judge is to the model that wrote the summary: 0 of another provider, 1 another model,
/// 2 perhaps the same.
fn nearness(tier: &Tier, request: &EvaluationRequest) -> u8 {
    let provider = tier.provider.as_deref().unwrap_or(BUILT_IN_PROVIDER);
    if provider != request.provider {
        return 0;
    }
    if tier.model.as_deref().is_some_and(|model| model != request.model) { 1 } else { 2 }
}

/// The parser has seen that it is one.
fn rate(share: f64) -> Rate {
    Rate::new(share).unwrap_or(Rate::NONE)
}

/// What is wrong with the section, and with the tiers that only judge.
pub(crate) fn lint(policy: &Policy, problems: &mut Vec<String>) {
    let evaluation = &policy.evaluation;
    for name in &evaluation.judges {
        match policy.tier(name) {
            None => problems.push(format!("evaluation.judges: there is no tier {name:?}; name a tier of this policy")),
            Some(tier) if tier.kind == TierKind::Extract => problems.push(format!(
                "evaluation.judges: {name:?} is of kind extract, which has no model to judge with; remove it"
            )),
            Some(_) => {}
        }
    }
    let rules = evaluation.rates.iter().enumerate().map(|(at, rule)| (format!("rates[{at}].rate"), rule.rate));
    let own = [
        ("rate", evaluation.rate),
        ("uncertain_below", evaluation.uncertain_below),
        ("uncertain_rate", evaluation.uncertain_rate),
        ("second_opinions", evaluation.second_opinions),
    ];
    for (at, share) in own.map(|(name, share)| (name.to_owned(), share)).into_iter().chain(rules) {
        if !(0.0..=1.0).contains(&share) {
            problems.push(format!("evaluation.{at}: {share} is not between 0 and 1; 0.1 is 10 %"));
        }
    }
    for (at, rule) in evaluation.rates.iter().enumerate() {
        if rule.tier.as_ref().is_some_and(|tier| policy.tier(tier).is_none()) {
            problems.push(format!("evaluation.rates[{at}].tier: there is no such tier; name a tier of this policy"));
        }
    }
    for tier in policy.tiers.iter().filter(|tier| tier.evaluations_only) {
        let name = &tier.name;
        if tier.share > 0.0 {
            problems.push(format!(
                "tiers.{name}: evaluations_only takes no documents, and share is {}; set share = 0",
                tier.share
            ));
        }
        if !evaluation.judges.contains(name) {
            problems.push(format!(
                "tiers.{name}: evaluations_only, and evaluation.judges does not name it, so it gets nothing; add it there"
            ));
        }
    }
    if policy.tiers.iter().all(|tier| tier.evaluations_only) && !policy.tiers.is_empty() {
        problems
            .push("tiers: all are evaluations_only, so no document is summarised; add one that takes them".to_owned());
    }
}

#[cfg(test)]
mod tests;
