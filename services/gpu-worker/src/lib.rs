//! The GPU worker: consumes `work.<tier>` and summarises with the engine in this process.
//!
//! It checks its own answers, and settles them or sends the documents back to the router. What
//! happens to a document is in [`precis_pipeline::worker`]; this crate adds the engine
//! ([`EngineSummariser`]), its model and its settings. The engine forms the batches: the stage
//! keeps up to `max_in_flight` documents in flight, and all of these share the batch.

mod adapters;
mod engine;
#[cfg(feature = "chaos")]
mod faulty_model;
mod partials;
mod settings;
#[cfg(feature = "chaos")]
mod stand_in;
#[cfg(feature = "chaos")]
mod unique_answers;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use precis_flow::{Subscription, run_stage};
use precis_inference::Engine;
use precis_pipeline::{Runtime, Summariser, TextBudget, TierWorker, topics};
use tokio_util::sync::CancellationToken;

pub use engine::{EngineSummariser, load_engine};
pub use settings::{GpuWorkerSettings, ModelSettings};

/// Runs the worker until `shutdown`, then drains: documents in flight are finished or given back
/// within the drain budget.
///
/// # Errors
/// The stage's fatal errors; the model's, if it is missing or its digest is wrong.
pub async fn run(
    runtime: &Runtime,
    settings: GpuWorkerSettings,
    model: &ModelSettings,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    #[cfg(feature = "chaos")]
    match std::env::var("PRECIS_CHAOS_BACKEND").as_deref() {
        Ok("unique_answers") => {
            return serve(runtime, settings, unique_answers::UniqueAnswers::from_environment()?, shutdown).await;
        }
        Ok("faulty_model") => {
            return serve(runtime, settings, faulty_model::FaultyModel::from_environment()?, shutdown).await;
        }
        Ok(other) => anyhow::bail!("PRECIS_CHAOS_BACKEND: there is no {other}; known: unique_answers, faulty_model"),
        Err(_) => {}
    }
    let engine = load_engine(model, settings.engine.clone()).await.context("the engine did not start")?;
    run_with(runtime, settings, engine, model.models_directory(), shutdown).await
}

/// As [`run`], with an engine that the caller started and observes: `precis summarize` shows its
/// token rates. Adapters are those registered in `models_directory`.
///
/// # Errors
/// The stage's fatal errors.
pub async fn run_with(
    runtime: &Runtime,
    settings: GpuWorkerSettings,
    engine: Engine,
    models_directory: PathBuf,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let summariser = EngineSummariser::new(engine, models_directory);
    serve(runtime, settings, summariser, shutdown).await
}

async fn serve(
    runtime: &Runtime,
    settings: GpuWorkerSettings,
    summariser: impl Summariser,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let texts = TextBudget::new(settings.stage.max_text_bytes_in_process);
    let _shown = texts.show("gpu-worker");
    let worker = TierWorker::new(
        settings.tier.clone(),
        summariser,
        runtime.store.clone(),
        runtime.control.clone(),
        runtime.routing_keys.clone(),
    )
    .with_text_budget(texts);
    let topic = topics::work(&settings.tier);
    let stage = runtime.stage(&topic, Subscription::topics([&topic]), &settings.stage);
    run_stage(runtime.log.clone(), stage, Arc::new(worker), runtime.health.clone(), shutdown)
        .await
        .context("the gpu-worker's stage stopped")
}
