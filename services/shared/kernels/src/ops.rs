//! The operations of a decoder on a packed batch, shared among the team's threads.
//!
//! Every operation cuts its result into parts, each written by one thread: rows, pairs of tiles, or
//! a head of some tokens. The thread that takes a part has no influence on its bits.

mod attention;
mod linear;
mod low_rank;
mod spans;

use crate::activations::{Activations, RowMut};
use crate::isa::{DetectedIsa, Isa, with_dots};
use crate::kv::{BLOCK_TOKENS, KvPool, KvWriter, Slot};
use crate::memory::{Buffer, SharedSlice};
use crate::pack::{BLOCK, Matrix, TILE};
use crate::spec::attention::{Partial, Queries, Scratch};
use crate::spec::{Dots, LANES, ROWS, Work, elementwise};
use crate::team::Team;
pub use low_rank::{AdaptedRows, Adapters};
pub use spans::{Span, Spans};

/// Rows that a thread takes at a time, where rows are computed one by one.
const ROWS_PER_PART: usize = 4;

/// Angles of the rotary positions.
#[derive(Debug)]
pub struct Rotations {
    /// `[positions][head_dim / 2]`.
    cosines: Buffer<f32>,
    sines: Buffer<f32>,
    half: usize,
    /// Whether all positions have the one angle of the table.
    still: bool,
}

/// What is done to query and key heads before attention.
#[derive(Debug, Clone, Copy)]
pub struct HeadTurn<'a> {
    /// The angles.
    pub rotations: &'a Rotations,
    /// The norm before the rotation, if the model has one.
    pub norm: Option<HeadNorm<'a>>,
}

/// The norm of each query and key head by itself.
#[derive(Debug, Clone, Copy)]
pub struct HeadNorm<'a> {
    /// Gains of the numbers of a query head.
    pub query: &'a [f32],
    /// Gains of the numbers of a key head.
    pub key: &'a [f32],
    /// Added to the mean square.
    pub epsilon: f32,
}

impl Rotations {
    /// Takes tables of `half` angles a position.
    pub fn new(cosines: &[f32], sines: &[f32], half: usize) -> Self {
        assert!(half > 0 && cosines.len() == sines.len() && cosines.len().is_multiple_of(half), "tables of angles");
        Self { cosines: Buffer::from_slice(cosines), sines: Buffer::from_slice(sines), half, still: false }
    }

    /// An angle of 0 at every position: heads stay as they are.
    pub fn none(half: usize) -> Self {
        let mut none = Self::new(&vec![1.0; half], &vec![0.0; half], half);
        none.still = true;
        none
    }

    fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let position = if self.still { 0 } else { position };
        (&self.cosines[position * self.half..][..self.half], &self.sines[position * self.half..][..self.half])
    }
}

impl HeadNorm<'_> {
    /// The head's norm, in the memory for it.
    #[inline(always)]
    fn of<'a>(&self, head: &[f32], gain: &[f32], normed: &'a mut [f32]) -> &'a [f32] {
        elementwise::norm(head, gain, self.epsilon, normed);
        normed
    }
}

/// A row's chosen token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The likeliest id, the first of equals.
    pub id: u32,
    /// Natural logarithm of its probability; not finite when a logit is no number.
    pub logprob: f32,
}

/// The working memory of one thread.
struct Worker {
    queries: Queries,
    partial: Partial,
    gathered: Partial,
    scratch: Scratch,
    tiles: [[[f32; TILE]; ROWS]; 4],
    row: Vec<f32>,
    pairs: Vec<u32>,
    values: Vec<u16>,
}

/// A row, normed and rounded.
struct Normed<'a> {
    numbers: &'a [f32],
    gain: &'a [f32],
    epsilon: f32,
    /// Work space.
    normed: &'a mut [f32],
    result: &'a mut RowMut<'a>,
}

impl Work for Normed<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        elementwise::norm(self.numbers, self.gain, self.epsilon, self.normed);
        elementwise::quantise(self.normed, self.result);
    }
}

/// The likeliest of some logits, with its log-probability.
struct Chosen<'a>(&'a [f32]);

impl Work for Chosen<'_> {
    type Output = (u32, f32);

    #[inline(always)]
    fn run(self) -> (u32, f32) {
        elementwise::choose(self.0)
    }
}

