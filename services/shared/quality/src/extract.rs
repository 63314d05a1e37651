//! `coverage`, `density`, `compression`: how much of the summary is the source's own words (Grusky,
//! Naaman and Artzi 2018, "Newsroom", section 4).
//!
//! The summary is cut greedily, from its first word on, into the longest fragments that occur in
//! the source. With |f| a fragment's words and |S|, |A| those of summary and source: coverage =
//! Σ|f| / |S|, density = Σ|f|² / |S|, compression = |A| / |S|. Words are folded; punctuation does
//! not count.
//!
//! The published procedure scans the source anew for every fragment and skips the words that it has
//! just compared. So it may miss the longest fragment where the source repeats itself; here it is
//! always the longest.
//!
//! The time is linear: a suffix automaton of the reversed summary reads the reversed source once.
//! At each position it holds the longest fragment of the summary that begins there, so afterwards
//! every state knows its longest match in the source.

use std::collections::HashMap;

use crate::spelling::PlainTexts;
use crate::text::Text;
use crate::{Check, CheckName, Input, Thresholds};

/// The three figures of Newsroom; all zero for an empty summary.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Extraction {
    /// Share of the summary's words in fragments of the source.
    pub coverage: f64,
    /// Mean length of the fragment that a word of the summary lies in.
    pub density: f64,
    /// Words of the source for each word of the summary.
    pub compression: f64,
}

/// The three figures of a summary against its source.
pub fn extraction(source: &str, summary: &str) -> Extraction {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let plain = PlainTexts::of(&Input { source, summary, ..Input::default() });
    let mut number = |text: &str| -> Vec<u32> {
        let text = Text::read(text);
        (0..text.len())
            .map(|index| {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                *numbers.entry(text.folded(index)).or_insert(next)
            })
            .collect()
    };
    let source = number(&plain.source);
    measure(&source, &number(&plain.summary))
}

/// Words of a summary that are looked for in the source: the automaton takes some 400 bytes for
/// each. A summary of more is none.
const MAX_COMPARED_WORDS: usize = 32 * 1024;

/// The three figures of texts given as numbers, one a word; equal words are equal numbers. Coverage
/// and density are those of the first [`MAX_COMPARED_WORDS`].
pub(crate) fn measure(source: &[u32], summary: &[u32]) -> Extraction {
    if summary.is_empty() {
        return Extraction::default();
    }
    let compression = source.len() as f64 / summary.len() as f64;
    let summary = &summary[..summary.len().min(MAX_COMPARED_WORDS)];
    let longest = longest_matches(source, summary);
    let (mut covered, mut squares, mut at) = (0, 0.0, 0);
    while at < summary.len() {
        let length = longest[at];
        covered += length;
        squares += (length as f64) * (length as f64);
        at += length.max(1);
    }
    let words = summary.len() as f64;
    Extraction { coverage: covered as f64 / words, density: squares / words, compression }
}

/// For each position of the summary, the length of the longest fragment that begins there and
/// occurs in the source.
fn longest_matches(source: &[u32], summary: &[u32]) -> Vec<usize> {
    let reversed: Vec<u32> = summary.iter().rev().copied().collect();
    let automaton = Automaton::of(&reversed);
    let by_prefix = automaton.matches(source.iter().rev().copied());
    // The prefix of the reversed summary that ends at i begins at len - 1 - i when read forwards.
    by_prefix.into_iter().rev().collect()
}

/// A suffix automaton (Blumer et al. 1985): its states are the classes of substrings that end at
/// the same positions.
struct Automaton {
    states: Vec<AutomatonState>,
    /// The state of each non-empty prefix.
    prefixes: Vec<usize>,
}

#[derive(Default, Clone)]
struct AutomatonState {
    /// Length of the longest substring of the class.
    length: usize,
    /// The class of the longest suffix outside this class; the root's is itself.
    link: usize,
    next: HashMap<u32, usize>,
}

const ROOT: usize = 0;

