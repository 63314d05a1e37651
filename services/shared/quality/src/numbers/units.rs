//! What follows a number: scales (`million`), per cent, currencies, and units of time, length and
//! weight, in English and French.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What a number counts. Numbers of one value and different units are different: 30 days are not 30
/// months.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Unit {
    Percent,
    Dollar,
    Euro,
    Pound,
    Franc,
    Yen,
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Kilometre,
    Metre,
    Centimetre,
    Millimetre,
    Mile,
    Tonne,
    Kilogram,
    Gram,
    Milligram,
    Litre,
    Millilitre,
    Degree,
}

/// A set of units, and of the absence of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Units(u32);

impl Units {
    /// No unit was written.
    pub(crate) const BARE: Self = Self(1 << 31);
    /// Every unit, and none.
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
    /// Units that readers expect beside each number, and tables write once above a column.
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

/// Whether a word is the sign of a length, of which areas and volumes are made.
pub(crate) fn is_length(word: &str) -> bool {
    matches!(word, "m" | "mm" | "cm" | "dm" | "km" | "nm" | "ft" | "yd" | "mi")
}

/// Whether a word is the sign of an area or a volume: `m2`.
pub(crate) fn is_power_of_length(word: &str) -> bool {
    word.strip_suffix(['2', '3']).is_some_and(is_length)
}

/// The power of ten of a folded scale word.
pub(crate) fn scale(folded: &str) -> Option<i32> {
    match folded {
        "thousand" | "mille" | "milliers" | "k" => Some(3),
        "million" | "millions" | "mn" | "mio" => Some(6),
        "billion" | "billions" | "bn" | "milliard" | "milliards" | "md" | "mds" | "mrd" | "b" => Some(9),
        "trillion" | "trillions" | "tn" => Some(12),
        _ => None,
    }
}

static UNITS: LazyLock<HashMap<&'static str, Unit>> =
    LazyLock::new(|| WORDS.iter().flat_map(|(unit, words)| words.iter().map(|word| (*word, *unit))).collect());

const WORDS: &[(Unit, &[&str])] = &[
    (Unit::Percent, &["percent", "pct", "percents", "pourcent", "percentage", "pourcentage", "percentages"]),
    (Unit::Dollar, &["usd", "dollar", "dollars"]),
    (Unit::Euro, &["eur", "euro", "euros"]),
    (Unit::Pound, &["gbp", "pound", "pounds", "sterling"]),
    (Unit::Franc, &["chf", "franc", "francs"]),
    (Unit::Yen, &["jpy", "yen", "yens"]),
    (Unit::Year, &["year", "years", "yr", "yrs", "an", "ans", "annee", "annees"]),
    (Unit::Month, &["month", "months", "mois"]),
    (Unit::Week, &["week", "weeks", "semaine", "semaines"]),
    (Unit::Day, &["day", "days", "jour", "jours", "journee", "journees"]),
    (Unit::Hour, &["hour", "hours", "hr", "hrs", "heure", "heures", "h"]),
    (Unit::Minute, &["minute", "minutes", "min", "mins", "mn"]),
    (Unit::Second, &["second", "seconds", "sec", "secs", "seconde", "secondes"]),
    (Unit::Kilometre, &["km", "kilometre", "kilometres", "kilometer", "kilometers"]),
    (Unit::Metre, &["metre", "metres", "meter", "meters"]),
    (Unit::Centimetre, &["cm", "centimetre", "centimetres", "centimeter", "centimeters"]),
    (Unit::Millimetre, &["mm", "millimetre", "millimetres", "millimeter", "millimeters"]),
    (Unit::Mile, &["mile", "miles"]),
    (Unit::Tonne, &["tonne", "tonnes", "ton", "tons"]),
    (Unit::Kilogram, &["kg", "kgs", "kilogram", "kilograms", "kilogramme", "kilogrammes", "kilo", "kilos"]),
    (Unit::Gram, &["g", "gram", "grams", "gramme", "grammes"]),
    (Unit::Milligram, &["mg", "milligram", "milligrams", "milligramme", "milligrammes"]),
    (Unit::Litre, &["l", "litre", "litres", "liter", "liters"]),
    (Unit::Millilitre, &["ml", "millilitre", "millilitres", "milliliter", "milliliters"]),
    (Unit::Degree, &["degree", "degrees", "degre", "degres"]),
];
