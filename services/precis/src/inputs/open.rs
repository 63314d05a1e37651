//! Opens files without waiting for pipes and devices.
//!
//! Opening a named pipe waits until somebody writes to it. A path that the user named is opened all
//! the same; a pipe, a socket or a device that only lies in a folder is reported and left closed.

use std::fs::{self, File, FileType};
use std::io;
use std::path::Path;

/// What [`NotOpened::NotAFile`] says of a socket, which no path opens.
pub(super) const SOCKET: &str = "a socket";

/// Why a path in a folder was not opened.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// It is no regular file.
    NotAFile(&'static str),
    /// The operating system's reason.
    Unreadable(io::Error),
}

impl From<io::Error> for NotOpened {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Opens a path that was found in a folder, if it is a regular file; never waits.
///
/// # Errors
/// See [`NotOpened`].
pub(super) fn found(path: &Path) -> Result<File, NotOpened> {
    // Requested first: opening a pipe would wake its writer, opening a device may do anything.
    regular(fs::metadata(path)?.file_type())?;
    let file = without_waiting(path)?;
    // Requested again: another file may stand at the path by now.
    regular(file.metadata()?.file_type())?;
    Ok(file)
}

fn regular(kind: FileType) -> Result<(), NotOpened> {
    if kind.is_file() { Ok(()) } else { Err(NotOpened::NotAFile(what(kind))) }
}

#[cfg(unix)]
fn without_waiting(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

#[cfg(not(unix))]
fn without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn what(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    match kind {
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => SOCKET,
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        kind if kind.is_dir() => "a folder",
        _ => "something else",
    }
}

#[cfg(not(unix))]
fn what(_kind: FileType) -> &'static str {
    "something else"
}

#[cfg(all(test, unix))]
mod tests;
