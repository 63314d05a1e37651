//! The values that engine, model and backend exchange: one step's work and its results.
//!
//! The lowest layer: a [`Batch`] of rows goes down to the backend, and a [`Choice`] for each wanted
//! row comes back up. Nothing here computes.

mod adapter;
mod batch;
mod config;

use std::sync::Arc;

use thiserror::Error;

pub(crate) use self::adapter::{Adapter, Place, Projection, Site};
pub(crate) use self::batch::{BLOCK_TOKENS, Batch, Restriction, Span};
pub(crate) use self::config::{LayerShape, ModelConfig};

/// A model as the engine drives it; the tests have one without arithmetic.
pub(crate) trait StepModel {
    /// Computes all rows of a batch; one choice for each of its `logit_rows`.
    fn step(&mut self, batch: &Batch) -> Result<Vec<Choice>, BackendError>;
    /// Copies the keys and values of a whole block, in every layer.
    fn copy_block(&mut self, from: u32, to: u32) -> Result<(), BackendError>;
    /// Overwrites blocks that no sequence owns any more with NaN, so that a read of one is noticed.
    /// Only builds with debug assertions do this.
    fn forget(&mut self, blocks: &[u32]) -> Result<(), BackendError>;
    /// Takes an adapter, which spans then name by this slot. Does nothing where the slot has it.
    fn load_adapter(&mut self, slot: u32, adapter: &Arc<Adapter>) -> Result<(), BackendError>;
    /// Gives an adapter up; no later span names its slot.
    fn drop_adapter(&mut self, slot: u32);
}

impl StepModel for Box<dyn StepModel + Send> {
    fn step(&mut self, batch: &Batch) -> Result<Vec<Choice>, BackendError> {
        self.as_mut().step(batch)
    }

    fn copy_block(&mut self, from: u32, to: u32) -> Result<(), BackendError> {
        self.as_mut().copy_block(from, to)
    }

    fn forget(&mut self, blocks: &[u32]) -> Result<(), BackendError> {
        self.as_mut().forget(blocks)
    }

    fn load_adapter(&mut self, slot: u32, adapter: &Arc<Adapter>) -> Result<(), BackendError> {
        self.as_mut().load_adapter(slot, adapter)
    }

    fn drop_adapter(&mut self, slot: u32) {
        self.as_mut().drop_adapter(slot);
    }
}

/// The token chosen for one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Choice {
    pub(crate) id: u32,
    /// Natural logarithm of the token's probability under the whole distribution. Not finite when a
    /// logit of the row was not.
    pub(crate) logprob: f32,
}

/// A computation that failed; the engine finds the sequence that caused it.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct BackendError(pub(crate) String);

impl From<candle_core::Error> for BackendError {
    fn from(error: candle_core::Error) -> Self {
        // Only the message: Candle's backtraces are for its own authors.
        Self(error.to_string().lines().next().unwrap_or("unknown").to_owned())
    }
}
