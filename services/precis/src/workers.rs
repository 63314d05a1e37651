//! The workers of this process, started as soon as the policy in force has a tier for them.
//!
//! The router of a process may send a document to every tier of the policy in force, and that
//! policy may change at any time. So whoever runs a router calls [`Workers::serve`] before it
//! publishes and again and again while it runs: a tier that came later is served, too. A model is
//! loaded for a tier that there is, and for no other reason.

use std::collections::BTreeSet;
use std::sync::Arc;

use precis_api_worker::ApiWorkerSettings;
use precis_api_worker::tiers::api_tiers;
use precis_gpu_worker::{GpuWorkerSettings, ModelSettings, load_engine};
use precis_inference::Engine;
use precis_inference::models::ModelEntry;
use precis_pipeline::{Runtime, topics};
use precis_policy::TierKind;

use crate::commands::models;
use crate::compose::{Sections, Services, tiers};
use crate::output::Output;

/// What may run, and what does.
pub struct Workers {
    model: ModelSettings,
    gpu: GpuWorkerSettings,
    api: ApiWorkerSettings,
    /// The engine behind the GPU worker, once that runs, and what it computes with.
    engine: Option<(Engine, ModelEntry)>,
    api_runs: bool,
}

impl Workers {
    /// None runs yet.
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

    /// Whether a tier of the policy in force asks for the model.
    pub fn need_model(&self, runtime: &Runtime) -> bool {
        tiers(runtime, TierKind::Gpu).contains(&self.gpu.tier)
    }

    /// The engine, where a GPU worker runs, and its model.
    pub fn engine(&self) -> Option<&(Engine, ModelEntry)> {
        self.engine.as_ref()
    }

    /// Starts what the policy in force asks for and does not run yet.
    ///
    /// # Errors
    /// A model that cannot be had or loaded.
    pub async fn serve(&mut self, runtime: &Arc<Runtime>, services: &mut Services, out: &Output) -> anyhow::Result<()> {
        if self.engine.is_none() && self.need_model(runtime) {
            let (entry, _) = models::ensure_present(&self.model, out).await?;
            out.note(format_args!("loading the model {}", entry.name));
            let engine = load_engine(&self.model, self.gpu.engine.clone()).await?;
            services.gpu_worker(runtime, self.gpu.clone(), engine.clone());
            self.engine = Some((engine, entry));
        }
        // For one that is not enabled, too: it gives back what it still has.
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

    /// Tiers of the policy in force whose work nobody in this process would ever take, with the
    /// setting that keeps it so.
    pub fn unserved(&self, runtime: &Runtime) -> Vec<(String, &'static str)> {
        let named = |kind, setting: &'static str| tiers(runtime, kind).into_iter().map(move |tier| (tier, setting));
        let gpu = named(TierKind::Gpu, "gpu_worker.tier").filter(|(tier, _)| *tier != self.gpu.tier);
        let all = self.api.tiers.is_empty();
        let api = named(TierKind::Api, "api_worker.tiers").filter(|(tier, _)| !all && !self.api.tiers.contains(tier));
        gpu.chain(api).collect()
    }
}
