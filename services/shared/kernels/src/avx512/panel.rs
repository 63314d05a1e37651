//! Up to 12 rows of bf16 pairs times panels: two accumulators a row.

use std::arch::x86_64::*;

use crate::spec::{PANEL, PairRows, Panel};

/// # Safety
/// The lengths are those that `PairRows::check` checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
pub(super) unsafe fn panel(
    rows: &PairRows<'_>,
    panels: &[Panel<'_>],
    ahead: &[Panel<'_>],
    results: &mut [[f32; PANEL]],
) {
    // SAFETY: the caller's promise is passed on; each call gets as many rows as its name says.
    unsafe {
        match rows.count {
            1 => products::<1>(rows, panels, ahead, results),
            2 => products::<2>(rows, panels, ahead, results),
            3 => products::<3>(rows, panels, ahead, results),
            4 => products::<4>(rows, panels, ahead, results),
            5 => products::<5>(rows, panels, ahead, results),
            6 => products::<6>(rows, panels, ahead, results),
            7 => products::<7>(rows, panels, ahead, results),
            8 => products::<8>(rows, panels, ahead, results),
            9 => products::<9>(rows, panels, ahead, results),
            10 => products::<10>(rows, panels, ahead, results),
            11 => products::<11>(rows, panels, ahead, results),
            _ => products::<12>(rows, panels, ahead, results),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")]
unsafe fn products<const R: usize>(
    rows: &PairRows<'_>,
    panels: &[Panel<'_>],
    ahead: &[Panel<'_>],
    results: &mut [[f32; PANEL]],
) {
    // Only few rows need the prefetch: with many, the products take longer than the loading of a
    // panel.
    let ask_ahead = R <= 4;
    // SAFETY: `R` rows of `pairs` words, and panels of `per_panel` pairs that together hold as
    // many, by the caller's promise. Prefetches read nothing.
    unsafe {
        let words = rows.words.as_ptr();
        let mut sums = [[_mm512_setzero_ps(); 2]; R];
        let mut done = 0;
        for (index, panel) in panels.iter().enumerate() {
            let count = rows.per_panel.min(rows.pairs - done);
            let next = ahead.get(index).map_or(panel.as_ptr(), |next| next.as_ptr());
            for pair in 0..count {
                let numbers = panel.as_ptr().add(pair * 2 * PANEL);
                if ask_ahead {
                    let far = next.wrapping_add(pair * 2 * PANEL).cast::<i8>();
                    _mm_prefetch::<_MM_HINT_T0>(far);
                    _mm_prefetch::<_MM_HINT_T0>(far.wrapping_add(64));
                }
                let first = _mm512_loadu_si512(numbers.cast());
                let second = _mm512_loadu_si512(numbers.add(PANEL).cast());
                for row in 0..R {
                    let word = _mm512_set1_epi32(*words.add(row * rows.stride + done + pair) as i32);
                    sums[row][0] = product(sums[row][0], first, word);
                    sums[row][1] = product(sums[row][1], second, word);
                }
            }
            done += count;
        }
        for row in 0..R {
            let result = results.get_unchecked_mut(row).as_mut_ptr();
            _mm512_storeu_ps(result, sums[row][0]);
            _mm512_storeu_ps(result.add(16), sums[row][1]);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn product(sum: __m512, numbers: __m512i, word: __m512i) -> __m512 {
    // SAFETY: bf16 vectors are 512 bits of any value, as integer vectors are.
    let (numbers, word) =
        unsafe { (std::mem::transmute::<__m512i, __m512bh>(numbers), std::mem::transmute::<__m512i, __m512bh>(word)) };
    _mm512_dpbf16_ps(sum, numbers, word)
}
