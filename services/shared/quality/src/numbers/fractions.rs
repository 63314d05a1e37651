//! Common fractions: `1/2`, `2 3/4`, and the words for them.
//!
//! In plain spelling `½` is `1/2`. A fraction is read as its value, or else as its two numbers
//! apart: `9/10` may be a date or a mark. So only small denominators are read, those of printed
//! fractions.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::literal::Literal;
use super::value::Value;
use crate::lexicon;
use crate::text::Text;

/// Denominators of words, in languages that have no lexicon: German, Spanish, Italian, Dutch and
/// Portuguese.
const OTHER_LANGUAGES: &[(u32, &[&str])] = &[
    (2, &["halb", "halbe", "halber", "halbes", "halben", "halbem", "halfte", "medio", "media", "mitad", "mezzo"]),
    (2, &["mezza", "meta", "helft", "metade"]),
    (3, &["drittel", "tercio", "tercios", "terzo", "terzi"]),
    (4, &["viertel", "cuarto", "cuartos", "quarto", "quarti"]),
    (5, &["funftel"]),
    (8, &["achtel"]),
];

static DENOMINATORS: LazyLock<HashMap<&'static str, u32>> = LazyLock::new(|| {
    let others = OTHER_LANGUAGES.iter().flat_map(|(denominator, words)| words.iter().map(|word| (*word, *denominator)));
    others.chain(lexicon::ALL.iter().flat_map(|lexicon| lexicon.fractions.iter().copied())).collect()
});

/// The fraction that begins at the word `at`, with a whole number before it if there is one.
pub(super) fn read(text: &Text<'_>, at: usize) -> Option<Literal> {
    if let Some((numerator, denominator)) = at_word(text, at) {
        let parts = [at, at + 1].map(|index| Value::new(text.word(index), "")).to_vec();
        let readings = vec![value("", numerator, denominator)];
        return Some(Literal { readings, parts, end: at + 2, suffix: String::new() });
    }
    let whole = text.word(at);
    let is_whole = whole.len() <= 3 && is_digits(whole) && !text.gap(at).ends_with(['/', '.', ',']);
    if !is_whole || at + 1 >= text.len() || text.gap(at + 1) != " " {
        return None;
    }
    let (numerator, denominator) = at_word(text, at + 1)?;
    let parts = vec![Value::new(whole, ""), value("", numerator, denominator)];
    let readings = vec![value(whole, numerator, denominator)];
    Some(Literal { readings, parts, end: at + 3, suffix: String::new() })
}

/// The values that a fraction word of a source may have: a quarter, or three of them.
pub(super) fn of_word(folded: &str) -> Vec<Value> {
    let Some(denominator) = DENOMINATORS.get(folded).copied() else {
        return Vec::new();
    };
    let numerators: &[u32] = match denominator {
        2 => &[1],
        3 => &[1, 2],
        4 => &[1, 3],
        8 => &[1, 3, 5, 7],
        _ => &[1, 2, 3, 4],
    };
    numerators.iter().map(|numerator| value("", *numerator, denominator)).collect()
}

/// Numerator and denominator, if they are the words `at` and `at + 1`.
fn at_word(text: &Text<'_>, at: usize) -> Option<(u32, u32)> {
    if at + 1 >= text.len()
        || text.gap(at + 1) != "/"
        || text.gap(at).ends_with('/')
        || text.gap(at + 2).starts_with('/')
    {
        return None;
    }
    let [numerator, denominator] = [at, at + 1].map(|index| small(text.word(index)));
    let (numerator, denominator) = (numerator?, denominator?);
    (numerator < denominator && matches!(denominator, 2..=10 | 12 | 16)).then_some((numerator, denominator))
}

/// A whole number and a proper fraction as a decimal number of six digits.
fn value(whole: &str, numerator: u32, denominator: u32) -> Value {
    let millionths = (1_000_000 * numerator + denominator / 2) / denominator;
    Value::new(whole, format!("{millionths:06}").trim_end_matches('0'))
}

/// One or two digits without a leading zero.
fn small(digits: &str) -> Option<u32> {
    let plain = digits.len() <= 2 && is_digits(digits) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

fn is_digits(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}
