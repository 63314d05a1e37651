//! Finds the numbers and dates of a text.

use super::dates::{self, NumericDate};
use super::fractions;
use super::literal::{self, Literal};
use super::units::{self, Unit};
use super::value::Value;
use super::words::{self, Reading};
use crate::lexicon;
use crate::text::{Boundary, Text};

/// A number or a date that a text mentions.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent marks of one mention, each read on its own")]
pub(crate) struct Mention {
    /// Byte range, unit included.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) what: Mentioned,
    pub(crate) unit: Option<Unit>,
    /// The unit stands before the number: `$5`.
    unit_first: bool,
    /// The power of ten of a scale word behind it: 6 for `million`.
    pub(crate) scale: Option<i32>,
    /// Unit and scale may belong to another number: they stand at the end of a series, or are a
    /// doubtful letter.
    pub(crate) loose: bool,
    /// The number of a list item or a heading, at the beginning of its line.
    pub(crate) marker: bool,
    /// It stands after a word such as "about".
    pub(crate) hedged: bool,
}

/// The thing that a mention names.
#[derive(Debug, Clone)]
pub(crate) enum Mentioned {
    /// Any of these readings, or else all of the parts: `1,200` is 1200 or 1.2; `4.2.1` is 4 and 2
    /// and 1.
    Number { readings: Vec<Value>, parts: Vec<Value> },
    /// Letters and digits in one: `B12`, `Q3`.
    Identifier { folded: String, digits: Vec<Value> },
    /// A month by name.
    Month(u8),
    /// A date in digits.
    Date { year: Vec<Value>, others: [Value; 2], months: Vec<u8> },
}

impl Mention {
    fn new(text: &Text<'_>, from: usize, to: usize, what: Mentioned) -> Self {
        Self {
            start: text.words[from].start,
            end: text.words[to - 1].end,
            what,
            unit: None,
            unit_first: false,
            scale: None,
            loose: false,
            marker: false,
            hedged: false,
        }
    }
}

/// Mentions of one series that are held at least before the text goes on without them, and at most:
/// a mention takes a hundred times the bytes of a figure.
const HELD_MENTIONS: std::ops::Range<usize> = 256..4096;

/// Gives every number and date of a text in order. Of a series of thousands, not all get the unit
/// that is written once.
pub(crate) fn each_mention(text: &Text<'_>, reading: Reading, mut take: impl FnMut(&Mention)) {
    let mut held = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let before = held.len();
        at = if text.word(at).contains(|c: char| c.is_ascii_digit()) {
            in_digits(text, at, reading, &mut held)
        } else {
            in_letters(text, at, reading, &mut held)
        };
        let goes_on = || held.get(before).is_none_or(|next| is_series(text, &held[before - 1], next));
        if before >= HELD_MENTIONS.end || (before >= HELD_MENTIONS.start && !goes_on()) {
            share_units(text, &mut held[..before]);
            held.drain(..before).for_each(|mention| take(&mention));
        }
    }
    share_units(text, &mut held);
    held.iter().for_each(take);
}

/// Every number and date of a text in order.
#[cfg(test)]
pub(super) fn mentions(text: &Text<'_>, reading: Reading) -> Vec<Mention> {
    let mut found = Vec::new();
    each_mention(text, reading, |mention| found.push(mention.clone()));
    found
}

/// Reads the word `at`, which has digits; returns the word to go on with.
fn in_digits(text: &Text<'_>, at: usize, reading: Reading, found: &mut Vec<Mention>) -> usize {
    // The 2 of `m2` is no number.
    if units::is_power_of_length(text.word(at)) {
        return at + 1;
    }
    if let Some(date) = date(text, at) {
        found.push(Mention::new(text, at, at + 3, date));
        return at + 3;
    }
    let literal = fractions::read(text, at).or_else(|| literal::read(text, at, reading));
    let Some(Literal { readings, parts, end, suffix }) = literal else {
        let what = Mentioned::Identifier { folded: text.folded(at), digits: literal::digit_runs(text.word(at)) };
        found.push(Mention::new(text, at, at + 1, what));
        return at + 1;
    };
    let mut mention = Mention::new(text, at, end, Mentioned::Number { readings, parts });
    mention.marker = is_marker(text, at, end);
    let next = match suffix.as_str() {
        "" => measure(text, at, end, &mut mention),
        suffix => {
            mention.loose = suffix == "m";
            mention.scale = units::scale(suffix).or(mention.loose.then_some(6));
            mention.unit = Unit::of_word(suffix);
            if mention.scale.is_some() { measure(text, at, end, &mut mention) } else { end }
        }
    };
    mention.hedged = is_hedged(text, at);
    found.push(mention);
    next
}

