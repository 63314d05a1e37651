//! What is left of a provider's limits, as its answers say.

use reqwest::header::HeaderMap;

/// What is left of the limits of one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remaining {
    /// Requests.
    pub requests: Option<u64>,
    /// Tokens.
    pub tokens: Option<u64>,
}

impl Remaining {
    /// Reads Anthropic's and OpenAI's headers; of several limits of a kind the least counts.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let least = |names: &[&str]| {
            let number = |name: &&str| headers.get(*name)?.to_str().ok()?.trim().parse().ok();
            names.iter().filter_map(number).min()
        };
        Self {
            requests: least(&["anthropic-ratelimit-requests-remaining", "x-ratelimit-remaining-requests"]),
            tokens: least(&["anthropic-ratelimit-tokens-remaining", "x-ratelimit-remaining-tokens"]),
        }
    }
}
