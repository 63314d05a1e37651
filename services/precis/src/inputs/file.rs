//! One file or stream as text.

use std::io::{self, Read};

use precis_pipeline::source;

use super::{Kind, html, reason};

/// Bytes at the start in which signs of a binary file are looked for.
const SNIFFED_BYTES: usize = 8 * 1024;

/// How formats start that people mistake for text, and what to do with them.
const BINARY_FORMATS: [(&[u8], &str); 5] = [
    (b"%PDF-", "a PDF; extract its text first, for example with pdftotext"),
    (b"PK\x03\x04", "a zip archive or office document; save it as text or HTML first"),
    (b"\xD0\xCF\x11\xE0", "an office document; save it as text or HTML first"),
    (b"\x1F\x8B", "compressed by gzip; unpack it first"),
    (b"{\\rtf", "rich text; save it as text or HTML first"),
];

/// Why bytes are not a document.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The operating system could not read it.
    #[error("cannot be read: {}", reason(.0))]
    Unreadable(#[from] io::Error),
    /// Nothing in it.
    #[error("is empty: there is nothing to summarise")]
    Empty,
    /// A web page whose markup holds no text.
    #[error("holds markup but no text")]
    NoText,
    /// Not text at all.
    #[error("is not text but {what}")]
    Binary {
        /// What it seems to be, and what to do.
        what: &'static str,
    },
    /// Text in another encoding.
    #[error("is not UTF-8 (first at byte {at}); convert it, for example with iconv -f {guess} -t utf-8")]
    NotUtf8 {
        /// The first byte that cannot be.
        at: usize,
        /// The encoding that it may have.
        guess: &'static str,
    },
    /// A web page of more parts than are kept in memory.
    #[error("has more than {limit} elements and pieces of text; split it")]
    TooManyNodes {
        /// The limit.
        limit: usize,
    },
    /// A web page whose elements take the parser too long.
    #[error("is nested in a way that takes more than {limit} steps to read; split it or save it as text")]
    Entangled {
        /// The limit.
        limit: u64,
    },
    /// Over the limit.
    #[error("is larger than the limit of {} MiB for one document; split it", limit / (1024 * 1024))]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
}

impl TextError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Empty | Self::NoText => "empty",
            Self::Binary { .. } => "binary",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::TooLarge { .. } | Self::TooManyNodes { .. } | Self::Entangled { .. } => "too_large",
        }
    }
}

/// The text in a stream. At most one byte beyond `limit` is read.
///
/// # Errors
/// See [`TextError`].
pub(super) fn text_of(stream: &mut dyn Read, kind: Kind, limit: u64) -> Result<String, TextError> {
    let mut bytes = Vec::new();
    stream.take(limit + 1).read_to_end(&mut bytes)?;
    // A huge archive is better called binary than too large.
    sniff(&bytes)?;
    if bytes.len() as u64 > limit {
        return Err(TextError::TooLarge { limit });
    }
    let text = decode(bytes)?;
    let text = if kind == Kind::Html { html::text_of(&text, limit)? } else { text };
    if source::words(&text) == 0 {
        return Err(if kind == Kind::Html { TextError::NoText } else { TextError::Empty });
    }
    Ok(text)
}

fn sniff(bytes: &[u8]) -> Result<(), TextError> {
    if let Some((_, what)) = BINARY_FORMATS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(TextError::Binary { what });
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(TextError::NotUtf8 { at: 0, guess: "utf-16" });
    }
    if bytes.iter().take(SNIFFED_BYTES).any(|byte| *byte == 0) {
        return Err(TextError::Binary { what: "binary data (it holds zero bytes)" });
    }
    Ok(())
}

fn decode(bytes: Vec<u8>) -> Result<String, TextError> {
    let text = String::from_utf8(bytes)
        .map_err(|error| TextError::NotUtf8 { at: error.utf8_error().valid_up_to(), guess: "iso-8859-1" })?;
    Ok(match text.strip_prefix('\u{FEFF}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}
