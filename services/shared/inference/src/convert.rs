//! Quantisation of a float model into a GGUF file, which this engine and llama.cpp read.
//!
//! ```text
//! config.json ──shape──▶ metadata, expected tensors
//! tokenizer.json | tokenizer.model ──vocabulary──▶ metadata             ──layout──▶ header ┐
//! *.safetensors | float GGUF ──files──▶ rows f32 ──tensors──▶ rows in order ──blocks──▶ bytes ┴▶ file
//! ```
//!
//! All files are untrusted input: sizes are bounded before memory is taken, and what is not known
//! is refused by name. Numbers are read some rows at a time, so that memory does not grow with the
//! model. The result is a function of the model's files and of the target alone. It appears under
//! its name when it is whole.

mod blocks;
mod files;
mod layout;
mod safetensors;
mod sentencepiece;
mod shape;
mod source;
mod tensors;
mod types;
mod vocabulary;
mod words;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::quantized::gguf_file::Value;
use precis_base::digest::hex;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::EngineError;
use crate::gguf;
use crate::step::ModelConfig;
use crate::text::gguf_bpe::Tokenizer;
use crate::text::template::Template;
use files::FloatFiles;
use layout::Planned;
use source::{Numbers, ToWrite};
pub use types::Quantisation;

/// Numbers in memory at a time, at least one row or head of them.
const CHUNK_VALUES: usize = 1 << 22;

/// A file that was written.
#[derive(Debug, Clone)]
pub struct Quantised {
    /// The file.
    pub path: PathBuf,
    /// Its SHA-256, in hex.
    pub sha256: String,
    /// Its bytes.
    pub bytes: u64,
    /// Architecture family, as a manifest names it.
    pub family: String,
    /// Tokens the model was trained to attend to.
    pub context: usize,
    /// What its matrices are stored as.
    pub to: Quantisation,
    /// Tensors by block format.
    pub formats: BTreeMap<String, usize>,
    /// Why this build cannot run it, if it cannot; llama.cpp may.
    pub not_run_here: Option<EngineError>,
}

/// Bytes written so far, and in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// So far.
    pub done: u64,
    /// In all.
    pub total: u64,
}

/// Converts the model in a Hugging Face folder, or a GGUF file of floats, and writes it to
/// `target`. Blocks: call it from a thread that may.
///
/// # Errors
/// A model that is not sound or not known, a target that exists, a disk that is full. Nothing is
/// left of a file that did not become whole.
pub fn quantise(
    source: &Path,
    to: Quantisation,
    target: &Path,
    progress: &mut dyn FnMut(Written),
) -> Result<Quantised, EngineError> {
    quantise_in_chunks(source, to, target, CHUNK_VALUES, progress)
}

/// The same with so many numbers in memory at a time, at least one row or head of them.
fn quantise_in_chunks(
    source: &Path,
    to: Quantisation,
    target: &Path,
    chunk_values: usize,
    progress: &mut dyn FnMut(Written),
) -> Result<Quantised, EngineError> {
    expect_free(target)?;
    let mut model = source::open(source)?;
    let place = types::Place {
        layers: model.layers,
        has_head: model.tensors.iter().any(|tensor| tensor.name == "output.weight"),
    };
    let plan: Vec<Planned> = model
        .tensors
        .iter()
        .map(|tensor| Planned {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            format: types::format(to, &tensor.name, &tensor.shape, place),
        })
        .collect();
    model.metadata.push(("general.quantization_version".to_owned(), Value::U32(2)));
    model.metadata.push(("general.file_type".to_owned(), Value::U32(to.file_type())));
    let header = layout::header(&model.metadata, &plan);
    let total = header.len() as u64 + plan.iter().map(|tensor| tensor.bytes() + tensor.padding()).sum::<u64>();

    let (temporary, file) = TemporaryFile::beside(target)?;
    let mut output = Output::new(file, &temporary.0, total, progress);
    output.put(&header)?;
    for (tensor, planned) in model.tensors.iter().zip(&plan) {
        write_tensor(&mut model.files, tensor, planned, chunk_values, &mut output)
            .map_err(|error| located(error, source))?;
    }
    let sha256 = output.finish()?;
    let not_run_here = check(&temporary.0)?;
    expect_free(target)?;
    fs::rename(&temporary.0, target).map_err(|error| EngineError::io("installing", target, &error))?;

    let mut formats = BTreeMap::new();
    for planned in &plan {
        *formats.entry(format!("{:?}", planned.format)).or_default() += 1;
    }
    Ok(Quantised {
        path: target.to_owned(),
        sha256,
        bytes: total,
        family: model.family,
        context: model.context,
        to,
        formats,
        not_run_here,
    })
}

