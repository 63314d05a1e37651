//! What an engine takes of a device's memory, and what fits into it: numbers in, numbers out.
//!
//! ```text
//! device memory = weights + key-value pool + work space + adapters
//! ```
//!
//! Weights and pool are exact to the byte but for the allocator's rounding. The work space is the
//! sum of what one step has alive at once. Adapters come and go below a bound, and the bound is
//! planned for, so that one that is loaded later finds its room.
//!
//! Unverified: no GPU has run this. [`RESERVE_BYTES`] is an assumption.

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Content;

use super::memory::MemoryNeeds;
use crate::backend::candle::QUERY_TILE;
use crate::backend::candle_matrix::{DEQUANTISE_ROWS, PADDING_VALUES, keeps};
use crate::config::{EngineConfig, WeightsKind};
use crate::step::{BLOCK_TOKENS, ModelConfig};

/// Bytes of a bfloat16 number, the dense type on a device.
const DENSE_BYTES: u64 = 2;
/// Bytes of an f32 number.
const F32_BYTES: u64 = 4;
/// Work space of Candle's tiled kernel beside the rounded rows: 256 multiprocessors' tiles of
/// 128 × 128 f32 (`fast_mmq.rs`).
const TILE_BYTES: u64 = 256 * 128 * 128 * F32_BYTES;
/// Bytes of 128 activations rounded to 8 bits, with their scales (`fast_mmq.rs`).
const ROUNDED_BLOCK_BYTES: u64 = 144;
/// For code of kernels, the matrix library's own work space and the allocator's rounding.
const RESERVE_BYTES: u64 = 256 << 20;

/// A tensor as a model's file stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredTensor {
    /// 1 for a vector.
    pub(super) rows: u64,
    pub(super) columns: u64,
    pub(super) dtype: GgmlDType,
}

impl StoredTensor {
    /// All tensors of a file.
    pub(super) fn all(content: &Content) -> Vec<Self> {
        let stored = content.tensor_infos.values().map(|info| {
            let (columns, above) = info.shape.dims().split_last().unwrap_or((&1, &[]));
            Self { rows: above.iter().product::<usize>() as u64, columns: *columns as u64, dtype: info.ggml_dtype }
        });
        stored.collect()
    }

    /// Bytes of the tensor on a device.
    fn bytes(self, weights: WeightsKind) -> u64 {
        if self.rows <= 1 || weights == WeightsKind::Dense || !keeps(self.dtype) {
            return self.rows * self.columns * DENSE_BYTES;
        }
        let values = self.rows.next_multiple_of(2) * self.columns + PADDING_VALUES as u64;
        values.div_ceil(self.dtype.block_size() as u64) * self.dtype.type_size() as u64
    }
}

/// Sizes of an engine on a device.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeviceSizes {
    pub(super) weights: WeightsKind,
    pub(super) step_tokens: usize,
    pub(super) max_sequences: usize,
    pub(super) kv_tokens: usize,
    /// Positions of the longest sequence.
    pub(super) context: usize,
    /// Bytes of all adapters together, at most.
    pub(super) adapter_bytes: u64,
}

impl DeviceSizes {
    pub(super) fn new(config: &EngineConfig, context: usize) -> Self {
        let EngineConfig { weights, step_tokens, max_sequences, kv_tokens, adapter_bytes, .. } = *config;
        Self { weights, step_tokens, max_sequences, kv_tokens, context, adapter_bytes }
    }
}

/// The memory of an engine on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryPlan {
    pub(super) needs: MemoryNeeds,
    pub(super) fits: Fits,
}

/// What fits beside the weights and the adapters, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fits {
    /// Tokens of the key-value pool, with the batch and the context that were asked for.
    pub(super) kv_tokens: usize,
    /// Sequences of the whole context that such a pool holds.
    pub(super) sequences: usize,
    /// Positions of the longest sequence if it has the pool alone, up to what the model was
    /// trained on.
    pub(super) context: usize,
}

