//! When an answer ends.
//!
//! The model may end its answer, the limit may end it, and a loop ends it: small models fall into
//! loops. Three equal runs of 8 to 64 tokens at the end of the answer are a loop, and so are the
//! same 12 tokens in three places. The text up to the end of the first of them is kept.
//!
//! A request may ask for one paragraph. Then the first blank line after some text, and after the
//! model's reasoning, ends the answer: small models mostly write the same again after it.

use std::sync::Arc;

use crate::request::{End, FinishReason};
use crate::text::detokenise::Detokeniser;
use crate::text::reasoning::ReasoningTag;

/// Shortest run whose threefold repetition is a loop: shorter ones occur in tables and lists of
/// figures.
const MIN_LOOP_TOKENS: usize = 8;
/// Longest run that can be found as a loop.
const MAX_LOOP_TOKENS: usize = 64;
/// Tokens of a phrase that is a loop when it stands in [`LOOP_REPEATS`] places of the answer.
const PHRASE_TOKENS: usize = 12;
/// Equal runs, or places of a phrase, that make a loop.
const LOOP_REPEATS: usize = 3;

/// The rules that end a model's answers.
#[derive(Debug, Clone)]
pub(crate) struct StopRules {
    /// Ids that end an answer.
    pub(crate) endings: Vec<u32>,
    /// The bytes of every token.
    pub(crate) detokeniser: Arc<Detokeniser>,
    /// Whether an answer begins within reasoning that the prompt has opened.
    pub(crate) begins_in_reasoning: bool,
}

/// The limits of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AnswerLimits {
    /// The most tokens.
    pub(crate) max_new_tokens: usize,
    /// What ends the answer before that.
    pub(crate) end: End,
}

/// Whether an answer goes on after its last token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The answer goes on.
    Continue,
    /// The answer is done; its text is the first `keep` tokens.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Tokens that are text of the answer.
        keep: usize,
    },
}

impl StopRules {
    /// Judges an answer after each token.
    pub(crate) fn verdict(&self, answer: &[u32], limits: AnswerLimits) -> Verdict {
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

    /// The tokens after the reasoning; none while the reasoning goes on.
    pub(crate) fn after_reasoning<'a>(&self, answer: &'a [u32]) -> &'a [u32] {
        let tags = answer.iter().enumerate().rev().filter_map(|(at, id)| Some((at, self.detokeniser.tag(*id)?)));
        match tags.into_iter().next() {
            Some((at, ReasoningTag::Closes)) => &answer[at + 1..],
            Some((_, ReasoningTag::Opens)) => &[],
            None if self.begins_in_reasoning => &[],
            None => answer,
        }
    }

    /// Whether the answer so far is reasoning that goes on.
    pub(crate) fn is_reasoning(&self, answer: &[u32]) -> bool {
        let last = answer.iter().rev().find_map(|id| self.detokeniser.tag(*id));
        last.map_or(self.begins_in_reasoning, |tag| tag == ReasoningTag::Opens)
    }

    /// Whether the answer ends with text, then two line ends with nothing but space between them.
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

/// End of the first of the equal runs at the end of `answer`, if there are such runs.
fn loop_start(answer: &[u32]) -> Option<usize> {
    let longest = MAX_LOOP_TOKENS.min(answer.len() / LOOP_REPEATS);
    (MIN_LOOP_TOKENS..=longest).find_map(|length| {
        let tail = &answer[answer.len() - LOOP_REPEATS * length..];
        let looping = tail[length..].iter().zip(tail).all(|(later, earlier)| later == earlier);
        looping.then_some(answer.len() - (LOOP_REPEATS - 1) * length)
    })
}

/// End of the first place where the last tokens of `answer` stand, if there are enough places that
/// do not overlap.
fn first_of_repeated_phrase(answer: &[u32]) -> Option<usize> {
    let phrase = answer.last_chunk::<PHRASE_TOKENS>()?;
    let mut ends = Vec::new();
    for (at, tokens) in answer.windows(PHRASE_TOKENS).enumerate() {
        if tokens == phrase && ends.last().is_none_or(|end| *end <= at) {
            ends.push(at + PHRASE_TOKENS);
        }
    }
    (ends.len() >= LOOP_REPEATS).then(|| ends[0])
}

#[cfg(test)]
mod tests;
