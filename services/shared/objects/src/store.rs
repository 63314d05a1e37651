//! The trait of an object store, and the rules for keys on every store.

use std::ops::Range;

use async_trait::async_trait;
use precis_chaos::{Sabotage, sabotaged};

use crate::error::ObjectError;
use crate::keys;

/// Longest key in bytes, the store's own prefix included (S3's limit).
pub const MAX_KEY_BYTES: usize = 1024;
/// Longest segment between slashes in bytes: file systems allow 255, and a store may add a suffix.
pub const MAX_SEGMENT_BYTES: usize = 200;

/// Result of a create-only write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object was not there and now holds the caller's bytes.
    Created,
    /// The object was there already; it is unchanged.
    Exists,
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The object's key, without the store's own prefix.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Objects by key. Cheap to share; every method may be called from any task.
///
/// Keys follow [`check_key`]; [`crate::keys`] makes them. No key may be a directory of another (`a`
/// beside `a/b`): file systems cannot hold both.
#[async_trait]
pub trait ObjectStore: Send + Sync + 'static {
    /// Creates the object if there is none: atomic over all processes and machines, durable when it
    /// returns.
    ///
    /// After a failure that may have reached the store the object is read back: [`Put::Created`]
    /// then means that it holds exactly these bytes. A caller that must know *who* created the
    /// object puts the writer's name into the bytes.
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, ObjectError>;

    /// The object's bytes, or `None` if there is none.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ObjectError>;

    /// The bytes of `range` that exist: fewer, or none, where the object ends before the range
    /// does. `None` if there is no object.
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, ObjectError>;

    /// Up to `limit` objects whose key starts with `prefix` (any text, not only whole segments), in
    /// byte order of their keys.
    async fn list(&self, prefix: &str, limit: usize) -> Result<Vec<ObjectInfo>, ObjectError>;

    /// Removes the object. Removing what is not there succeeds.
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;

    /// Kind and place of the store, for people; no secrets.
    fn describe(&self) -> String;
}

/// Checks a key against the rules that make it valid on every store: at most [`MAX_KEY_BYTES`],
/// segments of 1 to [`MAX_SEGMENT_BYTES`] of `A-Z a-z 0-9 . _ ~ = -` separated by single slashes,
/// none starting with a dot.
///
/// # Errors
/// [`ObjectError::InvalidKey`] with the rule that the key breaks.
pub fn check_key(key: &str) -> Result<(), ObjectError> {
    let invalid = |reason| Err(ObjectError::InvalidKey { key: key.chars().take(MAX_SEGMENT_BYTES).collect(), reason });
    if key.is_empty() {
        return invalid("it is empty");
    }
    if key.len() > MAX_KEY_BYTES {
        return invalid("it is longer than 1024 bytes");
    }
    for segment in key.split('/') {
        if segment.is_empty() {
            return invalid("it has an empty segment");
        }
        if segment.len() > MAX_SEGMENT_BYTES {
            return invalid("it has a segment longer than 200 bytes");
        }
        if segment.starts_with('.') {
            return invalid("it has a segment that starts with a dot");
        }
        if !segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~=-".contains(&byte)) {
            return invalid("it has a character outside A-Z a-z 0-9 . _ ~ = -");
        }
    }
    Ok(())
}

/// Whether a rule of creating objects is broken on purpose for this key.
pub(crate) fn is_broken(rule: Sabotage, key: &str) -> bool {
    sabotaged(rule) && !is_spared(key)
}

/// Whether the rules of creating hold for this key even where a control breaks them. The probe at
/// start is spared, since its failure would end the process. So is the key of routed work:
/// processes with different keys refuse each other's work before the broken rule could matter.
fn is_spared(key: &str) -> bool {
    key.starts_with(crate::probe::PREFIX) || key == keys::ROUTING
}

/// Refuses an object over the store's limit.
pub(crate) fn check_size(key: &str, size: u64, limit: u64) -> Result<(), ObjectError> {
    if size > limit {
        return Err(ObjectError::TooLarge { key: key.to_owned(), size, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn controls_spare_what_processes_share_at_start() {
        assert!(is_spared(keys::ROUTING) && is_spared("probes/one"));
        assert!(!is_spared(&keys::result("acme", "id", 0)));
    }

    #[test]
    fn our_own_keys_are_accepted() {
        for key in ["a", "results/acme/3f/00ff.r0", "cache/_/ab/A-Z_~=.9"] {
            assert_eq!(check_key(key), Ok(()), "{key}");
        }
        assert_eq!(check_key("a/".repeat(511).trim_end_matches('/')), Ok(()));
    }

    #[test]
    fn keys_that_stores_would_read_differently_are_refused() {
        let long_segment = "a".repeat(MAX_SEGMENT_BYTES + 1);
        let long_key = "a/".repeat(512) + "a";
        for key in
            ["", "/a", "a/", "a//b", "..", "a/../b", ".hidden", "a b", "é", "a\\b", "a\0b", &long_segment, &long_key]
        {
            assert_eq!(check_key(key).unwrap_err().code(), "invalid_key", "{key}");
        }
    }
}
