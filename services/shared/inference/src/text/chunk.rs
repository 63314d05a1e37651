//! Cuts a long text into chunks that fit, where a reader would.
//!
//! The chunks put together are the text, to the byte. Cuts are made between paragraphs where
//! possible, else between sentences, else between words, else between characters. The number of
//! measurements does not grow with the words and characters of the text, only with its paragraphs,
//! sentences and chunks: some texts are a run of megabytes without a blank.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Cuts `text` into chunks of at most `limit` by `measure`, of about equal size. `measure` must not
/// grow by much when a text is cut, which holds for tokens. `limit` must have room for any single
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
    // Chunks are of even size. After full chunks and a short rest, the summary of the rest would
    // weigh as much as the others.
    let chunks = total.div_ceil(limit);
    let target = (total.div_ceil(chunks) + limit.div_ceil(16)).min(limit);
    let mut segments = Vec::new();
    refine(text, target, Cut::Paragraph, measure, &mut segments)?;
    Ok(pack(text, &segments, target))
}

/// Places where a text may be cut, from the best to the last resort.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Paragraph,
    Sentence,
    Word,
    Character,
    /// Within a character that consists of very many code points.
    CodePoint,
}

/// Segments of a chunk, if it is cut between words or characters: the more there are, the more
/// equal the chunks.
const SEGMENTS_PER_CHUNK: usize = 16;

impl Cut {
    fn next(self) -> Self {
        match self {
            Self::Paragraph => Self::Sentence,
            Self::Sentence => Self::Word,
            Self::Word => Self::Character,
            Self::Character | Self::CodePoint => Self::CodePoint,
        }
    }

    /// The segments of a text between such cuts. Put together they are the text.
    fn segments(self, text: &str) -> Vec<&str> {
        match self {
            Self::Paragraph => paragraphs(text),
            Self::Sentence => text.split_sentence_bounds().collect(),
            Self::Word => text.split_inclusive(char::is_whitespace).collect(),
            Self::Character => text.graphemes(true).collect(),
            Self::CodePoint => text.split_inclusive(|_| true).collect(),
        }
    }

    /// Whether there may be so many segments that neighbours are measured together.
    fn is_fine(self) -> bool {
        matches!(self, Self::Word | Self::Character | Self::CodePoint)
    }
}

/// Segments that end with a blank line.
fn paragraphs(text: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut start = 0;
    let mut blank_before = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let blank = line.trim().is_empty();
        if blank_before && !blank && at > start {
            segments.push(&text[start..at]);
            start = at;
        }
        blank_before = blank;
        at += line.len();
    }
    if start < text.len() {
        segments.push(&text[start..]);
    }
    segments
}

/// A segment's byte range in the text, and its measure.
type Segment = (Range<usize>, usize);

fn refine<E>(
    text: &str,
    limit: usize,
    cut: Cut,
    measure: &impl Fn(&str) -> Result<usize, E>,
    segments: &mut Vec<Segment>,
) -> Result<(), E> {
    let found = cut.segments(text);
    if cut.is_fine() {
        return halve(text, &found, limit, cut, measure, segments);
    }
    for segment in found {
        place(segment, limit, cut, measure, segments)?;
    }
    Ok(())
}

/// Measures neighbouring segments together (they are `text`), then halves of them, until they are
/// small against a chunk.
fn halve<E>(
    text: &str,
    found: &[&str],
    limit: usize,
    cut: Cut,
    measure: &impl Fn(&str) -> Result<usize, E>,
    segments: &mut Vec<Segment>,
) -> Result<(), E> {
    if found.len() <= 1 {
        return place(text, limit, cut, measure, segments);
    }
    let size = measure(text)?;
    if size <= limit / SEGMENTS_PER_CHUNK {
        push(text, size, segments);
        return Ok(());
    }
    let (left, right) = found.split_at(found.len() / 2);
    let (left_text, right_text) = text.split_at(left.iter().map(|segment| segment.len()).sum());
    halve(left_text, left, limit, cut, measure, segments)?;
    halve(right_text, right, limit, cut, measure, segments)
}

/// Takes a segment as it is, or cuts it further.
fn place<E>(
    segment: &str,
    limit: usize,
    cut: Cut,
    measure: &impl Fn(&str) -> Result<usize, E>,
    segments: &mut Vec<Segment>,
) -> Result<(), E> {
    let size = measure(segment)?;
    if size <= limit || matches!(cut, Cut::CodePoint) {
        push(segment, size, segments);
        return Ok(());
    }
    refine(segment, limit, cut.next(), measure, segments)
}

fn push(segment: &str, size: usize, segments: &mut Vec<Segment>) {
    let at = segments.last().map_or(0, |(range, _)| range.end);
    segments.push((at..at + segment.len(), size));
}

/// Puts neighbouring segments together while they fit.
fn pack(text: &str, segments: &[Segment], limit: usize) -> Vec<String> {
    let mut chunks: Vec<(Range<usize>, usize)> = Vec::new();
    for (range, size) in segments {
        match chunks.last_mut() {
            Some((chunk, filled)) if *filled + size <= limit => {
                chunk.end = range.end;
                *filled += size;
            }
            _ => chunks.push((range.clone(), *size)),
        }
    }
    chunks.into_iter().map(|(range, _)| text[range].to_owned()).collect()
}

#[cfg(test)]
mod tests;
