//! The shape of a model, read from a GGUF file's metadata.

mod family;

use candle_core::quantized::gguf_file::Content;

use crate::error::EngineError;
use crate::gguf;
use family::Family;

/// Largest number of a shape, the context excepted: products of such numbers stay far below 64
/// bits. Llama 3 405B has a width of 16,384 and 53,248 inside.
const MAX_DIMENSION: usize = 1 << 20;
/// Most layers of a decoder; no known one has as many.
const MAX_LAYERS: usize = 1 << 10;

/// What a layer may have of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerShape {
    /// Keys that a token sees, its own the last of them; all where there is none.
    pub(crate) window: Option<usize>,
    /// Whether queries and keys are rotated by their positions.
    pub(crate) rotated: bool,
}

/// The numbers that describe a decoder. All that differs between the families is here, as data.
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
    /// Divisors of the rotary frequencies, one for each pair of a head; empty where there are none.
    /// They are in tensors, so whoever loads the weights reads them.
    pub(crate) rope_divisors: Vec<f32>,
    /// Factor of cosines and sines.
    pub(crate) rope_scale: f64,
    /// Positions up to which the divisors for short contexts hold, where the model has two kinds.
    pub(crate) rope_short_context: Option<usize>,
    /// Whether the numbers that rotate together are half a head apart in the file.
    pub(crate) split_pairs: bool,
    /// Whether query and key heads are normed.
    pub(crate) head_norms: bool,
    /// What each layer has of its own.
    pub(crate) layer_shapes: Vec<LayerShape>,
    /// Positions that the model was trained on.
    pub(crate) context: usize,
}

impl ModelConfig {
    /// Reads the shape, and refuses a model that this decoder would silently compute wrongly.
    pub(crate) fn from_gguf(content: &Content) -> Result<Self, EngineError> {
        let family = Family::of(content)?;
        let unsupported =
            |what: &str| EngineError::UnsupportedArchitecture { architecture: format!("{} with {what}", family.name) };
        let key = |key: &str| format!("{}.{key}", family.name);
        let number = |name: &str| gguf::number(content, &key(name)).map(|number| number as usize);
        let width = number("embedding_length")?;
        let heads = number("attention.head_count")?;
        let kv_heads = number("attention.head_count_kv").unwrap_or(heads);
        if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(gguf::broken(&format!("{heads} query heads cannot share {kv_heads} key-value heads")));
        }
        let head_dim = number("attention.key_length").unwrap_or(width / heads);
        if number("rope.dimension_count").is_ok_and(|turned| turned != head_dim) {
            return Err(unsupported("partly rotated heads"));
        }
        if number("attention.value_length").is_ok_and(|values| values != head_dim) {
            return Err(unsupported("values of another size than keys"));
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
        let above_0 = |name: &str, default: f64| match gguf::float(content, &key(name)).unwrap_or(default) {
            number if number.is_finite() && number > 0.0 => Ok(number),
            number => Err(gguf::broken(&format!("`{}` is {number}: it must be above 0", key(name)))),
        };
        Ok(Self {
            layers,
            width,
            inner,
            heads,
            kv_heads,
            head_dim,
            vocabulary: gguf::strings(content, "tokenizer.ggml.tokens")?.len(),
            norm_epsilon: gguf::float(content, &key("attention.layer_norm_rms_epsilon"))?,
            rope_base: above_0("rope.freq_base", 10_000.0)?,
            rope_divisors: Vec::new(),
            rope_scale: above_0("rope.scaling.attn_factor", 1.0)?,
            rope_short_context: if family.long_rope {
                number("rope.scaling.original_context_length").ok()
            } else {
                None
            },
            split_pairs: family.split_pairs,
            head_norms: family.head_norms,
            layer_shapes: layer_shapes(content, family, layers)?,
            context: number("context_length")?,
        })
    }

    /// For each number of `heads` heads in the order in which the decoder rotates them, side by
    /// side, its place in the file; `None` where the file has them so. Rows of weights, biases and
    /// gains are all moved by it.
    pub(crate) fn rotary_order(&self, heads: usize) -> Option<Vec<usize>> {
        let half = self.head_dim / 2;
        let place = |at: usize| at / self.head_dim * self.head_dim + at % 2 * half + at % self.head_dim / 2;
        self.split_pairs.then(|| (0..heads * self.head_dim).map(place).collect())
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

/// What each layer has of its own.
fn layer_shapes(content: &Content, family: Family, layers: usize) -> Result<Vec<LayerShape>, EngineError> {
    let window = gguf::number(content, &format!("{}.attention.sliding_window", family.name)).unwrap_or(0) as usize;
    let pattern = format!("{}.attention.sliding_window_pattern", family.name);
    let windowed = if content.metadata.contains_key(&pattern) {
        let windowed = gguf::booleans(content, &pattern)?;
        if windowed.len() != layers {
            return Err(gguf::broken(&format!("`{pattern}` has {} layers of {layers}", windowed.len())));
        }
        windowed
    } else {
        vec![true; layers]
    };
    let shape = |(layer, windowed): (usize, bool)| LayerShape {
        window: (windowed && window > 0).then_some(window),
        rotated: family.unrotated_every.is_none_or(|every| !(layer + 1).is_multiple_of(every)),
    };
    Ok(windowed.into_iter().enumerate().map(shape).collect())
}

#[cfg(test)]
mod tests;
