//! The engine: many requests in, one batch a step, each request's answer out.
//!
//! ```text
//! submit ── tokenise ──▶ queue, bounded in tokens ──▶ engine thread: plan ─ batch ─ step ─ advance ──▶ answer
//!                                                       ▲                                  │
//!                                                       └──────────────────────────────────┘
//! ```
//!
//! One round of that loop, and the module of each stage:
//!
//! | what | where |
//! | --- | --- |
//! | cancelled requests give their blocks back | `core` |
//! | the adapter of a request is brought into memory, and stays there until the answer | `adapters` |
//! | which sequences compute how many tokens, and which are admitted: numbers in, numbers out | `scheduler` |
//! | an admitted sequence gets all blocks it can ever need, and starts after the tokens it shares | `blocks`, `prefix` |
//! | the tokens of all sequences become rows, one below the other, without padding | `batch` |
//! | the model computes the rows; a batch that fails is halved until the culprit is alone | `worker`, `isolate` |
//! | each sequence takes its token and ends by the rules of [`crate::decode`] | `sequence` |
//!
//! The arithmetic of a step, for `SmolLM2`-135M (106 million weights in 30 layers, 28 million in
//! the head, 3 key-value heads of 64) and the default budget of 256 tokens, 16 sequences of 1,300
//! tokens each decoding: 16 rows decode and 240 are prompt. The layers cost 256 × 2 × 106 M = 54
//! billion operations; the head is computed for the rows whose next token is wanted only, 16 × 2 ×
//! 28 M = 0.9 billion instead of 14.5. Weights are read once for all rows, which is why a batch is
//! cheaper than its sequences. Keys and values are each sequence's own: 2 × 30 × 3 × 64 = 11,520
//! values a token, so with four bytes each a block of 32 tokens has 1.4 MiB and the sixteen read
//! 0.96 GB a step. Decoding is bound by that, prefill by the operations.

mod adapters;
mod blocks;
pub(crate) mod core;
mod device;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod isolate;
mod load;
mod mapreduce;
mod memory;
pub(crate) mod metrics;
mod plan;
mod prefix;
pub(crate) mod scheduler;
pub(crate) mod sequence;
pub(crate) mod worker;

use std::sync::{Arc, LazyLock};

use tokio::sync::{Semaphore, mpsc, oneshot};

use self::adapters::{AdapterCache, AdapterLease};
pub use self::memory::available_bytes;
pub use self::metrics::EngineStats;
use self::metrics::{Counters, StepRecord};
use self::sequence::{Generated, Job};
use self::worker::Message;
use crate::config::WeightsKind;
use crate::decode::logprob::{mean, quantiles};
use crate::decode::steer::{Steering, SteeringRules};
use crate::decode::stop::AnswerLimits;
use crate::error::EngineError;
use crate::models::adapters::AdapterEntry;
use crate::request::{Completion, End, Request, RuleChanges, TokenRequest};
use crate::text::gguf_bpe::Tokenizer;
use crate::text::template::Template;

/// A document that begins like hardly any other. The tokens that a prompt has in common with a
/// prompt about it do not depend on the document.
const OTHER_DOCUMENT: &str = "\u{2042}";

/// Bytes of a text up to which it is prepared beside others without waiting for a place.
const MAX_SHORT_BYTES: usize = 64 * 1024;

/// The model and the settings that an engine's answers depend on, besides the request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelInfo {
    /// Name in the manifest.
    pub name: String,
    /// Revision in the manifest.
    pub revision: String,
    /// How the weights are stored.
    pub quantisation: String,
    /// SHA-256 of the model's file.
    pub sha256: String,
    /// Tokens that one sequence may hold, prompt and answer: the smaller of the model's context and
    /// the key-value pool.
    pub limit_tokens: usize,
    /// The repetition penalty in force; 1 is none.
    pub repetition_penalty: f32,
    /// How a device keeps the weights, which decides how products are rounded. `None` on the
    /// processor, whose kernels know one way only.
    pub device_weights: Option<WeightsKind>,
    /// Everything that changes an answer: [`crate::EngineConfig::decoding`], and what the model's
    /// entry and the longest sequence add to it.
    pub decoding: String,
}

