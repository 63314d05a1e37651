//! Up to 12 rows times a tile: one accumulator a row, and one for its block's integers, so that 24
//! of 32 registers are sums.

use std::arch::x86_64::*;

use crate::activations::Rows;
use crate::pack::{BLOCK, TILE, Tile, TileKind, for_kind_of};

/// # Safety
/// The lengths are those that `check_tile` checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c")]
pub(super) unsafe fn tile(tile: &Tile<'_>, rows: &Rows<'_>, results: &mut [[f32; TILE]]) {
    // SAFETY: the caller's promise is passed on.
    unsafe { for_kind_of!(tile, count(tile, rows, results)) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c")]
unsafe fn count<const KIND: u8>(tile: &Tile<'_>, rows: &Rows<'_>, results: &mut [[f32; TILE]]) {
    let mut first = 0;
    while first < rows.count {
        // SAFETY: the caller's promise is passed on; each call gets as many rows as its name says.
        first += unsafe {
            match rows.count - first {
                12.. => products::<KIND, 12>(tile, rows, first, results),
                8.. => products::<KIND, 8>(tile, rows, first, results),
                6.. => products::<KIND, 6>(tile, rows, first, results),
                4.. => products::<KIND, 4>(tile, rows, first, results),
                3.. => products::<KIND, 3>(tile, rows, first, results),
                2.. => products::<KIND, 2>(tile, rows, first, results),
                _ => products::<KIND, 1>(tile, rows, first, results),
            }
        };
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c")]
unsafe fn products<const KIND: u8, const R: usize>(
    tile: &Tile<'_>,
    rows: &Rows<'_>,
    from: usize,
    results: &mut [[f32; TILE]],
) -> usize {
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
        let all_halves = rows.halves.as_ptr().add(2 * from * rows.blocks);
        let mut sums = [_mm512_setzero_ps(); R];
        let number = |block: usize, index: usize| {
            let at = block * numbers + index * TILE;
            if is_half {
                _mm512_cvtph_ps(_mm256_loadu_si256(tile.half.as_ptr().add(at).cast()))
            } else {
                _mm512_loadu_ps(tile.float.as_ptr().add(at))
            }
        };
        let nibble = _mm512_set1_epi8(15);
        for block in 0..tile.blocks {
            let codes = tile.codes.as_ptr().add(block * code_bytes);
            let mut dots = [_mm512_setzero_si512(); R];
            let input = |row: usize, group: usize| {
                let four = all_codes.add(row * width + block * BLOCK + group * 4);
                _mm512_set1_epi32(four.cast::<i32>().read_unaligned())
            };
            if is_u4 {
                for group in 0..4 {
                    let both = _mm512_loadu_si512(codes.add(group * 64).cast());
                    let low = _mm512_and_si512(both, nibble);
                    let high = _mm512_and_si512(_mm512_srli_epi16::<4>(both), nibble);
                    for row in 0..R {
                        dots[row] = _mm512_dpbusd_epi32(dots[row], low, input(row, group));
                    }
                    for row in 0..R {
                        dots[row] = _mm512_dpbusd_epi32(dots[row], high, input(row, group + 4));
                    }
                }
            } else {
                let halves = |row: usize, half: usize| *all_halves.add(2 * (row * rows.blocks + block) + half);
                for row in 0..R {
                    if in_two {
                        dots[row] = _mm512_set1_epi32(-128 * halves(row, 0));
                    } else if !has_min {
                        dots[row] = _mm512_set1_epi32(-128 * (halves(row, 0) + halves(row, 1)));
                    }
                }
                for group in 0..8 {
                    if in_two && group == 4 {
                        let scale = number(block, 0);
                        for row in 0..R {
                            let own = _mm512_set1_ps(*scales.add(row * rows.blocks + block));
                            sums[row] =
                                _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(dots[row]), own), scale, sums[row]);
                            dots[row] = _mm512_set1_epi32(-128 * halves(row, 1));
                        }
                    }
                    let eight = _mm512_loadu_si512(codes.add(group * 64).cast());
                    for row in 0..R {
                        dots[row] = _mm512_dpbusd_epi32(dots[row], eight, input(row, group));
                    }
                }
            }
            let scale = number(block, usize::from(in_two));
            for row in 0..R {
                let own = _mm512_set1_ps(*scales.add(row * rows.blocks + block));
                sums[row] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(dots[row]), own), scale, sums[row]);
            }
            if has_min {
                let min = number(block, 1);
                for row in 0..R {
                    let own = _mm512_set1_ps(*all_sums.add(row * rows.blocks + block));
                    sums[row] = _mm512_fmadd_ps(own, min, sums[row]);
                }
            }
        }
        for row in 0..R {
            _mm512_storeu_ps(results.get_unchecked_mut(from + row).as_mut_ptr(), sums[row]);
        }
    }
    R
}
