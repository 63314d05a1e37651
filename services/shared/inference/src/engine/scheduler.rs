//! The plan of the next step: a pure decision on numbers.
//!
//! There is no prefill phase and no decode phase: every sequence has tokens, some of them computed,
//! and catches up under a budget of tokens a step. Sequences that are one token behind (they
//! decode) go first, so that long prompts never stall running answers. Chunks of admitted prompts
//! follow, then new sequences.
//!
//! Admission reserves the blocks of prompt and longest answer at once. So nothing is ever taken
//! back from a running sequence, nothing is computed twice, and there is no deadlock. The first in
//! line is never overtaken because it is large: if it does not fit yet, nothing is admitted. Among
//! waiting requests higher priority goes first, but a request that was overtaken [`MAX_OVERTAKEN`]
//! times goes before all others.

/// How often later requests of higher priority may overtake a waiting one.
pub(crate) const MAX_OVERTAKEN: u32 = 64;

/// Id of a sequence, for the engine's lifetime; ascending with arrival.
pub(crate) type SequenceId = u64;

/// A sequence that owns blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    pub(crate) id: SequenceId,
    /// Tokens of the sequence, prompt and answer.
    pub(crate) tokens: usize,
    /// Tokens whose keys and values are in the pool; always fewer than `tokens`.
    pub(crate) computed: usize,
}

/// A sequence that owns nothing yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) id: SequenceId,
    pub(crate) priority: i32,
    /// Later arrivals that were admitted before this one.
    pub(crate) overtaken: u32,
    /// Tokens of the prompt.
    pub(crate) tokens: usize,
    /// Blocks that prompt and longest answer take.
    pub(crate) blocks: usize,
}

/// The bounds of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepLimits {
    pub(crate) step_tokens: usize,
    pub(crate) max_sequences: usize,
}

/// Tokens to compute of one sequence, from the first that is not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) id: SequenceId,
    pub(crate) tokens: usize,
}

/// The admissions and the work of the next step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Waiting sequences that get their blocks now.
    pub(crate) admit: Vec<SequenceId>,
    /// The tokens that are computed.
    pub(crate) work: Vec<Work>,
}

/// Decides the next step.
pub(crate) fn plan(running: &[Running], waiting: &[Waiting], free_blocks: usize, limits: StepLimits) -> Plan {
    let mut plan = Plan::default();
    let mut budget = limits.step_tokens;
    let mut give = |work: &mut Vec<Work>, id: SequenceId, behind: usize| {
        let tokens = behind.min(budget);
        if tokens > 0 {
            budget -= tokens;
            work.push(Work { id, tokens });
        }
        budget
    };

    let behind = |sequence: &Running| sequence.tokens - sequence.computed;
    let (decoding, prefilling): (Vec<&Running>, Vec<&Running>) =
        running.iter().partition(|sequence| behind(sequence) == 1);
    for sequence in decoding.into_iter().chain(prefilling) {
        give(&mut plan.work, sequence.id, behind(sequence));
    }

    let mut line: Vec<&Waiting> = waiting.iter().collect();
    line.sort_by_key(|request| (request.overtaken < MAX_OVERTAKEN, std::cmp::Reverse(request.priority), request.id));
    // Overdue requests stand in order of arrival: among them priority no longer counts.
    let overdue = line.partition_point(|request| request.overtaken >= MAX_OVERTAKEN);
    line[..overdue].sort_by_key(|request| request.id);

    let mut free = free_blocks;
    let mut room = limits.max_sequences.saturating_sub(running.len());
    for request in line {
        let left = give(&mut plan.work, request.id, 0);
        if left == 0 || room == 0 || request.blocks > free {
            break;
        }
        free -= request.blocks;
        room -= 1;
        plan.admit.push(request.id);
        give(&mut plan.work, request.id, request.tokens);
    }
    plan
}

#[cfg(test)]
mod tests;
