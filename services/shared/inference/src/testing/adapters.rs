//! Adapters for tests, with random factors: in memory, and as files of both formats.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use crate::models::adapters::{AdapterBase, AdapterEntry, AdapterFiles, install, read};
use crate::step::{Adapter, ModelConfig, Projection};
use crate::testing::tiny;

/// Every linear projection of a layer, with its names in PEFT and in GGUF.
pub(crate) const ALL: [(Projection, &str, &str); 7] = [
    (Projection::Query, "self_attn.q_proj", "attn_q"),
    (Projection::Key, "self_attn.k_proj", "attn_k"),
    (Projection::Value, "self_attn.v_proj", "attn_v"),
    (Projection::Output, "self_attn.o_proj", "attn_output"),
    (Projection::Gate, "mlp.gate_proj", "ffn_gate"),
    (Projection::Up, "mlp.up_proj", "ffn_up"),
    (Projection::Down, "mlp.down_proj", "ffn_down"),
];

/// How a random adapter is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) seed: u64,
    pub(crate) rank: usize,
    pub(crate) alpha: f64,
    /// Of [`ALL`], the first so many.
    pub(crate) projections: usize,
}

pub(crate) const RECIPE: Recipe = Recipe { seed: 1, rank: 4, alpha: 8.0, projections: 7 };

/// Both factors of a product: `[rank, inputs]` and `[outputs, rank]`, of numbers that bf16 holds.
fn pair(recipe: Recipe, layer: usize, projection: Projection, config: &ModelConfig) -> (Tensor, Tensor) {
    let shape = projection.shape(config, recipe.rank);
    let mut state =
        (recipe.seed * 1000 + layer as u64 * 10 + projection as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut number = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) % 127) as f32 / 512.0 - 0.123_046_88
    };
    let mut factor = |rows: usize, columns: usize| {
        let values: Vec<f32> = (0..rows * columns).map(|_| number()).collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    };
    (factor(recipe.rank, shape.inputs), factor(shape.outputs, recipe.rank))
}

/// Writes a random adapter as PEFT saves it.
pub(crate) fn write_peft(folder: &Path, recipe: Recipe, config: &ModelConfig) {
    let mut tensors = HashMap::new();
    for layer in 0..config.layers {
        for (projection, name, _) in ALL.into_iter().take(recipe.projections) {
            let (a, b) = pair(recipe, layer, projection, config);
            let module = format!("base_model.model.model.layers.{layer}.{name}");
            tensors.insert(format!("{module}.lora_A.weight"), a);
            tensors.insert(format!("{module}.lora_B.weight"), b);
        }
    }
    fs::create_dir_all(folder).unwrap();
    candle_core::safetensors::save(&tensors, folder.join("adapter_model.safetensors")).unwrap();
    write_config(folder, &serde_json::json!({ "r": recipe.rank, "lora_alpha": recipe.alpha }));
}

/// Writes PEFT's settings, with these in place of the usual ones.
pub(crate) fn write_config(folder: &Path, own: &serde_json::Value) {
    let mut config = serde_json::json!({
        "peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", "use_dora": false, "use_rslora": false,
        "fan_in_fan_out": false, "modules_to_save": null, "task_type": "CAUSAL_LM", "lora_dropout": 0.05,
        "target_modules": ["q_proj", "v_proj"], "base_model_name_or_path": "somewhere/a-model",
    });
    for (key, value) in own.as_object().unwrap() {
        config[key] = value.clone();
    }
    fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
}

/// Writes the same adapter as llama.cpp's converter does: rows of queries and keys are moved, so
/// that values that are rotated together stand side by side.
pub(crate) fn write_gguf(path: &Path, recipe: Recipe, config: &ModelConfig, own: &[(&str, Value)]) {
    let quantise = |tensor: &Tensor| QTensor::quantize(tensor, GgmlDType::F32).unwrap();
    let mut tensors = Vec::new();
    for layer in 0..config.layers {
        for (projection, _, name) in ALL.into_iter().take(recipe.projections) {
            let (a, b) = pair(recipe, layer, projection, config);
            let heads = projection.rotated_heads(config);
            let b = if heads > 0 {
                let half = config.head_dim / 2;
                let b = b.reshape((heads, 2, half, recipe.rank)).unwrap().transpose(1, 2).unwrap();
                b.contiguous().unwrap().reshape((heads * config.head_dim, recipe.rank)).unwrap()
            } else {
                b
            };
            tensors.push((format!("blk.{layer}.{name}.weight.lora_a"), quantise(&a)));
            tensors.push((format!("blk.{layer}.{name}.weight.lora_b"), quantise(&b)));
        }
    }
    let text = |text: &str| Value::String(text.to_owned());
    let mut metadata = HashMap::from([
        ("general.type", text("adapter")),
        ("adapter.type", text("lora")),
        ("general.architecture", text("llama")),
        ("adapter.lora.alpha", Value::F32(recipe.alpha as f32)),
    ]);
    metadata.extend(own.iter().cloned());
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    gguf_file::write(&mut fs::File::create(path).unwrap(), &metadata, &tensors).unwrap();
}

/// The tiny model, as adapters see it.
pub(crate) fn base() -> AdapterBase {
    AdapterBase { sha256: "ab".repeat(32), architecture: "llama".into(), shape: tiny::config() }
}

/// Registers a random adapter for the tiny model.
pub(crate) fn registered(models_dir: &Path, name: &str, recipe: Recipe) -> AdapterEntry {
    let folder = models_dir.join(format!("source-{name}-{}", recipe.seed));
    write_peft(&folder, recipe, &tiny::config());
    install(&AdapterFiles::open(name, &folder).unwrap(), name, "tiny", &base(), models_dir).unwrap()
}

/// A random adapter of the tiny model in memory.
pub(crate) fn random(recipe: Recipe) -> Arc<Adapter> {
    let folder = tempfile::tempdir().unwrap();
    Arc::new(read(&registered(folder.path(), "random", recipe), &base()).unwrap())
}
