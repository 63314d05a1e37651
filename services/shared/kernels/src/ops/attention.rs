//! Attention of a whole batch.

use super::{Kernels, Span, Worker};
use crate::activations::{Activations, Writer};
use crate::isa::with_dots;
use crate::kv::KvPool;
use crate::pack::BLOCK;
use crate::spec::attention::{CHUNK, Keys, Partial, Queries, gather, partial, result};
use crate::spec::{Dots, ROWS, elementwise};

/// With fewer tiles than this for each thread, the chunks of a tile are shared among threads.
const MIN_TILES_PER_THREAD: usize = 4;

/// Some tokens of a sequence and some query heads of one key-value head, which are attended
/// together.
#[derive(Debug, Clone, Copy)]
struct Tile {
    span: usize,
    /// First token, counted from the span's first.
    token: usize,
    tokens: usize,
    kv_head: usize,
    /// First query head.
    head: usize,
    heads: usize,
}

/// A batch cut into tiles; the same for every layer.
#[derive(Debug, Default)]
pub struct Tiles(Vec<Tile>);

impl Tiles {
    /// Cuts the spans for `heads` query heads that share `kv_heads` key-value heads.
    pub fn new(spans: &[Span<'_>], heads: usize, kv_heads: usize) -> Self {
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
        Self(tiles)
    }
}

/// One layer's attention, as all threads see it.
struct Layer<'a> {
    pool: &'a KvPool,
    layer: usize,
    spans: &'a [Span<'a>],
    queries: &'a [u32],
    /// Words of a row of queries.
    width: usize,
}

impl Layer<'_> {
    fn load(&self, tile: &Tile, queries: &mut Queries) {
        let span = &self.spans[tile.span];
        let words = self.pool.shape().head_dim / 2;
        queries.clear();
        for token in tile.token..tile.token + tile.tokens {
            let row = &self.queries[(span.start + token) * self.width..][..self.width];
            for head in tile.head..tile.head + tile.heads {
                queries.push(&row[head * words..], span.context - span.len + token + 1);
            }
        }
    }

    fn keys(&self, tile: &Tile) -> Keys<'_> {
        Keys { pool: self.pool, layer: self.layer, head: tile.kv_head, blocks: self.spans[tile.span].blocks }
    }

    fn chunks(&self, tile: &Tile) -> usize {
        let span = &self.spans[tile.span];
        (span.context - span.len + tile.token + tile.tokens).div_ceil(CHUNK)
    }

    /// Rounds a tile's results into the rows of the next product.
    #[inline(always)]
    fn store(&self, tile: &Tile, queries: &Queries, gathered: &Partial, row: &mut Vec<f32>, writer: &Writer<'_>) {
        let dim = self.pool.shape().head_dim;
        row.resize(dim, 0.0);
        for index in 0..queries.count() {
            let (token, head) = (tile.token + index / tile.heads, tile.head + index % tile.heads);
            result(queries, index, gathered, row);
            let at = self.spans[tile.span].start + token;
            // SAFETY: each head of each token is in one tile, and a tile is stored by one thread.
            let mut blocks = unsafe { writer.blocks(at, head * dim / BLOCK, dim / BLOCK) };
            elementwise::quantise(row, &mut blocks);
        }
    }
}

impl Kernels {
    /// Attention of each row's queries to the keys and values that its sequence has in the pool up
    /// to that row, rounded for the next product. `queries` are those that
    /// [`Kernels::rope_write_kv`] wrote.
    pub fn attention(
        &mut self,
        pool: &KvPool,
        layer: usize,
        queries: &[u32],
        spans: &[Span<'_>],
        tiles: &Tiles,
        results: &mut Activations,
    ) {
        let rows: usize = spans.iter().map(|span| span.len).sum();
        let width = queries.len() / rows.max(1);
        let writer = results.writer(rows, 2 * width);
        let layer = Layer { pool, layer, spans, queries, width };
        let chunks = tiles.0.iter().map(|tile| layer.chunks(tile)).max().unwrap_or(0);
        if chunks > 1 && tiles.0.len() < MIN_TILES_PER_THREAD * self.team.threads() && self.team.threads() > 1 {
            self.attend_by_chunks(&layer, tiles, chunks, &writer);
            return;
        }
        with_dots!(self.isa_proof, dots => self.team.share(&mut self.workers, tiles.0.len(), |worker, index| {
            let tile = &tiles.0[index];
            let Worker { queries, scratch, partial: next, gathered, row, .. } = worker;
            layer.load(tile, queries);
            dots.with(|| {
                for chunk in 0..layer.chunks(tile) {
                    partial(dots, layer.keys(tile), queries, chunk, scratch, next);
                    gather(queries, chunk, next, gathered);
                }
                layer.store(tile, queries, gathered, row, &writer);
            });
        }));
    }

    fn attend_by_chunks(&mut self, layer: &Layer<'_>, tiles: &Tiles, chunks: usize, writer: &Writer<'_>) {
        let tiles = &tiles.0;
        if self.partials.len() < tiles.len() * chunks {
            self.partials.resize(tiles.len() * chunks, Partial::default());
        }
        let partials = crate::memory::SharedSlice::new(&mut self.partials);
        with_dots!(self.isa_proof, dots => {
            self.team.share(&mut self.workers, tiles.len() * chunks, |worker, part| {
                let (tile, chunk) = (&tiles[part / chunks], part % chunks);
                if chunk < layer.chunks(tile) {
                    layer.load(tile, &mut worker.queries);
                    // SAFETY: parts differ, and each has its own partial.
                    let next = &mut unsafe { partials.slice(part, 1) }[0];
                    let (queries, scratch) = (&worker.queries, &mut worker.scratch);
                    dots.with(|| partial(dots, layer.keys(tile), queries, chunk, scratch, next));
                }
            });
            self.team.share(&mut self.workers, tiles.len(), |worker, index| {
                let tile = &tiles[index];
                let Worker { queries, gathered, row, .. } = worker;
                layer.load(tile, queries);
                dots.with(|| {
                    for chunk in 0..layer.chunks(tile) {
                        // SAFETY: the partials of a tile are gathered by one thread.
                        let next = &unsafe { partials.slice(index * chunks + chunk, 1) }[0];
                        gather(queries, chunk, next, gathered);
                    }
                    layer.store(tile, queries, gathered, row, writer);
                });
            });
        });
    }
}
