//! One request inside the engine.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::adapters::AdapterLease;
use super::prefix::PrefixShare;
use super::scheduler::{Running, SequenceId, Waiting};
use crate::decode::steer::Steering;
use crate::decode::stop::{AnswerLimits, StopRules, Verdict};
use crate::error::EngineError;
use crate::request::FinishReason;
use crate::step::{BLOCK_TOKENS, Choice, Restriction};

/// A request as the engine thread takes it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) prompt: Vec<u32>,
    /// First tokens of the prompt that other requests probably begin with too; 0 when that is not
    /// known.
    pub(crate) common_tokens: usize,
    pub(crate) limits: AnswerLimits,
    /// The rules beside the model's own choice; `None` for an answer that only the model decides.
    pub(crate) steering: Option<Steering>,
    pub(crate) priority: i32,
    /// The adapter that it is computed with, kept in memory until the answer is there.
    pub(crate) adapter: Option<AdapterLease>,
    /// The channel to the caller. If the caller's side is closed, the request is cancelled.
    pub(crate) reply: oneshot::Sender<Result<Generated, EngineError>>,
    /// The job's place in the queue, given up when it is admitted.
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

impl Job {
    /// Blocks that prompt and longest answer take.
    pub(crate) fn blocks(&self) -> usize {
        (self.prompt.len() + self.limits.max_new_tokens).div_ceil(BLOCK_TOKENS)
    }
}

/// The answer that the engine generated to a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Generated {
    /// Tokens of the answer, without the closing one and without repeats.
    pub(crate) ids: Vec<u32>,
    pub(crate) reason: FinishReason,
    /// Log-probability of every token that was generated, kept or not.
    pub(crate) logprobs: Vec<f32>,
}

/// A job with its state.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) id: SequenceId,
    job: Job,
    overtaken: u32,
    /// Prompt and answer.
    tokens: Vec<u32>,
    /// Tokens whose keys and values are in the pool.
    computed: usize,
    blocks: Vec<u32>,
    /// Number of the first blocks that belong to the prefix, not to this sequence.
    borrowed: usize,
    logprobs: Vec<f32>,
}

impl Sequence {
    pub(crate) fn new(id: SequenceId, mut job: Job) -> Self {
        let tokens = std::mem::take(&mut job.prompt);
        Self { id, overtaken: 0, tokens, computed: 0, blocks: Vec::new(), borrowed: 0, logprobs: Vec::new(), job }
    }

    pub(crate) fn running(&self) -> Running {
        Running { id: self.id, tokens: self.tokens.len(), computed: self.computed }
    }

    /// The sequence as the scheduler sees it while it waits, if it would share these tokens.
    pub(crate) fn waiting(&self, share: PrefixShare) -> Waiting {
        let blocks = (self.tokens.len() + self.job.limits.max_new_tokens).div_ceil(BLOCK_TOKENS);
        Waiting {
            id: self.id,
            priority: self.job.priority,
            overtaken: self.overtaken,
            tokens: self.tokens.len() - share.tokens,
            blocks: blocks - share.whole_blocks(),
        }
    }

    pub(crate) fn overtake(&mut self) {
        self.overtaken += 1;
    }

    /// Starts the sequence after `computed` tokens, in blocks of which the first `borrowed` belong
    /// to the prefix.
    pub(crate) fn admit(&mut self, blocks: Vec<u32>, borrowed: usize, computed: usize) {
        self.blocks = blocks;
        self.borrowed = borrowed;
        self.computed = computed;
        self.job.place = None;
    }

    /// Slot of its adapter.
    pub(crate) fn adapter(&self) -> Option<u32> {
        self.job.adapter.as_ref().map(|lease| lease.adapter.slot)
    }

    /// The sequence's blocks, in order of position.
    pub(crate) fn blocks(&self) -> &[u32] {
        &self.blocks
    }

    /// The blocks that belong to this sequence alone.
    pub(crate) fn own_blocks(&self) -> &[u32] {
        &self.blocks[self.borrowed..]
    }

    /// Whether it reads blocks of the prefix.
    pub(crate) fn borrows(&self) -> bool {
        self.borrowed > 0
    }

    /// Leaves the first blocks to the prefix, and goes on reading them.
    pub(crate) fn leave_to_prefix(&mut self, blocks: usize) {
        debug_assert_eq!(self.borrowed, 0, "these blocks are not its own");
        self.borrowed = blocks;
    }

    /// Prompt and answer so far.
    pub(crate) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The tokens that other requests begin with too, without the prompt's last one, which is
    /// always computed.
    pub(crate) fn common(&self) -> &[u32] {
        &self.tokens[..self.job.common_tokens.min(self.prompt_tokens() - 1)]
    }

    /// Whether the keys and values of all of [`Self::common`] are in the pool.
    pub(crate) fn has_computed_common(&self) -> bool {
        self.computed >= self.common().len()
    }

    pub(crate) fn cancelled(&self) -> bool {
        self.job.reply.is_closed()
    }

    /// The next `count` tokens to compute and the position of the first. Also the answer so far, if
    /// the token after them is wanted.
    pub(crate) fn next(&self, count: usize) -> (&[u32], usize, Option<&[u32]>) {
        let end = self.computed + count;
        let wanted = (end == self.tokens.len()).then(|| &self.tokens[self.prompt_tokens()..]);
        (&self.tokens[self.computed..end], self.computed, wanted)
    }

    /// The tokens that may not follow the next `count` tokens, if the token after them is wanted.
    pub(crate) fn restriction(&self, count: usize, rules: &StopRules) -> Option<Restriction> {
        let (_, _, wanted) = self.next(count);
        let steering = self.job.steering.as_ref()?;
        Some(steering.restriction(wanted?, self.job.limits, rules)).filter(|restriction| !restriction.is_empty())
    }

    fn prompt_tokens(&self) -> usize {
        self.tokens.len() - self.logprobs.len()
    }

    /// Takes the result of a step over `count` of the sequence's tokens. Returns the answer when
    /// that finished it.
    pub(crate) fn advance(&mut self, count: usize, choice: Option<Choice>, rules: &StopRules) -> Option<Generated> {
        self.computed += count;
        let choice = choice?;
        let prompt = self.prompt_tokens();
        self.tokens.push(choice.id);
        self.logprobs.push(choice.logprob);
        let answer = &self.tokens[prompt..];
        let verdict = match &self.job.steering {
            Some(steering) => steering.verdict(answer, self.job.limits, rules),
            None => rules.verdict(answer, self.job.limits),
        };
        match verdict {
            Verdict::Continue => None,
            Verdict::Finished { reason, keep } => {
                Some(Generated { ids: answer[..keep].to_vec(), reason, logprobs: self.logprobs.clone() })
            }
        }
    }

    /// Sends the answer to the caller, who may have gone.
    pub(crate) fn reply(self, answer: Result<Generated, EngineError>) {
        let _ = self.job.reply.send(answer);
    }
}
