//! The shape of a model, from Hugging Face's `config.json`, as the metadata of a GGUF file.

use candle_core::quantized::gguf_file::Value;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::EngineError;
use crate::gguf::broken;

/// Largest number of a shape; the same bound as the engine's.
const MAX_DIMENSION: usize = 1 << 20;
/// Most layers; the same bound as the engine's.
const MAX_LAYERS: usize = 1 << 10;
/// Longest context: products with it stay far below 64 bits.
const MAX_CONTEXT: usize = 1 << 30;

/// A family of decoders that this converter knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Llama,
    /// Stored as `llama`, as llama.cpp does.
    Mistral,
    Qwen2,
    Qwen3,
}

impl Family {
    fn named(architecture: &str) -> Result<Self, EngineError> {
        Ok(match architecture {
            "LlamaForCausalLM" => Self::Llama,
            "MistralForCausalLM" => Self::Mistral,
            "Qwen2ForCausalLM" => Self::Qwen2,
            "Qwen3ForCausalLM" => Self::Qwen3,
            other => {
                return Err(EngineError::UnsupportedArchitecture {
                    architecture: format!(
                        "{other} (converted are LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM and \
                         Qwen3ForCausalLM)"
                    ),
                });
            }
        })
    }

    /// `general.architecture`.
    pub(super) fn architecture(self) -> &'static str {
        match self {
            Self::Llama | Self::Mistral => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    /// `family` of a manifest's entry.
    pub(super) fn name(self) -> &'static str {
        if self == Self::Mistral { "mistral" } else { self.architecture() }
    }
}

/// `config.json`, as far as it says what is computed.
#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "they are those of the file")]
struct Config {
    #[serde(default)]
    architectures: Vec<String>,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    hidden_act: Option<String>,
    rope_theta: Option<f64>,
    rope_scaling: Option<Json>,
    /// Both of these in one, as transformers 5 writes them.
    rope_parameters: Option<Json>,
    sliding_window: Option<usize>,
    use_sliding_window: Option<bool>,
    tie_word_embeddings: Option<bool>,
    quantization_config: Option<Json>,
    #[serde(rename = "_name_or_path")]
    name: Option<String>,
}

/// What is said of rotary positions beside their base.
#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "they are those of the file")]
struct Rope {
    rope_type: Option<String>,
    /// The same in older files; many have both.
    #[serde(rename = "type")]
    old_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
}

/// The shape of a model of a known family.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub(super) family: Family,
    pub(super) layers: usize,
    pub(super) width: usize,
    pub(super) inner: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) vocabulary: usize,
    pub(super) context: usize,
    epsilon: f64,
    rope_base: f64,
    /// For each pair of a head, the divisor of its frequency (Llama 3.1 and later).
    pub(super) rope_factors: Option<Vec<f32>>,
    /// Positions that a token attends to, where these are fewer than all.
    window: Option<usize>,
    /// Whether the embedding is also the head, where the file says so.
    pub(super) tied: Option<bool>,
    name: Option<String>,
}

impl Shape {
    /// Reads the shape, and refuses by name what would be converted to another model.
    pub(super) fn from_config(text: &[u8]) -> Result<Self, EngineError> {
        let architecture = |config: &Json| config["architectures"][0].as_str().map(str::to_owned);
        let raw: Json = serde_json::from_slice(text).map_err(|error| broken(&error.to_string()))?;
        // The architecture first: other families name other numbers.
        let family = Family::named(&architecture(&raw).ok_or_else(|| broken("it names no architecture"))?)?;
        let config: Config = serde_json::from_value(raw).map_err(|error| broken(&error.to_string()))?;
        if config.architectures.len() != 1 {
            return Err(broken("it names more than one architecture"));
        }
        Self::checked(family, &config)
    }

