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
    /// `[rank][inputs]`, in words of two numbers.
    a: Buffer<u32>,
    /// `[outputs / 16][rank][16]`, in words of two numbers.
    b: Buffer<u32>,
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
        let words = |factor: &[f32]| Buffer::zeroed(factor.len() / 2);
        let mut packed = Self { first, inputs, outputs, rank, scale, a: words(a), b: words(b) };
        for (at, number) in a.iter().enumerate() {
            put(&mut packed.a, at, *number);
        }
        for (output, numbers) in b.chunks_exact(rank).enumerate() {
            for (index, number) in numbers.iter().enumerate() {
                put(&mut packed.b, place(rank, output, index), *number);
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
        (0..self.rank * self.inputs).map(|at| get(&self.a, at)).collect()
    }

    /// `B` as it is computed with, `[outputs][rank]`.
    pub fn b(&self) -> Vec<f32> {
        let places = (0..self.outputs).flat_map(|output| (0..self.rank).map(move |rank| (output, rank)));
        places.map(|(output, rank)| get(&self.b, place(self.rank, output, rank))).collect()
    }

    /// One row of `A`, in words.
    pub(crate) fn row_of_a(&self, rank: usize) -> &[u32] {
        &self.a[rank * self.inputs / 2..][..self.inputs / 2]
    }

    /// `B` for the 16 outputs of the larger product from `output` on, `[rank][16]` in words; `None`
    /// where they are not among those that this product changes.
    pub(crate) fn tile_of_b(&self, output: usize) -> Option<&[u32]> {
        let own = output.checked_sub(self.first).filter(|own| *own < self.outputs)?;
        let words = self.rank * TILE / 2;
        Some(&self.b[own / TILE * words..][..words])
    }
}

/// The word of a number, and the bit of the word that it begins at: of each 16 neighbours, the
/// first eight are in the low halves of eight words, so that eight words are unpacked at once.
fn word(at: usize) -> (usize, u32) {
    const HALF: usize = LANES / 2;
    let lane = at % LANES;
    (at / LANES * HALF + lane % HALF, if lane < HALF { 0 } else { 16 })
}

fn put(words: &mut [u32], at: usize, number: f32) {
    let (index, bit) = word(at);
    words[index] |= u32::from(to_bf16(number)) << bit;
}

fn get(words: &[u32], at: usize) -> f32 {
    let (index, bit) = word(at);
    from_bf16((words[index] >> bit) as u16)
}

fn place(rank: usize, output: usize, index: usize) -> usize {
    (output / TILE * rank + index) * TILE + output % TILE
}

#[cfg(test)]
mod tests;
