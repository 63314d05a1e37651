//! The cost of adapters: a batch whose sequences have adapters by turns, beside the same batch
//! without any, in one process.
//!
//! ```text
//! cargo run --release -p precis-inference --example adapters -- [ADAPTERS [RANK [BATCH [CONTEXT [NEW TOKENS [ROUNDS]]]]]]
//! ```
//!
//! The adapters are random and change every linear projection of the default model. Two things are
//! measured: decoding alone, with every sequence in the batch, and whole requests, whose prompts
//! are read as well. Runs with and without adapters take turns, and each round begins with the
//! other kind, so that what else the machine does falls on both. The ratios are the medians of the
//! rounds' ratios; ratios of processor time are given beside those of wall time. It fails where
//! less than 85 % are left with adapters.
#![allow(clippy::print_stdout, reason = "its output is the measurement")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use precis_inference::bench::Measurement;
use precis_inference::models::adapters::{self, AdapterEntry};
use precis_inference::models::{self, DEFAULT_MODEL, Manifest, ModelEntry};
use precis_inference::{DeviceKind, End, Engine, EngineConfig, TokenRequest, bench};

/// Share of the throughput without adapters that must be left with them, per cent.
const WANTED_PERCENT: u32 = 85;
/// Shape of the default model.
const LAYERS: usize = 30;
const WIDTH: usize = 576;
const INNER: usize = 1536;
const KV_WIDTH: usize = 192;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|number| number.parse()).collect::<Result<_, _>>()?;
    let number = |at: usize, default: usize| numbers.get(at).copied().unwrap_or(default);
    let (count, rank, batch) = (number(0, 8), number(1, 8), number(2, 32));
    let (context, new_tokens, rounds) = (number(3, 256), number(4, 48), number(5, 3));

    let entry = Manifest::builtin().find(DEFAULT_MODEL)?.clone();
    let model = models::pull(&entry, &models::default_dir(), &mut |_| {})?;
    let folder = std::env::temp_dir().join(format!("precis-adapters-{}", std::process::id()));
    let found = measure(&folder, &entry, &model, [count, rank, batch, context, new_tokens, rounds]);
    std::fs::remove_dir_all(&folder)?;
    found
}

fn measure(
    folder: &Path,
    entry: &ModelEntry,
    model: &Path,
    [count, rank, batch, context, new_tokens, rounds]: [usize; 6],
) -> Result<(), Failure> {
    let adapters: Vec<Arc<AdapterEntry>> = (0..count)
        .map(|number| {
            let source = folder.join(format!("source-{number}"));
            write(&source, rank)?;
            Ok(Arc::new(adapters::register(&source, &format!("a{number}"), entry, model, folder)?))
        })
        .collect::<Result<_, Failure>>()?;
    let bytes: u64 = adapters.iter().map(|adapter| adapter.bytes).sum();
    let config = EngineConfig {
        device: DeviceKind::Cpu,
        max_sequences: batch,
        kv_tokens: batch * (context + new_tokens + 64),
        adapter_bytes: bytes,
        ..EngineConfig::default()
    };
    let step_tokens = config.step_tokens;
    let engine = Engine::start(entry, model, config)?;
    let text: Vec<u32> = (0..context as u32).map(|at| 300 + at * 97 % 20_000).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    // Brings the adapters into memory.
    for adapter in &adapters {
        let adapter = Some(Arc::clone(adapter));
        let request =
            TokenRequest { prompt: text[..8].to_vec(), max_new_tokens: 1, adapter, ..TokenRequest::default() };
        runtime.block_on(engine.submit_tokens(request))?;
    }
    let prompts = bench::slices(&text, &vec![context; batch]);
    let (mut decoding, mut requests) = (Figure::default(), Figure::default());
    for round in 0..2 * rounds.max(1) {
        // Without, with; with, without; and so on.
        let kind = usize::div_ceil(round, 2) % 2;
        let used: &[_] = if kind == 1 { &adapters } else { &[] };
        let run = bench::decode_adapted(&engine, &text, batch, context, new_tokens, step_tokens, used);
        decoding.runs[kind].push(runtime.block_on(run)?);
        let run = bench::documents_adapted(&engine, &prompts, new_tokens, End::AtLimit, used);
        requests.runs[kind].push(runtime.block_on(run)?);
    }
    println!(
        "{count} adapters of rank {rank}, {} MiB; {batch} sequences at {context} tokens, {} rounds",
        bytes >> 20,
        rounds.max(1)
    );
    println!("| figure | without | with | ratio | of processor time | wanted |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let ratios = [
        decoding.print("decode, tokens/s", Measurement::output_per_second),
        requests.print("whole requests, requests/min", Measurement::documents_per_minute),
    ];
    if ratios.into_iter().any(|ratio| ratio < f64::from(WANTED_PERCENT)) {
        return Err(format!("less than {WANTED_PERCENT} % are left with adapters").into());
    }
    Ok(())
}

/// The runs of one figure, without adapters and with them.
#[derive(Default)]
struct Figure {
    runs: [Vec<Measurement>; 2],
}

impl Figure {
    /// Prints the figure's row, and returns the ratio in per cent.
    fn print(&self, name: &str, rate: impl Fn(&Measurement) -> f64) -> f64 {
        let median_of = |rate: &dyn Fn(&Measurement) -> f64| {
            let [plain, adapted] = self.runs.each_ref().map(|runs| runs.iter().map(rate).collect::<Vec<f64>>());
            let ratios = plain.iter().zip(&adapted).map(|(plain, adapted)| 100.0 * adapted / plain).collect();
            [median(plain), median(adapted), median(ratios)]
        };
        let [plain, adapted, ratio] = median_of(&rate);
        let per_processor_second =
            |run: &Measurement| run.cpu_seconds.map_or(f64::NAN, |cpu| run.output_tokens as f64 / cpu);
        let [.., processor] = median_of(&per_processor_second);
        println!("| {name} | {plain:.1} | {adapted:.1} | {ratio:.1} % | {processor:.1} % | {WANTED_PERCENT} % |");
        ratio
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Writes a random adapter for the default model, as PEFT saves it.
fn write(folder: &Path, rank: usize) -> Result<(), Failure> {
    let shapes = [
        ("self_attn.q_proj", WIDTH, WIDTH),
        ("self_attn.k_proj", WIDTH, KV_WIDTH),
        ("self_attn.v_proj", WIDTH, KV_WIDTH),
        ("self_attn.o_proj", WIDTH, WIDTH),
        ("mlp.gate_proj", WIDTH, INNER),
        ("mlp.up_proj", WIDTH, INNER),
        ("mlp.down_proj", INNER, WIDTH),
    ];
    let mut tensors = HashMap::new();
    for layer in 0..LAYERS {
        for (name, inputs, outputs) in shapes {
            let module = format!("base_model.model.model.layers.{layer}.{name}");
            let random =
                |rows, columns| Tensor::rand(-0.01_f32, 0.01, (rows, columns), &Device::Cpu)?.to_dtype(DType::BF16);
            tensors.insert(format!("{module}.lora_A.weight"), random(rank, inputs)?);
            tensors.insert(format!("{module}.lora_B.weight"), random(outputs, rank)?);
        }
    }
    std::fs::create_dir_all(folder)?;
    candle_core::safetensors::save(&tensors, folder.join("adapter_model.safetensors"))?;
    let config = serde_json::json!({ "peft_type": "LORA", "r": rank, "lora_alpha": rank });
    Ok(std::fs::write(folder.join("adapter_config.json"), config.to_string())?)
}
