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
        ("general.architecture", text("gemma3")),
        ("llama.rope.scaling.type", text("yarn")),
        ("llama.rope.scaling.type", text("longrope")),
        ("llama.expert_count", Value::U32(8)),
        ("llama.rope.dimension_count", Value::U32(4)),
        ("llama.attention.value_length", Value::U32(16)),
        ("llama.attention.causal", Value::Bool(false)),
        ("llama.attention.scale", Value::F32(0.5)),
        ("llama.logit_scale", Value::F32(0.5)),
        ("llama.final_logit_softcapping", Value::F32(30.0)),
    ] {
        let error = read(&[(key, value)]).unwrap_err();
        assert_eq!(error.code(), "unsupported_architecture", "{key}");
        assert!(key == "general.architecture" || error.to_string().contains("llama with "), "{error}");
    }
}

/// The same file as another family's, with changes.
fn read_as(family: &str, changes: &[(&str, Value)]) -> ModelConfig {
    let mut content = testing::shaped();
    content.metadata.insert("general.architecture".to_owned(), Value::String(family.to_owned()));
    for (key, value) in content.metadata.clone() {
        if let Some(rest) = key.strip_prefix("llama.") {
            content.metadata.insert(format!("{family}.{rest}"), value);
        }
    }
    for (key, value) in changes {
        content.metadata.insert(format!("{family}.{key}"), value.clone());
    }
    ModelConfig::from_gguf(&content).unwrap()
}

#[test]
fn a_familys_name_says_what_its_file_does_not() {
    for (family, split_pairs, head_norms) in
        [("llama", false, false), ("qwen2", true, false), ("qwen3", true, true), ("phi3", true, false)]
    {
        let config = read_as(family, &[]);
        assert_eq!((config.split_pairs, config.head_norms), (split_pairs, head_norms), "{family}");
        assert!(config.layer_shapes.iter().all(|layer| layer.rotated), "{family}");
    }
    let config = read_as("smollm3", &[("block_count", Value::U32(9))]);
    let still: Vec<usize> = (0..9).filter(|layer| !config.layer_shapes[*layer].rotated).collect();
    assert_eq!(still, [3, 7]);
}

#[test]
fn a_window_is_that_of_every_layer_or_of_those_named() {
    let windows = |changes: &[(&str, Value)]| -> Vec<Option<usize>> {
        read_as("phi3", changes).layer_shapes.iter().map(|layer| layer.window).collect()
    };
    let window = ("attention.sliding_window", Value::U32(2047));
    let pattern = Value::Array(vec![Value::Bool(true), Value::Bool(false)]);
    assert_eq!(windows(&[]), [None, None]);
    assert_eq!(windows(&[("attention.sliding_window", Value::U32(0))]), [None, None]);
    assert_eq!(windows(std::slice::from_ref(&window)), [Some(2047), Some(2047)]);
    assert_eq!(windows(&[window, ("attention.sliding_window_pattern", pattern)]), [Some(2047), None]);
}

#[test]
fn a_pattern_of_windows_that_fits_no_layers_is_a_bad_model() {
    for pattern in [Value::U32(6), Value::Array(vec![Value::Bool(true)])] {
        let error = read(&[("llama.attention.sliding_window_pattern", pattern)]).unwrap_err();
        assert_eq!(error.code(), "bad_model", "{error}");
    }
}

/// Numbers half a head apart come side by side, head by head.
#[test]
fn pairs_that_rotate_together_are_moved_side_by_side() {
    let order = read_as("qwen2", &[]).rotary_order(2).unwrap();
    assert_eq!(order, [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]);
    assert_eq!(read(&[]).unwrap().rotary_order(2), None);
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
fn rotations_that_make_no_sense_are_a_bad_model() {
    for key in ["llama.rope.freq_base", "llama.rope.scaling.attn_factor"] {
        for value in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(read(&[(key, Value::F32(value))]).unwrap_err().code(), "bad_model", "{key} {value}");
        }
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
