//! The sentences of a text that a summary may be made of.
//!
//! The text is read line by line as plain text or Markdown; lines between two blank ones, or of one
//! list entry, are a block. A block is cut where a full stop, an exclamation mark or a sign of the
//! same meaning ends a sentence. What follows must not begin with a small letter, so that an
//! abbreviation which no list has cuts nothing.
//!
//! What is kept reads as a whole sentence: it opens with a capital letter, ends with a full stop or
//! an exclamation mark, has 5 to 80 words, most of it letters, and its brackets are closed. So no
//! heading, table, listing, address, menu, caption or list entry without a full stop is kept, nor a
//! sentence with a word that is broken at the end of a line, a copyright notice, or a sentence in
//! another language than the text's, as far as function words tell.

use std::collections::HashSet;

use crate::fold::fold;
use crate::lexicon;
use crate::text::{Boundary, Text, count_words, is_unspaced};

/// Words of a sentence that may stand in a summary. Longer ones are enumerations, or no prose.
const WORDS: std::ops::RangeInclusive<usize> = 5..=80;
/// Longest sentence, bytes: a word may be of any length.
const MAX_SENTENCE_BYTES: usize = 2_000;
/// Most words of a heading without any mark, on the line before its text.
const MAX_HEADING_WORDS: usize = 8;
/// Least share of letters among what is not white space, in hundredths.
const MIN_LETTERS_PERCENT: usize = 65;
/// Largest share of words that open with a capital letter, in hundredths: more is a title or a list
/// of names. In German, which gives nouns one, it is below half.
const MAX_CAPITALS_PERCENT: usize = 60;
/// Characters for each mark of code that a sentence may have.
const CHARACTERS_PER_CODE_MARK: usize = 30;
/// Largest day of a month, and so largest number that a language writes as an ordinal in dates.
const MAX_ORDINAL_DIGITS: usize = 2;

/// Marks that end a statement.
const ENDS: &[char] = &['.', '!', '。', '！', '।', '۔', '։', '።', '｡'];
/// Marks behind the end that belong to the sentence.
const CLOSING: &[char] = &['"', '\'', '”', '’', '»', '›', ')', ']', '」', '』', '）'];
/// Marks that may stand before the first word.
const OPENING: &[char] = &['"', '\'', '“', '„', '‘', '‚', '«', '‹', '¿', '¡', '「', '『'];
/// Marks that prose hardly has and code, tables and addresses do.
const CODE_MARKS: &[char] = &['{', '}', '|', '\\', '<', '>', '=', '_', '~', '^', '#', '@', '*', '`', '+', '$', '/'];
/// What no sentence of a summary has: an address, a Markdown link, a cell's end.
const NO_PROSE: [&str; 5] = ["://", "](", "||", "\t", "..."];

/// How a copyright notice is told, folded.
const NOTICES: [&str; 5] = ["copyright (c)", "copyright 1", "copyright 2", "\u{a9}", "all rights reserved"];

/// Abbreviations beside those of [`crate::lexicon`], folded; their full stop ends no sentence.
const ABBREVIATIONS: &[&str] = &[
    "bzw", "vgl", "ca", "nr", "abs", "bd", "hrsg", "evtl", "ggf", "inkl", "str", "tel", "geb", "sog", "eq", "eqs",
    "sec", "secs", "ch", "chap", "tab", "ref", "refs", "env", "resp", "mt", "rev", "hon", "lt", "col", "maj", "ft",
    "messrs", "jan", "feb", "aug", "sept", "oct", "nov", "dec", "janv", "fevr", "juill", "okt", "dez", "mio", "mrd",
];
/// Languages that write the day of a date as `3.`.
const ORDINAL_LANGUAGES: &[&str] =
    &["de", "da", "nb", "no", "nn", "is", "fi", "et", "cs", "sk", "sl", "hr", "sr", "hu", "lv", "pl", "tr"];
/// Words with which a sentence refers to the one before it, folded.
const REFERRING: &[&str] = &[
    "this",
    "these",
    "that",
    "those",
    "it",
    "they",
    "he",
    "she",
    "such",
    "however",
    "therefore",
    "thus",
    "hence",
    "moreover",
    "furthermore",
    "also",
    "but",
    "and",
    "so",
    "then",
    "besides",
    "instead",
    "otherwise",
    "finally",
    "ce",
    "cette",
    "ces",
    "cela",
    "il",
    "ils",
    "elle",
    "elles",
    "cependant",
    "toutefois",
    "donc",
    "ainsi",
    "mais",
    "et",
    "or",
    "enfin",
    "dies",
    "diese",
    "dieser",
    "dieses",
    "er",
    "sie",
    "es",
    "aber",
    "daher",
    "deshalb",
    "dabei",
    "jedoch",
    "dann",
    "dazu",
    "und",
    "ausserdem",
];

/// A sentence that may stand in a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    /// As in the text, line breaks and runs of blanks as one blank.
    pub(super) text: String,
    pub(super) words: usize,
    /// Whether it opens with a reference to the sentence before.
    pub(super) is_dependent: bool,
}

