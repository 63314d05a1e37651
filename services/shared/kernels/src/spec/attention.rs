//! Causal attention of some queries to the keys and values of their sequence in the pool.
//!
//! A tile is up to [`ROWS`] rows: neighbouring tokens of one sequence, each with all query heads
//! that share one key-value head, so that a key is read once for all of them. For each chunk of 256
//! keys, counted from position 0, a tile makes a [`Partial`]: scores, their largest, weights
//! relative to the largest, and the weighted sum of values. Partials are folded in ascending order
//! of chunks (the online softmax of Milakov and Gimelshein 2018, in fixed steps).
//!
//! Chunks do not depend on where a tile or a step begins, so neither do the bits. Where there are
//! too few tiles for all threads, several threads compute the chunks of one tile, and these are
//! folded in the same order.
//!
//! With a sliding window (Beltagy et al. 2020, Longformer, §3.1) a row sees the last keys only. The
//! keys before its window are hidden as those after its token are, and the chunks that lie before
//! the window are left out. Both follow from the row's position alone, so the bits still do.

use std::ops::Range;

use super::elementwise::{exp, fold, fold_max, from_bf16, larger, to_bf16};
use super::{Dots, LANES, PANEL, PairRows, Panel, ROWS};
use crate::kv::{BLOCK_TOKENS, KvPool};

/// Keys of a chunk.
pub const CHUNK: usize = 256;
/// Blocks of a chunk.
pub const CHUNK_BLOCKS: usize = CHUNK / BLOCK_TOKENS;
/// Largest head, in numbers; it bounds the memory of a tile.
pub const MAX_HEAD_DIM: usize = 256;
/// Blocks between a prefetch and the use of its data.
const PREFETCH_BLOCKS: usize = 2;

/// One row of bf16 pairs times panels; see [`Dots::panel`] for the order.
pub fn panel(row: &[u32], panels: &[Panel<'_>], per_panel: usize) -> [f32; PANEL] {
    let mut sums = [0.0f32; PANEL];
    for (pair, word) in row.iter().enumerate() {
        let numbers = &panels[pair / per_panel][pair % per_panel * 2 * PANEL..][..2 * PANEL];
        let (even, odd) = (from_bf16(*word as u16), from_bf16((*word >> 16) as u16));
        for (column, sum) in sums.iter_mut().enumerate() {
            *sum += odd * from_bf16(numbers[2 * column + 1]);
            *sum += even * from_bf16(numbers[2 * column]);
        }
    }
    sums
}

/// The place of a tile's keys and values.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// The pool.
    pub pool: &'a KvPool,
    /// The layer.
    pub layer: usize,
    /// The key-value head.
    pub head: usize,
    /// The sequence's blocks, in order of positions.
    pub blocks: &'a [u32],
}

/// The queries of a tile.
#[derive(Debug, Clone)]
pub struct Queries {
    words: [u32; ROWS * MAX_HEAD_DIM / 2],
    /// End of the keys that each row sees: its position + 1.
    seen: [usize; ROWS],
    /// Keys before each row's window.
    hidden: [usize; ROWS],
    count: usize,
    pairs: usize,
}

impl Queries {
    /// None yet, of heads of `head_dim` numbers.
    pub fn new(head_dim: usize) -> Self {
        assert!(head_dim <= MAX_HEAD_DIM, "heads of {head_dim} numbers are larger than {MAX_HEAD_DIM}");
        Self { words: [0; ROWS * MAX_HEAD_DIM / 2], seen: [0; ROWS], hidden: [0; ROWS], count: 0, pairs: head_dim / 2 }
    }

    /// Empties the tile.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds a row: a query head as scaled bf16 pairs, which sees the last `window` of the first
    /// `seen` keys.
    #[inline(always)]
    pub fn push(&mut self, query: &[u32], seen: usize, window: usize) {
        assert!(self.count < ROWS && seen > 0 && window > 0, "a tile has at most {ROWS} rows, each sees a key");
        self.words[self.count * self.pairs..][..self.pairs].copy_from_slice(&query[..self.pairs]);
        self.seen[self.count] = seen;
        self.hidden[self.count] = seen.saturating_sub(window);
        self.count += 1;
    }

