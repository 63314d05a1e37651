//! The workers of this process, started as soon as the policy in force has a tier for them.
//!
//! The router of a process may send a document to every tier of the policy in force, and that
//! policy may change at any time. A command that runs a router therefore calls [`Workers::serve`]
//! before it publishes and at an interval while it runs, so that tiers of a later policy are
//! served, too. The model is loaded only when the policy in force has a tier for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use precis_api_worker::ApiWorkerSettings;
use precis_api_worker::tiers::api_tiers;
use precis_gpu_worker::{GpuWorkerSettings, ModelSettings, load_engine};
use precis_inference::Engine;
use precis_inference::models::ModelEntry;
use precis_pipeline::{Runtime, topics};
use precis_policy::TierKind;

use crate::compose::{Sections, Services, tiers};
use crate::operations::models::ensure_present;
use crate::output::Output;

/// Workers that may run in this process, and those that do.
pub struct Workers {
    model: ModelSettings,
    gpu: GpuWorkerSettings,
    api: ApiWorkerSettings,
    /// The engine of the GPU worker and its model, once the worker runs.
    engine: Option<(Engine, ModelEntry)>,
    api_runs: bool,
}

impl Workers {
    /// Workers of which none runs yet.
    pub fn new(sections: &Sections) -> Self {
        Self {
            model: sections.model.clone(),
            gpu: sections.gpu_worker.clone(),
            api: sections.api_worker.clone(),
            engine: None,
            api_runs: false,
        }
    }

    /// The tier whose work the GPU worker takes.
    pub fn gpu_tier(&self) -> &str {
        &self.gpu.tier
    }

    /// Whether the policy in force has a tier that needs the model.
    pub fn need_model(&self, runtime: &Runtime) -> bool {
        tiers(runtime, TierKind::Gpu).contains(&self.gpu.tier)
    }

    /// The engine, where a GPU worker runs, and its model.
    pub fn engine(&self) -> Option<&(Engine, ModelEntry)> {
        self.engine.as_ref()
    }

    /// Starts the workers that the policy in force needs and that do not run yet.
    ///
    /// # Errors
    /// A model that cannot be had or loaded.
    pub async fn serve(&mut self, runtime: &Arc<Runtime>, services: &mut Services, out: &Output) -> anyhow::Result<()> {
        if self.engine.is_none() && self.need_model(runtime) {
            let (entry, _) = ensure_present(&self.model, out).await?;
            out.note(format_args!("loading the model {}", entry.name));
            let engine = load_engine(&self.model, self.gpu.engine.clone()).await?;
            services.gpu_worker(runtime, self.gpu.clone(), engine.clone(), self.model.models_directory());
            self.engine = Some((engine, entry));
        }
        // Also for a tier that is not enabled: its worker gives back the documents that wait there.
        if !self.api_runs && !api_tiers(&runtime.control.effective().policy, &[]).is_empty() {
            services.api_worker(runtime, self.api.clone());
            self.api_runs = true;
        }
        Ok(())
    }

    /// The topics whose work is taken in this process.
    pub fn topics(&self, runtime: &Runtime) -> BTreeSet<String> {
        let mut topics = BTreeSet::new();
        topics.extend(self.engine.is_some().then(|| topics::work(&self.gpu.tier)));
        if self.api_runs {
            let served = api_tiers(&runtime.control.effective().policy, &self.api.tiers);
            topics.extend(served.iter().map(|tier| topics::work(&tier.name)));
        }
        topics
    }

    /// Tiers of the policy in force that no worker of this process serves, with the setting that
    /// excludes each of them.
    pub fn unserved(&self, runtime: &Runtime) -> Vec<(String, &'static str)> {
        let named = |kind, setting: &'static str| tiers(runtime, kind).into_iter().map(move |tier| (tier, setting));
        let gpu = named(TierKind::Gpu, "gpu_worker.tier").filter(|(tier, _)| *tier != self.gpu.tier);
        let all = self.api.tiers.is_empty();
        let api = named(TierKind::Api, "api_worker.tiers").filter(|(tier, _)| !all && !self.api.tiers.contains(tier));
        gpu.chain(api).collect()
    }
}
