//! The decoder's operations on Candle tensors: the CUDA path. It also runs on `Device::Cpu`, where
//! it is tested.
//!
//! Weights stay quantised or become dense, as [`Placement`] says. Attention gathers a sequence's
//! keys and values and multiplies them with a tile of queries at a time. The query heads
//! that share a key-value head are multiplied together, so that keys are read once for all of them.
//!
//! Results depend on the batch only by rounding: the matrix library picks its summation order by
//! shape, and products with quantised weights round their rows to 8 bits or not, by the number of
//! rows. So ids of dense weights agree, and bits need not.
//!
//! Logits are f32, whatever type the rows have: bf16 has 8 bits for a number, too few to tell two
//! likely tokens apart.
//!
//! Unverified: no GPU has run this. It is compiled and linked for CUDA and tested on `Device::Cpu`.
//! Paged flash attention is left out: candle-flash-attn takes hours to compile and wants the pool
//! as `[blocks, page, kv_heads, head_dim]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{D, DType, Device, Tensor};
use candle_nn::ops::{rms_norm, silu};
use candle_nn::rotary_emb::rope_i;
use rayon::prelude::*;

use super::{Backend, HeadNorms, distinct, expect_loaded, rotations};
use crate::backend::candle_adapter::DeviceAdapter;
use crate::backend::candle_kv::{KvPool, SlotIndices, SpanKeys};
use crate::backend::candle_matrix::{DEQUANTISE_ROWS, Matrix, Placement, Table};
use crate::config::WeightsKind;
use crate::step::{Adapter, BackendError, Batch, Choice, LayerShape, ModelConfig, Place, Restriction, Span};

/// Queries that are attended to at once. It bounds the memory of the scores and masks.
pub(crate) const QUERY_TILE: usize = 128;

/// A Candle device with the key-value pool on it.
pub(crate) struct CandleBackend {
    device: Device,
    dtype: DType,
    placement: Placement,
    shape: HeadShape,
    layers: Vec<LayerShape>,
    /// The windows that layers have, each once.
    windows: Vec<Option<usize>>,
    norm_epsilon: f32,
    /// `[context, head_dim / 2]` each.
    cosines: Tensor,
    sines: Tensor,
    pool: KvPool,
    adapters: BTreeMap<u32, DeviceAdapter>,
}

#[derive(Debug, Clone, Copy)]
struct HeadShape {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

/// A batch on the device.
pub(crate) struct CandleStep {
    ids: Tensor,
    /// Rotation of each row, `[tokens, 1, head_dim / 2]`.
    cosines: Tensor,
    sines: Tensor,
    slots: SlotIndices,
    spans: Vec<StepSpan>,
    logit_rows: Tensor,
    adapted: Vec<(Range<usize>, u32)>,
}

struct StepSpan {
    start: usize,
    keys: SpanKeys,
    tiles: Vec<QueryTile>,
}

/// Some consecutive queries of a span.
struct QueryTile {
    /// Rows, counted from the span's first.
    start: usize,
    len: usize,
    /// Positions that the tile's last query sees.
    visible: usize,
    /// For each of the layers' windows, minus infinity at the positions that a query must not see,
    /// `[len, visible]`; `None` where a single query sees all positions.
    masks: Vec<Option<Tensor>>,
}

impl CandleBackend {
    /// Takes `blocks` key-value blocks of memory on `device`. Weights become dense.
    pub(crate) fn new(
        config: &ModelConfig,
        device: Device,
        dtype: DType,
        context: usize,
        blocks: usize,
    ) -> Result<Self, BackendError> {
        let shape = HeadShape { heads: config.heads, kv_heads: config.kv_heads, head_dim: config.head_dim };
        let (cosines, sines) = rotations(config, context);
        let half = config.head_dim / 2;
        let table = |values: Vec<f32>| Tensor::from_vec(values, (context, half), &device)?.to_dtype(dtype);
        Ok(Self {
            cosines: table(cosines)?,
            sines: table(sines)?,
            pool: KvPool::new(config, &device, dtype, blocks)?,
            adapters: BTreeMap::new(),
            placement: Placement {
                device: device.clone(),
                dtype,
                weights: WeightsKind::Dense,
                dequantise_rows: DEQUANTISE_ROWS,
            },
            device,
            dtype,
            shape,
            windows: distinct_windows(&config.layer_shapes),
            layers: config.layer_shapes.clone(),
            norm_epsilon: config.norm_epsilon as f32,
        })
    }

