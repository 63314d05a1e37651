//! The engine without its thread: it takes jobs, computes step by step, and answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::blocks::BlockPool;
use super::isolate::{StepInput, StepOutcome, compute};
use super::metrics::{Counters, StepCounts};
use super::prefix::{MIN_SHARED_TOKENS, PrefixShare, Prefixes};
use super::scheduler::{Plan, SequenceId, StepLimits, Work, plan};
use super::sequence::{Generated, Job, Sequence};
use crate::decode::stop::StopRules;
use crate::error::EngineError;
use crate::step::{BLOCK_TOKENS, Restriction, StepModel};

/// A token that every vocabulary has.
const PROBE_TOKEN: u32 = 0;
/// The share of the pool's blocks that the pinned prefixes of adapters may hold together: one in so
/// many.
const MAX_PREFIX_SHARE: usize = 4;

type Answer = Result<Generated, EngineError>;

/// All requests inside the engine, the pool, and the model.
pub(crate) struct Core<M> {
    model: M,
    limits: StepLimits,
    rules: StopRules,
    blocks: BlockPool,
    prefix: Prefixes,
    /// In order of arrival.
    waiting: Vec<Sequence>,
    running: BTreeMap<SequenceId, Sequence>,
    next_id: SequenceId,
    counters: Arc<Counters>,
}

impl<M: StepModel> Core<M> {
    pub(crate) fn new(model: M, limits: StepLimits, rules: StopRules, blocks: usize, counters: Arc<Counters>) -> Self {
        Self {
            model,
            limits,
            rules,
            blocks: BlockPool::new(blocks),
            prefix: Prefixes::default(),
            waiting: Vec::new(),
            running: BTreeMap::new(),
            next_id: 0,
            counters,
        }
    }

    /// Takes a job into the queue. The caller's side of the engine refuses jobs that could never be
    /// admitted; this checks once more, since such a job would block the queue for ever.
    pub(crate) fn accept(&mut self, job: Job) {
        if job.prompt.is_empty() || job.limits.max_new_tokens == 0 || job.blocks() > self.blocks.total() {
            let error = EngineError::InvalidRequest { reason: "it is empty or larger than the key-value pool".into() };
            let _ = job.reply.send(Err(error));
            return;
        }
        if let Some(lease) = &job.adapter
            && let Err(error) = self.model.load_adapter(lease.adapter.slot, &lease.adapter.factors)
        {
            let _ = job.reply.send(Err(EngineError::StepFailed { reason: error.to_string() }));
            return;
        }
        self.waiting.push(Sequence::new(self.next_id, job));
        self.next_id += 1;
        self.publish();
    }

    /// Gives up an adapter that no request uses any more, and the beginning computed with it.
    pub(crate) fn drop_adapter(&mut self, slot: u32) {
        let blocks = self.prefix.remove(Some(slot));
        self.free(&blocks);
        self.model.drop_adapter(slot);
        self.publish();
    }

    /// Whether there is nothing to compute.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Computes one step. An error means that the device is broken: nothing more can be computed.
    pub(crate) fn run_step(&mut self) -> Result<(), EngineError> {
        self.drop_cancelled();
        let mut plan = self.plan();
        if plan.work.is_empty() && !self.waiting.is_empty() {
            // Nothing runs, and still the first in line does not fit: the prefix holds the blocks
            // that it needs.
            self.unpin_all();
            plan = self.plan();
        }
        self.admit(&plan);
        self.group_by_adapter(&mut plan.work);
        let answers = if plan.work.is_empty() { Vec::new() } else { self.step(&plan.work)? };
        // The counters come first: a caller that has its answer may read them.
        self.publish();
        for (sequence, answer) in answers {
            sequence.reply(answer);
        }
        Ok(())
    }

    /// Puts the sequences of each adapter next to each other, so that its factors are read once.
    fn group_by_adapter(&self, work: &mut [Work]) {
        work.sort_by_key(|work| self.running.get(&work.id).and_then(Sequence::adapter));
    }

    fn plan(&self) -> Plan {
        let running: Vec<_> = self.running.values().map(Sequence::running).collect();
        let waiting: Vec<_> = self.waiting.iter().map(|sequence| sequence.waiting(self.share(sequence))).collect();
        plan(&running, &waiting, self.blocks.available(), self.limits)
    }

    /// Answers all requests with the reason why they get no answer.
    pub(crate) fn abandon(&mut self, reason: &EngineError) {
        let running = std::mem::take(&mut self.running).into_values();
        for sequence in std::mem::take(&mut self.waiting).into_iter().chain(running) {
            self.retire(&sequence);
            sequence.reply(Err(reason.clone()));
        }
        self.unpin_all();
        self.publish();
    }

