//! Source and summary in other spellings: every check finds the same.

#![allow(clippy::unwrap_used)]

use precis_quality::{Check, Input, Thresholds, check, count_words, extraction, language_of};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

const SOURCE: &str = "Louis XIV's final office: Herr Müllermann of the Wertpapier desk and Frau Sonnenberger flew to Zürich on \
    12/03/2021. \"Never,\" said Anna O'Neill - the Franco-American firm L'Oréal paid 1,250.50 for 35 berths (4.5%) and 120 km2 of \
    land; CO2 fell by 2 1/2 tonnes in 2019-2020... Efficient flags of the well-known harbour were fixed in twenty-five days.";

const GOOD: &str = "Müllermann and Sonnenberger flew to Zürich on 12/03/2021, said O'Neill. The Franco-American firm L'Oréal paid \
    1,250.50 for 35 berths (4.5%) and 120 km2 - CO2 fell by 2 1/2 tonnes, in 2019-2020, said \"Anna O'Neill\" of the well-known \
    harbour in 25 days.";

/// What is planted, each in a sentence of its own.
const PLANTED: &str = " It was decided by Ottoline Quarrington for 7,391 euros.";

fn checks(source: &str, context: &[&str], summary: &str) -> Vec<Check> {
    let input = Input { source, context, summary, finish_reason: "stop", max_words: Some(60), ..Input::default() };
    check(&input, &Thresholds::default())
}

fn named<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap()
}

/// Where a word of text may be written otherwise.
const OTHERWISE: &[(&str, &[&str])] = &[
    ("\"Never,\"", &["“Never,”", "„Never,“", "«Never,»", "»Never,«", "«\u{a0}Never,\u{202f}»"]),
    ("\"Anna", &["“Anna", "«Anna", "＂Anna"]),
    ("ffi", &["ﬃ", "ﬀi", "fﬁ"]),
    ("fl", &["ﬂ"]),
    ("fi", &["ﬁ"]),
    ("XIV", &["ⅩⅣ", "ＸＩＶ", "Ⅹ\u{200b}Ⅳ"]),
    ("km2", &["km²", "㎢", "km\u{200d}²"]),
    ("CO2", &["CO₂", "ＣＯ₂"]),
    ("2 1/2", &["2½", "2\u{a0}½", "2\u{202f}1⁄2"]),
    ("...", &["…"]),
    (" - ", &[" – ", " — ", "\u{a0}– ", " -- ", " − "]),
    ("2019-2020", &["2019–2020", "２０１９−２０２０", "2019‑2020"]),
    ("-", &["‐", "‑", "－", "–"]),
    ("'", &["’", "ʼ", "＇"]),
    ("%", &["％", "٪", "﹪"]),
    ("/", &["⁄", "／"]),
    (" ", &["\u{a0}", "\u{202f}", "\u{2009}", "\u{3000}"]),
    (",", &["，"]),
    (".", &["．"]),
    ("(", &["（"]),
];

const INVISIBLE: &[char] = &['\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{fe0f}'];

/// The text with some of its words written otherwise, as the choices say.
fn respelt(text: &str, choices: &[u16], decomposed: bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut choices = choices.iter().copied().cycle();
    let mut next = || usize::from(choices.next().unwrap_or(0));
    while let Some(first) = rest.chars().next() {
        let (choice, which) = (next(), next());
        let found = OTHERWISE.iter().find(|(word, _)| rest.starts_with(word));
        let length = match found {
            Some((word, others)) if choice % 2 == 0 => {
                out.push_str(others[which % others.len()]);
                word.len()
            }
            _ => {
                out.push(if choice % 3 == 0 { other_character(first, which) } else { first });
                first.len_utf8()
            }
        };
        rest = &rest[length..];
        let inside = out.ends_with(char::is_alphanumeric) && rest.starts_with(char::is_alphanumeric);
        if inside && which % 4 == 0 {
            out.push(INVISIBLE[choice % INVISIBLE.len()]);
        }
    }
    if decomposed { out.nfd().collect() } else { out }
}

/// A letter or digit in another block.
fn other_character(character: char, which: usize) -> char {
    let at = |start: u32, from: char| char::from_u32(start + u32::from(character) - u32::from(from)).unwrap();
    match character {
        '0'..='9' => at([0xff10, 0x660, 0x6f0, 0x966, 0xe50, 0x1d7ce][which % 6], '0'),
        'A'..='Z' => at([0xff21, 0x1d400][which % 2], 'A'),
        'a'..='z' => at([0xff41, 0x1d41a][which % 2], 'a'),
        other => other,
    }
}