/// One token, or two neighbouring ones whose values lie side by side, on the way from a product to
/// queries, keys and values.
struct Turned<'a> {
    /// The rows of the product.
    rows: &'a [f32],
    dim: usize,
    heads: usize,
    kv_heads: usize,
    /// Position of the first token.
    position: usize,
    turn: HeadTurn<'a>,
    /// Of the queries.
    scale: f32,
    /// The place of the first token in the pool, for the first head.
    place: Slot,
    /// Where keys and values go. Nobody else writes to the block.
    pool: &'a KvWriter<'a>,
    /// Work space, like `pairs` and `values`.
    normed: &'a mut [f32],
    pairs: [&'a mut [u32]; 2],
    values: [&'a mut [u16]; 2],
    /// Where the queries go.
    own: &'a mut [u32],
}

impl Work for Turned<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { rows, dim, heads, kv_heads, position, turn, scale, place, pool, normed, pairs, values, own } = self;
        let HeadTurn { rotations, norm } = turn;
        let width = (heads + 2 * kv_heads) * dim;
        let count = rows.len() / width;
        for (token, own) in own.chunks_exact_mut(heads * dim / 2).enumerate() {
            let (cosines, sines) = rotations.at(position + token);
            let row = &rows[token * width..][..width];
            for (head, query) in row.chunks_exact(dim).zip(own.chunks_exact_mut(dim / 2)) {
                let head = match norm {
                    Some(norm) => norm.of(head, norm.query, normed),
                    None => head,
                };
                elementwise::rotate(head, cosines, sines, scale, query);
            }
        }
        for head in 0..kv_heads {
            for token in 0..count {
                let (cosines, sines) = rotations.at(position + token);
                let row = &rows[token * width..][..width];
                let key = &row[(heads + head) * dim..][..dim];
                let key = match norm {
                    Some(norm) => norm.of(key, norm.key, normed),
                    None => key,
                };
                elementwise::rotate(key, cosines, sines, 1.0, pairs[token]);
                let value = &row[(heads + kv_heads + head) * dim..][..dim];
                for (bits, number) in values[token].iter_mut().zip(value) {
                    *bits = elementwise::to_bf16(*number);
                }
            }
            let slot = Slot { head, ..place };
            // SAFETY: a token has one row, and no two spans write to one block, which `Spans` has
            // checked. So nobody writes the token after a span's last either: it is in the span's
            // own block.
            unsafe { pool.write(slot, [&*pairs[0], &*pairs[1]], [&*values[0], &*values[1]], count) };
        }
    }
}

/// The kernels on a team of threads.
pub struct Kernels {
    team: Team,
    workers: Vec<Worker>,
    isa: Isa,
    isa_proof: DetectedIsa,
    /// Partial results of chunks that are computed apart from each other.
    partials: Vec<Partial>,
}

