//! Files and folders that are removed unless the work on them ends well.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::EngineError;

/// A name part that differs between the processes and threads that work in one folder.
pub(super) fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A temporary file that is removed unless it was renamed.
#[derive(Debug)]
pub(super) struct TemporaryFile(pub(super) PathBuf);

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // After the rename, the good case, there is no file to remove.
        let _ = fs::remove_file(&self.0);
    }
}

/// A folder for downloads that is removed with everything in it.
#[derive(Debug)]
pub(super) struct TemporaryFolder(pub(super) PathBuf);

impl TemporaryFolder {
    /// A new one within a folder, which is created where it is missing.
    pub(super) fn new(within: &Path) -> Result<Self, EngineError> {
        let path = within.join(format!(".download.{}", unique()));
        fs::create_dir_all(&path).map_err(|error| EngineError::io("creating", &path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