/// The sentences of a text, in its order, each once.
pub(super) fn sentences(text: &str, language: Option<&str>) -> Vec<Sentence> {
    let language = language.and_then(|tag| tag.split(['-', '_']).next()).unwrap_or_default().to_ascii_lowercase();
    let lexicon = lexicon::ALL.iter().position(|known| crate::language::is(&language, known.language));
    let mut reader = Reader { ordinals: ORDINAL_LANGUAGES.contains(&&*language), lexicon, ..Reader::default() };
    for line in text.split(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
        reader.line(line);
    }
    reader.end_block();
    reader.found
}

/// A text, read as far as some line.
#[derive(Debug, Default)]
struct Reader {
    /// The place of the text's language among [`lexicon::ALL`], if it is one of those.
    lexicon: Option<usize>,
    /// Whether a number before a full stop may be the day of a date.
    ordinals: bool,
    found: Vec<Sentence>,
    /// Folded, to find what was there before.
    seen: HashSet<String>,
    /// The lines of the block so far, joined.
    block: String,
    lines: usize,
    /// The mark of the code block that is open.
    fence: Option<&'static str>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let line = line.trim();
        let fence = ["```", "~~~"].into_iter().find(|fence| line.starts_with(fence));
        if let Some(open) = self.fence {
            if fence == Some(open) {
                self.fence = None;
            }
            return;
        }
        let line = line.trim_start_matches(['>', ' ']);
        if fence.is_some() {
            self.end_block();
            self.fence = fence;
        } else if is_underline(line) {
            // A line alone above it is its heading.
            if self.lines == 1 {
                self.block.clear();
            }
            self.end_block();
        } else if is_no_prose(line) {
            self.end_block();
        } else if let Some(entry) = list_entry(line) {
            self.end_block();
            self.add(entry);
        } else {
            self.add(line);
        }
    }

    fn add(&mut self, line: &str) {
        if self.lines == 1 && is_heading_of(&self.block, line) {
            self.block.clear();
        }
        if !self.block.is_empty() && !ends_unspaced(&self.block) {
            // A word that is broken here can be told from a compound by a dictionary alone: the tab
            // marks its sentence as none that is kept.
            self.block.push(if ends_broken(&self.block, line) { '\t' } else { ' ' });
        }
        for (at, word) in line.split_whitespace().enumerate() {
            if at > 0 {
                self.block.push(' ');
            }
            self.block.push_str(word);
        }
        self.lines += 1;
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.lines = 0;
        for sentence in cut(&block, self.ordinals) {
            let words = count_words(sentence);
            if !is_prose(sentence, words) {
                continue;
            }
            let folded = fold(sentence);
            let is_wanted = !NOTICES.iter().any(|sign| folded.contains(sign)) && !self.is_foreign(&folded);
            if is_wanted && self.seen.insert(folded) {
                let is_dependent = is_dependent(sentence);
                self.found.push(Sentence { text: sentence.to_owned(), words, is_dependent });
            }
        }
    }
}

impl Reader {
    /// Whether a folded sentence has more function words of another language than of the text's.
    fn is_foreign(&self, folded: &str) -> bool {
        let Some(own) = self.lexicon else { return false };
        let words = || folded.split(|character: char| !character.is_alphanumeric());
        let counts =
            lexicon::FUNCTION_WORDS.each_ref().map(|known| words().filter(|word| known.contains(word)).count());
        counts.iter().any(|count| *count > counts[own] + 1)
    }
}

/// A rule, or the underline of a heading: one mark again and again.
fn is_underline(line: &str) -> bool {
    let mut characters = line.chars().filter(|character| *character != ' ');
    let first = characters.next();
    first.is_some_and(|first| {
        "=-~^*_#+.".contains(first) && line.len() > 2 && characters.all(|character| character == first)
    })
}

/// Blank, a heading, a row of a table, a tag, a directive, or a field.
fn is_no_prose(line: &str) -> bool {
    line.is_empty()
        || line.starts_with(['#', '|', '<', ':'])
        || ["+-", "+=", "$ ", ".. "].iter().any(|sign| line.starts_with(sign))
        || line.contains('\t')
        || line.matches(" | ").count() > 1
        || !line.contains(char::is_alphanumeric)
}

/// The text of a list entry.
fn list_entry(line: &str) -> Option<&str> {
    const BULLETS: &[char] = &['-', '*', '+', '•', '–', '—', '·', '▪', '◦', '‣'];
    if let Some(entry) = line.strip_prefix(BULLETS) {
        return entry.starts_with(' ').then(|| entry.trim_start());
    }
    let (marker, entry) = line.split_once(' ')?;
    let number = marker.trim_start_matches('(').strip_suffix(['.', ')'])?;
    let is_number = number.len() <= 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_letter = number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_lowercase());
    (!number.is_empty() && (is_number || is_letter)).then(|| entry.trim_start())
}

