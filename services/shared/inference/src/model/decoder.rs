//! One forward pass for every family and every backend.

use std::sync::Arc;

use super::weights::Weights;
use crate::backend::Backend;
use crate::step::{Adapter, BackendError, Batch, Choice, ModelConfig, Place, Site, StepModel};

/// A model that is ready to compute steps.
pub(crate) struct Decoder<B: Backend> {
    config: ModelConfig,
    weights: Weights<B>,
    backend: B,
    repetition_penalty: f32,
}

impl<B: Backend> Decoder<B> {
    pub(crate) fn new(config: ModelConfig, weights: Weights<B>, backend: B, repetition_penalty: f32) -> Self {
        Self { config, weights, backend, repetition_penalty }
    }

    /// Computes all rows of the batch, writes their keys and values, and returns the logits of its
    /// `logit_rows`.
    pub(crate) fn logits(&mut self, batch: &Batch) -> Result<B::Logits, BackendError> {
        let Self { config, weights, backend, .. } = self;
        let epsilon = config.norm_epsilon;
        let step = backend.begin(batch)?;
        let mut rows = backend.embed(&weights.embedding, &step)?;
        for (index, layer) in weights.layers.iter().enumerate() {
            let at = |site| Place { layer: index, site };
            let normed = backend.norm(&rows, &layer.attention_norm, epsilon)?;
            let qkv = backend.linear(&layer.qkv, layer.qkv_bias.as_ref(), &normed, at(Site::Qkv), &step)?;
            let queries = backend.rope_write_kv(index, layer.head_norms.as_ref(), qkv, &step)?;
            let attended = backend.attention(index, queries, &step)?;
            rows = backend.linear_add(&layer.output, &attended, rows, at(Site::Output), &step)?;

            let normed = backend.norm(&rows, &layer.feed_forward_norm, epsilon)?;
            let inner = backend.gate_up_silu(&layer.gate_up, &normed, at(Site::GateUp), &step)?;
            rows = backend.linear_add(&layer.down, &inner, rows, at(Site::Down), &step)?;
        }
        let last = backend.select(rows, &step)?;
        let normed = backend.norm(&last, &weights.final_norm, epsilon)?;
        backend.head(weights.head.as_ref().unwrap_or(&weights.embedding), &normed)
    }
}

#[cfg(test)]
impl<B: Backend> Decoder<B> {
    /// The logits as numbers, a row for each wanted one.
    pub(crate) fn host_logits(&mut self, batch: &Batch) -> Vec<Vec<f32>> {
        let logits = self.logits(batch).expect("the batch can be computed");
        self.backend.to_host(&logits)
    }
}

impl<B: Backend> StepModel for Decoder<B> {
    fn step(&mut self, batch: &Batch) -> Result<Vec<Choice>, BackendError> {
        if batch.logit_rows.is_empty() {
            // Every span is a chunk of a prompt that goes on, so only its keys and values are
            // computed.
            self.logits(batch)?;
            return Ok(Vec::new());
        }
        let logits = self.logits(batch)?;
        let logits = if self.repetition_penalty > 1.0 {
            self.backend.penalise(logits, &batch.written, self.repetition_penalty)?
        } else {
            logits
        };
        let logits = if batch.restrictions.iter().any(|restriction| !restriction.is_empty()) {
            self.backend.restrict(logits, &batch.restrictions)?
        } else {
            logits
        };
        self.backend.argmax(&logits)
    }

    fn copy_block(&mut self, from: u32, to: u32) -> Result<(), BackendError> {
        self.backend.copy_block(from, to)
    }

    fn forget(&mut self, blocks: &[u32]) -> Result<(), BackendError> {
        self.backend.forget(blocks)
    }

    fn load_adapter(&mut self, slot: u32, adapter: &Arc<Adapter>) -> Result<(), BackendError> {
        self.backend.load_adapter(slot, adapter)
    }

    fn drop_adapter(&mut self, slot: u32) {
        self.backend.drop_adapter(slot);
    }
}

#[cfg(test)]
mod tests;
