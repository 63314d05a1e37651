//! The decoder's operations on the processor, by our own kernels.
//!
//! All memory is taken at start: the weights, packed once into the kernels' tiles, the key-value
//! pool, and one arena of activations for the largest step. Handles only say how many rows of the
//! arena are meant.
//!
//! ```text
//! stream f32 ──norm──▶ input 8 bits ──qkv──▶ heads f32 ──rotate, write──▶ queries bf16 ──attend──▶ input 8 bits ──output──▶ + stream
//!            ──norm──▶ input 8 bits ──gate, up, silu──▶ inner 8 bits ──down──▶ + stream
//!            ──select, norm──▶ input 8 bits ──head──▶ logits f32
//! ```
//!
//! **Invariant:** the bits of a token's logits are a function of the weights and of that sequence's
//! ids up to the token, and of nothing else: not of the batch, the chunks of a prompt, block ids,
//! threads or the instruction set. `precis-kernels` says which rules make this hold.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device};
use precis_kernels::{
    Activations, AdaptedRows, Adapters, Buffer, Format, HeadNorm, HeadTurn, Isa, Kernels, KvPool, KvShape, Matrix,
    Rotations, Source, Span, Spans,
};

use super::{Backend, HeadNorms, distinct, expect_loaded, rotations};
use crate::step::{self, Adapter, BackendError, Batch, Choice, ModelConfig, Place, Restriction};

/// Sizes that are fixed at start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuLimits {
    /// Positions of the longest sequence.
    pub(crate) context: usize,
    /// Key-value blocks.
    pub(crate) blocks: usize,
    /// Rows of the largest step.
    pub(crate) rows: usize,
    /// Rows whose logits are wanted in the largest step.
    pub(crate) wanted: usize,
    /// Threads.
    pub(crate) threads: usize,
    /// Instruction set.
    pub(crate) isa: Isa,
}

impl CpuLimits {
    fn pool(&self, config: &ModelConfig) -> KvShape {
        KvShape { layers: config.layers, blocks: self.blocks, kv_heads: config.kv_heads, head_dim: config.head_dim }
    }

    /// Bytes of the key-value pool.
    pub(crate) fn pool_bytes(&self, config: &ModelConfig) -> usize {
        self.pool(config).bytes()
    }

    /// Bytes of the arena and the rotary tables.
    pub(crate) fn work_bytes(&self, config: &ModelConfig) -> usize {
        let queries = config.heads * config.head_dim;
        let heads = queries + 2 * config.kv_width();
        let row = 4 * config.width + 4 * heads + 2 * queries;
        let rounded =
            Activations::bytes(self.rows, config.width.max(queries)) + Activations::bytes(self.rows, config.inner);
        let wanted = 4 * (config.width + config.vocabulary.next_multiple_of(step::BLOCK_TOKENS));
        self.rows * row + rounded + self.wanted * wanted + 4 * self.context * config.head_dim
    }
}

/// The kernels, the pool and the arena.
pub(crate) struct CpuBackend {
    kernels: Kernels,
    pool: KvPool,
    rotations: Rotations,
    /// For layers that do not rotate.
    no_rotations: Rotations,
    limits: CpuLimits,
    shape: ModelConfig,
    stream: Buffer<f32>,
    selected: Buffer<f32>,
    input: Activations,
    inner: Activations,
    heads: Buffer<f32>,
    queries: Buffer<u32>,
    logits: Buffer<f32>,
    adapters: BTreeMap<u32, Arc<Adapter>>,
    /// Work space of the adapters' products; it grows with the largest rank that was loaded.
    between: Buffer<f32>,
}

/// Rows of the stream, or of those selected from it.
#[derive(Debug)]
pub(crate) enum Stream {
    All(usize),
    Selected(usize),
}

/// Rounded rows in the arena.
#[derive(Debug)]
pub(crate) enum Input {
    Normed,
    Inner,
}

/// Rows in the arena.
#[derive(Debug)]
pub(crate) struct Rows(usize);

/// Logits in the arena.
#[derive(Debug)]
pub(crate) struct Logits {
    rows: usize,
    /// Numbers from one row to the next; the first `vocabulary` of them count.
    width: usize,
    vocabulary: usize,
}

