//! Cuts a long text into chunks that fit, where a reader would.
//!
//! The chunks put together are the text, to the byte. Cuts are made between paragraphs where
//! possible, else between sentences, else between words, else between characters. The number of
//! measurements does not grow with the words and characters of the text, only with its paragraphs,
//! sentences and chunks: some texts are a run of megabytes without a blank.
//!
//! Time is linear in the length of the text, and so is memory, a few bytes for each byte: a
//! tokenizer takes more than a hundred, so it never gets more than [`MAX_MEASURED_BYTES`] at once.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// The most bytes that are measured at once.
const MAX_MEASURED_BYTES: usize = 64 * 1024;
/// The most bytes of neighbouring words or characters that are measured together. Their places are
/// kept in memory, 16 bytes for each.
const MAX_GROUP_BYTES: usize = 16 * 1024;

/// Cuts `text` into chunks of at most `limit` by `measure`, of about equal size. `measure` must not
/// grow by much when a text is cut, which holds for tokens. `limit` must have room for any single
/// character.
pub(crate) fn split<E>(
    text: &str,
    limit: usize,
    measure: &impl Fn(&str) -> Result<usize, E>,
) -> Result<Vec<String>, E> {
    let total = measured(text, measure)?;
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

/// The measure of a text of any length. One of more than [`MAX_MEASURED_BYTES`] is measured in
/// parts, between words where it has any.
pub(crate) fn measured<E>(text: &str, measure: &impl Fn(&str) -> Result<usize, E>) -> Result<usize, E> {
    let (mut rest, mut sum) = (text, 0);
    while rest.len() > MAX_MEASURED_BYTES {
        let most = &rest[..rest.floor_char_boundary(MAX_MEASURED_BYTES)];
        // A text without a blank in so many bytes is no language's.
        let end = most.rfind(char::is_whitespace).filter(|end| *end > 0).unwrap_or(most.len());
        let (part, behind) = rest.split_at(end);
        sum += measure(part)?;
        rest = behind;
    }
    Ok(sum + measure(rest)?)
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

    /// The segments of a text between such cuts, in order. Put together they are the text.
    fn segments(self, text: &str) -> impl Iterator<Item = &str> {
        let mut rest = text;
        std::iter::from_fn(move || {
            let (segment, behind) = rest.split_at(self.first_end(rest));
            rest = behind;
            (!segment.is_empty()).then_some(segment)
        })
    }

    /// Where the first segment ends.
    fn first_end(self, text: &str) -> usize {
        let end = match self {
            Self::Paragraph => return paragraph_end(text),
            Self::Sentence => return sentence_end(text),
            Self::Word => text.split_inclusive(char::is_whitespace).next(),
            Self::Character => text.graphemes(true).next(),
            Self::CodePoint => text.split_inclusive(|_| true).next(),
        };
        end.map_or(0, str::len)
    }

    /// Whether there may be so many segments that neighbours are measured together.
    fn is_fine(self) -> bool {
        matches!(self, Self::Word | Self::Character | Self::CodePoint)
    }
}

/// Where the first paragraph ends: behind its blank lines.
fn paragraph_end(text: &str) -> usize {
    let mut blank_before = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let blank = line.trim().is_empty();
        if blank_before && !blank {
            return at;
        }
        blank_before = blank;
        at += line.len();
    }
    at
}

/// Where the first sentence ends: with its line, or behind the blanks after a full stop, but not
/// before a small letter (`e.g. this`). The rules of Unicode (UAX #29) are not used: what
/// implements them reads on from every mark behind a full stop, which is quadratic.
fn sentence_end(text: &str) -> usize {
    /// What the characters until now end with.
    #[derive(Clone, Copy, PartialEq)]
    enum Ends {
        Words,
        Stop,
        Blank,
    }
    let mut ends = Ends::Words;
    for (at, character) in text.char_indices() {
        ends = match (ends, character) {
            (_, '\n' | '\u{2029}' | '。' | '！' | '？') => {
                let closing = text[at + character.len_utf8()..].chars().next().filter(|next| is_closing(*next));
                return at + character.len_utf8() + closing.map_or(0, char::len_utf8);
            }
            (_, '.' | '!' | '?' | '…' | '।' | '؟' | '۔') => Ends::Stop,
            (Ends::Stop | Ends::Blank, character) if character.is_whitespace() => Ends::Blank,
            (Ends::Stop, character) if is_closing(character) => Ends::Stop,
            (Ends::Blank, character) if !character.is_lowercase() => return at,
            _ => Ends::Words,
        };
    }
    text.len()
}

/// Quotes and brackets that belong to the sentence before them.
fn is_closing(character: char) -> bool {
    matches!(character, '"' | '\'' | ')' | ']' | '}' | '”' | '’' | '»' | '›' | '」' | '』' | '）')
}

/// Where a segment ends in the text, and its measure. It begins where the one before ends.
type Segment = (usize, usize);

fn refine<E>(
    text: &str,
    limit: usize,
    cut: Cut,
    measure: &impl Fn(&str) -> Result<usize, E>,
    segments: &mut Vec<Segment>,
) -> Result<(), E> {
    if !cut.is_fine() {
        for segment in cut.segments(text) {
            place(segment, limit, cut, measure, segments)?;
        }
        return Ok(());
    }
    let (mut group, mut from, mut end) = (Vec::new(), 0, 0);
    for segment in cut.segments(text) {
        if end + segment.len() - from > MAX_GROUP_BYTES && !group.is_empty() {
            halve(&text[from..end], &group, limit, cut, measure, segments)?;
            group.clear();
            from = end;
        }
        group.push(segment);
        end += segment.len();
    }
    halve(&text[from..], &group, limit, cut, measure, segments)
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
    if segment.len() <= MAX_MEASURED_BYTES {
        let size = measure(segment)?;
        if size <= limit || matches!(cut, Cut::CodePoint) {
            push(segment, size, segments);
            return Ok(());
        }
    }
    refine(segment, limit, cut.next(), measure, segments)
}

fn push(segment: &str, size: usize, segments: &mut Vec<Segment>) {
    let start = segments.last().map_or(0, |(end, _)| *end);
    segments.push((start + segment.len(), size));
}

/// Puts neighbouring segments together while they fit.
fn pack(text: &str, segments: &[Segment], limit: usize) -> Vec<String> {
    let mut chunks: Vec<(Range<usize>, usize)> = Vec::new();
    let mut start = 0;
    for &(end, size) in segments {
        match chunks.last_mut() {
            Some((chunk, filled)) if *filled + size <= limit => {
                chunk.end = end;
                *filled += size;
            }
            _ => chunks.push((start..end, size)),
        }
        start = end;
    }
    chunks.into_iter().map(|(range, _)| text[range].to_owned()).collect()
}

#[cfg(test)]
mod tests;
