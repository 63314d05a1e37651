#![allow(clippy::unwrap_used)]

use candle_core::quantized::gguf_file::Value;

use super::ModelConfig;
use crate::testing;

fn read(changes: &[(&str, Value)]) -> Result<ModelConfig, crate::error::EngineError> {
    let mut content = testing::shaped();
    for (key, value) in changes {
        content.metadata.insert((*key).to_owned(), value.clone());
    }
    ModelConfig::from_gguf(&content)
}

#[test]
fn the_shape_is_read() {
    let config = read(&[]).unwrap();
    assert_eq!((config.layers, config.width, config.inner, config.heads, config.kv_heads), (2, 32, 48, 4, 2));
    assert_eq!((config.head_dim, config.kv_width(), config.kv_values_per_token()), (8, 16, 64));
    assert_eq!(config.vocabulary, 263);
}

#[test]
fn what_would_be_computed_wrongly_is_refused() {
    let text = |value: &str| Value::String(value.into());
    for (key, value) in [
        ("general.architecture", text("qwen2")),
        ("llama.rope.scaling.type", text("yarn")),
        ("llama.expert_count", Value::U32(8)),
        ("llama.rope.dimension_count", Value::U32(4)),
    ] {
        assert_eq!(read(&[(key, value)]).unwrap_err().code(), "unsupported_architecture", "{key}");
    }
}

#[test]
fn heads_that_do_not_add_up_are_a_bad_model() {
    for (key, value) in
        [("llama.attention.head_count_kv", 3), ("llama.attention.head_count", 0), ("llama.attention.key_length", 7)]
    {
        assert_eq!(read(&[(key, Value::U32(value))]).unwrap_err().code(), "bad_model", "{key}");
    }
}

#[test]
fn sizes_that_no_model_has_are_a_bad_model() {
    for key in ["block_count", "embedding_length", "feed_forward_length", "attention.key_length"] {
        for value in [0, u32::MAX - 1] {
            let error = read(&[(&format!("llama.{key}"), Value::U32(value))]).unwrap_err();
            assert_eq!(error.code(), "bad_model", "{key} {value}: {error}");
        }
    }
}
