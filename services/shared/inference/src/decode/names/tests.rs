#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use precis_quality::{CheckName, Input, Thresholds, check};
use proptest::prelude::*;

use super::Names;
use crate::decode::tokens::TokenClasses;
use crate::step::Restriction;
use crate::text::detokenise::Detokeniser;

const SOURCE: &str = "The Debian project was founded by Ian Murdock, who wrote to the people of the GNU project. It \
    keeps the free software of many others, says the FAQ of NATO.";

/// Tokens after the ending one: whole words, pieces of words, single letters, and marks.
const TOKENS: [&str; 45] = [
    "ĠDebian",
    "ĠDeb",
    "ian",
    "ĠIan",
    "ĠMurdock",
    "ĠMur",
    "dock",
    "ĠM",
    "ur",
    "ĠNsl",
    "ĠN",
    "SL",
    "sl",
    "N",
    "A",
    "ATO",
    "TO",
    "O",
    "ĠNATO",
    "ĠGNU",
    "ĠG",
    "nu",
    "NU",
    "ĠFree",
    "Free",
    "Soft",
    "ware",
    "Ġthe",
    "Ġof",
    "Ġpeople",
    "Ġkeeps",
    "Ġwrote",
    "a",
    "s",
    ".",
    ",",
    "Ċ",
    "'",
    "(",
    "Ġ",
    ":",
    "ĠParis",
    "Qar",
    ".ĠNs",
    "ĊNs",
];

/// An ending token, the tokens, and every letter, so that each word can be spelt.
fn classes() -> Arc<TokenClasses> {
    let letters: Vec<String> = ('a'..='z').chain('A'..='Z').map(String::from).collect();
    let tokens = std::iter::once(("", true)).chain(TOKENS.iter().map(|text| (*text, false)));
    let tokens = tokens.chain(letters.iter().map(|letter| (letter.as_str(), false)));
    Arc::new(TokenClasses::new(Arc::new(Detokeniser::new(tokens)), vec![0]))
}

fn id(token: &str) -> u32 {
    1 + TOKENS.iter().position(|text| *text == token).unwrap() as u32
}

fn ids(tokens: &[&str]) -> Vec<u32> {
    tokens.iter().map(|token| id(token)).collect()
}

fn restriction(names: &Names, answer: &[u32]) -> Restriction {
    let mut restriction = Restriction::default();
    names.restrict(answer, &mut restriction);
    restriction
}

fn permits(names: &Names, answer: &[&str], token: &str) -> bool {
    let Restriction { only, except } = restriction(names, &ids(answer));
    only.is_none_or(|only| only.contains(&id(token))) && !except.contains(&id(token))
}

#[test]
fn a_name_inside_a_sentence_is_one_of_the_source() {
    let names = Names::of(SOURCE, classes()).unwrap();
    for (answer, token) in [
        (&["Ġthe"][..], "ĠDebian"),
        (&["Ġthe", "ĠDeb"], "ian"),
        (&["Ġthe", "ĠMur"], "dock"),
        (&["Ġthe", "ĠN"], "ATO"),
        (&["Ġthe", "ĠN", "A"], "TO"),
        (&["Ġthe", "ĠDebian"], "'"),
        (&["Ġthe"], "Ġpeople"),
        (&["Ġthe", "ĠFree"], "Ġof"),
        (&["Ġthe", "ĠFree"], "."),
    ] {
        assert!(permits(&names, answer, token), "{answer:?} {token}");
    }
    for (answer, token) in [
        (&["Ġthe"][..], "ĠNsl"),
        (&["Ġthe"], "ĠParis"),
        (&["Ġthe", "ĠN"], "sl"),
        (&["Ġthe", "ĠMur"], "Ġof"),
        (&["Ġthe", "ĠMur"], "."),
        (&["Ġthe", "ĠFree"], "Soft"),
        (&["Ġthe", "Ġ"], "Qar"),
        (&["Ġthe", "("], "Qar"),
    ] {
        assert!(!permits(&names, answer, token), "{answer:?} {token}");
    }
}

#[test]
fn a_capital_is_free_where_a_sentence_begins() {
    let names = Names::of(SOURCE, classes()).unwrap();
    for answer in [&[][..], &["Ġthe", "."], &["Ġthe", "Ċ"], &["Ġthe", ":", "Ġ"]] {
        assert!(permits(&names, answer, "ĠNsl"), "{answer:?}");
    }
    assert!(permits(&names, &["Ġthe"], "ĊNs"), "the token itself ends the line");
    assert!(!permits(&names, &["Ġthe", ".", "ĠN"], "SL"), "no other capital behind it");
    assert!(permits(&names, &["Ġthe", ".", "ĠN"], "ATO"), "but one of the source's");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// No answer that the rule lets through fails the check.
    #[test]
    fn every_permitted_answer_passes_the_check(picks in proptest::collection::vec(any::<prop::sample::Index>(), 4..40)) {
        let classes = classes();
        let names = Names::of(SOURCE, Arc::clone(&classes)).unwrap();
        let mut answer = Vec::new();
        for pick in &picks {
            let Restriction { only, except } = restriction(&names, &answer);
            let may = |id: &u32| only.as_ref().is_none_or(|only| only.contains(id)) && !except.contains(id);
            let allowed: Vec<u32> = (1..classes.detokeniser.vocabulary() as u32).filter(may).collect();
            prop_assert!(!allowed.is_empty(), "stuck behind {:?}", classes.detokeniser.text(&answer));
            answer.push(*pick.get(&allowed));
        }
        // A word that is begun is no word of the answer yet.
        while restriction(&names, &answer).only.is_some() {
            answer.pop();
        }
        let summary = classes.detokeniser.text(&answer);
        let input = Input { source: SOURCE, summary: &summary, finish_reason: "stop", ..Input::default() };
        let checks = check(&input, &Thresholds::default());
        let failed = checks.iter().find(|check| check.name == CheckName::UnsupportedNames.as_str() && !check.passed);
        prop_assert!(failed.is_none(), "{summary:?}: {failed:?}");
    }
}
