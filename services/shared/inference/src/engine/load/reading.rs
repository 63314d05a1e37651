//! What changes an answer beside the settings: the model's entry in the manifest, and the longest
//! sequence where it decides how documents are cut.
//!
//! Each is named in the answer's fingerprint only for models that it can change. An entry of the
//! same name and revision may differ from machine to machine, and so may the key-value pool.

use std::fmt::Write as _;

use crate::config::EngineConfig;
use crate::model::weights::RopeFactors;
use crate::models::{Manifest, ModelEntry};

/// Windows that the longest sequence must hold for the window alone to say how documents are cut:
/// one for the text, and as much again for prompt and answer.
const WINDOWS_OF_A_SEQUENCE: usize = 2;

/// How an engine reads documents with a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) entry: &'a ModelEntry,
    /// Which rotary factors the model is computed with; `None` where its file has one kind.
    pub(super) rope_factors: Option<RopeFactors>,
    /// Tokens that one sequence may hold.
    pub(super) limit_tokens: usize,
}

impl Reading<'_> {
    /// Tokens of a document that are read at once; 0 leaves it to the longest sequence.
    pub(super) fn window_tokens(self, config: &EngineConfig) -> usize {
        match config.window_tokens {
            0 => self.entry.window.unwrap_or(0),
            set => set,
        }
    }

    /// Everything that changes an answer, for its fingerprint: the settings, then what the model
    /// adds to them.
    pub(super) fn decoding(self, settings: String, config: &EngineConfig) -> String {
        let Self { entry, rope_factors, limit_tokens } = self;
        let mut decoding = settings;
        // Writing to a string never fails.
        if let Some(factors) = rope_factors {
            let factors = match factors {
                RopeFactors::Long => "long",
                RopeFactors::Short => "short",
            };
            let _ = write!(decoding, " rope_factors={factors}");
        }
        let window = self.window_tokens(config);
        if config.window_tokens == 0 && window > 0 && built_in_window(&entry.name) != Some(window) {
            let _ = write!(decoding, " model_window={window}");
        }
        if window == 0 || limit_tokens < WINDOWS_OF_A_SEQUENCE * window {
            let _ = write!(decoding, " limit_tokens={limit_tokens}");
        }
        decoding
    }
}

/// The window of the built-in entry of this name, which its revision stands for.
fn built_in_window(name: &str) -> Option<usize> {
    Manifest::builtin().find(name).ok()?.window
}

#[cfg(test)]
mod tests;