    fn checked(family: Family, config: &Config) -> Result<Self, EngineError> {
        let unsupported =
            |what: &str| EngineError::UnsupportedArchitecture { architecture: format!("{} {what}", family.name()) };
        if config.quantization_config.as_ref().is_some_and(|value| !value.is_null()) {
            return Err(broken("the weights are quantised already (quantization_config): give the float model"));
        }
        if config.hidden_act.as_deref().is_some_and(|name| name != "silu") {
            return Err(unsupported("with another activation than silu"));
        }
        let (heads, width) = (config.num_attention_heads, config.hidden_size);
        let kv_heads = config.num_key_value_heads.unwrap_or(heads);
        if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(broken(&format!("{heads} query heads cannot share {kv_heads} key-value heads")));
        }
        let head_dim = config.head_dim.unwrap_or(width / heads);
        for (what, number, max) in [
            ("num_hidden_layers", config.num_hidden_layers, MAX_LAYERS),
            ("hidden_size", width, MAX_DIMENSION),
            ("intermediate_size", config.intermediate_size, MAX_DIMENSION),
            ("vocab_size", config.vocab_size, MAX_DIMENSION),
            ("values of all heads", heads.saturating_mul(head_dim), MAX_DIMENSION),
            ("max_position_embeddings", config.max_position_embeddings, MAX_CONTEXT),
        ] {
            if number == 0 || number > max {
                return Err(broken(&format!("{what} is {number}: must be 1 to {max}")));
            }
        }
        if !head_dim.is_multiple_of(2) {
            return Err(broken(&format!("a head of {head_dim} values cannot be rotated in pairs")));
        }
        let window = match (family, config.use_sliding_window, config.sliding_window) {
            (Family::Qwen2 | Family::Qwen3, Some(true), _) => {
                return Err(unsupported("with a sliding window in some of its layers"));
            }
            (Family::Mistral, _, Some(window)) if window < config.max_position_embeddings => Some(window),
            _ => None,
        };
        let (rope_base, rope_factors) = rope(config, head_dim, &unsupported)?;
        Ok(Self {
            family,
            layers: config.num_hidden_layers,
            width,
            inner: config.intermediate_size,
            heads,
            kv_heads,
            head_dim,
            vocabulary: config.vocab_size,
            context: config.max_position_embeddings,
            epsilon: config.rms_norm_eps,
            rope_base,
            rope_factors,
            window,
            tied: config.tie_word_embeddings,
            name: config.name.clone().filter(|name| !name.is_empty()),
        })
    }

    /// The metadata of a GGUF file that tells it.
    pub(super) fn metadata(&self) -> Vec<(String, Value)> {
        let architecture = self.family.architecture();
        let text = |text: &str| Value::String(text.to_owned());
        let mut metadata =
            vec![("general.architecture".to_owned(), text(architecture)), ("general.type".to_owned(), text("model"))];
        if let Some(name) = &self.name {
            metadata.push(("general.name".to_owned(), text(name)));
        }
        for (key, number) in [
            ("block_count", self.layers),
            ("context_length", self.context),
            ("embedding_length", self.width),
            ("feed_forward_length", self.inner),
            ("attention.head_count", self.heads),
            ("attention.head_count_kv", self.kv_heads),
            ("attention.key_length", self.head_dim),
            ("attention.value_length", self.head_dim),
            ("rope.dimension_count", self.head_dim),
            ("vocab_size", self.vocabulary),
        ] {
            metadata.push((format!("{architecture}.{key}"), Value::U32(number as u32)));
        }
        if let Some(window) = self.window {
            metadata.push((format!("{architecture}.attention.sliding_window"), Value::U32(window as u32)));
        }
        metadata.push((format!("{architecture}.rope.freq_base"), Value::F32(self.rope_base as f32)));
        metadata.push((format!("{architecture}.attention.layer_norm_rms_epsilon"), Value::F32(self.epsilon as f32)));
        metadata
    }
}

/// The base of the rotary frequencies, and their divisors.
fn rope(
    config: &Config,
    head_dim: usize,
    unsupported: &dyn Fn(&str) -> EngineError,
) -> Result<(f64, Option<Vec<f32>>), EngineError> {
    let given = [&config.rope_parameters, &config.rope_scaling];
    let given = given
        .into_iter()
        .flatten()
        .find(|value| !value.is_null())
        .cloned()
        .unwrap_or_else(|| Json::Object(serde_json::Map::new()));
    let rope: Rope =
        serde_json::from_value(given).map_err(|error| broken(&format!("what it says of rotary positions: {error}")))?;
    let base = rope.rope_theta.or(config.rope_theta).unwrap_or(10_000.0);
    if !(base.is_finite() && base >= 1.0) {
        return Err(broken(&format!("rope_theta is {base}")));
    }
    let factors = match rope.rope_type.as_deref().or(rope.old_type.as_deref()) {
        None | Some("default") => None,
        Some("llama3") => Some(llama3_factors(&rope, base, head_dim, config)?),
        Some(other) => return Err(unsupported(&format!("with `{other}` rotary positions"))),
    };
    Ok((base, factors))
}

/// The divisors of Llama 3.1: high frequencies stay, low ones are slowed by `factor`, and those
/// between are blended. The formula is that of transformers' `modeling_rope_utils`.
fn llama3_factors(rope: &Rope, base: f64, head_dim: usize, config: &Config) -> Result<Vec<f32>, EngineError> {
    let factor = rope.factor.unwrap_or(8.0);
    let low = rope.low_freq_factor.unwrap_or(1.0);
    let high = rope.high_freq_factor.unwrap_or(4.0);
    let old_context = rope.original_max_position_embeddings.unwrap_or(8192.0);
    let sound = [factor, low, high, old_context].iter().all(|number| number.is_finite() && *number > 0.0);
    if !sound || high <= low || old_context > config.max_position_embeddings as f64 {
        return Err(broken("the numbers of its llama3 rotary positions make no sense"));
    }
    let divisor = |pair: usize| {
        let wavelength = std::f64::consts::TAU * base.powf(2.0 * pair as f64 / head_dim as f64);
        if wavelength < old_context / high {
            return 1.0;
        }
        if wavelength > old_context / low {
            return factor;
        }
        let smooth = (old_context / wavelength - low) / (high - low);
        1.0 / ((1.0 - smooth) / factor + smooth)
    };
    Ok((0..head_dim / 2).map(|pair| divisor(pair) as f32).collect())
}

#[cfg(test)]
mod tests;