/// A handle on a running engine; clones are cheap and share it. The engine ends when the last
/// handle goes.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: mpsc::UnboundedSender<Message>,
    /// Tokens that may still be queued.
    queue: Arc<Semaphore>,
    queue_tokens: usize,
    tokenizer: Tokenizer,
    template: Template,
    /// The rules that lead answers to texts.
    steering: SteeringRules,
    window_tokens: usize,
    info: ModelInfo,
    counters: Arc<Counters>,
    /// Bytes of the key-value pool, taken at start.
    kv_bytes: u64,
    adapters: AdapterCache,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Engine").field("model", &self.shared.info.name).finish_non_exhaustive()
    }
}

impl Engine {
    /// Generates the answer to one request.
    ///
    /// Waits while the queue is full. Dropping the future cancels the request, and its blocks are
    /// free before the next step.
    pub async fn submit(&self, request: Request) -> Result<Completion, EngineError> {
        let cancel = request.cancel.clone();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(EngineError::Cancelled),
            result = self.generate(request) => result,
        }
    }

    /// Generates from a prompt given as token ids, by the model's own choice alone; otherwise as
    /// [`Engine::submit`].
    pub async fn submit_tokens(&self, request: TokenRequest) -> Result<Completion, EngineError> {
        let TokenRequest { prompt, max_new_tokens, end, adapter, cancel } = request;
        let vocabulary = self.shared.tokenizer.detokeniser().vocabulary();
        if prompt.is_empty() || prompt.iter().any(|id| *id as usize >= vocabulary) {
            let reason = format!("its prompt is empty or has an id that is not below the vocabulary's {vocabulary}");
            return Err(EngineError::InvalidRequest { reason });
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(EngineError::Cancelled),
            result = self.compute(prompt, 0, AnswerLimits { max_new_tokens, end }, 0, adapter.as_deref(), None) => result,
        }
    }

    /// The token ids of a request's prompt, as [`Engine::submit`] would compute them.
    pub async fn prompt_tokens(&self, request: Request) -> Result<Vec<u32>, EngineError> {
        Ok(self.off_thread(request.document.len(), move |shared| shared.prompt(&request)).await?.0)
    }

    async fn generate(&self, request: Request) -> Result<Completion, EngineError> {
        let Request { max_new_tokens, one_paragraph, priority, .. } = request;
        let end = if one_paragraph { End::Paragraph } else { End::Natural };
        let (bytes, adapter) = (request.document.len(), request.adapter.clone());
        let prepare = move |shared: &Shared| {
            let steering = Steering::of(&shared.steering.changed(&request.rules), &request);
            Ok((shared.prompt(&request)?, steering))
        };
        let ((prompt, common_tokens), steering) = self.off_thread(bytes, prepare).await?;
        let limits = AnswerLimits { max_new_tokens, end };
        self.compute(prompt, common_tokens, limits, priority, adapter.as_deref(), Some(steering)).await
    }

    async fn compute(
        &self,
        prompt: Vec<u32>,
        common_tokens: usize,
        limits: AnswerLimits,
        priority: i32,
        adapter: Option<&AdapterEntry>,
        steering: Option<Steering>,
    ) -> Result<Completion, EngineError> {
        let (input_tokens, max_new_tokens) = (prompt.len(), limits.max_new_tokens);
        self.shared.admit(input_tokens, max_new_tokens)?;

        let adapter = self.shared.lease(adapter).await?;
        let weight = (input_tokens + max_new_tokens).min(self.shared.queue_tokens);
        let permits = u32::try_from(weight).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let place = Arc::clone(&self.shared.queue).acquire_many_owned(permits).await.ok();
        let (reply, answer) = oneshot::channel();
        let job = Job { prompt, common_tokens, limits, steering, priority, adapter, reply, place };
        let stopped = || EngineError::Stopped { reason: "it was shut down".into() };
        self.shared.inbox.send(Message::Job(Box::new(job))).map_err(|_| stopped())?;
        let generated = answer
            .await
            .map_err(|_| EngineError::Stopped { reason: "its thread ended without an answer".into() })??;
        Ok(self.shared.completion(input_tokens, &generated))
    }

    /// Runs work on a text of `bytes` on a thread where it does not delay other tasks. Long texts
    /// take seconds and many bytes for each of their own, so few are read at once.
    async fn off_thread<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&Shared) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        /// Places for long texts.
        static LONG: LazyLock<Semaphore> = LazyLock::new(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            Semaphore::new(cores.saturating_sub(1).max(1))
        });
        // The semaphore is never closed.
        let place = if bytes > MAX_SHORT_BYTES { LONG.acquire().await.ok() } else { None };
        let shared = Arc::clone(&self.shared);
        let work = move || {
            let done = work(&shared);
            drop(place);
            done
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| EngineError::Stopped { reason: format!("preparing a request failed: {error}") })?
    }

    /// Counters and state, as of the last step.
    pub fn stats(&self) -> EngineStats {
        self.shared.counters.stats()
    }

    /// Bytes of the key-value pool, which is taken at start and never grows.
    pub fn kv_bytes(&self) -> u64 {
        self.shared.kv_bytes
    }

    /// Bytes of the adapters in memory, and their number.
    pub fn adapters_in_memory(&self) -> (u64, usize) {
        self.shared.adapters.in_memory()
    }

    /// Starts to record every step.
    pub(crate) fn record_steps(&self) {
        self.shared.counters.record_steps();
    }

    /// The steps since [`Engine::record_steps`], in order; ends the recording.
    pub(crate) fn recorded_steps(&self) -> Vec<StepRecord> {
        self.shared.counters.recorded_steps()
    }

    /// The model and the settings that the answers depend on, besides the request.
    pub fn identity(&self) -> &ModelInfo {
        &self.shared.info
    }

    /// Every setting that changes the answer to a request with these rules: part of the answer's
    /// fingerprint.
    pub fn decoding(&self, rules: &RuleChanges) -> String {
        format!("{}{}", self.shared.info.decoding, self.shared.steering.spelled(rules))
    }

    /// Tokens of a text, as the model reads it.
    pub fn count_tokens(&self, text: &str) -> Result<usize, EngineError> {
        self.shared.tokens(text)
    }

    /// Stops the engine: requests inside it get [`EngineError::Stopped`]. Returns when its thread
    /// takes nothing any more.
    pub async fn shutdown(&self) {
        // A message that cannot be sent means that the engine has stopped already.
        let _ = self.shared.inbox.send(Message::Stop);
        self.shared.inbox.closed().await;
    }
}

