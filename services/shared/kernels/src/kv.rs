//! The pool of keys and values: blocks of 32 tokens, in bf16.
//!
//! ```text
//! [layer][kv head][block] keys   [head_dim / 2 pairs][32 tokens][2]
//!                         values [head_dim / 32 slices][16 pairs of tokens][32][2]
//! ```
//!
//! This is the [`Panel`] order of the products, so attention reads blocks as they are. If a pair's
//! second token is not there yet, its value is 0: products read whole pairs, and 0 times an old
//! number need not be 0.

use crate::memory::{Buffer, SharedSlice};
use crate::spec::{PANEL, Panel};

/// Tokens of a block.
pub const BLOCK_TOKENS: usize = PANEL;

/// Sizes of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvShape {
    /// Layers of the model.
    pub layers: usize,
    /// Blocks, each of [`BLOCK_TOKENS`] tokens in every layer.
    pub blocks: usize,
    /// Heads that have keys and values.
    pub kv_heads: usize,
    /// Numbers of a head: a multiple of 32.
    pub head_dim: usize,
}

impl KvShape {
    /// Bytes of the whole pool.
    pub fn bytes(self) -> usize {
        2 * self.layers * self.kv_heads * self.blocks * self.pitch()
    }

    /// Numbers of keys (or of values) of a block in one layer and head.
    fn panel(self) -> usize {
        BLOCK_TOKENS * self.head_dim
    }

    /// Numbers from one block to the next.
    fn pitch(self) -> usize {
        2 * self.panel()
    }

    fn start(self, layer: usize, head: usize, block: usize) -> usize {
        assert!(layer < self.layers && head < self.kv_heads && block < self.blocks, "block {block} is not in the pool");
        ((layer * self.kv_heads + head) * self.blocks + block) * self.pitch()
    }
}

/// Keys and values of all sequences.
#[derive(Debug)]
pub struct KvPool {
    shape: KvShape,
    numbers: Buffer<u16>,
}

impl KvPool {
    /// An empty pool: takes all its memory.
    pub fn new(shape: KvShape) -> Self {
        assert!(shape.head_dim > 0 && shape.head_dim.is_multiple_of(PANEL), "heads of {} numbers", shape.head_dim);
        // Places are computed with wrapping arithmetic in release builds, and two blocks must never
        // have one place.
        let sizes = [2, 2, 2, shape.layers, shape.kv_heads, shape.blocks, BLOCK_TOKENS, shape.head_dim];
        let bytes = sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        assert!(bytes.is_some(), "{shape:?} is larger than the address space");
        Self { shape, numbers: Buffer::zeroed(shape.bytes() / 2) }
    }

    /// Sizes of the pool.
    pub fn shape(&self) -> KvShape {
        self.shape
    }

    /// Keys of a block.
    #[inline(always)]
    pub fn keys(&self, layer: usize, head: usize, block: usize) -> Panel<'_> {
        &self.numbers[self.shape.start(layer, head, block)..][..self.shape.panel()]
    }

    /// One slice of 32 numbers of the values of a block.
    #[inline(always)]
    pub fn values(&self, layer: usize, head: usize, block: usize, slice: usize) -> Panel<'_> {
        let slice_len = BLOCK_TOKENS * PANEL;
        &self.numbers[self.shape.start(layer, head, block) + self.shape.panel()..][slice * slice_len..][..slice_len]
    }

    /// Copies a block's keys and values in all layers.
    pub fn copy_block(&mut self, from: usize, to: usize) {
        let pitch = self.shape.pitch();
        for layer in 0..self.shape.layers {
            for head in 0..self.shape.kv_heads {
                let start = self.shape.start(layer, head, from);
                self.numbers.copy_within(start..start + pitch, self.shape.start(layer, head, to));
            }
        }
    }

    /// Overwrites a block's keys and values with NaN, so that a read of them is noticed.
    pub fn poison(&mut self, block: usize) {
        const NOT_A_NUMBER: u16 = 0x7fc0;
        let pitch = self.shape.pitch();
        for layer in 0..self.shape.layers {
            for head in 0..self.shape.kv_heads {
                let start = self.shape.start(layer, head, block);
                self.numbers[start..start + pitch].fill(NOT_A_NUMBER);
            }
        }
    }

    pub(crate) fn writer(&mut self) -> KvWriter<'_> {
        KvWriter { shape: self.shape, numbers: SharedSlice::new(&mut self.numbers) }
    }
}

/// The pool while several threads write tokens to it, each its own.
pub(crate) struct KvWriter<'a> {
    shape: KvShape,
    numbers: SharedSlice<'a, u16>,
}

/// The place of one token's keys and values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) layer: usize,
    pub(crate) head: usize,
    pub(crate) block: usize,
    pub(crate) offset: usize,
}

impl KvWriter<'_> {
    /// Writes the keys (as bf16 pairs) and values of one or two neighbouring tokens of one head.
    /// Two tokens begin at an even offset. One token at an even offset is the last of its sequence,
    /// and a 0 is written beside its values.
    ///
    /// No other thread writes these tokens of that head, nor the token after an even one.
    #[inline(always)]
    pub(crate) unsafe fn write(&self, slot: Slot, keys: [&[u32]; 2], values: [&[u16]; 2], count: usize) {
        let Slot { layer, head, block, offset } = slot;
        let KvShape { head_dim, .. } = self.shape;
        let even = offset.is_multiple_of(2);
        assert!(offset < BLOCK_TOKENS && (count == 1 || even), "{count} tokens at {offset}");
        for token in 0..2 {
            assert!(keys[token].len() == head_dim / 2 && values[token].len() == head_dim, "a token of another shape");
        }
        let start = self.shape.start(layer, head, block);
        assert!(start + self.shape.pitch() <= self.numbers.len(), "a block ends outside of the pool");
        // SAFETY: all numbers are inside this block, and belong to these tokens alone (or to the
        // next one, which nobody writes).
        unsafe {
            let key = |pair: usize| start + (pair * BLOCK_TOKENS + offset) * 2;
            if count == 2 {
                for (pair, (first, second)) in keys[0].iter().zip(keys[1]).enumerate() {
                    self.numbers.put_as(key(pair), u64::from(*first) | u64::from(*second) << 32);
                }
            } else {
                for (pair, word) in keys[0].iter().enumerate() {
                    self.numbers.put_as(key(pair), *word);
                }
            }
            let beside = if count == 2 { u16::MAX } else { 0 };
            for slice in 0..head_dim / PANEL {
                let row = start + self.shape.panel() + (slice * BLOCK_TOKENS + offset / 2 * 2) * PANEL;
                let columns = slice * PANEL..(slice + 1) * PANEL;
                let (first, second) = (&values[0][columns.clone()], &values[1][columns]);
                if even {
                    for column in 0..PANEL {
                        let word = u32::from(first[column]) | u32::from(second[column] & beside) << 16;
                        self.numbers.put_as(row + 2 * column, word);
                    }
                } else {
                    for column in 0..PANEL {
                        self.numbers.put_as(row + 2 * column + 1, first[column]);
                    }
                }
            }
        }
    }
}
