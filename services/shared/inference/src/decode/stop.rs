//! When an answer ends.
//!
//! Besides the model's own word for it and the limit there is a third end: small models fall into
//! loops. Three equal pieces in a row at the end of the answer, each 8 to 64 tokens long, are no
//! summary, nor are the same 12 tokens in three places; what was written up to the end of the first
//! of them is kept. And a request may ask for one paragraph: then the first blank line after some
//! text, and after the model's reasoning, ends the answer, since what small models write after it
//! is mostly the same again.

use std::sync::Arc;

use crate::request::{End, FinishReason};
use crate::text::detokenise::Detokeniser;
use crate::text::reasoning::Tag;

/// Shortest piece whose threefold repetition is a loop: shorter ones occur in tables and lists of
/// figures.
const SHORTEST: usize = 8;
/// Longest piece looked for.
const LONGEST: usize = 64;
/// A run of so many tokens that stands in the answer as often makes a loop too, wherever it stands.
const PHRASE: usize = 12;
/// Equal pieces that make a loop.
const REPEATS: usize = 3;

/// What ends answers of a model.
#[derive(Debug, Clone)]
pub(crate) struct StopRules {
    /// Ids that end an answer.
    pub(crate) endings: Vec<u32>,
    /// What tokens look like.
    pub(crate) detokeniser: Arc<Detokeniser>,
    /// Whether an answer begins within reasoning that the prompt has opened.
    pub(crate) begins_in_reasoning: bool,
}

/// What ends one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The most tokens.
    pub(crate) max_new_tokens: usize,
    /// What else ends it.
    pub(crate) end: End,
}

/// What an answer's last token means for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is more to come.
    Continue,
    /// It is done; the first `keep` tokens are the answer.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Tokens that are text of the answer.
        keep: usize,
    },
}

impl StopRules {
    /// Looks at an answer after each token.
    pub(crate) fn verdict(&self, answer: &[u32], limits: Limits) -> Verdict {
        if limits.end == End::AtLimit {
            return match answer.len() >= limits.max_new_tokens {
                true => Verdict::Finished { reason: FinishReason::Length, keep: answer.len() },
                false => Verdict::Continue,
            };
        }
        if answer.last().is_some_and(|last| self.endings.contains(last)) {
            return Verdict::Finished { reason: FinishReason::Stop, keep: answer.len() - 1 };
        }
        if limits.end == End::Paragraph
            && self.ends_with_blank_line(answer)
            && self.ends_with_blank_line(self.after_reasoning(answer))
        {
            return Verdict::Finished { reason: FinishReason::Stop, keep: answer.len() };
        }
        if let Some(keep) = loop_start(answer).or_else(|| first_of_repeated_phrase(answer)) {
            return Verdict::Finished { reason: FinishReason::Repetition, keep };
        }
        if answer.len() >= limits.max_new_tokens {
            return Verdict::Finished { reason: FinishReason::Length, keep: answer.len() };
        }
        Verdict::Continue
    }

    /// What stands after the reasoning; nothing while that goes on.
    fn after_reasoning<'a>(&self, answer: &'a [u32]) -> &'a [u32] {
        let tags = answer.iter().enumerate().rev().filter_map(|(at, id)| Some((at, self.detokeniser.tag(*id)?)));
        match tags.into_iter().next() {
            Some((at, Tag::Closes)) => &answer[at + 1..],
            Some((_, Tag::Opens)) => &[],
            None if self.begins_in_reasoning => &[],
            None => answer,
        }
    }

    /// Whether text and then two line ends with nothing but space between them stand at the end.
    fn ends_with_blank_line(&self, answer: &[u32]) -> bool {
        let mut line_ends = 0;
        for id in answer.iter().rev() {
            let bytes = self.detokeniser.bytes(*id);
            let text = bytes.iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(0, |at| at + 1);
            line_ends += bytes[text..].split(|byte| *byte == b'\n').count() - 1;
            if text > 0 {
                return line_ends >= 2;
            }
        }
        false
    }
}

/// End of the first of the equal pieces at the end of `answer`, if there are such.
fn loop_start(answer: &[u32]) -> Option<usize> {
    let longest = LONGEST.min(answer.len() / REPEATS);
    (SHORTEST..=longest).find_map(|length| {
        let tail = &answer[answer.len() - REPEATS * length..];
        let looping = tail[length..].iter().zip(tail).all(|(later, earlier)| later == earlier);
        looping.then_some(answer.len() - (REPEATS - 1) * length)
    })
}

/// End of the first place where the last tokens of `answer` stand, if there are enough such places
/// that do not overlap.
fn first_of_repeated_phrase(answer: &[u32]) -> Option<usize> {
    let phrase = answer.last_chunk::<PHRASE>()?;
    let mut ends = Vec::new();
    for (at, tokens) in answer.windows(PHRASE).enumerate() {
        if tokens == phrase && ends.last().is_none_or(|end| *end <= at) {
            ends.push(at + PHRASE);
        }
    }
    (ends.len() >= REPEATS).then(|| ends[0])
}

#[cfg(test)]
mod tests;
