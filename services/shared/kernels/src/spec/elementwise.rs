//! Operations on single numbers and on rows.

use super::LANES;
use crate::activations::RowMut;
use crate::pack::BLOCK;

/// The smallest magnitude that [`to_bf16`] keeps, 2⁻⁵⁰. The last bits of two such numbers are worth
/// 2⁻⁵⁷, those of their product 2⁻¹¹⁴. So every sum of products is a multiple of 2⁻¹¹⁴ or 0, and
/// none is subnormal (below 2⁻¹²⁶).
pub const MIN_BF16: f32 = 8.881_784e-16;
/// Bits of 2⁻¹⁰⁰. Blocks whose largest magnitude is not above it are rounded to 0: the reciprocal
/// of their scale would be infinite.
const MIN_SCALED_BITS: u32 = (127 - 100) << 23;

/// 1.5 × 2²³: a number added to it is rounded to the nearest whole number, ties to even, in the
/// last bits.
const ROUNDER: f32 = 12_582_912.0;
const ROUNDER_BITS: i32 = 0x4B40_0000;

/// The sum of lanes, folded by halves.
#[inline(always)]
pub fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// The largest lane. Lanes that are no numbers do not count here; kernels notice them where they
/// use them.
#[inline(always)]
pub fn fold_max(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = larger(lanes[lane + half], lanes[lane]);
        }
        half /= 2;
    }
    lanes[0]
}

/// `a` where it is larger, else `b`.
#[inline(always)]
pub fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// e to the power of `x`, between e⁻⁸⁷ and e⁸⁸, off by less than 2 units in the last place.
/// Computed as 2ⁿ × a polynomial of degree 6 (the Taylor series of the remainder, which is at most
/// ln 2 / 2).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUNDER);
    let whole = rounded - ROUNDER;
    // ln 2 in two parts, the first with few enough bits that its product is exact.
    let rest = whole.mul_add(-0.693_145_75, x);
    let rest = whole.mul_add(-1.428_606_8e-6, rest);
    let mut sum = 1.0 / 720.0;
    for term in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0f32] {
        sum = rest.mul_add(sum, term);
    }
    let power = (rounded.to_bits() as i32).wrapping_sub(ROUNDER_BITS).wrapping_add(127) << 23;
    sum * f32::from_bits(power as u32)
}

/// `x` as bf16, rounded to nearest, ties to even; 0 where it is smaller than [`MIN_BF16`].
#[inline(always)]
pub fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.abs() < MIN_BF16 { 0 } else { rounded as u16 }
}

/// A bf16 number as f32.
#[inline(always)]
pub fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Root-mean-square norm: `x / √(mean(x²) + epsilon) × gain`. The width is a multiple of [`LANES`].
#[inline(always)]
pub fn norm(row: &[f32], gain: &[f32], epsilon: f32, result: &mut [f32]) {
    let mut lanes = [0.0f32; LANES];
    for numbers in row.chunks_exact(LANES) {
        for lane in 0..LANES {
            lanes[lane] = numbers[lane].mul_add(numbers[lane], lanes[lane]);
        }
    }
    let scale = 1.0 / (fold(lanes) / row.len() as f32 + epsilon).sqrt();
    for ((result, number), gain) in result.iter_mut().zip(row).zip(gain) {
        *result = number * scale * gain;
    }
}

/// Rounds 32 numbers to 8 bits with a common scale, and sums the rounded numbers. If one of the
/// numbers is no number, the scale is none either.
#[inline(always)]
pub fn quantise_block(numbers: &[f32; BLOCK], codes: &mut [i8; BLOCK], block: usize, row: &mut RowMut<'_>) {
    let mut largest = [0u32; LANES];
    for lane in 0..LANES {
        let bits = |at: usize| numbers[at].to_bits() & 0x7fff_ffff;
        largest[lane] = bits(lane).max(bits(lane + LANES));
    }
    let largest = largest.into_iter().fold(0, u32::max);
    let scaled = largest > MIN_SCALED_BITS;
    let scale = if scaled { f32::from_bits(largest) / 127.0 } else { 0.0 };
    let inverse = if scaled { 1.0 / scale } else { 0.0 };
    let mut whole = [0i32; BLOCK];
    for (whole, number) in whole.iter_mut().zip(numbers) {
        // Beyond 127 only where the scale is no number; the kernels' integer sums rely on the
        // bound.
        *whole = ((number * inverse + ROUNDER).to_bits() as i32).wrapping_sub(ROUNDER_BITS).clamp(-127, 127);
    }
    for (code, whole) in codes.iter_mut().zip(whole) {
        *code = whole as i8;
    }
    let sum = |half: &[i32]| half.iter().sum::<i32>();
    let (first, second) = (sum(&whole[..BLOCK / 2]), sum(&whole[BLOCK / 2..]));
    row.scales[block] = scale;
    row.sums[block] = scale * (first + second) as f32;
    row.halves[2 * block] = first;
    row.halves[2 * block + 1] = second;
}

/// Rounds a row, block by block.
#[inline(always)]
pub fn quantise(numbers: &[f32], row: &mut RowMut<'_>) {
    let codes = std::mem::take(&mut row.codes);
    for (block, (numbers, codes)) in numbers.as_chunks().0.iter().zip(codes.as_chunks_mut().0).enumerate() {
        quantise_block(numbers, codes, block, row);
    }
}

/// `silu(gate) × up`, where silu(x) = x / (1 + e⁻ˣ).
#[inline(always)]
pub fn silu_times(gate: f32, up: f32) -> f32 {
    gate / (1.0 + exp(-gate)) * up
}

/// Rotates a head's neighbouring pairs by the position's angles (Su et al. 2021, `RoFormer`; pairs
/// side by side, as GGUF stores llama heads), scales the result, and writes it as bf16 pairs.
#[inline(always)]
pub fn rotate(head: &[f32], cosines: &[f32], sines: &[f32], scale: f32, pairs: &mut [u32]) {
    for (((pair, numbers), cosine), sine) in pairs.iter_mut().zip(head.as_chunks::<2>().0).zip(cosines).zip(sines) {
        let [first, second] = *numbers;
        let turned = [first * cosine - second * sine, first * sine + second * cosine];
        *pair = u32::from(to_bf16(turned[0] * scale)) | u32::from(to_bf16(turned[1] * scale)) << 16;
    }
}

/// The likeliest of some logits (the first of equals) and its log-probability; not finite where a
/// logit is no number.
#[inline(always)]
pub fn choose(logits: &[f32]) -> (u32, f32) {
    let (wide, rest) = logits.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for numbers in wide {
        for lane in 0..LANES {
            lanes[lane] = larger(numbers[lane], lanes[lane]);
        }
    }
    let largest = rest.iter().fold(fold_max(lanes), |largest, logit| larger(*logit, largest));
    let mut sums = [0.0f32; LANES];
    for numbers in wide {
        for lane in 0..LANES {
            sums[lane] += exp(numbers[lane] - largest);
        }
    }
    let sum = rest.iter().fold(fold(sums), |sum, logit| sum + exp(logit - largest));
    let id = logits.iter().position(|logit| *logit == largest).unwrap_or(0);
    // `ln` is the one call of the system's library. It is applied to the result alone and decides
    // nothing.
    (id as u32, -sum.ln())
}
