//! The words of the languages that the checks know, one file a language.
//!
//! All words are folded ([`crate::fold`]). A source is read in all languages at once, so a list
//! holds for every text; only number words are read in the summary's own language. To add a
//! language, write its file and name it in [`ALL`]. Particles and fraction words of languages that
//! have no file stand beside the functions that read them.

mod en;
mod fr;
#[cfg(test)]
mod tests;
mod unit;

use std::collections::HashSet;
use std::sync::LazyLock;

use whatlang::Lang;

pub(crate) use unit::Unit;

/// Every language, in the order in which a source's words are read.
pub(crate) static ALL: [&Lexicon; 2] = [&en::LEXICON, &fr::LEXICON];

/// The function words of each language, in the order of [`ALL`], to look up.
pub(crate) static FUNCTION_WORDS: LazyLock<[HashSet<&str>; ALL.len()]> =
    LazyLock::new(|| ALL.map(|lexicon| lexicon.function_words.split_ascii_whitespace().collect()));

/// The words of one language.
pub(crate) struct Lexicon {
    pub(crate) language: Lang,
    /// Words that add to a number: `seven`, `vingt`.
    pub(crate) numbers: &'static [(&'static str, u64)],
    /// Words that multiply what came before: `hundred`, `mille`.
    pub(crate) multipliers: &'static [(&'static str, u64)],
    /// Number words that mostly mean something else. Multipliers that are not here are scales,
    /// which are no numbers on their own: `millions of`.
    pub(crate) doubtful: &'static [&'static str],
    /// Words of a source that give a number without being one: `twice`, `douzaine`.
    pub(crate) hints: &'static [(&'static str, u64)],
    /// The word between the last two words of a number or a series.
    pub(crate) and: &'static str,
    /// Words between numbers that share a unit, beside signs, not folded: `10 to 20 %`.
    pub(crate) series: &'static [&'static str],
    /// Names and abbreviations of the months, January first.
    pub(crate) months: [&'static [&'static str]; 12],
    /// Scale words and their powers of ten: `million` is 6.
    pub(crate) scales: &'static [(&'static str, i32)],
    /// Words of units, beside the signs that all languages share.
    pub(crate) units: &'static [(Unit, &'static [&'static str])],
    /// The word before `cent` in two words for a percentage.
    pub(crate) per: &'static str,
    /// Words of fractions and their denominators: `quarter` is 4.
    pub(crate) fractions: &'static [(&'static str, u32)],
    /// Letters behind the digits of an ordinal: `2nd`.
    pub(crate) ordinal_endings: &'static [&'static str],
    /// Words before the number of a chapter or a step: `Article 3: scope`.
    pub(crate) references: &'static [&'static str],
    /// Words between a number and its unit that change nothing: `30 calendar days`.
    pub(crate) qualifiers: &'static [&'static str],
    /// Words that make the number behind them approximate: `about`.
    pub(crate) hedges: &'static [&'static str],
    /// Words that may stand between a hedge and its number: `more than the 30`.
    pub(crate) hedge_links: &'static [&'static str],
    /// Articles, prepositions, conjunctions and pronouns, with spaces between them.
    pub(crate) function_words: &'static str,
    /// Words that join the capitalised words of one name: `Court of Justice`.
    pub(crate) connectors: &'static [&'static str],
    /// Words that are capitalised without being a name of anything, with spaces between them:
    /// titles, parts of documents, days.
    pub(crate) generic: &'static str,
    /// Endings that make other words of a name: inhabitants, languages, plurals.
    pub(crate) name_endings: &'static [&'static str],
    /// Words before which a hyphen at the end of a line stands for a part left out: `Vor- und`.
    pub(crate) conjunctions: &'static [&'static str],
    /// Words whose full stop does not end a sentence: `Dr. Smith`.
    pub(crate) abbreviations: &'static [&'static str],
    /// Phrases that an assistant says about its own task, apostrophes as spaces.
    pub(crate) refusals: &'static [&'static str],
}

/// Whether a list of any language has the word.
pub(crate) fn any(word: &str, list: fn(&Lexicon) -> &'static [&'static str]) -> bool {
    ALL.iter().any(|lexicon| list(lexicon).contains(&word))
}

/// Whether the word is any language's "and".
pub(crate) fn is_and(word: &str) -> bool {
    ALL.iter().any(|lexicon| lexicon.and == word)
}
