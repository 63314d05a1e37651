//! How self-hosted models decode, by document type, and whether they try twice.
//!
//! What a rule leaves out is as the worker's own settings have it (`[gpu_worker.engine]`). Tiers of
//! kind `api` have no such rules, and so no second try: their providers decode as they do.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::Policy;

/// Fewest tokens of a phrase that may be refused, as the engine has it.
const MIN_NO_REPEAT_TOKENS: u32 = 3;

/// How self-hosted models decode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Decoding {
    /// For every document whose type is not in `types`.
    pub default: TypeDecoding,
    /// By document type.
    pub types: BTreeMap<String, TypeDecoding>,
}

/// How documents of one type are decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TypeDecoding {
    /// Whether a summary may hold only the numbers of its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers_from_source: Option<bool>,
    /// Whether a summary may write a word with a capital inside a sentence only if its text has
    /// that word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names_from_source: Option<bool>,
    /// Tokens of a phrase that a summary may not write a second time: 0 (it may) or at least 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_repeat_tokens: Option<u32>,
    /// The rules of a second try, where the first answer fails its checks; what they leave out is
    /// as in the first. Without it there is one try. The better answer of the two counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_try: Option<DecodingRules>,
}

/// The rules of decoding for one answer; `None` leaves the worker's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DecodingRules {
    /// Whether the answer may hold only the numbers of its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers_from_source: Option<bool>,
    /// Whether the answer may write a word with a capital inside a sentence only if its text has
    /// that word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names_from_source: Option<bool>,
    /// Tokens of a phrase that the answer may not write a second time: 0 (it may) or at least 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_repeat_tokens: Option<u32>,
}

impl TypeDecoding {
    /// The rules of the first try.
    pub fn first(&self) -> DecodingRules {
        DecodingRules {
            numbers_from_source: self.numbers_from_source,
            names_from_source: self.names_from_source,
            no_repeat_tokens: self.no_repeat_tokens,
        }
    }

    /// The rules of the second try, if there is one.
    pub fn second(&self) -> Option<DecodingRules> {
        let (first, second) = (self.first(), self.second_try?);
        Some(DecodingRules {
            numbers_from_source: second.numbers_from_source.or(first.numbers_from_source),
            names_from_source: second.names_from_source.or(first.names_from_source),
            no_repeat_tokens: second.no_repeat_tokens.or(first.no_repeat_tokens),
        })
    }
}

impl Policy {
    /// How answers to documents of this type are decoded.
    pub fn decoding(&self, document_type: &str) -> &TypeDecoding {
        self.decoding.types.get(document_type).unwrap_or(&self.decoding.default)
    }
}

/// What is wrong with the rules.
pub(crate) fn lint(decoding: &Decoding, problem: &mut impl FnMut(String)) {
    let named = decoding.types.iter().map(|(name, rules)| (format!("types.{name}"), rules));
    for (name, rules) in named.chain([("default".to_owned(), &decoding.default)]) {
        let second = rules.second();
        for tokens in [rules.no_repeat_tokens, second.and_then(|rules| rules.no_repeat_tokens)].into_iter().flatten() {
            if (1..MIN_NO_REPEAT_TOKENS).contains(&tokens) {
                problem(format!(
                    "decoding.{name}: no_repeat_tokens {tokens} would refuse ordinary turns of phrase; use 0 for no rule, or at least {MIN_NO_REPEAT_TOKENS}"
                ));
            }
        }
        if second == Some(rules.first()) {
            problem(format!(
                "decoding.{name}: the second try has the rules of the first, so it would give the same answer; change one or remove second_try"
            ));
        }
    }
}

#[cfg(test)]
mod tests;