/// Whether a block's first line is the heading of the line behind it: short beside it, and neither
/// finished nor going on.
fn is_heading_of(first: &str, next: &str) -> bool {
    let goes_on = first.ends_with([',', ';', '-', '–', '—', '(', '/']);
    let is_short = first.len() * 3 < next.len() * 2 && count_words(first) <= MAX_HEADING_WORDS;
    is_short && !goes_on && !first.ends_with(ENDS) && !next.starts_with(char::is_lowercase)
}

fn ends_unspaced(block: &str) -> bool {
    block.chars().next_back().is_some_and(|last| is_unspaced(last) || ['。', '，', '、', '！', '？'].contains(&last))
}

/// Whether the word at the block's end is broken there, and goes on in the next line.
fn ends_broken(block: &str, next: &str) -> bool {
    let Some(word) = block.strip_suffix(['-', '\u{ad}', '\u{2010}']) else { return false };
    word.ends_with(char::is_alphabetic) && next.starts_with(char::is_lowercase)
}

/// A block's sentences.
fn cut(block: &str, ordinals: bool) -> Vec<&str> {
    let text = Text::read(block);
    let (mut cut, mut start) = (Vec::new(), 0);
    for index in 1..text.len() {
        if let Some(end) = end_before(&text, index, ordinals) {
            cut.push(block[start..end].trim());
            start = end;
        }
    }
    cut.push(block[start..].trim());
    cut
}

/// Where the sentence ends that the word before this one is the last of.
fn end_before(text: &Text<'_>, index: usize, ordinals: bool) -> Option<usize> {
    if text.boundary(index) < Boundary::Sentence || text.word(index).starts_with(char::is_lowercase) {
        return None;
    }
    let (gap, last) = (text.gap(index), text.word(index - 1));
    let is_ordinal = ordinals && last.len() <= MAX_ORDINAL_DIGITS && last.bytes().all(|byte| byte.is_ascii_digit());
    if gap.starts_with('.') && (is_ordinal || ABBREVIATIONS.contains(&fold(last).as_str())) {
        return None;
    }
    let start = text.words[index - 1].end;
    let (at, mark) =
        gap.char_indices().find(|(_, mark)| ENDS.contains(mark) || ['?', '…', '？', '؟'].contains(mark))?;
    let behind = &gap[at + mark.len_utf8()..];
    let rest =
        behind.trim_start_matches(|other: char| other == '?' || ENDS.contains(&other) || CLOSING.contains(&other));
    Some(start + gap.len() - rest.len())
}

/// Whether it reads as a whole sentence.
fn is_prose(sentence: &str, words: usize) -> bool {
    let core = sentence.trim_end_matches(CLOSING);
    WORDS.contains(&words)
        && sentence.len() <= MAX_SENTENCE_BYTES
        && core.ends_with(ENDS)
        && !NO_PROSE.iter().any(|sign| sentence.contains(sign))
        && opens_well(sentence)
        && is_balanced(sentence)
        && is_mostly_words(sentence)
}

fn opens_well(sentence: &str) -> bool {
    let first = without_opening(sentence).chars().next();
    first.is_some_and(|first| first.is_alphabetic() && !first.is_lowercase())
}

fn without_opening(sentence: &str) -> &str {
    sentence.trim_start_matches(|first: char| first.is_whitespace() || OPENING.contains(&first))
}

/// Whether brackets and double quotation marks are closed: where they are not, the cut is wrong.
fn is_balanced(sentence: &str) -> bool {
    let count = |mark: char| sentence.matches(mark).count();
    count('(') == count(')')
        && count('[') == count(']')
        && count('«') == count('»')
        && count('"').is_multiple_of(2)
        && count('`').is_multiple_of(2)
        && (count('”') == count('“') + count('„') || count('“') == count('„') && count('”') == 0)
}

/// Whether it is made of words rather than of figures, names or code.
fn is_mostly_words(sentence: &str) -> bool {
    let (mut all, mut letters, mut capitals, mut code) = (0, 0, 0, 0);
    for character in sentence.chars().filter(|character| !character.is_whitespace()) {
        all += 1;
        letters += usize::from(character.is_alphabetic());
        capitals += usize::from(character.is_uppercase());
        code += usize::from(CODE_MARKS.contains(&character));
    }
    let words = || sentence.split_whitespace();
    let capitalised = words().filter(|word| word.trim_start_matches(OPENING).starts_with(char::is_uppercase)).count();
    letters * 100 >= all * MIN_LETTERS_PERCENT
        && capitals * 100 <= letters * MAX_CAPITALS_PERCENT
        && capitalised * 100 <= words().count().max(2) * MAX_CAPITALS_PERCENT
        && code * CHARACTERS_PER_CODE_MARK <= all
}

fn is_dependent(sentence: &str) -> bool {
    let first = without_opening(sentence).split(|character: char| !character.is_alphabetic()).next();
    first.is_some_and(|first| REFERRING.contains(&fold(first).as_str()))
}