impl Shared {
    /// The prompt, and how many of its first tokens do not depend on the document.
    fn prompt(&self, request: &Request) -> Result<(Vec<u32>, usize), EngineError> {
        // Encoded as one text, so that words at the edges of the document are cut as in the texts
        // that the model was trained on.
        let about = |document: &str| {
            let user = format!("{}{document}{}", request.before, request.after);
            self.template.prompt(&self.tokenizer, request.system.as_deref(), &user)
        };
        let prompt = about(&request.document)?;
        // The text after the last word before the document can change how that word is cut, so
        // tokens are compared and not texts.
        let common = about(OTHER_DOCUMENT)?.iter().zip(&prompt).take_while(|(other, own)| other == own).count();
        Ok((prompt, common))
    }

    /// Keeps a request's adapter in memory.
    async fn lease(&self, adapter: Option<&AdapterEntry>) -> Result<Option<AdapterLease>, EngineError> {
        match adapter {
            Some(entry) => self.adapters.lease(entry).await.map(Some),
            None => Ok(None),
        }
    }

    /// Refuses a request at once if it could never be computed.
    fn admit(&self, prompt_tokens: usize, max_new_tokens: usize) -> Result<(), EngineError> {
        if max_new_tokens == 0 {
            return Err(EngineError::InvalidRequest { reason: "`max_new_tokens` is 0".into() });
        }
        let limit_tokens = self.info.limit_tokens;
        if prompt_tokens.saturating_add(max_new_tokens) > limit_tokens {
            return Err(EngineError::PromptTooLong { prompt_tokens, max_new_tokens, limit_tokens });
        }
        Ok(())
    }

    fn completion(&self, input_tokens: usize, generated: &Generated) -> Completion {
        let text = self.tokenizer.detokeniser().text(&generated.ids);
        let text = match self.template.opening() {
            // Without the tag no reader could tell that the answer begins within reasoning.
            Some(opening) => format!("{opening}{text}"),
            None => text,
        };
        Completion {
            text: text.trim().to_owned(),
            finish_reason: generated.reason,
            input_tokens,
            output_tokens: generated.logprobs.len(),
            logprob_quantiles: quantiles(&generated.logprobs),
            logprob_mean: mean(&generated.logprobs),
        }
    }
}

#[cfg(test)]
mod tests;
