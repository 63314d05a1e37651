//! The numbers of a float model, read a piece at a time.
//!
//! Files are read, never mapped: a mapped file that shrinks ends the process. Each is opened once,
//! so a file that is put into its place changes nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Content;
use half::{bf16, f16};

use super::{located, safetensors};
use crate::error::EngineError;
use crate::gguf::{self, broken};

/// Largest file of settings or vocabulary that is read; the largest known has 35 MB.
pub(super) const MAX_SETTINGS_BYTES: u64 = 128 << 20;

/// How a float is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Float {
    F32,
    F16,
    Bf16,
}

impl Float {
    fn bytes(self) -> usize {
        if self == Self::F32 { 4 } else { 2 }
    }

    fn decoded(self, bytes: &[u8]) -> Vec<f32> {
        let words = || bytes.chunks_exact(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
        match self {
            Self::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Self::F16 => words().map(|bits| f16::from_bits(bits).to_f32()).collect(),
            Self::Bf16 => words().map(|bits| bf16::from_bits(bits).to_f32()).collect(),
        }
    }
}

/// One tensor, and where its numbers are.
#[derive(Debug)]
struct Stored {
    file: usize,
    /// Byte of the file at which it begins.
    start: u64,
    /// How it is stored, by name where that is no float.
    float: Result<Float, String>,
    shape: Vec<usize>,
}

/// Open files and the tensors in them.
#[derive(Debug, Default)]
pub(super) struct FloatFiles {
    files: Vec<(PathBuf, File)>,
    tensors: BTreeMap<String, Stored>,
}

impl FloatFiles {
    /// Opens a safetensors file and adds its tensors.
    pub(super) fn add_safetensors(&mut self, path: &Path) -> Result<(), EngineError> {
        let mut file = open(path)?;
        let entries = safetensors::header(&mut file).map_err(|error| located(error, path))?;
        for (name, entry) in entries {
            let float = match entry.dtype.as_str() {
                "F32" => Ok(Float::F32),
                "F16" => Ok(Float::F16),
                "BF16" => Ok(Float::Bf16),
                _ => Err(entry.dtype),
            };
            let stored = Stored { file: self.files.len(), start: entry.start, float, shape: entry.shape };
            if self.tensors.insert(name.clone(), stored).is_some() {
                return Err(located(broken(&format!("`{name}` is in another file too")), path));
            }
        }
        self.files.push((path.to_owned(), file));
        Ok(())
    }

    /// Opens a GGUF file and adds its tensors.
    pub(super) fn add_gguf(&mut self, path: &Path) -> Result<Content, EngineError> {
        let mut reader = BufReader::new(open(path)?);
        let content = gguf::header(&mut reader).map_err(|error| located(error, path))?;
        for (name, info) in &content.tensor_infos {
            let float = match info.ggml_dtype {
                GgmlDType::F32 => Ok(Float::F32),
                GgmlDType::F16 => Ok(Float::F16),
                GgmlDType::BF16 => Ok(Float::Bf16),
                other => Err(format!("{other:?}")),
            };
            // `gguf::header` has checked that the sum stays within the file.
            let start = content.tensor_data_offset + info.offset;
            let shape = info.shape.dims().to_vec();
            self.tensors.insert(name.clone(), Stored { file: self.files.len(), start, float, shape });
        }
        self.files.push((path.to_owned(), reader.into_inner()));
        Ok(content)
    }

    /// Names and shapes of all tensors.
    pub(super) fn shapes(&self) -> impl Iterator<Item = (&String, &[usize])> {
        self.tensors.iter().map(|(name, stored)| (name, stored.shape.as_slice()))
    }

    /// Checks that a tensor is there, of that shape and in floats.
    pub(super) fn expect(&self, name: &str, shape: &[usize]) -> Result<(), EngineError> {
        let stored = self.tensors.get(name).ok_or_else(|| broken(&format!("the tensor `{name}` is missing")))?;
        let reason = if stored.shape != shape {
            format!("`{name}` has shape {:?} instead of {shape:?}", stored.shape)
        } else if let Err(kind) = &stored.float {
            format!("`{name}` is stored as {kind}, not as f32, f16 or bf16: give the model before it was quantised")
        } else {
            return Ok(());
        };
        Err(located(broken(&reason), &self.files[stored.file].0))
    }

    /// So many rows of a tensor that [`FloatFiles::expect`] has found sound.
    pub(super) fn rows(
        &mut self,
        name: &str,
        from: usize,
        rows: usize,
        columns: usize,
    ) -> Result<Vec<f32>, EngineError> {
        let stored = &self.tensors[name];
        let float = stored.float.clone().map_err(|kind| broken(&kind))?;
        let row_bytes = columns * float.bytes();
        let mut bytes = vec![0; rows * row_bytes];
        let (path, file) = &mut self.files[stored.file];
        file.seek(SeekFrom::Start(stored.start + (from * row_bytes) as u64))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|error| EngineError::io("reading", path, &error))?;
        Ok(float.decoded(&bytes))
    }
}

/// Opens a regular file. A pipe or a device has no end.
fn open(path: &Path) -> Result<File, EngineError> {
    let file = File::open(path).map_err(|error| EngineError::io("opening", path, &error))?;
    let about = file.metadata().map_err(|error| EngineError::io("reading", path, &error))?;
    if !about.is_file() {
        return Err(located(broken("it is no file"), path));
    }
    Ok(file)
}

/// The bytes of a file of settings; `None` where there is none.
pub(super) fn settings(path: &Path) -> Result<Option<Vec<u8>>, EngineError> {
    if !path.exists() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    open(path)?
        .take(MAX_SETTINGS_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| EngineError::io("reading", path, &error))?;
    if bytes.len() as u64 > MAX_SETTINGS_BYTES {
        return Err(located(broken(&format!("it has more than {MAX_SETTINGS_BYTES} bytes")), path));
    }
    Ok(Some(bytes))
}
