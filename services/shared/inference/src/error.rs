//! The one error type of this crate.
//!
//! Every variant has a class, which says how a caller may react, and a stable code, which is the
//! metric label and the dead-letter header. No text carries words of a document.

use std::path::PathBuf;

use thiserror::Error;

use crate::config::MIN_KV_TOKENS;

/// How a caller may react to an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The request itself is at fault: sending it again gives the same error.
    Reject,
    /// The request was not served for a reason outside it: sending it again later may work.
    Retry,
    /// The process cannot serve any request until an operator or a restart changes something.
    Fatal,
}

/// Everything that can go wrong between a document and its summary, and while a model is fetched
/// and loaded.
#[derive(Debug, Clone, Error)]
pub enum EngineError {
    /// Prompt and answer together can never fit.
    #[error(
        "the prompt has {prompt_tokens} tokens and the answer may have {max_new_tokens}, but one sequence may hold {limit_tokens}: \
         shorten the text or summarise it in chunks"
    )]
    PromptTooLong {
        /// Tokens of the rendered prompt.
        prompt_tokens: usize,
        /// Tokens the answer was allowed.
        max_new_tokens: usize,
        /// Tokens that one sequence may hold: the smaller of the model's context and the key-value
        /// pool.
        limit_tokens: usize,
    },
    /// A document that would be read in more parts than the caller allows.
    #[error(
        "the document would be read in {parts} parts, {max_parts} are allowed: split it, or raise `limits.max_parts`"
    )]
    TooManyParts {
        /// Parts that it would be read in.
        parts: usize,
        /// Parts that are allowed.
        max_parts: usize,
    },
    /// A request that makes no sense as it stands.
    #[error("the request is not valid: {reason}")]
    InvalidRequest {
        /// What is wrong with it.
        reason: String,
    },
    /// The caller cancelled the request.
    #[error("the request was cancelled")]
    Cancelled,
    /// The engine has been shut down or has died.
    #[error("the engine has stopped: {reason}")]
    Stopped {
        /// Why it stopped.
        reason: String,
    },
    /// Computing this very request failed, even alone in a step. Its neighbours were not harmed.
    #[error("computing the request failed: {reason}")]
    StepFailed {
        /// What the backend said.
        reason: String,
    },
    /// The engine's settings contradict each other or the machine.
    #[error("the engine's settings are not valid: {reason}")]
    InvalidConfig {
        /// Every violation, separated by semicolons.
        reason: String,
    },
    /// Weights, key-value pool and what else the engine may take do not fit into memory.
    #[error(
        "the engine needs {needed_mib} MiB (weights {weights_mib}, key-value pool {pool_mib}, work space {work_mib}, adapters up to \
         {adapters_mib}) but {available_mib} MiB are available: {}",
        room(*fitting_kv_tokens, *adapters_mib)
    )]
    NotEnoughMemory {
        /// All together.
        needed_mib: u64,
        /// The weights as the engine keeps them.
        weights_mib: u64,
        /// The key-value pool of `kv_tokens`.
        pool_mib: u64,
        /// Activations of the largest step.
        work_mib: u64,
        /// What `adapter_bytes` lets adapters take.
        adapters_mib: u64,
        /// Memory that the machine, its control group, or the device has free.
        available_mib: u64,
        /// Tokens of a pool that would fit beside the rest.
        fitting_kv_tokens: u64,
    },
    /// The configured device cannot be used.
    #[error("the device `{device}` cannot be used: {reason}")]
    NoDevice {
        /// The device as configured.
        device: String,
        /// Why not.
        reason: String,
    },
    /// The model file is not a sound GGUF file of this kind.
    #[error("the model {} cannot be used: {reason}", file.display())]
    BadModel {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is sound, but of an architecture that this build does not know.
    #[error("the architecture `{architecture}` is not supported: use a model of architecture `llama`")]
    UnsupportedArchitecture {
        /// `general.architecture`, or the feature of it that is missing here.
        architecture: String,
    },
    /// A tokenizer whose exact rules are not known. It is refused, since guessed rules give fluent
    /// nonsense.
    #[error("the tokenizer `{tokenizer}` is not supported: known are {known}")]
    UnsupportedTokenizer {
        /// `tokenizer.ggml.model` and `tokenizer.ggml.pre`.
        tokenizer: String,
        /// The ones that are known.
        known: &'static str,
    },
    /// The chat template of the model cannot be rendered.
    #[error("the chat template of the model cannot be used: {reason}")]
    BadTemplate {
        /// What the renderer said.
        reason: String,
    },
    /// The manifest has no entry of that name.
    #[error("there is no model `{name}` in the manifest: known are {known}")]
    UnknownModel {
        /// The unknown name.
        name: String,
        /// The known names.
        known: String,
    },
    /// No adapter of that name is registered.
    #[error(
        "there is no adapter `{name}` on this machine (there are: {known}): register it with `precis models register --adapter`"
    )]
    UnknownAdapter {
        /// The unknown name.
        name: String,
        /// The known names.
        known: String,
    },
    /// An adapter that is broken, or made for another model.
    #[error("the adapter `{name}` cannot be used: {reason}")]
    BadAdapter {
        /// The adapter.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An adapter that does not fit into the memory for adapters, even alone.
    #[error(
        "the adapter `{name}` needs {needed_bytes} bytes, and {allowed_bytes} are there for adapters: raise `adapter_bytes`, free memory, or \
         use an adapter of a lower rank"
    )]
    AdapterTooLarge {
        /// The adapter.
        name: String,
        /// Bytes that it needs.
        needed_bytes: u64,
        /// Bytes that all adapters together may take, or that the machine has free.
        allowed_bytes: u64,
    },
    /// The manifest cannot be read.
    #[error("the model manifest is not valid: {reason}")]
    BadManifest {
        /// What is wrong with it.
        reason: String,
    },
    /// The entry says where a file is, and not which bytes it must have.
    #[error(
        "the model `{name}` has no pinned digest: fetch it once with `precis models pull {name} --sha256 DIGEST`, or with `--pin`, which \
         takes the digest of the file that comes"
    )]
    NotPinned {
        /// The model.
        name: String,
    },
    /// The model is not on this machine.
    #[error("the model `{name}` is not at {}: fetch it with `precis models pull {name}`", path.display())]
    ModelMissing {
        /// The model.
        name: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// A file is not the one the manifest pins.
    #[error("{what} has sha256 {found} instead of the pinned {expected}: it was refused and not installed")]
    DigestMismatch {
        /// Which file of which model or package.
        what: String,
        /// The pinned digest.
        expected: String,
        /// The digest found.
        found: String,
    },
    /// A model's file on this machine is not, or not any more, the pinned one.
    #[error(
        "the file of the model `{name}` at {} has sha256 {found} instead of the pinned {expected}: it was changed or damaged, and \
         nothing of it was loaded; fetch it again with `precis models pull {name}`",
        path.display()
    )]
    ModelChanged {
        /// The model.
        name: String,
        /// Its file.
        path: PathBuf,
        /// The pinned digest.
        expected: String,
        /// The digest found.
        found: String,
    },
    /// A model's file was written to while it was loaded.
    #[error(
        "the file of the model `{name}` at {} was written to while it was loaded: it is not used; find out what writes there, and check \
         the file with `precis models verify {name}`",
        path.display()
    )]
    ModelRewritten {
        /// The model.
        name: String,
        /// Its file.
        path: PathBuf,
    },
    /// No source of the manifest gave the model.
    #[error("the model `{name}` could not be fetched: {reason}")]
    PullFailed {
        /// The model.
        name: String,
        /// What each source said.
        reason: String,
    },
    /// An operation of the file system failed.
    #[error("{action} {} failed: {reason}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl EngineError {
    /// A stable name of the variant: metric label, dead-letter header, runbook anchor.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PromptTooLong { .. } => "prompt_too_long",
            Self::TooManyParts { .. } => "text_too_many_parts",
            Self::InvalidRequest { .. } => "invalid_request",
            Self::Cancelled => "cancelled",
            Self::Stopped { .. } => "engine_stopped",
            Self::StepFailed { .. } => "step_failed",
            Self::InvalidConfig { .. } => "invalid_engine_config",
            Self::NotEnoughMemory { .. } => "not_enough_memory",
            Self::NoDevice { .. } => "no_device",
            Self::BadModel { .. } => "bad_model",
            Self::UnsupportedArchitecture { .. } => "unsupported_architecture",
            Self::UnsupportedTokenizer { .. } => "unsupported_tokenizer",
            Self::BadTemplate { .. } => "bad_template",
            Self::UnknownModel { .. } => "unknown_model",
            Self::UnknownAdapter { .. } => "unknown_adapter",
            Self::BadAdapter { .. } => "bad_adapter",
            Self::AdapterTooLarge { .. } => "adapter_too_large",
            Self::BadManifest { .. } => "bad_manifest",
            Self::NotPinned { .. } => "model_not_pinned",
            Self::ModelMissing { .. } => "model_missing",
            Self::DigestMismatch { .. } | Self::ModelChanged { .. } | Self::ModelRewritten { .. } => "digest_mismatch",
            Self::PullFailed { .. } => "pull_failed",
            Self::Io { .. } => "model_io",
        }
    }

    /// How a caller may react to it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::PromptTooLong { .. }
            | Self::TooManyParts { .. }
            | Self::InvalidRequest { .. }
            | Self::StepFailed { .. }
            | Self::UnknownAdapter { .. }
            | Self::BadAdapter { .. }
            | Self::AdapterTooLarge { .. } => ErrorClass::Reject,
            Self::Cancelled | Self::PullFailed { .. } | Self::Io { .. } => ErrorClass::Retry,
            _ => ErrorClass::Fatal,
        }
    }

    pub(crate) fn io(action: &'static str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), reason: error.to_string() }
    }
}

/// What an operator can do where memory has room for a pool of so many tokens.
fn room(fitting_kv_tokens: u64, adapters_mib: u64) -> String {
    let mut ways = Vec::new();
    if fitting_kv_tokens >= MIN_KV_TOKENS as u64 {
        ways.push(format!("`kv_tokens` to {fitting_kv_tokens}"));
    }
    ways.push("`step_tokens`".to_owned());
    if adapters_mib > 0 {
        ways.push("`adapter_bytes`".to_owned());
    }
    format!("lower {}, or use a smaller model", ways.join(" or "))
}