    /// The same backend with weights as `weights` says, where a product of so many rows and more
    /// dequantises its matrix first.
    pub(crate) fn with_weights(mut self, weights: WeightsKind, dequantise_rows: usize) -> Self {
        self.placement.weights = weights;
        self.placement.dequantise_rows = dequantise_rows;
        self
    }

    fn step_span(&self, span: &Span) -> Result<StepSpan, BackendError> {
        let before = span.context - span.len;
        let tile = |start: usize| -> Result<QueryTile, BackendError> {
            let len = QUERY_TILE.min(span.len - start);
            let visible = before + start + len;
            let mask = |window: &Option<usize>| -> Result<Option<Tensor>, BackendError> {
                let sees_all = len == 1 && window.is_none_or(|window| visible <= window);
                if sees_all { Ok(None) } else { Ok(Some(self.mask(len, visible, *window)?)) }
            };
            Ok(QueryTile { start, len, visible, masks: self.windows.iter().map(mask).collect::<Result<_, _>>()? })
        };
        let tiles = (0..span.len).step_by(QUERY_TILE).map(tile).collect::<Result<_, _>>()?;
        Ok(StepSpan { start: span.start, keys: SpanKeys::new(span, &self.device)?, tiles })
    }

    fn mask(&self, len: usize, visible: usize, window: Option<usize>) -> Result<Tensor, BackendError> {
        let first = visible - len;
        let window = window.unwrap_or(usize::MAX);
        let value = move |query: usize, key: usize| {
            let position = first + query;
            let seen = key <= position && position - key < window;
            if seen { 0.0 } else { f32::NEG_INFINITY }
        };
        let values = (0..len).flat_map(|query| (0..visible).map(move |key| value(query, key)));
        Ok(Tensor::from_iter(values, &self.device)?.reshape((len, visible))?.to_dtype(self.dtype)?)
    }

