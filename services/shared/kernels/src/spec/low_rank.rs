//! Low-rank products: rows through a few numbers in between, as an adapter (`LoRA`, Hu et al. 2021)
//! changes a matrix.
//!
//! The factors are bf16 and everything else f32, so each product of a factor is added with one
//! rounding. A row's result depends on that row and the factors alone.

use super::LANES;
use super::elementwise::fold;
use crate::pack::{BLOCK, TILE};

const _: () = assert!(TILE == LANES, "a tile's outputs are unpacked like the inputs of a long sum");

/// The 16 numbers of eight words: the first eight are in the low halves.
#[inline(always)]
fn unpacked(words: &[u32; LANES / 2]) -> [f32; LANES] {
    let mut numbers = [0.0f32; LANES];
    for lane in 0..LANES / 2 {
        numbers[lane] = f32::from_bits(words[lane] << 16);
        numbers[LANES / 2 + lane] = f32::from_bits(words[lane] & 0xffff_0000);
    }
    numbers
}

/// The numbers of 32 codes with a common scale.
#[inline(always)]
pub fn numbers(codes: &[i8; BLOCK], scale: f32, numbers: &mut [f32; BLOCK]) {
    for (number, code) in numbers.iter_mut().zip(codes) {
        *number = f32::from(*code) * scale;
    }
}

/// The products of rows with one vector of a factor. Each has [`LANES`] partial sums over ascending
/// inputs, folded by halves. All rows have as many numbers as the factor's words hold, a multiple
/// of [`LANES`].
#[inline(always)]
pub fn dots<const R: usize>(rows: [&[f32]; R], factor: &[u32]) -> [f32; R] {
    let mut sums = [[0.0f32; LANES]; R];
    let (factor, _) = factor.as_chunks::<{ LANES / 2 }>();
    let rows = rows.map(|row| &row.as_chunks::<LANES>().0[..factor.len()]);
    for (block, words) in factor.iter().enumerate() {
        let weights = unpacked(words);
        for row in 0..R {
            let numbers = &rows[row][block];
            for lane in 0..LANES {
                sums[row][lane] = numbers[lane].mul_add(weights[lane], sums[row][lane]);
            }
        }
    }
    let mut results = [0.0; R];
    for row in 0..R {
        results[row] = fold(sums[row]);
    }
    results
}

/// Adds to the sums of a tile's outputs, row by row, the products of the numbers in between with a
/// factor: the products of ascending ranks are summed first, and their sum is added then. The
/// factor is `[ranks][16 outputs]` in words, and `between` has as many numbers as there are ranks.
#[inline(always)]
pub fn add_outputs<const R: usize>(between: [&[f32]; R], factor: &[u32], sums: &mut [[f32; TILE]]) {
    let mut results = [[0.0f32; TILE]; R];
    let sums = &mut sums[..R];
    let (factor, _) = factor.as_chunks::<{ TILE / 2 }>();
    let between = between.map(|numbers| &numbers[..factor.len()]);
    for (rank, words) in factor.iter().enumerate() {
        let weights = unpacked(words);
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
