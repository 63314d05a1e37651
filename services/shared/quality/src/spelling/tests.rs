#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::*;

#[track_caller]
fn becomes(written: &str, expected: &str) {
    assert_eq!(plain(written), expected, "{written:?}");
}

#[track_caller]
fn stays(written: &str) {
    becomes(written, written);
    assert!(matches!(plain(written), Cow::Borrowed(_)), "{written:?} was copied");
}

/// Source and summary in plain spelling, each with the other's words as evidence.
fn both(source: &str, summary: &str) -> (String, String) {
    let plain = PlainTexts::of(&Input { source, summary, ..Input::default() });
    (plain.source.into_owned(), plain.summary.into_owned())
}

#[test]
fn what_cannot_be_seen_is_left_out() {
    becomes("Müller\u{ad}mann", "Müllermann");
    becomes("Sonnen\u{200b}berger", "Sonnenberger");
    becomes("\u{feff}Acme\u{2060}, \u{200e}in\u{200c}dex\u{200d}ed", "Acme, indexed");
    becomes("مح\u{640}\u{640}مد", "محمد");
}

#[test]
fn letters_and_digits_have_one_form() {
    becomes("ﬁnal ﬂoor, oﬃce, ｗｉｄｅ １９８４", "final floor, office, wide 1984");
    becomes("𝐁𝐨𝐥𝐝 ⓟⓛⓐⓝ ſo Ĳssel", "Bold plan so IJssel");
    becomes("Louis ⅩⅣ, World War Ⅱ, XIXᵉ, Mᵐᵉ", "Louis XIV, World War II, XIXe, Mme");
    becomes("e\u{301}tude, Zu\u{308}rich", "étude, Zürich");
    becomes("ｶﾞｽ", "ガス");
    becomes("5㎏, 120㎡, 20℃, №5, Nº5", "5 kg, 120 m2, 20°C, No 5, No 5");
}

/// Arabic, Persian, Devanagari, Bengali, Thai and mathematical digits, with the Arabic separators.
#[test]
fn digits_of_every_script_are_digits() {
    becomes("١٬٢٣٤٫٥ ۱۹۸۴ २०२४ ২০২৪ ๒๕๖๗ 𝟙𝟚 ٣٥٪", "1,234.5 1984 2024 2024 2567 12 35%");
    let digits = (0..0x11_0000).filter_map(char::from_u32).filter(|c| digits::ascii(*c).is_some());
    assert!(digits.clone().all(|c| c.is_numeric() || u32::from(c) >= 0x1_0d40), "no letter is a digit");
    assert_eq!(digits.count(), 750);
}

/// NFKC alone would say 102, Smith1, 21/2, `AcmeTM`, No5.
#[test]
fn compatibility_does_not_change_what_is_said() {
    for text in ["10² and 2⁻³", "Smith¹²", "x₀ = 2₂", "Acme™", "5 x 10⁶", "a´ and `code`"] {
        assert_eq!(plain(text).replace("x0", "x₀"), text);
    }
    becomes("2½ years, ¾, 10⅓%", "2 1/2 years, 3/4, 10 1/3%");
    becomes("5½0", "5 1/2 0");
    becomes("① Rent ⒉ Notice ⑶ ❹ 5\u{fe0f}\u{20e3}", "(1) Rent (2) Notice (3) (4) (5)");
    becomes("1㏠", "1 1日");
    becomes("\u{fdfa}", "\u{fdfa}");
}

#[test]
fn raised_and_lowered_digits_are_read_in_units_and_formulas() {
    becomes("120 m², 5m³, per km²", "120 m2, 5 m3, per km2");
    becomes("CO₂ and C₁₂H₂₂O₁₁", "CO2 and C12H22O11");
    stays("team², 10², 5cm²3");
}

