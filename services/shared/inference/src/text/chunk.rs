//! Cutting a long text into parts that fit, where a reader would.
//!
//! The parts put together are the text, to the byte. Cuts are made between paragraphs where
//! possible, else between sentences, else between words, else between characters. How often a text
//! is measured does not grow with its words and characters, only with its paragraphs, its sentences
//! and its parts: a run of megabytes without a blank is one of them.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Cuts `text` into parts of at most `limit` by `measure`, of about equal size. `measure` must not
/// grow by much when a text is cut, which holds for tokens; `limit` must have room for any single
/// character.
pub(crate) fn split<E>(
    text: &str,
    limit: usize,
    measure: &impl Fn(&str) -> Result<usize, E>,
) -> Result<Vec<String>, E> {
    let total = measure(text)?;
    if total <= limit {
        return Ok(vec![text.to_owned()]);
    }
    // Even parts: with a full first part and a stub at the end, the stub's summary would weigh as
    // much as the others'.
    let parts = total.div_ceil(limit);
    let target = (total.div_ceil(parts) + limit.div_ceil(16)).min(limit);
    let mut pieces = Vec::new();
    refine(text, target, Cut::Paragraph, measure, &mut pieces)?;
    Ok(pack(text, &pieces, target))
}

/// Where a text may be cut, from best to last resort.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Paragraph,
    Sentence,
    Word,
    Character,
    /// Within a character that is put together from very many.
    CodePoint,
}

/// Pieces of a part between words or characters: so finely can parts be made equal.
const PIECES_PER_PART: usize = 16;

impl Cut {
    fn next(self) -> Self {
        match self {
            Self::Paragraph => Self::Sentence,
            Self::Sentence => Self::Word,
            Self::Word => Self::Character,
            Self::Character | Self::CodePoint => Self::CodePoint,
        }
    }

    /// The pieces of a text between such cuts; together they are the text.
    fn pieces(self, text: &str) -> Vec<&str> {
        match self {
            Self::Paragraph => paragraphs(text),
            Self::Sentence => text.split_sentence_bounds().collect(),
            Self::Word => text.split_inclusive(char::is_whitespace).collect(),
            Self::Character => text.graphemes(true).collect(),
            Self::CodePoint => text.split_inclusive(|_| true).collect(),
        }
    }

    /// Whether there may be so many pieces that neighbours are measured together.
    fn is_fine(self) -> bool {
        matches!(self, Self::Word | Self::Character | Self::CodePoint)
    }
}

/// Pieces that end with a blank line.
fn paragraphs(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut blank_before = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let blank = line.trim().is_empty();
        if blank_before && !blank && at > start {
            pieces.push(&text[start..at]);
            start = at;
        }
        blank_before = blank;
        at += line.len();
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

/// A piece's extent in the text and its measure.
type Piece = (Range<usize>, usize);

fn refine<E>(
    text: &str,
    limit: usize,
    cut: Cut,
    measure: &impl Fn(&str) -> Result<usize, E>,
    pieces: &mut Vec<Piece>,
) -> Result<(), E> {
    let found = cut.pieces(text);
    if cut.is_fine() {
        return halve(text, &found, limit, cut, measure, pieces);
    }
    for piece in found {
        place(piece, limit, cut, measure, pieces)?;
    }
    Ok(())
}

/// Measures pieces that are neighbours, `text` together, half of them at a time until they are
/// small against a part.
fn halve<E>(
    text: &str,
    found: &[&str],
    limit: usize,
    cut: Cut,
    measure: &impl Fn(&str) -> Result<usize, E>,
    pieces: &mut Vec<Piece>,
) -> Result<(), E> {
    if found.len() <= 1 {
        return place(text, limit, cut, measure, pieces);
    }
    let size = measure(text)?;
    if size <= limit / PIECES_PER_PART {
        push(text, size, pieces);
        return Ok(());
    }
    let (left, right) = found.split_at(found.len() / 2);
    let (left_text, right_text) = text.split_at(left.iter().map(|piece| piece.len()).sum());
    halve(left_text, left, limit, cut, measure, pieces)?;
    halve(right_text, right, limit, cut, measure, pieces)
}

/// Takes a piece as it is, or cuts it further.
fn place<E>(
    piece: &str,
    limit: usize,
    cut: Cut,
    measure: &impl Fn(&str) -> Result<usize, E>,
    pieces: &mut Vec<Piece>,
) -> Result<(), E> {
    let size = measure(piece)?;
    if size <= limit || matches!(cut, Cut::CodePoint) {
        push(piece, size, pieces);
        return Ok(());
    }
    refine(piece, limit, cut.next(), measure, pieces)
}

fn push(piece: &str, size: usize, pieces: &mut Vec<Piece>) {
    let at = pieces.last().map_or(0, |(range, _)| range.end);
    pieces.push((at..at + piece.len(), size));
}

/// Puts neighbouring pieces together while they fit.
fn pack(text: &str, pieces: &[Piece], limit: usize) -> Vec<String> {
    let mut parts: Vec<(Range<usize>, usize)> = Vec::new();
    for (range, size) in pieces {
        match parts.last_mut() {
            Some((part, filled)) if *filled + size <= limit => {
                part.end = range.end;
                *filled += size;
            }
            _ => parts.push((range.clone(), *size)),
        }
    }
    parts.into_iter().map(|(range, _)| text[range].to_owned()).collect()
}

#[cfg(test)]
mod tests;
