//! The weights of a decoder in the form its backend computes with.
//!
//! Files store one thing in several ways: queries, keys and values as three matrices or as one,
//! and the numbers that rotate together side by side or half a head apart. Here they become one:
//! rows are stacked, and moved where they lie in another order. A row is whole blocks of its
//! format, so moving it is exact, and the backends and kernels need not know.
//!
//! Every tensor of the file must be used. One that is not would change the model's answers, so the
//! file is refused by the tensor's name.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{DType, Device, Tensor};

use crate::backend::{Backend, HeadNorms};
use crate::error::EngineError;
use crate::gguf;
use crate::models::{ModelEntry, PinnedFile};
use crate::step::{BackendError, ModelConfig};

/// Divisors of the rotary frequencies: of Llama 3.1 and later, and of models with long contexts.
const ROPE_DIVISORS: [&str; 3] = ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"];

/// Which divisors of the rotary frequencies a model is computed with, where its file has two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RopeFactors {
    /// For contexts beyond those of its first training.
    Long,
    /// For the others.
    Short,
}

/// An open GGUF file of a model, whose digest is the pinned one.
pub(crate) struct GgufFile {
    path: PathBuf,
    pinned: PinnedFile,
    /// Names of the tensors that were read.
    read: HashSet<String>,
    reader: BufReader<File>,
    pub(crate) content: Content,
}

impl GgufFile {
    /// Opens the file, checks its digest, and only then reads its metadata.
    pub(crate) fn open(entry: &ModelEntry, path: &Path) -> Result<Self, EngineError> {
        let pinned = PinnedFile::open(entry, path)?;
        let mut reader = BufReader::with_capacity(1 << 20, pinned.handle()?);
        let content = gguf::header(&mut reader).map_err(|error| name(error, path))?;
        Ok(Self { path: path.to_path_buf(), pinned, read: HashSet::new(), reader, content })
    }

    /// Refuses what was read if the file was written to meanwhile.
    pub(crate) fn expect_unchanged(&self) -> Result<(), EngineError> {
        self.pinned.expect_unchanged()
    }

