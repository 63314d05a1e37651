//! Rows of activations, rounded to 8 bits for the product with weights.

use crate::memory::{Buffer, SharedSlice};
use crate::pack::BLOCK;

/// Rows of 8-bit codes, with a scale for each 32 of them.
#[derive(Debug)]
pub struct Activations {
    rows: usize,
    columns: usize,
    codes: Buffer<i8>,
    scales: Buffer<f32>,
    sums: Buffer<f32>,
    halves: Buffer<i32>,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The codes: `number / scale`, rounded.
    pub(crate) codes: &'a [i8],
    /// A scale for each 32 numbers.
    pub(crate) scales: &'a [f32],
    /// For each block, its scale times the sum of its codes.
    pub(crate) sums: &'a [f32],
}

/// Some neighbouring rows.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub(crate) count: usize,
    /// Blocks of a row.
    pub(crate) blocks: usize,
    /// As in [`Row`], row by row.
    pub(crate) codes: &'a [i8],
    pub(crate) scales: &'a [f32],
    pub(crate) sums: &'a [f32],
    /// Sums of each 16 codes.
    pub(crate) halves: &'a [i32],
}

impl<'a> Rows<'a> {
    /// One of these rows.
    #[inline(always)]
    pub fn row(&self, row: usize) -> Row<'a> {
        Row {
            codes: &self.codes[row * self.blocks * BLOCK..][..self.blocks * BLOCK],
            scales: &self.scales[row * self.blocks..][..self.blocks],
            sums: &self.sums[row * self.blocks..][..self.blocks],
        }
    }

    /// Rows `first..first + count` of these.
    #[inline(always)]
    pub fn part(&self, first: usize, count: usize) -> Self {
        let at = first * self.blocks;
        let len = count * self.blocks;
        Self {
            count,
            blocks: self.blocks,
            codes: &self.codes[at * BLOCK..][..len * BLOCK],
            scales: &self.scales[at..][..len],
            sums: &self.sums[at..][..len],
            halves: &self.halves[2 * at..][..2 * len],
        }
    }

    /// Panics if a row does not have `blocks` blocks; kernels rely on it.
    #[inline(always)]
    pub(crate) fn check(&self, blocks: usize) {
        let len = self.count * self.blocks;
        assert!(
            self.blocks == blocks
                && self.codes.len() >= len * BLOCK
                && self.scales.len() >= len
                && self.sums.len() >= len
                && self.halves.len() >= 2 * len,
            "rows are shorter than the weights"
        );
    }
}

/// One row, to be written.
#[derive(Debug)]
pub struct RowMut<'a> {
    pub(crate) codes: &'a mut [i8],
    pub(crate) scales: &'a mut [f32],
    pub(crate) sums: &'a mut [f32],
    pub(crate) halves: &'a mut [i32],
}

impl Activations {
    /// Room for `rows` rows of up to `columns` numbers.
    pub fn new(rows: usize, columns: usize) -> Self {
        let blocks = rows * columns.div_ceil(BLOCK);
        Self {
            rows: 0,
            columns: 0,
            codes: Buffer::zeroed(blocks * BLOCK),
            scales: Buffer::zeroed(blocks),
            sums: Buffer::zeroed(blocks),
            halves: Buffer::zeroed(2 * blocks),
        }
    }

    /// Bytes of memory for `rows` rows of `columns` numbers.
    pub fn bytes(rows: usize, columns: usize) -> usize {
        rows * columns.div_ceil(BLOCK) * (BLOCK + 4 + 4 + 8)
    }

    /// Rows in use.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in a row in use.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All rows.
    pub fn all(&self) -> Rows<'_> {
        let blocks = self.columns / BLOCK;
        let len = self.rows * blocks;
        Rows {
            count: self.rows,
            blocks,
            codes: &self.codes[..len * BLOCK],
            scales: &self.scales[..len],
            sums: &self.sums[..len],
            halves: &self.halves[..2 * len],
        }
    }

    /// Resizes to `rows` rows of `columns` numbers, which several threads may then write.
    pub(crate) fn writer(&mut self, rows: usize, columns: usize) -> Writer<'_> {
        assert!(columns.is_multiple_of(BLOCK), "{columns} columns are no multiple of {BLOCK}");
        assert!(rows * columns <= self.codes.len(), "no room for {rows} rows of {columns}");
        (self.rows, self.columns) = (rows, columns);
        Writer {
            blocks: columns / BLOCK,
            codes: SharedSlice::new(&mut self.codes),
            scales: SharedSlice::new(&mut self.scales),
            sums: SharedSlice::new(&mut self.sums),
            halves: SharedSlice::new(&mut self.halves),
        }
    }
}

/// Rows that several threads write, each its own blocks.
pub(crate) struct Writer<'a> {
    blocks: usize,
    codes: SharedSlice<'a, i8>,
    scales: SharedSlice<'a, f32>,
    sums: SharedSlice<'a, f32>,
    halves: SharedSlice<'a, i32>,
}

impl Writer<'_> {
    /// Blocks `first..first + count` of a row.
    ///
    /// # Safety
    /// While the slice lives, no other one of the same blocks of that row does.
    #[inline(always)]
    pub(crate) unsafe fn blocks(&self, row: usize, first: usize, count: usize) -> RowMut<'_> {
        assert!(first + count <= self.blocks, "a row has {} blocks", self.blocks);
        let at = row * self.blocks + first;
        // SAFETY: by the caller's promise; blocks of all four buffers are apart where blocks of the
        // row are.
        unsafe {
            RowMut {
                codes: self.codes.slice(at * BLOCK, count * BLOCK),
                scales: self.scales.slice(at, count),
                sums: self.sums.slice(at, count),
                halves: self.halves.slice(2 * at, 2 * count),
            }
        }
    }
}
