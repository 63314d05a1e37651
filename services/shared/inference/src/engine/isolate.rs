//! Isolation of failures: one bad request must not fail its neighbours.
//!
//! When a step fails, its batch is halved and each half is computed again, until the requests that
//! fail alone are known. Computing again is safe: a step writes keys and values only to places that
//! its own sequences read (never to the shared prefix), and writing the same values twice changes
//! nothing. A panic inside the backend counts as a failure, and so does a row whose logits are not
//! numbers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::step::{BackendError, Batch, Choice, Restriction, StepModel};

/// The tokens that one sequence computes in a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepInput<'a> {
    /// Tokens to compute.
    pub(crate) tokens: &'a [u32],
    /// Position of the first token.
    pub(crate) position: usize,
    /// The sequence's blocks.
    pub(crate) blocks: &'a [u32],
    /// The answer so far, when the next token is wanted.
    pub(crate) wanted: Option<&'a [u32]>,
    /// Slot of the sequence's adapter.
    pub(crate) adapter: Option<u32>,
    /// The tokens that the next one may not be.
    pub(crate) restriction: Option<&'a Restriction>,
}

/// The outcome for one sequence: the next token where one was wanted.
pub(crate) type StepOutcome = Result<Option<Choice>, BackendError>;

/// Computes all inputs, in one batch if possible. Results stand in the order of the inputs.
pub(crate) fn compute(model: &mut dyn StepModel, inputs: &[StepInput<'_>]) -> Vec<StepOutcome> {
    match compute_together(model, inputs) {
        Ok(results) => results,
        Err(error) if inputs.len() == 1 => vec![Err(error)],
        Err(_) => {
            let (left, right) = inputs.split_at(inputs.len() / 2);
            let mut results = compute(model, left);
            results.extend(compute(model, right));
            results
        }
    }
}

fn compute_together(model: &mut dyn StepModel, inputs: &[StepInput<'_>]) -> Result<Vec<StepOutcome>, BackendError> {
    let mut batch = Batch::default();
    for input in inputs {
        batch.push_adapted(input.adapter, input.tokens, input.position, input.blocks, input.wanted);
        if let Some(restriction) = input.restriction {
            batch.restrict_last(restriction);
        }
    }
    let choices = catch_unwind(AssertUnwindSafe(|| model.step(&batch))).unwrap_or_else(|payload| {
        Err(BackendError(format!("the backend panicked: {}", panic_text(payload.as_ref()))))
    })?;
    let wanted = inputs.iter().filter(|input| input.wanted.is_some()).count();
    if choices.len() != wanted {
        return Err(BackendError(format!("the backend gave {} tokens for {wanted} rows", choices.len())));
    }
    let mut choices = choices.into_iter();
    let of = |input: &StepInput<'_>| match input.wanted.and_then(|_| choices.next()) {
        Some(choice) if !choice.logprob.is_finite() => Err(BackendError("the logits are not numbers".into())),
        choice => Ok(choice),
    };
    Ok(inputs.iter().map(of).collect())
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

#[cfg(test)]
mod tests;