    /// A product with a matrix, plus what the adapters of its rows change. Neighbouring rows with
    /// one adapter are cut out, multiplied with its factors, and put back.
    fn adapted(&self, product: Tensor, rows: &Tensor, place: Place, step: &CandleStep) -> Result<Tensor, BackendError> {
        let (mut parts, mut done) = (Vec::new(), 0);
        for (run, slot) in &step.adapted {
            let Some(adapter) = self.adapters.get(slot).filter(|adapter| adapter.changes(place)) else { continue };
            if run.start > done {
                parts.push(product.narrow(0, done, run.start - done)?);
            }
            let (own, input) = (product.narrow(0, run.start, run.len())?, rows.narrow(0, run.start, run.len())?);
            parts.push(adapter.add(&own, &input, place)?);
            done = run.end;
        }
        if parts.is_empty() {
            return Ok(product);
        }
        let count = product.dim(0)?;
        if done < count {
            parts.push(product.narrow(0, done, count - done)?);
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    /// Attention of one span: the span's rows of the result.
    fn attend(&self, layer: usize, queries: &Tensor, span: &StepSpan) -> Result<Vec<Tensor>, BackendError> {
        let HeadShape { heads, kv_heads, head_dim } = self.shape;
        let group = heads / kv_heads;
        let window = self.windows.iter().position(|window| *window == self.layers[layer].window).unwrap_or(0);
        let (keys, values) = self.pool.read(layer, &span.keys)?;
        let mut results = Vec::with_capacity(span.tiles.len());
        for tile in &span.tiles {
            let (rows, seen) = (tile.len, tile.visible);
            let keys = keys.narrow(2, 0, seen)?;
            let values = values.narrow(1, 0, seen)?;
            // [rows, kv_heads, group, head_dim] → [kv_heads, group × rows, head_dim]
            let queries =
                queries.narrow(0, span.start + tile.start, rows)?.reshape((rows, kv_heads, group, head_dim))?;
            let queries = queries.permute((1, 2, 0, 3))?.reshape((kv_heads, group * rows, head_dim))?;
            let mut scores = queries.matmul(&keys)?;
            if let Some(mask) = &tile.masks[window] {
                scores = scores.reshape((heads, rows, seen))?.broadcast_add(mask)?.reshape((
                    kv_heads,
                    group * rows,
                    seen,
                ))?;
            }
            let weights = candle_nn::ops::softmax_last_dim(&scores)?;
            let attended = weights.matmul(&values)?.reshape((kv_heads, group, rows, head_dim))?;
            results.push(attended.permute((2, 0, 1, 3))?.reshape((rows, heads * head_dim))?);
        }
        Ok(results)
    }
}

impl Backend for CandleBackend {
    type Stream = Tensor;
    type Input = Tensor;
    type Heads = Tensor;
    type Queries = Tensor;
    type Logits = Tensor;
    type Matrix = Matrix;
    type Table = Table;
    type Vector = Tensor;
    type Step = CandleStep;

    fn matrix(&self, parts: &[QTensor]) -> Result<Matrix, BackendError> {
        Matrix::new(parts, &self.placement)
    }

    fn table(&self, source: &QTensor) -> Result<Table, BackendError> {
        Table::new(source, &self.placement)
    }

    fn vector(&self, source: &QTensor) -> Result<Tensor, BackendError> {
        self.placement.vector(source)
    }

    fn load_adapter(&mut self, slot: u32, adapter: &Arc<Adapter>) -> Result<(), BackendError> {
        if !self.adapters.contains_key(&slot) {
            self.adapters.insert(slot, DeviceAdapter::new(adapter, self.dtype, &self.device)?);
        }
        Ok(())
    }

    fn drop_adapter(&mut self, slot: u32) {
        self.adapters.remove(&slot);
    }

    fn begin(&mut self, batch: &Batch) -> Result<CandleStep, BackendError> {
        let adapted = batch.adapted_rows();
        expect_loaded(&adapted, &self.adapters)?;
        let rows = batch.ids.len();
        let device = &self.device;
        let vector = |values: &[u32]| Tensor::from_slice(values, values.len(), device);
        let positions = vector(&batch.positions)?;
        let half = self.shape.head_dim / 2;
        let rotation = |table: &Tensor| table.index_select(&positions, 0)?.reshape((rows, 1, half));
        let HeadShape { kv_heads, head_dim, .. } = self.shape;
        Ok(CandleStep {
            ids: vector(&batch.ids)?,
            cosines: rotation(&self.cosines)?,
            sines: rotation(&self.sines)?,
            slots: SlotIndices::new(&batch.slots, kv_heads, head_dim, device)?,
            spans: batch.spans.iter().map(|span| self.step_span(span)).collect::<Result<_, _>>()?,
            // A CUDA kernel cannot be launched for no rows at all. Where no logits are wanted,
            // those of the first row are computed for nobody.
            logit_rows: vector(if batch.logit_rows.is_empty() { &[0] } else { &batch.logit_rows })?,
            adapted,
        })
    }

    fn embed(&mut self, table: &Table, step: &CandleStep) -> Result<Tensor, BackendError> {
        table.rows(&step.ids, self.dtype)
    }

    fn norm(&mut self, rows: &Tensor, gain: &Tensor, epsilon: f64) -> Result<Tensor, BackendError> {
        Ok(rms_norm(rows, gain, epsilon as f32)?)
    }

    fn linear(
        &mut self,
        matrix: &Matrix,
        bias: Option<&Tensor>,
        rows: &Tensor,
        place: Place,
        step: &CandleStep,
    ) -> Result<Tensor, BackendError> {
        let sums = self.adapted(matrix.times(rows)?, rows, place, step)?;
        Ok(match bias {
            Some(bias) => sums.broadcast_add(bias)?,
            None => sums,
        })
    }

    fn linear_add(
        &mut self,
        matrix: &Matrix,
        rows: &Tensor,
        stream: Tensor,
        place: Place,
        step: &CandleStep,
    ) -> Result<Tensor, BackendError> {
        Ok((self.adapted(matrix.times(rows)?, rows, place, step)? + stream)?)
    }

    fn rope_write_kv(
        &mut self,
        layer: usize,
        norms: Option<&HeadNorms<Tensor>>,
        qkv: Tensor,
        step: &CandleStep,
    ) -> Result<Tensor, BackendError> {
        let HeadShape { heads, kv_heads, head_dim } = self.shape;
        let rows = qkv.dim(0)?;
        let turned = heads + kv_heads;
        // Pairs are side by side, and `rope_i` turns such pairs. One row is one batch of length 1.
        let mut queries_keys =
            qkv.narrow(1, 0, turned * head_dim)?.contiguous()?.reshape((rows, turned, 1, head_dim))?;
        if let Some(HeadNorms { query, key }) = norms {
            let queries = queries_keys.narrow(1, 0, heads)?.contiguous()?;
            let keys = queries_keys.narrow(1, heads, kv_heads)?.contiguous()?;
            let normed = [rms_norm(&queries, query, self.norm_epsilon)?, rms_norm(&keys, key, self.norm_epsilon)?];
            queries_keys = Tensor::cat(&normed, 1)?;
        }
        if self.layers[layer].rotated {
            queries_keys = rope_i(&queries_keys, &step.cosines, &step.sines)?;
        }
        let queries_keys = queries_keys.reshape((rows, turned, head_dim))?;
        let keys = queries_keys.narrow(1, heads, kv_heads)?.permute((1, 2, 0))?.contiguous()?;
        let values = qkv.narrow(1, turned * head_dim, kv_heads * head_dim)?.reshape((rows, kv_heads, head_dim))?;
        self.pool.write(layer, &step.slots, &keys, &values.transpose(0, 1)?.contiguous()?)?;
        // Queries are scaled, since there are fewer of them than scores.
        Ok((queries_keys.narrow(1, 0, heads)? * (1.0 / (head_dim as f64).sqrt()))?)
    }

    fn copy_block(&mut self, from: u32, to: u32) -> Result<(), BackendError> {
        self.pool.copy(from, to)
    }

    fn forget(&mut self, blocks: &[u32]) -> Result<(), BackendError> {
        self.pool.forget(blocks)
    }

    fn attention(&mut self, layer: usize, queries: Tensor, step: &CandleStep) -> Result<Tensor, BackendError> {
        let this = &*self;
        let attend = |span: &StepSpan| this.attend(layer, &queries, span);
        // On the processor the products of one sequence are too small to be shared among threads.
        // So each thread takes sequences.
        let spans: Vec<Vec<Tensor>> = if this.device.is_cpu() {
            step.spans.par_iter().map(attend).collect::<Result<_, _>>()?
        } else {
            step.spans.iter().map(attend).collect::<Result<_, _>>()?
        };
        Ok(Tensor::cat(&spans.concat(), 0)?)
    }

    fn gate_up_silu(
        &mut self,
        matrix: &Matrix,
        rows: &Tensor,
        place: Place,
        step: &CandleStep,
    ) -> Result<Tensor, BackendError> {
        let both = self.linear(matrix, None, rows, place, step)?;
        let inner = both.dim(1)? / 2;
        Ok((silu(&both.narrow(1, 0, inner)?)? * both.narrow(1, inner, inner)?)?)
    }

    fn select(&mut self, rows: Tensor, step: &CandleStep) -> Result<Tensor, BackendError> {
        Ok(rows.index_select(&step.logit_rows, 0)?)
    }

    fn head(&mut self, table: &Table, rows: &Tensor) -> Result<Tensor, BackendError> {
        table.logits(rows)
    }

    fn penalise(&mut self, logits: Tensor, written: &[Vec<u32>], penalty: f32) -> Result<Tensor, BackendError> {
        let rows = logits.dim(0)?;
        let mut penalised = Vec::with_capacity(rows);
        for (row, ids) in written.iter().enumerate() {
            let ids = distinct(ids);
            let row = logits.narrow(0, row, 1)?;
            if ids.is_empty() {
                penalised.push(row);
                continue;
            }
            let count = ids.len();
            let places = Tensor::from_vec(ids, (1, count), &self.device)?;
            let now = row.gather(&places, 1)?;
            let (up, down) = (now.relu()? / f64::from(penalty), now.neg()?.relu()? * f64::from(penalty));
            penalised.push(row.scatter(&places, &(up? - down?)?, 1)?);
        }
        Ok(Tensor::cat(&penalised, 0)?)
    }

    fn restrict(&mut self, logits: Tensor, restrictions: &[Restriction]) -> Result<Tensor, BackendError> {
        let rows = restrictions.iter().enumerate().map(|(row, restriction)| {
            let mut row = logits.narrow(0, row, 1)?;
            let places = |ids: &[u32]| Tensor::from_slice(ids, (1, ids.len()), &self.device);
            if let Some(only) = &restriction.only {
                let kept = row.gather(&places(only)?, 1)?;
                let nothing = Tensor::full(f32::NEG_INFINITY, row.shape(), &self.device)?.to_dtype(row.dtype())?;
                row = nothing.scatter(&places(only)?, &kept, 1)?;
            }
            let except = distinct(&restriction.except);
            if !except.is_empty() {
                let nothing = Tensor::full(f32::NEG_INFINITY, (1, except.len()), &self.device)?;
                row = row.scatter(&places(&except)?, &nothing.to_dtype(row.dtype())?, 1)?;
            }
            Ok(row)
        });
        let rows: Vec<Tensor> = rows.collect::<Result<_, candle_core::Error>>()?;
        Ok(Tensor::cat(&rows, 0)?)
    }

    fn argmax(&mut self, logits: &Tensor) -> Result<Vec<Choice>, BackendError> {
        let ids = logits.argmax(D::Minus1)?;
        let highest = logits.max_keepdim(D::Minus1)?;
        // The log softmax of the highest logit; its own exponent is 0.
        let logprobs = logits.broadcast_sub(&highest)?.exp()?.sum(D::Minus1)?.log()?.neg()?;
        // Ids are below 2^24, so f32 holds them exactly, and ids and log-probabilities come in one
        // copy.
        let both = Tensor::stack(&[ids.to_dtype(DType::F32)?, logprobs], 1)?.to_vec2::<f32>()?;
        Ok(both.into_iter().map(|pair| Choice { id: pair[0] as u32, logprob: pair[1] }).collect())
    }

    #[cfg(test)]
    fn to_host(&self, logits: &Tensor) -> Vec<Vec<f32>> {
        logits.to_vec2().expect("logits are a matrix of f32")
    }
}

/// The windows that layers have, each once.
fn distinct_windows(layers: &[LayerShape]) -> Vec<Option<usize>> {
    let mut windows: Vec<_> = layers.iter().map(|layer| layer.window).collect();
    windows.sort_unstable();
    windows.dedup();
    windows
}

#[cfg(test)]
mod tests;
