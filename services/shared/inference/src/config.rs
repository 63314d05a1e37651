//! The engine's settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use precis_kernels::Isa;

use crate::error::EngineError;

/// Tokens of the smallest key-value pool.
pub(crate) const MIN_KV_TOKENS: usize = 64;
/// Number of the rules of decoding: a change of what they let through is a new number.
const DECODING_RULES: u32 = 1;

/// Where the model is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// The first CUDA device if the build has the feature `cuda` and one is usable, else the
    /// processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The first CUDA device, or none: the engine does not start without it. Needs a build with the
    /// feature `cuda`.
    Cuda,
}

/// Which instructions the processor's kernels use. Answers do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IsaKind {
    /// The fastest that this processor has.
    #[default]
    Auto,
    /// AVX-512 with VNNI and BF16.
    Avx512,
    /// AVX2 with FMA.
    Avx2,
    /// Plain Rust: for processors that have neither, and for comparison. Slow.
    Portable,
}

impl IsaKind {
    pub(crate) fn resolve(self) -> Isa {
        match self {
            Self::Auto => Isa::detect(),
            Self::Avx512 => Isa::Avx512,
            Self::Avx2 => Isa::Avx2,
            Self::Portable => Isa::Portable,
        }
    }
}

/// How a device keeps the weights of matrices and tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightsKind {
    /// As the model's file has them, at 4 to 8 bits each.
    #[default]
    Quantised,
    /// Dequantised to bfloat16 at start.
    Dense,
}

impl WeightsKind {
    /// The value as the settings and the answer's fingerprint write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quantised => "quantised",
            Self::Dense => "dense",
        }
    }
}

/// Settings of one engine. Memory is taken once, at start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// The device that computes the model. `auto` takes the first CUDA device if this build has the
    /// feature `cuda` and the device is usable, and else the processor, with a warning. `cpu` never
    /// looks for a CUDA device. `cuda` does not start without one.
    pub device: DeviceKind,
    /// How a CUDA device keeps the weights. `quantised` leaves them at the 4 to 8 bits of the
    /// model's file. `dense` makes bfloat16 of them at start, which takes two to four times the
    /// memory and spares the rounding of activations to 8 bits. Answers depend on it. On the
    /// processor weights are always quantised.
    pub weights: WeightsKind,
    /// Memory that the engine may take on a CUDA device, MiB; it does not start where weights,
    /// pool, work space and `adapter_bytes` need more. 0 takes what is free on the device at start.
    pub device_memory_mib: u64,
    /// Instruction set of the processor's kernels. `auto` takes the fastest that the processor has;
    /// `avx512`, `avx2` and `portable` name one, and the engine does not start where the processor
    /// has not got it. Answers do not depend on it.
    pub isa: IsaKind,
    /// Threads that the engine may keep busy. 0 takes one for each available core.
    pub threads: usize,
    /// Sequences that one step computes together, at most; at least 1. With more of them the
    /// weights are read less often for each token, and each sequence holds tokens of the key-value
    /// pool.
    pub max_sequences: usize,
    /// Tokens that one step computes, at most: first one for each sequence that decodes, then
    /// chunks of prompts. At least `max_sequences`. A large number reads prompts faster and lets
    /// running answers wait longer for their next token.
    pub step_tokens: usize,
    /// Tokens that the key-value pool holds for all running sequences together, at least 64. The
    /// memory for them is taken at start. The pool also bounds the longest sequence, prompt and
    /// answer together.
    pub kv_tokens: usize,
    /// Tokens (prompt and answer) of the requests that may wait inside the engine, at least 1.
    /// While it is full, further requests wait outside in the caller.
    pub queue_tokens: usize,
    /// Tokens of a document that are read in one request, at most, and at least 64. A longer
    /// document is cut into chunks, which are summarised by map and reduce. 0 takes the model's own
    /// number from the manifest: small models read long texts badly long before their context ends.
    pub window_tokens: usize,
    /// Divisor of the logits of tokens that the answer already has, from 1 to 2. 1 changes nothing,
    /// 1.1 is mild.
    pub repetition_penalty: f32,
    /// Bytes that the adapters of the model take together, at most. An adapter is read when a
    /// document needs it, and the one that was used longest ago makes room. One that is larger than
    /// this is refused, and so is its document. The start plans for all of it, on the processor and
    /// on a device, and fails where it does not fit. At 0 no adapter is used.
    pub adapter_bytes: u64,
    /// Whether a summary may hold only the numbers of its text, in the text's spelling or one
    /// derived from it (list markers, digits for a number in words). Numbers in words are left to
    /// the check `unsupported_numbers`.
    pub numbers_from_source: bool,
    /// Whether a summary may write a word with a capital inside a sentence only if its text has
    /// that word, in whatever case; titles, days and months are allowed. It has no effect where the
    /// text is in a language that gives every noun a capital.
    pub names_from_source: bool,
    /// Tokens of a phrase that a summary may not write a second time; 0 lets it repeat itself.
    /// Names and numbers do not count and are never broken. At least 3 where it is not 0: with few,
    /// ordinary turns of phrase are refused.
    pub no_repeat_tokens: usize,
    /// Whether a summary ends with a whole sentence: a paragraph ends only where a sentence does,
    /// the last quarter of its room ends with the sentence, and at its limit it is cut back to its
    /// last sentence if half of it is left.
    pub whole_sentences: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            device: DeviceKind::Auto,
            weights: WeightsKind::Quantised,
            device_memory_mib: 0,
            isa: IsaKind::Auto,
            threads: 0,
            max_sequences: 16,
            step_tokens: 384,
            kv_tokens: 16_384,
            queue_tokens: 65_536,
            window_tokens: 0,
            repetition_penalty: 1.0,
            adapter_bytes: 256 << 20,
            numbers_from_source: true,
            names_from_source: false,
            no_repeat_tokens: 5,
            whole_sentences: true,
        }
    }
}

