//! A tiny decoder, and the same forward pass written out plainly in f64.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use precis_kernels::Isa;

use crate::backend::Backend;
use crate::backend::candle::CandleBackend;
use crate::backend::cpu::{CpuBackend, CpuLimits};
use crate::model::decoder::Decoder;
use crate::model::weights::{Layer, Weights};
use crate::step::{Adapter, LayerShape, ModelConfig, Place, Site};

pub(crate) const VOCABULARY: usize = 48;
pub(crate) const BLOCKS: usize = 16;
const CONTEXT: usize = 512;

pub(crate) fn config() -> ModelConfig {
    ModelConfig {
        layers: 2,
        width: 64,
        inner: 96,
        heads: 6,
        kv_heads: 2,
        head_dim: 32,
        vocabulary: VOCABULARY,
        norm_epsilon: 1e-5,
        rope_base: 10_000.0,
        rope_divisors: Vec::new(),
        rope_scale: 1.0,
        rope_short_context: None,
        split_pairs: false,
        head_norms: false,
        layer_shapes: vec![LayerShape { window: None, rotated: true }; 2],
        context: CONTEXT,
    }
}

/// A row-major matrix of the model, the same at every call.
struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    fn new(seed: u64, rows: usize, columns: usize) -> Self {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut uniform = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1_u32 << 24) as f32 - 0.5
        };
        let scale = 2.5 / (columns as f32).sqrt();
        Self { rows, columns, values: (0..rows * columns).map(|_| uniform() * scale).collect() }
    }

    fn quantised(&self) -> QTensor {
        let tensor = Tensor::from_slice(&self.values, (self.rows, self.columns), &Device::Cpu).unwrap();
        QTensor::quantize(&tensor, GgmlDType::F32).unwrap()
    }

    fn times(&self, vector: &[f64]) -> Vec<f64> {
        let rows = self.values.chunks(self.columns);
        rows.map(|row| row.iter().zip(vector).map(|(weight, value)| f64::from(*weight) * value).sum()).collect()
    }
}

fn gain(seed: u64, width: usize) -> Vec<f32> {
    Matrix::new(seed, 1, width).values.iter().map(|value| 1.0 + value).collect()
}

struct Block {
    attention_norm: Vec<f32>,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    output: Matrix,
    feed_forward_norm: Vec<f32>,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

/// The weights of all layers, with an adapter's products added to them.
fn blocks(adapter: Option<&Adapter>) -> Vec<Block> {
    let mut blocks: Vec<Block> = (0..config().layers as u64).map(block).collect();
    for (layer, block) in blocks.iter_mut().enumerate() {
        let Some(adapter) = adapter else { continue };
        let add = |site, matrices: &mut [&mut Matrix]| {
            for part in adapter.parts(Place { layer, site }) {
                let shape = part.shape();
                let (a, b) = (part.a(), part.b());
                for output in 0..shape.outputs {
                    let mut row = shape.first + output;
                    let mut at = 0;
                    while row >= matrices[at].rows {
                        row -= matrices[at].rows;
                        at += 1;
                    }
                    let columns = matrices[at].columns;
                    for (input, weight) in matrices[at].values[row * columns..][..columns].iter_mut().enumerate() {
                        let terms = (0..shape.rank).map(|rank| {
                            f64::from(b[output * shape.rank + rank]) * f64::from(a[rank * shape.inputs + input])
                        });
                        *weight = (f64::from(*weight) + f64::from(part.scale()) * terms.sum::<f64>()) as f32;
                    }
                }
            }
        };
        add(Site::Qkv, &mut [&mut block.query, &mut block.key, &mut block.value]);
        add(Site::Output, &mut [&mut block.output]);
        add(Site::GateUp, &mut [&mut block.gate, &mut block.up]);
        add(Site::Down, &mut [&mut block.down]);
    }
    blocks
}

fn block(layer: u64) -> Block {
    let config = config();
    let (width, inner) = (config.width, config.inner);
    let queries = config.heads * config.head_dim;
    let kv = config.kv_width();
    let seed = 100 * (layer + 1);
    Block {
        attention_norm: gain(seed, width),
        query: Matrix::new(seed + 1, queries, width),
        key: Matrix::new(seed + 2, kv, width),
        value: Matrix::new(seed + 3, kv, width),
        output: Matrix::new(seed + 4, width, queries),
        feed_forward_norm: gain(seed + 5, width),
        gate: Matrix::new(seed + 6, inner, width),
        up: Matrix::new(seed + 7, inner, width),
        down: Matrix::new(seed + 8, width, inner),
    }
}

fn embedding() -> Matrix {
    let config = config();
    Matrix::new(7, VOCABULARY, config.width)
}

pub(crate) fn decoder() -> Decoder<CandleBackend> {
    decoder_with_penalty(1.0)
}

pub(crate) fn decoder_with_penalty(penalty: f32) -> Decoder<CandleBackend> {
    on(candle(), penalty, None)
}

fn candle() -> CandleBackend {
    CandleBackend::new(&config(), Device::Cpu, DType::F32, CONTEXT, BLOCKS).unwrap()
}

/// A decoder whose weights hold an adapter's products already.
pub(crate) fn merged(adapter: &Adapter) -> Decoder<CandleBackend> {
    on(candle(), 1.0, Some(adapter))
}

/// The same on the processor's kernels.
pub(crate) fn cpu_merged(adapter: &Adapter) -> Decoder<CpuBackend> {
    on(cpu(2, Isa::detect()), 1.0, Some(adapter))
}

/// On the processor's kernels, whose weights are rounded to 8 bits.
pub(crate) fn cpu_decoder(threads: usize, isa: Isa) -> Decoder<CpuBackend> {
    on(cpu(threads, isa), 1.0, None)
}

fn cpu(threads: usize, isa: Isa) -> CpuBackend {
    let limits = CpuLimits { context: CONTEXT, blocks: BLOCKS, rows: CONTEXT, wanted: CONTEXT, threads, isa };
    CpuBackend::new(&config(), limits).unwrap()
}

fn on<B: Backend>(backend: B, penalty: f32, adapter: Option<&Adapter>) -> Decoder<B> {
    let config = config();
    let vector = |values: &[f32]| {
        let tensor = Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap();
        backend.vector(&QTensor::quantize(&tensor, GgmlDType::F32).unwrap()).unwrap()
    };
    let matrix = |parts: &[&Matrix]| {
        let parts: Vec<QTensor> = parts.iter().map(|part| part.quantised()).collect();
        backend.matrix(&parts).unwrap()
    };
    let layer = |block: &Block| Layer {
        attention_norm: vector(&block.attention_norm),
        qkv: matrix(&[&block.query, &block.key, &block.value]),
        qkv_bias: None,
        head_norms: None,
        output: matrix(&[&block.output]),
        feed_forward_norm: vector(&block.feed_forward_norm),
        gate_up: matrix(&[&block.gate, &block.up]),
        down: matrix(&[&block.down]),
    };
    let weights = Weights {
        embedding: backend.table(&embedding().quantised()).unwrap(),
        layers: blocks(adapter).iter().map(layer).collect(),
        final_norm: vector(&gain(8, config.width)),
        head: None,
    };
    Decoder::new(config, weights, backend, penalty)
}

/// The same model, one token after the other, nothing shared with the crate but the weights.
pub(crate) struct Reference {
    config: ModelConfig,
    blocks: Vec<Block>,
    embedding: Matrix,
}

impl Reference {
    pub(crate) fn new() -> Self {
        Self { config: config(), blocks: blocks(None), embedding: embedding() }
    }

