//! The tokens that the rules of decoding look for, found once for a tokenizer.

use std::sync::Arc;

use crate::text::detokenise::{Detokeniser, text_of};

/// The tokens of a vocabulary by what they begin with and what they hold.
#[derive(Debug)]
pub(crate) struct TokenClasses {
    /// The bytes of every token.
    pub(crate) detokeniser: Arc<Detokeniser>,
    /// Ids that end an answer.
    pub(crate) endings: Vec<u32>,
    /// Tokens that hold a numeric character or may complete one: those that begin within a
    /// character.
    pub(crate) numeric: Vec<u32>,
    /// Tokens that begin with a letter.
    pub(crate) letters: Vec<u32>,
    /// Of these, the tokens with a capital in the word that they begin with.
    pub(crate) capital_letters: Vec<u32>,
    /// Tokens whose first word has a capital first letter.
    pub(crate) capitals: Vec<u32>,
    /// Tokens that begin with anything but white space.
    pub(crate) solid: Vec<u32>,
    /// Tokens that are a unit, a month or the sign of a unit, or hold one behind white space.
    pub(crate) units: Vec<u32>,
    /// Tokens with the end of a line.
    pub(crate) line_ends: Vec<u32>,
    /// The ids of all tokens with text, ordered by their bytes.
    by_bytes: Vec<u32>,
}

impl TokenClasses {
    pub(crate) fn new(detokeniser: Arc<Detokeniser>, endings: Vec<u32>) -> Self {
        let mut words: Vec<&str> = precis_quality::unit_words().collect();
        words.sort_unstable();
        let mut classes = Self {
            endings,
            numeric: Vec::new(),
            letters: Vec::new(),
            capital_letters: Vec::new(),
            capitals: Vec::new(),
            solid: Vec::new(),
            units: Vec::new(),
            line_ends: Vec::new(),
            by_bytes: Vec::new(),
            detokeniser,
        };
        for id in 0..classes.detokeniser.vocabulary() as u32 {
            let detokeniser = Arc::clone(&classes.detokeniser);
            classes.take(id, detokeniser.bytes(id), &words);
        }
        let bytes = |id: &u32| classes.detokeniser.bytes(*id);
        classes.by_bytes.sort_by(|left, right| bytes(left).cmp(bytes(right)).then(left.cmp(right)));
        classes
    }

    fn take(&mut self, id: u32, bytes: &[u8], words: &[&str]) {
        let Some(first) = bytes.first() else { return };
        self.by_bytes.push(id);
        let text = text_of(bytes);
        let begins_within = first & 0xC0 == 0x80;
        if begins_within || text.contains(char::is_numeric) {
            self.numeric.push(id);
        }
        if text.starts_with(char::is_alphabetic) {
            self.letters.push(id);
            if text.chars().take_while(|c| c.is_alphanumeric()).any(char::is_uppercase) {
                self.capital_letters.push(id);
            }
        }
        if text.trim_start_matches(|c: char| !c.is_alphanumeric()).starts_with(char::is_uppercase) {
            self.capitals.push(id);
        }
        if !text.starts_with(char::is_whitespace) {
            self.solid.push(id);
        }
        if bytes.contains(&b'\n') {
            self.line_ends.push(id);
        }
        let word = text.trim_start_matches([' ', '-', '\u{a0}']).to_lowercase();
        if words.binary_search(&word.as_str()).is_ok() || text.contains(['%', '$', '€', '£', '¥', '°', '٪']) {
            self.units.push(id);
        }
    }

    /// The token with exactly these bytes; the first if there are several.
    pub(crate) fn of_bytes(&self, wanted: &[u8]) -> Option<u32> {
        let at = self.by_bytes.partition_point(|id| self.detokeniser.bytes(*id) < wanted);
        self.by_bytes.get(at).copied().filter(|id| self.detokeniser.bytes(*id) == wanted)
    }
}
