//! A model for tests of everything around models.
//!
//! It keeps a real paged pool, but of token ids: a step writes its rows to their slots, and each
//! answer is a hash of the ids that the sequence's blocks hold then. So a wrong slot, a block with
//! two owners or a skipped position changes the answer.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use tokio::sync::{Semaphore, mpsc};

use super::adapters::AdapterCache;
use super::core::Core;
use super::metrics::Counters;
use super::scheduler::StepLimits;
use super::worker::run;
use super::{Engine, ModelInfo, Shared};
use crate::decode::steer::SteeringRules;
use crate::decode::stop::StopRules;
use crate::decode::tokens::TokenClasses;
use crate::step::{Adapter, BLOCK_TOKENS, BackendError, Batch, Choice, StepModel};
use crate::text::template::Template;

/// The content of slots that were never written, and of forgotten ones.
const NOTHING: u32 = u32::MAX;
pub(crate) const END: u32 = 0;
/// A prompt with this token makes every step it is in fail.
pub(crate) const POISON: u32 = 666;
/// A prompt with this token makes every step it is in panic.
pub(crate) const BOMB: u32 = 667;
/// A prompt with this token has logits that are not numbers.
pub(crate) const NOT_A_NUMBER: u32 = 668;

/// An answer to a prompt with this token ends only at its limit: `~` in the tiny vocabulary.
pub(crate) const ENDLESS: u32 = b'~' as u32;

/// Sizes of the steps that were computed: tokens and sequences.
pub(crate) type Steps = Rc<RefCell<Vec<(usize, usize)>>>;

pub(crate) struct FakeModel {
    slots: Vec<u32>,
    pub(crate) steps: Steps,
    pub(crate) broken: bool,
    /// Slots that hold an adapter.
    pub(crate) adapters: BTreeSet<u32>,
}

impl FakeModel {
    pub(crate) fn new(blocks: usize) -> Self {
        Self {
            slots: vec![NOTHING; blocks * BLOCK_TOKENS],
            steps: Steps::default(),
            broken: false,
            adapters: BTreeSet::new(),
        }
    }
}

/// The rules its answers end by.
pub(crate) fn rules() -> StopRules {
    let detokeniser = Arc::clone(crate::testing::tokenizer("smollm").detokeniser());
    StopRules { endings: vec![END], detokeniser, begins_in_reasoning: false }
}

/// The token that follows these tokens.
pub(crate) fn next(tokens: &[u32]) -> Choice {
    let hash = tokens.iter().fold(0x811c_9dc5_u32, |hash, id| (hash ^ id).wrapping_mul(0x0100_0193));
    let spread = (hash >> 8) % 40;
    Choice {
        id: if spread == 0 && !tokens.contains(&ENDLESS) { END } else { 60 + spread },
        logprob: -((hash % 97) as f32) / 97.0,
    }
}

/// The token that follows these tokens with an adapter: with each adapter another.
fn next_with(adapter: Option<u32>, tokens: &[u32]) -> Choice {
    match adapter {
        Some(slot) => next(&[tokens, &[1000 + slot]].concat()),
        None => next(tokens),
    }
}

/// The answer to a prompt, computed alone and without an engine.
pub(crate) fn answer(prompt: &[u32], max_new_tokens: usize) -> Vec<u32> {
    answer_with(None, prompt, max_new_tokens)
}

/// The same with the adapter of this slot.
pub(crate) fn answer_with(adapter: Option<u32>, prompt: &[u32], max_new_tokens: usize) -> Vec<u32> {
    let mut tokens = prompt.to_vec();
    while tokens.len() - prompt.len() < max_new_tokens {
        let id = next_with(adapter, &tokens).id;
        tokens.push(id);
        if id == END {
            break;
        }
    }
    tokens[prompt.len()..].to_vec()
}

