//! One file or stream as text.

use std::io::{self, Read};

use precis_pipeline::source;

use super::encoding::{Legacy, Remedy};
use super::notes::Note;
use super::{Kind, html, images, reason, terminal};

/// Bytes that are read of a text file for each byte that its text may have: pictures within it are
/// left out.
const FILE_BYTES_PER_TEXT_BYTE: u64 = 8;

/// How text in ISO-2022-JP switches between its sets of characters; its bytes are ASCII.
const ISO_2022_JP: [&str; 2] = ["\u{1b}$B", "\u{1b}$@"];

/// Why bytes are not a document.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The operating system could not read it.
    #[error("cannot be read: {}", reason(.0))]
    Unreadable(#[from] io::Error),
    /// Nothing in it.
    #[error("is empty: there is nothing to summarise")]
    Empty,
    /// Markup or pictures, and nothing to read.
    #[error("holds markup but no text")]
    NoText,
    /// Not text at all.
    #[error("is not text but {what}")]
    Binary {
        /// What it seems to be, and what to do.
        what: &'static str,
    },
    /// Text in an encoding that its bytes tell without doubt.
    #[error("is {name} without a byte order mark; convert it, for example with iconv -f {iconv} -t utf-8")]
    Encoding {
        /// The encoding.
        name: &'static str,
        /// The same for `iconv`.
        iconv: &'static str,
    },
    /// Text in another encoding.
    #[error("is not UTF-8 (first at byte {at}); {remedy}")]
    NotUtf8 {
        /// The first byte that cannot be.
        at: usize,
        /// What to do.
        remedy: Remedy,
    },
    /// A web page of more nodes than are kept in memory.
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
            Self::Encoding { .. } | Self::NotUtf8 { .. } => "not_utf8",
            Self::TooLarge { .. } | Self::TooManyNodes { .. } | Self::Entangled { .. } => "too_large",
        }
    }

    /// The refusal of an input with zero bytes.
    pub(super) fn zeros() -> Self {
        Self::Binary {
            what: "binary data (it holds zero bytes; if it is text, take them out, for example with tr -d '\\000')",
        }
    }
}

/// The text of a file, and notes on what was left out of it.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) notes: Vec<Note>,
}

/// The text in a decoded stream. Not much more is read than a document may have.
///
/// # Errors
/// See [`TextError`].
pub(super) fn text_of(stream: &mut dyn Read, kind: Kind, limit: u64) -> Result<Text, TextError> {
    let most = if kind == Kind::Text { limit.saturating_mul(FILE_BYTES_PER_TEXT_BYTE) } else { limit };
    let mut bytes = Vec::new();
    stream.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(TextError::TooLarge { limit });
    }
    if bytes.contains(&0) {
        return Err(TextError::zeros());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Legacy::default().error(error.as_bytes(), at)
    })?;
    if let Some(at) = ISO_2022_JP.iter().find_map(|shift| text.find(shift)) {
        return Err(TextError::NotUtf8 { at, remedy: Remedy::From("iso-2022-jp") });
    }
    let text = if kind == Kind::Html { html::text_of(&text, limit)? } else { text };
    let text = readable(text)?;
    if text.text.len() as u64 > limit {
        return Err(TextError::TooLarge { limit });
    }
    if source::words(&text.text) == 0 {
        let marked_up = kind == Kind::Html || text.notes.contains(&Note::Images);
        return Err(if marked_up { TextError::NoText } else { TextError::Empty });
    }
    Ok(text)
}

/// The text as a reader sees it: without the bytes of pictures and without codes for terminals.
///
/// # Errors
/// [`TextError::Binary`] where much of it is control characters.
pub(super) fn readable(text: String) -> Result<Text, TextError> {
    let plain = terminal::plain(text);
    if plain.is_binary {
        return Err(TextError::Binary { what: "binary data (it holds control characters)" });
    }
    let without = images::without(&plain.text);
    let notes = [(Note::Controls, plain.changed), (Note::Images, without.is_some())];
    Ok(Text {
        notes: notes.into_iter().filter(|(_, holds)| *holds).map(|(note, _)| note).collect(),
        text: without.unwrap_or(plain.text),
    })
}
