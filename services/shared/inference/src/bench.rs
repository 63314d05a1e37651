//! Measures an engine: how fast, for how much processor time, in how much memory.
//!
//! All figures come from the engine as workers use it, through its queue and its scheduler. Prompts
//! are token ids, so that another engine can be given the very same work. Answers have exactly the
//! requested number of tokens unless [`End`] says otherwise.
//!
//! - [`documents`] submits all prompts at once and waits for all answers, as in batch work: prefill
//!   and decode are mixed. With one token an answer it measures prefill.
//! - [`decode`] measures decoding alone. An engine without a prefill phase starts to decode its
//!   first sequences while it reads the prompts of the last ones. So prompts get lengths
//!   (`lengths`) with which all sequences stand at the same context when the last one joins, and a
//!   step counts only if every sequence decoded in it and nothing else was computed.

mod prompts;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use serde::Serialize;
use tokio::task::JoinSet;

pub use self::prompts::{parse, slices, write};
use crate::engine::Engine;
use crate::engine::metrics::StepRecord;
use crate::error::EngineError;
use crate::models::adapters::AdapterEntry;
use crate::request::{Completion, End, TokenRequest};
pub use crate::system::{cpu_seconds, peak_rss_bytes};

/// The cost of one run of some work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measurement {
    /// Answers.
    pub documents: usize,
    /// Prompt tokens; 0 where only decoding was measured.
    pub input_tokens: usize,
    /// Generated tokens.
    pub output_tokens: usize,
    /// Wall clock.
    pub wall_seconds: f64,
    /// Processor time of all threads of this process; `None` where the system does not say.
    pub cpu_seconds: Option<f64>,
    /// Steps of the engine.
    pub steps: usize,
}

impl Measurement {
    /// Answers a minute.
    pub fn documents_per_minute(&self) -> f64 {
        self.documents as f64 * 60.0 / self.wall_seconds
    }

    /// Prompt tokens a second.
    pub fn input_per_second(&self) -> f64 {
        self.input_tokens as f64 / self.wall_seconds
    }

    /// Generated tokens a second.
    pub fn output_per_second(&self) -> f64 {
        self.output_tokens as f64 / self.wall_seconds
    }

    /// Tokens, read and generated, for each second of processor time.
    pub fn tokens_per_cpu_second(&self) -> Option<f64> {
        self.cpu_seconds.filter(|cpu| *cpu > 0.0).map(|cpu| (self.input_tokens + self.output_tokens) as f64 / cpu)
    }
}

/// Answers all prompts, submitted at once, with up to `new_tokens` tokens each.
pub async fn documents(
    engine: &Engine,
    prompts: &[Vec<u32>],
    new_tokens: usize,
    end: End,
) -> Result<Measurement, EngineError> {
    documents_adapted(engine, prompts, new_tokens, end, &[]).await
}

/// The same with these adapters, which the prompts have by turns.
pub async fn documents_adapted(
    engine: &Engine,
    prompts: &[Vec<u32>],
    new_tokens: usize,
    end: End,
    adapters: &[Arc<AdapterEntry>],
) -> Result<Measurement, EngineError> {
    let (cpu_before, steps_before) = (cpu_seconds(), engine.stats().steps);
    let started = Instant::now();
    let requests = prompts.iter().enumerate().map(|(index, prompt)| TokenRequest {
        adapter: by_turns(adapters, index),
        ..request(prompt.clone(), new_tokens, end)
    });
    let answers = answers(engine, requests).await?;
    let wall_seconds = started.elapsed().as_secs_f64();
    Ok(Measurement {
        documents: answers.len(),
        input_tokens: answers.iter().map(|answer| answer.input_tokens).sum(),
        output_tokens: answers.iter().map(|answer| answer.output_tokens).sum(),
        wall_seconds,
        cpu_seconds: difference(cpu_seconds(), cpu_before),
        steps: (engine.stats().steps - steps_before) as usize,
    })
}

/// Decodes with `batch` sequences together, whose contexts grow from `context` by about
/// `new_tokens`. Their prompts are cut from `text`. `step_tokens` is the engine's own setting.
///
/// Fails when no step decoded all sequences: then the key-value pool or the batch limit is too
/// small for them.
pub async fn decode(
    engine: &Engine,
    text: &[u32],
    batch: usize,
    context: usize,
    new_tokens: usize,
    step_tokens: usize,
) -> Result<Measurement, EngineError> {
    decode_adapted(engine, text, batch, context, new_tokens, step_tokens, &[]).await
}

