#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::sync::Arc;

use precis_quality::{CheckName, Input, Thresholds, check};
use proptest::prelude::*;

use super::runs::runs;
use super::{Numerals, TokenClasses};
use crate::text::detokenise::Detokeniser;

const END: u32 = 0;

/// Tokens that no digit is in.
const WORDS: [&str; 40] = [
    "Ġ",
    "a",
    "the",
    "Ġthe",
    "B",
    "CO",
    ".",
    ",",
    "-",
    "/",
    ":",
    "(",
    ")",
    "$",
    "%",
    "€",
    "Ċ",
    "ĊĊ",
    "th",
    "k",
    "m",
    "Ġdays",
    "Ġday",
    "Ġmonths",
    "Ġmon",
    "ths",
    "Ġpercent",
    "Ġmillion",
    "ĠMarch",
    "ĠApril",
    "Mar",
    "ch",
    "Ġcalendar",
    "Ġabout",
    "Ġto",
    "Ġand",
    "*",
    "'",
    "Ġin",
    "ns",
];

/// A vocabulary in the byte alphabet: an ending token, the words, and tokens with digits.
fn vocabulary(digits: &[String]) -> Arc<TokenClasses> {
    let texts: Vec<(&str, bool)> = [("", true)]
        .into_iter()
        .chain(WORDS.into_iter().chain(digits.iter().map(String::as_str)).map(|text| (text, false)))
        .collect();
    Arc::new(TokenClasses::new(Arc::new(Detokeniser::new(texts.into_iter())), vec![END]))
}

/// Digits alone, as `SmolLM2` and Qwen have them, and the bytes of Arabic ones.
fn single() -> Vec<String> {
    let arabic = ["Ù", "ł", "¡", "¢", "£"];
    (0..10).map(|digit: u32| digit.to_string()).chain(arabic.map(str::to_owned)).collect()
}

/// All runs of up to three digits, as Llama 3 has them.
fn triple() -> Vec<String> {
    let of = |width: usize| (0..10_usize.pow(width as u32)).map(move |number| format!("{number:0width$}"));
    of(1).chain(of(2)).chain(of(3)).collect()
}

/// Digits beside other characters, as older vocabularies have them.
fn mixed() -> Vec<String> {
    let more = [
        "Ġ2", "Ġ20", "20", "19", "Ġ2019", "Ġ1", "1.", "2)", "5%", ".5", "0)", "1st", "30k", "Ġ(1", ",0", "000", "Ġ000",
    ];
    single().into_iter().chain(more.map(str::to_owned)).collect()
}

fn numerals(source: &str, classes: &Arc<TokenClasses>) -> Numerals {
    Numerals::of(source, Arc::clone(classes))
}

/// Writes an answer of a model whose wishes are random, by the rule alone.
fn write(source: &str, classes: &Arc<TokenClasses>, mut seed: u64, tokens: usize) -> String {
    let numerals = numerals(source, classes);
    let vocabulary = classes.detokeniser.vocabulary() as u64;
    let mut answer = Vec::new();
    while answer.len() < tokens {
        let restriction = numerals.restriction(&answer);
        let except: HashSet<u32> = restriction.except.iter().copied().collect();
        let allows = |id: &u32| restriction.only.as_ref().is_none_or(|only| only.contains(id)) && !except.contains(id);
        let mut wish = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let id = (seed >> 33) % vocabulary;
            // Every other wish is a digit.
            if seed >> 63 == 1 {
                (WORDS.len() as u64 + 1 + id % (vocabulary - 1 - WORDS.len() as u64)) as u32
            } else {
                id as u32
            }
        };
        let chosen = (0..400).map(|_| wish()).find(allows).or_else(|| (0..vocabulary as u32).find(allows));
        let Some(chosen) = chosen else { panic!("nothing may follow {:?}", classes.detokeniser.text(&answer)) };
        if chosen == END {
            break;
        }
        answer.push(chosen);
    }
    let kept = &answer[..numerals.whole(&answer)];
    classes.detokeniser.text(&kept[..numerals.supported(kept)])
}

