//! The factors of low-rank products in memory.

use thiserror::Error;

use crate::memory::Buffer;
use crate::pack::TILE;
use crate::spec::LANES;
use crate::spec::elementwise::{from_bf16, to_bf16};

/// The most numbers in between of one product.
pub const MAX_RANK: usize = 512;

/// Why factors cannot be packed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LowRankError {
    /// No rank, or one that is too large.
    #[error("a rank of {0} cannot be computed: it must be 1 to {MAX_RANK}")]
    Rank(usize),
    /// The kernels compute 16 numbers at a time.
    #[error("{inputs} inputs and {outputs} outputs from {first} on cannot be computed: each must be a multiple of 16")]
    Shape {
        /// Inputs.
        inputs: usize,
        /// The first output.
        first: usize,
        /// Outputs.
        outputs: usize,
    },
    /// A factor is not of the shape that was said.
    #[error("a factor has {found} numbers instead of {needed}")]
    Size {
        /// Numbers that the shape needs.
        needed: usize,
        /// Numbers that there are.
        found: usize,
    },
    /// Infinity, no number, or a number that bf16 cannot hold.
    #[error("a factor holds a number that is not finite")]
    NotFinite,
}

/// A product with a matrix of low rank: `scale × B × (A × row)`, added to some outputs of a larger
/// product. `A` is `[rank][inputs]` and `B` `[outputs][rank]`, both rounded to bf16.
#[derive(Debug)]
pub struct LowRank {
    first: usize,
    inputs: usize,
    outputs: usize,
    rank: usize,
    scale: f32,
    /// `[rank][inputs]`
    a: Buffer<u16>,
    /// `[outputs / 16][rank][16]`
    b: Buffer<u16>,
}

/// The shape of a [`LowRank`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LowRankShape {
    /// The first output of the larger product that it is added to.
    pub first: usize,
    /// Inputs.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
    /// Numbers in between.
    pub rank: usize,
}

impl LowRankShape {
    /// Bytes of the packed factors.
    pub fn bytes(self) -> usize {
        self.rank.saturating_mul(self.inputs.saturating_add(self.outputs)).saturating_mul(size_of::<u16>())
    }
}

impl LowRank {
    /// Packs `a`, `[rank][inputs]`, and `b`, `[outputs][rank]`.
    ///
    /// # Errors
    /// A shape that the kernels cannot compute, factors of another shape, numbers that are not
    /// finite.
    pub fn pack(shape: LowRankShape, scale: f32, a: &[f32], b: &[f32]) -> Result<Self, LowRankError> {
        let LowRankShape { first, inputs, outputs, rank } = shape;
        if rank == 0 || rank > MAX_RANK {
            return Err(LowRankError::Rank(rank));
        }
        let fits = inputs > 0 && outputs > 0 && inputs.is_multiple_of(LANES);
        if !fits || !first.is_multiple_of(TILE) || !outputs.is_multiple_of(TILE) {
            return Err(LowRankError::Shape { inputs, first, outputs });
        }
        for (factor, size) in [(a, inputs), (b, outputs)] {
            let needed = rank.saturating_mul(size);
            if factor.len() != needed {
                return Err(LowRankError::Size { needed, found: factor.len() });
            }
        }
        // Numbers between the largest of bf16 and the largest of f32 round to infinity.
        let is_sound = |number: &f32| number.is_finite() && from_bf16(to_bf16(*number)).is_finite();
        if !scale.is_finite() || !a.iter().chain(b).all(is_sound) {
            return Err(LowRankError::NotFinite);
        }
        let mut packed =
            Self { first, inputs, outputs, rank, scale, a: Buffer::zeroed(a.len()), b: Buffer::zeroed(b.len()) };
        for (bits, number) in packed.a.iter_mut().zip(a) {
            *bits = to_bf16(*number);
        }
        for (output, numbers) in b.chunks_exact(rank).enumerate() {
            for (index, number) in numbers.iter().enumerate() {
                packed.b[place(rank, output, index)] = to_bf16(*number);
            }
        }
        Ok(packed)
    }

    /// The shape.
    pub fn shape(&self) -> LowRankShape {
        let Self { first, inputs, outputs, rank, .. } = *self;
        LowRankShape { first, inputs, outputs, rank }
    }

    /// The factor of the result.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// `A` as it is computed with, `[rank][inputs]`.
    pub fn a(&self) -> Vec<f32> {
        self.a.iter().map(|bits| from_bf16(*bits)).collect()
    }

    /// `B` as it is computed with, `[outputs][rank]`.
    pub fn b(&self) -> Vec<f32> {
        let places = (0..self.outputs).flat_map(|output| (0..self.rank).map(move |rank| (output, rank)));
        places.map(|(output, rank)| from_bf16(self.b[place(self.rank, output, rank)])).collect()
    }

    /// One row of `A`.
    pub(crate) fn row_of_a(&self, rank: usize) -> &[u16] {
        &self.a[rank * self.inputs..][..self.inputs]
    }

    /// `B` for the 16 outputs of the larger product from `output` on, `[rank][16]`; `None` where
    /// they are not among those that this product changes.
    pub(crate) fn tile_of_b(&self, output: usize) -> Option<&[u16]> {
        let own = output.checked_sub(self.first).filter(|own| *own < self.outputs)?;
        Some(&self.b[own / TILE * self.rank * TILE..][..self.rank * TILE])
    }
}

fn place(rank: usize, output: usize, index: usize) -> usize {
    (output / TILE * rank + index) * TILE + output % TILE
}

#[cfg(test)]
mod tests;
