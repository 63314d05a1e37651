//! One live member a group: a lock on a file beside the log, which the system frees when its
//! process dies, however.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use precis_base::private;

use crate::error::FlowError;

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct GroupLock {
    _locked: File,
}

impl GroupLock {
    /// Takes the lock, or fails at once and names the process that holds it.
    pub(super) fn take(log: &Path, group: &str) -> Result<Self, FlowError> {
        let path = lock_path(log, group);
        let unavailable = |error: std::io::Error| FlowError::Unavailable {
            doing: "locking a group",
            detail: format!("{}: {error}", path.display()),
        };
        // Not truncated on opening: the holder's pid is in it.
        let mut file = private::file_options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Whoever holds it is named when that can be read; that it is held is what counts.
                let pid = file.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
                return Err(FlowError::GroupHeld { group: group.to_owned(), path: log.to_owned(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(unavailable(error)),
        }
        let pid = format!("{}\n", std::process::id());
        file.set_len(0).map_err(unavailable)?;
        file.seek(SeekFrom::Start(0)).map_err(unavailable)?;
        file.write_all(pid.as_bytes()).map_err(unavailable)?;
        Ok(Self { _locked: file })
    }
}

/// `log.db` and group `router` → `log.db.group-router.lock`. Bytes that a file name may not have
/// are written as `%xx`.
fn lock_path(log: &Path, group: &str) -> PathBuf {
    let mut name = log.file_name().unwrap_or_default().to_owned();
    name.push(".group-");
    for byte in group.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            name.push(char::from(byte).to_string());
        } else {
            name.push(format!("%{byte:02x}"));
        }
    }
    name.push(".lock");
    log.with_file_name(name)
}
