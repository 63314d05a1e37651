//! Attention of a whole batch.

use std::ops::Range;

use super::spans::{Spans, Tile};
use super::{Kernels, Worker};
use crate::activations::{Activations, Writer};
use crate::isa::with_dots;
use crate::kv::KvPool;
use crate::pack::BLOCK;
use crate::spec::attention::{CHUNK, Keys, Partial, Queries, Scratch, gather, partial, result};
use crate::spec::{Dots, Work, elementwise};

/// With fewer tiles than this for each thread, the chunks of a tile are shared among threads.
const MIN_TILES_PER_THREAD: usize = 4;

/// One layer's attention, as all threads see it.
struct Layer<'a> {
    pool: &'a KvPool,
    layer: usize,
    spans: &'a Spans,
    queries: &'a [u32],
    /// Words of a row of queries.
    width: usize,
    /// Keys that a token sees, its own the last of them.
    window: usize,
}

impl Layer<'_> {
    fn load(&self, tile: &Tile, queries: &mut Queries) {
        let span = self.spans.get(tile.span);
        let words = self.pool.shape().head_dim / 2;
        queries.clear();
        for token in tile.token..tile.token + tile.tokens {
            let row = &self.queries[(span.start + token) * self.width..][..self.width];
            for head in tile.head..tile.head + tile.heads {
                queries.push(&row[head * words..], span.context - span.len + token + 1, self.window);
            }
        }
    }

    fn keys(&self, tile: &Tile) -> Keys<'_> {
        Keys { pool: self.pool, layer: self.layer, head: tile.kv_head, blocks: self.spans.get(tile.span).blocks }
    }

    /// The chunks in which a token of the tile sees a key.
    fn chunks(&self, tile: &Tile) -> Range<usize> {
        let span = self.spans.get(tile.span);
        let first = span.context - span.len + tile.token;
        (first + 1).saturating_sub(self.window) / CHUNK..(first + tile.tokens).div_ceil(CHUNK)
    }
}

/// A chunk of a tile, whose partial result is computed.
struct Attended<'a, D> {
    dots: D,
    keys: Keys<'a>,
    queries: &'a Queries,
    chunk: usize,
    scratch: &'a mut Scratch,
    result: &'a mut Partial,
}

impl<D: Dots> Work for Attended<'_, D> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { dots, keys, queries, chunk, scratch, result } = self;
        partial(dots, keys, queries, chunk, scratch, result);
    }
}

/// The partial result of the next chunk, folded into those before.
struct Gathered<'a> {
    queries: &'a Queries,
    chunk: usize,
    next: &'a Partial,
    so_far: &'a mut Partial,
}

impl Work for Gathered<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        gather(self.queries, self.chunk, self.next, self.so_far);
    }
}

/// A tile whose chunks are all gathered, rounded into the rows of the next product.
struct Stored<'a> {
    layer: &'a Layer<'a>,
    tile: &'a Tile,
    queries: &'a Queries,
    gathered: &'a Partial,
    row: &'a mut Vec<f32>,
    writer: &'a Writer<'a>,
}

impl Work for Stored<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { layer, tile, queries, gathered, row, writer } = self;
        let dim = layer.pool.shape().head_dim;
        row.resize(dim, 0.0);
        for index in 0..queries.count() {
            let (token, head) = (tile.token + index / tile.heads, tile.head + index % tile.heads);
            result(queries, index, gathered, row);
            let at = layer.spans.get(tile.span).start + token;
            // SAFETY: each head of each token is in one tile, spans share no row, and a tile is
            // stored by one thread; the spans and their tiles are of one checked value.
            let mut blocks = unsafe { writer.blocks(at, head * dim / BLOCK, dim / BLOCK) };
            elementwise::quantise(row, &mut blocks);
        }
    }
}

impl Kernels {
    /// Attention of each row's queries to the keys and values that its sequence has in the pool up
    /// to that row, the last `window` of them if there is one, rounded for the next product.
    /// `queries` are those that [`Kernels::rope_write_kv`] wrote.
    pub fn attention(
        &mut self,
        pool: &KvPool,
        (layer, window): (usize, Option<usize>),
        queries: &[u32],
        spans: &Spans,
        results: &mut Activations,
    ) {
        let rows = spans.rows();
        let width = spans.heads() * pool.shape().head_dim / 2;
        assert!(spans.kv_heads() == pool.shape().kv_heads && queries.len() == rows * width, "queries of another shape");
        let tiles = spans.tiles();
        let writer = results.writer(rows, 2 * width);
        let layer = Layer { pool, layer, spans, queries, width, window: window.unwrap_or(usize::MAX) };
        let chunks = tiles.iter().map(|tile| layer.chunks(tile).len()).max().unwrap_or(0);
        if chunks > 1 && tiles.len() < MIN_TILES_PER_THREAD * self.team.threads() && self.team.threads() > 1 {
            self.attend_by_chunks(&layer, tiles, chunks, &writer);
            return;
        }
        with_dots!(self.isa_proof, dots => self.team.share(&mut self.workers, tiles.len(), |worker, index| {
            let tile = &tiles[index];
            let Worker { queries, scratch, partial: next, gathered, row, .. } = worker;
            layer.load(tile, queries);
            for chunk in layer.chunks(tile) {
                let keys = layer.keys(tile);
                dots.with(Attended { dots, keys, queries: &*queries, chunk, scratch: &mut *scratch, result: &mut *next });
                dots.with(Gathered { queries: &*queries, chunk, next: &*next, so_far: &mut *gathered });
            }
            dots.with(Stored { layer: &layer, tile, queries, gathered, row, writer: &writer });
        }));
    }

    fn attend_by_chunks(&mut self, layer: &Layer<'_>, tiles: &[Tile], chunks: usize, writer: &Writer<'_>) {
        if self.partials.len() < tiles.len() * chunks {
            self.partials.resize(tiles.len() * chunks, Partial::default());
        }
        let partials = crate::memory::SharedSlice::new(&mut self.partials);
        with_dots!(self.isa_proof, dots => {
            self.team.share(&mut self.workers, tiles.len() * chunks, |worker, part| {
                let tile = &tiles[part / chunks];
                if let Some(chunk) = layer.chunks(tile).nth(part % chunks) {
                    layer.load(tile, &mut worker.queries);
                    // SAFETY: parts differ, and each has its own partial.
                    let next = &mut unsafe { partials.slice(part, 1) }[0];
                    let (queries, scratch) = (&worker.queries, &mut worker.scratch);
                    let keys = layer.keys(tile);
                    dots.with(Attended { dots, keys, queries, chunk, scratch, result: next });
                }
            });
            self.team.share(&mut self.workers, tiles.len(), |worker, index| {
                let tile = &tiles[index];
                let Worker { queries, gathered, row, .. } = worker;
                layer.load(tile, queries);
                for (number, chunk) in layer.chunks(tile).enumerate() {
                    // SAFETY: the partials of a tile are gathered by one thread.
                    let next = &unsafe { partials.slice(index * chunks + number, 1) }[0];
                    dots.with(Gathered { queries: &*queries, chunk, next, so_far: &mut *gathered });
                }
                dots.with(Stored { layer, tile, queries, gathered, row, writer });
            });
        });
    }
}
