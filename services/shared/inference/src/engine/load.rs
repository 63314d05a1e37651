//! Start of an engine from a model's file and settings.

mod reading;

use std::path::Path;
use std::sync::Arc;
use std::thread;

use candle_core::quantized::gguf_file::Content;
use candle_core::{DType, Device};
use precis_kernels::Isa;
use tokio::sync::{Semaphore, mpsc};

use self::reading::Reading;
use super::adapters::AdapterCache;
use super::core::Core;
use super::memory::{MemoryNeeds, available_bytes};
use super::metrics::Counters;
use super::plan::{DeviceSizes, Fits, StoredTensor, plan};
use super::scheduler::StepLimits;
use super::{Engine, ModelInfo, Shared, device, worker};
use crate::backend::candle::CandleBackend;
use crate::backend::candle_matrix::DEQUANTISE_ROWS;
use crate::backend::cpu::{CpuBackend, CpuLimits};
use crate::config::{EngineConfig, WeightsKind};
use crate::decode::steer::SteeringRules;
use crate::decode::stop::StopRules;
use crate::decode::tokens::TokenClasses;
use crate::error::EngineError;
use crate::gguf;
use crate::model::decoder::Decoder;
use crate::model::weights::{GgufFile, Weights};
use crate::models::ModelEntry;
use crate::models::adapters::AdapterBase;
use crate::step::{BLOCK_TOKENS, BackendError, ModelConfig, StepModel};
use crate::text::gguf_bpe::Tokenizer;
use crate::text::template::Template;

