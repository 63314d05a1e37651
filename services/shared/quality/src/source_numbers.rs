//! The numbers of a source, for a writer who may use no others.
//!
//! The writer asks before each word, and is answered by the code of the check
//! `unsupported_numbers`: what [`SourceNumbers::support`] accepts, that check accepts too.

use crate::lexicon;
use crate::numbers;
use crate::source::Source;
use crate::spelling::{PlainTexts, plain};
use crate::text::Text;
use crate::{Input, text};

/// The numbers of one source, read once.
pub struct SourceNumbers {
    source: Source,
}

impl SourceNumbers {
    /// Reads a source.
    pub fn read(source: &str) -> Self {
        let texts = PlainTexts::of(&Input { source, ..Input::default() });
        let context: Vec<&str> = texts.context.iter().map(|text| &**text).collect();
        Self { source: Source::read(&texts.source, &context) }
    }

    /// Whether the source supports every number that this piece of an answer mentions in digits,
    /// its unit and the month beside it included. Numbers in words are not read.
    pub fn support(&self, piece: &str) -> bool {
        numbers::supports_digits(&self.source, &Text::read(&plain(piece)))
    }

    /// Whether the source has this whole number, in digits, in words or as a Roman numeral.
    pub fn has(&self, value: u64) -> bool {
        self.source.numbers.has_integer(value)
    }
}

impl std::fmt::Debug for SourceNumbers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SourceNumbers").finish_non_exhaustive()
    }
}

/// The words beside a number that decide whether it is supported, folded: units, scales, months.
pub fn unit_words() -> impl Iterator<Item = &'static str> {
    let months = lexicon::ALL.iter().flat_map(|lexicon| lexicon.months.iter()).flat_map(|names| names.iter().copied());
    numbers::unit_words().chain(months).chain(["cent"])
}

/// Whether a folded word between or beside numbers may make the next number or unit part of the
/// one before it: a month, a currency's code, `per`, and words such as `calendar`.
pub fn is_unit_link(folded: &str) -> bool {
    numbers::month(folded).is_some()
        || matches!(folded, "usd" | "eur" | "gbp" | "chf" | "jpy")
        || lexicon::any(folded, |lexicon| lexicon.qualifiers)
        || lexicon::ALL.iter().any(|lexicon| lexicon.per == folded)
}

/// Whether a character is of a script that sets no spaces between words.
pub fn is_unspaced(character: char) -> bool {
    text::is_unspaced(character)
}

/// Whether the full stop behind this text belongs to its last word: `Dr`, `e.g`.
pub fn ends_abbreviated(text: &str) -> bool {
    let text = Text::read(text);
    text.len().checked_sub(1).is_some_and(|last| text::is_abbreviation(text.word(last)))
}

#[cfg(test)]
mod tests;
