//! The weights of a document's score: `[score]` of the policy.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Weights of the logistic score: the probability that the first tier's answer passes is
/// `1 / (1 + exp(-(bias + Σ weight · feature)))`. The defaults are judgement, not a fit: longer,
/// denser and noisier documents are harder. `tools/fit-score.py` fits them from outcomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Score {
    /// The constant term.
    pub bias: f64,
    /// Weight of each feature: `length`, `digits`, `names`, `noise`, `long_sentences`,
    /// `not_english`, each between 0 and 1. A feature that is left out of this table has weight 0.
    pub weights: BTreeMap<String, f64>,
    /// Bias and weights of a document type, in place of the general ones; a feature left out there
    /// has weight 0.
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
