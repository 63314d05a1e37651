//! Kinds and forms of words that the search for names knows.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::lexicon;

/// Particles of names in languages that have no lexicon.
const PARTICLES: &[&str] = &["van", "von", "der", "den", "del", "di", "da", "y"];
/// Articles and conjunctions of those languages.
const OTHER_FUNCTION_WORDS: &[&str] = &["dos", "las", "los", "el", "e"];

/// Articles, prepositions, conjunctions and pronouns: part of a name only between its words.
pub(super) fn is_function_word(folded: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        let words = lexicon::ALL.iter().flat_map(|lexicon| lexicon.function_words.split_whitespace());
        words.chain(PARTICLES.iter().copied()).chain(OTHER_FUNCTION_WORDS.iter().copied()).collect()
    });
    WORDS.contains(folded)
}

/// Words that join the capitalised words of one name.
pub(super) fn is_connector(folded: &str) -> bool {
    PARTICLES.contains(&folded) || lexicon::any(folded, |lexicon| lexicon.connectors)
}

/// Words that are capitalised without being a name of anything: titles, parts of documents, days.
pub(super) fn is_generic(folded: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> =
        LazyLock::new(|| lexicon::ALL.iter().flat_map(|lexicon| lexicon.generic.split_whitespace()).collect());
    WORDS.contains(folded) || crate::numbers::month(folded).is_some()
}

/// Words that may have a capital in any text, folded: function words, titles, days, months.
pub(crate) fn general_words() -> impl Iterator<Item = &'static str> {
    let of = |lexicon: &'static lexicon::Lexicon| {
        let words = lexicon.function_words.split_whitespace().chain(lexicon.generic.split_whitespace());
        words.chain(lexicon.months.iter().flat_map(|names| names.iter().copied()))
    };
    lexicon::ALL.iter().copied().flat_map(of)
}

/// Names of one place or people that share no stem. Each supports the others of its group.
const SAME_NAMES: &[&[&str]] = &[
    &["france", "french", "francais", "francaise", "francaises"],
    &["britain", "british", "uk", "britannique", "britanniques"],
    &["us", "usa", "america", "american", "americans", "americain", "americaine", "americains"],
    &["eu", "europe", "european", "europeen", "europeenne", "ue"],
    &["spain", "spanish", "espagne", "espagnol", "espagnole"],
    &["netherlands", "dutch", "holland", "neerlandais"],
    &["switzerland", "swiss", "suisse", "suisses"],
    &["greece", "greek", "greeks"],
    &["denmark", "danish", "danes"],
    &["poland", "polish", "poles"],
    &["wales", "welsh"],
    &["ireland", "irish"],
    &["england", "english"],
    &["norway", "norwegian"],
    &["belgium", "belgian", "belgique", "belge", "belges"],
    &["germany", "german", "germans", "allemagne", "allemand", "allemande"],
    &["turkey", "turkish", "turks"],
    &["mexico", "mexican", "mexique", "mexicain", "mexicaine"],
    &["russia", "russian", "russie", "russe", "russes"],
];

/// All names of the place or people that a folded word names.
pub(super) fn same(folded: &str) -> impl Iterator<Item = &'static str> {
    SAME_NAMES.iter().filter(move |group| group.contains(&folded)).flat_map(|group| group.iter().copied())
}

/// The endings of all languages, longest first.
static ENDINGS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut endings: Vec<_> = lexicon::ALL.iter().flat_map(|lexicon| lexicon.name_endings.iter().copied()).collect();
    endings.sort_by_key(|ending| std::cmp::Reverse(ending.len()));
    endings
});
/// Shortest stem, in characters.
const MIN_STEM_CHARS: usize = 4;

/// The word without its longest known ending.
pub(super) fn stem(folded: &str) -> &str {
    ENDINGS
        .iter()
        .find_map(|ending| folded.strip_suffix(ending).filter(|stem| stem.chars().count() >= MIN_STEM_CHARS))
        .unwrap_or(folded)
}
