//! `truncated`: generation was cut, or the last sentence does not end.

use crate::text::is_unspaced;
use crate::{Check, CheckName, Format, Input};

/// Marks after which a text may end, before closing quotes and brackets.
const FINAL_MARKS: &[char] = &['.', '!', '?', '…', '。', '！', '？', '؟', '۔', '।', '॥', '։', '።'];
/// Characters that may follow the final mark: quotes, brackets, the marks of Markdown's emphasis.
const CLOSING_MARKS: &[char] = &['"', '\'', '”', '’', '»', '›', ')', ']', '}', '*', '_', '`', '」', '』', '）'];
/// Marks after which a text goes on.
const OPEN_MARKS: &[char] = &[',', ';', ':', '-', '–', '—', '(', '[', '{', '/', '&', '«', '“', '‘', '、', '，'];

pub(crate) fn check(input: &Input<'_>) -> Check {
    let problem = if input.finish_reason == "length" {
        Some("generation stopped at its token limit")
    } else {
        unfinished(input.summary, input.format)
    };
    Check::new(CheckName::Truncated, problem.is_none(), None, problem.unwrap_or_default().to_owned())
}

/// Whether a text in sentences ends as one does: the check `truncated` of a paragraph, without the
/// finish reason.
pub fn is_finished(text: &str) -> bool {
    unfinished(text, Format::Paragraph).is_none()
}

fn unfinished(summary: &str, format: Format) -> Option<&'static str> {
    let text = summary.trim_end();
    let core = text.trim_end_matches(|c: char| CLOSING_MARKS.contains(&c) || c.is_whitespace());
    // A text of nothing but closing marks is left to the check `empty`.
    let last = core.chars().next_back()?;
    if FINAL_MARKS.contains(&last) {
        return None;
    }
    if OPEN_MARKS.contains(&last) {
        return Some("the last sentence is not finished");
    }
    let line = text.lines().next_back().unwrap_or_default();
    // A point of a list needs no full stop, nor does a script without spaces.
    if format == Format::Bullets || is_list_item(line) || is_unspaced(last) {
        return None;
    }
    Some("the last sentence does not end")
}

/// `- point`, `• point`, `3. point`, `b) point`.
fn is_list_item(line: &str) -> bool {
    let line = line.trim_start();
    if line.starts_with(['-', '*', '•', '–', '—', '·', '▪', '◦', '‣']) {
        return true;
    }
    line.split_once(['.', ')']).is_some_and(|(marker, rest)| {
        let digits = marker.chars().all(|c| c.is_ascii_digit());
        let letter = marker.chars().count() == 1;
        !marker.is_empty() && marker.len() <= 3 && (digits || letter) && rest.starts_with(' ')
    })
}

#[cfg(test)]
mod tests;
