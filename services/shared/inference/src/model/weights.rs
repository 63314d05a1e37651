//! The weights of a decoder in the form its backend computes with.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::Content;

use crate::backend::Backend;
use crate::error::EngineError;
use crate::gguf;
use crate::models::{ModelEntry, PinnedFile};
use crate::step::ModelConfig;

/// An open GGUF file of a model, whose digest is the pinned one.
pub(crate) struct GgufFile {
    path: PathBuf,
    pinned: PinnedFile,
    reader: BufReader<File>,
    pub(crate) content: Content,
}

impl GgufFile {
    /// Opens the file, checks its digest, and only then reads its metadata.
    pub(crate) fn open(entry: &ModelEntry, path: &Path) -> Result<Self, EngineError> {
        let pinned = PinnedFile::open(entry, path)?;
        let mut reader = BufReader::with_capacity(1 << 20, pinned.handle()?);
        let content = gguf::header(&mut reader).map_err(|error| name(error, path))?;
        Ok(Self { path: path.to_path_buf(), pinned, reader, content })
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
        let tensor =
            self.content.tensor(&mut self.reader, name, &Device::Cpu).map_err(|error| bad(error.to_string()))?;
        if tensor.shape().dims() != shape {
            return Err(bad(format!("`{name}` has shape {:?} instead of {shape:?}", tensor.shape().dims())));
        }
        Ok(tensor)
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
        let (width, inner, kv) = (config.width, config.inner, config.kv_width());
        let queries = config.heads * config.head_dim;
        Ok(Layer {
            attention_norm: self.vector(&name("attn_norm"), width)?,
            qkv: self.matrix(&[
                (&name("attn_q"), [queries, width]),
                (&name("attn_k"), [kv, width]),
                (&name("attn_v"), [kv, width]),
            ])?,
            output: self.matrix(&[(&name("attn_output"), [width, queries])])?,
            feed_forward_norm: self.vector(&name("ffn_norm"), width)?,
            gate_up: self.matrix(&[(&name("ffn_gate"), [inner, width]), (&name("ffn_up"), [inner, width])])?,
            down: self.matrix(&[(&name("ffn_down"), [width, inner])])?,
        })
    }

    fn matrix(&mut self, parts: &[(&str, [usize; 2])]) -> Result<B::Matrix, EngineError> {
        let tensors: Vec<QTensor> =
            parts.iter().map(|(name, shape)| self.file.tensor(name, shape)).collect::<Result<_, _>>()?;
        let loaded = self.backend.matrix(&tensors).map_err(|error| gguf::broken(&format!("{}: {error}", parts[0].0)));
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
