#![allow(clippy::unwrap_used)]

use super::*;

fn words(text: &str) -> Vec<&str> {
    let text = Text::read(text);
    (0..text.len()).map(|index| text.word(index)).collect()
}

#[test]
fn words_come_apart_at_the_same_places_however_they_are_joined() {
    assert_eq!(words("L’Oréal's Franco-American deal"), ["L", "Oréal", "s", "Franco", "American", "deal"]);
    assert_eq!(words("3 000,5 € (H1N1)"), ["3", "000", "5", "H1N1"]);
}

#[test]
fn marks_stay_with_their_letter_and_superscripts_do_not() {
    assert_eq!(words("e\u{301}tude Smith¹²"), ["e\u{301}tude", "Smith"]);
}

#[test]
fn scripts_without_spaces_give_one_word_a_character() {
    assert_eq!(words("東京2020"), ["東", "京", "2020"]);
}

/// Sentences end at marks and line ends, but not at abbreviations or decimal points.
#[test]
fn sentences_end_at_marks_and_lines() {
    let count = |text: &str| Text::read(text).sentences().len();
    assert_eq!(count("Dr. Smith came at 3.5 p.m. on Monday. He left."), 2);
    assert_eq!(count("Une phrase ! Une autre ? Oui."), 3);
    assert_eq!(count("- one\n- two"), 2);
    assert_eq!(count(""), 0);
}

#[test]
fn a_capital_is_explained_by_a_colon_or_a_quotation_mark() {
    let text = Text::read("He said: “Never” to Anna");
    let boundary = |word: &str| {
        let index = (0..text.len()).find(|index| text.word(*index) == word).unwrap();
        text.boundary(index)
    };
    assert_eq!(boundary("Never"), Boundary::Soft);
    assert_eq!(boundary("Anna"), Boundary::None);
}

#[test]
fn words_are_counted_as_people_count_them() {
    assert_eq!(count_words("L'accord — signé le 3 mai — vaut 12 €."), 7);
    assert_eq!(count_words("don't * stop"), 2);
    assert_eq!(count_words("東京は晴れ"), 5);
    assert_eq!(count_words(" \n"), 0);
}
