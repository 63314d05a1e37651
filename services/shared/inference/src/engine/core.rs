//! The engine without its thread: takes jobs, turns step by step, answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::blocks::BlockPool;
use super::isolate::{Part, PartResult, compute};
use super::metrics::{Counters, Step};
use super::prefix::{Prefix, SMALLEST, Share};
use super::scheduler::{Limits, Plan, SequenceId, Work, plan};
use super::sequence::{Generated, Job, Sequence};
use crate::decode::stop::StopRules;
use crate::error::EngineError;
use crate::step::{BLOCK_TOKENS, StepModel};

/// A token that every vocabulary has.
const PROBE_TOKEN: u32 = 0;

type Answer = Result<Generated, EngineError>;

/// All requests inside the engine, the pool, and the model.
pub(crate) struct Core<M> {
    model: M,
    limits: Limits,
    rules: StopRules,
    blocks: BlockPool,
    prefix: Prefix,
    /// In order of arrival.
    waiting: Vec<Sequence>,
    running: BTreeMap<SequenceId, Sequence>,
    next_id: SequenceId,
    counters: Arc<Counters>,
}

impl<M: StepModel> Core<M> {
    pub(crate) fn new(model: M, limits: Limits, rules: StopRules, blocks: usize, counters: Arc<Counters>) -> Self {
        Self {
            model,
            limits,
            rules,
            blocks: BlockPool::new(blocks),
            prefix: Prefix::default(),
            waiting: Vec::new(),
            running: BTreeMap::new(),
            next_id: 0,
            counters,
        }
    }

    /// Takes a job into the queue. One that could never be admitted is refused by the caller of the
    /// engine; this is the second lock on that door, since such a job would block the line for
    /// ever.
    pub(crate) fn accept(&mut self, job: Job) {
        if job.prompt.is_empty() || job.limits.max_new_tokens == 0 || job.blocks() > self.blocks.total() {
            let error = EngineError::InvalidRequest { reason: "it is empty or larger than the key-value pool".into() };
            let _ = job.reply.send(Err(error));
            return;
        }
        self.waiting.push(Sequence::new(self.next_id, job));
        self.next_id += 1;
        self.publish();
    }

    /// Whether there is nothing to compute.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Computes one step. An error means that the device is broken: nothing more can be computed.
    pub(crate) fn turn(&mut self) -> Result<(), EngineError> {
        self.drop_cancelled();
        let mut plan = self.plan();
        if plan.work.is_empty() && !self.waiting.is_empty() {
            // Nothing runs and the first in line does not fit: the prefix has the blocks it needs.
            self.unpin();
            plan = self.plan();
        }
        self.admit(&plan);
        let answers = if plan.work.is_empty() { Vec::new() } else { self.step(&plan.work)? };
        // First the counters: who has the answer may look at them.
        self.publish();
        for (sequence, answer) in answers {
            sequence.reply(answer);
        }
        Ok(())
    }

    fn plan(&self) -> Plan {
        let running: Vec<_> = self.running.values().map(Sequence::running).collect();
        let waiting: Vec<_> = self.waiting.iter().map(|sequence| sequence.waiting(self.share(sequence))).collect();
        plan(&running, &waiting, self.blocks.available(), self.limits)
    }

