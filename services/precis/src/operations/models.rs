//! A model's file, fetched where it is missing.

use std::path::PathBuf;

use indicatif::ProgressBar;
use precis_gpu_worker::ModelSettings;
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
    out.note(format_args!("fetching the model {} ({}) to {}", entry.name, entry.licence, folder.display()));
    let (wanted, mut bar) = (entry.clone(), PullBar::default());
    let pulled = tokio::task::spawn_blocking(move || models::pull(&wanted, &folder, &mut |step| bar.show(&step)));
    Ok((entry, pulled.await??))
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
