//! The grammar of what a manifest may say about a source.
//!
//! A manifest is data, often copied from elsewhere, and these texts go to other programs: `pip`
//! takes a requirement that names a place (`name @ file:///…`) or an option (`-r …`) where it
//! expects a name, and runs the set-up script of a source package before it compares a digest. So
//! only plain names and versions get there. What becomes part of an address is as plain.

use precis_base::loopback::is_loopback;
use reqwest::Url;

/// Longest name, version or path; the index has no name of more than 100 characters.
const MAX_TEXT: usize = 255;
/// Longest address.
const MAX_ADDRESS: usize = 2000;

/// Whether this is a package's name: PEP 508.
pub(super) fn is_package_name(text: &str) -> bool {
    is_bounded(text, |c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Whether this is one exact version: the characters of PEP 440, no pattern and no list.
pub(super) fn is_version(text: &str) -> bool {
    is_bounded(text, |c| c.is_ascii_alphanumeric() || ".!+_-".contains(c))
}

/// Whether this is the path of a file within a wheel, with nothing in it that climbs, splits or
/// starts anew.
pub(super) fn is_member_path(text: &str) -> bool {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    text.len() <= MAX_TEXT
        && text.split('/').all(is_plain)
        && !text.contains(|c: char| c == '\\' || c == ':' || c.is_control())
}

/// Whether this is a SHA-256 in lower-case hex.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether this is the owner and name of a repository.
pub(super) fn is_repository(text: &str) -> bool {
    let is_plain = |part: &str| is_bounded(part, |c| c.is_ascii_alphanumeric() || "._-".contains(c));
    text.split_once('/').is_some_and(|(owner, name)| is_plain(owner) && is_plain(name))
}

/// Whether this is a commit, a tag or a branch.
pub(super) fn is_git_revision(text: &str) -> bool {
    is_bounded(text, |c| c.is_ascii_alphanumeric() || "._-/".contains(c)) && !text.contains("..")
}

/// Whether this is the address of a file: over TLS, except on this machine, and without a password
/// that would stand in a manifest.
pub(super) fn is_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| text.len() <= MAX_ADDRESS && is_safe(&url))
}

/// Whether a request to this address reaches a named host in a way that nobody else reads or
/// changes.
pub(super) fn is_safe(url: &Url) -> bool {
    let plain = url.username().is_empty() && url.password().is_none() && url.has_host();
    plain && (url.scheme() == "https" || (url.scheme() == "http" && is_local(url)))
}

/// Whether the address is one of this machine.
pub(super) fn is_local(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback)
}

/// Whether all characters are allowed, and the first and the last are a letter or a digit.
fn is_bounded(text: &str, is_allowed: impl Fn(char) -> bool) -> bool {
    let ends = text.as_bytes().first().zip(text.as_bytes().last());
    ends.is_some_and(|(first, last)| first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
        && text.len() <= MAX_TEXT
        && text.chars().all(is_allowed)
}
