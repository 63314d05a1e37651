//! The names of a source, for a writer who may use no others.
//!
//! A word with a capital inside a sentence must be one of the source's words, in the spelling of
//! the source or with a capital first letter. Titles, days, months and function words are allowed
//! beside these. The rule is stricter than the check `unsupported_names`, which also accepts
//! `Italian` for `Italy` and the initials of a name: a writer can do without them.

use std::collections::HashSet;

use whatlang::Lang;

use crate::names;
use crate::spelling::plain;
use crate::text::{Boundary, Text};
use crate::{Thresholds, language};

/// Words of a source that are kept, with two spellings each at most; an answer cannot use those
/// after them as names.
const MAX_WORDS: usize = 65_536;
/// Bytes of the longest word that is kept: longer ones are no names.
const MAX_WORD_BYTES: usize = 64;

/// The words that may have a capital inside a sentence, in ascending order.
pub struct SourceNames {
    spellings: Vec<Box<str>>,
}

impl SourceNames {
    /// Reads a source. `None`: in its language every noun has a capital, so capitals tell nothing.
    pub fn read(source: &str) -> Option<Self> {
        let source = plain(source);
        if language::confident(&source, &Thresholds::default()) == Some(Lang::Deu) {
            return None;
        }
        let text = Text::read(&source);
        let mut words: HashSet<&str> = HashSet::new();
        for index in 0..text.len() {
            let word = text.word(index);
            if word.len() <= MAX_WORD_BYTES && words.len() < MAX_WORDS && word.starts_with(char::is_alphabetic) {
                words.insert(word);
            }
        }
        let general = names::general_words().filter(|word| word.len() > 1).map(capitalised);
        let own = words.iter().filter(|word| word.starts_with(char::is_uppercase)).map(|word| (*word).to_owned());
        let all: HashSet<String> = own.chain(words.iter().map(|word| capitalised(word))).chain(general).collect();
        let mut spellings: Vec<Box<str>> = all.into_iter().map(String::into_boxed_str).collect();
        spellings.sort_unstable();
        Some(Self { spellings })
    }

    /// Whether this word may stand inside a sentence, spelt so.
    pub fn has(&self, word: &str) -> bool {
        let trivial = word.chars().nth(1).is_none() || word.contains(char::is_numeric);
        trivial || self.spellings.binary_search_by(|known| (**known).cmp(word)).is_ok()
    }

    /// The words that begin so, in ascending order.
    pub fn beginning<'a>(&'a self, begun: &'a str) -> impl Iterator<Item = &'a str> {
        let from = self.spellings.partition_point(|known| **known < *begun);
        self.spellings[from..].iter().map(|known| &**known).take_while(move |known| known.starts_with(begun))
    }
}

impl std::fmt::Debug for SourceNames {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SourceNames").field("words", &self.spellings.len()).finish()
    }
}

/// Whether a capital at the end of this text would say nothing: a sentence, a line or a quotation
/// begins there.
pub fn opens_sentence(text: &str) -> bool {
    let opened = format!("{text}X");
    let text = Text::read(&opened);
    text.len().checked_sub(1).is_none_or(|last| text.boundary(last) != Boundary::None)
}

/// The word with a capital first letter and small ones behind it: `General` for `GENERAL`.
fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters.flat_map(char::to_lowercase)).collect()
}

#[cfg(test)]
mod tests;
