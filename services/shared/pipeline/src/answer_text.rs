//! What of a model's answer is the summary: neither its reasoning nor a code fence around the
//! whole.
//!
//! Models that reason write down what they think before they answer, between tags that servers with
//! a parser for the model take away and others do not. What is taken away here stands at the
//! beginning:
//!
//! - blocks with both tags, such as `<think>…</think>` or `[THINK]…[/THINK]`, one or more;
//! - whatever stands before a closing tag whose opening tag was part of the prompt;
//! - the channels of gpt-oss before the last one that is named `final`.
//!
//! Reasoning without end is no answer. A tag within the answer stays: there are texts about such
//! tags.
//!
//! Control characters are no part of a summary: a model that writes some, or a server that pretends
//! to be one, would control the terminal of whoever reads it ([`without_controls`]).
//!
//! Time is linear in the length of the answer.
//!
//! A server may send far more than was asked for. A text beyond its bound is cut there and counts
//! as cut: the answer is paid for, so it is neither refused nor asked for again.

use std::borrow::Cow;

use precis_schemas::Answer;

mod reasoning;

/// The finish reason of an answer that is not whole.
pub const CUT: &str = "length";

/// Largest text of any answer, bytes: a third of what a record holds.
pub const MAX_ANSWER_BYTES: usize = 640 * 1_024;

/// Layers that are taken off at most, such as reasoning within a fence within a fence.
const MAX_LAYERS: usize = 4;

/// The summary in an answer, without white space around it; `None` where the answer ends before its
/// reasoning does.
pub fn of(answer: &str) -> Option<&str> {
    let mut text = answer.trim();
    for _ in 0..MAX_LAYERS {
        let inner = unfenced(reasoning::after(text)?);
        if inner.len() == text.len() {
            break;
        }
        text = inner;
    }
    Some(text)
}

/// The beginning of a text that is longer than `max_bytes`, or than any answer may be; `None` for a
/// text that is not.
pub fn cut(text: &str, max_bytes: usize) -> Option<&str> {
    let max_bytes = max_bytes.min(MAX_ANSWER_BYTES);
    (text.len() > max_bytes).then(|| text[..text.floor_char_boundary(max_bytes)].trim_end())
}

/// Cuts the text of a stored answer: older versions stored what a server sent.
pub fn bound(answer: &mut Answer, max_bytes: usize) {
    if let Some(kept) = cut(&answer.text, max_bytes).map(str::len) {
        answer.text.truncate(kept);
        CUT.clone_into(&mut answer.finish_reason);
    }
}

/// A summary with U+FFFD in place of each control character, so that what was there can be seen and
/// does nothing. Line breaks and tabs stay.
pub fn without_controls(summary: &str) -> Cow<'_, str> {
    let is_bad = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
    if summary.contains(is_bad) { Cow::Owned(summary.replace(is_bad, "\u{fffd}")) } else { Cow::Borrowed(summary) }
}

/// The text within the one fence (three or more backticks or tildes) that the whole consists of;
/// any other text as it is. The fence of an answer that was cut has no end.
fn unfenced(text: &str) -> &str {
    let Some(mark) = text.chars().next().filter(|mark| matches!(mark, '`' | '~')) else { return text };
    let fence = &text[..text.len() - text.trim_start_matches(mark).len()];
    if fence.len() < 3 {
        return text;
    }
    let Some((first, rest)) = text[fence.len()..].split_once('\n') else {
        // Opened and closed on one line.
        let inner = text[fence.len()..].strip_suffix(fence).unwrap_or(text);
        return if inner.contains(mark) { text } else { inner.trim() };
    };
    // A word, such as `markdown`, names the language; with more the line is text.
    if first.split_whitespace().count() > 1 || first.contains(mark) {
        return text;
    }
    let is_fence = |line: &str| line.trim().starts_with(fence);
    let is_end = |line: &str| is_fence(line) && line.trim().chars().all(|character| character == mark);
    let (inner, last) = rest.rsplit_once('\n').unwrap_or(("", rest));
    let inner = if is_end(last) { inner } else { rest };
    // More fences are blocks of the text.
    if inner.lines().any(is_fence) { text } else { inner.trim() }
}

#[cfg(test)]
mod tests;
