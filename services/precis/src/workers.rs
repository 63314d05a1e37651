//! The workers of this process, started as soon as the policy in force has a tier for them.
//!
//! The router of a process may send a document to every tier of the policy in force, and that
//! policy may change at any time. So whoever runs a router calls [`Workers::serve`] before it
//! publishes and again and again while it runs: a tier that came later is served, too. A model is
//! loaded for a tier that there is, and for no other reason.

use std::{collections::BTreeSet, sync::Arc};

use precis_api_worker::{ApiWorkerSettings, tiers::api_tiers};
use precis_gpu_worker::{GpuWorkerSettings, ModelSettings, load_engine};
use precis_inference::{Engine, models::ModelEntry};
use precis_pipeline::{House, topics};
use precis_policy::TierKind;

use crate::{
    commands::models,
    compose::{Sections, Services, tiers},
    output::Output,
};

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
    pub fn need_model(&self, house: &House) -> bool {
        tiers(house, TierKind::Gpu).contains(&self.gpu.tier)
    }

    /// The engine, where a GPU worker runs, and its model.
    pub fn engine(&self) -> Option<&(Engine, ModelEntry)> {
        self.engine.as_ref()
    }

    /// Starts what the policy in force asks for and does not run yet.
    ///
    /// # Errors
    /// A model that cannot be had or loaded.
    pub async fn serve(&mut self, house: &Arc<House>, services: &mut Services, out: &Output) -> anyhow::Result<()> {
        if self.engine.is_none() && self.need_model(house) {
            let (entry, _) = models::ensure_present(&self.model, out).await?;
            out.note(format_args!("loading the model {}", entry.name));
            let engine = load_engine(&self.model, self.gpu.engine.clone()).await?;
            services.gpu_worker(house, self.gpu.clone(), engine.clone());
            self.engine = Some((engine, entry));
        }
        // For one that is not enabled, too: it gives back what it still has.
        if !self.api_runs && !api_tiers(&house.control.governing().policy, &[]).is_empty() {
            services.api_worker(house, self.api.clone());
            self.api_runs = true;
        }
        Ok(())
    }

    /// The topics whose work is taken in this process.
    pub fn topics(&self, house: &House) -> BTreeSet<String> {
        let mut topics = BTreeSet::new();
        topics.extend(self.engine.is_some().then(|| topics::work(&self.gpu.tier)));
        if self.api_runs {
            let served = api_tiers(&house.control.governing().policy, &self.api.tiers);
            topics.extend(served.iter().map(|tier| topics::work(&tier.name)));
        }
        topics
    }

    /// Tiers of the policy in force whose work nobody in this process would ever take, with the
    /// setting that keeps it so.
    pub fn unserved(&self, house: &House) -> Vec<(String, &'static str)> {
        let named = |kind, setting: &'static str| tiers(house, kind).into_iter().map(move |tier| (tier, setting));
        let gpu = named(TierKind::Gpu, "gpu_worker.tier").filter(|(tier, _)| *tier != self.gpu.tier);
        let all = self.api.tiers.is_empty();
        let api = named(TierKind::Api, "api_worker.tiers").filter(|(tier, _)| !all && !self.api.tiers.contains(tier));
        gpu.chain(api).collect()
    }
}
