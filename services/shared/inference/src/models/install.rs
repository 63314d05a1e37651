//! The last step of every pull: a file whose digest is the pinned one gets its name.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use precis_base::digest::hex;
use sha2::{Digest, Sha256};

use super::temporary::{TemporaryFile, unique};
use super::{ModelEntry, Progress};
use crate::error::EngineError;

/// Bytes that are read and written at a time.
const BUFFER_BYTES: usize = 1 << 20;
/// Reports of a whole file, at most: each may become a line of a log.
const MAX_REPORTS: u64 = 100;

/// Copies parts to a temporary file beside the target, checks the digest, syncs and renames. A
/// crash leaves the target as it was.
pub(super) struct Installer<'a> {
    entry: &'a ModelEntry,
    target: &'a Path,
    temporary: TemporaryFile,
    file: File,
    hasher: Sha256,
    done: u64,
    total: u64,
    reports: Reports,
}

impl<'a> Installer<'a> {
    /// `total`: bytes that will come, and not one more.
    pub(super) fn new(entry: &'a ModelEntry, target: &'a Path, total: u64) -> Result<Self, EngineError> {
        let temporary = TemporaryFile(target.with_file_name(format!(".{}.{}.part", entry.file, unique())));
        let file = File::create_new(&temporary.0).map_err(|error| EngineError::io("writing", &temporary.0, &error))?;
        let reports = Reports::new(total);
        Ok(Self { entry, target, temporary, file, hasher: Sha256::new(), done: 0, total, reports })
    }

    /// Adds the bytes of one part.
    pub(super) fn append(
        &mut self,
        mut from: impl Read,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), EngineError> {
        let failed = |error: &std::io::Error| EngineError::io("writing", &self.temporary.0, error);
        let mut buffer = vec![0_u8; BUFFER_BYTES];
        loop {
            let count = from.read(&mut buffer).map_err(|error| failed(&error))?;
            if count == 0 {
                return Ok(());
            }
            self.done += count as u64;
            // A packed part may unpack to more than it said.
            if self.done > self.total {
                return Err(too_long(self.entry, self.total));
            }
            self.hasher.update(&buffer[..count]);
            self.file.write_all(&buffer[..count]).map_err(|error| failed(&error))?;
            if self.reports.is_due(self.done) {
                progress(Progress::Installing { done: self.done, total: self.total });
            }
        }
    }

    /// Gives the file its name, if its digest is the pinned one; the digest.
    pub(super) fn finish(self) -> Result<String, EngineError> {
        let found = expect_pinned(self.entry, hex(&self.hasher.finalize()))?;
        put(&self.file, &self.temporary.0, self.target)?;
        Ok(found)
    }
}

/// Gives a file that was written elsewhere on the same disk its name, after its digest was found to
/// be the pinned one; the digest.
pub(super) fn adopt(
    entry: &ModelEntry,
    file: &mut File,
    path: &Path,
    target: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<String, EngineError> {
    let failed = |error: &std::io::Error| EngineError::io("reading", path, error);
    let total = file.metadata().map_err(|error| failed(&error))?.len();
    let (mut hasher, mut reports, mut done) = (Sha256::new(), Reports::new(total), 0);
    let mut buffer = vec![0_u8; BUFFER_BYTES];
    std::io::Seek::rewind(file).map_err(|error| failed(&error))?;
    loop {
        let count = file.read(&mut buffer).map_err(|error| failed(&error))?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        done += count as u64;
        if reports.is_due(done) {
            progress(Progress::Installing { done, total });
        }
    }
    let found = expect_pinned(entry, hex(&hasher.finalize()))?;
    put(file, path, target)?;
    Ok(found)
}

/// The digest that was found, where it is the pinned one or none is pinned yet.
fn expect_pinned(entry: &ModelEntry, found: String) -> Result<String, EngineError> {
    if !entry.is_pinned() || found == entry.sha256 {
        return Ok(found);
    }
    Err(EngineError::DigestMismatch { what: entry.file.clone(), expected: entry.sha256.clone(), found })
}

fn put(file: &File, from: &Path, target: &Path) -> Result<(), EngineError> {
    file.sync_all().map_err(|error| EngineError::io("writing", from, &error))?;
    fs::rename(from, target).map_err(|error| EngineError::io("installing", target, &error))
}

pub(super) fn too_long(entry: &ModelEntry, bytes: u64) -> EngineError {
    let reason = format!("{} has more than the {bytes} bytes that it should have", entry.file);
    EngineError::PullFailed { name: entry.name.clone(), reason }
}

/// Which of many small steps are worth a report: about every hundredth part, and the last.
pub(super) struct Reports {
    every: u64,
    total: u64,
    next: u64,
}

impl Reports {
    pub(super) fn new(total: u64) -> Self {
        let every = (total / MAX_REPORTS).max(BUFFER_BYTES as u64);
        Self { every, total, next: every.min(total) }
    }

    pub(super) fn is_due(&mut self, done: u64) -> bool {
        let due = done >= self.next;
        if due {
            self.next = (done + self.every).min(self.total.max(done + 1));
        }
        due
    }
}

/// A part of a file, by its name in the folder of parts that came before.
pub(super) fn hidden(target: &Path, what: &str) -> PathBuf {
    let file = target.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    target.with_file_name(format!(".{file}.{what}"))
}