    /// Answers everybody with the reason why there will be no answer.
    pub(crate) fn abandon(&mut self, reason: &EngineError) {
        let running = std::mem::take(&mut self.running).into_values();
        for sequence in std::mem::take(&mut self.waiting).into_iter().chain(running) {
            self.retire(&sequence);
            sequence.reply(Err(reason.clone()));
        }
        self.unpin();
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

    fn share(&self, sequence: &Sequence) -> Share {
        self.prefix.share(sequence.tokens())
    }

    /// Has a sequence begin after what it shares, in the shared blocks and its own.
    fn start(&mut self, sequence: &mut Sequence, share: Share, own: &[u32]) {
        let whole = share.whole_blocks();
        let mut computed = share.tokens;
        if share.partial()
            && let Err(error) = self.model.copy_block(self.prefix.blocks()[whole], own[0])
        {
            tracing::warn!(%error, "the end of the common prefix is computed again");
            computed = whole * BLOCK_TOKENS;
        }
        self.prefix.lend(share, sequence.common().len());
        self.counters.admitted(computed);
        sequence.admit([&self.prefix.blocks()[..whole], own].concat(), whole, computed);
    }

    /// Pins the beginning of a sequence, if it is one worth pinning and the place for it is open.
    fn pin_beginning(&mut self, id: SequenceId) {
        let wanted = |sequence: &Sequence| {
            let common = sequence.common().len();
            let computed = common >= SMALLEST && sequence.has_computed_common() && !sequence.borrows();
            computed && self.share(sequence).tokens < common
        };
        if !self.prefix.is_open() || !self.running.get(&id).is_some_and(wanted) {
            return;
        }
        self.unpin();
        let Some(sequence) = self.running.get_mut(&id) else { return };
        let mut common = sequence.common();
        let whole = common.len() / BLOCK_TOKENS;
        let mut blocks = sequence.blocks()[..whole].to_vec();
        if !common.len().is_multiple_of(BLOCK_TOKENS) {
            // Its owner writes on in the last block, so that one is copied.
            let from = sequence.blocks()[whole];
            match self.blocks.take(1) {
                Some(to) if self.model.copy_block(from, to[0]).is_ok() => blocks.extend(to),
                to => {
                    self.blocks.give_back(&to.unwrap_or_default());
                    common = &common[..whole * BLOCK_TOKENS];
                }
            }
        }
        if common.len() >= SMALLEST {
            self.prefix.pin(common, blocks, whole > 0);
            sequence.leave(whole);
        }
    }

    fn unpin(&mut self) {
        let blocks = self.prefix.unpin();
        self.free(&blocks);
    }

    fn step(&mut self, work: &[Work]) -> Result<Vec<(Sequence, Answer)>, EngineError> {
        let started = Instant::now();
        let parts: Vec<Part<'_>> = work
            .iter()
            .filter_map(|work| {
                let sequence = self.running.get(&work.id)?;
                let (tokens, position, wanted) = sequence.next(work.tokens);
                Some(Part { tokens, position, blocks: sequence.blocks(), wanted })
            })
            .collect();
        debug_assert_eq!(parts.len(), work.len(), "the plan names a sequence that is not running");
        let decoded = parts.iter().filter(|part| part.wanted.is_some_and(|answer| !answer.is_empty())).count();
        let prefilled = work.iter().map(|work| work.tokens).sum::<usize>() - decoded;
        let results = compute(&mut self.model, &parts);
        let (sequences, max_sequences) = (parts.len(), self.limits.max_sequences);
        self.counters.step(Step { prefilled, decoded, sequences, max_sequences, took: started.elapsed() });
        self.judge(work, &results)?;
        Ok(work.iter().zip(results).filter_map(|(work, result)| self.apply(*work, result)).collect())
    }

    /// Tells poisonous requests from a broken device. When nothing at all worked, one harmless
    /// token is computed, in a block of a request that has failed anyway: if that works, it was the
    /// requests.
    fn judge(&mut self, work: &[Work], results: &[PartResult]) -> Result<(), EngineError> {
        let Some(Err(error)) = results.first().filter(|_| results.iter().all(Result::is_err)) else { return Ok(()) };
        let own = work.iter().find_map(|work| self.running.get(&work.id)?.own_blocks().first().copied());
        let Some(block) = own else { return Ok(()) };
        let probe = Part { tokens: &[PROBE_TOKEN], position: 0, blocks: &[block], wanted: Some(&[]) };
        if compute(&mut self.model, &[probe]).iter().all(Result::is_ok) {
            return Ok(());
        }
        Err(EngineError::Stopped { reason: format!("the backend fails for every request: {error}") })
    }

    /// Takes a part's result into its sequence; the sequence and its answer when that was its end.
    fn apply(&mut self, work: Work, result: PartResult) -> Option<(Sequence, Answer)> {
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

    /// Takes back what a sequence had.
    fn retire(&mut self, sequence: &Sequence) {
        self.free(sequence.own_blocks());
        if sequence.borrows() {
            self.prefix.give_back();
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
