//! What an answer to a request for a file, or for the rest of one, means.
//!
//! A server may send the whole file although its rest was asked for, the rest from another place,
//! or the rest of another file. So an answer adds to a partial file only where it says that it
//! begins at that very byte of the very same file (RFC 9110, sections 13.1.5 and 14).

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, RETRY_AFTER};

/// Longest wait that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

/// What was asked for beyond a whole file: its rest from a byte on, if it is still the file with
/// this tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resume {
    pub(super) from: u64,
    pub(super) etag: String,
}

/// What to do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The body is the file from its first byte.
    Whole { total: Option<u64>, etag: Option<String> },
    /// The body is what is missing, or the beginning of it.
    Rest { total: u64 },
    /// Nothing is missing.
    Complete,
    /// What is there is not the beginning of the server's file: begin anew.
    Changed,
    /// The server may answer otherwise later.
    Later { reason: String, after: Option<Duration> },
    /// The server will not answer otherwise.
    Refused(String),
}

/// Reads an answer that is no redirect.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, resume: Option<&Resume>, is_hub: bool) -> Answer {
    match status.as_u16() {
        200 => whole(headers),
        206 => rest(headers, resume),
        416 => match (resume, total_of_unsatisfied(headers)) {
            (Some(resume), Some(total)) if total == resume.from => Answer::Complete,
            (Some(_), _) => Answer::Changed,
            (None, _) => Answer::Refused("the server answered 416 to a request for the whole file".to_owned()),
        },
        401 | 403 if is_hub => Answer::Refused(format!(
            "the hub answered {}: set HF_TOKEN to a token that may read the file, and accept its licence on the model's page",
            status.as_u16()
        )),
        404 | 410 => {
            Answer::Refused(format!("the server answered {}: there is no such file or revision", status.as_u16()))
        }
        408 | 425 | 429 | 500..=599 => {
            Answer::Later { reason: format!("the server answered {}", status.as_u16()), after: retry_after(headers) }
        }
        other => Answer::Refused(format!("the server answered {other}")),
    }
}

fn whole(headers: &HeaderMap) -> Answer {
    match packed(headers) {
        Some(refused) => refused,
        None => Answer::Whole { total: number(headers), etag: strong_etag(headers) },
    }
}

fn rest(headers: &HeaderMap, resume: Option<&Resume>) -> Answer {
    let Some(resume) = resume else {
        return Answer::Refused("the server answered with a part of the file, which nobody asked for".to_owned());
    };
    if let Some(refused) = packed(headers) {
        return refused;
    }
    let same_file = text(headers, ETAG.as_str()).is_none_or(|etag| etag == resume.etag);
    match content_range(headers) {
        Some((first, last, total)) if same_file && first == resume.from && first <= last && last < total => {
            Answer::Rest { total }
        }
        _ => Answer::Changed,
    }
}

/// Bytes that are packed for the way are not those of the digest, and their places are others.
fn packed(headers: &HeaderMap) -> Option<Answer> {
    let coding = text(headers, CONTENT_ENCODING.as_str())?;
    (!coding.eq_ignore_ascii_case("identity"))
        .then(|| Answer::Refused("the server packs the file, although that was not asked for".to_owned()))
}

/// A tag that stands for the very bytes; a weak one or none gives no right to resume.
fn strong_etag(headers: &HeaderMap) -> Option<String> {
    const MAX_ETAG: usize = 256;
    let etag = text(headers, ETAG.as_str())?;
    let quoted = etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"');
    (quoted && etag.len() <= MAX_ETAG).then(|| etag.to_owned())
}

/// First, last and number of all bytes of `bytes 5-9/10`.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64, u64)> {
    let (range, total) = text(headers, CONTENT_RANGE.as_str())?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?, total.trim().parse().ok()?))
}

/// The number of all bytes of `bytes */10`.
fn total_of_unsatisfied(headers: &HeaderMap) -> Option<u64> {
    text(headers, CONTENT_RANGE.as_str())?.strip_prefix("bytes */")?.trim().parse().ok()
}

fn number(headers: &HeaderMap) -> Option<u64> {
    text(headers, CONTENT_LENGTH.as_str())?.parse().ok()
}

/// Seconds; a date is left to the caller's own wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = text(headers, RETRY_AFTER.as_str())?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// The SHA-256 that the hub says the file has, before anything of it comes.
pub(super) fn linked_sha256(headers: &HeaderMap) -> Option<String> {
    let etag = text(headers, "x-linked-etag")?.trim_matches('"').to_ascii_lowercase();
    super::super::grammar::is_sha256(&etag).then_some(etag)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests;
