//! Token ids to text that is always valid UTF-8.
//!
//! A byte-level token is a string of bytes, and a character may be spread over several tokens. So
//! the bytes are put together first and read as UTF-8 once. Bytes that are still no character (of
//! an answer cut in the middle of one, or that never were one) become U+FFFD. An unfinished
//! character at the very end is left out.

use std::collections::HashMap;

use super::reasoning::{self, ReasoningTag};

/// The bytes of every token.
#[derive(Debug)]
pub(crate) struct Detokeniser {
    bytes: Vec<Box<[u8]>>,
    /// The tokens around reasoning; there are few.
    tags: Vec<(u32, ReasoningTag)>,
}

impl Detokeniser {
    /// Builds it from the vocabulary, in id order. `true` marks control tokens: they have no text,
    /// except those around reasoning.
    pub(crate) fn new<'a>(tokens: impl Iterator<Item = (&'a str, bool)>) -> Self {
        let byte_of = bytes_by_character();
        Self::spelled(tokens.map(|(text, control)| {
            let bytes: Option<Vec<u8>> = text.chars().map(|c| byte_of.get(&c).copied()).collect();
            // A token with a character outside the alphabet stands for itself.
            (text, bytes.unwrap_or_else(|| text.as_bytes().to_vec()), control)
        }))
    }

    /// The same for a vocabulary whose tokens have these bytes.
    pub(crate) fn spelled<'a>(tokens: impl Iterator<Item = (&'a str, Vec<u8>, bool)>) -> Self {
        let mut tags = Vec::new();
        let decode = |(id, (text, bytes, control)): (u32, (&str, Vec<u8>, bool))| -> Box<[u8]> {
            let tag = reasoning::tag(text);
            tags.extend(tag.map(|tag| (id, tag)));
            match (control, tag) {
                (false, _) => bytes.into(),
                (true, Some(_)) => text.as_bytes().into(),
                (true, None) => Box::default(),
            }
        };
        let bytes = (0..).zip(tokens).map(decode).collect();
        Self { bytes, tags }
    }

    /// Number of tokens; ids are below it.
    pub(crate) fn vocabulary(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of a token; empty for an id outside the vocabulary.
    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// The tag that a token is, if it stands around reasoning.
    pub(crate) fn tag(&self, id: u32) -> Option<ReasoningTag> {
        self.tags.iter().find(|(tagged, _)| *tagged == id).map(|(_, tag)| *tag)
    }

    /// The text of these tokens; ids outside the vocabulary have none.
    pub(crate) fn text(&self, ids: &[u32]) -> String {
        text_of(&self.joined(ids))
    }

    /// The bytes of these tokens, one behind the other.
    pub(crate) fn joined(&self, ids: &[u32]) -> Vec<u8> {
        ids.iter().flat_map(|id| self.bytes(*id)).copied().collect()
    }
}

/// The text of these bytes, without an unfinished character at the end.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    split(bytes).0
}

/// The text of these bytes, and the bytes of an unfinished character at the end.
pub(crate) fn split(bytes: &[u8]) -> (String, &[u8]) {
    let (whole, rest) = bytes.split_at(bytes.len() - unfinished(bytes));
    (String::from_utf8_lossy(whole).into_owned(), rest)
}

/// Length of the beginning of a character at the end of `bytes` that further bytes could still
/// complete.
fn unfinished(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    let incomplete = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
    if incomplete { last.len() } else { 0 }
}

/// GPT-2's alphabet, in which each byte has a printable character. Bytes that print stand for
/// themselves; the others follow from U+0100 on (Radford et al. 2019, `bytes_to_unicode` of their
/// published encoder).
fn bytes_by_character() -> HashMap<char, u8> {
    let prints = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let hidden = (0..=u8::MAX).filter(|byte| !prints(*byte)).zip(0x100_u32..);
    let moved = hidden.filter_map(|(byte, code)| char::from_u32(code).map(|c| (c, byte)));
    (0..=u8::MAX).filter(|byte| prints(*byte)).map(|byte| (char::from(byte), byte)).chain(moved).collect()
}

#[cfg(test)]
mod tests;
