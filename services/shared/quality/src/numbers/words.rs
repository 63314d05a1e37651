//! Numbers written as words, in English and French.

use std::collections::HashMap;
use std::sync::LazyLock;

use whatlang::Lang;

use crate::text::Text;

/// Which words count as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Everything that may be a number in any language known: for the source, which may only
    /// support.
    Generous,
    /// What is surely a number in this language: for the summary, which is held to it.
    Strict(Option<Lang>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Atom {
    /// Adds: `seven`, `vingt`.
    Add(u64),
    /// Multiplies what came before: `hundred`, `mille`.
    Times(u64),
}

const ENGLISH: &[(&str, u64)] = &[
    ("zero", 0),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("thirteen", 13),
    ("fourteen", 14),
    ("fifteen", 15),
    ("sixteen", 16),
    ("seventeen", 17),
    ("eighteen", 18),
    ("nineteen", 19),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("sixty", 60),
    ("seventy", 70),
    ("eighty", 80),
    ("ninety", 90),
];
const FRENCH: &[(&str, u64)] = &[
    ("zero", 0),
    ("un", 1),
    ("une", 1),
    ("deux", 2),
    ("trois", 3),
    ("quatre", 4),
    ("cinq", 5),
    ("six", 6),
    ("sept", 7),
    ("huit", 8),
    ("neuf", 9),
    ("dix", 10),
    ("onze", 11),
    ("douze", 12),
    ("treize", 13),
    ("quatorze", 14),
    ("quinze", 15),
    ("seize", 16),
    ("vingt", 20),
    ("vingts", 20),
    ("trente", 30),
    ("quarante", 40),
    ("cinquante", 50),
    ("soixante", 60),
    ("septante", 70),
    ("huitante", 80),
    ("nonante", 90),
];
const ENGLISH_TIMES: &[(&str, u64)] = &[
    ("hundred", 100),
    ("thousand", 1_000),
    ("million", 1_000_000),
    ("billion", 1_000_000_000),
    ("trillion", 1_000_000_000_000),
];
const FRENCH_TIMES: &[(&str, u64)] = &[
    ("cent", 100),
    ("cents", 100),
    ("mille", 1_000),
    ("million", 1_000_000),
    ("millions", 1_000_000),
    ("milliard", 1_000_000_000),
    ("milliards", 1_000_000_000),
];
/// Words of a source that give a number without being one.
const HINTS: &[(&str, u64)] = &[
    ("a", 1),
    ("an", 1),
    ("single", 1),
    ("once", 1),
    ("first", 1),
    ("second", 2),
    ("both", 2),
    ("twice", 2),
    ("double", 2),
    ("pair", 2),
    ("couple", 2),
    ("third", 3),
    ("triple", 3),
    ("fourth", 4),
    ("quarter", 4),
    ("quarters", 4),
    ("fifth", 5),
    ("sixth", 6),
    ("seventh", 7),
    ("eighth", 8),
    ("ninth", 9),
    ("tenth", 10),
    ("eleventh", 11),
    ("twelfth", 12),
    ("twentieth", 20),
    ("decade", 10),
    ("dozen", 12),
    ("half", 50),
    ("century", 100),
    ("thirds", 3),
    ("premier", 1),
    ("premiere", 1),
    ("seconde", 2),
    ("deuxieme", 2),
    ("moitie", 50),
    ("troisieme", 3),
    ("tiers", 3),
    ("quatrieme", 4),
    ("quart", 4),
    ("cinquieme", 5),
    ("sixieme", 6),
    ("septieme", 7),
    ("huitieme", 8),
    ("neuvieme", 9),
    ("dixieme", 10),
    ("onzieme", 11),
    ("douzieme", 12),
    ("dizaine", 10),
    ("douzaine", 12),
    ("quinzaine", 15),
    ("vingtaine", 20),
    ("trentaine", 30),
    ("cinquantaine", 50),
    ("centaine", 100),
    ("decennie", 10),
    ("siecle", 100),
    ("millier", 1_000),
    ("hundred", 100),
    ("hundreds", 100),
    ("thousand", 1_000),
    ("thousands", 1_000),
    ("milliers", 1_000),
];
/// Number words that mostly mean something else.
const DOUBTFUL: &[&str] = &["one", "un", "une", "neuf", "zero"];

/// What a word may be.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    english: Option<Atom>,
    french: Option<Atom>,
    hint: Option<u64>,
}

