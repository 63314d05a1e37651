//! `precis models`: the manifest's entries, and their files on this machine.

mod quantise;

use std::path::Path;

use clap::Subcommand;
use precis_gpu_worker::ModelSettings;
use precis_inference::models::{self, ModelEntry};
use serde_json::json;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::globals::Globals;
use crate::operations::models::ensure_pinned;
use crate::output::{Output, Table};

const EXAMPLES: &str = "\
Examples:
  precis models list
  precis models pull                       the one that the settings name
  precis models verify smollm2-135m-instruct
  precis models quantise fine-tuned/ --to q4_k

A model is an entry of the manifest: name, revision, file, its SHA-256, licence, and the sources to try in order. Add your \
own in a TOML file that [model] manifest names. A file with another digest is refused, wherever it came from.";

/// List, fetch and verify models
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
    Pull {
        /// Its name [default: the one that the settings name]
        name: Option<String>,
    },
    /// Read the whole file and compare its digest
    Verify {
        /// Its name [default: all that are on this machine]
        name: Option<String>,
    },
    Quantise(quantise::QuantiseArgs),
}

/// Runs the command.
///
/// # Errors
/// A manifest that cannot be read, an unknown name, a model that cannot be had.
pub async fn run(globals: &Globals, args: Args, out: &Output) -> anyhow::Result<Exit> {
    let environment = Environment::load(globals)?;
    let settings: ModelSettings = environment.settings.section("model")?;
    match args.action {
        Action::List => list(&settings, out),
        Action::Pull { name } => {
            let settings = name.map_or_else(|| settings.clone(), |name| ModelSettings { name, ..settings.clone() });
            let (entry, path) = ensure_pinned(&settings, out).await?;
            if out.json() {
                out.value(&json!({ "name": entry.name, "path": path }))?;
            } else {
                out.line(format_args!("{} is at {}", entry.name, path.display()));
            }
            Ok(Exit::Done)
        }
        Action::Verify { name } => verify(&settings, name.as_deref(), out),
        Action::Quantise(args) => quantise::run(args, out).await,
    }
}

fn list(settings: &ModelSettings, out: &Output) -> anyhow::Result<Exit> {
    let (manifest, folder) = (settings.load_manifest()?, settings.models_directory());
    let mut table =
        Table::new(&["Name", "Revision", "Family", "Quantisation", "Context", "Licence", "On this machine"]);
    for entry in &manifest.models {
        let path = models::locate(entry, &folder).ok();
        if out.json() {
            let used = entry.name == settings.name;
            out.value(&json!({ "entry": entry, "path": path, "used": used }))?;
        }
        let name = if entry.name == settings.name { format!("{} *", entry.name) } else { entry.name.clone() };
        table.row([
            name,
            entry.revision.clone(),
            entry.family.clone(),
            entry.quantisation.clone(),
            entry.context.to_string(),
            entry.licence.clone(),
            if path.is_some() { "yes" } else { "no" }.to_owned(),
        ]);
    }
    if !out.json() {
        out.table(&table);
        out.line(format_args!("* is the one that the settings name; files are kept in {}", folder.display()));
    }
    Ok(Exit::Done)
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
