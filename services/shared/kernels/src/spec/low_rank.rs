//! Low-rank products: rows through a few numbers in between, as an adapter (`LoRA`, Hu et al. 2021)
//! changes a matrix.
//!
//! The factors are bf16 and everything else f32, so each product of a factor is added with one
//! rounding. A row's result depends on that row and the factors alone.

use super::LANES;
use super::elementwise::{fold, from_bf16};
use crate::pack::TILE;

/// The products of rows with one vector of a factor. Each has [`LANES`] partial sums over ascending
/// inputs, folded by halves. All slices have equal lengths, a multiple of [`LANES`].
#[inline(always)]
pub fn dots<const R: usize>(rows: [&[f32]; R], factor: &[u16]) -> [f32; R] {
    let mut sums = [[0.0f32; LANES]; R];
    let rows = rows.map(|row| &row[..factor.len()]);
    for (block, factor) in factor.as_chunks::<LANES>().0.iter().enumerate() {
        let mut weights = [0.0f32; LANES];
        for lane in 0..LANES {
            weights[lane] = from_bf16(factor[lane]);
        }
        for row in 0..R {
            let numbers = &rows[row][block * LANES..][..LANES];
            for lane in 0..LANES {
                sums[row][lane] = numbers[lane].mul_add(weights[lane], sums[row][lane]);
            }
        }
    }
    sums.map(fold)
}

/// Adds to the sums of a tile's outputs, row by row, the products of the numbers in between with a
/// factor: the products of ascending ranks are summed first, and their sum is added then. The
/// factor is `[ranks][16 outputs]`, and `between` has as many numbers as there are ranks.
#[inline(always)]
pub fn add_outputs<const R: usize>(between: [&[f32]; R], factor: &[u16], sums: &mut [[f32; TILE]]) {
    let mut results = [[0.0f32; TILE]; R];
    let sums = &mut sums[..R];
    let (factor, _) = factor.as_chunks::<TILE>();
    let between = between.map(|numbers| &numbers[..factor.len()]);
    for (rank, factor) in factor.iter().enumerate() {
        let mut weights = [0.0f32; TILE];
        for output in 0..TILE {
            weights[output] = from_bf16(factor[output]);
        }
        for row in 0..R {
            let number = between[row][rank];
            for output in 0..TILE {
                results[row][output] = number.mul_add(weights[output], results[row][output]);
            }
        }
    }
    for (sums, results) in sums.iter_mut().zip(&results) {
        for output in 0..TILE {
            sums[output] += results[output];
        }
    }
}
