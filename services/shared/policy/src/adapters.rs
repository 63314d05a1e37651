//! Which adapter of its model a tier uses for a document.
//!
//! The rules of a tier are read in order, and the first that names the document's tenant and type
//! holds. A document that no rule names is answered by the model itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gate::DocumentFacts;
use crate::policy::{Policy, Tier, TierKind};

/// Longest name of an adapter, bytes: every answer has it, with a digest.
const MAX_NAME_BYTES: usize = 128;

/// Documents that are answered with an adapter (`LoRA`) of the tier's model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdapterRule {
    /// The adapter's name, as it was registered on the machines of the tier's workers. One that a
    /// worker does not have, or cannot use, refuses the document.
    pub adapter: String,
    /// The tenants whose documents it is for; `*` for all.
    #[serde(default = "all")]
    pub tenants: Vec<String>,
    /// The document types that it is for; `*` for all.
    #[serde(default = "all")]
    pub types: Vec<String>,
}

impl AdapterRule {
    fn names(&self, facts: &DocumentFacts) -> bool {
        let lists = |list: &[String], value: &str| list.iter().any(|entry| entry == "*" || entry == value);
        lists(&self.tenants, &facts.tenant) && lists(&self.types, &facts.document_type)
    }
}

impl Policy {
    /// Name of the adapter that this tier uses for a document; `None`: its model alone.
    pub fn adapter(&self, tier: &str, facts: &DocumentFacts) -> Option<&str> {
        let rules = &self.tier(tier)?.adapters;
        rules.iter().find(|rule| rule.names(facts)).map(|rule| rule.adapter.as_str())
    }
}

/// What is wrong with a tier's rules.
pub(crate) fn lint(tier: &Tier, problem: &mut impl FnMut(String)) {
    if tier.kind == TierKind::Api && !tier.adapters.is_empty() {
        problem(
            "adapters have no effect on a tier of kind api; name the adapted model as its model instead".to_owned(),
        );
    }
    for (at, rule) in tier.adapters.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let name = &rule.adapter;
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.starts_with('.') || !name.bytes().all(plain) {
            problem(format!(
                "adapters: {name:?} is no adapter's name; use the name that it was registered with, letters, digits, `.`, `_` and `-`"
            ));
        }
        if rule.tenants.is_empty() || rule.types.is_empty() {
            problem(format!("adapters: the rule for {name} names no document; use [\"*\"] for all tenants or types"));
        }
        let widens = |list: &[String]| list.iter().any(|entry| entry == "*");
        if widens(&rule.tenants) && widens(&rule.types) && at + 1 < tier.adapters.len() {
            problem(format!(
                "adapters: the rules after that for {name} have no effect, since it is for every document"
            ));
        }
    }
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

#[cfg(test)]
mod tests;
