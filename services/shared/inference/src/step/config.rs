//! The shape of a model, read from a GGUF file's metadata.

use candle_core::quantized::gguf_file::Content;

use crate::error::EngineError;
use crate::gguf;

/// Largest number of a shape, the context excepted: products of such numbers stay far below 64
/// bits. Llama 3 405B has a width of 16,384 and 53,248 inside.
const MAX_DIMENSION: usize = 1 << 20;
/// Most layers of a decoder; no known one has as many.
const MAX_LAYERS: usize = 1 << 10;

/// The numbers that describe a decoder of the Llama family.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelConfig {
    pub(crate) layers: usize,
    /// Width of the residual stream.
    pub(crate) width: usize,
    /// Width inside the feed-forward block.
    pub(crate) inner: usize,
    pub(crate) heads: usize,
    /// Heads of keys and values; each serves `heads / kv_heads` query heads.
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) vocabulary: usize,
    pub(crate) norm_epsilon: f64,
    pub(crate) rope_base: f64,
    /// Positions that the model was trained on.
    pub(crate) context: usize,
}

impl ModelConfig {
    /// Reads the shape, and refuses a model that this decoder would silently compute wrongly.
    pub(crate) fn from_gguf(content: &Content) -> Result<Self, EngineError> {
        let architecture = gguf::string(content, "general.architecture")?;
        let unsupported = |what: &str| EngineError::UnsupportedArchitecture { architecture: what.to_owned() };
        if architecture != "llama" {
            return Err(unsupported(architecture));
        }
        let number = |key: &str| gguf::number(content, &format!("llama.{key}")).map(|number| number as usize);
        if number("expert_count").is_ok_and(|experts| experts > 0) {
            return Err(unsupported("llama with experts"));
        }
        if gguf::string(content, "llama.rope.scaling.type").is_ok_and(|kind| kind != "none") {
            return Err(unsupported("llama with scaled rotary positions"));
        }
        // Llama 3.1 and later have frequencies of their own, which this decoder would silently
        // ignore.
        if content.tensor_infos.contains_key("rope_freqs.weight") {
            return Err(unsupported("llama with rescaled rotary frequencies (Llama 3.1 and later)"));
        }
        let width = number("embedding_length")?;
        let heads = number("attention.head_count")?;
        let kv_heads = number("attention.head_count_kv").unwrap_or(heads);
        if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(gguf::broken(&format!("{heads} query heads cannot share {kv_heads} key-value heads")));
        }
        let head_dim = number("attention.key_length").unwrap_or(width / heads);
        if number("rope.dimension_count").is_ok_and(|turned| turned != head_dim) {
            return Err(unsupported("llama with partly rotated heads"));
        }
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            return Err(gguf::broken(&format!("a head of {head_dim} values cannot be rotated in pairs")));
        }
        let (layers, inner) = (number("block_count")?, number("feed_forward_length")?);
        for (what, number, max) in [
            ("layers", layers, MAX_LAYERS),
            ("values a token", width, MAX_DIMENSION),
            ("values a token in the feed-forward block", inner, MAX_DIMENSION),
            ("values of all heads", heads.saturating_mul(head_dim), MAX_DIMENSION),
        ] {
            if number == 0 || number > max {
                return Err(gguf::broken(&format!("{number} {what}: must be 1 to {max}")));
            }
        }
        Ok(Self {
            layers,
            width,
            inner,
            heads,
            kv_heads,
            head_dim,
            vocabulary: gguf::strings(content, "tokenizer.ggml.tokens")?.len(),
            norm_epsilon: gguf::float(content, "llama.attention.layer_norm_rms_epsilon")?,
            rope_base: gguf::float(content, "llama.rope.freq_base").unwrap_or(10_000.0),
            context: number("context_length")?,
        })
    }

    /// Values of all key heads, or of all value heads, of one token.
    pub(crate) fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Numbers in the key-value pool for one token.
    pub(crate) fn kv_values_per_token(&self) -> usize {
        2 * self.layers * self.kv_width()
    }

    /// Numbers alive at once, at most, in a step of `tokens` rows at `context` positions: the
    /// attention scores of one tile or the feed-forward block, beside residual and attention rows,
    /// and the logits of every sequence.
    pub(crate) fn work_values(&self, tokens: usize, sequences: usize, context: usize, tile: usize) -> usize {
        let scores = 3 * self.heads * tile.min(tokens) * context + tokens * context;
        let feed_forward = tokens * 4 * self.inner;
        let rows = tokens * (4 * self.width + 3 * self.head_dim * (self.heads + 2 * self.kv_heads));
        rows + scores.max(feed_forward) + 3 * sequences * self.vocabulary
    }
}

#[cfg(test)]
mod tests;
