//! Notes on what was left out of inputs, counted so that each kind takes one line.

use std::collections::BTreeMap;
use std::fmt;

use precis_router::MAX_TITLE_BYTES;

use crate::output::words::plural;

/// Longest reference summary, bytes: it travels with the document, and no summary is as long.
pub(super) const MAX_REFERENCE_BYTES: usize = 64 * 1024;

/// Something that a document has in its file and not in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// Pictures written into the text as data URIs.
    Images,
    /// Terminal codes, overstrikes and other control characters.
    Controls,
    /// Halves of surrogate pairs.
    Surrogates,
    /// An id that is neither text nor a number.
    Id,
    /// A title that no document may have.
    Title,
    /// A language that no tag says.
    Language,
    /// A reference summary that is none.
    Reference,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images => f.write_str("pictures within the text (data URIs) are left out"),
            Self::Controls => f.write_str("terminal codes and control characters are left out"),
            Self::Surrogates => f.write_str("halves of surrogate pairs (\\ud800 to \\udfff alone) are read as U+FFFD"),
            Self::Id => f.write_str("the stated id is left out: it is neither text nor a number"),
            Self::Title => write!(f, "the title is left out: it is no text of at most {MAX_TITLE_BYTES} bytes"),
            Self::Reference => {
                write!(f, "the reference is left out: it is no text of at most {MAX_REFERENCE_BYTES} bytes")
            }
            Self::Language => f.write_str("the language is left out: it is no tag such as en or pt-BR"),
        }
    }
}

/// How many documents each [`Note`] holds for, and the first of them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Notes(BTreeMap<Note, (usize, String)>);

impl Notes {
    /// Counts a document.
    pub(super) fn add(&mut self, note: Note, name: &str) {
        self.0.entry(note).or_insert_with(|| (0, name.to_owned())).0 += 1;
    }

    /// The documents that a note holds for.
    pub fn count(&self, note: Note) -> usize {
        self.0.get(&note).map_or(0, |(count, _)| *count)
    }

    /// A line for each kind.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(note, (count, first))| match count {
            1 => format!("{first}: {note}"),
            _ => format!("{}: {note} (first: {first})", plural(*count, "document")),
        })
    }
}
