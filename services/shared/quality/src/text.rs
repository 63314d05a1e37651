//! A text as the checks read it: words, and the gaps between them.
//!
//! A word is a maximal run of letters, digits and combining marks; everything else is gap. So
//! `l'Oréal`, `Smith's` and `Franco-American` come apart at the same places in the source and in
//! the summary, however they are written there, and no language's rules are needed. In scripts
//! written without spaces each character is a word.

use crate::fold::fold;
use crate::lexicon;

/// Byte range of a word in its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WordRange {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A text in plain spelling ([`crate::spelling`]) and its words.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a str,
    pub(crate) words: Vec<WordRange>,
}

/// The boundary between a word and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Boundary {
    /// Both belong to one sentence.
    None,
    /// A colon, or an opening quotation mark: a capital letter says nothing here.
    Soft,
    /// A sentence ends.
    Sentence,
    /// A line ends.
    Line,
}

impl<'a> Text<'a> {
    pub(crate) fn read(raw: &'a str) -> Self {
        let mut words: Vec<WordRange> = Vec::new();
        let mut open: Option<usize> = None;
        for (at, character) in raw.char_indices() {
            let ends = at + character.len_utf8();
            if is_unspaced(character) {
                close(&mut open, at, &mut words);
                words.push(WordRange { start: at, end: ends });
            } else if is_word(character) || (open.is_some() && is_mark(character)) {
                open.get_or_insert(at);
            } else {
                close(&mut open, at, &mut words);
            }
        }
        close(&mut open, raw.len(), &mut words);
        Self { raw, words }
    }

    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// The word as written.
    pub(crate) fn word(&self, index: usize) -> &'a str {
        let WordRange { start, end } = self.words[index];
        &self.raw[start..end]
    }

    /// The word folded; empty past either end.
    pub(crate) fn folded(&self, index: usize) -> String {
        if index < self.len() { fold(self.word(index)) } else { String::new() }
    }

    /// The gap before the word, back to the word before it; for `len()`, the gap after the last
    /// word.
    pub(crate) fn gap(&self, index: usize) -> &'a str {
        let start = index.checked_sub(1).map_or(0, |before| self.words[before].end);
        let end = self.words.get(index).map_or(self.raw.len(), |word| word.start);
        &self.raw[start..end]
    }

    /// Whether the word opens a sentence or a line, or may carry a capital letter for another such
    /// reason.
    pub(crate) fn boundary(&self, index: usize) -> Boundary {
        if index == 0 {
            return Boundary::Line;
        }
        let gap = self.gap(index);
        if gap.contains(['\n', '\r', '\u{2028}', '\u{2029}']) {
            return Boundary::Line;
        }
        if self.ends_sentence(index - 1, gap) {
            return Boundary::Sentence;
        }
        if gap.contains([':', '“', '‘', '•', '–', '—', '*', '#']) {
            return Boundary::Soft;
        }
        Boundary::None
    }

    fn ends_sentence(&self, index: usize, gap: &str) -> bool {
        if gap.contains(['。', '！', '？', '।', '؟', '۔']) {
            return true;
        }
        let Some(mark) = gap.find(['.', '!', '?', '…']) else {
            return false;
        };
        if !gap[mark..].contains(char::is_whitespace) {
            return false;
        }
        !(gap.starts_with('.') && is_abbreviation(self.word(index)))
    }

    /// Index ranges of the sentences.
    pub(crate) fn sentences(&self) -> Vec<std::ops::Range<usize>> {
        let mut starts: Vec<usize> =
            (0..self.len()).filter(|index| self.boundary(*index) >= Boundary::Sentence).collect();
        starts.push(self.len());
        starts.windows(2).map(|pair| pair[0]..pair[1]).collect()
    }
}

fn close(open: &mut Option<usize>, end: usize, words: &mut Vec<WordRange>) {
    if let Some(start) = open.take() {
        words.push(WordRange { start, end });
    }
}

/// Number of words of a text in plain spelling, as a publisher counts them.
pub(crate) fn count_words(text: &str) -> usize {
    text.split_whitespace()
        .map(|token| {
            let unspaced = token.chars().filter(|c| is_unspaced(*c)).count();
            unspaced.max(usize::from(token.chars().any(is_word)))
        })
        .sum()
}

/// Letters and digits. Superscripts and fractions are not: `Smith¹` names Smith.
fn is_word(character: char) -> bool {
    character.is_alphabetic()
        || character.is_ascii_digit()
        || (character.is_numeric()
            && !matches!(character, '²' | '³' | '¹' | '¼'..='¾' | '\u{2070}'..='\u{218B}' | '\u{2460}'..='\u{24FF}'))
}

fn is_mark(character: char) -> bool {
    unicode_normalization::char::is_combining_mark(character)
}

/// Han, Kana, Thai, Lao, Khmer and Burmese: scripts that set no spaces between words.
pub(crate) fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3040}'..='\u{30FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
        && is_word(character)
}

/// A full stop after these does not end a sentence: `Dr. Smith`, `J. Doe`, `art. 5`.
pub(crate) fn is_abbreviation(word: &str) -> bool {
    word.chars().count() == 1 && word.chars().all(char::is_alphabetic)
        || lexicon::any(&fold(word), |lexicon| lexicon.abbreviations)
}

#[cfg(test)]
mod tests;
