use std::collections::HashMap;
use std::fmt::Debug;

use super::{ALL, Lexicon};
use crate::fold::fold;

fn lists(lexicon: &'static Lexicon) -> Vec<&'static str> {
    let mut words: Vec<&str> = lexicon.function_words.split_whitespace().collect();
    words.extend(lexicon.generic.split_whitespace());
    for list in [
        lexicon.doubtful,
        lexicon.ordinal_endings,
        lexicon.references,
        lexicon.qualifiers,
        lexicon.hedges,
        lexicon.hedge_links,
        lexicon.connectors,
        lexicon.name_endings,
        lexicon.conjunctions,
        lexicon.abbreviations,
        lexicon.refusals,
    ] {
        words.extend(list);
    }
    words.extend(lexicon.numbers.iter().chain(lexicon.multipliers).chain(lexicon.hints).map(|(word, _)| *word));
    words.extend(lexicon.scales.iter().map(|(word, _)| *word));
    words.extend(lexicon.fractions.iter().map(|(word, _)| *word));
    words.extend(lexicon.months.iter().copied().flatten());
    words.extend(lexicon.units.iter().flat_map(|(_, words)| *words));
    words
}

/// Words are compared in folded form, so one that is not folded is never found.
#[test]
fn every_word_is_folded() {
    for lexicon in ALL {
        for word in lists(lexicon) {
            assert_eq!(fold(word), word, "{:?}", lexicon.language);
        }
    }
}

/// The lists of all languages are read as one, so a word may not have two meanings in them.
#[test]
fn a_word_means_the_same_in_every_language() {
    fn assert_unique<T: PartialEq + Debug>(words: impl Iterator<Item = (&'static str, T)>) {
        let mut known = HashMap::new();
        for (word, meaning) in words {
            let earlier = known.entry(word).or_insert_with(|| None);
            assert!(earlier.as_ref().is_none_or(|earlier| *earlier == meaning), "{word}: {earlier:?}, {meaning:?}");
            *earlier = Some(meaning);
        }
    }
    assert_unique(ALL.iter().flat_map(|lexicon| lexicon.hints.iter().copied()));
    assert_unique(ALL.iter().flat_map(|lexicon| lexicon.scales.iter().copied()));
    assert_unique(ALL.iter().flat_map(|lexicon| lexicon.fractions.iter().copied()));
    assert_unique(ALL.iter().flat_map(|lexicon| {
        (1..).zip(lexicon.months).flat_map(|(month, names)| names.iter().map(move |name| (*name, month)))
    }));
    assert_unique(
        ALL.iter()
            .flat_map(|lexicon| lexicon.units)
            .flat_map(|(unit, words)| words.iter().map(move |word| (*word, *unit))),
    );
}
