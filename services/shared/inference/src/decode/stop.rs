//! When an answer ends.
//!
//! Besides the model's own word for it and the limit there is a third end: small models fall into loops. Three equal pieces
//! in a row at the end of the answer, each 8 to 64 tokens long, are no summary; what was written up to the end of the first
//! piece is kept.

use crate::request::FinishReason;

/// Shortest piece whose threefold repetition is a loop: shorter ones occur in tables and lists of figures.
const SHORTEST: usize = 8;
/// Longest piece looked for.
const LONGEST: usize = 64;
/// Equal pieces in a row that make a loop.
const REPEATS: usize = 3;

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

/// Looks at an answer after each token.
pub(crate) fn verdict(answer: &[u32], endings: &[u32], max_new_tokens: usize) -> Verdict {
    if answer.last().is_some_and(|last| endings.contains(last)) {
        return Verdict::Finished { reason: FinishReason::Stop, keep: answer.len() - 1 };
    }
    if let Some(keep) = loop_start(answer) {
        return Verdict::Finished { reason: FinishReason::Repetition, keep };
    }
    if answer.len() >= max_new_tokens {
        return Verdict::Finished { reason: FinishReason::Length, keep: answer.len() };
    }
    Verdict::Continue
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

#[cfg(test)]
mod tests;
