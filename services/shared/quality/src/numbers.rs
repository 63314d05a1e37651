//! `unsupported_numbers`: whether every number of the summary is in the source.
//!
//! A number is supported if the source has its value, however either is written: thousand
//! separators of any language, digits or words (of the languages in [`crate::lexicon`]), scales,
//! ordinals, Roman numerals, percentages or fractions (`2 1/2`). A rounded number is supported by
//! the exact one (`12 %` by 12.3 %), and a number after "about" or "more than" by a value close by.
//! Units must agree where both are written: 30 days are not 30 months. An amount of money or a
//! percentage needs its sign somewhere in the source. Dates are compared by day, month and year.
//!
//! List markers, `one` and its like are not numbers. A list marker of the source supports only a
//! number without unit: a third point is no `3 days`. The check misses a right number in the wrong
//! place, and the sign of a number. It reports sums and differences that the summary works out as
//! unsupported.

mod dates;
mod fractions;
mod lex;
mod literal;
mod units;
mod value;
mod words;

use std::collections::{HashMap, HashSet};

use crate::language::Languages;
use crate::missing::Unsupported;
use crate::source::Source;
use crate::text::Text;
use crate::{Check, CheckName, Thresholds};

use lex::{Mention, Mentioned, each_mention};
use units::{Unit, Units};
use value::Value;
use words::Reading;

pub(crate) use dates::month;
pub(crate) use units::{is_length, unit_words};
pub(crate) use words::is_number_word;

/// The numbers of the source.
#[derive(Default)]
pub(crate) struct KnownNumbers {
    /// Values by canonical digits, with the units that each was written with.
    values: HashMap<String, Units>,
    /// Units that stand apart from numbers, as above a column.
    free: Units,
    /// Scales that stand apart from numbers.
    scales: HashSet<i32>,
    months: HashSet<u8>,
    /// Numbers of list items and headings, which count nothing.
    markers: HashSet<String>,
    /// Sizes in ascending order, once all texts are read.
    sizes: Vec<(f64, Units)>,
}

impl KnownNumbers {
    /// Adds a text.
    pub(crate) fn read(&mut self, text: &Text<'_>) {
        let mut places = Vec::new();
        each_mention(text, Reading::Generous, |mention| {
            self.add(mention);
            places.push((mention.start, mention.end));
        });
        self.read_words(text, &places);
    }

    /// Sorts the sizes; to be called once all texts are read.
    pub(crate) fn finish(&mut self) {
        self.sizes = self.values.iter().filter_map(|(digits, units)| Some((Value::size_of(digits)?, *units))).collect();
        self.sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    }

    fn add(&mut self, mention: &Mention) {
        let units = Units::of(mention.unit);
        match &mention.what {
            Mentioned::Number { readings, .. } if mention.marker => {
                self.markers.extend(readings.iter().map(|value| value.digits.clone()));
            }
            Mentioned::Number { readings, parts } => {
                for value in readings {
                    self.put(value, units, mention.scale);
                    if mention.loose {
                        self.put_bare(value);
                    }
                }
                for value in parts {
                    self.put(value, units, None);
                }
            }
            Mentioned::Identifier { digits, .. } => {
                for value in digits {
                    self.put(value, Units::BARE, None);
                }
            }
            Mentioned::Month(month) => {
                self.months.insert(*month);
            }
            Mentioned::Date { year, others, months } => {
                for value in year.iter().chain(others) {
                    self.put(value, Units::BARE, None);
                }
                self.months.extend(months);
            }
        }
    }

    fn put(&mut self, value: &Value, units: Units, scale: Option<i32>) {
        let value = value.shift(scale.unwrap_or(0));
        self.values.entry(value.digits).or_default().add(units);
    }

    fn put_bare(&mut self, value: &Value) {
        let digits = value.digits.clone();
        self.values.entry(digits).or_default().add(Units::BARE);
    }