static WORDS: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let mut words: HashMap<&'static str, Entry> = HashMap::new();
    for (word, value) in ENGLISH {
        words.entry(word).or_default().english = Some(Atom::Add(*value));
    }
    for (word, value) in ENGLISH_TIMES {
        words.entry(word).or_default().english = Some(Atom::Times(*value));
    }
    for (word, value) in FRENCH {
        words.entry(word).or_default().french = Some(Atom::Add(*value));
    }
    for (word, value) in FRENCH_TIMES {
        words.entry(word).or_default().french = Some(Atom::Times(*value));
    }
    for (word, value) in HINTS {
        words.entry(word).or_default().hint = Some(*value);
    }
    words
});

/// The numbers in words that begin at piece `from`, each with the piece behind it: at most one a
/// language.
pub(crate) fn numbers(text: &Text<'_>, from: usize, reading: Reading) -> Vec<(u64, usize)> {
    match reading {
        Reading::Generous => {
            let mut found: Vec<_> = [Lang::Eng, Lang::Fra]
                .into_iter()
                .filter_map(|language| number(text, from, language))
                .filter(|found| found.kind != Kind::Scale)
                .map(|found| (found.value, found.end))
                .collect();
            found.dedup();
            found
        }
        Reading::Strict(Some(language)) => number(text, from, language)
            .filter(|found| found.kind == Kind::Number)
            .map(|found| (found.value, found.end))
            .into_iter()
            .collect(),
        Reading::Strict(None) => Vec::new(),
    }
}

/// A number in words.
struct Found {
    value: u64,
    end: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Surely a number.
    Number,
    /// A word that mostly means something else.
    Doubtful,
    /// A scale without a number: `millions of`.
    Scale,
}

/// The number in words of one language that begins at piece `from`.
fn number(text: &Text<'_>, from: usize, language: Lang) -> Option<Found> {
    let mut sum = Sum::default();
    let (mut at, mut end) = (from, from);
    let mut kind = Kind::Scale;
    while at < text.len() && (at == from || is_joint(text.gap(at))) {
        let word = text.folded(at);
        match atom(&word, language) {
            Some(atom) if sum.take(atom) => {
                kind = match atom {
                    _ if end > from => Kind::Number,
                    Atom::Times(_) if !matches!(word.as_str(), "cent" | "mille") => Kind::Scale,
                    Atom::Times(_) => Kind::Doubtful,
                    Atom::Add(_) if DOUBTFUL.contains(&word.as_str()) => Kind::Doubtful,
                    Atom::Add(_) => Kind::Number,
                };
                at += 1;
                end = at;
            }
            // "and" counts only when the number goes on behind it.
            None if end > from && at == end && is_and(&word) && sum.may_link() => at += 1,
            _ => break,
        }
    }
    (end > from).then_some(Found { value: sum.total + sum.current, end, kind })
}

/// The value that a word of a source hints at without being a number.
pub(crate) fn hint(folded: &str) -> Option<u64> {
    WORDS.get(folded).and_then(|entry| entry.hint)
}

/// Whether a folded word is part of a number in some language.
pub(crate) fn is_number_word(folded: &str) -> bool {
    WORDS.get(folded).is_some_and(|entry| entry.english.is_some() || entry.french.is_some())
}

fn atom(word: &str, language: Lang) -> Option<Atom> {
    let entry = WORDS.get(word)?;
    match language {
        Lang::Eng => entry.english,
        Lang::Fra => entry.french,
        _ => None,
    }
}

fn is_and(word: &str) -> bool {
    word == "and" || word == "et"
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
    /// Takes one more word; false where it begins another number.
    fn take(&mut self, atom: Atom) -> bool {
        match atom {
            Atom::Add(value) => self.add(value),
            Atom::Times(100) => self.hundred(),
            Atom::Times(scale) => self.scale_by(scale),
        }
    }

    fn add(&mut self, value: u64) -> bool {
        let tail = self.current % 100;
        if !self.open {
            self.current = value;
        } else if value == 20 && tail == 4 {
            // quatre-vingts
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
