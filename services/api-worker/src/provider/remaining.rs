//! The rest of a provider's limits, by the headers of its answers.

use reqwest::header::HeaderMap;

/// The rest of the limits of one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remaining {
    /// Requests that are left.
    pub requests: Option<u64>,
    /// Tokens that are left.
    pub tokens: Option<u64>,
}

impl Remaining {
    /// Reads Anthropic's and OpenAI's headers. Of several limits of a kind the lowest counts.
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