#[test]
fn marks_have_one_form() {
    for quoted in ["\"Never\"", "“Never”", "„Never“", "»Never«", "«Never»", "＂Never＂"] {
        becomes(&format!("He said: {quoted}, (and {quoted}) to Anna"), "He said: “Never”, (and “Never”) to Anna");
    }
    becomes("dit «\u{a0}Jamais\u{202f}» à", "dit “ Jamais ” à");
    becomes("L’Oréal, O‘Neill, Hawaiʻi, l´an", "L'Oréal, O'Neill, Hawai'i, l'an");
    becomes("‘Never’, 'Never'", "‘Never', ‘Never'");
    becomes("Franco–American, 2019–2020, 2019—20, a‑b, −5", "Franco-American, 2019-2020, 2019-20, a-b, -5");
    becomes("one — two - three – four -- five−six", "one – two – three – four – five-six");
    becomes("one—two, one--two", "one—two, one—two");
    becomes("– point\n— point\n  - point", "- point\n- point\n  - point");
    stays("precis --help, a --- line");
    becomes("1\u{202f}234\u{a0}567", "1 234 567");
    becomes("Wait…", "Wait...");
}

#[test]
fn plain_text_is_not_copied() {
    stays("The tenant, Martin Dubois, pays 1,250.00 (4.5 %) a month; see well-known rules.");
    stays("L'été, 東京は晴れ。한국어 текст! Ünïcode");
}

#[test]
fn a_word_broken_at_the_end_of_a_line_is_one_word() {
    becomes("die Verwal-\ntung der Stadt", "die Verwaltung der Stadt");
    becomes(
        "die Verwal-  \r\n   tung, Verwal\u{ad}\ntung, Verwal¬\ntung, Verwal‐\ntung",
        &format!("die {}", ["Verwaltung"; 4].join(", ")),
    );
    becomes("Donau-\ndampf-\nschiff", "Donaudampfschiff");
}

#[test]
fn a_hyphen_of_the_words_own_stays() {
    becomes(
        "Jean-\nPaul, COVID-\n19, twenty-\nfive, Vor-\nund Nachteile",
        "Jean-Paul, COVID-\n19, twenty-five, Vor-und Nachteile",
    );
    becomes("a well-\nknown and well-known man", "a well-known and well-known man");
    stays("- one-\n- two\n\nlast-\n\nline");
}

/// Whichever of the two texts has the unbroken word tells what the broken one is.
#[test]
fn the_other_text_tells_whose_hyphen_it_is() {
    let text = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(both("a well-\nknown man", "well-known"), text("a well-known man", "well-known"));
    assert_eq!(both("a well-\nknown man", "well known"), text("a well-known man", "well known"));
    assert_eq!(both("well-known", "a well-\nknown man"), text("well-known", "a well-known man"));
    assert_eq!(both("Mc-\nDonald", "McDonald"), text("McDonald", "McDonald"));
    assert_eq!(both("Ver-\nwaltung", "Verwal-\ntung"), text("Verwaltung", "Verwaltung"));
}

/// Names and numbers of the source count in both readings.
#[test]
fn the_reading_not_chosen_becomes_context() {
    let plain = PlainTexts::of(&Input { source: "re-\nsign here", summary: "resign", ..Input::default() });
    assert_eq!((&*plain.source, &*plain.context), ("resign here", &[Cow::Borrowed("re-sign here")][..]));
}

#[test]
fn no_character_grows_without_bound() {
    for character in (0..0x11_0000).filter_map(char::from_u32) {
        for text in [character.to_string(), format!("1{character}1"), format!("a{character}a{character}")] {
            let grown = plain(&text).len();
            assert!(grown <= 5 * text.len(), "{text:?} grows to {grown} bytes");
        }
    }
}

/// Each of these would take minutes if any pass read a run again for each of its characters.
#[test]
fn long_runs_are_read_once() {
    for unit in [
        "-",
        "--\n",
        "\u{ad}\n",
        "a\u{ad} ",
        "x₁",
        "₁",
        "m²",
        "a-\n",
        "e\u{301}",
        "\u{301}",
        "½",
        "'",
        "\"",
        "1\u{20e3}",
        "- ",
        "-\t",
    ] {
        let text = unit.repeat(50_000);
        let input = Input { source: &text, summary: &text, ..Input::default() };
        assert!(PlainTexts::of(&input).source.len() <= 5 * text.len());
    }
}

proptest! {
    #[test]
    fn plain_spelling_is_plain(text in any::<String>(), marked in "[\"'’“„« –—a-c1½₂m\u{ad}\n\u{301}-]{0,30}") {
        for text in [text, marked] {
            let once = spell(&text).into_owned();
            prop_assert_eq!(spell(&once), once.as_str(), "of {:?}", text);
            let composed: String = once.nfc().collect();
            prop_assert_eq!(&composed, &once);
        }
    }
}
