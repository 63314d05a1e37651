//! What the source says about names beyond its vocabulary: stems and initials.

use std::collections::HashSet;

use super::lexicon::{is_function_word, stem};
use crate::text::{Boundary, Text};

/// Stems and initials of the source.
#[derive(Default)]
pub(crate) struct Known {
    stems: HashSet<String>,
    /// First letters of the words in order, spaces between sentences: `the world health organization` is `twho`.
    initials: String,
    /// The same without function words.
    content: String,
    /// The same of capitalised words, spaces where others stand between.
    capitals: String,
}

impl Known {
    /// Adds a word of the source.
    pub(crate) fn read(&mut self, text: &Text<'_>, index: usize, folded: &str) {
        if text.boundary(index) >= Boundary::Sentence {
            self.end_text();
        }
        self.stems.insert(stem(folded).to_owned());
        let Some(first) = folded.chars().next().filter(|c| c.is_alphabetic()) else {
            return;
        };
        self.initials.push(first);
        if is_function_word(folded) {
            return;
        }
        self.content.push(first);
        if is_capital(text.word(index)) {
            self.capitals.push(first);
        } else {
            self.capitals.push(' ');
        }
    }

    /// Ends a sentence: initials do not reach across.
    pub(crate) fn end_text(&mut self) {
        for initials in [&mut self.initials, &mut self.content, &mut self.capitals] {
            initials.push(' ');
        }
    }

    /// Whether the source has a word of the same stem: `Italian` for `Italy`.
    pub(super) fn has_stem(&self, folded: &str) -> bool {
        self.stems.contains(folded) || self.stems.contains(stem(folded))
    }

    /// Whether successive words of the source begin with these letters. Two letters are found anywhere, so they need capitals.
    pub(super) fn spells(&self, acronym: &str) -> bool {
        if self.capitals.contains(acronym) {
            return true;
        }
        acronym.len() > 2 && (self.content.contains(acronym) || self.initials.contains(acronym))
    }
}

/// Whether a word begins with a capital letter.
pub(super) fn is_capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}