impl Kernels {
    /// Kernels on `threads` threads; `None` where the processor does not have the instruction set.
    pub fn new(threads: usize, isa: Isa, head_dim: usize) -> Option<Self> {
        let team = Team::new(threads);
        let worker = || Worker {
            queries: Queries::new(head_dim),
            partial: Partial::default(),
            gathered: Partial::default(),
            scratch: Scratch::default(),
            tiles: [[[0.0; TILE]; ROWS]; 4],
            row: Vec::new(),
            pairs: Vec::new(),
            values: Vec::new(),
        };
        let workers = (0..team.threads()).map(|_| worker()).collect();
        Some(Self { team, workers, isa, isa_proof: DetectedIsa::new(isa)?, partials: Vec::new() })
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Writes the weights of the outputs that `ids` name, a row each.
    pub fn embed(&mut self, table: &Matrix, ids: &[u32], rows: &mut [f32]) {
        let width = table.columns();
        assert!(rows.len() >= ids.len() * width, "no room for {} rows", ids.len());
        let rows = SharedSlice::new(rows);
        self.each_row(ids.len(), |_, row| {
            let id = ids[row] as usize;
            assert!(id < table.rows(), "id {id} is not in a vocabulary of {}", table.rows());
            // SAFETY: rows are computed by one thread each.
            table.row(id, unsafe { rows.slice(row * width, width) });
        });
    }

    /// Norms each row of `gain.len()` numbers and rounds it.
    pub fn norm(&mut self, rows: &[f32], gain: &[f32], epsilon: f32, result: &mut Activations) {
        let width = gain.len();
        let count = rows.len() / width;
        let writer = result.writer(count, width);
        with_dots!(self.isa_proof, dots => self.each_row(count, |worker, row| {
            worker.row.resize(width, 0.0);
            // SAFETY: rows are computed by one thread each.
            let mut result = unsafe { writer.blocks(row, 0, width / BLOCK) };
            let (normed, numbers) = (&mut worker.row, &rows[row * width..][..width]);
            dots.with(Normed { numbers, gain, epsilon, normed, result: &mut result });
        }));
    }

    /// Norms queries and keys if the model does, rotates them by their positions, writes keys and
    /// values to the pool, and writes queries as scaled bf16 pairs.
    ///
    /// A row of `qkv` is the query heads, the key heads and the value heads side by side.
    pub fn rope_write_kv(
        &mut self,
        pool: &mut KvPool,
        layer: usize,
        qkv: &[f32],
        turn: HeadTurn<'_>,
        spans: &Spans,
        queries: &mut [u32],
    ) {
        let (dim, kv_heads) = (pool.shape().head_dim, pool.shape().kv_heads);
        let (rows, heads) = (spans.rows(), spans.heads());
        let width = (heads + 2 * kv_heads) * dim;
        let query_words = heads * dim / 2;
        assert!(spans.kv_heads() == kv_heads && qkv.len() == rows * width, "rows of another shape");
        let HeadTurn { rotations, norm } = turn;
        assert!(rotations.half == dim / 2 && queries.len() >= rows * query_words, "queries of another shape");
        assert!(
            norm.is_none_or(|norm| norm.query.len() == dim && norm.key.len() == dim && dim.is_multiple_of(LANES)),
            "norms of another shape"
        );
        let scale = 1.0 / (dim as f32).sqrt();
        let (pool, queries) = (pool.writer(), SharedSlice::new(queries));
        with_dots!(self.isa_proof, dots => self.each_row(rows, |worker, row| {
            let span = spans.of_row(row);
            let position = span.context - span.len + (row - span.start);
            let (block, offset) = (span.blocks[position / BLOCK_TOKENS] as usize, position % BLOCK_TOKENS);
            // Values of neighbouring tokens lie side by side, so an even token's row is computed
            // together with the odd one after it.
            if offset % 2 == 1 && row > span.start {
                return;
            }
            let count = if offset.is_multiple_of(2) && row + 1 < span.start + span.len { 2 } else { 1 };
            worker.pairs.resize(dim, 0);
            worker.values.resize(2 * dim, 0);
            worker.row.resize(dim, 0.0);
            // SAFETY: each row is computed by one thread, alone or with the one before it; spans
            // share no row.
            let own = unsafe { queries.slice(row * query_words, count * query_words) };
            let (pairs, values) = (worker.pairs.split_at_mut(dim / 2), worker.values.split_at_mut(dim));
            dots.with(Turned {
                rows: &qkv[row * width..][..count * width],
                dim,
                heads,
                kv_heads,
                position,
                turn,
                scale,
                place: Slot { layer, head: 0, block, offset },
                pool: &pool,
                normed: &mut worker.row,
                pairs: [pairs.0, pairs.1],
                values: [values.0, values.1],
                own,
            });
        }));
    }

    /// The likeliest id of each row of logits; `width` is the distance of rows, of which the first
    /// `vocabulary` count.
    pub fn choose(&mut self, logits: &[f32], width: usize, vocabulary: usize) -> Vec<Choice> {
        let mut choices = vec![Choice { id: 0, logprob: 0.0 }; logits.len() / width];
        let count = choices.len();
        let shared = SharedSlice::new(&mut choices);
        with_dots!(self.isa_proof, dots => self.each_row(count, |_, row| {
            let (id, logprob) = dots.with(Chosen(&logits[row * width..][..vocabulary]));
            // SAFETY: rows are computed by one thread each.
            unsafe { shared.put(row, Choice { id, logprob }) };
        }));
        choices
    }

    fn each_row(&mut self, rows: usize, work: impl Fn(&mut Worker, usize) + Sync) {
        // Few rows are shared one by one, so that every thread gets one.
        let size = if rows < ROWS_PER_PART * self.team.threads() { 1 } else { ROWS_PER_PART };
        self.team.share(&mut self.workers, rows.div_ceil(size), |worker, part| {
            for row in part * size..((part + 1) * size).min(rows) {
                work(worker, row);
            }
        });
    }
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Kernels on {} threads with {}", self.team.threads(), self.isa.name())
    }
}

#[cfg(test)]
mod tests;
