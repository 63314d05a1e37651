//! The sequences of a batch, checked once a step, cut into tiles of attention.
//!
//! Threads write the rows of a batch, and its keys and values, without a lock: each row and each
//! token belongs to one thread. That is true only if no two sequences share a row or write to one
//! block of the pool. [`Spans::new`] checks it, so [`Kernels`](super::Kernels) may rely on it.

use std::ops::Range;

use crate::kv::BLOCK_TOKENS;
use crate::spec::ROWS;

/// A sequence's rows in a batch.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// First row.
    pub start: usize,
    /// Rows.
    pub len: usize,
    /// Tokens of the sequence in the pool once these rows are written.
    pub context: usize,
    /// The sequence's blocks, in order of positions.
    pub blocks: &'a [u32],
}

/// Some tokens of a sequence and some query heads of one key-value head, which are attended
/// together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tile {
    pub(super) span: usize,
    /// First token, counted from the span's first.
    pub(super) token: usize,
    pub(super) tokens: usize,
    pub(super) kv_head: usize,
    /// First query head.
    pub(super) head: usize,
    pub(super) heads: usize,
}

/// The spans of a batch.
///
/// **Invariants:** the spans' rows follow each other from row 0, so no row has two; no block is
/// written by two spans, nor stands twice in the part of a span that is written; each head of each
/// token is in one tile.
#[derive(Debug)]
pub struct Spans {
    places: Vec<Place>,
    /// The blocks of all spans, one after the other.
    blocks: Vec<u32>,
    tiles: Vec<Tile>,
    rows: usize,
    heads: usize,
    kv_heads: usize,
}

/// A span whose blocks are a range of all blocks.
#[derive(Debug)]
struct Place {
    start: usize,
    len: usize,
    context: usize,
    blocks: Range<usize>,
}

impl Spans {
    /// Takes the spans of a batch of `heads` query heads that share `kv_heads` key-value heads.
    ///
    /// Panics where two spans share a row or a block that is written, and where a span has no rows
    /// or fewer blocks than tokens.
    pub fn new(spans: &[Span<'_>], heads: usize, kv_heads: usize) -> Self {
        assert!(kv_heads > 0 && heads > 0 && heads.is_multiple_of(kv_heads), "{heads} heads share {kv_heads}");
        let mut places = Vec::with_capacity(spans.len());
        let mut blocks = Vec::with_capacity(spans.iter().map(|span| span.blocks.len()).sum());
        let mut written = Vec::with_capacity(2 * spans.len());
        let mut rows = 0;
        for (index, span) in spans.iter().enumerate() {
            let Span { start, len, context, blocks: own } = *span;
            assert!(start == rows && len > 0, "span {index} has {len} rows from {start}, after {rows} of others");
            assert!(len <= context, "span {index} has {len} rows of {context} tokens");
            assert!(context <= own.len() * BLOCK_TOKENS, "span {index} has {} blocks for {context} tokens", own.len());
            rows += len;
            written.extend_from_slice(&own[(context - len) / BLOCK_TOKENS..context.div_ceil(BLOCK_TOKENS)]);
            let first = blocks.len();
            blocks.extend_from_slice(own);
            places.push(Place { start, len, context, blocks: first..blocks.len() });
        }
        written.sort_unstable();
        if let Some(block) = written.array_windows().find_map(|[one, other]| (one == other).then_some(one)) {
            panic!("block {block} is written by two spans of a batch");
        }
        let tiles = tiles(&places, heads, kv_heads);
        Self { places, blocks, tiles, rows, heads, kv_heads }
    }

    /// Rows of all spans.
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn heads(&self) -> usize {
        self.heads
    }

    pub(super) fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    pub(super) fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Span<'_> {
        let Place { start, len, context, blocks } = &self.places[index];
        Span { start: *start, len: *len, context: *context, blocks: &self.blocks[blocks.clone()] }
    }

    /// The span that a row belongs to.
    #[inline]
    pub(super) fn of_row(&self, row: usize) -> Span<'_> {
        self.get(self.places.partition_point(|place| place.start <= row) - 1)
    }
}

/// Cuts the spans into tiles; the same for every layer.
fn tiles(spans: &[Place], heads: usize, kv_heads: usize) -> Vec<Tile> {
    let group = heads / kv_heads;
    let (tokens, heads) = if group <= ROWS { (ROWS / group, group) } else { (1, ROWS) };
    let mut tiles = Vec::new();
    // The tiles of one head follow each other, so that its keys stay in the second-level cache.
    // The last tokens see most keys and go first.
    for kv_head in 0..kv_heads {
        for (index, span) in spans.iter().enumerate() {
            for token in (0..span.len).step_by(tokens).rev() {
                for first in (0..group).step_by(heads) {
                    tiles.push(Tile {
                        span: index,
                        token,
                        tokens: tokens.min(span.len - token),
                        kv_head,
                        head: kv_head * group + first,
                        heads: heads.min(group - first),
                    });
                }
            }
        }
    }
    tiles
}

#[cfg(test)]
mod tests;
