//! `unsupported_names`: whether every name and acronym of the summary is in the source.
//!
//! A name is a run of capitalised words: `Court of Justice`, `Jean-Paul Dubois`. Each of its words
//! must be in the source, whatever its case and diacritics; a word of the same stem will do
//! (`Italian` for `Italy`). An acronym is supported by successive words of the source with its
//! initials, and a name by its acronym in the source.
//!
//! A capital at the beginning of a sentence, of a line or after a colon says nothing. So such a
//! word is judged only if it has more capitals (`NATO`, `OpenAI`) or if another word of the same
//! name is missing. Headings, labels of parts of documents, titles, days and months are no names.
//! Texts in capitals, texts in languages that capitalise every noun, and translations are not
//! judged.
//!
//! The check misses a single plain name that stands only at the beginning of a sentence, and known
//! words combined to a new name.

mod forms;
mod known;

use crate::fold::fold;
use crate::language::Languages;
use crate::lexicon;
use crate::missing::Unsupported;
use crate::numbers::roman;
use crate::source::Source;
use crate::text::{Boundary, Text};
use crate::{Check, CheckName, Thresholds};

pub(crate) use forms::general_words;
use forms::{is_connector, is_function_word, is_generic, same, stem};
pub(crate) use known::KnownNames;
use known::is_capital;

pub(crate) fn check(source: &Source, summary: &Text<'_>, languages: Languages, thresholds: &Thresholds) -> Check {
    let undecided = if languages.differ() {
        Some("undecided: translated")
    } else if languages.capitalise_nouns() {
        Some("undecided: every noun has a capital")
    } else if is_in_capitals(summary) {
        Some("undecided: written in capitals")
    } else {
        None
    };
    if let Some(reason) = undecided {
        return Check::new(CheckName::UnsupportedNames, true, None, reason.to_owned());
    }
    let mut missing = Unsupported::default();
    for run in runs(summary) {
        if is_heading(summary, &run) || is_expansion(source, summary, &run) {
            continue;
        }
        for name in parts(summary, &run) {
            if let Some(name) = unsupported(source, summary, &name) {
                missing.add(name);
            }
        }
    }
    missing.report(CheckName::UnsupportedNames, thresholds.max_unsupported_names)
}

/// Indices of the words of one run of capitalised words, connectors included.
type Run = std::ops::Range<usize>;

fn runs(text: &Text<'_>) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if is_capital(text.word(at)) {
            let end = run_end(text, at);
            runs.push(at..end);
            at = end;
        } else {
            at += 1;
        }
    }
    runs
}

fn run_end(text: &Text<'_>, from: usize) -> usize {
    let mut end = from + 1;
    loop {
        let mut next = end;
        while next < text.len()
            && next < end + 2
            && is_joined(text, next)
            && !is_capital(text.word(next))
            && is_connector(&text.folded(next))
        {
            next += 1;
        }
        if next < text.len() && is_joined(text, next) && is_capital(text.word(next)) {
            end = next + 1;
        } else {
            return end;
        }
    }
}

fn is_joined(text: &Text<'_>, index: usize) -> bool {
    text.boundary(index) == Boundary::None && matches!(text.gap(index), " " | "-" | "'" | "." | ". " | " & " | "&")
}

/// The names in a run: `Marie and Pierre Curie` are two.
fn parts(text: &Text<'_>, run: &Run) -> Vec<Run> {
    let mut parts = Vec::new();
    let mut start = run.start;
    for index in run.clone() {
        if lexicon::is_and(text.word(index)) {
            parts.push(start..index);
            start = index + 1;
        }
    }
    parts.push(start..run.end);
    parts
}

/// The name, if the source does not have it.
fn unsupported<'a>(source: &Source, text: &Text<'a>, run: &Run) -> Option<&'a str> {
    let mut missing = false;
    let mut bounds: Option<(usize, usize)> = None;
    for index in run.clone() {
        let word = text.word(index);
        if !is_capital(word) {
            continue;
        }
        let folded = fold(word);
        let opens = text.boundary(index) != Boundary::None;
        if is_function_word(&folded) && opens {
            continue;
        }
        bounds = Some((bounds.map_or(index, |(first, _)| first), index));
        let judged = !opens || is_capitalised_inside(word);
        missing = missing || (judged && !is_supported(source, text, index, &folded));
    }
    let (first, last) = bounds.filter(|_| missing)?;
    Some(&text.raw[text.words[first].start..text.words[last].end])
}

