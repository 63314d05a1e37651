//! The third pass: words broken at the end of a line.
//!
//! `Verwal-`, `tung` is `Verwaltung`, but `well-`, `known` is `well-known`: a hyphen at the end of
//! a line may be the break's or the word's own. The other occurrences in all the texts decide. If
//! the two halves stand beside each other elsewhere, they keep their hyphen; if they stand
//! elsewhere as one word, they lose it. If neither occurs, the hyphen is the break's, except before
//! a capital letter or a conjunction (`Vor-`, `und Nachteile`) and between the halves of a number
//! (`twenty-`, `five`).
//!
//! For the checks of names and numbers a source has both readings: the reading that was not chosen
//! becomes context.

use std::borrow::Cow;
use std::collections::HashSet;

use super::PlainTexts;
use super::characters::line_end;
use crate::fold::fold;
use crate::lexicon;
use crate::numbers::is_number_word;
use crate::text::Text;

/// Bytes of the longest half of a word that is read: no word is longer.
const MAX_HALF_BYTES: usize = 200;

/// Words of languages without a lexicon before which a hyphen stands for a part left out.
const OTHER_CONJUNCTIONS: [&str; 9] = ["und", "oder", "bis", "sowie", "bzw", "en", "of", "och", "y"];

/// A hyphen at the end of a line, within a word.
struct LineBreak {
    /// Byte of the hyphen.
    hyphen: usize,
    /// Byte of the letter with which the word goes on.
    resumes: usize,
    /// Byte of the word's first letter.
    start: usize,
    /// Byte behind its last letter.
    end: usize,
}

impl LineBreak {
    /// The halves of the word, folded.
    fn halves(&self, text: &str) -> (String, String) {
        (fold(&text[self.start..self.hyphen]), fold(&text[self.resumes..self.end]))
    }
}

/// Occurrences of the broken words elsewhere in the texts.
#[derive(Default)]
struct Evidence {
    wanted_pairs: HashSet<(String, String)>,
    wanted_words: HashSet<String>,
    pairs: HashSet<(String, String)>,
    words: HashSet<String>,
}

/// Mends the broken words of all texts, and adds the other reading of source and context to the
/// context.
pub(super) fn mend(plain: &mut PlainTexts<'_>) {
    let source = breaks(&plain.source);
    let context: Vec<Vec<LineBreak>> = plain.context.iter().map(|text| breaks(text)).collect();
    let summary = breaks(&plain.summary);
    let mut evidence = Evidence::default();
    evidence.want(&plain.source, &source);
    evidence.want(&plain.summary, &summary);
    for (text, found) in plain.context.iter().zip(&context) {
        evidence.want(text, found);
    }
    if evidence.wanted_words.is_empty() {
        return;
    }
    for text in plain.context.iter().chain([&plain.source, &plain.summary]) {
        evidence.read(text);
    }
    let mut others = Vec::new();
    mend_one(&mut plain.source, &source, &evidence, &mut others);
    for (text, breaks) in plain.context.iter_mut().zip(&context) {
        mend_one(text, breaks, &evidence, &mut others);
    }
    mend_one(&mut plain.summary, &summary, &evidence, &mut Vec::new());
    plain.context.extend(others.into_iter().map(Cow::Owned));
}

/// The text with its broken words mended, if it has any.
pub(super) fn mended_alone(text: &str) -> Option<String> {
    let breaks = breaks(text);
    if breaks.is_empty() {
        return None;
    }
    let mut evidence = Evidence::default();
    evidence.want(text, &breaks);
    evidence.read(text);
    Some(rewritten(text, &breaks, |found| evidence.keeps_hyphen(text, found)))
}

fn mend_one(text: &mut Cow<'_, str>, breaks: &[LineBreak], evidence: &Evidence, others: &mut Vec<String>) {
    if breaks.is_empty() {
        return;
    }
    let mended = rewritten(text, breaks, |found| evidence.keeps_hyphen(text, found));
    others.push(rewritten(text, breaks, |found| !evidence.keeps_hyphen(text, found)));
    *text = Cow::Owned(mended);
}

fn rewritten(text: &str, breaks: &[LineBreak], keeps_hyphen: impl Fn(&LineBreak) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for found in breaks {
        out.push_str(&text[from..found.hyphen]);
        if keeps_hyphen(found) {
            out.push('-');
        }
        from = found.resumes;
    }
    out.push_str(&text[from..]);
    out
}

fn breaks(text: &str) -> Vec<LineBreak> {
    let mut found = Vec::new();
    // Text recognition may write the sign of negation for a hyphen at the end of a line.
    for (hyphen, mark) in text.match_indices(['-', '¬']) {
        let Some(length) = line_end(&text[hyphen + mark.len()..]) else {
            continue;
        };
        let resumes = hyphen + mark.len() + length;
        let before = &text[text.ceil_char_boundary(hyphen.saturating_sub(MAX_HALF_BYTES))..hyphen];
        let after = &text[resumes..text.floor_char_boundary(resumes + MAX_HALF_BYTES)];
        let left = before.rfind(|c: char| !is_inside(c)).map_or(before, |at| {
            let end = before[at..].chars().next().map_or(0, char::len_utf8);
            &before[at + end..]
        });
        let right = after.find(|c: char| !is_inside(c)).map_or(after, |at| &after[..at]);
        let letters = |part: &str| part.contains(char::is_alphabetic) && !part.contains(char::is_numeric);
        if letters(left) && letters(right) {
            found.push(LineBreak { hyphen, resumes, start: hyphen - left.len(), end: resumes + right.len() });
        }
    }
    found
}

fn is_inside(character: char) -> bool {
    character.is_alphanumeric() || unicode_normalization::char::is_combining_mark(character)
}

impl Evidence {
    fn want(&mut self, text: &str, breaks: &[LineBreak]) {
        for found in breaks {
            let (left, right) = found.halves(text);
            self.wanted_words.insert(format!("{left}{right}"));
            self.wanted_pairs.insert((left, right));
        }
    }

    /// Records which of the wanted words and pairs a text has.
    fn read(&mut self, text: &str) {
        let text = Text::read(text);
        let mut before = String::new();
        for index in 0..text.len() {
            let word = text.folded(index);
            if self.wanted_words.contains(&word) {
                self.words.insert(word.clone());
            }
            if matches!(text.gap(index), "-" | " ") {
                let pair = (before, word);
                if self.wanted_pairs.contains(&pair) {
                    self.pairs.insert(pair.clone());
                }
                before = pair.1;
            } else {
                before = word;
            }
        }
    }

    fn keeps_hyphen(&self, text: &str, found: &LineBreak) -> bool {
        let halves = found.halves(text);
        if self.pairs.contains(&halves) {
            return true;
        }
        let (left, right) = halves;
        if self.words.contains(&format!("{left}{right}")) {
            return false;
        }
        text[found.resumes..].starts_with(char::is_uppercase)
            || OTHER_CONJUNCTIONS.contains(&right.as_str())
            || lexicon::any(&right, |lexicon| lexicon.conjunctions)
            || (is_number_word(&left) && is_number_word(&right))
    }
}
