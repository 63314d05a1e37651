#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use super::*;
use crate::models::{DEFAULT_MODEL, Manifest};

fn entry(bytes: &[u8]) -> ModelEntry {
    let entry = Manifest::builtin().find(DEFAULT_MODEL).unwrap().clone();
    ModelEntry { sha256: precis_base::digest::sha256_hex(bytes), ..entry }
}

#[test]
fn flipped_bytes_are_refused_and_the_error_says_what_to_do() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"weights").unwrap();
    let entry = entry(b"weights");
    let mut read = String::new();
    PinnedFile::open(&entry, file.path()).unwrap().handle().unwrap().read_to_string(&mut read).unwrap();
    assert_eq!(read, "weights");

    // The same size, as a failing disk or an attacker leaves it.
    std::fs::write(file.path(), b"wEights").unwrap();
    let error = PinnedFile::open(&entry, file.path()).unwrap_err();
    assert_eq!(error.code(), "digest_mismatch");
    let text = error.to_string();
    assert!(text.contains("precis models pull") && text.contains(&file.path().display().to_string()), "{text}");
}

/// A file that takes the place of another is not what the open one reads.
#[test]
fn a_file_put_into_its_place_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, b"weights").unwrap();
    let pinned = PinnedFile::open(&entry(b"weights"), &path).unwrap();
    std::fs::write(folder.path().join("other"), b"attacks").unwrap();
    std::fs::rename(folder.path().join("other"), &path).unwrap();
    let mut read = String::new();
    pinned.handle().unwrap().read_to_string(&mut read).unwrap();
    assert_eq!(read, "weights");
}

#[test]
fn a_file_written_to_during_the_load_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"weights").unwrap();
    let pinned = PinnedFile::open(&entry(b"weights"), file.path()).unwrap();
    pinned.expect_unchanged().unwrap();
    // Another length, so that the coarsest clock of a file system shows it.
    file.write_all(b" and more").unwrap();
    let error = pinned.expect_unchanged().unwrap_err();
    assert_eq!(error.code(), "digest_mismatch");
}
