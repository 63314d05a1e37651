//! `empty` and `length`: whether there is a summary, and whether it is as short as requested.

use crate::text::count_words;
use crate::{Check, CheckName, Input, Thresholds};

pub(crate) fn empty(input: &Input<'_>, thresholds: &Thresholds) -> Check {
    let words = count_words(input.summary);
    let least = input.max_words.map_or(thresholds.min_words, |max| max.min(thresholds.min_words)).max(1);
    let passed = words >= least as usize;
    let detail = if passed { String::new() } else { format!("{words} words, at least {least} expected") };
    Check::new(CheckName::Empty, passed, Some(words as f64), detail)
}

pub(crate) fn length(input: &Input<'_>, thresholds: &Thresholds) -> Check {
    let words = count_words(input.summary);
    let limit = input.max_words.map(|max| (f64::from(max) * (1.0 + thresholds.length_tolerance.max(0.0))).floor());
    let passed = limit.is_none_or(|limit| words as f64 <= limit);
    let detail = match (passed, input.max_words) {
        (false, Some(max)) => format!("{words} words, {max} asked for"),
        _ => String::new(),
    };
    Check::new(CheckName::Length, passed, Some(words as f64), detail)
}

#[cfg(test)]
mod tests;
