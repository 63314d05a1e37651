//! What the backends without a model share; the chaos build alone has such backends.

use precis_pipeline::prompt::Prompt;
use precis_pipeline::{BUILT_IN_PROVIDER, Generated};
use precis_schemas::{ModelIdentity, Usd};

/// The model identity under which the answers of such a backend are stored.
pub(crate) fn identity(name: &str, prompt: &Prompt) -> ModelIdentity {
    ModelIdentity {
        provider: BUILT_IN_PROVIDER.to_owned(),
        name: name.to_owned(),
        revision: "chaos".to_owned(),
        quantisation: "none".to_owned(),
        adapter: None,
        prompt_digest: prompt.digest.clone(),
    }
}

/// A free answer of one chunk; `tokens` counts the tokens of the text read and of the text written.
pub(crate) fn generated(read: &str, written: String, finish_reason: &str, tokens: impl Fn(&str) -> usize) -> Generated {
    let tokens = |text: &str| i64::try_from(tokens(text)).unwrap_or(i64::MAX);
    Generated {
        input_tokens: tokens(read),
        output_tokens: tokens(&written),
        text: written,
        finish_reason: finish_reason.to_owned(),
        logprob: None,
        cached_input_tokens: 0,
        chunks: 1,
        cut_chunks: 0,
        cost: Usd::ZERO,
        price_digest: None,
    }
}
