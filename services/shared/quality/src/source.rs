//! The source, read once for all checks.

use std::collections::HashMap;

use crate::text::Text;
use crate::{names, numbers};

/// A word of the summary that the source does not have.
const UNKNOWN: u32 = u32::MAX;

/// The facts of the source that the checks look up.
pub(crate) struct Source {
    /// The source's words in order, as indices into the vocabulary.
    pub(crate) words: Vec<u32>,
    vocabulary: HashMap<String, u32>,
    /// Numbers and dates of source and context.
    pub(crate) numbers: numbers::KnownNumbers,
    /// Stems and initials of source and context.
    pub(crate) names: names::KnownNames,
}

impl Source {
    pub(crate) fn read(source: &str, context: &[&str]) -> Self {
        let mut all = Self {
            words: Vec::new(),
            vocabulary: HashMap::new(),
            numbers: numbers::KnownNumbers::default(),
            names: names::KnownNames::default(),
        };
        let text = Text::read(source);
        all.words = all.take(&text);
        for other in context {
            all.take(&Text::read(other));
        }
        all.numbers.finish();
        all
    }

    /// Adds a text to what is known; its words as indices.
    fn take(&mut self, text: &Text<'_>) -> Vec<u32> {
        self.numbers.read(text);
        let mut words = Vec::with_capacity(text.len());
        for index in 0..text.len() {
            let folded = text.folded(index);
            self.names.read(text, index, &folded);
            let next = u32::try_from(self.vocabulary.len()).unwrap_or(UNKNOWN - 1);
            let number = *self.vocabulary.entry(folded).or_insert(next);
            words.push(number);
        }
        self.names.end_text();
        words
    }

    /// Whether the source has the folded word.
    pub(crate) fn has(&self, folded: &str) -> bool {
        self.vocabulary.contains_key(folded)
    }

    /// The summary's words as indices into the source's vocabulary.
    pub(crate) fn folded_words(&self, summary: &Text<'_>) -> Vec<u32> {
        (0..summary.len())
            .map(|index| {
                let word = summary.folded(index);
                self.vocabulary.get(&word).copied().unwrap_or(UNKNOWN)
            })
            .collect()
    }
}
