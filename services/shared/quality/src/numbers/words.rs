//! Numbers written as words, in the languages that have a lexicon.

use std::collections::HashMap;
use std::sync::LazyLock;

use whatlang::Lang;

use crate::lexicon::{self, Lexicon};
use crate::text::Text;

/// How strictly number words are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Every word that may be a number in any known language. For the source, which may only
    /// support.
    Generous,
    /// Only words that are surely a number in this language. For the summary, which is held to
    /// them.
    Strict(Option<Lang>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WordValue {
    /// Adds: `seven`, `vingt`.
    Add(u64),
    /// Multiplies what came before: `hundred`, `mille`.
    Times(u64),
}

/// The number words of each language.
static VALUES: LazyLock<Vec<(&'static Lexicon, HashMap<&'static str, WordValue>)>> = LazyLock::new(|| {
    let values = |lexicon: &'static Lexicon| {
        let numbers = lexicon.numbers.iter().map(|(word, value)| (*word, WordValue::Add(*value)));
        let multipliers = lexicon.multipliers.iter().map(|(word, value)| (*word, WordValue::Times(*value)));
        numbers.chain(multipliers).collect()
    };
    lexicon::ALL.iter().map(|lexicon| (*lexicon, values(lexicon))).collect()
});

static HINTS: LazyLock<HashMap<&'static str, u64>> =
    LazyLock::new(|| lexicon::ALL.iter().flat_map(|lexicon| lexicon.hints.iter().copied()).collect());

/// The numbers in words that begin at the word `from`, each with the word after it; at most one a
/// language.
pub(crate) fn numbers(text: &Text<'_>, from: usize, reading: Reading) -> Vec<(u64, usize)> {
    match reading {
        Reading::Generous => {
            let mut found: Vec<_> = VALUES
                .iter()
                .filter_map(|(lexicon, values)| number(text, from, lexicon, values))
                .filter(|found| found.certainty != Certainty::Scale)
                .map(|found| (found.value, found.end))
                .collect();
            found.dedup();
            found
        }
        Reading::Strict(Some(language)) => VALUES
            .iter()
            .find(|(lexicon, _)| lexicon.language == language)
            .and_then(|(lexicon, values)| number(text, from, lexicon, values))
            .filter(|found| found.certainty == Certainty::Number)
            .map(|found| (found.value, found.end))
            .into_iter()
            .collect(),
        Reading::Strict(None) => Vec::new(),
    }
}

/// A number in words.
struct WordNumber {
    value: u64,
    end: usize,
    certainty: Certainty,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Certainty {
    /// Surely a number.
    Number,
    /// A word that mostly means something else.
    Doubtful,
    /// A scale without a number: `millions of`.
    Scale,
}

/// The number in words of one language that begins at the word `from`.
fn number(
    text: &Text<'_>,
    from: usize,
    lexicon: &Lexicon,
    values: &HashMap<&'static str, WordValue>,
) -> Option<WordNumber> {
    let mut sum = Sum::default();
    let (mut at, mut end) = (from, from);
    let mut certainty = Certainty::Scale;
    while at < text.len() && (at == from || is_joint(text.gap(at))) {
        let word = text.folded(at);
        match values.get(word.as_str()).copied() {
            Some(value) if sum.take(value) => {
                let is_doubtful = lexicon.doubtful.contains(&word.as_str());
                certainty = match value {
                    _ if end > from => Certainty::Number,
                    _ if is_doubtful => Certainty::Doubtful,
                    WordValue::Times(_) => Certainty::Scale,
                    WordValue::Add(_) => Certainty::Number,
                };
                at += 1;
                end = at;
            }
            // "and" counts only when the number goes on behind it.
            None if end > from && at == end && lexicon::is_and(&word) && sum.may_link() => at += 1,
            _ => break,
        }
    }
    (end > from).then_some(WordNumber { value: sum.total + sum.current, end, certainty })
}

/// The value that a word of a source gives without being a number.
pub(crate) fn hint(folded: &str) -> Option<u64> {
    HINTS.get(folded).copied()
}

/// Whether a folded word is part of a number in some language.
pub(crate) fn is_number_word(folded: &str) -> bool {
    VALUES.iter().any(|(_, values)| values.contains_key(folded))
}

/// Between the words of one number: a space, a hyphen.
fn is_joint(gap: &str) -> bool {
    matches!(gap, " " | "-" | "\n")
}

/// A number as it is said.
#[derive(Debug, Default)]
struct Sum {
    total: u64,
    current: u64,
    /// Whether anything was said since the last multiplication.
    open: bool,
    /// The last scale, so that scales only go down: `two thousand three million` is two numbers.
    scale: Option<u64>,
}

impl Sum {
    /// Takes one more word; false if it begins another number.
    fn take(&mut self, atom: WordValue) -> bool {
        match atom {
            WordValue::Add(value) => self.add(value),
            WordValue::Times(100) => self.hundred(),
            WordValue::Times(scale) => self.scale_by(scale),
        }
    }

    fn add(&mut self, value: u64) -> bool {
        let tail = self.current % 100;
        if !self.open {
            self.current = value;
        } else if value == 20 && tail == 4 {
            // Four twenties: quatre-vingts.
            self.current += 76;
        } else if value < 10 && tail >= 20 && tail.is_multiple_of(10) && value > 0
            || (10..20).contains(&value) && matches!(tail, 60 | 80)
            || (7..10).contains(&value) && matches!(tail, 10 | 70 | 90)
            || value > 0 && tail == 0 && self.current > 0
        {
            self.current += value;
        } else {
            return false;
        }
        self.open = true;
        true
    }

    fn hundred(&mut self) -> bool {
        if !self.open {
            self.current = 100;
        } else if (2..100).contains(&self.current) || self.current == 1 {
            self.current *= 100;
        } else {
            return false;
        }
        self.open = true;
        true
    }

    fn scale_by(&mut self, scale: u64) -> bool {
        if self.scale.is_some_and(|last| last <= scale) {
            return false;
        }
        let factor = if self.open { self.current } else { 1 };
        let Some(total) = factor.checked_mul(scale).and_then(|value| value.checked_add(self.total)) else {
            return false;
        };
        self.total = total;
        self.current = 0;
        self.open = false;
        self.scale = Some(scale);
        true
    }

    /// Whether "and" may go on with the number: `one hundred and ten`, `vingt et un`.
    fn may_link(&self) -> bool {
        !self.open || self.current.is_multiple_of(100) || matches!(self.current % 100, 20 | 30 | 40 | 50 | 60 | 70)
    }
}

#[cfg(test)]
mod tests;
