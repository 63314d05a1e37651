//! Helpers that tests of several modules share: a tiny vocabulary, a tiny model, and the real one.
#![allow(clippy::unwrap_used)]

pub(crate) mod adapters;
pub(crate) mod families;
pub(crate) mod golden;
mod quality;
pub(crate) mod quantised;
pub(crate) mod qwen;
pub(crate) mod tiny;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, Value, VersionedMagic};

use crate::gguf;
use crate::model::weights::GgufFile;
use crate::models::{self, Manifest, ModelEntry, Source};
use crate::text::gguf_bpe::Tokenizer;
use crate::text::template::Template;

pub(crate) const END_OF_TEXT: u32 = 262;
pub(crate) const START: u32 = 260;
pub(crate) const END: u32 = 261;

/// An entry for a model's file.
pub(crate) fn entry(path: &Path, sha256: &str, context: usize) -> ModelEntry {
    ModelEntry {
        file: path.file_name().unwrap().to_str().unwrap().to_owned(),
        sha256: sha256.to_owned(),
        bytes: None,
        context,
        window: None,
        sources: vec![Source::File { path: path.to_path_buf() }],
        ..Manifest::builtin().models.remove(0)
    }
}

/// Metadata of a model whose vocabulary is the 256 bytes, four merges and three control tokens.
pub(crate) fn vocabulary(kind: &str, pre: &str) -> Content {
    let visible = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut hidden = 0x100..;
    let mut letter =
        |byte: u8| if visible(byte) { char::from(byte) } else { char::from_u32(hidden.next().unwrap()).unwrap() };
    let mut tokens: Vec<String> = (0..=255).map(|byte| letter(byte).to_string()).collect();
    tokens.extend(["th", "the", "Ġthe", "12", "<|im_start|>", "<|im_end|>", "<|endoftext|>"].map(str::to_owned));
    let types = (0..tokens.len()).map(|id| Value::I32(if id < 260 { 1 } else { 3 })).collect();
    let strings = |items: Vec<String>| Value::Array(items.into_iter().map(Value::String).collect());
    let merges = ["t h", "th e", "Ġ the", "1 2"].map(str::to_owned).to_vec();
    let metadata = HashMap::from([
        ("tokenizer.ggml.model".to_owned(), Value::String(kind.to_owned())),
        ("tokenizer.ggml.pre".to_owned(), Value::String(pre.to_owned())),
        ("tokenizer.ggml.tokens".to_owned(), strings(tokens)),
        ("tokenizer.ggml.merges".to_owned(), strings(merges)),
        ("tokenizer.ggml.token_type".to_owned(), Value::Array(types)),
        ("tokenizer.ggml.bos_token_id".to_owned(), Value::U32(START)),
        ("tokenizer.ggml.eos_token_id".to_owned(), Value::U32(END)),
    ]);
    Content { magic: VersionedMagic::GgufV3, metadata, tensor_infos: HashMap::new(), tensor_data_offset: 0 }
}

/// The same with the shape of a small decoder.
pub(crate) fn shaped() -> Content {
    let mut content = vocabulary("gpt2", "smollm");
    let metadata = &mut content.metadata;
    metadata.insert("general.architecture".into(), Value::String("llama".into()));
    for (key, value) in [
        ("block_count", 2),
        ("embedding_length", 32),
        ("feed_forward_length", 48),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
        ("context_length", 128),
    ] {
        metadata.insert(format!("llama.{key}"), Value::U32(value));
    }
    metadata.insert("llama.attention.layer_norm_rms_epsilon".into(), Value::F32(1e-5));
    content
}

/// A tokenizer with that vocabulary.
pub(crate) fn tokenizer(pre: &str) -> Tokenizer {
    Tokenizer::from_gguf(&vocabulary("gpt2", pre)).unwrap()
}

/// The default model, fetched if need be.
pub(crate) fn real_model() -> (ModelEntry, PathBuf) {
    let entry = Manifest::builtin().find(models::DEFAULT_MODEL).unwrap().clone();
    let path = models::pull(&entry, &models::default_dir(), &mut |_| {}).unwrap();
    (entry, path)
}

/// The open file of the default model.
pub(crate) fn real_file() -> GgufFile {
    let (entry, path) = real_model();
    GgufFile::open(&entry, &path).unwrap()
}

/// Tokenizer and template of the default model.
pub(crate) fn real_text() -> (Tokenizer, Template) {
    let file = real_file();
    let tokenizer = Tokenizer::from_gguf(&file.content).unwrap();
    let template = Template::new(gguf::string(&file.content, "tokenizer.chat_template").unwrap(), &tokenizer).unwrap();
    (tokenizer, template)
}
