//! A number in digits, with every way it may be read.
//!
//! `1,200` is twelve hundred to an English reader and one point two to a French one, and documents
//! mix both. `1 200` may be one number or two. So a literal carries all its readings, and the check
//! takes the reading that the source supports.

use super::value::Value;
use super::words::Reading;
use crate::lexicon;
use crate::text::Text;

/// Most groups of digits in one number; more are a row of a table.
const MAX_GROUPS: usize = 8;

/// A literal read from a text.
pub(crate) struct Literal {
    /// The values of the whole literal read as one number.
    pub(crate) readings: Vec<Value>,
    /// The groups of digits apart, as in dates, versions and lists.
    pub(crate) parts: Vec<Value>,
    /// The word after the literal.
    pub(crate) end: usize,
    /// Letters directly after the digits, folded; empty for ordinals and decades.
    pub(crate) suffix: String,
}

/// Reads the literal that begins at the word `at`. `None` if the word mixes letters and digits in
/// another way than by a suffix.
pub(crate) fn read(text: &Text<'_>, at: usize, reading: Reading) -> Option<Literal> {
    let (first, mut rest) = split(text.word(at))?;
    let mut groups = vec![first];
    let mut separators = Vec::new();
    let mut end = at + 1;
    while rest.is_empty() && end < text.len() && groups.len() < MAX_GROUPS {
        let Some((separator, group, tail)) = continuation(text, end, &groups, &separators) else {
            break;
        };
        groups.push(group);
        separators.push(separator);
        rest = tail;
        end += 1;
    }
    let mut readings = readings(&groups, &separators, reading == Reading::Generous);
    let mut suffix = crate::fold::fold(rest);
    if is_ordinal(&suffix) || suffix == "s" {
        if suffix == "s" && first.len() == 2 && groups.len() == 1 {
            // The 90s.
            readings.extend(years(first));
        }
        suffix.clear();
    }
    if let Some(from) = abbreviated_range(text, at, &groups) {
        readings.push(from);
    }
    let spaced = separators.contains(&' ');
    let parts = if readings.is_empty() || spaced {
        groups.iter().map(|group| Value::new(group, "")).collect()
    } else {
        Vec::new()
    };
    Some(Literal { readings, parts, end, suffix })
}

/// The runs of digits in a word that mixes letters and digits.
pub(crate) fn digit_runs(word: &str) -> Vec<Value> {
    word.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).map(|run| Value::new(run, "")).collect()
}

/// The years that two or four digits may stand for.
pub(crate) fn years(digits: &str) -> Vec<Value> {
    let mut years = vec![Value::new(digits, "")];
    if digits.len() == 2 {
        years.push(Value::new(&format!("19{digits}"), ""));
        years.push(Value::new(&format!("20{digits}"), ""));
    }
    years
}

/// Leading digits and the letters behind them.
fn split(word: &str) -> Option<(&str, &str)> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = word.split_at(digits);
    let mixed = digits.is_empty() || rest.contains(|c: char| c.is_ascii_digit());
    (!mixed).then_some((digits, rest))
}

/// The next group of the same number, if the word `at` is one: its separator, digits and letters.
fn continuation<'a>(
    text: &Text<'a>,
    at: usize,
    groups: &[&str],
    separators: &[char],
) -> Option<(char, &'a str, &'a str)> {
    let mut gap = text.gap(at).chars();
    let (Some(separator), None) = (gap.next(), gap.next()) else {
        return None;
    };
    if !matches!(separator, '.' | ',' | ' ' | '\'') {
        return None;
    }
    let (group, rest) = split(text.word(at))?;
    if matches!(separator, ' ' | '\'') {
        // Spaces and apostrophes separate thousands only, and only decimals follow a point.
        let same = separators.iter().all(|other| *other == separator);
        if !same || group.len() != 3 || groups[0].len() > 3 || !is_grouped(groups) {
            return None;
        }
    }
    Some((separator, group, rest))
}

/// Every reading of the groups as one number.
fn readings(groups: &[&str], separators: &[char], generous: bool) -> Vec<Value> {
    let Some(last) = separators.last() else {
        return vec![Value::new(groups[0], "")];
    };
    let mut readings = Vec::new();
    let same = separators.iter().all(|separator| separator == last);
    if same && is_grouped(groups) {
        readings.push(Value::new(&groups.concat(), ""));
    }
    let (whole, fraction) = groups.split_at(groups.len() - 1);
    // 1.2 is never written as `1,200`, but a source with `1,200` may all the same support 1.2.
    if !readings.is_empty() && fraction[0].ends_with('0') && !generous {
        return readings;
    }
    let before = &separators[..separators.len() - 1];
    let thousands = before.iter().all(|separator| separator != last && *separator == before[0]);
    if matches!(last, '.' | ',') && thousands && is_grouped(whole) {
        readings.push(Value::new(&whole.concat(), fraction[0]));
    }
    readings
}

/// One group of any length, or groups as of thousands: `12 345 678`, `12,34,567`.
fn is_grouped(groups: &[&str]) -> bool {
    let [first, middle @ .., last] = groups else {
        return true;
    };
    first.len() <= 3 && *first != "0" && last.len() == 3 && middle.iter().all(|group| matches!(group.len(), 2 | 3))
}

/// In `2019-20` the second number is a year too.
fn abbreviated_range(text: &Text<'_>, at: usize, groups: &[&str]) -> Option<Value> {
    let [digits] = groups else {
        return None;
    };
    if at == 0 || digits.len() != 2 || !matches!(text.gap(at), "-" | "/") {
        return None;
    }
    let (year, rest) = split(text.word(at - 1))?;
    let is_year = year.len() == 4 && rest.is_empty();
    is_year.then(|| Value::new(&format!("{}{digits}", &year[..2]), ""))
}

fn is_ordinal(suffix: &str) -> bool {
    lexicon::any(suffix, |lexicon| lexicon.ordinal_endings)
}
