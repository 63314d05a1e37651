//! Scales (`million`) and units of numbers: per cent, currencies, and units of time, length and
//! weight.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::lexicon;
pub(crate) use crate::lexicon::Unit;

/// A set of units, and of the absence of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Units(u32);

impl Units {
    /// The set of a number without a unit.
    pub(crate) const BARE: Self = Self(1 << 31);
    /// The set of every unit, and of no unit.
    pub(crate) const ANY: Self = Self(u32::MAX);

    pub(crate) fn of(unit: Option<Unit>) -> Self {
        unit.map_or(Self::BARE, |unit| Self(1 << unit as u8))
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Unit {
    /// Whether readers expect the unit beside each number, and tables write it once above a column.
    pub(crate) fn is_strict(self) -> bool {
        matches!(self, Self::Percent | Self::Dollar | Self::Euro | Self::Pound | Self::Franc | Self::Yen)
    }

    /// The unit of a folded word.
    pub(crate) fn of_word(folded: &str) -> Option<Self> {
        UNITS.get(folded).copied()
    }

    /// The unit of a sign.
    pub(crate) fn of_sign(sign: char) -> Option<Self> {
        match sign {
            '%' => Some(Self::Percent),
            '$' => Some(Self::Dollar),
            '€' => Some(Self::Euro),
            '£' => Some(Self::Pound),
            '¥' => Some(Self::Yen),
            '°' => Some(Self::Degree),
            _ => None,
        }
    }
}

/// Whether a word is the sign of a length, from which the signs of areas and volumes are made.
pub(crate) fn is_length(word: &str) -> bool {
    matches!(word, "m" | "mm" | "cm" | "dm" | "km" | "nm" | "ft" | "yd" | "mi")
}

/// Whether a word is the sign of an area or a volume: `m2`.
pub(crate) fn is_power_of_length(word: &str) -> bool {
    word.strip_suffix(['2', '3']).is_some_and(is_length)
}

/// Every word that is a unit or a scale, folded.
pub(crate) fn unit_words() -> impl Iterator<Item = &'static str> {
    UNITS.keys().chain(SCALES.keys()).copied()
}

/// The power of ten of a folded scale word.
pub(crate) fn scale(folded: &str) -> Option<i32> {
    SCALES.get(folded).copied()
}

static SCALES: LazyLock<HashMap<&'static str, i32>> = LazyLock::new(|| {
    let words = lexicon::ALL.iter().flat_map(|lexicon| lexicon.scales);
    SCALE_SIGNS.iter().chain(words).copied().collect()
});

static UNITS: LazyLock<HashMap<&'static str, Unit>> = LazyLock::new(|| {
    let words = lexicon::ALL.iter().flat_map(|lexicon| lexicon.units);
    UNIT_SIGNS.iter().chain(words).flat_map(|(unit, words)| words.iter().map(|word| (*word, *unit))).collect()
});

/// Abbreviations of scales, in any language.
const SCALE_SIGNS: &[(&str, i32)] = &[("k", 3), ("mn", 6), ("mio", 6), ("bn", 9), ("b", 9), ("mrd", 9), ("tn", 12)];

/// Codes and signs of units, in any language.
const UNIT_SIGNS: &[(Unit, &[&str])] = &[
    (Unit::Dollar, &["usd"]),
    (Unit::Euro, &["eur"]),
    (Unit::Pound, &["gbp"]),
    (Unit::Franc, &["chf"]),
    (Unit::Yen, &["jpy"]),
    (Unit::Hour, &["h"]),
    (Unit::Minute, &["min", "mn"]),
    (Unit::Kilometre, &["km"]),
    (Unit::Centimetre, &["cm"]),
    (Unit::Millimetre, &["mm"]),
    (Unit::Kilogram, &["kg"]),
    (Unit::Gram, &["g"]),
    (Unit::Milligram, &["mg"]),
    (Unit::Litre, &["l"]),
    (Unit::Millilitre, &["ml"]),
];