fn choices() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Verdicts, values and details: all are the same.
    #[test]
    fn every_check_finds_the_same_in_another_spelling(
        of_source in choices(), of_summary in choices(), of_context in choices(), decomposed in any::<[bool; 3]>(),
        cut in 0..SOURCE.len(), planted in any::<bool>()
    ) {
        let source = &SOURCE[..SOURCE.floor_char_boundary(cut)];
        let summary = if planted { format!("{GOOD}{PLANTED}") } else { GOOD.to_owned() };
        let other = respelt(&summary, &of_summary, decomposed[1]);
        let expected = checks(source, &[SOURCE], &summary);
        let found = checks(
            &respelt(source, &of_source, decomposed[0]), &[&respelt(SOURCE, &of_context, decomposed[2])], &other
        );
        prop_assert_eq!(found, expected, "{}", other);
        prop_assert_eq!(count_words(&other), count_words(&summary));
        prop_assert_eq!(extraction(SOURCE, &other), extraction(SOURCE, &summary));
        prop_assert_eq!(language_of(&other), language_of(&summary));
    }

    #[test]
    fn what_is_planted_is_found_in_any_spelling(of_source in choices(), of_summary in choices(), decomposed in any::<bool>()) {
        let source = respelt(SOURCE, &of_source, decomposed);
        let planted = respelt(&format!("{GOOD}{PLANTED}"), &of_summary, !decomposed);
        let found = checks(&source, &[], &planted);
        prop_assert_eq!(&*named(&found, "unsupported_numbers").detail, "not in the source: 7,391 euros");
        prop_assert_eq!(&*named(&found, "unsupported_names").detail, "not in the source: Ottoline Quarrington");
    }

    /// Words broken at the ends of lines, at other places in source and summary.
    #[test]
    fn broken_words_are_the_words(in_source in any::<u64>(), in_summary in any::<u64>(), planted in any::<bool>()) {
        let summary = if planted { format!("{GOOD}{PLANTED}") } else { GOOD.to_owned() };
        let expected = checks(SOURCE, &[], &summary);
        let found = checks(&broken(SOURCE, in_source), &[], &broken(&summary, in_summary));
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert_eq!(found.passed, expected.passed, "{}", found.name);
        }
        for name in ["unsupported_numbers", "unsupported_names"] {
            prop_assert_eq!(&named(&found, name).detail, &named(&expected, name).detail);
        }
    }
}

/// The text with some words broken where a typesetter breaks them.
fn broken(text: &str, places: u64) -> String {
    const BROKEN: [(&str, [&str; 2]); 10] = [
        ("Müllermann", ["Müller-\nmann", "Mül-\nlermann"]),
        ("Sonnenberger", ["Sonnen-\n  berger", "Sonnenber\u{ad}\nger"]),
        ("Wertpapier", ["Wert-\r\npapier", "Wertpa-\npier"]),
        ("Franco-American", ["Franco-\nAmerican", "Franco-Ameri-\ncan"]),
        ("well-known", ["well-\nknown", "well‐\nknown"]),
        ("twenty-five", ["twenty-\nfive", "twen-\nty-five"]),
        ("Zürich", ["Zü-\nrich", "Zü\u{ad}\nrich"]),
        ("tonnes", ["ton-\nnes", "ton¬\nnes"]),
        ("harbour", ["har-\nbour", "harb-\nour"]),
        ("Quarrington", ["Quar-\nrington", "Quarring-\nton"]),
    ];
    let mut text = text.to_owned();
    for (index, (word, breaks)) in BROKEN.into_iter().enumerate() {
        // Half of the words stay whole.
        if let Some(other) = breaks.get((places >> (2 * index) & 3) as usize) {
            text = text.replacen(word, other, 1);
        }
    }
    text
}

#[test]
fn true_summaries_of_respelt_documents_are_accepted() {
    for (source, summary) in [
        ("Herr Müller\u{ad}mann of the Wert\u{ad}papier office.", "It names Herr Müllermann of the Wertpapier office."),
        ("opened in １９８４ and has ３５ berths", "It opened in 1984 and has 35 berths."),
        ("افتتح الميناء عام ١٩٨٤", "The port opened in 1984."),
        ("a lease of 2½ years", "The lease runs 2.5 years, or 2 1/2 years."),
        ("half of the rent", "It is ½ of the rent."),
        ("2,5 Jahre", "Es sind 2½ Jahre."),
        ("120 m2 of land", "It has 120 m² of land."),
        ("less CO₂", "There is less CO2."),
        ("the Louis Ⅻ chair", "It is the Louis XII chair."),
        ("It took twenty-\nfive days.", "It took 25 days."),
        ("the harbour of Lind-\nvik", "It is the harbour of Lindvik."),
    ] {
        let found = checks(source, &[], summary);
        for name in ["unsupported_numbers", "unsupported_names"] {
            assert!(named(&found, name).passed, "{source} | {summary}: {:?}", named(&found, name));
        }
    }
}

#[test]
fn other_numbers_are_not_the_same_in_another_spelling() {
    for (source, summary, missing) in [
        ("a factor of 10²", "It is a factor of 102.", "102"),
        ("as Smith¹ says", "It cites Smith 1 time in 11 places.", "11"),
        ("a lease of 2½ years", "It runs 21 years.", "21 years"),
        ("a lease of 2½ years", "It runs 3½ years.", "3 1/2 years"),
        ("in １９８４", "It was in １９８９.", "1989"),
        ("٣٥ berths", "It has ٥٣ berths.", "53"),
        ("120 m² of land", "It has 130 m² of land.", "130"),
        ("less CO₂", "There is less CO₃.", "CO3"),
    ] {
        let found = checks(source, &[], summary);
        assert_eq!(named(&found, "unsupported_numbers").detail, format!("not in the source: {missing}"), "{summary}");
    }
}
