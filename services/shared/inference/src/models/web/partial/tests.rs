#![allow(clippy::unwrap_used)]

use super::*;

fn open(folder: &Path) -> Partial {
    Partial::open(&folder.join("m.gguf"), "hf:a/b/c@main", "digest").unwrap()
}

fn begun(folder: &Path) -> Partial {
    let mut partial = open(folder);
    partial.restart(Some("\"a\"".into())).unwrap();
    partial.append(b"0123").unwrap();
    partial
}

#[test]
fn what_came_of_another_source_or_for_another_digest_is_dropped() {
    for (source, sha256) in [("hf:a/b/c@other", "digest"), ("hf:a/b/c@main", "other")] {
        let folder = tempfile::tempdir().unwrap();
        drop(begun(folder.path()));
        assert_eq!(open(folder.path()).resume(), Some(Resume { from: 4, etag: "\"a\"".into() }));
        let partial = Partial::open(&folder.path().join("m.gguf"), source, sha256).unwrap();
        assert_eq!((partial.resume(), partial.bytes()), (None, 0));
    }
}

/// A crash between two writes leaves any of these.
#[test]
fn bytes_without_their_tag_are_dropped() {
    for tag in [None, Some("{\"source\":\"hf:a/"), Some("")] {
        let folder = tempfile::tempdir().unwrap();
        drop(begun(folder.path()));
        let path = folder.path().join(".m.gguf.partial.json");
        fs::remove_file(&path).unwrap();
        if let Some(tag) = tag {
            fs::write(&path, tag).unwrap();
        }
        assert_eq!((open(folder.path()).resume(), open(folder.path()).bytes()), (None, 0));
    }
}

/// And the second one leaves nothing.
#[test]
fn two_that_fetch_the_same_file_do_not_mix_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = begun(folder.path());
    let mut second = begun(folder.path());
    assert_ne!(first.path, second.path);
    first.append(b"45").unwrap();
    second.append(b"xy").unwrap();
    assert_eq!(fs::read(&first.path).unwrap(), b"012345");
    assert_eq!(fs::read(&second.path).unwrap(), b"0123xy");
    let path = second.path.clone();
    drop(second);
    assert!(!path.exists() && first.path.exists());
    drop(first);
    assert_eq!(open(folder.path()).bytes(), 6);
}

/// The bytes of whoever put a link there are not written over.
#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_a_partial_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, folder.path().join(".m.gguf.partial")).unwrap();
    let error = Partial::open(&folder.path().join("m.gguf"), "s", "d").unwrap_err();
    assert!(error.to_string().contains("no plain file"), "{error}");
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}
