//! The model families that the decoder computes, and what of a file it would compute wrongly.
//!
//! A GGUF file names its architecture and the sizes in it, but not what the name implies: which
//! numbers of a head rotate together, which layers do not rotate. That is written out here, as
//! llama.cpp has it (`llama_model_rope_type` and `src/models/`). An unknown name is refused, and so
//! is every key by which a file asks for arithmetic that the decoder does not do.

use candle_core::quantized::gguf_file::Content;

use crate::error::EngineError;
use crate::gguf;

/// What the name of an architecture implies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    /// The name in `general.architecture`, which also begins the keys.
    pub(super) name: &'static str,
    /// Whether the numbers that rotate together are half a head apart in the file. Converters move
    /// them side by side for the others.
    pub(super) split_pairs: bool,
    /// Whether query and key heads are normed.
    pub(super) head_norms: bool,
    /// One in so many layers does not rotate (`NoPE`, Kazemnejad et al. 2023).
    pub(super) unrotated_every: Option<usize>,
    /// Whether rotary frequencies have divisors for short and for long contexts.
    pub(super) long_rope: bool,
}

const PLAIN: Family =
    Family { name: "llama", split_pairs: false, head_norms: false, unrotated_every: None, long_rope: false };

/// Mistral's files say `llama`.
const FAMILIES: [Family; 5] = [
    PLAIN,
    Family { name: "qwen2", split_pairs: true, ..PLAIN },
    Family { name: "qwen3", split_pairs: true, head_norms: true, ..PLAIN },
    Family { name: "phi3", split_pairs: true, long_rope: true, ..PLAIN },
    Family { name: "smollm3", unrotated_every: Some(4), ..PLAIN },
];

/// Keys, after the family's name, by which a file asks for arithmetic that the decoder does not do.
const UNKNOWN_ARITHMETIC: [&str; 10] = [
    "attention.scale",
    "attention.clamp_kqv",
    "attention.max_alibi_bias",
    "attention.temperature_scale",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "logit_scale",
    "residual_scale",
    "embedding_scale",
    "use_parallel_residual",
];

impl Family {
    /// The family of a file, if all that the file asks for is computed.
    pub(super) fn of(content: &Content) -> Result<Self, EngineError> {
        let architecture = gguf::string(content, "general.architecture")?;
        let unsupported = |what: &str| Err(EngineError::UnsupportedArchitecture { architecture: what.to_owned() });
        let Some(family) = FAMILIES.into_iter().find(|family| family.name == architecture) else {
            return unsupported(architecture);
        };
        let key = |key: &str| format!("{architecture}.{key}");
        if gguf::number(content, &key("expert_count")).is_ok_and(|experts| experts > 0) {
            return unsupported(&format!("{architecture} with experts"));
        }
        let scaled = gguf::string(content, &key("rope.scaling.type")).unwrap_or("none");
        if scaled != "none" && !(family.long_rope && scaled == "longrope") {
            return unsupported(&format!("{architecture} with rotary positions scaled by `{scaled}`"));
        }
        if gguf::boolean(content, &key("attention.causal")).is_ok_and(|causal| !causal) {
            return unsupported(&format!("{architecture} with attention to later tokens"));
        }
        if let Some(asked) = UNKNOWN_ARITHMETIC.into_iter().find(|name| content.metadata.contains_key(&key(name))) {
            return unsupported(&format!("{architecture} with `{}`", key(asked)));
        }
        Ok(family)
    }
}
