//! The interface between a decoder and the device that computes it.
//!
//! A dozen operations over a packed, ragged batch: the rows of all sequences one below the other,
//! without padding. The decoder, the scheduler and their tests are written once, above this trait,
//! and hold for every backend below it.
//!
//! There are two backends. `cpu` computes with our own kernels, and its bits depend on nothing but
//! a sequence's own ids. `candle` is the way to CUDA; it also runs on the processor, where it is
//! tested.

pub(crate) mod candle;
mod candle_kv;
pub(crate) mod candle_matrix;
pub(crate) mod cpu;

use crate::step::{BackendError, Batch, Choice, ModelConfig};
use candle_core::quantized::QTensor;

/// The operations of a decoder.
///
/// Results are handles: a backend may keep the numbers in memory of its own, which the next result
/// of the same operation overwrites. So the decoder uses each result before it asks for another.
pub(crate) trait Backend: Send + 'static {
    /// The residual stream, `[tokens, width]`.
    type Stream;
    /// The rows that a matrix is multiplied with: normed, attended or gated.
    type Input;
    /// Queries, keys and values of each token side by side.
    type Heads;
    /// Rotated, scaled queries of each token.
    type Queries;
    /// Logits, `[wanted rows, vocabulary]`.
    type Logits;
    /// A weight matrix from `in` to `out` values.
    type Matrix: Send;
    /// A table with one row for each id of the vocabulary. Embedding looks rows up in it, and
    /// logits are products with it.
    type Table: Send;
    /// A weight vector.
    type Vector: Send;
    /// A batch in the form that the device needs. It is made once a step and used by every layer.
    type Step;

    /// Loads matrices of equal width, one below the other, as one matrix.
    fn matrix(&self, parts: &[QTensor]) -> Result<Self::Matrix, BackendError>;
    /// Loads a table.
    fn table(&self, source: &QTensor) -> Result<Self::Table, BackendError>;
    /// Loads a vector.
    fn vector(&self, source: &QTensor) -> Result<Self::Vector, BackendError>;

    /// Brings ids, positions, key-value places and masks of a step to the device.
    fn begin(&mut self, batch: &Batch) -> Result<Self::Step, BackendError>;
    /// The rows of `table` that the ids of the step name.
    fn embed(&mut self, table: &Self::Table, step: &Self::Step) -> Result<Self::Stream, BackendError>;
    /// Root-mean-square norm of each row, times `gain`.
    fn norm(&mut self, rows: &Self::Stream, gain: &Self::Vector, epsilon: f64) -> Result<Self::Input, BackendError>;
    /// `rows` times the matrix of queries, keys and values.
    fn linear(&mut self, matrix: &Self::Matrix, rows: &Self::Input) -> Result<Self::Heads, BackendError>;
    /// `rows` times the matrix, added to the stream.
    fn linear_add(
        &mut self,
        matrix: &Self::Matrix,
        rows: &Self::Input,
        stream: Self::Stream,
    ) -> Result<Self::Stream, BackendError>;
    /// Rotates queries and keys by their positions, writes keys and values of `layer` to their
    /// places in the pool, and returns the rotated queries.
    fn rope_write_kv(
        &mut self,
        layer: usize,
        heads: Self::Heads,
        step: &Self::Step,
    ) -> Result<Self::Queries, BackendError>;
    /// Copies the keys and values of a whole block of the pool, in every layer.
    fn copy_block(&mut self, from: u32, to: u32) -> Result<(), BackendError>;
    /// Overwrites the keys and values of blocks with NaN, in every layer.
    fn forget(&mut self, blocks: &[u32]) -> Result<(), BackendError>;
    /// Causal attention of each span's queries to all keys and values of its sequence in the pool
    /// of `layer`, the span's own included.
    fn attention(
        &mut self,
        layer: usize,
        queries: Self::Queries,
        step: &Self::Step,
    ) -> Result<Self::Input, BackendError>;
    /// `silu(gate) * up`, where `matrix` holds gate above up.
    fn gate_up_silu(&mut self, matrix: &Self::Matrix, rows: &Self::Input) -> Result<Self::Input, BackendError>;
    /// The rows whose logits are needed.
    fn select(&mut self, rows: Self::Stream, step: &Self::Step) -> Result<Self::Stream, BackendError>;
    /// Logits: each row's product with every row of the table.
    fn head(&mut self, table: &Self::Table, rows: &Self::Input) -> Result<Self::Logits, BackendError>;
    /// Makes the ids in `written[i]` less likely in row `i`, each once: positive logits are divided
    /// by `penalty`, negative ones multiplied (Keskar et al. 2019, CTRL, §4.1).
    fn penalise(
        &mut self,
        logits: Self::Logits,
        written: &[Vec<u32>],
        penalty: f32,
    ) -> Result<Self::Logits, BackendError>;
    /// The likeliest id of each row with its log-probability, in one copy to the host.
    fn argmax(&mut self, logits: &Self::Logits) -> Result<Vec<Choice>, BackendError>;
    /// Logits as numbers, row by row.
    #[cfg(test)]
    fn to_host(&self, logits: &Self::Logits) -> Vec<Vec<f32>>;
}

/// The ids of an answer in ascending order, each once: a repeated id is penalised once.
fn distinct(written: &[u32]) -> Vec<u32> {
    let mut ids = written.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Cosines and sines of `positions` positions times every frequency (Su et al. 2021, `RoFormer`),
/// `[positions][head_dim / 2]`.
fn rotations(config: &ModelConfig, positions: usize) -> (Vec<f32>, Vec<f32>) {
    let half = config.head_dim / 2;
    let frequency = |pair: usize| config.rope_base.powf(-(2.0 * pair as f64) / config.head_dim as f64);
    let angles = (0..positions).flat_map(|position| (0..half).map(move |pair| position as f64 * frequency(pair)));
    angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).unzip()
}
