//! Lists a directory store in the byte order of its keys, and stops at the limit.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::store::{ObjectInfo, check_key};

/// The first `limit` objects under `root` whose key starts with `prefix`.
pub(super) fn list(root: &Path, prefix: &str, limit: usize) -> io::Result<Vec<ObjectInfo>> {
    let mut found = Vec::new();
    // The deepest directory that holds every match; what follows the last slash only filters.
    let parent = prefix.rfind('/').map_or("", |at| &prefix[..=at]);
    if parent.is_empty() || check_key(parent.strip_suffix('/').unwrap_or(parent)).is_ok() {
        visit(root, parent, prefix, limit, &mut found)?;
    }
    Ok(found)
}

/// Visits the directory of the key prefix `parent` (empty or ending in a slash). Sub-directories
/// sort with their slash, as their keys do: `a-b` before `a/c`.
fn visit(root: &Path, parent: &str, prefix: &str, limit: usize, found: &mut Vec<ObjectInfo>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(parent)) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // No object: the temporary directory, or a file that somebody put there.
        if check_key(&name).is_err() {
            continue;
        }
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        let key = format!("{parent}{name}{slash}");
        if key.starts_with(prefix) || (!slash.is_empty() && prefix.starts_with(&key)) {
            names.push(key);
        }
    }
    names.sort_unstable();
    for key in names {
        if found.len() >= limit {
            break;
        }
        if key.ends_with('/') {
            visit(root, &key, prefix, limit, found)?;
            continue;
        }
        match fs::symlink_metadata(root.join(&key)) {
            Ok(meta) if meta.is_file() => found.push(ObjectInfo { key, size: meta.len() }),
            Ok(_) => {}
            // Deleted since the directory was read.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
