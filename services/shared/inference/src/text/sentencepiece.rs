//! The `SentencePiece` tokenizer that a GGUF file describes (Kudo and Richardson 2018): pieces with
//! scores, merged from characters, the best pair first.
//!
//! The text is not cut into words before merging. A space is written `▁`, and one stands before the
//! text where the model was trained so. What no piece covers is written byte by byte. This is what
//! llama.cpp does for vocabularies of the kind `llama` (`llm_tokenizer_spm_session`), with one
//! difference: only normal pieces are merged. Control tokens have scores too, and there the text
//! `<s>` can become one.
//!
//! A heap orders the pairs, so time grows as n log n with the text.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use candle_core::quantized::gguf_file::Content;

use crate::error::EngineError;
use crate::gguf;

/// How pieces write a space.
pub(super) const SPACE: char = '\u{2581}';
/// Values of `tokenizer.ggml.token_type`.
const NORMAL: u32 = 1;
const BYTE: u32 = 6;

/// Pieces and their scores.
pub(super) struct SentencePiece {
    pieces: HashMap<String, (u32, f32)>,
    /// The token of each byte.
    bytes: Vec<u32>,
    /// Whether a space stands before a text.
    space_before: bool,
}

/// A part of the text that is one piece so far, or none any more.
struct Symbol {
    start: usize,
    /// 0 where the symbol was merged into the one before it.
    len: usize,
    before: Option<usize>,
    after: Option<usize>,
}

/// Two neighbours that are a piece together. The best is the greatest.
struct Pair {
    score: f32,
    left: Reverse<usize>,
    right: usize,
    len: usize,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(self.left.cmp(&other.left)).then(self.len.cmp(&other.len))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

impl SentencePiece {
    /// Reads scores, and refuses what this would tokenise wrongly.
    pub(super) fn from_gguf(content: &Content, tokens: &[String], types: &[u32]) -> Result<Self, EngineError> {
        let unsupported = |what: &str| {
            Err(EngineError::UnsupportedTokenizer { tokenizer: format!("llama {what}"), known: super::KNOWN })
        };
        if gguf::boolean(content, "tokenizer.ggml.remove_extra_whitespaces").unwrap_or(false) {
            return unsupported("that removes white space");
        }
        if content.metadata.contains_key("tokenizer.ggml.precompiled_charsmap") {
            return unsupported("that replaces characters");
        }
        let scores = gguf::floats(content, "tokenizer.ggml.scores")?;
        if scores.len() != tokens.len() {
            return Err(gguf::broken("tokenizer.ggml.scores has another length than tokenizer.ggml.tokens"));
        }
        let mut bytes = vec![None; 256];
        let mut pieces = HashMap::new();
        for (id, ((text, score), kind)) in (0..).zip(tokens.iter().zip(scores).zip(types)) {
            match *kind {
                NORMAL if !text.is_empty() => {
                    pieces.entry(text.clone()).or_insert((id, score));
                }
                BYTE => {
                    if let Some(byte) = byte_of(text) {
                        bytes[usize::from(byte)].get_or_insert(id);
                    }
                }
                _ => {}
            }
        }
        let Some(bytes) = bytes.into_iter().collect() else { return unsupported("without a token for each byte") };
        let space_before = gguf::boolean(content, "tokenizer.ggml.add_space_prefix").unwrap_or(true);
        Ok(Self { pieces, bytes, space_before })
    }

    /// Ids of a text; `first` where it stands at the beginning or behind a control token.
    pub(super) fn encode(&self, text: &str, first: bool) -> Vec<u32> {
        if text.is_empty() {
            return Vec::new();
        }
        let mut written = String::with_capacity(text.len() + text.len() / 3);
        if first && self.space_before {
            written.push(SPACE);
        }
        written.extend(text.chars().map(|letter| if letter == ' ' { SPACE } else { letter }));
        self.merged(&written)
    }

    fn merged(&self, text: &str) -> Vec<u32> {
        let mut symbols: Vec<Symbol> = text
            .char_indices()
            .enumerate()
            .map(|(at, (start, letter))| Symbol {
                start,
                len: letter.len_utf8(),
                before: at.checked_sub(1),
                after: Some(at + 1),
            })
            .collect();
        if let Some(last) = symbols.last_mut() {
            last.after = None;
        }
        let mut pairs = BinaryHeap::new();
        for left in 0..symbols.len() {
            pairs.extend(self.pair(text, &symbols, Some(left), symbols[left].after));
        }
        while let Some(Pair { left: Reverse(left), right, len, .. }) = pairs.pop() {
            // One of both was merged since with another.
            if symbols[left].len == 0 || symbols[right].len == 0 || symbols[left].len + symbols[right].len != len {
                continue;
            }
            let after = symbols[right].after;
            symbols[left].len = len;
            symbols[left].after = after;
            symbols[right].len = 0;
            if let Some(after) = after {
                symbols[after].before = Some(left);
            }
            pairs.extend(self.pair(text, &symbols, symbols[left].before, Some(left)));
            pairs.extend(self.pair(text, &symbols, Some(left), after));
        }
        let mut ids = Vec::new();
        for symbol in symbols.iter().filter(|symbol| symbol.len > 0) {
            let piece = &text[symbol.start..symbol.start + symbol.len];
            match self.pieces.get(piece) {
                Some((id, _)) => ids.push(*id),
                None => ids.extend(piece.bytes().map(|byte| self.bytes[usize::from(byte)])),
            }
        }
        ids
    }

    fn pair(&self, text: &str, symbols: &[Symbol], left: Option<usize>, right: Option<usize>) -> Option<Pair> {
        let (left, right) = (left?, right?);
        let len = symbols[left].len + symbols[right].len;
        let (_, score) = self.pieces.get(&text[symbols[left].start..symbols[left].start + len])?;
        Some(Pair { score: *score, left: Reverse(left), right, len })
    }
}

/// The bytes of a token's text: those of its characters, a space for `▁`, or the one that
/// `<0x0A>` names.
pub(super) fn bytes_of(text: &str, kind: u32) -> Vec<u8> {
    match byte_of(text) {
        Some(byte) if kind == BYTE => vec![byte],
        _ => text.replace(SPACE, " ").into_bytes(),
    }
}

fn byte_of(text: &str) -> Option<u8> {
    u8::from_str_radix(text.strip_prefix("<0x")?.strip_suffix('>')?, 16).ok()
}

#[cfg(test)]
mod tests;
