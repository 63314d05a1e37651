//! `precis models pull` and `register`: a model's file comes to this machine, or to the manifest.

use std::path::Path;

use anyhow::{bail, ensure};
use precis_gpu_worker::ModelSettings;
use precis_inference::models::{self, ModelEntry, Source};
use serde_json::json;

use super::{Pull, Register};
use crate::exit::Exit;
use crate::operations::models::{Pin, add, ensure_pinned, keep, pin, writable_manifest};
use crate::output::Output;

/// Fetches a model of the manifest, or one that is not in it yet.
pub(super) async fn pull(settings: ModelSettings, args: Pull, out: &Output) -> anyhow::Result<Exit> {
    let Pull { name, sha256, pin: first_seen, as_name } = args;
    let wanted = sha256.map(Pin::Digest).or(first_seen.then_some(Pin::FirstSeen));
    let name = name.unwrap_or_else(|| settings.name.clone());
    let (entry, path) = if name.starts_with("hf:") {
        let Some(source) = Source::from_short_form(&name) else {
            bail!("{name} is not of the form hf:OWNER/NAME/FILE@REVISION");
        };
        let Some(wanted) = wanted else {
            bail!("which bytes {name} must have is not known: add --sha256 DIGEST, or --pin to take what comes now");
        };
        add(&settings, source, as_name, wanted, out).await?
    } else {
        ensure!(as_name.is_none(), "--as names a new entry, and {name} has one");
        let settings = ModelSettings { name, ..settings };
        match wanted {
            Some(wanted) => pin(&settings, wanted, out).await?,
            None => ensure_pinned(&settings, out).await?,
        }
    };
    tell(&entry, &path, out)
}

/// Adds an entry for a file on this machine to the user's manifest.
pub(super) async fn register(settings: &ModelSettings, args: Register, out: &Output) -> anyhow::Result<Exit> {
    let Register { path: file, name, licence, .. } = args;
    let described = tokio::task::spawn_blocking(move || models::describe(&file, name.as_deref())).await??;
    let entry = match licence {
        Some(licence) => ModelEntry { licence, ..described },
        None => described,
    };
    let manifest = writable_manifest(settings)?;
    if let Some(other) = settings.load_manifest()?.models.iter().find(|other| other.name == entry.name)
        && *other != entry
    {
        bail!("there is a model {} already, with another file or other words: use another --name", entry.name);
    }
    keep(&entry, &manifest, out)?;
    if out.json() {
        out.value(&json!({ "name": entry.name, "manifest": manifest, "entry": entry }))?;
    } else {
        out.line(format_args!(
            "{} is registered: {}, {}, licence {}; use it with --model {}",
            entry.name, entry.family, entry.quantisation, entry.licence, entry.name
        ));
    }
    Ok(Exit::Done)
}

fn tell(entry: &ModelEntry, path: &Path, out: &Output) -> anyhow::Result<Exit> {
    if out.json() {
        out.value(&json!({ "name": entry.name, "path": path }))?;
    } else {
        out.line(format_args!("{} is at {}", entry.name, path.display()));
    }
    Ok(Exit::Done)
}
