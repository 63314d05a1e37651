//! Low-rank products: half of 16 numbers in a register.

use std::arch::x86_64::*;

use crate::pack::TILE;
use crate::spec::LANES;

const HALF: usize = LANES / 2;

/// The 16 numbers of eight words: the first eight are in the low halves.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn unpacked(words: &[u32; HALF]) -> [__m256; 2] {
    // SAFETY: eight words are read.
    let words = unsafe { _mm256_loadu_si256(words.as_ptr().cast()) };
    let upper = _mm256_set1_epi32(0xffff_0000_u32 as i32);
    [_mm256_castsi256_ps(_mm256_slli_epi32::<16>(words)), _mm256_castsi256_ps(_mm256_and_si256(words, upper))]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn loaded(numbers: &[f32; LANES]) -> [__m256; 2] {
    // SAFETY: 16 numbers are read.
    unsafe { [_mm256_loadu_ps(numbers.as_ptr()), _mm256_loadu_ps(numbers.as_ptr().add(HALF))] }
}

/// The sum of 16 lanes, folded by halves.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn fold([first, second]: [__m256; 2]) -> f32 {
    let eight = _mm256_add_ps(first, second);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

/// As [`crate::spec::low_rank::dots`].
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn dots<const R: usize>(rows: [&[f32]; R], factor: &[u32]) -> [f32; R] {
    let (factor, _) = factor.as_chunks::<HALF>();
    let mut blocks: [&[[f32; LANES]]; R] = [&[]; R];
    for row in 0..R {
        blocks[row] = &rows[row].as_chunks().0[..factor.len()];
    }
    let mut sums = [[_mm256_setzero_ps(); 2]; R];
    for (block, words) in factor.iter().enumerate() {
        let weights = unpacked(words);
        for row in 0..R {
            let numbers = loaded(&blocks[row][block]);
            for half in 0..2 {
                sums[row][half] = _mm256_fmadd_ps(numbers[half], weights[half], sums[row][half]);
            }
        }
    }
    let mut results = [0.0; R];
    for row in 0..R {
        results[row] = fold(sums[row]);
    }
    results
}

/// As [`crate::spec::low_rank::add_outputs`].
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn add_outputs<const R: usize>(between: [&[f32]; R], factor: &[u32], sums: &mut [[f32; TILE]]) {
    let (factor, _) = factor.as_chunks::<HALF>();
    let mut numbers: [&[f32]; R] = [&[]; R];
    for row in 0..R {
        numbers[row] = &between[row][..factor.len()];
    }
    let mut results = [[_mm256_setzero_ps(); 2]; R];
    for (rank, words) in factor.iter().enumerate() {
        let weights = unpacked(words);
        for row in 0..R {
            let number = _mm256_set1_ps(numbers[row][rank]);
            for half in 0..2 {
                results[row][half] = _mm256_fmadd_ps(number, weights[half], results[row][half]);
            }
        }
    }
    for (sums, results) in sums[..R].iter_mut().zip(&results) {
        let before = loaded(sums);
        for half in 0..2 {
            // SAFETY: eight of 16 numbers are written.
            unsafe {
                _mm256_storeu_ps(sums.as_mut_ptr().add(half * HALF), _mm256_add_ps(before[half], results[half]));
            }
        }
    }
}

/// As [`crate::spec::low_rank::numbers`].
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn numbers(codes: &[i8; 2 * LANES], scale: f32, numbers: &mut [f32; 2 * LANES]) {
    let scale = _mm256_set1_ps(scale);
    for part in 0..4 {
        // SAFETY: eight of 32 codes are read, eight of 32 numbers are written.
        unsafe {
            let codes = _mm_loadl_epi64(codes.as_ptr().add(part * HALF).cast());
            let whole = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes));
            _mm256_storeu_ps(numbers.as_mut_ptr().add(part * HALF), _mm256_mul_ps(whole, scale));
        }
    }
}