    /// With an adapter's products added to the weights.
    pub(crate) fn merged(adapter: &Adapter) -> Self {
        Self { blocks: blocks(Some(adapter)), ..Self::new() }
    }

    pub(crate) fn logits(&self, tokens: &[u32]) -> Vec<f32> {
        let width = self.config.width;
        let mut seen: Vec<Vec<(Vec<f64>, Vec<f64>)>> = vec![Vec::new(); self.blocks.len()];
        let mut x = Vec::new();
        for (position, token) in tokens.iter().enumerate() {
            let row = &self.embedding.values[*token as usize * width..][..width];
            x = row.iter().map(|value| f64::from(*value)).collect();
            for (block, seen) in self.blocks.iter().zip(&mut seen) {
                let h = self.norm(&x, &block.attention_norm);
                let query = self.rotate(block.query.times(&h), position);
                seen.push((self.rotate(block.key.times(&h), position), block.value.times(&h)));
                add(&mut x, &block.output.times(&self.attend(&query, seen)));
                let h = self.norm(&x, &block.feed_forward_norm);
                let gated = block.gate.times(&h).into_iter().map(|gate| gate / (1.0 + (-gate).exp()));
                let inner: Vec<f64> = gated.zip(block.up.times(&h)).map(|(gate, up)| gate * up).collect();
                add(&mut x, &block.down.times(&inner));
            }
        }
        let h = self.norm(&x, &gain(8, width));
        self.embedding.times(&h).into_iter().map(|logit| logit as f32).collect()
    }

    fn norm(&self, x: &[f64], gain: &[f32]) -> Vec<f64> {
        let mean = x.iter().map(|value| value * value).sum::<f64>() / x.len() as f64;
        let scale = 1.0 / (mean + self.config.norm_epsilon).sqrt();
        x.iter().zip(gain).map(|(value, gain)| value * scale * f64::from(*gain)).collect()
    }

    fn rotate(&self, mut heads: Vec<f64>, position: usize) -> Vec<f64> {
        for head in heads.chunks_mut(self.config.head_dim) {
            for pair in 0..head.len() / 2 {
                let frequency = self.config.rope_base.powf(-2.0 * pair as f64 / self.config.head_dim as f64);
                let (sin, cos) = (position as f64 * frequency).sin_cos();
                let (first, second) = (head[2 * pair], head[2 * pair + 1]);
                head[2 * pair] = first * cos - second * sin;
                head[2 * pair + 1] = first * sin + second * cos;
            }
        }
        heads
    }

    fn attend(&self, query: &[f64], seen: &[(Vec<f64>, Vec<f64>)]) -> Vec<f64> {
        let dim = self.config.head_dim;
        let group = self.config.heads / self.config.kv_heads;
        let mut result = Vec::new();
        for (head, query) in query.chunks(dim).enumerate() {
            let at = head / group * dim;
            let dot = |key: &[f64]| query.iter().zip(&key[at..at + dim]).map(|(q, k)| q * k).sum::<f64>();
            let weights: Vec<f64> = seen.iter().map(|(key, _)| (dot(key) / (dim as f64).sqrt()).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for value in 0..dim {
                result.push(
                    seen.iter().zip(&weights).map(|((_, values), weight)| values[at + value] * weight).sum::<f64>()
                        / sum,
                );
            }
        }
        result
    }
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