    fn drop_cancelled(&mut self) {
        let before = self.waiting.len() + self.running.len();
        self.waiting.retain(|sequence| !sequence.cancelled());
        let gone: Vec<SequenceId> =
            self.running.values().filter(|sequence| sequence.cancelled()).map(|sequence| sequence.id).collect();
        for id in gone {
            self.remove(id);
        }
        self.counters.cancelled(before - self.waiting.len() - self.running.len());
    }

    fn admit(&mut self, plan: &Plan) {
        for id in &plan.admit {
            let Some(at) = self.waiting.iter().position(|sequence| sequence.id == *id) else { continue };
            let share = self.share(&self.waiting[at]);
            let needed = self.waiting[at].waiting(share).blocks;
            // The plan counted the free blocks, so there are enough.
            let Some(own) = self.blocks.take(needed) else { continue };
            let mut sequence = self.waiting.remove(at);
            for earlier in self.waiting.iter_mut().filter(|other| other.id < *id) {
                earlier.overtake();
            }
            self.start(&mut sequence, share, &own);
            self.running.insert(*id, sequence);
        }
    }

    fn share(&self, sequence: &Sequence) -> PrefixShare {
        self.prefix.of(sequence.adapter()).share(sequence.tokens())
    }

    /// Starts a sequence after the tokens that it shares, in the shared blocks and its own.
    fn start(&mut self, sequence: &mut Sequence, share: PrefixShare, own: &[u32]) {
        let whole = share.whole_blocks();
        let mut computed = share.tokens;
        let prefix = self.prefix.of_mut(sequence.adapter());
        if share.partial()
            && let Err(error) = self.model.copy_block(prefix.blocks()[whole], own[0])
        {
            tracing::warn!(%error, "the end of the common prefix is computed again");
            computed = whole * BLOCK_TOKENS;
        }
        prefix.record_admission(share, sequence.common().len());
        self.counters.admitted(computed);
        sequence.admit([&prefix.blocks()[..whole], own].concat(), whole, computed);
    }

    /// Pins the beginning of a sequence, if it is long enough and another prefix may be pinned.
    fn pin_beginning(&mut self, id: SequenceId) {
        let wanted = |sequence: &Sequence| {
            let common = sequence.common().len();
            let computed = common >= MIN_SHARED_TOKENS && sequence.has_computed_common() && !sequence.borrows();
            computed && self.share(sequence).tokens < common
        };
        let Some(sequence) = self.running.get(&id).filter(|sequence| wanted(sequence)) else { return };
        let (adapter, common_blocks) = (sequence.adapter(), sequence.common().len().div_ceil(BLOCK_TOKENS));
        if !self.prefix.of(adapter).is_open() {
            return;
        }
        self.unpin(adapter);
        if adapter.is_some() && !self.has_room_for_prefix(adapter, common_blocks) {
            return;
        }
        let Some(sequence) = self.running.get_mut(&id) else { return };
        let mut common = sequence.common();
        let whole = common.len() / BLOCK_TOKENS;
        let mut blocks = sequence.blocks()[..whole].to_vec();
        if !common.len().is_multiple_of(BLOCK_TOKENS) {
            // The sequence goes on to write in its last block, so that one is copied.
            let from = sequence.blocks()[whole];
            match self.blocks.take(1) {
                Some(to) if self.model.copy_block(from, to[0]).is_ok() => blocks.extend(to),
                to => {
                    self.blocks.give_back(&to.unwrap_or_default());
                    common = &common[..whole * BLOCK_TOKENS];
                }
            }
        }
        if common.len() >= MIN_SHARED_TOKENS {
            self.prefix.of_mut(adapter).pin(common, blocks, whole > 0);
            sequence.leave_to_prefix(whole);
        }
    }

    /// Whether the prefixes of adapters may hold so many more blocks, after unread ones of other
    /// adapters made room.
    fn has_room_for_prefix(&mut self, adapter: Option<u32>, blocks: usize) -> bool {
        let most = self.blocks.total() / MAX_PREFIX_SHARE;
        while self.prefix.adapter_blocks() + blocks > most {
            let Some(other) = self.prefix.unread_beside(adapter) else { return false };
            self.unpin(Some(other));
        }
        true
    }

    fn unpin(&mut self, adapter: Option<u32>) {
        let blocks = self.prefix.of_mut(adapter).unpin();
        self.free(&blocks);
    }