impl Quantised {
    /// A manifest with one entry that names this file: a TOML file for `[model] manifest`.
    ///
    /// # Errors
    /// A name that a manifest cannot have.
    pub fn manifest(&self, name: &str, licence: &str) -> Result<String, EngineError> {
        #[derive(Serialize)]
        struct Manifest<'a> {
            model: [Entry<'a>; 1],
        }
        #[derive(Serialize)]
        struct Entry<'a> {
            name: &'a str,
            revision: &'a str,
            family: &'a str,
            file: String,
            sha256: &'a str,
            licence: &'a str,
            context: usize,
            quantisation: &'a str,
            sources: [Source<'a>; 1],
        }
        #[derive(Serialize)]
        struct Source<'a> {
            kind: &'a str,
            path: &'a Path,
        }
        let path = fs::canonicalize(&self.path).map_err(|error| EngineError::io("finding", &self.path, &error))?;
        let entry = Entry {
            name,
            // The weights have no release but themselves.
            revision: &self.sha256[..12],
            family: &self.family,
            file: format!("{name}.gguf"),
            sha256: &self.sha256,
            licence,
            context: self.context,
            quantisation: self.to.name(),
            sources: [Source { kind: "file", path: &path }],
        };
        expect_name(name)?;
        toml::to_string(&Manifest { model: [entry] })
            .map_err(|error| EngineError::BadManifest { reason: error.to_string() })
    }
}

/// Refuses a name that an entry of a manifest cannot have.
///
/// # Errors
/// [`EngineError::BadManifest`].
pub fn expect_name(name: &str) -> Result<(), EngineError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(EngineError::BadManifest { reason: format!("`{name}`: `name` must be letters, digits, `.`, `_` or `-`") })
}

fn write_tensor(
    files: &mut FloatFiles,
    tensor: &ToWrite,
    planned: &Planned,
    chunk_values: usize,
    output: &mut Output<'_>,
) -> Result<(), EngineError> {
    let in_tensor = |error| match error {
        EngineError::BadModel { file, reason } => {
            EngineError::BadModel { file, reason: format!("`{}`: {reason}", tensor.name) }
        }
        other => other,
    };
    match &tensor.numbers {
        Numbers::Given(values) => {
            output.put(&blocks::encode(values, values.len(), planned.format).map_err(in_tensor)?)?;
        }
        Numbers::Stored { from, order } => {
            let columns = *tensor.shape.last().unwrap_or(&1);
            let rows = tensor.shape.iter().product::<usize>() / columns;
            let units = (chunk_values / columns / order.unit()).max(1);
            for first in (0..rows).step_by(units * order.unit()) {
                let count = (units * order.unit()).min(rows - first);
                let values = order.arranged(files.rows(from, first, count, columns)?, columns);
                output.put(&blocks::encode(&values, columns, planned.format).map_err(in_tensor)?)?;
            }
        }
    }
    output.put(&vec![0; planned.padding() as usize])
}

/// Why this build cannot run the file that was just written, if it cannot.
fn check(path: &Path) -> Result<Option<EngineError>, EngineError> {
    let file = File::open(path).map_err(|error| EngineError::io("opening", path, &error))?;
    let content = gguf::header(&mut BufReader::new(file)).map_err(|error| located(error, path))?;
    let described = ModelConfig::from_gguf(&content)
        .and_then(|_| Tokenizer::from_gguf(&content))
        .and_then(|tokenizer| Template::new(gguf::string(&content, "tokenizer.chat_template")?, &tokenizer));
    Ok(described.err().map(|error| located(error, Path::new("written"))))
}

fn expect_free(target: &Path) -> Result<(), EngineError> {
    if fs::symlink_metadata(target).is_ok() {
        return Err(EngineError::Io {
            action: "writing",
            path: target.to_owned(),
            reason: "it exists: remove it, or give another name".to_owned(),
        });
    }
    Ok(())
}

/// Fills in the file of an error that was made where the file is not known.
fn located(error: EngineError, path: &Path) -> EngineError {
    match error {
        EngineError::BadModel { file, reason } if file.as_os_str().is_empty() => {
            EngineError::BadModel { file: path.to_owned(), reason }
        }
        other => other,
    }
}

/// A file that is written and hashed at once.
struct Output<'a> {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    written: Written,
    progress: &'a mut dyn FnMut(Written),
}

impl<'a> Output<'a> {
    fn new(file: File, path: &Path, total: u64, progress: &'a mut dyn FnMut(Written)) -> Self {
        let written = Written { done: 0, total };
        Self { path: path.to_owned(), file, hasher: Sha256::new(), written, progress }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(|error| EngineError::io("writing", &self.path, &error))?;
        self.written.done += bytes.len() as u64;
        (self.progress)(self.written);
        Ok(())
    }

    /// Brings the file to the disk; its digest in hex.
    fn finish(self) -> Result<String, EngineError> {
        self.file.sync_all().map_err(|error| EngineError::io("writing", &self.path, &error))?;
        Ok(hex(&self.hasher.finalize()))
    }
}

/// A file beside the target that is removed unless it was renamed.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    /// Creates it, with a name that differs between processes and threads.
    fn beside(target: &Path) -> Result<(Self, File), EngineError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let unique = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = target.with_file_name(format!(".{name}.{unique}.part"));
        let file = File::create_new(&path).map_err(|error| EngineError::io("creating", &path, &error))?;
        Ok((Self(path), file))
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // After the rename, the good case, there is no file to remove.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests;
