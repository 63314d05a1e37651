//! Adapters (`LoRA`) of models: their registry on this machine, and their files.
//!
//! ```text
//! models_dir/adapters/<name>.toml                 the entry in force: base, digests, size
//! models_dir/adapters/<name>/<digest>/…           the files, PEFT safetensors or GGUF, as they came
//! ```
//!
//! [`register`] reads an adapter once against its base, model by model and shape by shape, and
//! records the digests of both. An engine reads the files again when a request names the adapter,
//! and refuses other bytes, and a base of another digest. A newer version of an adapter lies beside
//! the older one, so that answers begun with the older one are finished with it.

mod factors;
mod gguf_file;
mod peft;

use std::fs;
use std::path::{Path, PathBuf};

use precis_base::digest::hex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(crate) use self::factors::{AdapterBase, read};
use super::ModelEntry;
use crate::error::EngineError;
use crate::model::weights::GgufFile;

/// Hex digits of the digest in an adapter's id and in its folder's name.
const ID_DIGITS: usize = 16;
/// The files of an adapter in PEFT's format.
const PEFT_CONFIG: &str = "adapter_config.json";
const PEFT_WEIGHTS: &str = "adapter_model.safetensors";
/// The largest file of an adapter. Adapters of large models have some hundred megabytes.
const MAX_FILE_BYTES: u64 = 8 << 30;

/// The format of an adapter's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdapterFormat {
    /// `adapter_config.json` and `adapter_model.safetensors`, as the Python library PEFT saves
    /// them.
    Peft,
    /// One GGUF file, as llama.cpp's `convert_lora_to_gguf.py` writes it.
    Gguf,
}

/// An adapter that is registered on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdapterEntry {
    /// Name, used in policies.
    pub name: String,
    /// Format of the files.
    pub format: AdapterFormat,
    /// SHA-256 (hex) of the weights' file and, in PEFT's format, of the settings behind it.
    pub sha256: String,
    /// Name of the model that it is for.
    pub base: String,
    /// SHA-256 (hex) of that model's file.
    pub base_sha256: String,
    /// The largest rank of its products.
    pub rank: usize,
    /// Bytes that it takes in memory.
    pub bytes: u64,
    /// Bytes of its files.
    pub file_bytes: u64,
    /// Folder of the files.
    #[serde(skip)]
    pub folder: PathBuf,
}

impl AdapterEntry {
    /// Name and digest, as answers and fingerprints have them: `name@0123456789abcdef`.
    pub fn id(&self) -> String {
        format!("{}@{}", self.name, self.short_digest())
    }

    fn short_digest(&self) -> &str {
        self.sha256.get(..ID_DIGITS).unwrap_or(&self.sha256)
    }

    pub(crate) fn broken(&self, reason: impl Into<String>) -> EngineError {
        broken(&self.name, reason)
    }
}

fn broken(name: &str, reason: impl Into<String>) -> EngineError {
    EngineError::BadAdapter { name: name.to_owned(), reason: reason.into() }
}

/// The bytes of an adapter's files.
pub(crate) struct AdapterFiles {
    pub(crate) format: AdapterFormat,
    pub(crate) weights: Vec<u8>,
    /// Of PEFT's format.
    pub(crate) config: Vec<u8>,
}

impl AdapterFiles {
    /// Reads an adapter: a folder as PEFT saves it, or a GGUF file.
    pub(crate) fn open(name: &str, path: &Path) -> Result<Self, EngineError> {
        Self::open_up_to(name, path, MAX_FILE_BYTES)
    }

    fn open_up_to(name: &str, path: &Path, most: u64) -> Result<Self, EngineError> {
        if path.is_dir() {
            let [config, weights] = [PEFT_CONFIG, PEFT_WEIGHTS].map(|file| file_of(name, &path.join(file), most));
            return Ok(Self { format: AdapterFormat::Peft, weights: weights?, config: config? });
        }
        Ok(Self { format: AdapterFormat::Gguf, weights: file_of(name, path, most)?, config: Vec::new() })
    }

    /// The files of a registered adapter, whose digest is the registered one.
    pub(crate) fn of(entry: &AdapterEntry) -> Result<Self, EngineError> {
        let path = match entry.format {
            AdapterFormat::Peft => entry.folder.clone(),
            AdapterFormat::Gguf => entry.folder.join(gguf_name(&entry.name)),
        };
        // Larger files are not the registered ones, and must not take memory to be found so.
        let files = Self::open_up_to(&entry.name, &path, entry.file_bytes)?;
        let found = files.digest();
        if found != entry.sha256 {
            let expected = &entry.sha256;
            return Err(entry.broken(format!(
                "its files have sha256 {found} instead of the registered {expected}: they were changed or damaged; register it again"
            )));
        }
        Ok(files)
    }

    fn bytes(&self) -> u64 {
        (self.weights.len() + self.config.len()) as u64
    }

    fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(&self.weights);
        hasher.update(&self.config);
        hex(&hasher.finalize())
    }

    fn write(&self, name: &str, folder: &Path) -> Result<(), EngineError> {
        fs::create_dir_all(folder).map_err(|error| EngineError::io("creating", folder, &error))?;
        match self.format {
            AdapterFormat::Peft => {
                put(&folder.join(PEFT_WEIGHTS), &self.weights)?;
                put(&folder.join(PEFT_CONFIG), &self.config)
            }
            AdapterFormat::Gguf => put(&folder.join(gguf_name(name)), &self.weights),
        }
    }
}