    /// Fills the path of this file into an error that was made where the path is not known.
    pub(crate) fn named<T>(&self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        result.map_err(|error| name(error, &self.path))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// Bytes of all tensors as they are stored.
    pub(crate) fn tensor_bytes(&self) -> u64 {
        self.content.tensor_infos.values().filter_map(gguf::tensor_bytes).sum()
    }

    /// Reads one tensor, still quantised, and checks its shape.
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<QTensor, EngineError> {
        let bad = |reason: String| EngineError::BadModel { file: self.path.clone(), reason };
        self.read.insert(name.to_owned());
        let tensor =
            self.content.tensor(&mut self.reader, name, &Device::Cpu).map_err(|error| bad(error.to_string()))?;
        if tensor.shape().dims() != shape {
            return Err(bad(format!("`{name}` has shape {:?} instead of {shape:?}", tensor.shape().dims())));
        }
        Ok(tensor)
    }

    /// Completes the shape with what is in tensors: the divisors of the rotary frequencies.
    ///
    /// A model with long contexts has two kinds. The context that the manifest gives the model
    /// decides which, once, as llama.cpp decides by its `n_ctx`. Transformers decides by the length
    /// of each sequence, so there the keys of a sequence would change while it grows. Returns which
    /// of two kinds it read.
    pub(crate) fn read_rope_divisors(
        &mut self,
        config: &mut ModelConfig,
        context: usize,
    ) -> Result<Option<RopeFactors>, EngineError> {
        let [own, long, short] = ROPE_DIVISORS;
        let positions = context.min(config.context);
        let two = config.rope_short_context.map(|original| match positions > original {
            true => (long, Some(RopeFactors::Long)),
            false => (short, Some(RopeFactors::Short)),
        });
        let Some((name, kind)) = [Some((own, None)), two].into_iter().flatten().find(|(name, _)| self.has(name)) else {
            return Ok(None);
        };
        let divisors = self.tensor(name, &[config.head_dim / 2])?;
        let divisors = divisors.dequantize(&Device::Cpu).and_then(|divisors| divisors.to_dtype(DType::F32)?.to_vec1());
        let divisors: Vec<f32> = self.named(divisors.map_err(|error| gguf::broken(&format!("{name}: {error}"))))?;
        if !divisors.iter().all(|divisor| divisor.is_finite() && *divisor > 0.0) {
            return self.named(Err(gguf::broken(&format!("`{name}` has divisors that are not above 0"))));
        }
        config.rope_divisors = divisors;
        Ok(kind)
    }

    /// Refuses a file with tensors that nothing has read: the decoder would compute without them.
    fn expect_all_read(&self) -> Result<(), EngineError> {
        let unused = |name: &&String| !self.read.contains(*name) && !ROPE_DIVISORS.contains(&name.as_str());
        match self.content.tensor_infos.keys().filter(unused).min() {
            Some(unused) => Err(EngineError::UnsupportedArchitecture {
                architecture: format!(
                    "{} with a tensor `{unused}`",
                    gguf::string(&self.content, "general.architecture").unwrap_or("a model")
                ),
            }),
            None => Ok(()),
        }
    }
}

fn name(error: EngineError, path: &Path) -> EngineError {
    match error {
        EngineError::BadModel { file, reason } if file.as_os_str().is_empty() => {
            EngineError::BadModel { file: path.to_path_buf(), reason }
        }
        other => other,
    }
}

/// Weights of one transformer block.
pub(crate) struct Layer<B: Backend> {
    pub(crate) attention_norm: B::Vector,
    /// Query, key and value rows, one below the other.
    pub(crate) qkv: B::Matrix,
    /// Their bias, in the same order.
    pub(crate) qkv_bias: Option<B::Vector>,
    pub(crate) head_norms: Option<HeadNorms<B::Vector>>,
    pub(crate) output: B::Matrix,
    pub(crate) feed_forward_norm: B::Vector,
    /// Gate and up rows, one below the other.
    pub(crate) gate_up: B::Matrix,
    pub(crate) down: B::Matrix,
}

/// Weights of a whole decoder.
pub(crate) struct Weights<B: Backend> {
    pub(crate) embedding: B::Table,
    pub(crate) layers: Vec<Layer<B>>,
    pub(crate) final_norm: B::Vector,
    /// `None` where the embedding is also the head.
    pub(crate) head: Option<B::Table>,
}

impl<B: Backend> Weights<B> {
    /// Reads all weights from the file and loads them into the backend.
    pub(crate) fn load(file: &mut GgufFile, config: &ModelConfig, backend: &B) -> Result<Self, EngineError> {
        let table = [config.vocabulary, config.width];
        let mut load = Loader { file, backend };
        let embedding = load.table("token_embd.weight", table)?;
        let layers = (0..config.layers).map(|layer| load.layer(layer, config)).collect::<Result<_, _>>()?;
        let final_norm = load.vector("output_norm.weight", config.width)?;
        let head = if load.file.has("output.weight") { Some(load.table("output.weight", table)?) } else { None };
        file.expect_all_read()?;
        Ok(Self { embedding, layers, final_norm, head })
    }
}

struct Loader<'a, B: Backend> {
    file: &'a mut GgufFile,
    backend: &'a B,
}

