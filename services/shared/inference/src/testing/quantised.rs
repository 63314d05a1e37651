//! A small model of random weights in a GGUF file, with types as real files mix them.

use std::io::Cursor;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use tempfile::NamedTempFile;

use crate::backend::candle::CandleBackend;
use crate::config::WeightsKind;
use crate::model::decoder::Decoder;
use crate::model::weights::{GgufFile, Weights};
use crate::models::{Manifest, ModelEntry};
use crate::step::{BLOCK_TOKENS, ModelConfig};
use crate::testing;

const LAYERS: usize = 2;
/// Multiples of 256, the block of the K types.
const WIDTH: usize = 256;
const INNER: usize = 512;
const KV: usize = 128;
pub(crate) const CONTEXT: usize = 512;
pub(crate) const BLOCKS: usize = CONTEXT / BLOCK_TOKENS;

/// The types of a file's matrices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Types {
    pub(crate) table: GgmlDType,
    /// `None` where the table is also the head.
    pub(crate) head: Option<GgmlDType>,
    pub(crate) most: GgmlDType,
    /// Of values and down.
    pub(crate) exact: GgmlDType,
}

impl Types {
    /// All of one type.
    pub(crate) fn all(dtype: GgmlDType) -> Self {
        Self { table: dtype, head: Some(dtype), most: dtype, exact: dtype }
    }

    /// As in files named `Q4_K_M`.
    pub(crate) fn q4_k_m() -> Self {
        use GgmlDType::{Q4K, Q6K};
        Self { table: Q4K, head: Some(Q6K), most: Q4K, exact: Q6K }
    }
}

/// Numbers that spread like `scale` over the square root of a row's length, the same at every
/// call.
pub(crate) fn random(seed: u64, rows: usize, columns: usize, scale: f32) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u32 << 24) as f32 - 0.5
    };
    let scale = scale * 12_f32.sqrt() / (columns as f32).sqrt();
    let values = (0..rows * columns).map(|_| uniform() * scale).collect();
    Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
}

/// A file of that model, and an entry that pins it.
pub(crate) struct File {
    pub(crate) entry: ModelEntry,
    pub(crate) file: NamedTempFile,
}

impl File {
    pub(crate) fn new(types: Types) -> Self {
        let mut content = testing::shaped();
        for (key, value) in [
            ("block_count", LAYERS),
            ("embedding_length", WIDTH),
            ("feed_forward_length", INNER),
            ("attention.head_count", WIDTH / 64),
            ("attention.head_count_kv", KV / 64),
            ("context_length", CONTEXT),
        ] {
            content.metadata.insert(format!("llama.{key}"), Value::U32(value as u32));
        }
        let template = "{% for message in messages %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}";
        content.metadata.insert("tokenizer.chat_template".into(), Value::String(template.into()));
        let vocabulary = ModelConfig::from_gguf(&content).unwrap().vocabulary;

        let mut tensors: Vec<(String, QTensor)> = Vec::new();
        let mut add = |name: String, rows: usize, columns: usize, scale: f32, dtype: GgmlDType| {
            let values = random(tensors.len() as u64 + 1, rows, columns, scale);
            tensors.push((name, QTensor::quantize(&values, dtype).unwrap()));
        };
        // Logits that differ as those of a trained model.
        add("token_embd.weight".into(), vocabulary, WIDTH, 4.0, types.table);
        if let Some(dtype) = types.head {
            add("output.weight".into(), vocabulary, WIDTH, 4.0, dtype);
        }
        for layer in 0..LAYERS {
            let name = |part: &str| format!("blk.{layer}.{part}.weight");
            add(name("attn_q"), WIDTH, WIDTH, 1.0, types.most);
            add(name("attn_k"), KV, WIDTH, 1.0, types.most);
            add(name("attn_v"), KV, WIDTH, 1.0, types.exact);
            add(name("attn_output"), WIDTH, WIDTH, 1.0, types.most);
            add(name("ffn_gate"), INNER, WIDTH, 1.0, types.most);
            add(name("ffn_up"), INNER, WIDTH, 1.0, types.most);
            add(name("ffn_down"), WIDTH, INNER, 1.0, types.exact);
        }
        let norms =
            (0..LAYERS).flat_map(|layer| ["attn_norm", "ffn_norm"].map(|part| format!("blk.{layer}.{part}.weight")));
        for name in norms.chain(["output_norm.weight".to_owned()]) {
            let gain = Tensor::ones(WIDTH, DType::F32, &Device::Cpu).unwrap();
            tensors.push((name, QTensor::quantize(&gain, GgmlDType::F32).unwrap()));
        }

        let mut metadata: Vec<(&str, &Value)> =
            content.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        metadata.sort_by_key(|(key, _)| *key);
        let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let mut bytes = Cursor::new(Vec::new());
        gguf_file::write(&mut bytes, &metadata, &tensors).unwrap();
        let bytes = bytes.into_inner();
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let mut entry = Manifest::builtin().models.remove(0);
        entry.sha256 = precis_base::digest::sha256_hex(&bytes);
        Self { entry, file }
    }

    pub(crate) fn open(&self) -> GgufFile {
        GgufFile::open(&self.entry, self.file.path()).unwrap()
    }

    /// The model on Candle, on the processor.
    pub(crate) fn decoder(&self, dtype: DType, weights: WeightsKind, dequantise_rows: usize) -> Decoder<CandleBackend> {
        self.decoder_on(Device::Cpu, dtype, weights, dequantise_rows)
    }

    /// The model on Candle.
    pub(crate) fn decoder_on(
        &self,
        device: Device,
        dtype: DType,
        weights: WeightsKind,
        dequantise_rows: usize,
    ) -> Decoder<CandleBackend> {
        let mut file = self.open();
        let config = ModelConfig::from_gguf(&file.content).unwrap();
        let backend = CandleBackend::new(&config, device, dtype, CONTEXT, BLOCKS).unwrap();
        let backend = backend.with_weights(weights, dequantise_rows);
        let weights = Weights::load(&mut file, &config, &backend).unwrap();
        Decoder::new(config, weights, backend, 1.0)
    }
}

/// Kullback-Leibler divergences between the distributions of two engines, in nats a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Divergence {
    pub(crate) mean: f64,
    pub(crate) highest: f64,
    /// Share of the tokens in whose place both find the same one the likeliest.
    pub(crate) agreeing: f64,
}

impl Divergence {
    /// From the logits of the exact engine and of the other, row by row.
    pub(crate) fn between(exact: &[Vec<f32>], other: &[Vec<f32>]) -> Self {
        assert_eq!(exact.len(), other.len());
        let (mut total, mut highest, mut agreeing) = (0.0, 0.0_f64, 0);
        for (exact, other) in exact.iter().zip(other) {
            let [exact_sum, other_sum] = [exact, other].map(|logits| testing::golden::logsumexp(logits));
            let divergence: f64 = exact.iter().zip(other).fold(0.0, |sum, (exact, other)| {
                let (exact, other) = (f64::from(*exact) - exact_sum, f64::from(*other) - other_sum);
                sum + exact.exp() * (exact - other)
            });
            total += divergence;
            highest = highest.max(divergence);
            agreeing += usize::from(likeliest(exact) == likeliest(other));
        }
        let rows = exact.len() as f64;
        Self { mean: total / rows, highest, agreeing: agreeing as f64 / rows }
    }
}

fn likeliest(logits: &[f32]) -> Option<usize> {
    (0..logits.len()).max_by(|left, right| logits[*left].total_cmp(&logits[*right]))
}
