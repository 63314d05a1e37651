//! Between text and tokens.

pub(crate) mod chunk;
pub(crate) mod detokenise;
pub(crate) mod gguf_bpe;
pub(crate) mod reasoning;
mod sentencepiece;
pub(crate) mod template;
mod words;

/// What [`gguf_bpe::Tokenizer`] can be built from.
const KNOWN: &str = "llama, and gpt2 with pre `gpt-2`, `smollm`, `llama-bpe`, `smaug-bpe`, `qwen2` or `tekken`";