/// The same with these adapters, which the sequences have by turns.
pub async fn decode_adapted(
    engine: &Engine,
    text: &[u32],
    batch: usize,
    context: usize,
    new_tokens: usize,
    step_tokens: usize,
    adapters: &[Arc<AdapterEntry>],
) -> Result<Measurement, EngineError> {
    let lengths = lengths(batch, context, step_tokens);
    let prompts = slices(text, &lengths);
    engine.record_steps();
    let all = prompts.into_iter().enumerate().map(|(index, prompt)| {
        // All end at the same context.
        let room = (context + new_tokens).saturating_sub(prompt.len()).max(1);
        TokenRequest { adapter: by_turns(adapters, index), ..request(prompt, room, End::AtLimit) }
    });
    let done = answers(engine, all).await;
    let steps = engine.recorded_steps();
    done?;
    full_steps(&steps, batch).ok_or_else(|| EngineError::InvalidRequest {
        reason: format!(
            "no two steps in a row decoded all {batch} sequences: give the engine at least {batch} `max_sequences` and {} `kv_tokens`",
            batch * (context + new_tokens).next_multiple_of(crate::step::BLOCK_TOKENS)
        ),
    })
}

fn by_turns(adapters: &[Arc<AdapterEntry>], index: usize) -> Option<Arc<AdapterEntry>> {
    adapters.get(index % adapters.len().max(1)).cloned()
}

fn request(prompt: Vec<u32>, max_new_tokens: usize, end: End) -> TokenRequest {
    TokenRequest { prompt, max_new_tokens, end, ..TokenRequest::default() }
}

/// All answers, in no order. The first error ends the other requests. Requests reach the engine in
/// the order given.
async fn answers(
    engine: &Engine,
    requests: impl Iterator<Item = TokenRequest>,
) -> Result<Vec<Completion>, EngineError> {
    let (mut tasks, mut answers) = (JoinSet::new(), Vec::new());
    for request in requests {
        let engine = engine.clone();
        let mut answer = Box::pin(async move { engine.submit_tokens(request).await });
        // The first poll of a request takes its place in the queue; the task set polls in any
        // order.
        match poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await {
            Poll::Ready(answer) => answers.push(answer?),
            Poll::Pending => drop(tasks.spawn(answer)),
        }
    }
    while let Some(done) = tasks.join_next().await {
        let lost = |error| EngineError::Stopped { reason: format!("a request was lost: {error}") };
        answers.push(done.map_err(lost)??);
    }
    Ok(answers)
}

/// Prompt lengths with which `batch` sequences stand at `context` tokens when the last of them
/// starts to decode, in an engine whose steps compute `step_tokens` tokens and serve those that
/// decode first.
pub(crate) fn lengths(batch: usize, context: usize, step_tokens: usize) -> Vec<usize> {
    let mut lengths = vec![context; batch];
    // With shorter prompts sequences start sooner, so the lengths are computed again; a few rounds
    // settle them.
    for _ in 0..8 {
        let starts = starts(&lengths, step_tokens);
        let last = starts.last().copied().unwrap_or(0);
        for (length, start) in lengths.iter_mut().zip(&starts) {
            *length = context.saturating_sub(last - start).max(1);
        }
    }
    lengths
}

/// The step in which each sequence's prompt is complete.
fn starts(lengths: &[usize], step_tokens: usize) -> Vec<usize> {
    let mut starts = Vec::with_capacity(lengths.len());
    let (mut step, mut room) = (0, step_tokens);
    for length in lengths {
        let mut left = *length;
        while left > room {
            left -= room;
            step += 1;
            // A sequence whose prompt was complete decodes one token a step.
            room = step_tokens.saturating_sub(starts.len()).max(1);
        }
        room -= left;
        starts.push(step);
    }
    starts
}

/// The steps that decoded one token for each of `batch` sequences and nothing else, as one
/// measurement. It lasts from the end of the first step to the end of the last, so that the time
/// between steps counts.
fn full_steps(steps: &[StepRecord], batch: usize) -> Option<Measurement> {
    let is_full = |step: &StepRecord| step.prefilled == 0 && step.decoded == batch;
    let first = steps.iter().position(is_full)?;
    let count = steps[first..].iter().take_while(|step| is_full(step)).count() - 1;
    let (from, to) = (steps[first], steps[first + count]);
    (count > 0).then(|| Measurement {
        documents: batch,
        input_tokens: 0,
        output_tokens: count * batch,
        wall_seconds: (to.ended - from.ended).as_secs_f64(),
        cpu_seconds: difference(to.cpu_seconds, from.cpu_seconds),
        steps: count,
    })
}

fn difference(after: Option<f64>, before: Option<f64>) -> Option<f64> {
    Some(after? - before?)
}

#[cfg(test)]
mod tests;