/// A batch cut up for the kernels.
#[derive(Debug)]
pub(crate) struct CpuStep {
    ids: Vec<u32>,
    spans: Spans,
    logit_rows: Vec<u32>,
    adapted: Vec<(Range<usize>, u32)>,
}

impl CpuBackend {
    /// Takes all memory but that of the weights.
    pub(crate) fn new(config: &ModelConfig, limits: CpuLimits) -> Result<Self, BackendError> {
        let queries = config.heads * config.head_dim;
        let refuse = |what: &str| Err(BackendError(format!("the processor's kernels cannot compute {what}")));
        if !config.head_dim.is_multiple_of(32) || config.head_dim > precis_kernels::spec::attention::MAX_HEAD_DIM {
            return refuse(&format!("heads of {} values: it must be a multiple of 32 up to 256", config.head_dim));
        }
        if !config.width.is_multiple_of(32) || !config.inner.is_multiple_of(32) {
            return refuse(&format!(
                "rows of {} and {} values: both must be multiples of 32",
                config.width, config.inner
            ));
        }
        let Some(kernels) = Kernels::new(limits.threads, limits.isa, config.head_dim) else {
            return refuse(&format!("with {}: this processor has not got it", limits.isa.name()));
        };
        let (cosines, sines) = rotations(config, limits.context);
        Ok(Self {
            kernels,
            pool: KvPool::new(limits.pool(config)),
            rotations: Rotations::new(&cosines, &sines, config.head_dim / 2),
            no_rotations: Rotations::none(config.head_dim / 2),
            stream: Buffer::zeroed(limits.rows * config.width),
            selected: Buffer::zeroed(limits.wanted * config.width),
            input: Activations::new(limits.rows, config.width.max(queries)),
            inner: Activations::new(limits.rows, config.inner),
            heads: Buffer::zeroed(limits.rows * (queries + 2 * config.kv_width())),
            queries: Buffer::zeroed(limits.rows * queries / 2),
            logits: Buffer::zeroed(limits.wanted * config.vocabulary.next_multiple_of(step::BLOCK_TOKENS)),
            adapters: BTreeMap::new(),
            between: Buffer::zeroed(0),
            limits,
            shape: config.clone(),
        })
    }
}

/// The rows that adapters change, with their products for one matrix.
fn adapted_rows<'a>(loaded: &'a BTreeMap<u32, Arc<Adapter>>, place: Place, step: &CpuStep) -> Vec<AdaptedRows<'a>> {
    let of = |(rows, slot): &(Range<usize>, u32)| {
        let parts = loaded.get(slot)?.parts(place);
        (!parts.is_empty()).then(|| AdaptedRows { rows: rows.clone(), parts })
    };
    step.adapted.iter().filter_map(of).collect()
}

impl Backend for CpuBackend {
    type Stream = Stream;
    type Input = Input;
    type Heads = Rows;
    type Queries = Rows;
    type Logits = Logits;
    type Matrix = Matrix;
    type Table = Matrix;
    type Vector = Buffer<f32>;
    type Step = CpuStep;

    fn matrix(&self, parts: &[QTensor]) -> Result<Matrix, BackendError> {
        let bytes: Vec<_> = parts.iter().map(QTensor::data).collect::<Result<_, _>>()?;
        let sources = parts.iter().zip(&bytes).map(|(part, bytes)| {
            let (rows, columns) = part.shape().dims2()?;
            Ok(Source { format: format(part.dtype())?, rows, columns, bytes })
        });
        let sources: Vec<Source<'_>> = sources.collect::<Result<_, BackendError>>()?;
        Matrix::pack(&sources).map_err(|error| BackendError(error.to_string()))
    }

    fn table(&self, source: &QTensor) -> Result<Matrix, BackendError> {
        self.matrix(std::slice::from_ref(source))
    }

