//! Adapters as llama.cpp's `convert_lora_to_gguf.py` writes them.
//!
//! Names of tensors are `blk.<n>.<projection>.weight.lora_a`, and `lora_b`. The scale is
//! `alpha / rank`, and 1 where alpha is 0, as llama.cpp has it.

use std::io::Cursor;

use candle_core::Device;
use candle_core::quantized::gguf_file::Content;

use super::AdapterFiles;
use super::factors::{AdapterBase, Matrix, Pairs, check_factor, check_layer};
use crate::error::EngineError;
use crate::gguf;
use crate::step::Projection;

pub(super) fn pairs(files: &AdapterFiles, base: &AdapterBase) -> Result<Pairs, String> {
    let mut reader = Cursor::new(files.weights.as_slice());
    let content = gguf::header(&mut reader).map_err(reason)?;
    check(&content, base)?;
    let alpha = gguf::float(&content, "adapter.lora.alpha").map_err(reason)?;
    let mut names: Vec<&String> = content.tensor_infos.keys().collect();
    names.sort();
    let mut pairs = Pairs::new();
    for name in names {
        let (layer, projection, is_a) = target(name, base)?;
        let (rows, columns) = check_factor(name, content.tensor_infos[name].shape.dims())?;
        let mut load = || {
            let tensor = content.tensor(&mut reader, name, &Device::Cpu)?.dequantize(&Device::Cpu)?;
            tensor.flatten_all()?.to_vec1::<f32>()
        };
        let values = load().map_err(|error| format!("`{name}` cannot be read: {error}"))?;
        let pair = pairs.entry((layer, projection)).or_default();
        let matrix = Some(Matrix { rows, columns, values });
        if is_a {
            pair.scale = if alpha == 0.0 { 1.0 } else { (alpha / rows as f64) as f32 };
            pair.a = matrix;
        } else {
            pair.b = matrix;
        }
    }
    Ok(pairs)
}

fn check(content: &Content, base: &AdapterBase) -> Result<(), String> {
    for (key, wanted) in
        [("general.type", "adapter"), ("adapter.type", "lora"), ("general.architecture", base.architecture.as_str())]
    {
        let found = gguf::string(content, key).map_err(reason)?;
        if found != wanted {
            return Err(format!("`{key}` is `{found}` instead of `{wanted}`"));
        }
    }
    Ok(())
}

/// Layer and projection of a tensor, and whether it is the factor A.
fn target(name: &str, base: &AdapterBase) -> Result<(usize, Projection, bool), String> {
    let unknown = || format!("`{name}` is not supported: only the linear projections of layers are");
    let (module, is_a) = match (name.strip_suffix(".weight.lora_a"), name.strip_suffix(".weight.lora_b")) {
        (Some(module), _) => (module, true),
        (_, Some(module)) => (module, false),
        _ => return Err(unknown()),
    };
    if ["token_embd", "output"].contains(&module) {
        return Err(format!("it changes `{module}`, which is not supported: train it without that target"));
    }
    let rest = module.strip_prefix("blk.").ok_or_else(unknown)?;
    let (layer, rest) = rest.split_once('.').ok_or_else(unknown)?;
    let projection = match rest {
        "attn_q" => Projection::Query,
        "attn_k" => Projection::Key,
        "attn_v" => Projection::Value,
        "attn_qkv" => Projection::QueryKeyValue,
        "attn_output" => Projection::Output,
        "ffn_gate" => Projection::Gate,
        // In files of Phi-3 this is gate and up in one.
        "ffn_up" if base.architecture == "phi3" => Projection::GateUp,
        "ffn_up" => Projection::Up,
        "ffn_down" => Projection::Down,
        _ => return Err(unknown()),
    };
    Ok((check_layer(name, layer, base)?, projection, is_a))
}

fn reason(error: EngineError) -> String {
    match error {
        EngineError::BadModel { reason, .. } => reason,
        other => other.to_string(),
    }
}
