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
mod candle_adapter;
mod candle_kv;
pub(crate) mod candle_matrix;
pub(crate) mod cpu;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::step::{Adapter, BackendError, Batch, Choice, ModelConfig, Place, Restriction};
use candle_core::quantized::QTensor;

/// Gains of the norm of each query and key head by itself.
pub(crate) struct HeadNorms<V> {
    pub(crate) query: V,
    pub(crate) key: V,
}

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

    /// Takes an adapter, which spans then name by this slot. Does nothing where the slot has it.
    fn load_adapter(&mut self, slot: u32, adapter: &Arc<Adapter>) -> Result<(), BackendError>;
    /// Gives an adapter up.
    fn drop_adapter(&mut self, slot: u32);

    /// Brings ids, positions, key-value places and masks of a step to the device.
    fn begin(&mut self, batch: &Batch) -> Result<Self::Step, BackendError>;
    /// The rows of `table` that the ids of the step name.
    fn embed(&mut self, table: &Self::Table, step: &Self::Step) -> Result<Self::Stream, BackendError>;
    /// Root-mean-square norm of each row, times `gain`.
    fn norm(&mut self, rows: &Self::Stream, gain: &Self::Vector, epsilon: f64) -> Result<Self::Input, BackendError>;
    /// `rows` times the matrix of queries, keys and values, and the bias added. Here and in the
    /// other two products with a layer's matrix, the adapter of each row's span is added to the
    /// matrix; `place` says which of the adapter's products that is.
    fn linear(
        &mut self,
        matrix: &Self::Matrix,
        bias: Option<&Self::Vector>,
        rows: &Self::Input,
        place: Place,
        step: &Self::Step,
    ) -> Result<Self::Heads, BackendError>;
    /// `rows` times the matrix, added to the stream.
    fn linear_add(
        &mut self,
        matrix: &Self::Matrix,
        rows: &Self::Input,
        stream: Self::Stream,
        place: Place,
        step: &Self::Step,
    ) -> Result<Self::Stream, BackendError>;
    /// Norms queries and keys if there are norms, rotates them by their positions if the layer
    /// does, writes keys and values of `layer` to their places in the pool, and returns the
    /// queries.
    fn rope_write_kv(
        &mut self,
        layer: usize,
        norms: Option<&HeadNorms<Self::Vector>>,
        heads: Self::Heads,
        step: &Self::Step,
    ) -> Result<Self::Queries, BackendError>;
    /// Copies the keys and values of a whole block of the pool, in every layer.
    fn copy_block(&mut self, from: u32, to: u32) -> Result<(), BackendError>;
    /// Overwrites the keys and values of blocks with NaN, in every layer.
    fn forget(&mut self, blocks: &[u32]) -> Result<(), BackendError>;
    /// Causal attention of each span's queries to all keys and values of its sequence in the pool
    /// of `layer`, the span's own included, or to those of the layer's window.
    fn attention(
        &mut self,
        layer: usize,
        queries: Self::Queries,
        step: &Self::Step,
    ) -> Result<Self::Input, BackendError>;
    /// `silu(gate) * up`, where `matrix` holds gate above up.
    fn gate_up_silu(
        &mut self,
        matrix: &Self::Matrix,
        rows: &Self::Input,
        place: Place,
        step: &Self::Step,
    ) -> Result<Self::Input, BackendError>;
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
    /// Takes the tokens that may not be chosen out of each row: their logits become minus infinity.
    fn restrict(&mut self, logits: Self::Logits, restrictions: &[Restriction]) -> Result<Self::Logits, BackendError>;
    /// The likeliest id of each row with its log-probability, in one copy to the host.
    fn argmax(&mut self, logits: &Self::Logits) -> Result<Vec<Choice>, BackendError>;
    /// Logits as numbers, row by row.
    #[cfg(test)]
    fn to_host(&self, logits: &Self::Logits) -> Vec<Vec<f32>>;
}

/// Fails where a step names an adapter that was not loaded.
fn expect_loaded<T>(runs: &[(Range<usize>, u32)], loaded: &BTreeMap<u32, T>) -> Result<(), BackendError> {
    match runs.iter().find(|(_, slot)| !loaded.contains_key(slot)) {
        Some((_, slot)) => Err(BackendError(format!("there is no adapter in slot {slot}"))),
        None => Ok(()),
    }
}

/// The ids of an answer in ascending order, each once: a repeated id is penalised once.
fn distinct(written: &[u32]) -> Vec<u32> {
    let mut ids = written.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Cosines and sines of `positions` positions times every frequency (Su et al. 2021, `RoFormer`),
/// `[positions][head_dim / 2]`. Models for long contexts divide some of the frequencies, and some
/// multiply the results (Ding et al. 2024, `LongRoPE`).
fn rotations(config: &ModelConfig, positions: usize) -> (Vec<f32>, Vec<f32>) {
    let half = config.head_dim / 2;
    let divisor = |pair: usize| config.rope_divisors.get(pair).map_or(1.0, |divisor| f64::from(*divisor));
    let frequency = |pair: usize| config.rope_base.powf(-(2.0 * pair as f64) / config.head_dim as f64) / divisor(pair);
    let angles = (0..positions).flat_map(|position| (0..half).map(move |pair| position as f64 * frequency(pair)));
    let scale = config.rope_scale;
    angles.map(|angle| ((angle.cos() * scale) as f32, (angle.sin() * scale) as f32)).unzip()
}
