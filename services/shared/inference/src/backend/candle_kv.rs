//! The key-value pool on a Candle device.
//!
//! Keys and values of a layer lie as `[kv_heads, slots, head_dim]`, so that the keys of one head are a plain matrix and can be
//! multiplied where they lie. The block pool hands out neighbouring blocks while it can; then reading is a view. Only a
//! sequence with scattered blocks is copied together.

use candle_core::{DType, Device, Tensor};

use super::BackendError;
use crate::engine::batch::{BLOCK_TOKENS, Span};
use crate::model::config::ModelConfig;

/// Keys and values of all layers and all sequences, allocated once.
pub(crate) struct KvPool {
    keys: Vec<Tensor>,
    values: Vec<Tensor>,
}

/// Where a sequence's keys and values are.
pub(crate) enum SpanKeys {
    /// In neighbouring slots.
    Run {
        /// The first of them.
        first: usize,
        /// How many.
        len: usize,
    },
    /// In the slots of this list.
    Scattered(Tensor),
}

impl SpanKeys {
    pub(crate) fn new(span: &Span, device: &Device) -> Result<Self, BackendError> {
        let used = &span.blocks[..span.context.div_ceil(BLOCK_TOKENS)];
        if used.windows(2).all(|pair| pair[1] == pair[0] + 1) {
            let first = used.first().map_or(0, |block| *block as usize * BLOCK_TOKENS);
            return Ok(Self::Run { first, len: span.context });
        }
        let slots: Vec<u32> = (0..span.context)
            .map(|at| used[at / BLOCK_TOKENS] * BLOCK_TOKENS as u32 + (at % BLOCK_TOKENS) as u32)
            .collect();
        Ok(Self::Scattered(Tensor::from_vec(slots, span.context, device)?))
    }
}

impl KvPool {
    pub(crate) fn new(
        config: &ModelConfig,
        device: &Device,
        dtype: DType,
        blocks: usize,
    ) -> Result<Self, BackendError> {
        let shape = (config.kv_heads, blocks * BLOCK_TOKENS, config.head_dim);
        let layers = || (0..config.layers).map(|_| Tensor::zeros(shape, dtype, device)).collect::<Result<Vec<_>, _>>();
        Ok(Self { keys: layers()?, values: layers()? })
    }

    /// Puts keys and values `[kv_heads, rows, head_dim]` to `places` of the same shape.
    pub(crate) fn write(
        &mut self,
        layer: usize,
        places: &Tensor,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<(), BackendError> {
        self.keys[layer].scatter_set(places, keys, 1)?;
        Ok(self.values[layer].scatter_set(places, values, 1)?)
    }

    /// Keys and values of one sequence, `[kv_heads, context, head_dim]` each.
    pub(crate) fn read(&self, layer: usize, at: &SpanKeys) -> Result<(Tensor, Tensor), BackendError> {
        let (keys, values) = (&self.keys[layer], &self.values[layer]);
        Ok(match at {
            SpanKeys::Run { first, len } => (keys.narrow(1, *first, *len)?, values.narrow(1, *first, *len)?),
            SpanKeys::Scattered(slots) => (keys.index_select(slots, 1)?, values.index_select(slots, 1)?),
        })
    }
}