impl Automaton {
    fn of(words: &[u32]) -> Self {
        let mut automaton = Self { states: vec![AutomatonState::default()], prefixes: Vec::with_capacity(words.len()) };
        let mut last = ROOT;
        for word in words {
            last = automaton.extend(last, *word);
            automaton.prefixes.push(last);
        }
        automaton
    }

    fn extend(&mut self, last: usize, word: u32) -> usize {
        let new = self.states.len();
        self.states.push(AutomatonState { length: self.states[last].length + 1, ..AutomatonState::default() });
        let mut at = last;
        loop {
            if let Some(&target) = self.states[at].next.get(&word) {
                self.states[new].link = self.split(at, target, word);
                return new;
            }
            self.states[at].next.insert(word, new);
            if at == ROOT {
                return new;
            }
            at = self.states[at].link;
        }
    }

    /// The state for `at` followed by `word`, cloned off `target` if that one also holds longer
    /// substrings.
    fn split(&mut self, at: usize, target: usize, word: u32) -> usize {
        let length = self.states[at].length + 1;
        if self.states[target].length == length {
            return target;
        }
        let clone = self.states.len();
        self.states.push(AutomatonState { length, ..self.states[target].clone() });
        self.states[target].link = clone;
        let mut at = at;
        while self.states[at].next.get(&word) == Some(&target) {
            self.states[at].next.insert(word, clone);
            if at == ROOT {
                break;
            }
            at = self.states[at].link;
        }
        clone
    }

    /// For each prefix, the length of its longest suffix that occurs in `text`.
    fn matches(&self, text: impl Iterator<Item = u32>) -> Vec<usize> {
        let mut best = vec![0; self.states.len()];
        let (mut at, mut length) = (ROOT, 0);
        for word in text {
            (at, length) = self.step(at, length, word);
            best[at] = best[at].max(length);
        }
        let mut by_length: Vec<usize> = (1..self.states.len()).collect();
        by_length.sort_by_key(|state| self.states[*state].length);
        // A match of a class is a full match of every shorter class that it links to.
        for state in by_length.iter().rev() {
            let link = self.states[*state].link;
            if best[*state] > 0 {
                best[link] = self.states[link].length;
            }
        }
        // A class without a match of its own has that of its link.
        for state in by_length {
            if best[state] == 0 {
                best[state] = best[self.states[state].link];
            }
        }
        self.prefixes.iter().map(|state| best[*state]).collect()
    }

    /// Follows `word`, falling back to shorter matches until one goes on with it.
    fn step(&self, mut at: usize, mut length: usize, word: u32) -> (usize, usize) {
        loop {
            if let Some(&next) = self.states[at].next.get(&word) {
                return (next, length + 1);
            }
            if at == ROOT {
                return (ROOT, 0);
            }
            at = self.states[at].link;
            length = self.states[at].length;
        }
    }
}

pub(crate) fn coverage(extraction: &Extraction, thresholds: &Thresholds) -> Check {
    let passed = extraction.coverage >= thresholds.min_coverage;
    let detail = detail(passed, "words are not the source's", thresholds.min_coverage);
    Check::new(CheckName::Coverage, passed, Some(extraction.coverage), detail)
}

pub(crate) fn density(extraction: &Extraction, thresholds: &Thresholds) -> Check {
    let limit = thresholds.max_density.unwrap_or(f64::INFINITY);
    let passed = extraction.density <= limit;
    let detail = detail(passed, "copied in long fragments", limit);
    Check::new(CheckName::Density, passed, Some(extraction.density), detail)
}

pub(crate) fn compression(extraction: &Extraction, thresholds: &Thresholds) -> Check {
    let passed = extraction.compression >= thresholds.min_compression;
    let detail = detail(passed, "long for its source", thresholds.min_compression);
    Check::new(CheckName::Compression, passed, Some(extraction.compression), detail)
}

fn detail(passed: bool, problem: &str, limit: f64) -> String {
    if passed { String::new() } else { format!("{problem}: the limit is {limit}") }
}

#[cfg(test)]
mod tests;
