//! `repetition`: loops, as small models make them.
//!
//! Three signs, each of its own: a phrase of up to twelve words said three times at once over (a
//! single word four times), a sentence said twice, or a large share of the words in four-word
//! phrases that occurred before. The share is the value.

use std::collections::{HashMap, HashSet};

use crate::text::Text;
use crate::{Check, CheckName, Input, Thresholds};

/// Length of the phrases whose return is counted.
const PHRASE: usize = 4;
/// Longest phrase that is looked for at once over again.
const LONGEST_CYCLE: usize = 12;
/// Shortest sentence whose return is a fault: short ones may be headings.
const SENTENCE: usize = 5;
/// A single character this often in a row is no word.
const RUN: usize = 30;

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
        Some(format!("one character more than {RUN} times in a row"))
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

/// Share of words in phrases of [`PHRASE`] words that occurred before.
fn returning_share(words: &[usize]) -> f64 {
    if words.len() <= PHRASE {
        return 0.0;
    }
    let mut seen = HashSet::new();
    let mut returning = 0;
    let mut counted_to = 0;
    for (at, phrase) in words.windows(PHRASE).enumerate() {
        if !seen.insert(phrase) {
            let end = at + PHRASE;
            returning += end - counted_to.max(at);
            counted_to = end;
        }
    }
    returning as f64 / words.len() as f64
}

/// The shortest phrase that is said three times at once over, and how often it is.
fn cycle(words: &[usize]) -> Option<(usize, usize)> {
    for length in 1..=LONGEST_CYCLE.min(words.len()) {
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
        if range.len() >= SENTENCE {
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
        if run > RUN {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