fn gguf_name(name: &str) -> String {
    format!("{name}.gguf")
}

/// The bytes of a file of an adapter. A file that is not there, or no file at all, is the adapter's
/// fault; one that cannot be read now may be read later.
fn file_of(name: &str, path: &Path, most: u64) -> Result<Vec<u8>, EngineError> {
    let about = match fs::metadata(path) {
        Ok(about) if about.is_file() && about.len() <= most => about,
        Ok(about) if about.is_file() => {
            return Err(broken(name, format!("{} has {} bytes, more than {most}", path.display(), about.len())));
        }
        Ok(_) => return Err(broken(name, format!("{} is no file", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(broken(name, format!("{} is missing", path.display())));
        }
        Err(error) => return Err(EngineError::io("reading", path, &error)),
    };
    let bytes = fs::read(path).map_err(|error| EngineError::io("reading", path, &error))?;
    if bytes.len() as u64 != about.len() {
        return Err(broken(name, format!("{} changes while it is read", path.display())));
    }
    Ok(bytes)
}

/// Writes a file whole or not at all.
fn put(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let beside = path.with_extension(format!("part-{}", std::process::id()));
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| EngineError::io("writing", path, &error))
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=128).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('.')
}

fn folder_of(models_dir: &Path) -> PathBuf {
    models_dir.join("adapters")
}

fn entry_path(models_dir: &Path, name: &str) -> PathBuf {
    folder_of(models_dir).join(format!("{name}.toml"))
}

/// Registers an adapter, a folder as PEFT saves it or a GGUF file, for the model whose file is at
/// `base_path`. Both are read whole and compared; then the adapter's files are copied.
///
/// # Errors
/// An adapter that cannot be computed with this model, with the reason; a file that cannot be read
/// or written.
pub fn register(
    source: &Path,
    name: &str,
    base: &ModelEntry,
    base_path: &Path,
    models_dir: &Path,
) -> Result<AdapterEntry, EngineError> {
    if !is_name(name) {
        return Err(broken(name, "its name must be 1 to 128 letters, digits, `.`, `_` or `-`, and not begin with `.`"));
    }
    let files = AdapterFiles::open(name, source)?;
    let model = GgufFile::open(base, base_path)?;
    install(&files, name, &base.name, &AdapterBase::of(&model, &base.sha256)?, models_dir)
}

/// The same for a model that was read already.
pub(crate) fn install(
    files: &AdapterFiles,
    name: &str,
    base_name: &str,
    base: &AdapterBase,
    models_dir: &Path,
) -> Result<AdapterEntry, EngineError> {
    let adapter = factors::factors(name, files, base)?;
    let mut entry = AdapterEntry {
        name: name.to_owned(),
        format: files.format,
        sha256: files.digest(),
        base: base_name.to_owned(),
        base_sha256: base.sha256.clone(),
        rank: adapter.largest_rank_of_a_part(),
        bytes: adapter.bytes(),
        file_bytes: files.bytes(),
        folder: PathBuf::new(),
    };
    entry.folder = folder_of(models_dir).join(name).join(entry.short_digest());
    files.write(name, &entry.folder)?;
    let text = toml::to_string(&entry).map_err(|error| broken(name, error.to_string()))?;
    put(&entry_path(models_dir, name), text.as_bytes())?;
    Ok(entry)
}

/// The registered adapter of that name.
///
/// # Errors
/// [`EngineError::UnknownAdapter`], or [`EngineError::BadAdapter`] where the entry cannot be read.
pub fn find(name: &str, models_dir: &Path) -> Result<AdapterEntry, EngineError> {
    let path = entry_path(models_dir, name);
    let unknown = || EngineError::UnknownAdapter { name: name.to_owned(), known: names(models_dir).join(", ") };
    if !is_name(name) {
        return Err(unknown());
    }
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(unknown()),
        Err(error) => return Err(EngineError::io("reading", &path, &error)),
    };
    let entry: AdapterEntry =
        toml::from_str(&text).map_err(|error| broken(name, format!("{}: {error}", path.display())))?;
    let is_digest = |digest: &str| super::grammar::is_sha256(digest);
    if entry.name != name || !is_digest(&entry.sha256) || !is_digest(&entry.base_sha256) {
        return Err(broken(name, format!("{} is not its entry: register it again", path.display())));
    }
    let folder = folder_of(models_dir).join(name).join(entry.short_digest());
    Ok(AdapterEntry { folder, ..entry })
}

/// All registered adapters, by name. Entries that cannot be read are left out.
pub fn registered(models_dir: &Path) -> Vec<AdapterEntry> {
    names(models_dir).iter().filter_map(|name| find(name, models_dir).ok()).collect()
}

fn names(models_dir: &Path) -> Vec<String> {
    let files = fs::read_dir(folder_of(models_dir)).into_iter().flatten().flatten();
    let of = |file: fs::DirEntry| Some(file.file_name().to_str()?.strip_suffix(".toml")?.to_owned());
    let mut names: Vec<String> = files.filter_map(of).filter(|name| is_name(name)).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests;
