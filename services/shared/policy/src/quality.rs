//! How the checks and scores of a summary make its quality index: `[quality]` of the policy.

use std::collections::BTreeMap;

use precis_quality::IndexWeights;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::Policy;

/// Largest weight of a part. Only ratios count, so more says nothing that less cannot.
const MAX_WEIGHT: f64 = 100.0;

/// The weights of the quality index.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quality {
    /// For every document whose type is not in `types`.
    pub default: IndexWeights,
    /// By document type. A weight that is left out there has the built-in default.
    pub types: BTreeMap<String, IndexWeights>,
}

impl Policy {
    /// The weights of the quality index for documents of this type.
    pub fn index_weights(&self, document_type: &str) -> &IndexWeights {
        self.quality.types.get(document_type).unwrap_or(&self.quality.default)
    }

    /// The type as a label of metrics: itself where the policy names it anywhere, `other` where it
    /// does not, `none` for a document without a type. So publishers cannot make new labels.
    pub fn type_label<'a>(&self, document_type: &'a str) -> &'a str {
        let in_tiers = || {
            self.tiers.iter().any(|tier| {
                tier.rollout.as_ref().is_some_and(|rollout| rollout.types.contains_key(document_type))
                    || tier.adapters.iter().any(|rule| rule.types.iter().any(|named| named == document_type))
            })
        };
        if document_type.is_empty() {
            "none"
        } else if self.checks.types.contains_key(document_type)
            || self.quality.types.contains_key(document_type)
            || self.decoding.types.contains_key(document_type)
            || self.score.types.contains_key(document_type)
            || self.evaluation.rates.iter().any(|rate| rate.document_type.as_deref() == Some(document_type))
            || in_tiers()
        {
            document_type
        } else {
            "other"
        }
    }
}

/// What is wrong with the weights.
pub(crate) fn lint(quality: &Quality, problems: &mut Vec<String>) {
    let own = quality.types.iter().map(|(name, weights)| (format!("quality.types.{name}"), weights));
    for (at, weights) in std::iter::once(("quality.default".to_owned(), &quality.default)).chain(own) {
        let weights = weights.by_name();
        for (name, weight) in weights.iter().filter(|(_, weight)| !(0.0..=MAX_WEIGHT).contains(weight)) {
            problems
                .push(format!("{at}.{name}: {weight} is not between 0 and {MAX_WEIGHT}; only ratios of weights count"));
        }
        if weights.iter().all(|(_, weight)| *weight == 0.0) {
            problems
                .push(format!("{at}: every weight is 0, so there is no index; leave the table out for the defaults"));
        }
    }
}

#[cfg(test)]
mod tests;
