//! `precis models list`: what the manifest has, and what of it is on this machine.

use std::path::Path;

use precis_gpu_worker::ModelSettings;
use precis_inference::models::{self, ModelEntry};
use serde_json::json;

use super::adapter;
use crate::exit::Exit;
use crate::output::{Output, Table};

const HEADER: [&str; 9] =
    ["Name", "Family", "Size", "Quantisation", "Licence", "Context", "Window", "Tested", "On this machine"];

/// Shows a row for each entry.
pub(super) fn run(settings: &ModelSettings, out: &Output) -> anyhow::Result<Exit> {
    let (manifest, folder) = (settings.load_manifest()?, settings.models_directory());
    let mut table = Table::new(&HEADER).right(&[2, 5, 6]);
    for entry in &manifest.models {
        let path = models::locate(entry, &folder).ok();
        let used = entry.name == settings.name;
        if out.json() {
            out.value(&json!({ "entry": entry, "path": path, "used": used }))?;
        }
        table.row(row(entry, used, path.as_deref()));
    }
    if !out.json() {
        out.table(&table);
        out.line(format_args!("* is the one that the settings name; files are kept in {}", folder.display()));
        out.line(
            "Tested: the project has run this very file. Window: tokens of a document that the model reads at once. \
             Unpinned: `precis models pull NAME --sha256 DIGEST` fetches it.",
        );
    }
    adapter::list(&folder, out)?;
    Ok(Exit::Done)
}

fn row(entry: &ModelEntry, used: bool, path: Option<&Path>) -> [String; 9] {
    let bytes = entry.bytes.or_else(|| Some(path?.metadata().ok()?.len()));
    let present = match path {
        _ if !entry.is_pinned() => "unpinned",
        Some(_) => "yes",
        None => "no",
    };
    [
        if used { format!("{} *", entry.name) } else { entry.name.clone() },
        entry.family.clone(),
        bytes.map_or_else(String::new, |bytes| format!("{} MB", bytes / 1_000_000)),
        entry.quantisation.clone(),
        entry.licence.clone(),
        entry.context.to_string(),
        entry.window.map_or_else(String::new, |window| window.to_string()),
        if entry.tested { "yes" } else { "no" }.to_owned(),
        present.to_owned(),
    ]
}