    /// Rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The most keys that a row sees.
    pub fn longest(&self) -> usize {
        self.seen[..self.count].iter().copied().fold(0, usize::max)
    }
}

/// A tile's result for one chunk, or for all chunks up to one.
#[derive(Debug, Clone)]
pub struct Partial {
    /// Largest score of each row.
    largest: [f32; ROWS],
    /// Sum of each row's weights, relative to the largest.
    weight: [f32; ROWS],
    /// Weighted sums of values.
    sums: [f32; ROWS * MAX_HEAD_DIM],
}

impl Default for Partial {
    fn default() -> Self {
        Self { largest: [0.0; ROWS], weight: [0.0; ROWS], sums: [0.0; ROWS * MAX_HEAD_DIM] }
    }
}

/// Memory to compute a partial in.
#[derive(Debug, Clone)]
pub struct Scratch {
    scores: [[f32; CHUNK]; ROWS],
    weights: [u32; ROWS * CHUNK / 2],
    panel: [[f32; PANEL]; ROWS],
}

impl Default for Scratch {
    fn default() -> Self {
        Self { scores: [[0.0; CHUNK]; ROWS], weights: [0; ROWS * CHUNK / 2], panel: [[0.0; PANEL]; ROWS] }
    }
}

/// Computes the partial of chunk `chunk`, in which at least one row must see a key.
#[inline(always)]
pub fn partial<D: Dots>(
    dots: D,
    keys: Keys<'_>,
    queries: &Queries,
    chunk: usize,
    scratch: &mut Scratch,
    result: &mut Partial,
) {
    let Keys { pool, layer, head, blocks } = keys;
    let Queries { words, seen, hidden, count, pairs } = queries;
    let (count, pairs) = (*count, *pairs);
    let start = chunk * CHUNK;
    let end = queries.longest().min(start + CHUNK);
    let used = (end - start).div_ceil(BLOCK_TOKENS);
    let block = |index: usize| blocks[chunk * CHUNK_BLOCKS + index] as usize;

    let rows = PairRows { words, stride: pairs, count, pairs, per_panel: pairs };
    for index in 0..used {
        let ahead = index + PREFETCH_BLOCKS;
        let next = if ahead < used {
            pool.keys(layer, head, block(ahead))
        } else {
            pool.values(layer, head, block((ahead - used).min(used - 1)), 0)
        };
        dots.panel(&rows, &[pool.keys(layer, head, block(index))], &[next], &mut scratch.panel);
        for (scores, panel) in scratch.scores.iter_mut().zip(&scratch.panel).take(count) {
            scores[index * PANEL..][..PANEL].copy_from_slice(panel);
        }
    }

    for row in 0..count {
        let visible = seen[row].saturating_sub(start).min(used * BLOCK_TOKENS);
        let visible = hidden[row].saturating_sub(start).min(visible)..visible;
        let weights = &mut scratch.weights[row * CHUNK / 2..][..CHUNK / 2];
        (result.largest[row], result.weight[row]) =
            softmax(&scratch.scores[row][..used * BLOCK_TOKENS], visible, weights);
    }

    let rows = PairRows {
        words: &scratch.weights,
        stride: CHUNK / 2,
        count,
        pairs: (end - start).div_ceil(2),
        per_panel: BLOCK_TOKENS / 2,
    };
    let head_dim = 2 * pairs;
    for slice in 0..head_dim / PANEL {
        let mut panels: [Panel<'_>; CHUNK_BLOCKS] = [&[]; CHUNK_BLOCKS];
        for (index, panel) in panels.iter_mut().enumerate().take(used) {
            *panel = pool.values(layer, head, block(index), slice);
        }
        dots.panel(&rows, &panels[..used], &panels[PREFETCH_BLOCKS.min(used)..used], &mut scratch.panel);
        for (row, panel) in scratch.panel.iter().enumerate().take(count) {
            result.sums[row * head_dim + slice * PANEL..][..PANEL].copy_from_slice(panel);
        }
    }
}

/// Weights of the `visible` scores relative to the largest, as bf16 pairs; the other weights are 0.
/// Returns the largest score and the sum of the rounded weights, added lane by lane, then folded.
#[inline(always)]
fn softmax(scores: &[f32], visible: Range<usize>, weights: &mut [u32]) -> (f32, f32) {
    let (scores, _) = scores.as_chunks::<LANES>();
    let (weights, _) = weights.as_chunks_mut::<{ LANES / 2 }>();
    let Range { start, end } = visible;
    // The groups of lanes that are seen whole, and those around them that are seen at all.
    let whole = start.div_ceil(LANES)..end / LANES;
    let some = start / LANES..end.div_ceil(LANES);
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for group in some.clone() {
        if whole.contains(&group) {
            for lane in 0..LANES {
                lanes[lane] = larger(scores[group][lane], lanes[lane]);
            }
        } else {
            for lane in lanes_of(group, start, end) {
                lanes[lane] = larger(scores[group][lane], lanes[lane]);
            }
        }
    }
    let largest = fold_max(lanes);
    let mut sums = [0.0f32; LANES];
    for group in some.clone() {
        if whole.contains(&group) {
            weigh(&scores[group], largest, &mut sums, &mut weights[group]);
        } else {
            // Scores that are not visible are minus infinity, so their weights are rounded to 0.
            let mut seen = [f32::NEG_INFINITY; LANES];
            for lane in lanes_of(group, start, end) {
                seen[lane] = scores[group][lane];
            }
            weigh(&seen, largest, &mut sums, &mut weights[group]);
        }
    }
    for (group, weights) in weights.iter_mut().enumerate().take(scores.len()) {
        if !some.contains(&group) {
            *weights = [0; LANES / 2];
        }
    }
    (largest, fold(sums))
}

/// The lanes of a group of scores that are from `start` on and before `end`.
#[inline(always)]
fn lanes_of(group: usize, start: usize, end: usize) -> Range<usize> {
    let first = group * LANES;
    start.saturating_sub(first)..end.saturating_sub(first).min(LANES)
}

/// Weights of a few scores, rounded to bf16; the rounded weights are added to the sums.
#[inline(always)]
fn weigh(scores: &[f32; LANES], largest: f32, sums: &mut [f32; LANES], weights: &mut [u32; LANES / 2]) {
    let mut rounded = [0u32; LANES];
    for lane in 0..LANES {
        rounded[lane] = u32::from(to_bf16(exp(scores[lane] - largest)));
        sums[lane] += f32::from_bits(rounded[lane] << 16);
    }
    for (pair, weight) in weights.iter_mut().enumerate() {
        *weight = rounded[2 * pair] | rounded[2 * pair + 1] << 16;
    }
}

/// Folds the partial of the next chunk into the result so far. Rows that see no key of the chunk
/// stay as they are.
#[inline(always)]
pub fn gather(queries: &Queries, chunk: usize, next: &Partial, so_far: &mut Partial) {
    let head_dim = 2 * queries.pairs;
    for row in 0..queries.count {
        if queries.seen[row] <= chunk * CHUNK || queries.hidden[row] >= (chunk + 1) * CHUNK {
            continue;
        }
        let next_sums = &next.sums[row * head_dim..][..head_dim];
        let sums = &mut so_far.sums[row * head_dim..][..head_dim];
        if chunk == queries.hidden[row] / CHUNK {
            sums.copy_from_slice(next_sums);
            (so_far.largest[row], so_far.weight[row]) = (next.largest[row], next.weight[row]);
            continue;
        }
        let largest = larger(next.largest[row], so_far.largest[row]);
        let (before, now) = (exp(so_far.largest[row] - largest), exp(next.largest[row] - largest));
        so_far.largest[row] = largest;
        so_far.weight[row] = so_far.weight[row].mul_add(before, next.weight[row] * now);
        for (sum, next) in sums.iter_mut().zip(next_sums) {
            *sum = sum.mul_add(before, next * now);
        }
    }
}

/// The results of a row when all its chunks are gathered.
#[inline(always)]
pub fn result(queries: &Queries, row: usize, gathered: &Partial, result: &mut [f32]) {
    let head_dim = 2 * queries.pairs;
    let inverse = 1.0 / gathered.weight[row];
    for (result, sum) in result.iter_mut().zip(&gathered.sums[row * head_dim..][..head_dim]) {
        *result = sum * inverse;
    }
}
