//! `precis models recommend`: which models this machine runs, and about how fast.
//!
//! Work on a token is nearly proportional to the bytes of the weights, so that a short run of one
//! model tells about the others. Without a run only a bound is known: a step reads all weights once
//! for the tokens of its batch, and memory gives so many bytes a second.

mod estimate;
mod gpu;

use anyhow::Context as _;
use precis_gpu_worker::{GpuWorkerSettings, ModelSettings};
use precis_inference::bench::{self, Measurement};
use precis_inference::models::{self, ModelEntry};
use precis_inference::{End, Engine, EngineConfig, machine};
use serde_json::json;

use self::estimate::{Basis, Candidate, Machine, Speed, choose, rate};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::output::{Output, Table};

/// Prompts of the short run, their tokens, and the tokens of each answer: a quarter of the document
/// that [`estimate`] speaks of.
const PROMPTS: usize = 8;
const PROMPT_TOKENS: usize = estimate::DOCUMENT_TOKENS / 4;
const ANSWER_TOKENS: usize = estimate::ANSWER_TOKENS / 4;
const RUN_PARTS: f64 = 4.0;
const HEADER: [&str; 8] =
    ["Name", "Size", "Needs about", "Fits", "Documents/min", "How that is known", "Tested", "Measured quality"];

#[derive(Debug, clap::Args)]
pub(super) struct Recommend {
    /// Run each model that is here for some seconds, instead of an estimate from memory's speed
    #[arg(long)]
    measure: bool,
}

/// Shows what this machine is, and a row for each model.
pub(super) async fn run(
    environment: &Environment,
    settings: &ModelSettings,
    args: Recommend,
    out: &Output,
) -> anyhow::Result<Exit> {
    let worker: GpuWorkerSettings = environment.settings.section("gpu_worker")?;
    let (manifest, folder) = (settings.load_manifest()?, settings.models_directory());
    let available = machine::available_bytes();
    let mut speeds = Vec::new();
    if args.measure {
        for entry in &manifest.models {
            let Ok(path) = models::locate(entry, &folder) else { continue };
            out.note(format_args!("running {} for some seconds", entry.name));
            match measure(entry, &path, worker.engine.clone()).await {
                Ok(measured) => {
                    let documents = measured.documents_per_minute() / RUN_PARTS;
                    let bytes = size(entry, Some(&path)).unwrap_or_default();
                    speeds.push(Speed { name: entry.name.clone(), bytes, documents });
                }
                Err(error) => out.note(format_args!("{} was not measured: {error:#}", entry.name)),
            }
        }
    }
    let bandwidth = tokio::task::spawn_blocking(machine::memory_bandwidth).await?;
    let machine =
        Machine { available, bandwidth, batch: worker.engine.max_sequences, step: worker.engine.step_tokens, speeds };
    let gpus = gpu::found();
    tell_machine(&machine, &gpus, out)?;
    let mut table = Table::new(&HEADER).right(&[1, 2, 4]);
    let mut candidates = Vec::new();
    for entry in &manifest.models {
        let path = models::locate(entry, &folder).ok();
        let bytes = size(entry, path.as_deref());
        let needs = bytes.map(estimate::needed);
        let fits = needs.zip(available).map(|(needs, available)| needs <= available);
        let rate = bytes.map(|bytes| rate(&machine, &entry.name, bytes));
        if out.json() {
            out.value(&json!({
                "model": entry.name, "bytes": bytes, "needed_bytes": needs, "fits": fits,
                "documents_per_minute": rate.as_ref().map(|(documents, _)| documents),
                "basis": rate.as_ref().map(|(_, basis)| basis.to_string()),
                "tested": entry.tested, "quality": entry.quality, "path": path,
            }))?;
        }
        table.row(row(entry, bytes, needs, fits, rate.as_ref()));
        candidates.push(Candidate {
            name: &entry.name,
            bytes: bytes.unwrap_or_default(),
            tested: entry.tested,
            fits: fits == Some(true),
            documents: rate.map_or(0.0, |(documents, _)| documents),
        });
    }
    let chosen = choose(&candidates);
    if out.json() {
        out.value(&json!({ "recommended": chosen }))?;
    } else {
        out.table(&table);
        out.line(match chosen {
            Some(name) => format!("Begin with {name}: the largest tested model that fits and is not too slow."),
            None => "No tested model fits and reaches a document a minute here.".to_owned(),
        });
        out.line(format_args!(
            "A document: {} tokens read, {} written. Needs and unmeasured speeds are estimates; the engine checks its \
             exact need at start. Tested: the project has run this very file.",
            estimate::DOCUMENT_TOKENS,
            estimate::ANSWER_TOKENS
        ));
        if !args.measure {
            out.line(
                "`precis models recommend --measure` runs the models that are here, and tells of the others by them.",
            );
        }
    }
    Ok(Exit::Done)
}