impl EngineConfig {
    /// Everything that is wrong with these settings, one line each; empty when nothing is.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut demand = |holds: bool, text: String| {
            if !holds {
                problems.push(text);
            }
        };
        demand(self.max_sequences >= 1, "`max_sequences` must be at least 1".into());
        demand(
            self.step_tokens >= self.max_sequences,
            format!(
                "`step_tokens` ({}) must be at least `max_sequences` ({}), so that every sequence moves in every step",
                self.step_tokens, self.max_sequences
            ),
        );
        demand(
            self.kv_tokens >= MIN_KV_TOKENS,
            format!("`kv_tokens` ({}) must be at least {MIN_KV_TOKENS}", self.kv_tokens),
        );
        demand(self.queue_tokens >= 1, "`queue_tokens` must be at least 1".into());
        demand(
            self.window_tokens == 0 || self.window_tokens >= 64,
            format!("`window_tokens` ({}) must be 0 or at least 64", self.window_tokens),
        );
        demand(
            (1.0..=2.0).contains(&self.repetition_penalty),
            format!("`repetition_penalty` ({}) must lie between 1 and 2", self.repetition_penalty),
        );
        demand(
            self.no_repeat_tokens == 0 || self.no_repeat_tokens >= 3,
            format!("`no_repeat_tokens` ({}) must be 0 or at least 3", self.no_repeat_tokens),
        );
        problems
    }

    /// The settings that change an answer, in a stable spelling; the rules behind them have a
    /// number of their own. It is part of every answer's fingerprint. A device rounds otherwise
    /// than the processor, and by how it keeps the weights (`device_weights`; `None` on the
    /// processor).
    pub fn decoding(&self, device_weights: Option<WeightsKind>) -> String {
        let Self { window_tokens, repetition_penalty, numbers_from_source, .. } = self;
        let Self { no_repeat_tokens, whole_sentences, .. } = self;
        let names = if self.names_from_source { " names_from_source=true" } else { "" };
        let device =
            device_weights.map_or_else(String::new, |weights| format!(" device=cuda weights={}", weights.as_str()));
        format!(
            "greedy repetition_penalty={repetition_penalty} window_tokens={window_tokens} rules={DECODING_RULES} \
             numbers_from_source={numbers_from_source} no_repeat_tokens={no_repeat_tokens} \
             whole_sentences={whole_sentences}{names}{device}"
        )
    }

    pub(crate) fn checked(self) -> Result<Self, EngineError> {
        let problems = self.problems();
        if problems.is_empty() { Ok(self) } else { Err(EngineError::InvalidConfig { reason: problems.join("; ") }) }
    }

    /// Threads as a number, never 0.
    pub(crate) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }
}

#[cfg(test)]
mod tests;
