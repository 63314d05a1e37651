//! The key-value pool on a Candle device.
//!
//! Keys of a layer lie as `[kv_heads, head_dim, slots]` and values as
//! `[kv_heads, slots, head_dim]`. These are the orders in which the two products of attention read
//! their right-hand factors. The block pool hands out neighbouring blocks while it can, and then
//! reading is a view. Only the keys and values of a sequence with scattered blocks are copied
//! together.

use candle_core::{DType, Device, Tensor};

use crate::step::{BLOCK_TOKENS, BackendError, ModelConfig, Span};

/// Slots that are never used. If rows had a power of two of slots, the rows of a key matrix would
/// compete for the same cache lines.
const PADDING: usize = 16;

/// Keys and values of all layers and all sequences, allocated once.
pub(crate) struct KvPool {
    keys: Vec<Tensor>,
    values: Vec<Tensor>,
}

/// The place of a sequence's keys and values.
pub(crate) enum SpanKeys {
    /// In neighbouring slots.
    Run {
        /// The first slot.
        first: usize,
        /// The number of slots.
        len: usize,
    },
    /// In the slots of this list.
    Scattered(Tensor),
}

/// The slots that the rows of a step are written to, in the shapes that `scatter_set` needs.
pub(crate) struct SlotIndices {
    keys: Tensor,
    values: Tensor,
}

impl SlotIndices {
    pub(crate) fn new(slots: &[u32], kv_heads: usize, head_dim: usize, device: &Device) -> Result<Self, BackendError> {
        let rows = slots.len();
        let slots = Tensor::from_slice(slots, rows, device)?;
        Ok(Self {
            keys: slots.reshape((1, 1, rows))?.broadcast_as((kv_heads, head_dim, rows))?.contiguous()?,
            values: slots.reshape((1, rows, 1))?.broadcast_as((kv_heads, rows, head_dim))?.contiguous()?,
        })
    }
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
        let slots = blocks * BLOCK_TOKENS + PADDING;
        let layers = |shape: (usize, usize, usize)| {
            (0..config.layers).map(|_| Tensor::zeros(shape, dtype, device)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            keys: layers((config.kv_heads, config.head_dim, slots))?,
            values: layers((config.kv_heads, slots, config.head_dim))?,
        })
    }

    /// Writes keys `[kv_heads, head_dim, rows]` and values `[kv_heads, rows, head_dim]` to their
    /// slots.
    pub(crate) fn write(
        &mut self,
        layer: usize,
        slots: &SlotIndices,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<(), BackendError> {
        self.keys[layer].scatter_set(&slots.keys, keys, 2)?;
        Ok(self.values[layer].scatter_set(&slots.values, values, 1)?)
    }

    /// Copies a block, in every layer.
    pub(crate) fn copy(&mut self, from: u32, to: u32) -> Result<(), BackendError> {
        let [from, to] = [from, to].map(|block| block as usize * BLOCK_TOKENS);
        for (pool, slots) in self.keys.iter().map(|keys| (keys, 2)).chain(self.values.iter().map(|values| (values, 1)))
        {
            // The copy in between is needed: a tensor cannot be written from a view of itself.
            let block = pool.narrow(slots, from, BLOCK_TOKENS)?.force_contiguous()?;
            pool.slice_set(&block, slots, to)?;
        }
        Ok(())
    }

    /// Fills blocks with NaN, in every layer.
    pub(crate) fn forget(&mut self, blocks: &[u32]) -> Result<(), BackendError> {
        for (pool, slots) in self.keys.iter().map(|keys| (keys, 2)).chain(self.values.iter().map(|values| (values, 1)))
        {
            let mut shape = pool.dims().to_vec();
            shape[slots] = BLOCK_TOKENS;
            let nothing = (Tensor::ones(shape, pool.dtype(), pool.device())? * f64::NAN)?;
            for block in blocks {
                pool.slice_set(&nothing, slots, *block as usize * BLOCK_TOKENS)?;
            }
        }
        Ok(())
    }

    /// Keys `[kv_heads, head_dim, context]` and values `[kv_heads, context, head_dim]` of one
    /// sequence.
    pub(crate) fn read(&self, layer: usize, at: &SpanKeys) -> Result<(Tensor, Tensor), BackendError> {
        let (keys, values) = (&self.keys[layer], &self.values[layer]);
        Ok(match at {
            SpanKeys::Run { first, len } => (keys.narrow(2, *first, *len)?, values.narrow(1, *first, *len)?),
            SpanKeys::Scattered(slots) => (keys.index_select(slots, 2)?, values.index_select(slots, 1)?),
        })
    }
}
