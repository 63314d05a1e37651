//! `precis models register --adapter`: an adapter comes to this machine; and the list of adapters.

use std::path::Path;

use anyhow::Context as _;
use precis_gpu_worker::ModelSettings;
use precis_inference::models::adapters;
use serde_json::json;

use super::Register;
use crate::exit::Exit;
use crate::operations::models::ensure_pinned;
use crate::output::{Output, Table};

/// Registers an adapter for the model that the settings name, which is fetched if it is missing.
pub(super) async fn register(settings: &ModelSettings, args: Register, out: &Output) -> anyhow::Result<Exit> {
    let Register { path, name, base, .. } = args;
    let settings = base.map_or_else(|| settings.clone(), |name| ModelSettings { name, ..settings.clone() });
    let own = path.canonicalize().ok().and_then(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    let name = name.or(own).context("give the adapter a name with --name")?;
    let (base, base_path) = ensure_pinned(&settings, out).await?;
    let folder = settings.models_directory();
    let register = move || adapters::register(&path, &name, &base, &base_path, &folder);
    let entry = tokio::task::spawn_blocking(register).await??;
    if out.json() {
        out.value(&json!({ "adapter": entry, "id": entry.id(), "path": entry.folder }))?;
    } else {
        let mib = entry.bytes.div_ceil(1 << 20);
        out.line(format_args!("{} for {}: rank {}, {mib} MiB in memory", entry.id(), entry.base, entry.rank));
    }
    Ok(Exit::Done)
}

/// Shows a row for each adapter on this machine, if there are any.
pub(super) fn list(folder: &Path, out: &Output) -> anyhow::Result<()> {
    let entries = adapters::registered(folder);
    let mut table = Table::new(&["Adapter", "For", "Rank", "MiB in memory", "Id"]);
    for entry in &entries {
        if out.json() {
            out.value(&json!({ "adapter": entry, "id": entry.id(), "path": entry.folder }))?;
        }
        let mib = entry.bytes.div_ceil(1 << 20).to_string();
        table.row([entry.name.clone(), entry.base.clone(), entry.rank.to_string(), mib, entry.id()]);
    }
    if !out.json() && !entries.is_empty() {
        out.table(&table);
    }
    Ok(())
}
