//! The block format of each tensor.
//!
//! The rule for `q4_k` is llama.cpp's `Q4_K_M`. Most matrices get 4.5 bits a weight. The head, and
//! in half of the layers the values and the second matrix of the feed-forward block, get 6.6: there
//! an error hurts most. Formats with blocks of 256 need rows of a multiple of 256; other rows get
//! the nearest larger format with blocks of 32.

use candle_core::quantized::GgmlDType;

/// What the matrices of a model are stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantisation {
    /// About 4.8 bits a weight.
    Q4K,
    /// 8.5 bits a weight: nearly without loss.
    Q8_0,
    /// 16 bits a weight: a conversion without quantisation.
    F16,
}

impl Quantisation {
    /// The name that manifests and llama.cpp use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q4K => "Q4_K_M",
            Self::Q8_0 => "Q8_0",
            Self::F16 => "F16",
        }
    }

    /// `general.file_type`, which is llama.cpp's `llama_ftype`.
    pub(super) fn file_type(self) -> u32 {
        match self {
            Self::F16 => 1,
            Self::Q8_0 => 7,
            Self::Q4K => 15,
        }
    }
}

/// What decides about a tensor beside its name and shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) layers: usize,
    /// Whether the model has a head of its own; otherwise the embedding is also the head.
    pub(super) has_head: bool,
}

/// The format of one tensor.
pub(super) fn format(to: Quantisation, name: &str, shape: &[usize], place: Place) -> GgmlDType {
    let &[_, columns] = shape else { return GgmlDType::F32 };
    let wanted = match to {
        Quantisation::F16 => GgmlDType::F16,
        Quantisation::Q8_0 => GgmlDType::Q8_0,
        Quantisation::Q4K => q4_k_m(name, columns, place),
    };
    fitting(wanted, columns)
}

fn q4_k_m(name: &str, columns: usize, place: Place) -> GgmlDType {
    let head = if place.has_head { "output.weight" } else { "token_embd.weight" };
    if name == head {
        return if columns.is_multiple_of(GgmlDType::Q6K.block_size()) { GgmlDType::Q6K } else { GgmlDType::Q8_0 };
    }
    let part = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.'));
    match part.and_then(|(layer, part)| Some((layer.parse::<usize>().ok()?, part))) {
        Some((layer, "attn_v.weight" | "ffn_down.weight")) if needs_more_bits(layer, place.layers) => GgmlDType::Q6K,
        Some((_, "attn_qkv.weight")) => GgmlDType::Q5K,
        _ => GgmlDType::Q4K,
    }
}

/// The first eighth of the layers, the last one, and every third between.
fn needs_more_bits(layer: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

/// The format itself, or the nearest larger one whose blocks fill rows of that length.
fn fitting(wanted: GgmlDType, columns: usize) -> GgmlDType {
    if columns.is_multiple_of(wanted.block_size()) {
        return wanted;
    }
    let smaller = match wanted {
        GgmlDType::Q4K => GgmlDType::Q5_0,
        GgmlDType::Q5K => GgmlDType::Q5_1,
        _ => GgmlDType::Q8_0,
    };
    if columns.is_multiple_of(smaller.block_size()) { smaller } else { GgmlDType::F16 }
}

#[cfg(test)]
mod tests;
