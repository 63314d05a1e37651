//! A model's file, open, whose bytes were found to be the pinned ones.

use std::fs::{File, Metadata};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use precis_base::digest::hex;
use sha2::{Digest, Sha256};

use super::ModelEntry;
use crate::error::EngineError;

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;

/// A model's file that was read whole and had the pinned digest.
///
/// The file is hashed at each load, and nothing of a file with another digest is parsed. A
/// remembered verification would be cheaper, but whoever can write the file can write what is
/// remembered beside it. The load reads the same open file after its digest, so a file that is put
/// into its place changes nothing; [`PinnedFile::expect_unchanged`] finds one that was written to.
#[derive(Debug)]
pub(crate) struct PinnedFile {
    file: File,
    path: PathBuf,
    name: String,
    stamp: Stamp,
}

/// What changes in a file's metadata whenever the file is written to.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    /// Seconds and nanoseconds of the last change, which no program can set.
    #[cfg(unix)]
    changed: (i64, i64),
}

impl Stamp {
    fn of(about: &Metadata) -> Self {
        Self {
            bytes: about.len(),
            modified: about.modified().ok(),
            #[cfg(unix)]
            changed: {
                use std::os::unix::fs::MetadataExt as _;
                (about.ctime(), about.ctime_nsec())
            },
        }
    }

    fn now(file: &File, path: &Path) -> Result<Self, EngineError> {
        Ok(Self::of(&file.metadata().map_err(|error| EngineError::io("reading", path, &error))?))
    }
}

impl PinnedFile {
    /// Opens the file and reads it whole; [`EngineError::ModelChanged`] where its digest is not the
    /// pinned one.
    pub(crate) fn open(entry: &ModelEntry, path: &Path) -> Result<Self, EngineError> {
        let mut file = File::open(path).map_err(|error| EngineError::io("opening", path, &error))?;
        let stamp = Stamp::now(&file, path)?;
        let found = digest_of(&mut file, path)?;
        if found != entry.sha256 {
            return Err(EngineError::ModelChanged {
                name: entry.name.clone(),
                path: path.to_path_buf(),
                expected: entry.sha256.clone(),
                found,
            });
        }
        file.rewind().map_err(|error| EngineError::io("reading", path, &error))?;
        Ok(Self { file, path: path.to_path_buf(), name: entry.name.clone(), stamp })
    }

    /// Another handle to the same open file, at the position that both share.
    pub(crate) fn handle(&self) -> Result<File, EngineError> {
        self.file.try_clone().map_err(|error| EngineError::io("opening", &self.path, &error))
    }

    /// Refuses the file if it was written to since it was opened: what was read from it meanwhile
    /// may be other bytes than those of the digest.
    pub(crate) fn expect_unchanged(&self) -> Result<(), EngineError> {
        if Stamp::now(&self.file, &self.path)? == self.stamp {
            return Ok(());
        }
        Err(EngineError::ModelRewritten { name: self.name.clone(), path: self.path.clone() })
    }
}

/// SHA-256 of everything that is left to read.
pub(super) fn digest_of(file: &mut File, path: &Path) -> Result<String, EngineError> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; READ_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(EngineError::io("reading", path, &error)),
        }
    }
}

#[cfg(test)]
mod tests;