fn tell_machine(machine: &Machine, gpus: &[String], out: &Output) -> anyhow::Result<()> {
    let (threads, isa) = (machine::threads(), machine::instruction_set());
    if out.json() {
        out.value(&json!({
            "available_bytes": machine.available, "threads": threads, "instruction_set": isa,
            "bytes_per_second": machine.bandwidth, "gpus": gpus, "cuda": cfg!(feature = "cuda"),
        }))?;
        return Ok(());
    }
    let memory = machine.available.map_or_else(|| "unknown".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000));
    out.line(format_args!(
        "This machine: {memory} of memory free, {threads} threads, {isa}, {:.1} GB/s from memory",
        machine.bandwidth / 1e9
    ));
    for gpu in gpus {
        let use_of_it = if cfg!(feature = "cuda") { "usable" } else { "not used: this build is without CUDA" };
        out.line(format_args!("GPU: {gpu} ({use_of_it}; speeds below are the processor's)"));
    }
    Ok(())
}

fn row(
    entry: &ModelEntry,
    bytes: Option<u64>,
    needs: Option<u64>,
    fits: Option<bool>,
    rate: Option<&(f64, Basis)>,
) -> [String; 8] {
    let mb = |bytes: Option<u64>| bytes.map_or_else(String::new, |bytes| format!("{} MB", bytes / 1_000_000));
    let quality: Vec<String> =
        entry.quality.iter().map(|quality| format!("{}: {}", quality.measure, quality.result)).collect();
    [
        entry.name.clone(),
        mb(bytes),
        mb(needs),
        fits.map_or("unknown", |fits| if fits { "yes" } else { "no" }).to_owned(),
        rate.map_or_else(String::new, |(documents, basis)| basis.shown(*documents)),
        rate.map_or_else(String::new, |(_, basis)| basis.to_string()),
        if entry.tested { "yes" } else { "no" }.to_owned(),
        if quality.is_empty() { "not measured".to_owned() } else { quality.join("; ") },
    ]
}

/// Bytes of the model's file: those of the manifest, else those on this machine.
fn size(entry: &ModelEntry, path: Option<&std::path::Path>) -> Option<u64> {
    entry.bytes.or_else(|| Some(path?.metadata().ok()?.len()))
}

/// A run of some seconds. What the prompts say has no part in how long they take.
async fn measure(entry: &ModelEntry, path: &std::path::Path, config: EngineConfig) -> anyhow::Result<Measurement> {
    let (entry, path) = (entry.clone(), path.to_owned());
    let started = tokio::task::spawn_blocking(move || Engine::start(&entry, &path, config)).await?;
    let engine = started.context("it does not start")?;
    let prompts: Vec<Vec<u32>> = (0..PROMPTS)
        .map(|prompt| (0..PROMPT_TOKENS).map(|at| ((prompt + 7 * at) % 50) as u32 + 100).collect())
        .collect();
    let measured = bench::documents(&engine, &prompts, ANSWER_TOKENS, End::AtLimit).await;
    engine.shutdown().await;
    Ok(measured?)
}
