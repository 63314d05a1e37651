//! Between text and tokens.

pub(crate) mod chunk;
pub(crate) mod detokenise;
pub(crate) mod gguf_bpe;
pub(crate) mod reasoning;
pub(crate) mod template;
