//! What the source says about names, beside its vocabulary: stems and initials.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::forms::{is_function_word, stem};
use crate::text::{Boundary, Text};

/// Stems and initials of the source.
#[derive(Default)]
pub(crate) struct KnownNames {
    stems: HashSet<String>,
    /// First letters of the words in order, spaces between sentences:
    /// `the world health organization` is `twho`.
    initials: String,
    /// The initials without those of function words.
    content: String,
    /// The initials of capitalised words, with a space for every other word.
    capitals: String,
    /// Hashes of all acronyms that these letters spell, made at the first lookup.
    spelt: OnceCell<HashSet<u64>>,
}

/// Shortest acronym that words in lower case may spell: two letters are found anywhere.
const MIN_ACRONYM_CHARS: usize = 3;
/// Longest acronym that is recognised.
const MAX_ACRONYM_CHARS: usize = 8;
/// Bytes of initials that are kept, about one a word: each makes as many as nineteen acronyms,
/// which are all held at once. Of a longer text, the rest spells none.
const MAX_INITIALS_BYTES: usize = 512 * 1024;

impl KnownNames {
    /// Adds a word of the source.
    pub(crate) fn read(&mut self, text: &Text<'_>, index: usize, folded: &str) {
        if text.boundary(index) >= Boundary::Sentence {
            self.end_text();
        }
        self.stems.insert(stem(folded).to_owned());
        let Some(first) = folded.chars().next().filter(|c| c.is_alphabetic()) else {
            return;
        };
        if self.initials.len() >= MAX_INITIALS_BYTES {
            return;
        }
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
        if self.initials.len() >= MAX_INITIALS_BYTES {
            return;
        }
        for initials in [&mut self.initials, &mut self.content, &mut self.capitals] {
            initials.push(' ');
        }
    }

    /// Whether the source has a word of the same stem: `Italian` for `Italy`.
    pub(super) fn has_stem(&self, folded: &str) -> bool {
        self.stems.contains(folded) || self.stems.contains(stem(folded))
    }

    /// Whether successive words of the source begin with these letters.
    pub(super) fn spells(&self, acronym: &str) -> bool {
        let letters: Vec<char> = acronym.chars().collect();
        self.spelt.get_or_init(|| self.all_spelt()).contains(&hash(&letters))
    }

    fn all_spelt(&self) -> HashSet<u64> {
        let mut spelt = HashSet::new();
        for (initials, shortest) in
            [(&self.capitals, 2), (&self.content, MIN_ACRONYM_CHARS), (&self.initials, MIN_ACRONYM_CHARS)]
        {
            let letters: Vec<char> = initials.chars().collect();
            for length in shortest..=MAX_ACRONYM_CHARS {
                let within = letters.windows(length).filter(|letters| !letters.contains(&' '));
                spelt.extend(within.map(hash));
            }
        }
        spelt
    }
}

fn hash(letters: &[char]) -> u64 {
    let mut hasher = DefaultHasher::new();
    letters.hash(&mut hasher);
    hasher.finish()
}

/// Whether a word begins with a capital letter.
pub(super) fn is_capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}
