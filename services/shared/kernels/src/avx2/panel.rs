//! Up to 4 rows of bf16 pairs times half a panel: a bf16 number is the upper half of an f32.

use std::arch::x86_64::*;

use crate::spec::{PANEL, PairRows, Panel};

/// # Safety
/// The lengths are those that `PairRows::check` checks.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn panel(rows: &PairRows<'_>, panels: &[Panel<'_>], results: &mut [[f32; PANEL]]) {
    let mut row = 0;
    while row < rows.count {
        // SAFETY: the caller's promise is passed on; rows `row..row + R` are below the count.
        unsafe {
            row += match rows.count - row {
                4.. => products::<4>(rows, row, panels, results),
                3 => products::<3>(rows, row, panels, results),
                2 => products::<2>(rows, row, panels, results),
                _ => products::<1>(rows, row, panels, results),
            };
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn products<const R: usize>(
    rows: &PairRows<'_>,
    from: usize,
    panels: &[Panel<'_>],
    results: &mut [[f32; PANEL]],
) -> usize {
    // SAFETY: rows of `pairs` words and panels of `per_panel` pairs that together hold as many, by
    // the caller's promise.
    unsafe {
        let words = rows.words.as_ptr().add(from * rows.stride);
        let upper = _mm256_set1_epi32(0xffff_0000_u32 as i32);
        for column in [0, PANEL / 2] {
            let mut sums = [[_mm256_setzero_ps(); 2]; R];
            let mut done = 0;
            for panel in panels {
                let count = rows.per_panel.min(rows.pairs - done);
                for pair in 0..count {
                    let numbers = panel.as_ptr().add((pair * PANEL + column) * 2);
                    let first = _mm256_loadu_si256(numbers.cast());
                    let second = _mm256_loadu_si256(numbers.add(16).cast());
                    let odd = [_mm256_and_si256(first, upper), _mm256_and_si256(second, upper)]
                        .map(|x| _mm256_castsi256_ps(x));
                    let even = [_mm256_slli_epi32::<16>(first), _mm256_slli_epi32::<16>(second)]
                        .map(|x| _mm256_castsi256_ps(x));
                    for row in 0..R {
                        let word = _mm256_set1_epi32(*words.add(row * rows.stride + done + pair) as i32);
                        let own_odd = _mm256_castsi256_ps(_mm256_and_si256(word, upper));
                        let own_even = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(word));
                        for half in 0..2 {
                            sums[row][half] = _mm256_fmadd_ps(odd[half], own_odd, sums[row][half]);
                            sums[row][half] = _mm256_fmadd_ps(even[half], own_even, sums[row][half]);
                        }
                    }
                }
                done += count;
            }
            for row in 0..R {
                let result = results.get_unchecked_mut(from + row).as_mut_ptr().add(column);
                _mm256_storeu_ps(result, sums[row][0]);
                _mm256_storeu_ps(result.add(8), sums[row][1]);
            }
        }
    }
    R
}
