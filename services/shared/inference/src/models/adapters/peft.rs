//! Adapters as the Python library PEFT saves them.
//!
//! Names of tensors are `base_model.model.model.layers.<n>.<block>.<projection>.lora_A.weight`, and
//! `lora_B`. The scale is `alpha / rank`, or `alpha / √rank` for rank-stabilised adapters
//! (Kalajdzievski 2023), with the rank and alpha of each projection where the settings have
//! patterns.

use std::collections::BTreeMap;

use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device};
use serde::Deserialize;

use super::AdapterFiles;
use super::factors::{AdapterBase, Matrix, Pairs, check_factor, check_layer};
use crate::step::Projection;

/// The settings that change what an adapter computes. Others say how it was trained.
#[derive(Debug, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "the settings are those of another program")]
struct Config {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    lora_bias: bool,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, f64>,
    #[serde(default)]
    layer_replication: Option<serde_json::Value>,
}

impl Config {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let config: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("adapter_config.json cannot be read: {error}"))?;
        let unsupported = [
            (config.peft_type != "LORA", "another kind than LORA"),
            (config.use_dora, "DoRA"),
            (config.fan_in_fan_out, "transposed weights (`fan_in_fan_out`)"),
            (config.lora_bias || config.bias.as_deref().is_some_and(|bias| bias != "none"), "biases"),
            (config.modules_to_save.as_ref().is_some_and(|all| !all.is_empty()), "whole modules (`modules_to_save`)"),
            (config.layer_replication.is_some(), "repeated layers (`layer_replication`)"),
        ];
        match unsupported.iter().find(|(found, _)| *found) {
            Some((_, what)) => Err(format!("adapter_config.json names {what}, which is not supported")),
            None => Ok(config),
        }
    }

    /// The factor of a product, whose rank its own factors show.
    fn scale(&self, module: &str, rank: usize) -> Result<f32, String> {
        let mut alpha = self.lora_alpha;
        for (pattern, own) in &self.alpha_pattern {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._".contains(c);
            if !pattern.chars().all(plain) {
                return Err(format!("`alpha_pattern` has the expression `{pattern}`, and only names are supported"));
            }
            // PEFT takes the first pattern that is the name or its end.
            if module == pattern || module.strip_suffix(pattern.as_str()).is_some_and(|start| start.ends_with('.')) {
                alpha = *own;
                break;
            }
        }
        let divisor = if self.use_rslora { (rank as f64).sqrt() } else { rank as f64 };
        Ok((alpha / divisor) as f32)
    }
}

pub(super) fn pairs(files: &AdapterFiles, base: &AdapterBase) -> Result<Pairs, String> {
    let config = Config::read(&files.config)?;
    let tensors = SliceSafetensors::new(&files.weights)
        .map_err(|error| format!("adapter_model.safetensors cannot be read: {error}"))?;
    let mut pairs = Pairs::new();
    for (name, view) in tensors.tensors() {
        let (layer, projection, module, is_a) = target(&name, base)?;
        let (rows, columns) = check_factor(&name, view.shape())?;
        let load = || tensors.load(&name, &Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
        let values = load().map_err(|error| format!("`{name}` cannot be read: {error}"))?;
        let pair = pairs.entry((layer, projection)).or_default();
        let matrix = Some(Matrix { rows, columns, values });
        if is_a {
            // The rank of the settings holds where no pattern names another, and the factor shows
            // both.
            pair.scale = config.scale(module, rows)?;
            pair.a = matrix;
        } else {
            pair.b = matrix;
        }
    }
    if config.r == 0 {
        return Err("adapter_config.json has the rank 0".into());
    }
    Ok(pairs)
}

/// Layer, projection, name of the module, and whether the tensor is the factor A.
fn target<'a>(name: &'a str, base: &AdapterBase) -> Result<(usize, Projection, &'a str, bool), String> {
    let unknown = || format!("`{name}` is not supported: only the linear projections of layers are");
    let path = name.strip_prefix("base_model.model.").unwrap_or(name);
    let (module, is_a) = match (path.strip_suffix(".lora_A.weight"), path.strip_suffix(".lora_B.weight")) {
        (Some(module), _) => (module, true),
        (_, Some(module)) => (module, false),
        _ => return Err(unknown()),
    };
    if let Some(table) = ["embed_tokens", "lm_head"].into_iter().find(|table| module.ends_with(table)) {
        return Err(format!("it changes `{table}`, which is not supported: train it without that target"));
    }
    let rest = module.strip_prefix("model.layers.").ok_or_else(unknown)?;
    let (layer, rest) = rest.split_once('.').ok_or_else(unknown)?;
    let projection = match rest {
        "self_attn.q_proj" => Projection::Query,
        "self_attn.k_proj" => Projection::Key,
        "self_attn.v_proj" => Projection::Value,
        "self_attn.qkv_proj" => Projection::QueryKeyValue,
        "self_attn.o_proj" => Projection::Output,
        "mlp.gate_proj" => Projection::Gate,
        "mlp.up_proj" => Projection::Up,
        "mlp.gate_up_proj" => Projection::GateUp,
        "mlp.down_proj" => Projection::Down,
        _ => return Err(unknown()),
    };
    Ok((check_layer(name, layer, base)?, projection, module, is_a))
}
