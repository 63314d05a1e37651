//! Files and folders that only their owner may read: everything in which documents lie on a
//! machine.
//!
//! The modes are asked for when a file is made, so that there is no moment at which others may open
//! it. What exists keeps its mode, since somebody may have chosen it: [`wider_mode`] finds it.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

/// Mode of private files on Unix.
#[cfg(unix)]
const FILE_MODE: u32 = 0o600;
/// Mode of private folders on Unix.
#[cfg(unix)]
const FOLDER_MODE: u32 = 0o700;
/// What group and others may do.
#[cfg(unix)]
const OTHERS: u32 = 0o077;

/// Creates a folder, with the folders above it that are missing. One that exists is fine.
///
/// # Errors
/// The operating system's.
pub fn create_folders(path: &Path) -> io::Result<()> {
    builder().recursive(true).create(path)
}

/// Creates one folder in a folder that exists.
///
/// # Errors
/// The operating system's; the folder exists.
pub fn create_folder(path: &Path) -> io::Result<()> {
    builder().create(path)
}

/// Options that make a file private if they make it.
pub fn file_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, FILE_MODE);
    options
}

/// The permission bits of a file or folder that group or others may use; `None` where there is
/// nothing that they may do, or nothing there.
pub fn wider_mode(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = path.metadata().ok()?.permissions().mode() & 0o777;
        (mode & OTHERS != 0).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

fn builder() -> DirBuilder {
    #[allow(unused_mut, reason = "other systems have no modes")]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, FOLDER_MODE);
    builder
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_made_private_is_its_owners_alone() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let folder = root.path().join("a/b");
        create_folders(&folder)?;
        create_folders(&folder)?;
        create_folder(&folder.join("c"))?;
        file_options().write(true).create_new(true).open(folder.join("file"))?;
        for path in [root.path().join("a"), folder.clone(), folder.join("c"), folder.join("file")] {
            assert_eq!(wider_mode(&path), None, "{}", path.display());
        }
        assert!(create_folder(&folder.join("c")).is_err());
        fs::set_permissions(folder.join("file"), fs::Permissions::from_mode(0o640))?;
        assert_eq!(wider_mode(&folder.join("file")), Some(0o640));
        assert_eq!(wider_mode(&folder.join("missing")), None);
        Ok(())
    }
}
