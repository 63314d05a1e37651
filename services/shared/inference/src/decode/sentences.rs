//! Where a sentence of an answer ends.

use crate::text::detokenise::Detokeniser;

/// Marks that end a sentence in any place.
const WIDE_MARKS: [char; 8] = ['。', '！', '？', '؟', '۔', '।', '॥', '։'];
/// Marks that end a sentence where a space or nothing follows.
const MARKS: [char; 4] = ['.', '!', '?', '…'];
/// Characters that may follow the mark and belong to the sentence.
const CLOSING: [char; 14] = ['"', '\'', '”', '’', '»', '›', ')', ']', '}', '*', '_', '`', '」', '』'];

/// Bytes of the text up to the end of its last sentence; 0 if none ends. A full stop behind an
/// abbreviation or behind the number of a list's item ends none.
pub(crate) fn last_end(text: &str) -> usize {
    let is_mark = |c: char| MARKS.contains(&c) || WIDE_MARKS.contains(&c);
    let mut found = 0;
    for (at, mark) in text.char_indices().filter(|(_, c)| is_mark(*c)) {
        let behind = &text[at + mark.len_utf8()..];
        let rest = behind.trim_start_matches(|c| is_mark(c) || CLOSING.contains(&c));
        let spaced = rest.chars().next().is_none_or(char::is_whitespace);
        let wide = WIDE_MARKS.contains(&mark);
        if (wide || spaced) && !(mark == '.' && is_no_end(&text[..at])) {
            found = text.len() - rest.len();
        }
    }
    found
}

/// Whether a text ends with a sentence, white space aside. In scripts without spaces a sentence may
/// end without a mark.
pub(crate) fn is_finished(text: &str) -> bool {
    let text = text.trim_end();
    text.is_empty() || last_end(text) == text.len() || text.ends_with(precis_quality::is_unspaced)
}

/// The answer's first tokens that end with its last sentence, if one ends. `whole`: whether the
/// end of the answer counts as the end of its text; while it grows, a number or an abbreviation may
/// go on.
pub(crate) fn tokens_to_last_end(answer: &[u32], whole: bool, detokeniser: &Detokeniser) -> Option<usize> {
    let text = detokeniser.text(answer);
    let end = last_end(&text);
    if end == 0 || (!whole && end == text.len()) {
        return None;
    }
    let mut bytes = 0;
    for (at, id) in answer.iter().enumerate() {
        bytes += detokeniser.bytes(*id).len();
        if bytes >= end {
            // A token may hold more than the mark; what it holds must be no text.
            let beyond = text.get(end..bytes.min(text.len())).unwrap_or_default();
            return beyond.trim().is_empty().then_some(at + 1);
        }
    }
    None
}

/// Whether the full stop behind this text belongs to an abbreviation or to a list's item.
fn is_no_end(text: &str) -> bool {
    let line = text.rsplit('\n').next().unwrap_or_default().trim_start();
    let item = !line.is_empty() && line.len() <= 3 && line.bytes().all(|byte| byte.is_ascii_digit());
    let word = line.rsplit(char::is_whitespace).next().unwrap_or_default();
    item || precis_quality::ends_abbreviated(word)
}

#[cfg(test)]
mod tests;
