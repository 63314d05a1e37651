//! Objects as files under one directory, for one machine and any number of processes.
//!
//! A create writes a temporary file, flushes it, and hard-links it to its name. `link` fails when
//! the name exists, so the kernel decides the race, and a name never shows half an object. Then the
//! directory that holds the name is flushed. A process that finds another's object flushes that
//! directory too before it acts on the object. The writer may not have flushed yet, and a power cut
//! must not undo an answer that a caller was given.
//!
//! ```text
//! <root>/results/acme/3f/…    objects, file name = last segment of the key
//! <root>/.tmp/…               half-written objects; those older than a day are removed at start
//! ```

mod walk;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use precis_base::private;
use precis_chaos::Sabotage;

use crate::error::ObjectError;
use crate::store::{ObjectInfo, ObjectStore, Put, check_key, check_size, is_broken};

/// The directory of half-written objects. No key can name it: segments do not start with a dot.
const TEMPORARY_DIRECTORY: &str = ".tmp";
/// Age beyond which a temporary file has no writer any more.
const MAX_WRITE_TIME: Duration = Duration::from_hours(24);
/// Attempts at a create whose directory vanishes meanwhile, because somebody tidied up.
const MAX_CREATE_ATTEMPTS: usize = 4;

/// An object store in a directory.
#[derive(Debug, Clone)]
pub struct DirectoryStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    max_object_bytes: u64,
    next_temporary: AtomicU64,
    /// Random number in the names of this store's temporary files. Containers that share a
    /// directory may have equal process ids.
    instance: u64,
}

impl DirectoryStore {
    /// Opens the directory, creating it where missing.
    ///
    /// # Errors
    /// [`ObjectError::Misconfigured`] when it cannot be created.
    pub async fn open(root: &Path, max_object_bytes: u64) -> Result<Self, ObjectError> {
        let inner = Arc::new(Inner {
            root: root.to_owned(),
            max_object_bytes,
            next_temporary: AtomicU64::new(0),
            instance: rand::random(),
        });
        let store = Self { inner };
        store
            .blocking("open", "", |inner| {
                inner.prepare().map_err(|error| ObjectError::Misconfigured {
                    detail: format!("the object directory {} cannot be used: {error}", inner.root.display()),
                })
            })
            .await?;
        Ok(store)
    }

    /// Runs file work on a thread where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &str,
        work: impl FnOnce(&Inner) -> Result<T, ObjectError> + Send + 'static,
    ) -> Result<T, ObjectError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner)).await.unwrap_or_else(|error| {
            Err(ObjectError::Unavailable {
                operation,
                key: key.to_owned(),
                detail: format!("the file thread stopped: {error}"),
            })
        })
    }
}

