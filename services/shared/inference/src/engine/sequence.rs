//! One request inside the engine.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::prefix::Share;
use super::scheduler::{Running, SequenceId, Waiting};
use crate::decode::stop::{Limits, StopRules, Verdict};
use crate::error::EngineError;
use crate::request::FinishReason;
use crate::step::{BLOCK_TOKENS, Choice};

/// A request as the engine thread takes it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) prompt: Vec<u32>,
    /// How many of its first tokens other requests are likely to begin with too; 0 when that is not
    /// known.
    pub(crate) common_tokens: usize,
    pub(crate) limits: Limits,
    pub(crate) priority: i32,
    /// Where the answer goes. Closed by the other side: the request is cancelled.
    pub(crate) reply: oneshot::Sender<Result<Generated, EngineError>>,
    /// Its place in the queue, given up when it is admitted.
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

impl Job {
    /// Blocks that prompt and longest answer take.
    pub(crate) fn blocks(&self) -> usize {
        (self.prompt.len() + self.limits.max_new_tokens).div_ceil(BLOCK_TOKENS)
    }
}

/// What the engine made of a request.
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
    /// So many of the first blocks belong to the prefix, not to this sequence.
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

    /// How it stands in line when it would share this much.
    pub(crate) fn waiting(&self, share: Share) -> Waiting {
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

    /// Starts it after `computed` tokens, in blocks of which the first `borrowed` are the prefix's.
    pub(crate) fn admit(&mut self, blocks: Vec<u32>, borrowed: usize, computed: usize) {
        self.blocks = blocks;
        self.borrowed = borrowed;
        self.computed = computed;
        self.job.place = None;
    }

    /// Its blocks, in order of position.
    pub(crate) fn blocks(&self) -> &[u32] {
        &self.blocks
    }

    /// Those of them that nobody else has.
    pub(crate) fn own_blocks(&self) -> &[u32] {
        &self.blocks[self.borrowed..]
    }

    /// Whether it reads blocks of the prefix.
    pub(crate) fn borrows(&self) -> bool {
        self.borrowed > 0
    }

    /// Leaves its first blocks to the prefix, and goes on reading them.
    pub(crate) fn leave(&mut self, blocks: usize) {
        debug_assert_eq!(self.borrowed, 0, "these blocks are not its own");
        self.borrowed = blocks;
    }

    /// Prompt and answer so far.
    pub(crate) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The tokens that other requests begin with too and that a prefix could spare it: all but the
    /// last of its prompt at most.
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

    /// The next `count` tokens to compute, the position of the first, and the answer so far if the
    /// token after them is wanted.
    pub(crate) fn next(&self, count: usize) -> (&[u32], usize, Option<&[u32]>) {
        let end = self.computed + count;
        let wanted = (end == self.tokens.len()).then(|| &self.tokens[self.prompt_tokens()..]);
        (&self.tokens[self.computed..end], self.computed, wanted)
    }

    fn prompt_tokens(&self) -> usize {
        self.tokens.len() - self.logprobs.len()
    }

    /// Takes the result of a step over `count` of its tokens; the answer when that finished it.
    pub(crate) fn advance(&mut self, count: usize, choice: Option<Choice>, rules: &StopRules) -> Option<Generated> {
        self.computed += count;
        let choice = choice?;
        let prompt = self.prompt_tokens();
        self.tokens.push(choice.id);
        self.logprobs.push(choice.logprob);
        let answer = &self.tokens[prompt..];
        match rules.verdict(answer, self.job.limits) {
            Verdict::Continue => None,
            Verdict::Finished { reason, keep } => {
                Some(Generated { ids: answer[..keep].to_vec(), reason, logprobs: self.logprobs.clone() })
            }
        }
    }

    /// Answers the caller, who may have gone.
    pub(crate) fn reply(self, answer: Result<Generated, EngineError>) {
        let _ = self.job.reply.send(answer);
    }
}