/// Reads the word `at`, which has only letters; returns the word to go on with.
fn in_letters(text: &Text<'_>, at: usize, reading: Reading, found: &mut Vec<Mention>) -> usize {
    if let Some(month) = dates::month(&text.folded(at))
        && (reading == Reading::Generous || is_dated(text, at))
    {
        found.push(Mention::new(text, at, at + 1, Mentioned::Month(month)));
        if reading != Reading::Generous {
            return at + 1;
        }
    }
    let mut next = text.len();
    let numbers = words::numbers(text, at, reading);
    for (value, end) in &numbers {
        let what = Mentioned::Number { readings: vec![Value::integer(*value)], parts: Vec::new() };
        let mut mention = Mention::new(text, at, *end, what);
        mention.hedged = is_hedged(text, at);
        next = next.min(measure(text, at, *end, &mut mention));
        found.push(mention);
    }
    if numbers.is_empty() { at + 1 } else { next }
}

/// Reads scale and unit around the number in the words `at..end`; returns the word to go on with.
fn measure(text: &Text<'_>, at: usize, mut end: usize, mention: &mut Mention) -> usize {
    if mention.scale.is_none()
        && let Some(scale) = scale_at(text, end)
    {
        mention.scale = Some(scale);
        mention.end = text.words[end].end;
        end += 1;
    }
    if let Some((unit, length)) = sign_after(text.gap(end)) {
        mention.unit = Some(unit);
        mention.end += length;
        return end;
    }
    if let Some(unit) = unit_before(text, at) {
        mention.unit = Some(unit);
        mention.unit_first = true;
        return end;
    }
    // "(30) days", "30 calendar days"
    let skip = usize::from(is_joint(text.gap(end)) && is_qualifier(&text.folded(end)));
    if let Some((unit, next)) = unit_word(text, end + skip) {
        mention.unit = Some(unit);
        mention.end = text.words[next - 1].end;
        return next;
    }
    end
}

/// The scale that the word `at` is. Single letters count only where they are written as for money:
/// `5 M€`, `12 k$`.
fn scale_at(text: &Text<'_>, at: usize) -> Option<i32> {
    if at >= text.len() || !is_joint(text.gap(at)) {
        return None;
    }
    let word = text.word(at);
    let money = || sign_after(text.gap(at + 1)).is_some_and(|(unit, _)| unit.is_strict());
    match word {
        "M" | "m" => money().then_some(6),
        "k" | "K" => money().then_some(3),
        "b" | "B" | "md" => money().then_some(9),
        _ => units::scale(&text.folded(at)),
    }
}

/// A unit's sign at the beginning of the gap after a number, and the bytes up to the sign's end.
fn sign_after(gap: &str) -> Option<(Unit, usize)> {
    let rest = gap.trim_start_matches([' ', '\\']);
    let sign = rest.chars().next()?;
    let length = gap.len() - rest.len() + sign.len_utf8();
    Unit::of_sign(sign).map(|unit| (unit, length))
}

/// A currency directly before a number: `$5`, `EUR 5`.
fn unit_before(text: &Text<'_>, at: usize) -> Option<Unit> {
    let gap = text.gap(at);
    let sign = gap.trim_end().chars().next_back().and_then(Unit::of_sign);
    if sign.is_some_and(|unit| unit != Unit::Percent && unit != Unit::Degree) {
        return sign;
    }
    if at == 0 || !is_joint(gap) {
        return None;
    }
    match text.word(at - 1) {
        code @ ("USD" | "EUR" | "GBP" | "CHF" | "JPY") => Unit::of_word(&code.to_ascii_lowercase()),
        _ => None,
    }
}

/// The unit that the word `at` is, and the word after it.
fn unit_word(text: &Text<'_>, at: usize) -> Option<(Unit, usize)> {
    if at >= text.len() {
        return None;
    }
    let gap = text.gap(at).trim_start_matches([')', ']']);
    if !is_joint(gap) {
        return None;
    }
    let word = text.folded(at);
    let per = lexicon::ALL.iter().any(|lexicon| lexicon.per == word);
    if per && at + 1 < text.len() && matches!(text.word(at + 1), "cent" | "100") {
        return Some((Unit::Percent, at + 2));
    }
    Unit::of_word(&word).map(|unit| (unit, at + 1))
}

/// Gives all numbers of a series the unit and scale of one: "10 to 20 %", "5, 6 and 7 million",
/// "$10-20".
fn share_units(text: &Text<'_>, found: &mut [Mention]) {
    for index in (1..found.len()).rev() {
        let (left, right) = found.split_at_mut(index);
        let (before, after) = (&mut left[index - 1], &right[0]);
        if is_series(text, before, after) && !after.unit_first {
            before.loose = before.loose || before.unit.is_none();
            before.unit = before.unit.or(after.unit);
            before.scale = before.scale.or(after.scale);
        }
    }
    for index in 1..found.len() {
        let (left, right) = found.split_at_mut(index);
        let (before, after) = (&left[index - 1], &mut right[0]);
        if before.unit_first && after.unit.is_none() && is_series(text, before, after) {
            after.unit = before.unit;
            after.unit_first = true;
            after.loose = true;
        }
    }
}

