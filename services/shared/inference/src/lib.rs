//! Batched text generation, for summaries: on the processor by our own kernels, on a CUDA device by
//! Candle.
//!
//! [`Engine::submit`] answers one request, and many requests are computed together.
//! [`Engine::summarise`] summarises a document of any length with such requests. [`models`] brings
//! pinned model files onto the machine, and [`mod@bench`] measures an engine. This crate knows
//! nothing of Kafka, S3 or a policy.
//!
//! Layers, each knowing only those below it: `engine` (which sequences compute what, and when),
//! `model` (one decoder), `backend` (its dozen operations on a device), `step` (the values that the
//! three exchange). Beside them stand `text` (between text and tokens) and `decode` (from logits to
//! an answer). `bench` stands on the engine, and nothing stands on `bench`. [`convert`] makes model
//! files and stands on `step` and `text`, which say what of them can be run.

// Named only for its feature: see the workspace's Cargo.toml.
use gemm as _;

mod backend;
pub mod bench;
mod config;
pub mod convert;
mod decode;
mod engine;
mod error;
mod gguf;
pub mod machine;
mod model;
pub mod models;
pub mod prompt;
mod request;
mod step;
mod system;
#[cfg(test)]
mod testing;
mod text;

pub use config::{DeviceKind, EngineConfig, IsaKind, WeightsKind};
pub use engine::{Engine, EngineStats, ModelInfo};
pub use error::{EngineError, ErrorClass};
pub use request::{
    Completion, End, FinishReason, Partial, Partials, Prompt, Prompts, Request, RuleChanges, Summary, SummaryRequest,
    TokenRequest,
};