    /// Units, scales, hints and Roman numerals that stand apart from the numbers found, which are
    /// given as byte ranges.
    fn read_words(&mut self, text: &Text<'_>, found: &[(usize, usize)]) {
        let mut attached = found.iter().peekable();
        for (index, word) in text.words.iter().enumerate() {
            while attached.next_if(|(_, end)| *end <= word.start).is_some() {}
            let inside = attached.peek().is_some_and(|(start, _)| *start < word.end);
            self.read_signs(text, index);
            if inside {
                continue;
            }
            let folded = text.folded(index);
            if let Some(unit) = Unit::of_word(&folded) {
                self.free.add(Units::of(Some(unit)));
            }
            if let Some(scale) = units::scale(&folded) {
                self.scales.insert(scale);
                self.values.entry(Value::integer(1).shift(scale).digits).or_default().add(Units::ANY);
            }
            if let Some(value) = words::hint(&folded) {
                self.values.entry(value.to_string()).or_default().add(Units::ANY);
            }
            for value in fractions::of_word(&folded) {
                self.values.entry(value.digits).or_default().add(Units::BARE);
            }
            if let Some(value) = roman(text.word(index)) {
                self.values.entry(value.to_string()).or_default().add(Units::BARE);
            }
        }
        self.read_signs(text, text.len());
    }

    /// Signs that stand neither behind a number nor, as a currency, before one. Only blanks may
    /// stand between a number and its sign: so there are two at most, the first and the last mark
    /// of the gap, and nothing is read again for each of the others.
    fn read_signs(&mut self, text: &Text<'_>, index: usize) {
        let gap = text.gap(index);
        let mut signs = gap.char_indices().filter_map(|(at, sign)| Some((at, sign, Unit::of_sign(sign)?))).peekable();
        if signs.peek().is_none() {
            return;
        }
        let numeric = |at: usize| at < text.len() && text.word(at).contains(|c: char| c.is_ascii_digit());
        let (number_before, number_after) = (index > 0 && numeric(index - 1), numeric(index));
        let first = gap.len() - gap.trim_start().len();
        let end = gap.trim_end().len();
        for (at, sign, unit) in signs {
            let behind = number_before && at == first;
            let before = number_after && unit != Unit::Percent && at + sign.len_utf8() == end;
            if !behind && !before {
                self.free.add(Units::of(Some(unit)));
            }
        }
    }

    /// Whether the source has this whole number, however it is written there.
    pub(crate) fn has_integer(&self, value: u64) -> bool {
        self.values.contains_key(&value.to_string())
    }

    /// Whether the source supports what the summary mentions.
    fn supports(&self, source: &Source, mention: &Mention) -> bool {
        match &mention.what {
            Mentioned::Number { readings, parts } => {
                readings.iter().any(|value| self.supports_value(value, mention))
                    || (!parts.is_empty() && parts.iter().all(|value| self.has(value, mention.unit)))
            }
            Mentioned::Identifier { folded, digits } => {
                source.has(folded) || digits.iter().any(|value| self.has(value, None))
            }
            Mentioned::Month(month) => self.months.contains(month),
            Mentioned::Date { year, others, months } => {
                let day_or_month = |value: &Value| {
                    self.has(value, None)
                        || months.iter().any(|month| value.digits == month.to_string() && self.months.contains(month))
                };
                year.iter().any(|value| self.has(value, None)) && others.iter().all(day_or_month)
            }
        }
    }

