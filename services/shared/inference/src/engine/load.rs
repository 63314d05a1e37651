//! From a file and settings to a running engine.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use candle_core::DType;
use tokio::sync::{Semaphore, mpsc};

use super::batch::BLOCK_TOKENS;
use super::core::Core;
use super::memory::{Needs, available_bytes};
use super::metrics::Counters;
use super::scheduler::Limits;
use super::{Engine, ModelInfo, Shared, device, worker};
use crate::backend::candle::{CandleBackend, QUERY_TILE};
use crate::config::EngineConfig;
use crate::decode::stop::StopRules;
use crate::error::EngineError;
use crate::model::config::ModelConfig;
use crate::model::decoder::Decoder;
use crate::model::gguf;
use crate::model::weights::{GgufFile, Weights};
use crate::models::ModelEntry;
use crate::text::gguf_bpe::Tokenizer;
use crate::text::template::Template;

impl Engine {
    /// Loads the model at `path` and starts an engine with it.
    ///
    /// Takes a second or more and blocks: call it where that is allowed. Fails with the numbers when weights and key-value pool do
    /// not fit into memory, before taking any.
    pub fn start(entry: &ModelEntry, path: &Path, config: EngineConfig) -> Result<Self, EngineError> {
        let config = config.checked()?;
        let mut file = GgufFile::open(path)?;
        let (shape, tokenizer, template) = file.named(describe(&file))?;

        let blocks = config.kv_tokens / BLOCK_TOKENS;
        let context = shape.context.min(entry.context).min(blocks * BLOCK_TOKENS);
        let device = device::open(config.device)?;
        let device_name = device::name(&device);
        let dtype = if device.is_cpu() { DType::F32 } else { DType::BF16 };
        let needs = needs(&shape, &config, context, dtype, !file.has("output.weight"));
        if let Some(available) = available_bytes().filter(|_| device.is_cpu()) {
            needs.check(available)?;
        }

        let threads = config.thread_count();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("precis-compute-{index}"))
            .build()
            .map_err(|error| EngineError::InvalidConfig {
                reason: format!("{threads} threads cannot be started: {error}"),
            })?;
        let on_device = |error: crate::backend::BackendError| EngineError::NoDevice {
            device: device_name.into(),
            reason: error.to_string(),
        };
        let backend = CandleBackend::new(&shape, device, dtype, context, blocks).map_err(on_device)?;
        let weights = pool.install(|| Weights::load(&mut file, &shape, &backend))?;
        let decoder = Decoder::new(shape, weights, backend, config.repetition_penalty);

        let counters = Arc::new(Counters::default());
        let limits = Limits { step_tokens: config.step_tokens, max_sequences: config.max_sequences };
        let rules =
            StopRules { endings: tokenizer.endings().to_vec(), detokeniser: Arc::clone(tokenizer.detokeniser()) };
        let core = Core::new(decoder, limits, rules, blocks, Arc::clone(&counters));
        let (inbox, messages) = mpsc::unbounded_channel();
        thread::Builder::new()
            .name("precis-engine".into())
            .spawn(move || pool.install(|| worker::run(core, messages)))
            .map_err(|error| EngineError::io("starting the engine's thread for", path, &error))?;

        let info = ModelInfo {
            name: entry.name.clone(),
            revision: entry.revision.clone(),
            quantisation: entry.quantisation.clone(),
            sha256: entry.sha256.clone(),
            limit_tokens: context,
            repetition_penalty: config.repetition_penalty,
        };
        tracing::info!(
            model = info.name,
            device = device_name,
            threads,
            limit_tokens = context,
            kv_blocks = blocks,
            "the engine is ready"
        );
        let queue = Arc::new(Semaphore::new(config.queue_tokens));
        let queue_tokens = config.queue_tokens;
        let window_tokens = match config.window_tokens {
            0 => entry.window.unwrap_or(0),
            set => set,
        };
        let shared = Shared {
            inbox,
            queue,
            queue_tokens,
            tokenizer,
            template,
            window_tokens,
            info,
            counters,
            kv_bytes: needs.pool,
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

fn describe(file: &GgufFile) -> Result<(ModelConfig, Tokenizer, Template), EngineError> {
    let shape = ModelConfig::from_gguf(&file.content)?;
    let tokenizer = Tokenizer::from_gguf(&file.content)?;
    let template = Template::new(gguf::string(&file.content, "tokenizer.chat_template")?, &tokenizer)?;
    Ok((shape, tokenizer, template))
}

fn needs(shape: &ModelConfig, config: &EngineConfig, context: usize, dtype: DType, tied: bool) -> Needs {
    let bytes = |values: usize| (values * dtype.size_in_bytes()) as u64;
    Needs {
        weights: bytes(shape.weight_count(tied)),
        pool: bytes(config.kv_tokens / BLOCK_TOKENS * BLOCK_TOKENS * shape.kv_values_per_token()),
        work: bytes(shape.work_values(config.step_tokens, config.max_sequences, context, QUERY_TILE)),
    }
}
