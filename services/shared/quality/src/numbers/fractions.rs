//! Common fractions: `1/2`, `2 3/4`, and the words for them.
//!
//! Plain spelling makes `1/2` of `½`. A fraction is its value, or else its two numbers apart:
//! `9/10` may be a date or a mark. So only small denominators are read, as they are printed with
//! bars.

use super::literal::Literal;
use super::value::Value;
use crate::text::Text;

/// The fraction that begins at a piece, a whole number before it included.
pub(super) fn read(text: &Text<'_>, at: usize) -> Option<Literal> {
    if let Some((numerator, denominator)) = at_piece(text, at) {
        let parts = [at, at + 1].map(|index| Value::new(text.word(index), "")).to_vec();
        let readings = vec![value("", numerator, denominator)];
        return Some(Literal { readings, parts, end: at + 2, suffix: String::new() });
    }
    let whole = text.word(at);
    let is_whole = whole.len() <= 3 && is_digits(whole) && !text.gap(at).ends_with(['/', '.', ',']);
    if !is_whole || at + 1 >= text.len() || text.gap(at + 1) != " " {
        return None;
    }
    let (numerator, denominator) = at_piece(text, at + 1)?;
    let parts = vec![Value::new(whole, ""), value("", numerator, denominator)];
    let readings = vec![value(whole, numerator, denominator)];
    Some(Literal { readings, parts, end: at + 3, suffix: String::new() })
}

/// The values of a fraction that a source names in words: a half, a quarter or three of them.
pub(super) fn of_word(folded: &str) -> Vec<Value> {
    let (denominator, numerators): (u32, &[u32]) = match folded {
        "half" | "halves" | "moitie" | "demi" | "demie" | "halb" | "halbe" | "halber" | "halbes" | "halben"
        | "halbem" | "halfte" | "medio" | "media" | "mitad" | "mezzo" | "mezza" | "meta" | "helft" | "metade" => {
            (2, &[1])
        }
        "third" | "thirds" | "tiers" | "drittel" | "tercio" | "tercios" | "terzo" | "terzi" => (3, &[1, 2]),
        "quarter" | "quarters" | "quart" | "quarts" | "viertel" | "cuarto" | "cuartos" | "quarto" | "quarti" => {
            (4, &[1, 3])
        }
        "fifth" | "fifths" | "cinquieme" | "cinquiemes" | "funftel" => (5, &[1, 2, 3, 4]),
        "eighth" | "eighths" | "huitieme" | "huitiemes" | "achtel" => (8, &[1, 3, 5, 7]),
        _ => return Vec::new(),
    };
    numerators.iter().map(|numerator| value("", *numerator, denominator)).collect()
}

/// Numerator and denominator in two pieces.
fn at_piece(text: &Text<'_>, at: usize) -> Option<(u32, u32)> {
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

fn is_digits(piece: &str) -> bool {
    piece.bytes().all(|byte| byte.is_ascii_digit())
}
