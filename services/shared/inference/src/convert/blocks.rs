//! Numbers to the bytes of a block format.
//!
//! Candle's quantisers do it. For formats with blocks of 256, Candle's plain quantiser is an early
//! one of llama.cpp; the one that takes importances searches the scales better. It is given equal
//! importances. `loadtest/quality/quantise.py` measures both ours and llama.cpp's.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use half::f16;
use rayon::prelude::*;

use crate::error::EngineError;
use crate::gguf::broken;

/// Numbers that one thread converts at a time.
const PIECE_VALUES: usize = 1 << 16;

/// The bytes of whole rows. Each block is a function of its own numbers alone, so that neither
/// threads nor pieces change a bit.
pub(super) fn encode(values: &[f32], columns: usize, format: GgmlDType) -> Result<Vec<u8>, EngineError> {
    let is_stored = |value: &f32| match format {
        GgmlDType::F32 => value.is_finite(),
        _ => value.abs() <= f32::from(f16::MAX),
    };
    if let Some(value) = values.iter().find(|value| !is_stored(value)) {
        return Err(broken(&format!("it holds the number {value}, which {format:?} cannot store")));
    }
    let piece = (PIECE_VALUES / columns).max(1) * columns;
    let pieces: Result<Vec<Vec<u8>>, EngineError> =
        values.par_chunks(piece).map(|values| encode_piece(values, columns, format)).collect();
    Ok(pieces?.concat())
}

fn encode_piece(values: &[f32], columns: usize, format: GgmlDType) -> Result<Vec<u8>, EngineError> {
    match format {
        GgmlDType::F32 => return Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        GgmlDType::F16 => return Ok(values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()),
        _ => {}
    }
    let quantised = Tensor::from_slice(values, (values.len() / columns, columns), &Device::Cpu).and_then(|rows| {
        if searches_scales(format) {
            QTensor::quantize_imatrix(&rows, &vec![1.0; columns], format)
        } else {
            QTensor::quantize(&rows, format)
        }
    });
    let bytes = quantised.and_then(|tensor| tensor.data().map(std::borrow::Cow::into_owned));
    bytes.map_err(|error| broken(&format!("it cannot be stored as {format:?}: {error}")))
}

fn searches_scales(format: GgmlDType) -> bool {
    matches!(format, GgmlDType::Q4K | GgmlDType::Q5K | GgmlDType::Q6K)
}

#[cfg(test)]
mod tests;