    fn vector(&self, source: &QTensor) -> Result<Buffer<f32>, BackendError> {
        let values = source.dequantize(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(Buffer::from_slice(&values))
    }

    fn load_adapter(&mut self, slot: u32, adapter: &Arc<Adapter>) -> Result<(), BackendError> {
        if adapter.layers() != self.shape.layers {
            return Err(BackendError("the adapter is for another model".into()));
        }
        let values = self.limits.rows * adapter.largest_rank();
        if values > self.between.len() {
            self.between = Buffer::zeroed(values);
        }
        self.adapters.entry(slot).or_insert_with(|| Arc::clone(adapter));
        Ok(())
    }

    fn drop_adapter(&mut self, slot: u32) {
        self.adapters.remove(&slot);
    }

    fn begin(&mut self, batch: &Batch) -> Result<CpuStep, BackendError> {
        let (rows, wanted) = (batch.ids.len(), batch.logit_rows.len());
        if rows > self.limits.rows || wanted > self.limits.wanted {
            return Err(BackendError(format!("{rows} rows, {wanted} of them wanted, are more than {:?}", self.limits)));
        }
        let adapted = batch.adapted_rows();
        expect_loaded(&adapted, &self.adapters)?;
        let spans: Vec<_> = batch
            .spans
            .iter()
            .map(|span| Span { start: span.start, len: span.len, context: span.context, blocks: &span.blocks })
            .collect();
        Ok(CpuStep {
            ids: batch.ids.clone(),
            spans: Spans::new(&spans, self.shape.heads, self.shape.kv_heads),
            logit_rows: batch.logit_rows.clone(),
            adapted,
        })
    }

    fn embed(&mut self, table: &Matrix, step: &CpuStep) -> Result<Stream, BackendError> {
        self.kernels.embed(table, &step.ids, &mut self.stream);
        Ok(Stream::All(step.ids.len()))
    }

    fn norm(&mut self, rows: &Stream, gain: &Buffer<f32>, epsilon: f64) -> Result<Input, BackendError> {
        let rows = match rows {
            Stream::All(rows) => &self.stream[..rows * gain.len()],
            Stream::Selected(rows) => &self.selected[..rows * gain.len()],
        };
        self.kernels.norm(rows, gain, epsilon as f32, &mut self.input);
        Ok(Input::Normed)
    }

    fn linear(
        &mut self,
        matrix: &Matrix,
        bias: Option<&Buffer<f32>>,
        rows: &Input,
        place: Place,
        step: &CpuStep,
    ) -> Result<Rows, BackendError> {
        let Self { kernels, input, inner, heads, adapters, between, .. } = self;
        let rows = of(rows, input, inner);
        let adapted = adapted_rows(adapters, place, step);
        let adapters = Adapters::new(&adapted, between);
        match bias {
            Some(bias) => kernels.linear_bias(matrix, bias, rows, adapters, heads),
            None => kernels.linear_adapted(matrix, rows, adapters, heads),
        }
        Ok(Rows(rows.rows()))
    }

    fn linear_add(
        &mut self,
        matrix: &Matrix,
        rows: &Input,
        stream: Stream,
        place: Place,
        step: &CpuStep,
    ) -> Result<Stream, BackendError> {
        let Self { kernels, input, inner, adapters, between, .. } = self;
        let adapted = adapted_rows(adapters, place, step);
        let adapters = Adapters::new(&adapted, between);
        kernels.linear_add_adapted(matrix, of(rows, input, inner), adapters, &mut self.stream);
        Ok(stream)
    }

    fn rope_write_kv(
        &mut self,
        layer: usize,
        norms: Option<&HeadNorms<Buffer<f32>>>,
        heads: Rows,
        step: &CpuStep,
    ) -> Result<Rows, BackendError> {
        let width = (self.shape.heads + 2 * self.shape.kv_heads) * self.shape.head_dim;
        let numbers = &self.heads[..heads.0 * width];
        let epsilon = self.shape.norm_epsilon as f32;
        let Self { kernels, pool, rotations, no_rotations, queries, .. } = self;
        let turn = HeadTurn {
            rotations: if self.shape.layer_shapes[layer].rotated { rotations } else { no_rotations },
            norm: norms.map(|norms| HeadNorm { query: &norms.query, key: &norms.key, epsilon }),
        };
        kernels.rope_write_kv(pool, layer, numbers, turn, &step.spans, queries);
        Ok(heads)
    }

    fn copy_block(&mut self, from: u32, to: u32) -> Result<(), BackendError> {
        self.pool.copy_block(from as usize, to as usize);
        Ok(())
    }

    fn forget(&mut self, blocks: &[u32]) -> Result<(), BackendError> {
        for block in blocks {
            self.pool.poison(*block as usize);
        }
        Ok(())
    }

    fn attention(&mut self, layer: usize, queries: Rows, step: &CpuStep) -> Result<Input, BackendError> {
        let words = &self.queries[..queries.0 * self.shape.heads * self.shape.head_dim / 2];
        self.kernels.attention(
            &self.pool,
            (layer, self.shape.layer_shapes[layer].window),
            words,
            &step.spans,
            &mut self.input,
        );
        Ok(Input::Normed)
    }

    fn gate_up_silu(
        &mut self,
        matrix: &Matrix,
        rows: &Input,
        place: Place,
        step: &CpuStep,
    ) -> Result<Input, BackendError> {
        debug_assert!(matches!(rows, Input::Normed), "gate and up follow a norm");
        let Self { kernels, input, inner, adapters, between, .. } = self;
        let adapted = adapted_rows(adapters, place, step);
        kernels.gate_up_silu_adapted(matrix, input, Adapters::new(&adapted, between), inner);
        Ok(Input::Inner)
    }

    fn select(&mut self, rows: Stream, step: &CpuStep) -> Result<Stream, BackendError> {
        debug_assert!(matches!(rows, Stream::All(_)), "rows are selected once");
        let width = self.shape.width;
        for (to, from) in self.selected.chunks_exact_mut(width).zip(&step.logit_rows) {
            to.copy_from_slice(&self.stream[*from as usize * width..][..width]);
        }
        Ok(Stream::Selected(step.logit_rows.len()))
    }

    fn head(&mut self, table: &Matrix, rows: &Input) -> Result<Logits, BackendError> {
        let Self { kernels, input, inner, logits, .. } = self;
        let rows = of(rows, input, inner);
        kernels.linear(table, rows, logits);
        Ok(Logits { rows: rows.rows(), width: table.padded_rows(), vocabulary: table.rows() })
    }

    fn penalise(&mut self, logits: Logits, written: &[Vec<u32>], penalty: f32) -> Result<Logits, BackendError> {
        for (row, ids) in self.logits.chunks_exact_mut(logits.width).zip(written) {
            for id in distinct(ids) {
                let logit = &mut row[id as usize];
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
        Ok(logits)
    }

    fn restrict(&mut self, logits: Logits, restrictions: &[Restriction]) -> Result<Logits, BackendError> {
        for (row, restriction) in self.logits.chunks_exact_mut(logits.width).zip(restrictions) {
            if let Some(only) = &restriction.only {
                let kept: Vec<f32> = only.iter().map(|id| row[*id as usize]).collect();
                row.fill(f32::NEG_INFINITY);
                for (id, logit) in only.iter().zip(kept) {
                    row[*id as usize] = logit;
                }
            }
            for id in &restriction.except {
                row[*id as usize] = f32::NEG_INFINITY;
            }
        }
        Ok(logits)
    }

    fn argmax(&mut self, logits: &Logits) -> Result<Vec<Choice>, BackendError> {
        let numbers = &self.logits[..logits.rows * logits.width];
        let choices = self.kernels.choose(numbers, logits.width, logits.vocabulary);
        Ok(choices.into_iter().map(|choice| Choice { id: choice.id, logprob: choice.logprob }).collect())
    }

    #[cfg(test)]
    fn to_host(&self, logits: &Logits) -> Vec<Vec<f32>> {
        let rows = self.logits.chunks_exact(logits.width).take(logits.rows);
        rows.map(|row| row[..logits.vocabulary].to_vec()).collect()
    }
}

fn of<'a>(which: &Input, input: &'a Activations, inner: &'a Activations) -> &'a Activations {
    match which {
        Input::Normed => input,
        Input::Inner => inner,
    }
}

fn format(dtype: GgmlDType) -> Result<Format, BackendError> {
    Ok(match dtype {
        GgmlDType::Q4_0 => Format::Q4_0,
        GgmlDType::Q4_1 => Format::Q4_1,
        GgmlDType::Q5_0 => Format::Q5_0,
        GgmlDType::Q5_1 => Format::Q5_1,
        GgmlDType::Q8_0 => Format::Q8_0,
        GgmlDType::Q4K => Format::Q4K,
        GgmlDType::Q5K => Format::Q5K,
        GgmlDType::Q6K => Format::Q6K,
        GgmlDType::F16 => Format::F16,
        GgmlDType::F32 => Format::F32,
        other => return Err(BackendError(format!("weights in {other:?} are not supported"))),
    })
}

#[cfg(test)]
mod tests;
