//! Up to 6 rows times half a tile.
//!
//! `vpmaddubsw` multiplies unsigned with signed bytes and adds neighbours into 16 bits, with
//! saturation. 4-bit codes leave room for all 8 groups of a block (8 × 2 × 15 × 127 = 30,480), and
//! 5-bit codes for 4 of them (31,496). Full bytes leave room for one group, and only as magnitudes:
//! |code − 128| ≤ 128 times ±activation, 2 × 128 × 127 = 32,512.

use std::arch::x86_64::*;

use crate::activations::Rows;
use crate::pack::{BLOCK, TILE, Tile, TileKind, for_kind_of};

/// # Safety
/// The lengths are those that `check_tile` checks.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn tile(tile: &Tile<'_>, rows: &Rows<'_>, results: &mut [[f32; TILE]]) {
    // SAFETY: the caller's promise is passed on.
    unsafe { for_kind_of!(tile, count(tile, rows, results)) }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn count<const KIND: u8>(tile: &Tile<'_>, rows: &Rows<'_>, results: &mut [[f32; TILE]]) {
    let mut first = 0;
    while first < rows.count {
        // SAFETY: the caller's promise is passed on; each call gets as many rows as its name says.
        first += unsafe {
            match rows.count - first {
                6.. => products::<KIND, 6>(tile, rows, first, results),
                4.. => products::<KIND, 4>(tile, rows, first, results),
                3.. => products::<KIND, 3>(tile, rows, first, results),
                2.. => products::<KIND, 2>(tile, rows, first, results),
                _ => products::<KIND, 1>(tile, rows, first, results),
            }
        };
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn products<const KIND: u8, const R: usize>(
    tile: &Tile<'_>,
    rows: &Rows<'_>,
    from: usize,
    results: &mut [[f32; TILE]],
) -> usize {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        half::<KIND, R>(tile, rows, from, results, 0);
        half::<KIND, R>(tile, rows, from, results, TILE / 2);
    }
    R
}

/// Outputs `first..first + 8`.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn half<const KIND: u8, const R: usize>(
    tile: &Tile<'_>,
    rows: &Rows<'_>,
    from: usize,
    results: &mut [[f32; TILE]],
    first: usize,
) {
    let kind = const { TileKind::of(KIND) };
    let (is_u4, is_half, has_min, in_two) = (kind.is_u4(), kind.is_half(), kind.has_min(), kind.groups() == 2);
    let (numbers, code_bytes) = (kind.scale_count(), kind.code_bytes());
    // SAFETY: at least R rows and results by the caller's promise; pointers stay inside the checked
    // lengths, since blocks do.
    unsafe {
        let width = rows.blocks * BLOCK;
        let all_codes = rows.codes.as_ptr().add(from * width);
        let scales = rows.scales.as_ptr().add(from * rows.blocks);
        let all_sums = rows.sums.as_ptr().add(from * rows.blocks);
        let mut sums = [_mm256_setzero_ps(); R];
        let number = |block: usize, index: usize| {
            let at = block * numbers + index * TILE + first;
            if is_half {
                _mm256_cvtph_ps(_mm_loadu_si128(tile.half.as_ptr().add(at).cast()))
            } else {
                _mm256_loadu_ps(tile.float.as_ptr().add(at))
            }
        };
        let ones = _mm256_set1_epi16(1);
        let nibble = _mm256_set1_epi8(15);
        let centre = _mm256_set1_epi8(-128);
        for block in 0..tile.blocks {
            let codes = tile.codes.as_ptr().add(block * code_bytes + first * 4);
            let input = |row: usize, group: usize| {
                let four = all_codes.add(row * width + block * BLOCK + group * 4);
                _mm256_set1_epi32(four.cast::<i32>().read_unaligned())
            };
            let own = |row: usize| _mm256_set1_ps(*scales.add(row * rows.blocks + block));
            let add = |sum: __m256, dots: __m256i, own: __m256, scale: __m256| {
                _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(dots), own), scale, sum)
            };
            if is_u4 {
                let mut short = [_mm256_setzero_si256(); R];
                for group in 0..4 {
                    let both = _mm256_loadu_si256(codes.add(group * 64).cast());
                    let low = _mm256_and_si256(both, nibble);
                    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(both), nibble);
                    for row in 0..R {
                        short[row] = _mm256_add_epi16(short[row], _mm256_maddubs_epi16(low, input(row, group)));
                        short[row] = _mm256_add_epi16(short[row], _mm256_maddubs_epi16(high, input(row, group + 4)));
                    }
                }
                let scale = number(block, 0);
                for row in 0..R {
                    sums[row] = add(sums[row], _mm256_madd_epi16(short[row], ones), own(row), scale);
                }
            } else if has_min {
                let mut dots = [_mm256_setzero_si256(); R];
                for part in 0..2 {
                    let mut short = [_mm256_setzero_si256(); R];
                    for group in part * 4..part * 4 + 4 {
                        let five = _mm256_loadu_si256(codes.add(group * 64).cast());
                        for row in 0..R {
                            short[row] = _mm256_add_epi16(short[row], _mm256_maddubs_epi16(five, input(row, group)));
                        }
                    }
                    for row in 0..R {
                        dots[row] = _mm256_add_epi32(dots[row], _mm256_madd_epi16(short[row], ones));
                    }
                }
                let scale = number(block, 0);
                for row in 0..R {
                    sums[row] = add(sums[row], dots[row], own(row), scale);
                }
            } else {
                let mut dots = [_mm256_setzero_si256(); R];
                for group in 0..8 {
                    if in_two && group == 4 {
                        let scale = number(block, 0);
                        for row in 0..R {
                            sums[row] = add(sums[row], dots[row], own(row), scale);
                            dots[row] = _mm256_setzero_si256();
                        }
                    }
                    let signed = _mm256_xor_si256(_mm256_loadu_si256(codes.add(group * 64).cast()), centre);
                    let magnitude = _mm256_abs_epi8(signed);
                    for row in 0..R {
                        let short = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(input(row, group), signed));
                        dots[row] = _mm256_add_epi32(dots[row], _mm256_madd_epi16(short, ones));
                    }
                }
                let scale = number(block, usize::from(in_two));
                for row in 0..R {
                    sums[row] = add(sums[row], dots[row], own(row), scale);
                }
            }
            if has_min {
                let min = number(block, 1);
                for row in 0..R {
                    sums[row] =
                        _mm256_fmadd_ps(_mm256_set1_ps(*all_sums.add(row * rows.blocks + block)), min, sums[row]);
                }
            }
        }
        for row in 0..R {
            _mm256_storeu_ps(results.get_unchecked_mut(from + row).as_mut_ptr().add(first), sums[row]);
        }
    }
}