/// Plans the memory of an engine for a model of this shape with these tensors, on a device with
/// `memory` bytes.
pub(super) fn plan(shape: &ModelConfig, tensors: &[StoredTensor], memory: u64, sizes: DeviceSizes) -> MemoryPlan {
    let weights = tensors.iter().map(|tensor| tensor.bytes(sizes.weights)).sum();
    let token = pool_bytes(shape, 1);
    let work = |context: usize| work_bytes(shape, DeviceSizes { context, ..sizes });
    let adapters = sizes.adapter_bytes;
    let pool = pool_bytes(shape, sizes.kv_tokens);
    let needs = MemoryNeeds { weights, pool, work: work(sizes.context), adapters };
    let kv_tokens = whole_blocks(memory.saturating_sub(needs.total() - pool) / token);
    let holds = |context: usize| {
        let alone = MemoryNeeds { work: work(context), pool: pool_bytes(shape, context), ..needs };
        alone.total() <= memory
    };
    let longest = shape.context.min(whole_blocks(memory / token)) / BLOCK_TOKENS;
    let context = most(longest, |blocks| holds(blocks * BLOCK_TOKENS)) * BLOCK_TOKENS;
    let sequences = kv_tokens / sizes.context.next_multiple_of(BLOCK_TOKENS).max(1);
    MemoryPlan { needs, fits: Fits { kv_tokens, sequences, context } }
}

/// The largest number up to `limit` that `holds`, which holds for all smaller ones too; 0 where
/// none does.
fn most(limit: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut below, mut above) = (0, limit + 1);
    while above - below > 1 {
        let middle = below + (above - below) / 2;
        if holds(middle) {
            below = middle;
        } else {
            above = middle;
        }
    }
    below
}

fn whole_blocks(tokens: u64) -> usize {
    let tokens = usize::try_from(tokens).unwrap_or(usize::MAX);
    tokens / BLOCK_TOKENS * BLOCK_TOKENS
}

fn pool_bytes(shape: &ModelConfig, tokens: usize) -> u64 {
    tokens as u64 * shape.kv_values_per_token() as u64 * DENSE_BYTES
}

/// Bytes that one step has alive at once, at most.
fn work_bytes(shape: &ModelConfig, sizes: DeviceSizes) -> u64 {
    let DeviceSizes { weights, step_tokens, max_sequences, context, .. } = sizes;
    let rows = shape.work_values(step_tokens, max_sequences, context, QUERY_TILE) as u64 * DENSE_BYTES;
    // Logits, their exponentials and the penalised ones are f32.
    let logits = (3 * max_sequences * shape.vocabulary) as u64 * (F32_BYTES - DENSE_BYTES);
    // Keys and values of one sequence whose blocks are scattered are copied together.
    let gathered = (2 * context * shape.kv_width()) as u64 * DENSE_BYTES;
    let products = if weights == WeightsKind::Quantised { product_bytes(shape, step_tokens) } else { 0 };
    rows + logits + gathered + products + RESERVE_BYTES
}

/// Bytes beside rows and result that the largest product with a quantised matrix needs.
fn product_bytes(shape: &ModelConfig, rows: usize) -> u64 {
    let heads = shape.heads * shape.head_dim;
    let widest = shape.width.max(heads).max(shape.inner);
    let results = (heads + 2 * shape.kv_width()).max(2 * shape.inner);
    let rounded = (rows + 128) as u64 * (widest.next_multiple_of(PADDING_VALUES) as u64 / 128) * ROUNDED_BLOCK_BYTES;
    let copies = (rows * (widest + results)) as u64 * F32_BYTES;
    // As f16, and as bf16 out of it.
    let largest = (2 * shape.inner * shape.width).max(results * shape.width) as u64;
    let dequantised = if rows >= DEQUANTISE_ROWS { largest * 2 * DENSE_BYTES } else { 0 };
    TILE_BYTES + rounded + copies + dequantised
}

#[cfg(test)]
mod tests;