/// What the check `unsupported_numbers` says of an answer.
fn complaint(source: &str, summary: &str) -> Option<String> {
    let checks = check(&Input { source, summary, ..Input::default() }, &Thresholds::default());
    let numbers = checks.into_iter().find(|check| check.name == CheckName::UnsupportedNumbers.as_str()).unwrap();
    (!numbers.passed).then_some(numbers.detail)
}

/// The digits of a text's numerals without the marks between them.
fn bare(text: &str) -> String {
    let digit = |c: char| match c {
        '٠'..='٩' => char::from_digit(u32::from(c) - u32::from('٠'), 10),
        _ => Some(c).filter(char::is_ascii_digit),
    };
    text.chars().filter_map(digit).collect()
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[1-9][0-9]{0,4}".prop_map(|number| format!(" {number} items.")),
        "[1-9][0-9]{0,2},[0-9]{3}".prop_map(|number| format!(" the $ {number} paid")),
        "[1-9][0-9]{0,1} [0-9]{3}".prop_map(|number| format!(" about {number} euros")),
        "[0-9]{1,2}\\.[0-9]{1,2}".prop_map(|number| format!(" of {number} % and")),
        "[1-9][0-9]?".prop_map(|number| format!(" for {number} days,")),
        "[1-9][0-9]?".prop_map(|number| format!(" or {number} calendar months")),
        "(1[0-9]|2[0-8]) (March|April) 20[0-3][0-9]".prop_map(|date| format!(" on {date}")),
        "20[0-3][0-9]-(0[1-9]|1[0-2])-(0[1-9]|1[0-9])".prop_map(|date| format!(" ({date})")),
        "[1-9]\\.[1-9]\\.[1-9]".prop_map(|section| format!("\n{section} Scope")),
        "B[1-9][0-9]?".prop_map(|name| format!(" vitamin {name}")),
        Just(" twenty of them".to_owned()),
        "[٠١٢٣]{1,3}".prop_map(|number| format!(" في {number}")),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| format!("The text{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever a model would like to write, its answer holds no number that the source has not,
    /// and passes the check.
    #[test]
    fn no_answer_holds_a_number_of_its_own(source in pieces(), seed in any::<u64>(), which in 0..3_usize) {
        let classes = vocabulary(&[single, triple, mixed][which]());
        let summary = write(&source, &classes, seed, 60);
        prop_assert_eq!(complaint(&source, &summary), None, "{}", summary);
        let known: Vec<String> = runs(&source).map(|run| bare(run.text(&source))).collect();
        for run in runs(&summary) {
            let digits = bare(run.text(&summary));
            let line = summary[..run.start].rsplit('\n').next().unwrap().trim_start_matches([' ', '*', '\t']);
            let item = line.is_empty() && digits.len() <= 2;
            let spelled = digits == "20" && source.contains("twenty");
            let part = |known: &String| known.contains(&digits);
            prop_assert!(digits.is_empty() || item || spelled || known.iter().any(part), "{} of {}", digits, summary);
        }
    }
}

/// A unit of two words, each of which may stand there, makes the number another one.
#[test]
fn an_answer_is_cut_before_a_unit_that_its_source_has_not() {
    let classes = vocabulary(&single());
    let numerals = numerals("They paid 4,020 euros, about 20 million.", &classes);
    let ids = |text: &str| text.split('|').map(|piece| classes.of_bytes(piece.as_bytes()).unwrap()).collect::<Vec<_>>();
    let whole = ids(" |2|0| million");
    assert_eq!(numerals.supported(&whole), whole.len());
    let changed = ids(" |2|0| million| percent");
    assert_eq!(numerals.supported(&changed), whole.len());
}

/// The ids that may follow a text, as texts.
fn followers(source: &str, digits: &[String], text: &str) -> HashSet<String> {
    let classes = vocabulary(digits);
    let ids: Vec<u32> = text
        .split('|')
        .filter(|piece| !piece.is_empty())
        .map(|piece| classes.of_bytes(piece.as_bytes()).unwrap())
        .collect();
    let restriction = numerals(source, &classes).restriction(&ids);
    let all = restriction.only.clone().unwrap_or_else(|| (0..classes.detokeniser.vocabulary() as u32).collect());
    all.into_iter().filter(|id| !restriction.except.contains(id)).map(|id| classes.detokeniser.text(&[id])).collect()
}

fn digits_after(source: &str, text: &str) -> String {
    let mut digits: Vec<String> = followers(source, &single(), text)
        .into_iter()
        .filter(|text| text.contains(|c: char| c.is_ascii_digit()))
        .collect();
    digits.sort();
    digits.concat()
}

#[test]
fn a_numeral_goes_on_only_as_one_of_the_source() {
    let source = "In 2019 it had 20 members and 3.5 % of 1,200 votes.";
    assert_eq!(digits_after(source, " the|"), "");
    assert_eq!(digits_after(source, " the| |"), "123");
    assert_eq!(digits_after(source, " |2|"), "0");
    assert_eq!(digits_after(source, " |2|0|"), "1");
    assert_eq!(digits_after(source, " |2|0|1|"), "9");
    assert_eq!(digits_after(source, " |3|.|"), "5");
    assert_eq!(digits_after(source, " |1|,|"), "2");
}

/// A beginning of a numeral is not left as it is, and the answer does not end with it.
#[test]
fn a_numeral_does_not_end_before_it_is_whole() {
    let source = "In 2019 there were 20.";
    assert_eq!(followers(source, &single(), " |2|0|1|"), HashSet::from(["9".to_owned()]));
    let whole = followers(source, &single(), " |2|0|");
    assert!(whole.contains(" the") && whole.contains(".") && !whole.contains("th") && !whole.contains("k"));
    let classes = vocabulary(&single());
    let ids: Vec<u32> = [" the", " ", "2", "0", "1"].map(|text| classes.of_bytes(text.as_bytes()).unwrap()).to_vec();
    let numerals = numerals(source, &classes);
    assert_eq!(numerals.whole(&ids), 4);
    assert_eq!(numerals.whole(&ids[..2]), 2);
}

/// A number keeps its unit and its sign.
#[test]
fn a_unit_that_makes_another_number_is_refused() {
    let source = "Payment within 30 days, at 5 %, of $700, in March.";
    let after = followers(source, &single(), " |3|0|");
    assert!(after.contains(" days") && !after.contains(" months") && !after.contains("%"));
    assert!(!followers(source, &single(), " |3|0| mon|").contains("ths"));
    assert!(!followers(source, &single(), " |3|0| calendar|").contains(" months"));
    assert_eq!(digits_after(source, " |$|"), "7");
    let after = followers(source, &single(), " |5|");
    assert!(after.contains("%") && after.contains(" March") && !after.contains(" April") && !after.contains(" days"));
}

/// `2 000` is not in a source that has `1 000` and 2.
#[test]
fn groups_of_digits_are_not_put_together_anew() {
    let source = "Of 1 000 votes 2 were void.";
    assert_eq!(digits_after(source, " |1| |"), "012");
    assert!(!digits_after(source, " |2| |").contains('0'));
}

#[test]
fn lists_are_numbered_and_nothing_else_is() {
    let source = "No number at all.";
    assert_eq!(digits_after(source, ""), "1");
    assert_eq!(followers(source, &single(), "1|"), HashSet::from([".".to_owned(), ")".to_owned()]));
    assert!(
        followers(source, &single(), "1|.|")
            .iter()
            .all(|text| text.is_empty() || text.starts_with(char::is_whitespace))
    );
    assert_eq!(digits_after(source, "1|.| the|\n|"), "2");
    assert_eq!(digits_after(source, "1|.| the|"), "");
    assert_eq!(digits_after(source, " April|\n|"), "");
}

#[test]
fn digits_of_other_scripts_are_digits() {
    let classes = vocabulary(&single());
    let arabic = |source: &str| write(source, &classes, 7, 400).contains(|c: char| c.is_numeric() && !c.is_ascii());
    assert!(!arabic("The text has no number."));
}

/// Both tables of thousands and words and Roman numerals give their digits.
#[test]
fn stated_derivations_are_allowed() {
    let classes = vocabulary(&single());
    let numerals = numerals("1,200 men, chapter XIV, three ships, 45000 guns, 12/03/2021, 30km", &classes);
    for derived in ["1200", "14", "3", "45,000", "2021", "30", "12/03/2021", "30km"] {
        assert!(numerals.has(derived), "{derived}");
    }
    for invented in ["1", "200", "15", "4", "3.5", "03/2021", "1300"] {
        assert!(!numerals.has(invented), "{invented}");
    }
}
