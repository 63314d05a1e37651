use super::*;

fn value(text: &str, reading: Reading) -> Option<(u64, usize)> {
    numbers(&Text::read(text), 0, reading).first().copied()
}

const ENGLISH: Reading = Reading::Strict(Some(Lang::Eng));
const FRENCH: Reading = Reading::Strict(Some(Lang::Fra));

#[test]
fn english_number_words() {
    for (text, expected) in [
        ("two", 2),
        ("twelve", 12),
        ("twenty-one", 21),
        ("ninety nine", 99),
        ("one hundred", 100),
        ("one hundred and five", 105),
        ("three thousand two hundred and ten", 3_210),
        ("two million", 2_000_000),
        ("nineteen", 19),
    ] {
        assert_eq!(value(text, ENGLISH).map(|found| found.0), Some(expected), "{text}");
    }
}

#[test]
fn french_number_words() {
    for (text, expected) in [
        ("deux", 2),
        ("douze", 12),
        ("dix-sept", 17),
        ("vingt et un", 21),
        ("soixante-dix", 70),
        ("soixante et onze", 71),
        ("quatre-vingts", 80),
        ("quatre-vingt-dix-neuf", 99),
        ("deux cents", 200),
        ("mille neuf cent quatre-vingt-quatre", 1_984),
        ("trois mille", 3_000),
        ("un million", 1_000_000),
    ] {
        assert_eq!(value(text, FRENCH).map(|found| found.0), Some(expected), "{text}");
    }
}

#[test]
fn a_number_ends_where_another_begins() {
    assert_eq!(value("two three", ENGLISH), Some((2, 1)));
    assert_eq!(value("two and three", ENGLISH), Some((2, 1)));
    assert_eq!(value("five. Six", ENGLISH), Some((5, 1)));
    assert_eq!(value("deux et trois", FRENCH), Some((2, 1)));
    assert_eq!(value("one hundred and the rest", ENGLISH), Some((100, 2)));
}

/// Words that mostly mean something else are not read as numbers in a summary.
#[test]
fn doubtful_words_are_no_numbers_of_a_summary() {
    for (text, reading) in [
        ("one of them", ENGLISH),
        ("un accord", FRENCH),
        ("neuf", FRENCH),
        ("million", ENGLISH),
        ("seize the day", ENGLISH),
        ("cent", ENGLISH),
        ("zwei", Reading::Strict(Some(Lang::Deu))),
        ("two", Reading::Strict(None)),
    ] {
        assert_eq!(value(text, reading), None, "{text}");
    }
    assert_eq!(value("one", Reading::Generous), Some((1, 1)));
    assert_eq!(value("seize", Reading::Generous), Some((16, 1)));
    assert_eq!(value("millions of", Reading::Generous), None);
}

#[test]
fn a_number_beyond_all_bounds_ends_early_instead_of_overflowing() {
    let long = "nine hundred trillion ".repeat(50);
    assert!(value(&long, Reading::Generous).is_some());
}
