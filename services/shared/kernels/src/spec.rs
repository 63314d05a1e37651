//! The portable, safe definition of every kernel's bits.
//!
//! Every result of a kernel is written here once, in plain Rust, down to the order of its
//! additions. The instruction sets may only be faster, never different. Two products take nearly
//! all the time and have versions of their own, [`Dots::tile`] and [`Dots::panel`], as have the
//! products of adapters, of which the compiler makes slow code. Everything else is this very code,
//! compiled once more for each instruction set by [`Dots::with`]: Rust neither reorders nor
//! contracts floating-point operations, so its bits cannot change.
//!
//! The rules that keep a token's bits independent of its neighbours:
//! - a row of activations is rounded by itself, a scale for each 32 numbers;
//! - inputs are added in one fixed ascending order, whatever the number of rows or outputs computed
//!   together;
//! - keys and values are rounded and written to the pool first, and attention reads only the pool;
//! - attention makes one partial result for each 256 keys, counted from position 0, and folds them
//!   in ascending order;
//! - a sum over many numbers has [`LANES`] partial sums, folded by halves;
//! - no approximate reciprocal, no function of the system's mathematical library.

pub mod attention;
pub mod elementwise;
pub mod linear;
pub mod low_rank;

use crate::activations::Rows;
use crate::pack::{BLOCK, TILE, Tile};

/// Partial sums of a long sum.
pub const LANES: usize = 16;
/// The most rows that one call of [`Dots::tile`] or [`Dots::panel`] computes.
pub const ROWS: usize = 12;
/// Columns of a [`Panel`]: tokens of a block of keys, or a slice of the head for a block of values.
pub const PANEL: usize = 32;

/// A matrix of pairs of bf16 numbers, `[pairs][32 columns][2]`: a block of keys (a pair is two
/// neighbouring numbers of the head, a column is a token), or a slice of a block of values (a pair
/// is two neighbouring tokens).
pub type Panel<'a> = &'a [u16];

/// Work that is compiled once more for each instruction set: see [`Dots::with`].
///
/// This is no closure, since the compiler may leave a closure out of line. What is not inlined is
/// compiled for the least processor, on which each fused multiplication is a call of a function,
/// twenty times as slow.
pub trait Work {
    /// What comes of it.
    type Output;
    /// Does the work. Every implementation and all that it calls are `inline(always)`.
    fn run(self) -> Self::Output;
}

/// The products that instruction sets are good at.
pub trait Dots: Copy + Send + Sync + 'static {
    /// Products of 16 outputs' weights with each of up to [`ROWS`] rows: `results[i]` belongs to
    /// row `i`.
    ///
    /// For each block of 32 inputs, in ascending order: the integer dot product of the codes
    /// (exact) is multiplied by the row's scale, and this times the weights' scale is added with
    /// one rounding. Then the row's sum times the weights' min is added with one rounding.
    fn tile(self, tile: &Tile<'_>, rows: &Rows<'_>, results: &mut [[f32; TILE]]);

    /// Products of rows of bf16 pairs with panels that stand one below the other, `per_panel` pairs
    /// each. For each pair in ascending order, first the odd then the even number's product is
    /// added with one rounding, as `vdpbf16ps` does. The first `pairs` pairs count. `ahead` are
    /// panels that will be needed soon.
    ///
    /// A product of two bf16 numbers is exact in f32, and [`elementwise::to_bf16`] makes none so
    /// small that a sum of products could be subnormal. So the bits are the same whether the
    /// addition is fused or not, and whether it flushes subnormal numbers or not.
    fn panel(self, rows: &PairRows<'_>, panels: &[Panel<'_>], ahead: &[Panel<'_>], results: &mut [[f32; PANEL]]);

    /// As [`low_rank::numbers`].
    #[inline(always)]
    fn numbers(self, codes: &[i8; BLOCK], scale: f32, numbers: &mut [f32; BLOCK]) {
        low_rank::numbers(codes, scale, numbers);
    }

    /// As [`low_rank::dots`].
    #[inline(always)]
    fn low_rank_dots<const R: usize>(self, rows: [&[f32]; R], factor: &[u32]) -> [f32; R] {
        low_rank::dots(rows, factor)
    }

    /// As [`low_rank::add_outputs`].
    #[inline(always)]
    fn add_low_rank<const R: usize>(self, between: [&[f32]; R], factor: &[u32], sums: &mut [[f32; TILE]]) {
        low_rank::add_outputs(between, factor, sums);
    }

    /// Runs `work`, compiled for this instruction set.
    fn with<W: Work>(self, work: W) -> W::Output;
}

/// Rows of bf16 pairs, the even number of a pair in the low half.
#[derive(Debug, Clone, Copy)]
pub struct PairRows<'a> {
    /// The pairs of all rows.
    pub words: &'a [u32],
    /// Words from one row to the next.
    pub stride: usize,
    /// Rows, at most [`ROWS`].
    pub count: usize,
    /// Pairs of a row.
    pub pairs: usize,
    /// Pairs in each panel.
    pub per_panel: usize,
}

impl PairRows<'_> {
    /// Panics where a product would read or write outside; kernels rely on it.
    #[inline(always)]
    pub(crate) fn check(&self, panels: &[Panel<'_>], results: &[[f32; PANEL]]) {
        assert!(self.count >= 1 && self.count <= ROWS && results.len() >= self.count, "{} rows", self.count);
        // Saturated: a product that wraps would let a row end outside.
        let last = (self.count - 1).saturating_mul(self.stride).saturating_add(self.pairs);
        assert!(last <= self.words.len(), "rows end before their last pair");
        for panel in panels {
            assert!(panel.len() / (2 * PANEL) >= self.per_panel, "a panel is too short");
        }
        assert!(self.per_panel > 0 && self.pairs <= panels.len() * self.per_panel, "{} pairs", self.pairs);
    }
}

/// Panics where a product would read or write outside; kernels rely on it.
#[inline(always)]
pub(crate) fn check_tile(tile: &Tile<'_>, rows: &Rows<'_>, results: &[[f32; TILE]]) {
    let blocks = tile.blocks;
    assert!(rows.count >= 1 && rows.count <= ROWS && results.len() >= rows.count, "{} rows", rows.count);
    assert!(tile.codes.len() >= blocks * tile.kind.code_bytes(), "a tile's codes are too short");
    let scales = if tile.kind.is_half() { tile.half.len() } else { tile.float.len() };
    assert!(scales >= blocks * tile.kind.scale_count(), "a tile's scales are too short");
    rows.check(blocks);
}

/// Plain Rust: the definition itself.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

impl Dots for Portable {
    fn tile(self, tile: &Tile<'_>, rows: &Rows<'_>, results: &mut [[f32; TILE]]) {
        check_tile(tile, rows, results);
        for (row, result) in results.iter_mut().take(rows.count).enumerate() {
            *result = linear::tile(tile, &rows.row(row));
        }
    }

    fn panel(self, rows: &PairRows<'_>, panels: &[Panel<'_>], _: &[Panel<'_>], results: &mut [[f32; PANEL]]) {
        rows.check(panels, results);
        for (index, result) in results.iter_mut().take(rows.count).enumerate() {
            *result = attention::panel(&rows.words[index * rows.stride..][..rows.pairs], panels, rows.per_panel);
        }
    }

    #[inline(always)]
    fn with<W: Work>(self, work: W) -> W::Output {
        work.run()
    }
}