    fn supports_value(&self, value: &Value, mention: &Mention) -> bool {
        let scaled = value.shift(mention.scale.unwrap_or(0));
        if is_unit_count(&scaled, mention.unit) || self.has(&scaled, mention.unit) {
            return true;
        }
        if mention.loose && (self.has(value, None) || self.has(&scaled, None)) {
            return true;
        }
        // A source may give the scale of a table once, apart from its numbers.
        let unscaled = mention.scale.is_some_and(|scale| self.scales.contains(&scale));
        if unscaled && self.has(value, mention.unit) {
            return true;
        }
        if mention.unit == Some(Unit::Percent) && self.has(&scaled.shift(-2), None) {
            return true;
        }
        if mention.unit.is_none() && self.markers.contains(&scaled.digits) {
            return true;
        }
        let range = if mention.hedged { scaled.vicinity() } else { scaled.rounding() };
        range.is_some_and(|(low, high)| self.has_between(low, high, mention.unit))
    }

    fn has(&self, value: &Value, unit: Option<Unit>) -> bool {
        self.values.get(&value.digits).is_some_and(|units| self.agrees(*units, unit))
    }

    /// Whether a number written with `units` in the source supports one written with `unit`.
    fn agrees(&self, units: Units, unit: Option<Unit>) -> bool {
        let Some(wanted) = unit else {
            return true;
        };
        let same = Units::of(unit);
        let bare = units.has(Units::BARE) && (!wanted.is_strict() || self.free.has(same));
        units.has(same) || bare
    }

    /// Whether the source has an agreeing number between the two.
    fn has_between(&self, low: f64, high: f64, unit: Option<Unit>) -> bool {
        let from = self.sizes.partition_point(|(size, _)| *size < low);
        self.sizes[from..]
            .iter()
            .take_while(|(size, _)| *size <= high)
            .take(MAX_SEARCHED)
            .any(|(_, units)| self.agrees(*units, unit))
    }
}

/// The most numbers within a rounding interval that are compared for an agreeing unit. It bounds
/// the work on a source full of figures.
const MAX_SEARCHED: usize = 256;

/// `1 year` says "a year", not a number that could be wrong; `1 %` and `$1` do.
fn is_unit_count(value: &Value, unit: Option<Unit>) -> bool {
    value.digits == "1" && !unit.is_some_and(Unit::is_strict)
}

/// The value of a Roman numeral of two letters or more, `XIXe` included.
pub(crate) fn roman(word: &str) -> Option<u64> {
    let digits = word.trim_end_matches(['e', 'è', 'm', 'r']);
    if digits.len() < 2 || digits.len() > 8 {
        return None;
    }
    let mut values = Vec::with_capacity(digits.len());
    for letter in digits.chars() {
        values.push(match letter {
            'I' => 1,
            'V' => 5,
            'X' => 10,
            'L' => 50,
            'C' => 100,
            'D' => 500,
            'M' => 1000,
            _ => return None,
        });
    }
    let total: i64 = values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let smaller = values.get(index + 1).is_some_and(|next| next > value);
            if smaller { -value } else { *value }
        })
        .sum();
    u64::try_from(total).ok()
}

pub(crate) fn check(source: &Source, summary: &Text<'_>, languages: Languages, thresholds: &Thresholds) -> Check {
    let mut missing = Unsupported::default();
    each_unsupported(source, summary, Reading::Strict(languages.of_summary()), |written| missing.add(written));
    missing.report(CheckName::UnsupportedNumbers, thresholds.max_unsupported_numbers)
}

/// Whether the source supports every number that a text mentions in digits.
pub(crate) fn supports_digits(source: &Source, text: &Text<'_>) -> bool {
    let mut all = true;
    each_unsupported(source, text, Reading::Strict(None), |_| all = false);
    all
}

/// Gives every mention of a text that the source does not support, as it is written.
fn each_unsupported(source: &Source, text: &Text<'_>, reading: Reading, mut take: impl FnMut(&str)) {
    each_mention(text, reading, |mention| {
        let written = &text.raw[mention.start..mention.end];
        // `00`, the minutes of a full hour, is no number that the source must have.
        let marker = mention.marker || lex::is_inline_marker(text, mention) || written == "00";
        if !marker && !source.numbers.supports(source, mention) {
            take(written);
        }
    });
}

#[cfg(test)]
mod tests;
