#![allow(clippy::unwrap_used)]

use candle_core::quantized::gguf_file::Value;
use serde_json::{Value as Json, json};

use super::{Family, Shape};
use crate::error::EngineError;

/// The settings of Llama 3.1 8B, with changes.
fn config(changes: Json) -> Vec<u8> {
    let mut config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128_256, "max_position_embeddings": 131_072,
        "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "tie_word_embeddings": false,
        "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"},
    });
    let Json::Object(changes) = changes else { panic!("changes are an object") };
    config.as_object_mut().unwrap().extend(changes);
    serde_json::to_vec(&config).unwrap()
}

fn read(changes: Json) -> Result<Shape, EngineError> {
    Shape::from_config(&config(changes))
}

#[test]
fn llama_3_1_has_the_divisors_of_its_paper() {
    let shape = read(json!({})).unwrap();
    let factors = shape.rope_factors.clone().unwrap();
    assert_eq!((shape.head_dim, factors.len()), (128, 64));
    // Wavelengths below 2,048 positions stay, above 8,192 they are eight times as long.
    let is = |factors: &[f32], number: f32| factors.iter().all(|factor| (factor - number).abs() < 1e-6);
    assert!(is(&factors[..29], 1.0) && is(&factors[36..], 8.0), "{factors:?}");
    // From llama.cpp's converter: pairs between are blended.
    assert!(factors[29..36].windows(2).all(|pair| pair[0] < pair[1]), "{:?}", &factors[29..36]);
    let wavelength = std::f64::consts::TAU * 500_000_f64.powf(2.0 * 32.0 / 128.0);
    let smooth = (8192.0 / wavelength - 1.0) / 3.0;
    assert!((f64::from(factors[32]) - 1.0 / ((1.0 - smooth) / 8.0 + smooth)).abs() < 1e-6);
}

#[test]
fn a_shape_becomes_the_metadata_of_its_architecture() {
    let metadata = read(json!({})).unwrap().metadata();
    let value = |key: &str| metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    assert!(matches!(value("general.architecture"), Some(Value::String(name)) if name == "llama"));
    for (key, number) in [
        ("block_count", 32),
        ("context_length", 131_072),
        ("embedding_length", 4096),
        ("feed_forward_length", 14336),
        ("attention.head_count", 32),
        ("attention.head_count_kv", 8),
        ("attention.key_length", 128),
        ("rope.dimension_count", 128),
        ("vocab_size", 128_256),
    ] {
        assert!(matches!(value(&format!("llama.{key}")), Some(Value::U32(found)) if found == number), "{key}");
    }
    assert!(matches!(value("llama.rope.freq_base"), Some(Value::F32(500_000.0))));
    assert!(value("llama.attention.sliding_window").is_none());
}

/// Mistral is stored as `llama`, with its window where it has one; Nemo's heads are narrower than
/// its width divided by their number.
#[test]
fn mistral_keeps_its_window_and_its_head_size() {
    let mistral = |changes: Json| {
        let mut all = json!({"architectures": ["MistralForCausalLM"], "rope_scaling": null, "rope_theta": 10_000.0,
            "max_position_embeddings": 32_768});
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        read(all).unwrap()
    };
    let first = mistral(json!({"sliding_window": 4096}));
    assert_eq!((first.family, first.family.architecture(), first.family.name()), (Family::Mistral, "llama", "mistral"));
    assert!(
        first
            .metadata()
            .iter()
            .any(|(key, value)| key == "llama.attention.sliding_window" && matches!(value, Value::U32(4096)))
    );
    let third = mistral(json!({"sliding_window": null}));
    assert!(!third.metadata().iter().any(|(key, _)| key.ends_with("sliding_window")));
    assert_eq!(mistral(json!({"hidden_size": 5120, "head_dim": 128})).head_dim, 128);
}

/// transformers 5 writes base and scaling into one object, and older files call the kind `type`.
#[test]
fn rotary_positions_are_read_in_each_spelling() {
    let old = read(json!({})).unwrap();
    let scaling = json!({"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3", "rope_theta": 500_000.0});
    assert_eq!(read(json!({"rope_parameters": scaling, "rope_scaling": null, "rope_theta": null})).unwrap(), old);
    for plain in [json!({"type": "default"}), json!({"type": "default", "rope_type": "default"}), json!(null)] {
        assert_eq!(read(json!({ "rope_scaling": plain })).unwrap().rope_factors, None);
    }
}

#[test]
fn what_would_become_another_model_is_refused() {
    for (changes, expected) in [
        (json!({"architectures": ["MixtralForCausalLM"]}), "MixtralForCausalLM"),
        (json!({"architectures": []}), "no architecture"),
        (json!({"architectures": ["LlamaForCausalLM", "B"]}), "more than one"),
        (json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}), "`yarn` rotary positions"),
        (json!({"rope_scaling": {"type": "linear", "factor": 4.0}}), "`linear` rotary positions"),
        (json!({"rope_scaling": {"rope_type": "llama3", "low_freq_factor": 4.0, "high_freq_factor": 1.0}}), "no sense"),
        (json!({"rope_scaling": {"rope_type": "llama3", "factor": 0.0}}), "no sense"),
        (json!({"hidden_act": "gelu"}), "another activation than silu"),
        (json!({"quantization_config": {"quant_method": "awq"}}), "quantised already"),
        (
            json!({"architectures": ["Qwen2ForCausalLM"], "rope_scaling": null, "use_sliding_window": true}),
            "sliding window",
        ),
        (json!({"num_attention_heads": 0}), "cannot share"),
        (json!({"num_key_value_heads": 3}), "cannot share"),
        (json!({"num_hidden_layers": 4096}), "num_hidden_layers is 4096"),
        (json!({"hidden_size": 0}), "hidden_size is 0"),
        (json!({"head_dim": 0}), "values of all heads is 0"),
        (json!({"head_dim": 7}), "cannot be rotated"),
        (json!({"vocab_size": 4_000_000_000_u64}), "vocab_size is 4000000000"),
        (json!({"rms_norm_eps": null}), "rms_norm_eps|invalid type"),
    ] {
        let text = read(changes.clone()).unwrap_err().to_string();
        assert!(expected.split('|').any(|expected| text.contains(expected)), "{changes}: {text}");
    }
}

#[test]
fn broken_config_json_is_survived() {
    precis_fuzz::survives("config-json", &[config(json!({"sliding_window": 4096}))], |bytes| {
        if let Ok(shape) = Shape::from_config(bytes) {
            assert!(!shape.metadata().is_empty());
        }
    });
}
