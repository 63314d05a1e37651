//! Months by name, and dates in digits.

use crate::lexicon::{self, Lexicon};

/// The month of a folded name or abbreviation, 1 to 12.
pub(crate) fn month(folded: &str) -> Option<u8> {
    if !(3..=9).contains(&folded.len()) {
        return None;
    }
    let number_in = |lexicon: &Lexicon| lexicon.months.iter().position(|names| names.contains(&folded));
    let index = lexicon::ALL.iter().find_map(|lexicon| number_in(lexicon))?;
    Some(index as u8 + 1)
}

/// A date in digits. It is not known which of the two smaller numbers is the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NumericDate<'a> {
    pub(crate) year: &'a str,
    pub(crate) others: [&'a str; 2],
}

impl<'a> NumericDate<'a> {
    /// `2021-03-12`, `12/03/2021`, `12.3.21`: three groups of digits that can be a date.
    pub(crate) fn of(groups: [&'a str; 3]) -> Option<Self> {
        let [first, middle, last] = groups;
        let (year, others) = if first.len() == 4 {
            (first, [middle, last])
        } else if matches!(last.len(), 2 | 4) {
            (last, [first, middle])
        } else {
            return None;
        };
        let [a, b] = others.map(small);
        let plausible = matches!((a?, b?), (1..=31, 1..=12) | (1..=12, 1..=31));
        plausible.then_some(Self { year, others })
    }

    /// The months that the date may name.
    pub(crate) fn months(&self) -> impl Iterator<Item = u8> {
        self.others.into_iter().filter_map(small).filter(|number| (1..=12).contains(number))
    }
}

/// One or two digits.
fn small(digits: &str) -> Option<u8> {
    if digits.len() > 2 {
        return None;
    }
    digits.parse().ok()
}
