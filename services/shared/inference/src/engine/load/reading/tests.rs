#![allow(clippy::unwrap_used)]

use candle_core::Device;
use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::{self, Content, Value};

use super::*;
use crate::config::DeviceKind;
use crate::engine::Engine;
use crate::models::DEFAULT_MODEL;
use crate::request::{End, TokenRequest};
use crate::testing;

fn default_entry() -> ModelEntry {
    Manifest::builtin().find(DEFAULT_MODEL).unwrap().clone()
}

fn named(entry: &ModelEntry, rope_factors: Option<RopeFactors>, limit_tokens: usize, window_tokens: usize) -> String {
    let config = EngineConfig { window_tokens, ..EngineConfig::default() };
    Reading { entry, rope_factors, limit_tokens }.decoding(String::new(), &config)
}

/// A model that nothing beside the settings changes has the fingerprint of its settings.
#[test]
fn the_default_model_adds_nothing_to_its_settings() {
    let entry = default_entry();
    for (limit_tokens, window_tokens) in [(8192, 0), (4096, 0), (8192, 512)] {
        assert_eq!(named(&entry, None, limit_tokens, window_tokens), "");
    }
}

#[test]
fn what_an_entry_changes_is_in_the_fingerprint() {
    let entry = default_entry();
    let own = ModelEntry { window: Some(1024), ..entry.clone() };
    let none = ModelEntry { window: None, ..entry.clone() };
    let unknown = ModelEntry { name: "mine".into(), ..entry.clone() };
    assert_eq!(named(&own, None, 8192, 0), " model_window=1024");
    assert_eq!(named(&own, None, 8192, 512), "", "the setting holds");
    assert_eq!(named(&unknown, None, 8192, 0), " model_window=1536");
    // The longest sequence alone says how documents are cut.
    assert_eq!(named(&none, None, 8192, 0), " limit_tokens=8192");
    // A small pool cuts documents before the window does.
    assert_eq!(named(&entry, None, 2048, 0), " limit_tokens=2048");
    assert_eq!(named(&entry, None, 640, 512), " limit_tokens=640");
    assert_eq!(named(&entry, Some(RopeFactors::Long), 8192, 0), " rope_factors=long");
    assert_eq!(named(&entry, Some(RopeFactors::Short), 8192, 0), " rope_factors=short");
}

/// A small model with two kinds of rotary factors, in a file that an engine can start on.
fn long_rope_model(folder: &std::path::Path) -> (std::path::PathBuf, String) {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families/phi3.gguf");
    let mut reader = std::fs::File::open(source).unwrap();
    let content = Content::read(&mut reader).unwrap();
    let names: Vec<&String> = content.tensor_infos.keys().collect();
    let tensors: Vec<QTensor> =
        names.iter().map(|name| content.tensor(&mut reader, name, &Device::Cpu).unwrap()).collect();
    let tensors: Vec<(&str, &QTensor)> = names.iter().map(|name| name.as_str()).zip(&tensors).collect();
    let mut metadata = content.metadata.clone();
    let template = "{% for message in messages %}[{{ message['content'] }}]{% endfor %}";
    metadata.insert("tokenizer.chat_template".into(), Value::String(template.into()));
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let path = folder.join("phi3.gguf");
    gguf_file::write(&mut std::fs::File::create(&path).unwrap(), &metadata, &tensors).unwrap();
    let digest = precis_base::digest::sha256_hex(&std::fs::read(&path).unwrap());
    (path, digest)
}

/// An entry's context decides which rotary factors a model is computed with, and with them the bits
/// of its answers: the fingerprint tells the two apart.
#[tokio::test]
async fn the_context_of_a_long_rope_model_is_in_its_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let (path, digest) = long_rope_model(folder.path());
    let config = EngineConfig {
        device: DeviceKind::Cpu,
        kv_tokens: 64,
        window_tokens: 64,
        max_sequences: 2,
        step_tokens: 64,
        ..EngineConfig::default()
    };
    let mut found = Vec::new();
    for context in [512, 64] {
        // The pool bounds both to sequences of 64 tokens.
        let entry = testing::entry(&path, &digest, context);
        let engine = Engine::start(&entry, &path, config.clone()).unwrap();
        let request = TokenRequest {
            prompt: (1..40).collect(),
            max_new_tokens: 16,
            end: End::AtLimit,
            ..TokenRequest::default()
        };
        let answer = engine.submit_tokens(request).await.unwrap();
        found.push((engine.identity().decoding.clone(), answer.logprob_mean));
    }
    assert_ne!(found[0].1, found[1].1, "the factors change answers");
    assert!(found[0].0.contains(" rope_factors=long"), "{}", found[0].0);
    assert!(found[1].0.contains(" rope_factors=short"), "{}", found[1].0);
}