impl<B: Backend> Loader<'_, B> {
    fn layer(&mut self, layer: usize, config: &ModelConfig) -> Result<Layer<B>, EngineError> {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let (width, inner, dim) = (config.width, config.inner, config.head_dim);
        let heads = [config.heads, config.kv_heads, config.kv_heads];
        let all = heads.iter().sum::<usize>() * dim;
        // Queries and keys are in the order of the rotation, values as they are.
        let orders = [config.rotary_order(config.heads), config.rotary_order(config.kv_heads), None];
        let qkv = if self.file.has(&name("attn_qkv")) {
            vec![(name("attn_qkv"), all, stacked_order(&orders, heads.map(|heads| heads * dim)))]
        } else {
            let parts = ["attn_q", "attn_k", "attn_v"].into_iter().zip(heads).zip(orders);
            parts.map(|((part, heads), order)| (name(part), heads * dim, order)).collect()
        };
        let norm_order = config.rotary_order(1);
        let head_norms = if config.head_norms {
            let query = self.bias(&[(name("attn_q_norm"), dim, norm_order.clone())])?;
            Some(HeadNorms { query, key: self.bias(&[(name("attn_k_norm"), dim, norm_order)])? })
        } else {
            None
        };
        let biases: Vec<_> =
            qkv.iter().map(|(name, rows, order)| (name.replace(".weight", ".bias"), *rows, order.clone())).collect();
        let qkv_bias = if self.file.has(&biases[0].0) { Some(self.bias(&biases)?) } else { None };
        let gate_up = if self.file.has(&name("ffn_gate")) {
            vec![(name("ffn_gate"), inner, None), (name("ffn_up"), inner, None)]
        } else {
            vec![(name("ffn_up"), 2 * inner, None)]
        };
        Ok(Layer {
            attention_norm: self.vector(&name("attn_norm"), width)?,
            qkv: self.matrix(&qkv, width)?,
            qkv_bias,
            head_norms,
            output: self.matrix(&[(name("attn_output"), width, None)], config.heads * dim)?,
            feed_forward_norm: self.vector(&name("ffn_norm"), width)?,
            gate_up: self.matrix(&gate_up, width)?,
            down: self.matrix(&[(name("ffn_down"), width, None)], inner)?,
        })
    }

    /// Matrices one below the other: the name, the number of rows and the order of rows of each.
    fn matrix(&mut self, parts: &[Rows], columns: usize) -> Result<B::Matrix, EngineError> {
        let mut tensors = Vec::with_capacity(parts.len());
        for (name, rows, order) in parts {
            let tensor = self.file.tensor(name, &[*rows, columns])?;
            let moved = match order {
                Some(order) => moved(&tensor, order).map_err(|error| gguf::broken(&format!("{name}: {error}"))),
                None => Ok(tensor),
            };
            tensors.push(self.file.named(moved)?);
        }
        let loaded = self.backend.matrix(&tensors).map_err(|error| gguf::broken(&format!("{}: {error}", parts[0].0)));
        self.file.named(loaded)
    }

    /// Vectors one behind the other, in these orders.
    fn bias(&mut self, parts: &[Rows]) -> Result<B::Vector, EngineError> {
        let mut numbers = Vec::new();
        for (name, rows, order) in parts {
            let tensor = self.file.tensor(name, &[*rows])?;
            let values =
                tensor.dequantize(&Device::Cpu).and_then(|values| values.to_dtype(DType::F32)?.to_vec1::<f32>());
            let values = self.file.named(values.map_err(|error| gguf::broken(&format!("{name}: {error}"))))?;
            match order {
                Some(order) => numbers.extend(order.iter().map(|place| values[*place])),
                None => numbers.extend(values),
            }
        }
        let count = numbers.len();
        let loaded = Tensor::from_vec(numbers, count, &Device::Cpu)
            .and_then(|numbers| QTensor::quantize(&numbers, GgmlDType::F32))
            .map_err(BackendError::from)
            .and_then(|numbers| self.backend.vector(&numbers))
            .map_err(|error| gguf::broken(&format!("{}: {error}", parts[0].0)));
        self.file.named(loaded)
    }

    fn table(&mut self, name: &str, shape: [usize; 2]) -> Result<B::Table, EngineError> {
        let tensor = self.file.tensor(name, &shape)?;
        let loaded = self.backend.table(&tensor).map_err(|error| gguf::broken(&format!("{name}: {error}")));
        self.file.named(loaded)
    }

    fn vector(&mut self, name: &str, width: usize) -> Result<B::Vector, EngineError> {
        let tensor = self.file.tensor(name, &[width])?;
        let loaded = self.backend.vector(&tensor).map_err(|error| gguf::broken(&format!("{name}: {error}")));
        self.file.named(loaded)
    }
}

/// The name of a tensor, its rows, and the place of each row in the file where it is another.
type Rows = (String, usize, Option<Vec<usize>>);

/// The order of rows that stand one below the other in one tensor.
fn stacked_order(orders: &[Option<Vec<usize>>; 3], rows: [usize; 3]) -> Option<Vec<usize>> {
    if orders.iter().all(Option::is_none) {
        return None;
    }
    let mut all = Vec::with_capacity(rows.iter().sum());
    for (order, rows) in orders.iter().zip(rows) {
        let first = all.len();
        match order {
            Some(order) => all.extend(order.iter().map(|place| first + place)),
            None => all.extend(first..first + rows),
        }
    }
    Some(all)
}

/// The same matrix with its rows in another order, still quantised.
fn moved(tensor: &QTensor, order: &[usize]) -> candle_core::Result<QTensor> {
    let bytes = tensor.data()?;
    let row = bytes.len() / order.len();
    let moved: Vec<u8> = order.iter().flat_map(|place| &bytes[place * row..(place + 1) * row]).copied().collect();
    QTensor::new(QStorage::from_data(moved.into(), &Device::Cpu, tensor.dtype())?, tensor.shape().clone())
}
