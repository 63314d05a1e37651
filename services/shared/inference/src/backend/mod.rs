//! What a decoder needs from the machine that computes it.
//!
//! A dozen operations over a packed, ragged batch: rows of all sequences one below the other, no padding. What is written
//! once above this trait (the decoder, the scheduler, the tests of both) holds for every backend below it.

pub(crate) mod candle;
mod candle_kv;

use candle_core::quantized::QTensor;
use thiserror::Error;

use crate::decode::Choice;
use crate::engine::batch::Batch;

/// A computation that did not work out; whose fault it was is found by the engine.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct BackendError(pub(crate) String);

impl From<candle_core::Error> for BackendError {
    fn from(error: candle_core::Error) -> Self {
        // The message alone: candle's backtraces are for its own authors.
        Self(error.to_string().lines().next().unwrap_or("unknown").to_owned())
    }
}

/// The operations of a decoder. `Rows` are activations `[tokens, width]`.
pub(crate) trait Backend: Send + 'static {
    /// Activations, one row a token.
    type Rows;
    /// A weight matrix from `in` to `out` values.
    type Matrix: Send;
    /// One row for each id of the vocabulary: rows are looked up for embedding, and multiplied with for logits.
    type Table: Send;
    /// A weight vector.
    type Vector: Send;
    /// A batch as the device needs it, made once a step and used by every layer.
    type Step;

    /// Takes matrices of equal width, one below the other, as one.
    fn matrix(&self, parts: &[QTensor]) -> Result<Self::Matrix, BackendError>;
    /// Takes a table.
    fn table(&self, source: &QTensor) -> Result<Self::Table, BackendError>;
    /// Takes a vector.
    fn vector(&self, source: &QTensor) -> Result<Self::Vector, BackendError>;

    /// Brings ids, positions, key-value places and masks of a step to the device.
    fn begin(&self, batch: &Batch) -> Result<Self::Step, BackendError>;
    /// The rows of `table` that the ids of the step name.
    fn embed(&self, table: &Self::Table, step: &Self::Step) -> Result<Self::Rows, BackendError>;
    /// Root-mean-square norm of each row, times `gain`.
    fn norm(&self, rows: &Self::Rows, gain: &Self::Vector, epsilon: f64) -> Result<Self::Rows, BackendError>;
    /// `rows` times the matrix.
    fn linear(&self, matrix: &Self::Matrix, rows: &Self::Rows) -> Result<Self::Rows, BackendError>;
    /// As [`Backend::linear`], plus `residual`.
    fn linear_add(
        &self,
        matrix: &Self::Matrix,
        rows: &Self::Rows,
        residual: &Self::Rows,
    ) -> Result<Self::Rows, BackendError>;
    /// Rotates queries and keys by their positions, writes keys and values of `layer` to their places in the pool, and returns
    /// the rotated queries. `qkv` holds queries, keys and values of a token side by side.
    fn rope_write_kv(&mut self, layer: usize, qkv: &Self::Rows, step: &Self::Step) -> Result<Self::Rows, BackendError>;
    /// Copies the keys and values of a whole block of the pool, in every layer.
    fn copy_block(&mut self, from: u32, to: u32) -> Result<(), BackendError>;
    /// Overwrites the keys and values of blocks with NaN, in every layer.
    fn forget(&mut self, blocks: &[u32]) -> Result<(), BackendError>;
    /// Causal attention of each span's queries to everything its sequence has in the pool of `layer`, its own keys included.
    fn attention(&self, layer: usize, queries: &Self::Rows, step: &Self::Step) -> Result<Self::Rows, BackendError>;
    /// `silu(gate) * up`, where `matrix` holds gate above up.
    fn gate_up_silu(&self, matrix: &Self::Matrix, rows: &Self::Rows) -> Result<Self::Rows, BackendError>;
    /// The rows whose logits are needed.
    fn select(&self, rows: &Self::Rows, step: &Self::Step) -> Result<Self::Rows, BackendError>;
    /// Logits: each row's product with every row of the table.
    fn head(&self, table: &Self::Table, rows: &Self::Rows) -> Result<Self::Rows, BackendError>;
    /// Makes the ids in `written[i]` less likely in row `i`: positive logits are divided by `penalty`, negative ones multiplied
    /// (Keskar et al. 2019, CTRL, §4.1).
    fn penalise(&self, logits: &Self::Rows, written: &[Vec<u32>], penalty: f32) -> Result<Self::Rows, BackendError>;
    /// The likeliest id of each row with its log-probability, in one copy to the host.
    fn argmax(&self, logits: &Self::Rows) -> Result<Vec<Choice>, BackendError>;
}
