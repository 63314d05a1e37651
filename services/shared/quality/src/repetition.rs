//! `repetition`: whether the summary has loops, as small models write them.
//!
//! Each of three signs fails the check: a phrase of up to twelve words three times in a row (a
//! single word four times), a sentence twice, or a large share of the words in four-word phrases
//! that occurred before. The share is the value.

use std::collections::{HashMap, HashSet};

use crate::text::Text;
use crate::{Check, CheckName, Input, Thresholds};

/// Words of the phrases whose return is counted.
const PHRASE_WORDS: usize = 4;
/// Words of the longest phrase that is found when it stands several times in a row.
const MAX_CYCLE_WORDS: usize = 12;
/// Words of the shortest sentence whose return is a fault: shorter ones may be headings.
const MIN_SENTENCE_WORDS: usize = 5;
/// The most times that one character may stand in a row in a word.
const MAX_CHARACTER_RUN: usize = 30;

pub(crate) fn check(input: &Input<'_>, summary: &Text<'_>, thresholds: &Thresholds) -> Check {
    let words = numbered(summary);
    let share = returning_share(&words);
    let problem = if input.finish_reason == "repetition" {
        Some("generation was stopped in a loop".to_owned())
    } else if let Some((length, times)) = cycle(&words) {
        Some(format!("a phrase of {length} words {times} times at once"))
    } else if let Some(times) = repeated_sentence(summary, &words) {
        Some(format!("a sentence {times} times"))
    } else if has_long_run(input.summary) {
        Some(format!("one character more than {MAX_CHARACTER_RUN} times in a row"))
    } else if share > thresholds.max_repetition {
        Some(format!("{:.0} % of the words in phrases that occurred before", share * 100.0))
    } else {
        None
    };
    Check::new(CheckName::Repetition, problem.is_none(), Some(share), problem.unwrap_or_default())
}

/// Words as numbers, equal words as equal ones.
fn numbered(summary: &Text<'_>) -> Vec<usize> {
    let mut seen = HashMap::new();
    (0..summary.len())
        .map(|index| {
            let next = seen.len();
            *seen.entry(summary.folded(index)).or_insert(next)
        })
        .collect()
}

/// Share of words in phrases of [`PHRASE_WORDS`] words that occurred before.
fn returning_share(words: &[usize]) -> f64 {
    if words.len() <= PHRASE_WORDS {
        return 0.0;
    }
    let mut seen = HashSet::new();
    let mut returning = 0;
    let mut counted_to = 0;
    for (at, phrase) in words.windows(PHRASE_WORDS).enumerate() {
        if !seen.insert(phrase) {
            let end = at + PHRASE_WORDS;
            returning += end - counted_to.max(at);
            counted_to = end;
        }
    }
    returning as f64 / words.len() as f64
}

/// The shortest phrase that stands three times in a row, its words, and how often it stands there.
fn cycle(words: &[usize]) -> Option<(usize, usize)> {
    for length in 1..=MAX_CYCLE_WORDS.min(words.len()) {
        let least = if length == 1 { 4 } else { 3 };
        let mut run = 0;
        let mut longest = 0;
        for (before, word) in words.iter().zip(&words[length..]) {
            run = if before == word { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        let times = longest / length + 1;
        if times >= least {
            return Some((length, times));
        }
    }
    None
}

/// How often the most frequent sentence is said, if more than once.
fn repeated_sentence(summary: &Text<'_>, words: &[usize]) -> Option<usize> {
    let mut counts: HashMap<&[usize], usize> = HashMap::new();
    for range in summary.sentences() {
        if range.len() >= MIN_SENTENCE_WORDS {
            *counts.entry(&words[range]).or_default() += 1;
        }
    }
    counts.into_values().max().filter(|times| *times > 1)
}

fn has_long_run(text: &str) -> bool {
    let mut run = 0;
    let mut before = None;
    for character in text.chars().filter(|c| c.is_alphanumeric()) {
        run = if before == Some(character) { run + 1 } else { 1 };
        before = Some(character);
        if run > MAX_CHARACTER_RUN {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
