//! `precis models`: the manifest's entries, and their files on this machine.

mod adapter;
mod add;
mod list;
mod quantise;
mod recommend;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use precis_gpu_worker::ModelSettings;
use precis_inference::models::{self, ModelEntry};
use serde_json::json;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  precis models list
  precis models pull                       the one that the settings name
  precis models pull qwen2.5-coder-1.5b-instruct
  precis models pull hf:OWNER/NAME/FILE.gguf@REVISION --sha256 DIGEST
  precis models register /models/mine.gguf --name mine
  precis models recommend --measure
  precis models verify smollm2-135m-instruct
  precis models register --adapter ./legal --name legal
  precis models quantise fine-tuned/ --to q4_k

A model is an entry of the manifest: name, revision, file, its SHA-256, licence, and the sources to try in order. Entries of \
your own come from a TOML file: the one that [model] manifest names, else precis/models.toml in your configuration folder; \
`register` and `pull` add to it. A file with another digest is refused, wherever it came from.

An adapter (LoRA) is a folder as PEFT saves it, or a GGUF file of llama.cpp. It is checked against its model and copied beside \
it. The policy says which documents are answered with it: [[tiers]] adapters.";

/// List, fetch, register, recommend and verify models
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the manifest's entries and which are on this machine
    List,
    /// Fetch a model from the first source that has it
    Pull(Pull),
    /// Add a model file of your own to your manifest, or take an adapter of a model to this machine
    Register(Register),
    /// Show which models this machine runs, and about how fast
    Recommend(recommend::Recommend),
    /// Read the whole file and compare its digest
    Verify {
        /// Its name [default: all that are on this machine]
        name: Option<String>,
    },
    Quantise(quantise::QuantiseArgs),
}

#[derive(Debug, clap::Args)]
struct Pull {
    /// Its name, or hf:OWNER/NAME/FILE@REVISION [default: the one that the settings name]
    name: Option<String>,
    /// SHA-256 that the file must have, where the manifest has none
    #[arg(long, value_name = "DIGEST", value_parser = sha256)]
    sha256: Option<String>,
    /// Take the file that comes now and pin its digest: you trust the source this once
    #[arg(long, conflicts_with = "sha256")]
    pin: bool,
    /// Name of the new entry, with hf: [default: the file's]
    #[arg(long = "as", value_name = "NAME")]
    as_name: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Register {
    /// A GGUF file; with --adapter also a folder as PEFT saves adapters
    path: PathBuf,
    /// That it is an adapter
    #[arg(long)]
    adapter: bool,
    /// Name of the entry, or the name that policies use [default: the file's or folder's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The model that an adapter is for [default: the one that the settings name]
    #[arg(long, value_name = "NAME", requires = "adapter")]
    base: Option<String>,
    /// Licence of the weights (SPDX) [default: the one that the file names]
    #[arg(long, value_name = "SPDX", conflicts_with = "adapter")]
    licence: Option<String>,
}

fn sha256(text: &str) -> Result<String, String> {
    let digest = text.trim().to_ascii_lowercase();
    let digest = digest.strip_prefix("sha256:").unwrap_or(&digest);
    if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(digest.to_owned());
    }
    Err("is no SHA-256; it has 64 hex digits".to_owned())
}

/// Runs the command.
///
/// # Errors
/// A manifest that cannot be read, an unknown name, a model that cannot be had.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    let settings: ModelSettings = environment.settings.section("model")?;
    match args.action {
        Action::List => list::run(&settings, out),
        Action::Pull(pull) => add::pull(settings, pull, out).await,
        Action::Register(register) if register.adapter => adapter::register(&settings, register, out).await,
        Action::Register(register) => add::register(&settings, register, out).await,
        Action::Recommend(recommend) => recommend::run(&environment, &settings, recommend, out).await,
        Action::Verify { name } => verify(&settings, name.as_deref(), out),
        Action::Quantise(args) => quantise::run(args, out).await,
    }
}

fn verify(settings: &ModelSettings, name: Option<&str>, out: &Output) -> anyhow::Result<Exit> {
    let (manifest, folder) = (settings.load_manifest()?, settings.models_directory());
    let wanted: Vec<&ModelEntry> = match name {
        Some(name) => vec![manifest.find(name)?],
        None => manifest.models.iter().filter(|entry| models::locate(entry, &folder).is_ok()).collect(),
    };
    if wanted.is_empty() {
        out.note(format_args!("there is no model in {}; `precis models pull` fetches one", folder.display()));
    }
    let mut exit = Exit::Done;
    for entry in wanted {
        if !verify_one(entry, &folder, out)? {
            exit = Exit::SomeFailed;
        }
    }
    Ok(exit)
}

fn verify_one(entry: &ModelEntry, folder: &Path, out: &Output) -> anyhow::Result<bool> {
    let verdict = models::verify(entry, folder);
    if out.json() {
        let (code, message) = match &verdict {
            Ok(_) => (None, None),
            Err(error) => (Some(error.code()), Some(error.to_string())),
        };
        out.value(&json!({ "name": entry.name, "ok": verdict.is_ok(), "code": code, "message": message }))?;
    } else {
        match &verdict {
            Ok(path) => out.line(format_args!("{}: sha256 is the pinned one ({})", entry.name, path.display())),
            Err(error) => out.error(format_args!("{}: {error} ({})", entry.name, error.code())),
        }
    }
    Ok(verdict.is_ok())
}