impl StepModel for FakeModel {
    fn step(&mut self, batch: &Batch) -> Result<Vec<Choice>, BackendError> {
        self.steps.borrow_mut().push((batch.ids.len(), batch.spans.len()));
        for (slot, id) in batch.slots.iter().zip(&batch.ids) {
            self.slots[*slot as usize] = *id;
        }
        let mut choices = Vec::new();
        for span in &batch.spans {
            let tokens: Vec<u32> = (0..span.context)
                .map(|at| self.slots[span.blocks[at / BLOCK_TOKENS] as usize * BLOCK_TOKENS + at % BLOCK_TOKENS])
                .collect();
            assert!(!tokens.contains(&NOTHING), "a sequence reads what nobody wrote for it");
            assert!(!tokens.contains(&BOMB), "a bomb went off");
            assert!(span.adapter.is_none_or(|slot| self.adapters.contains(&slot)), "an adapter was not loaded");
            if self.broken || tokens.contains(&POISON) {
                return Err(BackendError("poison".into()));
            }
            if batch.logit_rows.contains(&((span.start + span.len - 1) as u32)) {
                let choice = next_with(span.adapter, &tokens);
                let logprob = if tokens.contains(&NOT_A_NUMBER) { f32::NAN } else { choice.logprob };
                choices.push(Choice { logprob, ..choice });
            }
        }
        Ok(choices)
    }

    fn copy_block(&mut self, from: u32, to: u32) -> Result<(), BackendError> {
        let start = from as usize * BLOCK_TOKENS;
        self.slots.copy_within(start..start + BLOCK_TOKENS, to as usize * BLOCK_TOKENS);
        Ok(())
    }

    fn forget(&mut self, blocks: &[u32]) -> Result<(), BackendError> {
        for block in blocks {
            let start = *block as usize * BLOCK_TOKENS;
            self.slots[start..start + BLOCK_TOKENS].fill(NOTHING);
        }
        Ok(())
    }

    fn load_adapter(&mut self, slot: u32, _: &Arc<Adapter>) -> Result<(), BackendError> {
        self.adapters.insert(slot);
        Ok(())
    }

    fn drop_adapter(&mut self, slot: u32) {
        assert!(self.adapters.remove(&slot), "an adapter was dropped that was not there");
    }
}

/// An engine over the fake model and the tiny vocabulary, for sequences of `limit_tokens`.
pub(crate) fn engine(limit_tokens: usize, window_tokens: usize) -> Engine {
    engine_with(limit_tokens, window_tokens, 65_536)
}

/// The same, which computes nothing before so many requests wait: they all start in its first step.
pub(crate) fn engine_of_crowd(limit_tokens: usize, first_requests: usize) -> Engine {
    started(limit_tokens, 0, 65_536, first_requests)
}

pub(crate) fn engine_with(limit_tokens: usize, window_tokens: usize, queue_tokens: usize) -> Engine {
    started(limit_tokens, window_tokens, queue_tokens, 0)
}

fn started(limit_tokens: usize, window_tokens: usize, queue_tokens: usize, first_requests: usize) -> Engine {
    const TEMPLATE: &str = "{% for message in messages %}[{{ message['content'] }}]{% endfor %}";
    let tokenizer = crate::testing::tokenizer("smollm");
    let template = Template::new(TEMPLATE, &tokenizer).expect("the template above is sound");
    let counters = Arc::new(Counters::default());
    let (inbox, messages) = mpsc::unbounded_channel();
    let theirs = Arc::clone(&counters);
    thread::spawn(move || {
        let blocks = 2 * limit_tokens / BLOCK_TOKENS;
        let limits = StepLimits { step_tokens: 64, max_sequences: 8 };
        while messages.len() < first_requests {
            thread::yield_now();
        }
        run(Core::new(FakeModel::new(blocks), limits, rules(), blocks, theirs), messages);
    });
    let info = ModelInfo {
        name: "fake".into(),
        revision: "1".into(),
        quantisation: "none".into(),
        sha256: String::new(),
        limit_tokens,
        repetition_penalty: 1.0,
        device_weights: None,
        decoding: "none".into(),
    };
    let queue = Arc::new(Semaphore::new(queue_tokens));
    let adapters = AdapterCache::new(None, 0, inbox.clone());
    // Its answers are a hash of what it read, which no rule may change.
    let steering = SteeringRules {
        classes: Arc::new(TokenClasses::new(Arc::clone(tokenizer.detokeniser()), tokenizer.endings().to_vec())),
        numbers_from_source: false,
        names_from_source: false,
        no_repeat_tokens: 0,
        whole_sentences: false,
    };
    let shared = Shared {
        inbox,
        queue,
        queue_tokens,
        tokenizer,
        template,
        steering,
        window_tokens,
        info,
        counters,
        kv_bytes: 0,
        adapters,
    };
    Engine { shared: Arc::new(shared) }
}
