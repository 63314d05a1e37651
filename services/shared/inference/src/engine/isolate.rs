//! One request must not take its neighbours with it.
//!
//! When a step fails, its batch is halved and each half computed again, until the requests that
//! fail alone are known. That is safe because a step writes keys and values to places that only its
//! own sequences read (never to the shared prefix), and writing the same ones again changes
//! nothing. A panic inside the backend counts as a failure, and so does a row whose logits are not
//! numbers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::step::{BackendError, Batch, Choice, StepModel};

/// One sequence's part of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    /// Tokens to compute.
    pub(crate) tokens: &'a [u32],
    /// Position of the first of them.
    pub(crate) position: usize,
    /// The sequence's blocks.
    pub(crate) blocks: &'a [u32],
    /// The answer so far, when the next token is wanted.
    pub(crate) wanted: Option<&'a [u32]>,
}

/// What became of a part: the next token where one was wanted.
pub(crate) type PartResult = Result<Option<Choice>, BackendError>;

/// Computes all parts, in one batch if possible. Results stand in the order of the parts.
pub(crate) fn compute(model: &mut dyn StepModel, parts: &[Part<'_>]) -> Vec<PartResult> {
    match compute_together(model, parts) {
        Ok(results) => results,
        Err(error) if parts.len() == 1 => vec![Err(error)],
        Err(_) => {
            let (left, right) = parts.split_at(parts.len() / 2);
            let mut results = compute(model, left);
            results.extend(compute(model, right));
            results
        }
    }
}

fn compute_together(model: &mut dyn StepModel, parts: &[Part<'_>]) -> Result<Vec<PartResult>, BackendError> {
    let mut batch = Batch::default();
    for part in parts {
        batch.push(part.tokens, part.position, part.blocks, part.wanted);
    }
    let choices = catch_unwind(AssertUnwindSafe(|| model.step(&batch))).unwrap_or_else(|payload| {
        Err(BackendError(format!("the backend panicked: {}", panic_text(payload.as_ref()))))
    })?;
    let wanted = parts.iter().filter(|part| part.wanted.is_some()).count();
    if choices.len() != wanted {
        return Err(BackendError(format!("the backend gave {} tokens for {wanted} rows", choices.len())));
    }
    let mut choices = choices.into_iter();
    let of = |part: &Part<'_>| match part.wanted.and_then(|_| choices.next()) {
        Some(choice) if !choice.logprob.is_finite() => Err(BackendError("the logits are not numbers".into())),
        choice => Ok(choice),
    };
    Ok(parts.iter().map(of).collect())
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

#[cfg(test)]
mod tests;