fn is_series(text: &Text<'_>, before: &Mention, after: &Mention) -> bool {
    let numbers = matches!(before.what, Mentioned::Number { .. }) && matches!(after.what, Mentioned::Number { .. });
    // A unit that is written after the first number ends the series.
    let Some(between) = text.raw.get(before.end..after.start) else {
        return false;
    };
    let between = between.trim().trim_end_matches(['$', '€', '£']).trim();
    numbers && (matches!(between, "-" | "–" | "—" | "," | "/") || lexicon::any(between, |lexicon| lexicon.series))
}

/// `2021-03-12`, `12/03/2021`, `12.3.2021`.
fn date(text: &Text<'_>, at: usize) -> Option<Mentioned> {
    if at + 3 > text.len() {
        return None;
    }
    let separator = text.gap(at + 1);
    if !matches!(separator, "/" | "." | "-") || text.gap(at + 2) != separator {
        return None;
    }
    let groups = [at, at + 1, at + 2].map(|index| text.word(index));
    if !groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let date = NumericDate::of(groups)?;
    Some(Mentioned::Date {
        year: literal::years(date.year),
        others: date.others.map(|digits| Value::new(digits, "")),
        months: date.months().collect(),
    })
}

/// A month's name beside a day or a year: `12 March`, `May 2021`, `1er mai`, `March 12, 2021`.
fn is_dated(text: &Text<'_>, at: usize) -> bool {
    let numeric = |index: usize| {
        let word = text.word(index);
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        (1..=4).contains(&digits) && word.len() <= digits + 2
    };
    let joint = |gap: &str| matches!(gap.trim(), "" | "." | ",") && !gap.is_empty();
    (at > 0 && joint(text.gap(at)) && numeric(at - 1))
        || (at + 1 < text.len() && joint(text.gap(at + 1)) && numeric(at + 1))
}

/// `1. Scope`, `2) Term`, `Step 3: deliver`, and `(4)` anywhere.
fn is_marker(text: &Text<'_>, at: usize, end: usize) -> bool {
    let literal = &text.raw[text.words[at].start..text.words[end - 1].end];
    let short = literal.split('.').all(|group| group.len() <= 2);
    if !short {
        return false;
    }
    let (before, after) = (text.gap(at), text.gap(end));
    let opens_line = text.boundary(at) == Boundary::Line
        && before.rsplit(['\n', '\r']).next().is_some_and(|margin| margin.chars().all(|c| " \t#*->•([_|".contains(c)));
    let closed = after.starts_with(['.', ')', ':', ']'])
        && after[1..].chars().next().is_none_or(|c| c.is_whitespace() || c == '*');
    if opens_line {
        return closed || after.starts_with(['*', '_']) || after.starts_with(" -") || after.starts_with(" –");
    }
    let labelled = at > 0 && text.boundary(at - 1) == Boundary::Line && is_reference(&text.folded(at - 1));
    labelled && after.trim_start().starts_with([':', '.', '-', '–'])
}

/// Whether the number stands alone in parentheses: `(2) the buyer`.
pub(crate) fn is_inline_marker(text: &Text<'_>, mention: &Mention) -> bool {
    let digits = &text.raw[mention.start..mention.end];
    digits.len() <= 2 && text.raw[..mention.start].ends_with('(') && text.raw[mention.end..].starts_with(')')
}

fn is_reference(folded: &str) -> bool {
    lexicon::any(folded, |lexicon| lexicon.references)
}

/// Words between a number and its unit that change nothing.
fn is_qualifier(folded: &str) -> bool {
    lexicon::any(folded, |lexicon| lexicon.qualifiers)
}

/// Whether a word such as "about" stands before the word `at`.
fn is_hedged(text: &Text<'_>, at: usize) -> bool {
    for index in (at.saturating_sub(4)..at).rev() {
        if text.boundary(index + 1) >= Boundary::Sentence {
            return false;
        }
        let word = text.folded(index);
        if lexicon::any(&word, |lexicon| lexicon.hedges) {
            return true;
        }
        if !matches!(word.as_str(), "usd" | "eur") && !lexicon::any(&word, |lexicon| lexicon.hedge_links) {
            return false;
        }
    }
    false
}

/// Whether a gap joins a number and its unit: one space or one hyphen.
fn is_joint(gap: &str) -> bool {
    matches!(gap, " " | "-" | "\n" | "")
}
