//! `precis bench`: what this machine and this model give, measured in the engine that the workers
//! run.

mod measure;
mod prompts;
mod report;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;
use precis_gpu_worker::{GpuWorkerSettings, ModelSettings};
use precis_inference::{Engine, EngineConfig, bench};

use crate::environment::Environment;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::operations::models::ensure_present;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  precis bench                             all three scenarios with a text of its own
  precis bench --documents letters/        documents a minute, with your own documents
  precis bench --scenario decode --batch 1,8,32 --context 512,1300 --rounds 3
  precis bench --documents letters/ --write-prompts prompts.txt
  precis bench --prompts prompts.txt --new-tokens 128 --json

Scenarios: documents (all prompts at once, --new-tokens out of each: what batch work sees), prefill (prompts of --context tokens, \
one token out of each), decode (--batch sequences at --context tokens; only steps in which all of them decode). The engine has \
the settings of [gpu_worker.engine], with room for what is measured. Leave the machine idle meanwhile.";

/// Measure how fast this machine summarises: documents a minute, prefill, decode
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to measure [default: all; with --documents or --prompts: documents]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME")]
    scenario: Vec<Scenario>,
    /// Documents to make prompts of, whole: files, folders, .jsonl [default: a text of its own]
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "prompts")]
    documents: Vec<PathBuf>,
    /// Prompts as token ids: one a line, ids between spaces
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Write the prompts' token ids to this file and measure nothing
    #[arg(long, value_name = "FILE", conflicts_with = "scenario")]
    write_prompts: Option<PathBuf>,
    /// Tokens generated for each document; decode steps
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    new_tokens: u32,
    /// Let the model end its answers, instead of exactly --new-tokens each
    #[arg(long)]
    natural: bool,
    /// Let a first blank line end them too, as it ends the paragraphs that workers ask for
    #[arg(long, requires = "natural")]
    paragraph: bool,
    /// Sequences that are computed together [default: as configured; decode: 1,8,32]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: Vec<u32>,
    /// Tokens of context that prefill reads and decode starts at
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "512", value_parser = clap::value_parser!(u32).range(1..))]
    context: Vec<u32>,
    /// Prompts that prefill reads
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    prefills: u32,
    /// How often each measurement is taken; each is shown
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Threads of the engine [default: as configured]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Model to measure; `precis models list` shows them
    #[arg(short, long, value_name = "NAME")]
    model: Option<String>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// All prompts at once, an answer to each
    Documents,
    /// Reading prompts
    Prefill,
    /// Generating, nothing else
    Decode,
}

impl Args {
    fn scenarios(&self) -> Vec<Scenario> {
        let own = !self.documents.is_empty() || self.prompts.is_some();
        match (self.scenario.as_slice(), own) {
            ([], true) => vec![Scenario::Documents],
            ([], false) => Scenario::value_variants().to_vec(),
            (named, _) => named.to_vec(),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Inputs that cannot be read; the engine's: a model that cannot be had, too little memory, prompts
/// that can never fit.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    let worker: GpuWorkerSettings = environment.settings.section("gpu_worker")?;
    let mut model: ModelSettings = environment.settings.section("model")?;
    if let Some(name) = &args.model {
        model.name.clone_from(name);
    }
    let mut config = worker.engine;
    if let Some(threads) = args.threads {
        config.threads = threads;
    }
    let Some(prompts) = prompts::read(&args, &model, &config, out).await? else {
        return Ok(Exit::SomeFailed);
    };
    if let Some(path) = &args.write_prompts {
        std::fs::write(path, bench::write(&prompts))
            .with_context(|| format!("{} cannot be written", path.display()))?;
        out.note(format_args!("{} prompts are in {}", prompts.len(), path.display()));
        return Ok(Exit::Done);
    }
    let mut report = report::Report::new(out);
    for scenario in args.scenarios() {
        for work in measure::works(scenario, &args, &prompts, &config) {
            let engine = start(&model, work.config.clone(), out).await?;
            for round in 1..=args.rounds {
                let measured = work.measure(&engine).await?;
                report.add(&work, round, &engine, &measured)?;
            }
            engine.shutdown().await;
        }
    }
    report.finish();
    Ok(Exit::Done)
}

/// An engine with these settings; its model is fetched if it is not there.
async fn start(model: &ModelSettings, config: EngineConfig, out: &Output) -> anyhow::Result<Engine> {
    let (entry, path) = ensure_present(model, out).await?;
    let engine = tokio::task::spawn_blocking(move || Engine::start(&entry, &path, config)).await?;
    Ok(engine?)
}