/// Whether the source accounts for one capitalised word of the summary.
fn is_supported(source: &Source, text: &Text<'_>, index: usize, folded: &str) -> bool {
    let word = text.word(index);
    let trivial = folded.chars().count() < 2
        || folded.contains(|c: char| c.is_ascii_digit())
        || is_generic(folded)
        || is_function_word(folded)
        || roman(word).is_some();
    if trivial || source.has(folded) || source.has(stem(folded)) || source.names.has_stem(folded) {
        return true;
    }
    if same(folded).any(|other| source.has(other)) || is_part_of_known(source, text, index, folded) {
        return true;
    }
    if let Some(acronym) = acronym(word) {
        return source.has(&acronym) || source.names.spells(&acronym);
    }
    // `PowerPoint` for `Power Point`
    is_capitalised_inside(word) && humps(word).into_iter().all(|hump| source.has(&fold(hump)))
}

/// Whether the source has the word joined to its neighbour: `Brain-Bench` for `BrainBench`.
fn is_part_of_known(source: &Source, text: &Text<'_>, index: usize, folded: &str) -> bool {
    let before = index > 0 && text.gap(index) == "-" && source.has(&format!("{}{folded}", text.folded(index - 1)));
    before || (text.gap(index + 1) == "-" && source.has(&format!("{folded}{}", text.folded(index + 1))))
}

/// Whether the initials of a run are an acronym of the source: `World Health Organization` for
/// `WHO`.
fn is_expansion(source: &Source, text: &Text<'_>, run: &Run) -> bool {
    let (mut all, mut content) = (String::new(), String::new());
    for index in run.clone() {
        let folded = text.folded(index);
        let Some(first) = folded.chars().next() else {
            continue;
        };
        all.push(first);
        if !is_function_word(&folded) {
            content.push(first);
        }
    }
    [all, content].iter().any(|initials| initials.chars().count() >= 2 && source.has(initials))
}

/// A heading or the label of a point: a run that fills its line, or that opens it and ends in a
/// colon.
fn is_heading(text: &Text<'_>, run: &Run) -> bool {
    if text.boundary(run.start) < Boundary::Soft {
        return false;
    }
    let after = text.gap(run.end);
    if after.trim_start_matches([' ', '*', '_']).starts_with(':') {
        return true;
    }
    if text.boundary(run.start) != Boundary::Line {
        return false;
    }
    let marker = text.gap(run.start).rsplit('\n').next().unwrap_or_default();
    let listed = marker.trim_start().starts_with(['-', '•', '·']);
    let fills_line = run.end == text.len() || text.boundary(run.end) == Boundary::Line;
    let emphasised = marker.contains('#') || (marker.contains('*') && after.starts_with('*'));
    emphasised || (fills_line && !listed && !after.trim_start().starts_with(['.', '!', '?']))
}

/// Whether a word has a capital after its first letter, which its place in the sentence does not
/// explain: `NATO`, `OpenAI`.
fn is_capitalised_inside(word: &str) -> bool {
    word.chars().skip(1).any(char::is_uppercase)
}

/// The folded letters of an acronym, plural or not: `LLMs` is `llm`.
fn acronym(word: &str) -> Option<String> {
    let letters = word.strip_suffix('s').unwrap_or(word);
    let all_capital = letters.chars().count() >= 2 && letters.chars().all(char::is_uppercase);
    all_capital.then(|| fold(letters))
}

/// The words that are written together as one: `Power`, `Point`; `Open`, `AI`.
fn humps(word: &str) -> Vec<&str> {
    let mut humps = Vec::new();
    let (mut start, mut before) = (0, '\0');
    for (at, character) in word.char_indices() {
        if character.is_uppercase() && before.is_lowercase() {
            humps.push(&word[start..at]);
            start = at;
        }
        before = character;
    }
    humps.push(&word[start..]);
    humps
}

/// Whether most words are in capitals, so that capitals tell nothing.
fn is_in_capitals(text: &Text<'_>) -> bool {
    let (mut long, mut capital) = (0, 0);
    for index in 0..text.len() {
        let word = text.word(index);
        if word.chars().filter(|c| c.is_alphabetic()).count() >= 3 {
            long += 1;
            capital += usize::from(!word.chars().any(char::is_lowercase));
        }
    }
    long >= 6 && capital * 2 > long
}

#[cfg(test)]
mod tests;