#[async_trait]
impl ObjectStore for DirectoryStore {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, ObjectError> {
        check_key(key)?;
        check_size(key, bytes.len() as u64, self.inner.max_object_bytes)?;
        let name = key.to_owned();
        self.blocking("create", key, move |inner| {
            inner.create(&name, &bytes).map_err(|error| describe("create", &name, &error))
        })
        .await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        check_key(key)?;
        let name = key.to_owned();
        self.blocking("read", key, move |inner| inner.read(&name, None)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, ObjectError> {
        check_key(key)?;
        let name = key.to_owned();
        self.blocking("read", key, move |inner| inner.read(&name, Some(range))).await
    }

    async fn list(&self, prefix: &str, limit: usize) -> Result<Vec<ObjectInfo>, ObjectError> {
        let prefix = prefix.to_owned();
        self.blocking("list", &prefix.clone(), move |inner| {
            walk::list(&inner.root, &prefix, limit).map_err(|error| describe("list", &prefix, &error))
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        check_key(key)?;
        let name = key.to_owned();
        self.blocking("delete", key, move |inner| {
            inner.delete(&name).map_err(|error| describe("delete", &name, &error))
        })
        .await
    }

    fn describe(&self) -> String {
        format!("directory {}", self.inner.root.display())
    }
}

impl Inner {
    fn prepare(&self) -> io::Result<()> {
        private::create_folders(&self.root)?;
        let temporary = self.root.join(TEMPORARY_DIRECTORY);
        private::create_folders(&temporary)?;
        if let Some(mode) = private::wider_mode(&self.root) {
            let directory = self.root.display();
            tracing::warn!(%directory, mode = %format_args!("{mode:o}"), "others on this machine may enter the object directory: chmod it to 700");
        }
        for entry in fs::read_dir(&temporary)? {
            let entry = entry?;
            let age = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .map(|modified| SystemTime::now().duration_since(modified).unwrap_or_default());
            // Another process may have removed the file meanwhile.
            if age.is_ok_and(|age| age > MAX_WRITE_TIME) && fs::remove_file(entry.path()).is_ok() {
                tracing::info!(file = %entry.path().display(), "removed a half-written object of a process that ended");
            }
        }
        Ok(())
    }

    fn create(&self, key: &str, bytes: &[u8]) -> io::Result<Put> {
        let target = self.root.join(key);
        if is_broken(Sabotage::PlainPut, key) {
            return self.overwrite(&target, bytes);
        }
        // Saves the flushed copy in the usual case of a lost race; the link below decides anyway.
        if target.is_file() {
            flush_directory_of(&target)?;
            return Ok(Put::Exists);
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            let temporary = Temporary::write(self.temporary_path(), bytes)?;
            match fs::hard_link(&temporary.path, &target) {
                Ok(()) => {
                    flush_directory_of(&target)?;
                    return Ok(Put::Created);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    if target.is_dir() {
                        return Err(io::Error::new(ErrorKind::IsADirectory, "the key is a directory of other objects"));
                    }
                    flush_directory_of(&target)?;
                    return Ok(Put::Exists);
                }
                Err(error) if error.kind() == ErrorKind::NotFound && attempt < MAX_CREATE_ATTEMPTS => {
                    create_directories(&self.root, &target)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Breaks the rule of [`precis_chaos::Sabotage::PlainPut`].
    fn overwrite(&self, target: &Path, bytes: &[u8]) -> io::Result<Put> {
        create_directories(&self.root, target)?;
        let temporary = ManuallyDrop::new(Temporary::write(self.temporary_path(), bytes)?);
        fs::rename(&temporary.path, target)?;
        Ok(Put::Created)
    }

    fn read(&self, key: &str, range: Option<Range<u64>>) -> Result<Option<Vec<u8>>, ObjectError> {
        let path = self.root.join(key);
        let failed = |error: &io::Error| describe("read", key, error);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        let meta = file.metadata().map_err(|error| failed(&error))?;
        if meta.is_dir() {
            return Ok(None);
        }
        let range = range.unwrap_or(0..meta.len());
        let end = range.end.min(meta.len());
        let start = range.start.min(end);
        check_size(key, end - start, self.max_object_bytes)?;
        flush_directory_of(&path).map_err(|error| failed(&error))?;
        let mut bytes = Vec::with_capacity(usize::try_from(end - start).unwrap_or(0));
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.take(end - start).read_to_end(&mut bytes))
            .map_err(|error| failed(&error))?;
        Ok(Some(bytes))
    }

    fn delete(&self, key: &str) -> io::Result<()> {
        let path = self.root.join(key);
        match fs::remove_file(&path) {
            Ok(()) => flush_directory_of(&path),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
            // The path is a directory of other objects, so this object does not exist.
            Err(_) if path.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn temporary_path(&self) -> PathBuf {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        self.root.join(TEMPORARY_DIRECTORY).join(format!("{:016x}-{number}", self.instance))
    }
}

/// A flushed temporary file, removed when it goes out of scope. A hard link to it stays.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn write(path: PathBuf, bytes: &[u8]) -> io::Result<Self> {
        let mut file = private::file_options().write(true).create_new(true).open(&path)?;
        let temporary = Self { path };
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(temporary)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            let file = self.path.display();
            tracing::warn!(%file, %error, "a temporary file could not be removed; it goes a day from now");
        }
    }
}

/// Creates the directories between the root and the object, each flushed into its parent.
fn create_directories(root: &Path, target: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = target.ancestors().skip(1).take_while(|directory| *directory != root).collect();
    for directory in missing.into_iter().rev() {
        match private::create_folder(directory) {
            Ok(()) => flush_directory_of(directory)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => flush_directory_of(directory)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the entry of `path` in its directory durable.
fn flush_directory_of(path: &Path) -> io::Result<()> {
    let Some(directory) = path.parent() else { return Ok(()) };
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

fn describe(operation: &'static str, key: &str, error: &io::Error) -> ObjectError {
    let (key, detail) = (key.to_owned(), error.to_string());
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ObjectError::Denied { operation, key, detail },
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            ObjectError::InvalidKey { key, reason: "it is a directory of other objects, or lies under one" }
        }
        ErrorKind::Unsupported => ObjectError::Misconfigured {
            detail: format!("the object directory's file system has no hard links ({detail}); use a local file system"),
        },
        _ => ObjectError::Unavailable { operation, key, detail },
    }
}

#[cfg(test)]
mod tests;