impl Engine {
    /// Loads the model at `path` and starts an engine with it. A file whose digest is not the
    /// pinned one is refused before anything of it is parsed.
    ///
    /// Blocks for a second or more, so call it where that is allowed. When weights, key-value pool,
    /// work space and the bound of the adapters do not fit into memory, it fails before it takes
    /// any, and the error has the numbers.
    pub fn start(entry: &ModelEntry, path: &Path, config: EngineConfig) -> Result<Self, EngineError> {
        let config = config.checked()?;
        let mut file = GgufFile::open(entry, path)?;
        let (mut shape, tokenizer, template) = file.named(describe(&file.content))?;
        let base = AdapterBase::of(&file, &entry.sha256)?;

        let blocks = config.kv_tokens / BLOCK_TOKENS;
        let context = shape.context.min(entry.context).min(blocks * BLOCK_TOKENS);
        let rope_factors = file.read_rope_divisors(&mut shape, entry.context)?;
        let reading = Reading { entry, rope_factors, limit_tokens: context };
        let device = device::open(config.device)?;
        let device_name = device::name(&device);
        let plan = LoadPlan { shape, config: &config, context, blocks };
        let device_weights = (!device.is_cpu()).then_some(config.weights);
        let (model, pool, needs, isa) = if device.is_cpu() {
            let (model, needs, isa) = plan.on_processor(&mut file)?;
            (model, None, needs, isa.name())
        } else {
            let (model, pool, needs) = plan.on_device(&mut file, device)?;
            (model, Some(pool), needs, "none")
        };
        file.expect_unchanged()?;
        let threads = config.thread_count();

        let counters = Arc::new(Counters::default());
        let limits = StepLimits { step_tokens: config.step_tokens, max_sequences: config.max_sequences };
        let rules = StopRules {
            endings: tokenizer.endings().to_vec(),
            detokeniser: Arc::clone(tokenizer.detokeniser()),
            begins_in_reasoning: template.opening().is_some(),
        };
        let core = Core::new(model, limits, rules, blocks, Arc::clone(&counters));
        let (inbox, messages) = mpsc::unbounded_channel();
        thread::Builder::new()
            .name("precis-engine".into())
            .spawn(move || match pool {
                Some(pool) => pool.install(|| worker::run(core, messages)),
                None => worker::run(core, messages),
            })
            .map_err(|error| EngineError::io("starting the engine's thread for", path, &error))?;

        let info = ModelInfo {
            name: entry.name.clone(),
            revision: entry.revision.clone(),
            quantisation: entry.quantisation.clone(),
            sha256: entry.sha256.clone(),
            limit_tokens: context,
            repetition_penalty: config.repetition_penalty,
            device_weights,
            decoding: reading.decoding(config.decoding(device_weights), &config),
        };
        tracing::info!(
            model = info.name,
            device = device_name,
            isa,
            weights = device_weights.map(WeightsKind::as_str),
            threads,
            limit_tokens = context,
            kv_blocks = blocks,
            "the engine is ready"
        );
        let queue = Arc::new(Semaphore::new(config.queue_tokens));
        let queue_tokens = config.queue_tokens;
        let window_tokens = reading.window_tokens(&config);
        let adapters = AdapterCache::new(Some(base), config.adapter_bytes, inbox.clone());
        let classes = TokenClasses::new(Arc::clone(tokenizer.detokeniser()), tokenizer.endings().to_vec());
        let steering = SteeringRules {
            classes: Arc::new(classes),
            numbers_from_source: config.numbers_from_source,
            names_from_source: config.names_from_source,
            no_repeat_tokens: config.no_repeat_tokens,
            whole_sentences: config.whole_sentences,
        };
        let shared = Shared {
            inbox,
            queue,
            queue_tokens,
            tokenizer,
            template,
            steering,
            window_tokens,
            info,
            counters,
            kv_bytes: needs.pool,
            adapters,
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

fn describe(content: &Content) -> Result<(ModelConfig, Tokenizer, Template), EngineError> {
    let shape = ModelConfig::from_gguf(content)?;
    let tokenizer = Tokenizer::from_gguf(content)?;
    let template = Template::new(gguf::string(content, "tokenizer.chat_template")?, &tokenizer)?;
    Ok((shape, tokenizer, template))
}

/// The model to load, and the sizes to load it for.
struct LoadPlan<'a> {
    shape: ModelConfig,
    config: &'a EngineConfig,
    /// Positions of the longest sequence.
    context: usize,
    blocks: usize,
}

impl LoadPlan<'_> {
    /// Packs the weights for the processor's kernels.
    fn on_processor(self, file: &mut GgufFile) -> Result<(Box<dyn StepModel + Send>, MemoryNeeds, Isa), EngineError> {
        let Self { shape, config, context, blocks } = self;
        let isa = config.isa.resolve();
        let limits = CpuLimits {
            context,
            blocks,
            rows: config.step_tokens,
            wanted: config.max_sequences,
            threads: config.thread_count(),
            isa,
        };
        let needs = MemoryNeeds {
            weights: file.tensor_bytes(),
            pool: limits.pool_bytes(&shape) as u64,
            work: limits.work_bytes(&shape) as u64,
            adapters: config.adapter_bytes,
        };
        let available = available_bytes();
        needs.log("cpu", available);
        if let Some(available) = available {
            needs.check(available, config.kv_tokens)?;
        }
        let backend = CpuBackend::new(&shape, limits).map_err(|error| no_device("cpu", &error))?;
        let weights = Weights::load(file, &shape, &backend)?;
        Ok((Box::new(Decoder::new(shape, weights, backend, config.repetition_penalty)), needs, isa))
    }

    /// Brings the weights to a CUDA device, with the pool that bounds Candle's threads.
    fn on_device(
        self,
        file: &mut GgufFile,
        device: Device,
    ) -> Result<(Box<dyn StepModel + Send>, rayon::ThreadPool, MemoryNeeds), EngineError> {
        let Self { shape, config, context, blocks } = self;
        let needs = device_memory(file, &shape, &device, DeviceSizes::new(config, context), config.device_memory_mib)?;
        let threads = config.thread_count();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("precis-compute-{index}"))
            .build()
            .map_err(|error| EngineError::InvalidConfig {
                reason: format!("{threads} threads cannot be started: {error}"),
            })?;
        let backend = CandleBackend::new(&shape, device, DType::BF16, context, blocks)
            .map_err(|error| no_device("cuda", &error))?
            .with_weights(config.weights, DEQUANTISE_ROWS);
        let weights = pool.install(|| Weights::load(file, &shape, &backend))?;
        Ok((Box::new(Decoder::new(shape, weights, backend, config.repetition_penalty)), pool, needs))
    }
}

/// Plans the memory of a device, says what fits, and refuses what does not.
///
/// The limit is what the driver says is free, or `max_mib` where that is set and less. Where
/// neither is known nothing is refused.
fn device_memory(
    file: &GgufFile,
    shape: &ModelConfig,
    device: &Device,
    sizes: DeviceSizes,
    max_mib: u64,
) -> Result<MemoryNeeds, EngineError> {
    let max = (max_mib > 0).then(|| max_mib.saturating_mul(1 << 20));
    let available = match (device::free_bytes(device), max) {
        (Some(free), Some(max)) => Some(free.min(max)),
        (free, max) => free.or(max),
    };
    let plan = plan(shape, &StoredTensor::all(&file.content), available.unwrap_or(u64::MAX >> 1), sizes);
    plan.needs.log(device::name(device), available);
    let Some(available) = available else { return Ok(plan.needs) };
    let Fits { kv_tokens, sequences, context } = plan.fits;
    tracing::info!(
        kv_tokens,
        sequences,
        of_tokens = sizes.context,
        longest_sequence = context,
        "what fits into the device's memory, at most"
    );
    plan.needs.check(available, sizes.kv_tokens)?;
    Ok(plan.needs)
}

fn no_device(device: &str, error: &BackendError) -> EngineError {
    EngineError::NoDevice { device: device.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests;