    fn unpin_all(&mut self) {
        let blocks = self.prefix.unpin_all();
        self.free(&blocks);
    }

    fn step(&mut self, work: &[Work]) -> Result<Vec<(Sequence, Answer)>, EngineError> {
        let started = Instant::now();
        let restrictions: Vec<Option<Restriction>> =
            work.iter().map(|work| self.running.get(&work.id)?.restriction(work.tokens, &self.rules)).collect();
        let inputs: Vec<StepInput<'_>> = work
            .iter()
            .zip(&restrictions)
            .filter_map(|(work, restriction)| {
                let sequence = self.running.get(&work.id)?;
                let (tokens, position, wanted) = sequence.next(work.tokens);
                Some(StepInput {
                    tokens,
                    position,
                    blocks: sequence.blocks(),
                    wanted,
                    adapter: sequence.adapter(),
                    restriction: restriction.as_ref(),
                })
            })
            .collect();
        debug_assert_eq!(inputs.len(), work.len(), "the plan names a sequence that is not running");
        let decoded = inputs.iter().filter(|input| input.wanted.is_some_and(|answer| !answer.is_empty())).count();
        let prefilled = work.iter().map(|work| work.tokens).sum::<usize>() - decoded;
        let results = compute(&mut self.model, &inputs);
        let (sequences, max_sequences) = (inputs.len(), self.limits.max_sequences);
        self.counters.step(StepCounts { prefilled, decoded, sequences, max_sequences, took: started.elapsed() });
        self.judge(work, &results)?;
        Ok(work.iter().zip(results).filter_map(|(work, result)| self.apply(*work, result)).collect())
    }

    /// Tells poisonous requests from a broken device. When every request of a step failed, one
    /// token that every model can compute is computed in a block of a failed request. If that
    /// works, the requests were to blame.
    fn judge(&mut self, work: &[Work], results: &[StepOutcome]) -> Result<(), EngineError> {
        let Some(Err(error)) = results.first().filter(|_| results.iter().all(Result::is_err)) else { return Ok(()) };
        let own = work.iter().find_map(|work| self.running.get(&work.id)?.own_blocks().first().copied());
        let Some(block) = own else { return Ok(()) };
        let probe = StepInput {
            tokens: &[PROBE_TOKEN],
            position: 0,
            blocks: &[block],
            wanted: Some(&[]),
            adapter: None,
            restriction: None,
        };
        if compute(&mut self.model, &[probe]).iter().all(Result::is_ok) {
            return Ok(());
        }
        Err(EngineError::Stopped { reason: format!("the backend fails for every request: {error}") })
    }

    /// Takes a result into its sequence. Returns the sequence and its answer when it has ended.
    fn apply(&mut self, work: Work, result: StepOutcome) -> Option<(Sequence, Answer)> {
        let answer = match result {
            Ok(choice) => {
                let ended = self.running.get_mut(&work.id)?.advance(work.tokens, choice, &self.rules);
                self.pin_beginning(work.id);
                let generated = ended?;
                self.counters.finished(generated.reason);
                Ok(generated)
            }
            Err(error) => {
                self.counters.failed();
                Err(EngineError::StepFailed { reason: error.to_string() })
            }
        };
        self.remove(work.id).map(|sequence| (sequence, answer))
    }

    fn remove(&mut self, id: SequenceId) -> Option<Sequence> {
        let sequence = self.running.remove(&id)?;
        self.retire(&sequence);
        Some(sequence)
    }

    /// Frees the blocks of a sequence and ends its reading of the prefix.
    fn retire(&mut self, sequence: &Sequence) {
        self.free(sequence.own_blocks());
        if sequence.borrows() {
            self.prefix.of_mut(sequence.adapter()).give_back();
        }
    }

    fn free(&mut self, blocks: &[u32]) {
        self.blocks.give_back(blocks);
        if cfg!(debug_assertions)
            && let Err(error) = self.model.forget(blocks)
        {
            tracing::warn!(%error, "freed blocks were not overwritten");
        }
    }

    fn publish(&self) {
        let owned: usize = self.running.values().map(|sequence| sequence.own_blocks().len()).sum();
        let pinned = self.prefix.blocks().len();
        debug_assert_eq!(owned + pinned + self.blocks.available(), self.blocks.total(), "a block has leaked");
        self.counters.state(self.running.len(), self.waiting.len());
        self.counters.blocks(owned, pinned, self.blocks.total());
    }
}

#[cfg(test)]
mod tests;
