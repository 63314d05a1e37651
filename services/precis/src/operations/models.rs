//! A model's file, fetched where it is missing.

mod shown;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use precis_gpu_worker::ModelSettings;
use precis_inference::EngineError;
use precis_inference::models::{self, ModelEntry, Progress, Source};
use tokio::sync::mpsc;

use self::shown::Shown;
use crate::output::Output;

/// Which bytes a model's file must have, where the manifest does not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// Those with this SHA-256.
    Digest(String),
    /// Those that come now, from now on.
    FirstSeen,
}

/// The model that the settings name, after its file is on this machine.
///
/// # Errors
/// An unknown name, a model that cannot be had.
pub async fn ensure_present(settings: &ModelSettings, out: &Output) -> anyhow::Result<(ModelEntry, PathBuf)> {
    let manifest = settings.load_manifest()?;
    let entry = manifest.find(&settings.name)?.clone();
    let folder = settings.models_directory();
    if let Ok(path) = models::locate(&entry, &folder) {
        return Ok((entry, path));
    }
    let path = fetch(&entry, &folder, out).await?;
    Ok((entry, path))
}

/// The model that the settings name, after its file was read whole and found to be the pinned one.
/// A file that is not is fetched again.
///
/// # Errors
/// An unknown name, a model that cannot be had.
pub async fn ensure_pinned(settings: &ModelSettings, out: &Output) -> anyhow::Result<(ModelEntry, PathBuf)> {
    let entry = settings.load_manifest()?.find(&settings.name)?.clone();
    let folder = settings.models_directory();
    let (wanted, checked) = (entry.clone(), folder.clone());
    match tokio::task::spawn_blocking(move || models::verify(&wanted, &checked)).await? {
        Ok(path) => return Ok((entry, path)),
        Err(EngineError::ModelMissing { .. }) => {}
        Err(changed @ EngineError::ModelChanged { .. }) => out.note(changed),
        Err(error) => return Err(error.into()),
    }
    let path = fetch(&entry, &folder, out).await?;
    Ok((entry, path))
}

/// Fetches a model whose entry has no digest, and writes the entry with one to the user's manifest.
///
/// # Errors
/// An entry with another digest, a model that cannot be had, a manifest that cannot be written.
pub async fn pin(settings: &ModelSettings, pin: Pin, out: &Output) -> anyhow::Result<(ModelEntry, PathBuf)> {
    let entry = settings.load_manifest()?.find(&settings.name)?.clone();
    if entry.is_pinned() {
        if matches!(&pin, Pin::Digest(wanted) if *wanted != entry.sha256) {
            bail!("the model {} is pinned to sha256 {} already", entry.name, entry.sha256);
        }
        return ensure_pinned(settings, out).await;
    }
    let manifest = writable_manifest(settings)?;
    let folder = settings.models_directory();
    announce(&entry, &folder, out);
    let wanted = match pin {
        Pin::Digest(sha256) => ModelEntry { sha256, ..entry },
        Pin::FirstSeen => entry,
    };
    let (entry, path) = with_progress(out, move |progress| models::fetch_and_pin(&wanted, &folder, progress)).await?;
    keep(&entry, &manifest, out)?;
    Ok((entry, path))
}

/// Fetches a model that no manifest knows, and writes an entry to the user's manifest, made of what
/// the file says.
///
/// # Errors
/// A name that is taken, a model that cannot be had or is none, a manifest that cannot be written.
pub async fn add(
    settings: &ModelSettings,
    source: Source,
    name: Option<String>,
    pin: Pin,
    out: &Output,
) -> anyhow::Result<(ModelEntry, PathBuf)> {
    let sha256 = match pin {
        Pin::Digest(sha256) => sha256,
        Pin::FirstSeen => String::new(),
    };
    let wanted = models::unseen(source, name.as_deref(), sha256)?;
    let known = settings.load_manifest()?;
    if let Ok(other) = known.find(&wanted.name) {
        // The same command again brings nothing new.
        if other.sources == wanted.sources && (!wanted.is_pinned() || wanted.sha256 == other.sha256) {
            return ensure_pinned(&ModelSettings { name: wanted.name, ..settings.clone() }, out).await;
        }
        bail!("there is a model {} already: give the new one another name with --as", wanted.name);
    }
    let manifest = writable_manifest(settings)?;
    let folder = settings.models_directory();
    out.note(format_args!("fetching {} to {}", wanted.sources[0], folder.display()));
    let (entry, path) = with_progress(out, move |progress| models::fetch_unseen(&wanted, &folder, progress)).await?;
    keep(&entry, &manifest, out)?;
    Ok((entry, path))
}

/// Writes an entry to the user's manifest, and says so.
///
/// # Errors
/// A manifest that cannot be written, or has another entry of that name.
pub fn keep(entry: &ModelEntry, manifest: &Path, out: &Output) -> anyhow::Result<()> {
    models::record(entry, manifest)?;
    out.note(format_args!("{} is in {} with sha256 {}", entry.name, manifest.display(), entry.sha256));
    Ok(())
}

/// The manifest that entries of the user's own are written to.
///
/// # Errors
/// A user without a configuration folder.
pub fn writable_manifest(settings: &ModelSettings) -> anyhow::Result<PathBuf> {
    settings.manifest_path().context("no manifest can be written: set [model] manifest, or HOME")
}

/// Fetches the file of an entry.
async fn fetch(entry: &ModelEntry, folder: &Path, out: &Output) -> anyhow::Result<PathBuf> {
    if entry.is_pinned() {
        announce(entry, folder, out);
    }
    let (entry, folder) = (entry.clone(), folder.to_owned());
    with_progress(out, move |progress| models::fetch(&entry, &folder, progress)).await
}

fn announce(entry: &ModelEntry, folder: &Path, out: &Output) {
    let size = entry.bytes.map_or_else(String::new, |bytes| format!(", {} MB", bytes / 1_000_000));
    out.note(format_args!(
        "fetching the model {} (licence {}{size}) to {}",
        entry.name,
        entry.licence,
        folder.display()
    ));
    if let Some(notice) = &entry.notice {
        out.note(notice);
    }
}

/// Does work that blocks, and shows its progress meanwhile.
async fn with_progress<T: Send + 'static>(
    out: &Output,
    work: impl FnOnce(&mut dyn FnMut(Progress)) -> Result<T, EngineError> + Send + 'static,
) -> anyhow::Result<T> {
    let (sender, mut steps) = mpsc::unbounded_channel();
    let done = tokio::task::spawn_blocking(move || {
        work(&mut |step| {
            // Whoever does not look any more ends the command.
            let _ = sender.send(step);
        })
    });
    let mut shown = Shown::new(out);
    while let Some(step) = steps.recv().await {
        shown.show(&step);
    }
    drop(shown);
    Ok(done.await??)
}
