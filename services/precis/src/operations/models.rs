//! A model's file, fetched where it is missing.

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use precis_gpu_worker::ModelSettings;
use precis_inference::EngineError;
use precis_inference::models::{self, ModelEntry, Progress};

use crate::output::Output;
use crate::progress::{bytes_bar, message};

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

async fn fetch(entry: &ModelEntry, folder: &Path, out: &Output) -> anyhow::Result<PathBuf> {
    out.note(format_args!("fetching the model {} ({}) to {}", entry.name, entry.licence, folder.display()));
    let (entry, folder, mut bar) = (entry.clone(), folder.to_owned(), PullBar::default());
    let fetched = tokio::task::spawn_blocking(move || models::fetch(&entry, &folder, &mut |step| bar.show(&step)));
    Ok(fetched.await??)
}

/// Shows how far a pull is, where stderr is a terminal.
#[derive(Default)]
struct PullBar {
    bar: Option<ProgressBar>,
}

impl PullBar {
    fn show(&mut self, step: &Progress) {
        let bar = self.bar.get_or_insert_with(bytes_bar);
        match step {
            Progress::Fetching { source } => bar.set_message(message(&format!("fetching {source}"))),
            Progress::Installing { done, total } => {
                bar.set_length(*total);
                bar.set_position(*done);
                bar.set_message("checking and installing");
            }
            Progress::Skipped { source, reason } => bar.println(message(&format!("{source}: {reason}"))),
        }
    }
}

impl Drop for PullBar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
