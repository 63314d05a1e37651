//! The part of a file that has come, kept from one pull to the next.
//!
//! The bytes lie in `.<file>.partial` beside the target, and `.<file>.partial.json` says of which
//! source, and with which tag of the server. The tag is written after the old bytes are gone and
//! before new ones come, so a crash leaves no bytes under the tag of another file. One process at a
//! time works on these files, by a lock; another one works on a file of its own, which is not kept.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::install::hidden;
use super::super::temporary::{TemporaryFile, unique};
use super::answer::Resume;

/// How often a file is opened that another process gave its final name meanwhile.
const MAX_OPENS: usize = 8;

/// What the bytes of a partial file are part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tag {
    source: String,
    sha256: String,
    etag: String,
}

/// An open partial file that nobody else writes to.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) file: File,
    pub(super) path: PathBuf,
    tag_path: PathBuf,
    source: String,
    sha256: String,
    etag: Option<String>,
    bytes: u64,
    /// Takes a file away that is of no use to another pull.
    _own: Option<TemporaryFile>,
    is_kept: bool,
}

impl Partial {
    /// Opens what has come of the source's file, or begins it.
    pub(super) fn open(target: &Path, source: &str, sha256: &str) -> io::Result<Self> {
        let path = hidden(target, "partial");
        for _ in 0..MAX_OPENS {
            let file = open_plain(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Self::own(target, source, sha256),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // The process that had the lock may have given the file its final name.
            if is_at(&file, &path) {
                return Self::read(file, path, source, sha256);
            }
        }
        Self::own(target, source, sha256)
    }

    fn read(mut file: File, path: PathBuf, source: &str, sha256: &str) -> io::Result<Self> {
        let tag_path = path.with_extension("partial.json");
        let bytes = file.seek(SeekFrom::End(0))?;
        let tag: Option<Tag> = fs::read(&tag_path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let tag = tag.filter(|tag| tag.source == source && tag.sha256 == sha256);
        let mut partial = Self {
            file,
            path,
            tag_path,
            source: source.to_owned(),
            sha256: sha256.to_owned(),
            etag: tag.map(|tag| tag.etag),
            bytes,
            _own: None,
            is_kept: true,
        };
        if partial.etag.is_none() {
            partial.restart(None)?;
        }
        Ok(partial)
    }

    fn own(target: &Path, source: &str, sha256: &str) -> io::Result<Self> {
        let path = hidden(target, &format!("{}.partial", unique()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let partial = Self::read(file, path.clone(), source, sha256)?;
        Ok(Self { _own: Some(TemporaryFile(path)), is_kept: false, ..partial })
    }

    /// Bytes that have come.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What may be asked for instead of the whole file.
    pub(super) fn resume(&self) -> Option<Resume> {
        let etag = self.etag.clone().filter(|_| self.bytes > 0)?;
        Some(Resume { from: self.bytes, etag })
    }

    /// Drops what has come; what comes next is the file with this tag from its first byte.
    pub(super) fn restart(&mut self, etag: Option<String>) -> io::Result<()> {
        remove_if_there(&self.tag_path)?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.bytes = 0;
        self.etag = etag;
        // Nobody comes back to a file of one's own, nor to one without a tag.
        let Some(etag) = self.etag.clone().filter(|_| self.is_kept) else { return Ok(()) };
        let tag = Tag { source: self.source.clone(), sha256: self.sha256.clone(), etag };
        let mut file = File::create_new(&self.tag_path)?;
        file.write_all(&serde_json::to_vec(&tag)?)
    }

    /// Adds bytes that follow those that have come.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Removes the files: what came is of no use.
    pub(super) fn discard(self) {
        let _ = fs::remove_file(&self.path);
        self.forget_tag();
    }

    /// Removes what says of the bytes whose they are; they have their final name.
    pub(super) fn forget_tag(&self) {
        let _ = fs::remove_file(&self.tag_path);
    }
}

/// Opens a plain file to read and write, and creates it where it is missing. A link, a pipe or a
/// device that somebody put there is refused.
fn open_plain(path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        opened => return opened,
    }
    if !path.symlink_metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
    }
    OpenOptions::new().read(true).write(true).open(path)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether the open file is the one that has this name now.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let Ok((open, named)) = file.metadata().and_then(|open| Ok((open, path.symlink_metadata()?))) else {
            return false;
        };
        (open.dev(), open.ino()) == (named.dev(), named.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.is_file()
    }
}

#[cfg(test)]
mod tests;
